//! Many names of one manifest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use std::{iter, num::NonZeroUsize};

use longshore_fixture::{Content, artifacts};
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role};
use longshore_store::{
    Blob, ConnectionFailure, Entry, Error, Held, Memory, Name, Place, Pushed, Reader, Referrers,
    Refusal, Repository, Result, Selector, Source, Target, TargetPlace,
};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Platforms, Report, Silent};

use crate::support::{Shelf, named};

const NAMES: usize = 41;

/// How long a push waits for another one beside it before it goes on alone.
const PATIENCE: Duration = Duration::from_secs(20);

/// A target in which each name takes a request of its own.
#[derive(Debug)]
struct Tags {
    memory: Memory,
    at_once: usize,
    /// Names that it does not give.
    refused: Vec<Name>,
    /// After so many pushes it is gone.
    lost_after: usize,
    pushes: AtomicUsize,
    /// How many pushes are under way, and how many were at once.
    busy: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Tags {
    fn new(at_once: usize, refused: &[&str]) -> Self {
        Self {
            memory: Memory::default(),
            at_once,
            refused: refused.iter().map(|name| Name::from(*name)).collect(),
            lost_after: usize::MAX,
            pushes: AtomicUsize::new(0),
            busy: Mutex::new((0, 0)),
            changed: Condvar::new(),
        }
    }

    fn repository(&self) -> Box<dyn Repository + '_> {
        self.memory.repository(&"app".parse().unwrap()).unwrap()
    }
}

impl TargetPlace for Tags {
    fn target(&self, name: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        self.memory.target(name)
    }
}

impl Target for Tags {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        self.repository().held(descriptor, role)
    }

    fn names_at_once(&self, _: &Manifest) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.at_once)
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        self.repository().push_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        let Entry::Root(names) = entry else { panic!("there are roots only") };
        assert!(names.len() <= self.at_once);
        let before = self.pushes.fetch_add(1, Ordering::Relaxed);
        let is_first = before == 0;
        let mut busy = self.busy.lock().unwrap();
        busy.0 += 1;
        busy.1 = busy.1.max(busy.0);
        self.changed.notify_all();
        if !is_first {
            busy = self.changed.wait_timeout_while(busy, PATIENCE, |busy| busy.1 < 2).unwrap().0;
        }
        busy.0 -= 1;
        drop(busy);
        if before >= self.lost_after {
            return Err(Error::unreachable("here", ConnectionFailure::Refused { port: None }));
        }
        if names.iter().any(|name| self.refused.contains(name)) {
            let said = Box::new(Refusal::of_status(409));
            let (what, place) = ((&manifest.descriptor().digest).into(), "here".to_owned());
            return Err(Error::Refused { action: "push", what, place, said });
        }
        self.repository().push_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.repository().list(descriptor, names)
    }
}

fn names() -> Vec<String> {
    (0..NAMES).map(|number| format!("v{number:02}")).collect()
}

/// Returns an image under many names, each an entry of its own.
fn many() -> Shelf {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    for name in names() {
        content.tag(&image, &name);
    }
    Shelf::new(content)
}

fn copy(source: &Shelf, target: &Tags) -> Report {
    let plan = Plan::discover(source.wanted(Some(target)), &Filter::default(), 4).seal();
    plan.execute(target, 4, &Silent).unwrap()
}

