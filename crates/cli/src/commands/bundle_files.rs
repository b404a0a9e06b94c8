//! The files of a bundle, opened.

use longshore::OpenPlace;
use longshore::location::Location;
use longshore_bundle::{ApartReason, BundleFile, BundleFiles, BundleFilesError};

use super::bundle;
use crate::args::Reading;
use crate::open;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// The files of one bundle, each with what it is called.
pub(crate) struct OpenFiles(Vec<(String, OpenPlace)>);

impl OpenFiles {
    /// Opens all of them; at least one.
    pub(crate) fn open(
        locations: &[Location],
        reading: &Reading,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        Self::opened(locations, |location| open::place(location, reading, registries))
    }

    /// Opens all of them, and believes nothing that they say of their content.
    pub(crate) fn open_unbelieving(
        locations: &[Location],
        reading: &Reading,
        registries: &Registries<'_>,
    ) -> Result<Self, Problem> {
        Self::opened(locations, |location| open::place_unbelieving(location, reading, registries))
    }

    fn opened(
        locations: &[Location],
        open: impl Fn(&Location) -> Result<OpenPlace, Problem>,
    ) -> Result<Self, Problem> {
        let open = |location: &Location| Ok((location.to_string(), open(location)?));
        locations.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Returns a bundle that lies in one place.
    pub(crate) fn one(location: &Location, opened: OpenPlace) -> Self {
        Self(vec![(location.to_string(), opened)])
    }

    /// Returns the first, which is all of it if it came through a pipe.
    pub(crate) fn first(&self) -> &OpenPlace {
        &self.0[0].1
    }

    /// Returns all of them as one bundle.
    pub(crate) fn together(&self) -> Result<BundleFiles<'_>, Problem> {
        let first = file(&self.0[0])?;
        let others: Vec<_> = self.0[1..].iter().map(file).collect::<Result<_, Problem>>()?;
        BundleFiles::open(first, &others).map_err(apart)
    }
}

/// Returns a file of a bundle, which is a layout.
fn file((name, opened): &(String, OpenPlace)) -> Result<BundleFile<'_>, Problem> {
    let layout = opened.layout().ok_or_else(|| {
        let text = format!("{name} is no bundle: a bundle is a layout");
        Problem::new(Exit::Usage, text).hint("`longshore copy` takes artifacts out of registries")
    })?;
    Ok(BundleFile { name, layout })
}

/// Says why files are not one bundle.
fn apart(error: BundleFilesError) -> Problem {
    let text = error.to_string();
    let problem = Problem::new(Exit::Usage, &text);
    match *error.reason {
        ApartReason::Unreadable(error) => Problem { message: text, ..bundle::unreadable(error) },
        ApartReason::NoRecord => problem.hint("only files of one bundle go together"),
        ApartReason::OtherBundle { .. } => problem.hint("take one bundle after the other"),
        ApartReason::OtherRepair { .. } => {
            problem.hint("`import --missing FILE` lists what is missing for this bundle")
        }
        ApartReason::NothingToRepair(_) => problem.hint("name that bundle, too"),
    }
}
