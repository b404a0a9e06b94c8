//! What a bundle is: its plan, its record, and what could not be had for it.

use longshore_bundle::{
    DockerManifest, DockerManifestError, LayoutPlace, LeftBehind, Lock, MAX_DOCKER_MANIFEST,
    MAX_RECORD, Record, Selection,
};
use longshore_spec::{Platform, Size};
use longshore_store::{ExtraFile, Outline};
use longshore_sync::{Failure, Plan, Report, RootReport};

use super::shown;
use super::told::total;
use crate::args::{Export, Global};
use crate::commands::destination::Destination;
use crate::commands::lock;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::report::tell_explained;

/// What goes into a bundle, and what does not.
pub(super) struct Bundle<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) record: Record,
    /// What lies beside the content.
    pub(super) files: Vec<ExtraFile>,
    pub(super) outline: Outline,
    pub(super) failures: Vec<Failure>,
    /// What was wanted and could not be had.
    pub(super) failed: Vec<RootReport>,
    /// The same as the record has it.
    pub(super) dropped: Vec<LeftBehind>,
    /// Whether Docker is told of layers that are compressed with zstd.
    pub(super) has_zstd: bool,
}

impl<'a> Bundle<'a> {
    /// Drops from a plan what cannot be had, and says in a record what is left. `failures` are those
    /// that there were before the plan.
    pub(super) fn of<'p: 'a>(
        plan: &'a mut Plan<'p>,
        selection: &Selection,
        mut failures: Vec<Failure>,
        args: &Export,
        jobs: usize,
    ) -> Result<Self, Problem> {
        let unpicked = failures.iter().map(|failure| without_path(&failure.subject));
        let mut dropped: Vec<_> =
            unpicked.map(|subject| LeftBehind::failed(Some(subject), None)).collect();
        let (failures_of_plan, failed) = plan.drop_failed();
        failures.extend(failures_of_plan);
        dropped.extend(failed.iter().map(|root| {
            LeftBehind::failed(root.names.first().map(ToString::to_string), Some(root))
        }));
        let plan: &'a Plan<'p> = plan;
        let mut record = Record::of(plan, selection, &dropped);
        let is_made = failures.is_empty() || args.keep_going || args.dry_run;
        let docker = args.docker_manifest.as_ref();
        let docker = docker.filter(|_| is_made && !record.roots.is_empty());
        let docker =
            docker.map(|platform| for_docker(plan, platform.as_ref(), jobs)).transpose()?;
        record.docker_manifest = docker.as_ref().map(DockerManifest::recorded);
        let mut files = vec![record.file()];
        files.extend(docker.as_ref().map(DockerManifest::file));
        for (file, limit) in files.iter().zip([MAX_RECORD, MAX_DOCKER_MANIFEST]) {
            check_length(&file.name, file.content.len() as u64, limit)?;
        }
        let outline = plan.outline(files.clone());
        let has_zstd = docker.as_ref().is_some_and(DockerManifest::has_zstd);
        Ok(Self { plan, record, files, outline, failures, failed, dropped, has_zstd })
    }

    /// Tells whether all that was wanted is in it.
    pub(super) fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }

    /// Tells what could not be had. Without --keep-going that is the end, unless nothing is written
    /// anyway.
    pub(super) fn refuse_without_all(
        &self,
        args: &Export,
        locked: Option<&Lock>,
        output: &Output,
    ) -> Result<(), Problem> {
        if !self.is_whole() {
            let roots = self.failed.clone();
            let report = Report { roots, ..Report::default() };
            tell_explained(&self.failures, &report, |failure| lock::gone(locked?, failure));
        }
        if !self.is_whole() && !args.keep_going && !args.dry_run {
            self.refused(args, output)?;
            let text = format!("nothing was written to {}", shown(args));
            let hint = "--keep-going writes what can be had";
            return Err(Problem::new(Exit::Failed, text).hint(hint));
        }
        if self.outline.roots().is_empty() {
            self.refused(args, output)?;
            let text = "nothing that is wanted is left";
            return Err(Problem::new(Exit::Failed, text).hint("check names, tags and types"));
        }
        Ok(())
    }

    /// Brings all of it to where it goes.
    pub(super) fn execute(
        &self,
        destination: &Destination,
        global: &Global,
        output: &Output,
    ) -> Result<Report, Failure> {
        let bytes = total(self.outline.nodes().iter().map(|node| node.size));
        let progress = Progress::new(output, "exporting", bytes).of_artifacts(self.plan);
        let files = self.files.clone();
        let result = self.plan.execute(destination.place(), files, global.jobs(), &progress);
        progress.finish();
        result
    }
}

/// Returns what was asked for without saying where a layout lies.
fn without_path(subject: &str) -> String {
    match LayoutPlace::parse(subject) {
        Some(Ok(LayoutPlace { selector: Some(selector), .. })) => selector.to_string(),
        Some(_) => "a layout".to_owned(),
        None => subject.to_owned(),
    }
}

/// Refuses a file beside the content that readers of bundles would not take.
fn check_length(name: &str, length: u64, limit: u64) -> Result<(), Problem> {
    if length <= limit {
        return Ok(());
    }
    let text = format!(
        "this is too much for one bundle: `{name}` would have {}, and readers take {}",
        Size(length),
        Size(limit)
    );
    Err(Problem::new(Exit::Usage, text).hint("make several bundles of it"))
}

/// Returns what Docker is told of the bundle.
fn for_docker(
    plan: &Plan<'_>,
    platform: Option<&Platform>,
    jobs: usize,
) -> Result<DockerManifest, Problem> {
    DockerManifest::of(plan, platform, jobs).map_err(|error| {
        let problem = Problem::new(Exit::Usage, error.to_string());
        match error {
            DockerManifestError::SeveralPlatforms(platforms) => {
                problem.hint(format!("write which, such as --docker-manifest={}", platforms[0]))
            }
            DockerManifestError::Empty(_) => {
                problem.hint("leave out --docker-manifest, or give another platform")
            }
            DockerManifestError::Unreadable(error) => Problem::of(error).because(Exit::Failed),
        }
    })
}
