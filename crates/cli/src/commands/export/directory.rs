//! `export --check` of a directory: what would be written, compared with what is there.

use longshore_bundle::{DOCKER_MANIFEST, MAX_DOCKER_MANIFEST};
use longshore_store::{Error, ExtraFile, Root};
use longshore_sync::{Filter, Plan, Wanted, Wish};

use super::made::Bundle;
use crate::args::{Export, Global};
use crate::commands::verify;
use crate::opened::Opened;
use crate::output::Output;
use crate::problem::Problem;
use crate::progress::Progress;

/// Returns every way in which the layout in a directory is not the bundle that would be written.
///
/// What is listed and needed there is compared with the record, and every blob is hashed: content of the
/// right digest is what the source has under it, so that none of it need be fetched.
pub(super) fn differences(
    layout: &Opened,
    bundle: &Bundle<'_>,
    args: &Export,
    global: &Global,
    output: &Output,
) -> Result<Vec<String>, Problem> {
    let Bundle { record, files, .. } = bundle;
    let mut found = Vec::new();
    for ExtraFile { name, content } in files {
        match layout.extra_file(name, content.len() as u64) {
            Ok(Some(there)) if there == content[..] => {}
            Ok(None) => found.push(format!("`{name}` is not there")),
            Ok(Some(_)) | Err(Error::Limit { .. }) => found.push(format!("`{name}` is another")),
            Err(error) => return Err(Problem::of(error)),
        }
    }
    if record.docker_manifest.is_none()
        && !matches!(layout.extra_file(DOCKER_MANIFEST, MAX_DOCKER_MANIFEST), Ok(None))
    {
        found.push(format!("`{DOCKER_MANIFEST}` is there, and would not be"));
    }
    let view = layout.whole();
    let listed = view.roots().map_err(Problem::of)?;
    let wanted = listed.iter().map(|Root { descriptor, names }| Wanted {
        source: &*view,
        wish: Wish::Listed(descriptor.clone()),
        target: None,
        names: names.clone(),
        filter: None,
    });
    let filter = Filter { allow_unverified: args.allow_unverified, ..Filter::default() };
    let plan = Plan::discover(wanted.collect(), &filter, global.jobs());
    let progress = Progress::new(output, "comparing", plan.size().bytes).of_blobs(&plan);
    let report = plan.verify(global.cores(), &progress);
    progress.finish();
    found.extend(plan.failures().iter().chain(&report.failures).map(ToString::to_string));
    if plan.failures().is_empty() {
        let differences = record.differences(&listed, &plan.outline(Vec::new()));
        found.extend(differences.iter().map(ToString::to_string));
    }
    let orphans = verify::orphans(layout, &plan)?;
    found.extend(orphans.iter().map(|digest| format!("{digest} is there, and needed by nothing")));
    Ok(found)
}
