//! Manifests and their referrers, as several commands show them.

use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Descriptor, Digest, Kind, Manifest};
use longshore_store::{Error, Name, Result, Root, Selector, Source, describe};
use longshore_sync::{SignatureTags, subject_of};

use crate::documents::Part;
use crate::problem::{Exit, Problem};

/// The content of a descriptor, read as a manifest.
pub(crate) enum ManifestResult {
    Manifest(Box<Manifest>),
    /// Content of an unknown type that is no manifest (row A-15).
    Opaque,
    /// It cannot be read, or is not what its descriptor says.
    Broken(Error),
}

/// Reads the content of a descriptor as a manifest.
pub(crate) fn try_manifest(source: &dyn Source, descriptor: &Descriptor) -> ManifestResult {
    match source.child(descriptor) {
        Ok(manifest) => ManifestResult::Manifest(Box::new(manifest)),
        Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
            if Kind::of(&descriptor.media_type).is_none() =>
        {
            ManifestResult::Opaque
        }
        Err(error) => ManifestResult::Broken(error),
    }
}

/// Finds the referrers of artifacts in a place, by `subject` and by cosign's tags.
pub(crate) struct ReferrerFinder<'v> {
    view: &'v dyn Source,
    tags: SignatureTags,
}

/// A manifest that refers to another.
pub(crate) struct Referrer {
    /// Its tag of cosign's, if that makes it a referrer and not a `subject`.
    pub(crate) name: Option<Name>,
    pub(crate) descriptor: Descriptor,
}

impl From<&Referrer> for Part {
    fn from(referrer: &Referrer) -> Self {
        let name = referrer.name.as_ref().map(ToString::to_string);
        Self { name, ..(&referrer.descriptor).into() }
    }
}

impl<'v> ReferrerFinder<'v> {
    /// Lists the names of a place once, to find cosign's tags among them.
    pub(crate) fn of(view: &'v dyn Source) -> Self {
        Self { view, tags: SignatureTags::find(view).unwrap_or_default() }
    }

    pub(crate) fn view(&self) -> &'v dyn Source {
        self.view
    }

    /// Returns the referrers of the manifest `to`, which has the name `name`. Fails if the place cannot list
    /// referrers by `subject`.
    pub(crate) fn referrers(&self, to: &Digest, name: Option<&Name>) -> Result<Vec<Referrer>> {
        let listed = self.view.referrers(to)?.entries.into_iter();
        let mut all: Vec<_> =
            listed.map(|descriptor| Referrer { name: None, descriptor }).collect();
        for name in self.tagged(to, name) {
            // The tag may have been removed since the names were listed.
            let Ok(descriptor) = self.view.head(&Selector::Name(name.clone())) else { continue };
            let name = Some(name);
            if all.iter().all(|known| known.descriptor.digest != descriptor.digest) {
                all.push(Referrer { name, descriptor });
            }
        }
        Ok(all)
    }

    /// Returns the referrers as `--json` prints them.
    pub(crate) fn parts(&self, to: &Digest, name: Option<&Name>) -> Result<Vec<Part>> {
        Ok(self.referrers(to, name)?.iter().map(Into::into).collect())
    }

    /// Tells whether a root has only tags of cosign's, each for a subject that is in this place.
    pub(crate) fn is_attached(&self, root: &Root) -> bool {
        let is_here = |name: &Name| {
            subject_of(name).is_some_and(|subject| self.view.head(&subject.into()).is_ok())
        };
        !root.names.is_empty() && root.names.iter().all(is_here)
    }

    /// Returns cosign's tags for the manifest `to`; none if the place cannot tell.
    fn tagged(&self, to: &Digest, name: Option<&Name>) -> Vec<Name> {
        self.tags.of(self.view, to, name).unwrap_or_default()
    }
}

/// Returns the platforms of an artifact, as text.
pub(crate) fn platforms(source: &dyn Source, manifest: &Manifest) -> Vec<String> {
    describe::platforms(source, manifest).iter().map(ToString::to_string).collect()
}

/// Parses the values of `--type`.
pub(crate) fn type_filter(typed: &[String]) -> Result<TypeFilter, Problem> {
    TypeFilter::parse(typed).map_err(|error| {
        Problem::new(Exit::Usage, error.to_string())
            .hint("see `longshore types`; a media type works too")
    })
}
