//! `verify`: every byte is there, or what is not is named.

mod volumes;

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use longshore::location::Location;
use longshore_bundle::{Base, Delta, Difference, LeftBehind, Record, Verified, VerifyRequest};
use longshore_layout::Layout;
use longshore_spec::{Digest, Size, printable_line};
use longshore_store::{Error, KnownRoots};
use longshore_sync::{LeftOut, Plan, Report, Silent};

use super::bundle_files::OpenFiles;
use super::{base, bundle};
use crate::args::{Global, Verify};
use crate::documents::{ContentAmount, VerifiedVolumesDocument, VerifyDocument as Document};
use crate::human;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::progress::Progress;
use crate::registries::Registries;
use crate::report::{self, tell_failures};
use crate::shell;

pub(crate) fn run(args: &Verify, global: &Global, output: &Output) -> Result<Exit, Problem> {
    if let Some((volumes, damage)) =
        super::volumes::to_verify(&args.places, args.reading.scratch.as_deref())?
    {
        return volumes::run(&volumes, damage, args, global, output);
    }
    let files = open(args)?;
    let (opened, place) = (files.first(), &args.places[0]);
    let together = match &args.places[..] {
        [_] => None,
        places => {
            refuse_selected(places)?;
            Some(files.together()?)
        }
    };
    let layout = together.as_ref().map_or_else(|| opened.layout(), |files| Some(files.layout()));
    let is_whole = place.selector.is_none();
    let record = layout.filter(|_| is_whole).map(Record::read).transpose();
    let record = record.map_err(bundle::unreadable)?.flatten();
    if record.as_ref().is_some_and(|record| record.volumes.is_some()) {
        return Err(super::volumes::unpacked(place));
    }
    let whole = layout.map_or_else(|| opened.whole(), Layout::whole);
    // A delta lists what is whole in it; its record says the rest.
    let of_delta = record.as_ref().filter(|record| record.base.is_some()).zip(layout);
    let delta = of_delta.map(|(record, layout)| Delta::whole(layout, record));
    let known = base_of(args, record.as_ref(), global, output)?;
    let request = VerifyRequest {
        view: delta.as_ref().map_or(&*whole, |delta| delta),
        layout: layout.filter(|_| is_whole),
        record: record.as_ref(),
        allow_unverified: args.allow_unverified,
        jobs: global.jobs(),
    };
    let all = |roots| KnownRoots { roots, unknown: Vec::new() };
    let roots = match (of_delta, record.as_ref().and_then(Record::repair_content)) {
        (Some((record, layout)), _) => all(record.listed_in(layout).map_err(Problem::of)?),
        (None, Some(content)) => all(content),
        (None, None) if together.is_some() => all(whole.roots().map_err(Problem::of)?),
        (None, None) => open::selected(opened, place)?,
    };
    let begun = Instant::now();
    let verification = request.prepare(roots, &Silent);
    let plan = verification.plan();
    let progress = Progress::new(output, "verifying", plan.size().bytes).of_artifacts(plan);
    let verified = verification.run(global.cores(), &progress);
    progress.finish();
    let orphaned = verified.orphans().map_err(Problem::of)?;
    let differences = verified.differences(&orphaned).map_err(Problem::of)?;
    let found = Found { record: record.as_ref(), known, orphaned, differences, volumes: None };
    conclude(&verified, found, begun, output)
}

/// What was found beside what a report says.
struct Found<'r> {
    record: Option<&'r Record>,
    known: Option<Base>,
    orphaned: Vec<Digest>,
    differences: Vec<Difference>,
    volumes: Option<VerifiedVolumesDocument>,
}

