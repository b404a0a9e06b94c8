//! Making the record of a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use longshore_spec::{Descriptor, Digest};
use longshore_store::{Outline, OutlineNode};
use longshore_sync::{LeftOut, Outcome, Plan, Referring, RootReport, SealedPlan};
use serde_json::{Value, json};

use super::{
    COMPLETE, DELTA, LeftBehind, ReadAs, Record, RecordedBlob, RecordedReferrer, RecordedRoot, Why,
};
use crate::tags::unanchored;
use crate::{Choice, Item, Selection, SparseIndex, TagRules};

impl Record {
    /// Returns the record of a plan that takes `selection`, and of what had to be `dropped` from it. It
    /// depends on what is wanted and what is there, not on the order or on who asked.
    pub fn of(plan: &SealedPlan<'_>, selection: &Selection, dropped: &[LeftBehind]) -> Self {
        let (reports, outline) = (plan.roots(), plan.outline());
        Self {
            base: None,
            format_version: COMPLETE,
            roots: roots(plan, &reports),
            referrers: referrers(&reports),
            selection: selection_values(selection).into(),
            docker_manifest: None,
            repairs: None,
            left_out: left_out(plan, &outline, &reports, dropped),
            blobs: blobs(outline.nodes()),
            read_as: ReadAs::default(),
        }
    }

    /// Returns the record of content that was missing for another bundle. It depends on nothing else.
    pub(crate) fn of_repair(bundle: &Digest, carried: &[OutlineNode]) -> Self {
        Self {
            base: None,
            format_version: DELTA,
            roots: Vec::new(),
            referrers: Vec::new(),
            selection: Vec::new().into(),
            docker_manifest: None,
            repairs: Some(bundle.clone()),
            left_out: Vec::new(),
            blobs: blobs(carried),
            read_as: ReadAs::default(),
        }
    }
}

impl LeftBehind {
    /// Says that something could not be had: a reference, or a root that was dropped from a plan.
    pub fn failed(reference: Option<String>, root: Option<&RootReport>) -> Self {
        // What was wanted is known by its name; what it would be may have changed meanwhile.
        let referrer = root.filter(|root| root.subject.is_some());
        let descriptor = referrer.and_then(|root| root.descriptor.as_ref());
        Self {
            why: Why::Failed,
            reference,
            digest: descriptor.map(|descriptor| descriptor.digest.clone()),
            platform: None,
        }
    }
}

/// Returns a selection as `bundle.yaml` would say it, sorted.
pub(crate) fn selection_values(selection: &Selection) -> Vec<Value> {
    let mut asked: Vec<Value> = selection.items.iter().map(item_value).collect();
    asked.sort_by_cached_key(Value::to_string);
    asked.dedup();
    asked
}

/// Returns pieces of content as a record says them.
pub(super) fn blobs(nodes: &[OutlineNode]) -> Vec<RecordedBlob> {
    let blob = |node: &OutlineNode| RecordedBlob {
        digest: node.digest.clone(),
        size: node.size,
        role: node.role,
    };
    nodes.iter().map(blob).collect()
}

/// Returns a root for each name that something wanted is called.
fn roots(plan: &Plan<'_>, reports: &[RootReport]) -> Vec<RecordedRoot> {
    let done = |report: &RootReport| report.outcome == Outcome::Done;
    let mut by_subject: HashMap<&Digest, Vec<usize>> = HashMap::new();
    for (number, report) in reports.iter().enumerate().filter(|(_, report)| done(report)) {
        if let Some(subject) = report.subject.as_deref() {
            by_subject.entry(subject).or_default().push(number);
        }
    }
    let mut roots = BTreeMap::new();
    for (number, report) in reports.iter().enumerate() {
        let (Some(descriptor), true) = (&report.descriptor, done(report)) else { continue };
        if report.subject.is_some() {
            continue;
        }
        let platforms: BTreeSet<_> =
            report.platforms.iter().map(|(_, platform)| platform.to_string()).collect();
        let referrers = attached(plan, reports, &by_subject, number);
        for name in &report.names {
            let root = RecordedRoot {
                reference: name.to_string(),
                digest: descriptor.digest.clone(),
                media_type: descriptor.media_type.clone(),
                artifact_type: report.artifact_type.as_deref().unwrap_or_default().to_owned(),
                platforms: platforms.iter().cloned().collect(),
                referrers: referrers.clone(),
            };
            // One that is wanted twice is there with what both take of it.
            let before: Option<RecordedRoot> = roots.remove(&root.reference);
            let merged = match before {
                None => root,
                Some(before) => merge(before, root),
            };
            roots.insert(merged.reference.clone(), merged);
        }
    }
    roots.into_values().collect()
}

fn merge(one: RecordedRoot, other: RecordedRoot) -> RecordedRoot {
    let platforms: BTreeSet<_> = one.platforms.into_iter().chain(other.platforms).collect();
    let referrers: BTreeSet<_> = one.referrers.into_iter().chain(other.referrers).collect();
    let (platforms, referrers) = (platforms.into_iter().collect(), referrers.into_iter().collect());
    RecordedRoot { platforms, referrers, ..other }
}

