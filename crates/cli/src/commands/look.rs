//! What several commands show of a manifest.

use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Descriptor, Kind, Manifest};
use longshore_store::{Error, Source, about};

use crate::problem::{Exit, Problem};

/// What an entry turned out to be.
pub(crate) enum Look {
    Manifest(Box<Manifest>),
    /// It is no manifest (row A-15).
    Opaque,
    Broken(Error),
}

/// Reads what a descriptor points to as a manifest.
pub(crate) fn look(source: &dyn Source, descriptor: &Descriptor) -> Look {
    match source.child(descriptor) {
        Ok(manifest) => Look::Manifest(Box::new(manifest)),
        Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
            if Kind::of(&descriptor.media_type).is_none() =>
        {
            Look::Opaque
        }
        Err(error) => Look::Broken(error),
    }
}

/// Returns the platforms that something is for, as text.
pub(crate) fn platforms(source: &dyn Source, manifest: &Manifest) -> Vec<String> {
    about::platforms(source, manifest).iter().map(ToString::to_string).collect()
}

/// Reads what was typed behind `--type`.
pub(crate) fn types(typed: &[String]) -> Result<TypeFilter, Problem> {
    TypeFilter::parse(typed).map_err(|error| {
        Problem::new(Exit::Usage, error.to_string())
            .hint("see `longshore types`; a media type works too")
    })
}