fn there(target: &Tags) -> Vec<String> {
    target.repository().names().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_given_at_once_and_the_first_brings_the_content() {
    let target = Tags::new(1, &[]);
    let report = copy(&many(), &target);
    assert!(report.is_complete());
    assert_eq!(there(&target), names());
    assert_eq!(target.pushes.into_inner(), NAMES);
    assert!(target.busy.into_inner().unwrap().1 > 1, "one after the other");
    assert_eq!(report.moved, 3 + 1, "three blobs of an image and its manifest, once");
}

#[test]
fn a_name_that_is_refused_costs_no_other() {
    for refused in [&["v00"][..], &["v40"], &["v00", "v17", "v40"]] {
        let target = Tags::new(1, refused);
        let report = copy(&many(), &target);
        let left: Vec<_> =
            names().into_iter().filter(|name| !refused.contains(&name.as_str())).collect();
        assert_eq!(there(&target), left);
        assert_eq!(named(&report, Outcome::Done), left);
        assert_eq!(named(&report, Outcome::Failed), refused);
        let told: Vec<_> = report.failures.iter().map(|failure| &failure.subject).collect();
        assert_eq!(told, refused);
    }
}

#[test]
fn where_the_host_is_lost_other_names_are_not_tried() {
    const TAKEN: usize = 5;
    const JOBS: usize = 4;
    let target = Tags { lost_after: TAKEN, ..Tags::new(1, &[]) };
    let report = copy(&many(), &target);
    assert!(!report.is_complete());
    assert_eq!(there(&target).len(), TAKEN);
    assert_eq!(named(&report, Outcome::Done), there(&target));
    assert_eq!(named(&report, Outcome::Failed).len(), NAMES - TAKEN);
    assert!((1..=JOBS).contains(&report.failures.len()), "{:?}", report.failures);
    let pushes = target.pushes.into_inner();
    assert!((TAKEN + 1..=TAKEN + JOBS).contains(&pushes), "{pushes}");
}

#[test]
fn of_names_that_are_refused_together_each_is_tried_alone() {
    let mut source = many();
    let image = source.content.entries[0].clone();
    source.content.entries.truncate(1);
    let target = Tags::new(10, &["v17"]);
    let names_of: Vec<Name> = names().iter().map(|name| Name::from(name.as_str())).collect();
    let mut wanted = source.wanted(Some(&target));
    wanted[0].names.clone_from(&names_of);
    let plan = Plan::discover(wanted, &Filter::default(), 4).seal();
    let report = plan.execute(&target, 4, &Silent).unwrap();
    let left: Vec<_> = names().into_iter().filter(|name| name != "v17").collect();
    assert_eq!(there(&target), left);
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].subject, "v17");
    assert_eq!(report.roots[0].outcome, Outcome::Failed);
    let found = target.repository().head(&Selector::Name("v40".into())).unwrap();
    assert_eq!(found.digest, image.digest);
}

#[test]
fn what_no_name_is_given_to_is_not_there() {
    let all = names();
    let target = Tags::new(1, &all.iter().map(String::as_str).collect::<Vec<_>>());
    let report = copy(&many(), &target);
    assert_eq!(named(&report, Outcome::Failed), all);
    assert_eq!(report.failures.len(), NAMES);
}

/// A source that counts how often a manifest is asked for.
#[derive(Debug)]
struct Counted(Shelf, AtomicUsize);

impl Source for Counted {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        self.0.head(selector)
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.manifest(selector)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.0.open(blob, offset)
    }

    fn names(&self) -> Result<Vec<Name>> {
        self.0.names()
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        self.0.referrers(subject)
    }
}

#[test]
fn content_of_many_names_is_looked_into_once() {
    let source = Counted(many(), AtomicUsize::new(0));
    let wanted = source.0.wanted(None);
    let wanted = wanted.into_iter().map(|wanted| CopyItem { source: &source, ..wanted });
    let plan = Plan::discover(wanted.collect(), &Filter::default(), 4).seal();
    assert_eq!(source.1.load(Ordering::Relaxed), 1);
    for (root, entry) in iter::zip(plan.roots(), &source.0.content.entries) {
        assert_eq!(root.outcome, Outcome::Done);
        assert_eq!(root.descriptor.as_ref(), Some(entry), "each has what its entry said");
        assert_eq!(root.artifact_type.as_deref(), Some("oci-image"));
        assert_eq!(root.origin(), Some(&entry.digest));
    }
}

#[test]
fn what_is_chosen_within_is_chosen_for_each_name() {
    let mut content = Content::new();
    let index = artifacts::multi_platform(&mut content, 1);
    for name in ["a", "b"] {
        content.tag(&index, name);
    }
    let source = Shelf::new(content);
    let platforms = Platforms::One("linux/amd64".parse().unwrap());
    let filter = Filter { platforms, ..Filter::default() };
    let roots = Plan::discover(source.wanted(None), &filter, 4).seal().roots();
    assert_eq!(roots.len(), 2);
    for root in roots {
        assert_eq!(root.origin(), Some(&index.digest));
        assert_ne!(root.descriptor.as_ref().unwrap().digest, index.digest);
    }
}