/// Says what came of it.
fn conclude(
    verified: &Verified<'_>,
    found: Found<'_>,
    begun: Instant,
    output: &Output,
) -> Result<Exit, Problem> {
    let Found { record, known, orphaned, differences, volumes } = found;
    let (plan, report) = (verified.plan(), &verified.report);
    tell_failures(plan.failures(), report);
    for (number, difference) in differences.iter().enumerate() {
        let text = format!("it does not match `bundle.json`: {difference}");
        let problem = Problem::new(Exit::Difference, text);
        // What is to be done about many is said once.
        let is_first = number == 0;
        Output::problem(&if is_first { problem.hint(bundle::AGAIN) } else { problem });
    }
    let mut document = document(plan, report, &orphaned, record, &differences);
    document.volumes = volumes;
    if let (Some(known), Some(record)) = (&known, record) {
        let absent: Vec<_> = known.lacks(record).map(|blob| blob.digest.to_string()).collect();
        for digest in &absent {
            let text = format!("{digest} is taken for granted, and the site does not hold it");
            Output::problem(&Problem::new(Exit::Difference, text));
        }
        document.base_missing = Some(absent);
    }
    for digest in &report.unverified {
        output.warning(&format!("{digest} was not verified: its algorithm is not known"));
    }
    output.summary(&document, || text(&document, record, &orphaned, begun))?;
    let ambiguous = plan.conflict();
    if let Some(conflict) = &ambiguous {
        let hint =
            "`longshore tag` gives the name to one of them: `longshore tag oci:DIR@DIGEST NAME`";
        Output::problem(&Problem::new(Exit::Difference, conflict.to_string()).hint(hint));
    }
    let differs = !document.missing.is_empty()
        || !document.damaged.is_empty()
        || ambiguous.is_some()
        || document.base_missing.as_ref().is_some_and(|absent| !absent.is_empty())
        || document.volumes.as_ref().is_some_and(|volumes| !volumes.faults.is_empty())
        || !differences.is_empty();
    Ok(if differs {
        Exit::Difference
    } else if document.failures.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Returns what the site is known to hold, if that is to be compared with what a delta takes for granted.
fn base_of(
    args: &Verify,
    record: Option<&Record>,
    global: &Global,
    output: &Output,
) -> Result<Option<Base>, Problem> {
    if args.base.is_empty() && args.against.is_none() {
        return Ok(None);
    }
    if record.is_none_or(|record| record.base.is_none()) {
        let place = &args.places[0];
        let text = format!("{place} takes nothing for granted: there is nothing to compare");
        return Err(Problem::new(Exit::Usage, text).hint("leave out --base and --against"));
    }
    match &args.against {
        None => base::common(&args.base, &args.reading, output),
        Some(place) => base::of_place(place, &args.reading, global, output).map(Some),
    }
}

/// Refuses an artifact of a file that is not all that is verified.
fn refuse_selected(places: &[Location]) -> Result<(), Problem> {
    let Some(place) = places.iter().find(|place| place.selector.is_some()) else { return Ok(()) };
    let text = format!("`{place}` selects an artifact, but several files are verified as a whole");
    Err(Problem::new(Exit::Usage, text).hint(format!("write `{}`", shell::word(place.whole()))))
}

/// Opens the layout, or the files of a bundle; one that is damaged itself is a difference.
fn open(args: &Verify) -> Result<OpenFiles, Problem> {
    let registries = Registries::reading(&args.reading);
    OpenFiles::open_unbelieving(&args.places, &args.reading, &registries).map_err(|problem| {
        if problem.is_damage { problem.because(Exit::Difference) } else { problem }
    })
}

fn document(
    plan: &Plan<'_>,
    report: &Report,
    orphaned: &[Digest],
    record: Option<&Record>,
    differences: &[Difference],
) -> Document {
    let failures = || plan.failures().iter().chain(&report.failures);
    let those = |is: fn(&Error) -> bool| {
        let subjects: BTreeSet<_> =
            failures().filter(|failure| is(&failure.error)).map(|f| f.subject.clone()).collect();
        subjects.into_iter().collect()
    };
    let repairs = record.and_then(|record| record.repairs.as_ref()).map(ToString::to_string);
    Document {
        roots: if repairs.is_some() {
            Vec::new()
        } else {
            report.roots.iter().map(Into::into).collect()
        },
        checked: report.moved,
        bytes: report.bytes,
        missing: those(Error::is_not_found),
        damaged: those(|error| !error.is_not_found() && !error.is_unanswered()),
        unchecked: those(Error::is_unanswered),
        orphaned: orphaned.iter().map(ToString::to_string).collect(),
        left_out: left_out(plan, record),
        bundle: record.map(|record| record.id().to_string()),
        name: record.and_then(|record| Some(record.name.as_ref()?.to_string())),
        sequence: record.and_then(|record| Some(record.sequence?.number())),
        repairs,
        assumed: record.filter(|record| record.base.is_some()).map(|record| ContentAmount {
            blobs: record.assumed().len() as u64,
            bytes: record.assumed().iter().map(|blob| blob.size).sum(),
        }),
        base_missing: None,
        volumes: None,
        differences: differences.iter().map(ToString::to_string).collect(),
        unverified: report.unverified.iter().map(ToString::to_string).collect(),
        failures: failures().map(Into::into).collect(),
    }
}

/// Returns what was left out: as the record has it, and what it does not know.
fn left_out(plan: &Plan<'_>, record: Option<&Record>) -> Vec<LeftBehind> {
    let recorded = record.map(|record| &record.left_out[..]).unwrap_or_default();
    let known: HashSet<&Digest> = recorded.iter().filter_map(|left| left.digest.as_ref()).collect();
    let others = plan.left_out().iter().filter(|left| {
        let (LeftOut::Absent(entry) | LeftOut::Filtered(entry)) = left;
        !known.contains(&entry.digest)
    });
    recorded.iter().cloned().chain(others.map(report::left_behind)).collect()
}

fn text(
    document: &Document,
    record: Option<&Record>,
    orphaned: &[Digest],
    begun: Instant,
) -> String {
    let mut lines = String::new();
    let Document { missing, damaged, unchecked, .. } = document;
    let found = [("missing", missing), ("damaged", damaged), ("unchecked", unchecked)];
    for (what, all) in found {
        lines.extend(all.iter().map(|of| format!("{what:<9} {}\n", printable_line(of))));
    }
    lines.extend(orphaned.iter().map(|digest| format!("orphaned  {digest}\n")));
    let left_out = document.left_out.iter();
    lines.extend(
        left_out.map(|entry| format!("left out  {}\n", printable_line(&entry.to_string()))),
    );
    let seconds = begun.elapsed().as_secs_f64();
    let whole = missing.is_empty() && damaged.is_empty() && unchecked.is_empty();
    let of_volumes = document.volumes.as_ref();
    lines.push_str(&of_volumes.map(volumes::text).unwrap_or_default());
    let has_faults = of_volumes.is_some_and(|volumes| !volumes.faults.is_empty());
    let verdict = if whole && document.differences.is_empty() && has_faults {
        "not all volumes are there".to_owned()
    } else if whole && document.differences.is_empty() {
        "everything is there".to_owned()
    } else if whole {
        let count = human::count(document.differences.len() as u64, "difference");
        format!("{count} from `bundle.json`")
    } else {
        let unchecked = match unchecked.len() {
            0 => String::new(),
            count => format!(", {count} not checked"),
        };
        format!("{} missing, {} damaged{unchecked}", missing.len(), damaged.len())
    };
    let orphans = if orphaned.is_empty() {
        String::new()
    } else {
        format!("; {} needed by nothing", human::count(orphaned.len() as u64, "blob"))
    };
    let assumed = document.assumed.as_ref().map_or_else(String::new, |assumed| {
        let (size, count) = (Size(assumed.bytes), human::count(assumed.blobs, "blob"));
        let checked = match &document.base_missing {
            None => "--base or --against checks that".to_owned(),
            Some(absent) if absent.is_empty() => "it does".to_owned(),
            Some(absent) => format!("it lacks {}", absent.len()),
        };
        format!("the site must hold {size} in {count}: {checked}\n")
    });
    let bundle = record.map(|record| format!("bundle {}\n", bundle::identity(record)));
    let repairs = document.repairs.as_ref().map_or_else(String::new, |id| {
        format!("it holds only what was missing for the bundle {id}: import both together\n")
    });
    format!(
        "{lines}{verdict}: {}, {} verified, {} in {seconds:.1} s{orphans}\n",
        human::count(document.roots.len() as u64, "root"),
        human::count(document.checked, "blob"),
        Size(document.bytes),
    ) + &assumed
        + &bundle.unwrap_or_default()
        + &repairs
}