/// Returns what refers to anything in a root, and what refers to that, sorted.
fn attached(
    plan: &Plan<'_>,
    reports: &[RootReport],
    by_subject: &HashMap<&Digest, Vec<usize>>,
    root: usize,
) -> Vec<Digest> {
    if by_subject.is_empty() {
        return Vec::new();
    }
    let (mut met, mut left) = (HashSet::from([root]), vec![root]);
    let mut found = BTreeSet::new();
    while let Some(number) = left.pop() {
        for subject in plan.closure(number) {
            for &referrer in by_subject.get(subject).into_iter().flatten() {
                if met.insert(referrer) {
                    left.push(referrer);
                    let descriptor = reports[referrer].descriptor.as_ref();
                    found.extend(descriptor.map(|descriptor| descriptor.digest.clone()));
                }
            }
        }
    }
    found.into_iter().collect()
}

fn referrers(reports: &[RootReport]) -> Vec<RecordedReferrer> {
    let referrer = |report: &RootReport| {
        Some(RecordedReferrer {
            digest: report.descriptor.as_ref()?.digest.clone(),
            subject: report.subject.as_deref()?.clone(),
            artifact_type: report.artifact_type.as_deref().unwrap_or_default().to_owned(),
            reference: report.names.first().map(ToString::to_string),
        })
    };
    let done = reports.iter().filter(|report| report.outcome == Outcome::Done);
    let mut referrers: Vec<_> = done.filter_map(referrer).collect();
    referrers.sort_by_cached_key(|referrer| {
        let RecordedReferrer { artifact_type, digest, reference, subject } = referrer.clone();
        (digest, subject, artifact_type, reference)
    });
    referrers.dedup();
    referrers
}

fn left_out(
    plan: &Plan<'_>,
    outline: &Outline,
    reports: &[RootReport],
    dropped: &[LeftBehind],
) -> Vec<LeftBehind> {
    let entry = |why, descriptor: &Descriptor| LeftBehind {
        why,
        reference: None,
        digest: Some(descriptor.digest.clone()),
        platform: descriptor
            .platform
            .as_deref()
            .filter(|platform| !platform.is_unknown())
            .map(ToString::to_string),
    };
    let entries = plan.left_out().iter().map(|left| match left {
        LeftOut::Absent(descriptor) => entry(Why::Absent, descriptor),
        LeftOut::Filtered(descriptor) => entry(Why::Platform, descriptor),
    });
    let skipped = reports.iter().filter(|report| report.outcome == Outcome::Skipped);
    let skipped = skipped.map(|report| LeftBehind {
        why: Why::Type,
        reference: report.names.first().map(ToString::to_string),
        digest: report.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()),
        platform: None,
    });
    // What one root leaves out another may take.
    let there: HashSet<&Digest> = outline.nodes().iter().map(|node| &node.digest).collect();
    let is_there =
        |left: &LeftBehind| left.digest.as_ref().is_some_and(|digest| there.contains(digest));
    let mut left: Vec<_> = entries
        .chain(skipped)
        .chain(dropped.iter().cloned())
        .filter(|left| !is_there(left))
        .collect();
    left.sort_by_cached_key(|left| {
        let LeftBehind { digest, platform, reference, why } = left.clone();
        (why, reference, digest, platform)
    });
    left.dedup();
    left
}

/// Returns a part of a selection as `bundle.yaml` would say it.
pub(crate) fn item_value(item: &Item) -> Value {
    let mut value = match &item.choice {
        Choice::Reference(reference) => json!({ "ref": reference }),
        Choice::Repository(repository, rules) => {
            json!({ "repository": repository, "tags": tags(rules) })
        }
        // Where a layout lies is another on each machine, and says nothing of the bundle.
        Choice::Layout(layout) => match &layout.selector {
            None => json!({ "from": "layout" }),
            Some(selector) => json!({ "from": "layout", "ref": selector.to_string() }),
        },
        Choice::References(_, rules) => json!({ "from": "layout", "tags": tags(rules) }),
    };
    let platforms: BTreeSet<_> = item.platforms.iter().map(ToString::to_string).collect();
    if !platforms.is_empty() {
        value["platforms"] = json!(platforms);
    }
    if platforms.len() != 1 && item.sparse_index == SparseIndex::Strip {
        value["sparseIndex"] = json!("strip");
    }
    let types = item.types.items();
    if !types.is_empty() {
        value["types"] = json!(types);
    }
    value["referrers"] = match &item.referrers {
        Referring::Ignored | Referring::Counted => json!("none"),
        Referring::Taken(types) if types.items().is_empty() => json!("all"),
        Referring::Taken(types) => json!({ "types": types.items() }),
    };
    value
}

fn tags(rules: &TagRules) -> Value {
    if let Some(listed) = rules.listed() {
        return json!(listed.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    let mut value = json!({});
    if let Some(regex) = &rules.regex {
        value["regex"] = json!(unanchored(regex));
    }
    if let Some(semver) = &rules.semver {
        value["semver"] = json!(semver.to_string());
    }
    if !rules.exclude.is_empty() {
        value["exclude"] = json!(rules.exclude.iter().map(unanchored).collect::<Vec<_>>());
    }
    if let Some(newest) = rules.newest {
        value["newest"] = json!(newest);
    }
    value
}
