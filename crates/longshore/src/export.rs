//! A bundle of what is wanted, in one call.

use longshore_bundle::{
    Base, DockerList, ExportError, ExportRequest, ExportTarget, Incomplete, Lock, MissingContent,
    Record, Selection, WriteError,
};
use longshore_store::Error;
use longshore_sync::{Observer, Report};

use crate::{OpenTarget, Places};

/// How a bundle is made.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions<'a> {
    /// The digests that the selection is locked to.
    pub lock: Option<&'a Lock>,
    /// What the site is known to hold, so that the bundle need not carry it.
    pub base: Option<&'a Base>,
    /// What a site asked for that was missing for a bundle: nothing else is carried.
    pub only: Option<&'a MissingContent>,
    /// What Docker is told of the bundle.
    pub docker: DockerList<'a>,
    /// What becomes of the bundle if not all can be had.
    pub incomplete: Incomplete,
    /// Whether content whose digest cannot be computed is taken, too (row A-38).
    pub allow_unverified: bool,
    /// How much is done at once.
    pub jobs: usize,
}

impl Default for ExportOptions<'_> {
    /// All that is wanted, or nothing.
    fn default() -> Self {
        Self {
            lock: None,
            base: None,
            only: None,
            docker: DockerList::None,
            incomplete: Incomplete::Refused,
            allow_unverified: false,
            jobs: crate::JOBS,
        }
    }
}

/// A bundle that was written.
#[derive(Debug)]
pub struct Exported {
    /// What it holds, and why.
    pub record: Record,
    /// What was done. It is not complete if not all could be had.
    pub report: Report,
}

/// Why no bundle was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportFailure {
    /// A place cannot be opened.
    #[error(transparent)]
    Place(#[from] Error),
    /// What is wanted makes no bundle.
    #[error(transparent)]
    Refused(#[from] ExportError),
    /// It cannot be written, or not all can be had.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a bundle of all that a selection names to a layout. What the selection names lies in registries, or in
/// layouts under full references (`HOST/PATH:TAG`).
///
/// # Errors
///
/// Not all can be had, unless the options say [`Incomplete::Made`]; a place cannot be opened, or takes
/// nothing.
pub fn export(
    places: &Places,
    selection: &Selection,
    target: &OpenTarget,
    options: &ExportOptions<'_>,
    observer: &dyn Observer,
) -> Result<Exported, ExportFailure> {
    let layouts = places.layouts(selection)?;
    let whole = target.whole();
    let request = ExportRequest {
        places: &layouts.select(selection)?,
        locked: options.lock,
        target: Some(ExportTarget { place: target.place(), whole: &*whole }),
        base: options.base,
        only: options.only,
        docker: options.docker,
        incomplete: options.incomplete,
        allow_unverified: options.allow_unverified,
        jobs: options.jobs,
    };
    let mut bundle = request.prepare(observer)?;
    let mut report = bundle.write(observer)?;
    let record = bundle.record().clone();
    report.unplanned += bundle.failures.len();
    Ok(Exported { record, report })
}
