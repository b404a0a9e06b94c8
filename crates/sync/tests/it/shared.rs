//! Several repositories of one registry, and targets that have what is wanted.

use std::collections::BTreeMap;
use std::sync::Mutex;

use longshore_fixture::{Content, Draft, graph};
use longshore_spec::{Descriptor, Digest, Manifest, RepositoryName, Role};
use longshore_store::{
    Blob, Entry, Error, Held, Memory, MountSource, Name, Place, Pushed, Result, Source as _,
    SourcePlace as _, Target,
};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Report, RootRequest, Silent, Unchanged};

use crate::support::{Shelf, closure, named, with_referrers};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Blob,
    Manifest,
}

/// How often what was sent.
type Sent = BTreeMap<(Kind, Digest), u32>;

/// One repository of a registry, which counts what it is asked and sent.
#[derive(Debug)]
struct Counted<'a> {
    memory: &'a Memory,
    name: RepositoryName,
    sent: &'a Mutex<Sent>,
    asked: Mutex<u32>,
    /// What it refuses, wherever that comes from.
    refused: Option<Digest>,
}

impl<'a> Counted<'a> {
    fn new(memory: &'a Memory, name: &str, sent: &'a Mutex<Sent>) -> Self {
        let name = name.parse().unwrap();
        Self { memory, name, sent, asked: Mutex::default(), refused: None }
    }

    fn repository(&self) -> Box<dyn longshore_store::Repository + 'a> {
        self.memory.repository(&self.name).unwrap()
    }

    fn asked(&self) -> u32 {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn note(&self, kind: Kind, digest: &Digest) {
        *self.sent.lock().unwrap().entry((kind, digest.clone())).or_default() += 1;
    }
}

impl Target for Counted<'_> {
    fn held(&self, descriptor: &Descriptor, role: Role) -> Result<Held> {
        *self.asked.lock().unwrap() += 1;
        let is_here = match role {
            Role::Manifest => self.repository().held(descriptor, role)? == Held::Whole,
            _ => self.repository().blob(&descriptor.digest).is_ok(),
        };
        Ok(if is_here { Held::Whole } else { Held::Nothing })
    }

    fn lists(&self, manifest: &Descriptor, names: &[Name]) -> Result<bool> {
        *self.asked.lock().unwrap() += 1;
        self.repository().lists(manifest, names)
    }

    fn offers(&self) -> Option<MountSource> {
        let registry = "registry.example.invalid".to_owned();
        Some(MountSource { registry, repository: self.name.clone() })
    }

    fn push_blob(&self, blob: &dyn Blob) -> Result<Pushed> {
        let digest = &blob.descriptor().digest;
        if self.refused.as_ref() == Some(digest) {
            return Err(Error::unsupported("it", "refuses"));
        }
        if let Some(from) = blob.location() {
            self.memory.source(&from.repository)?.blob(digest).expect("it lies where it says");
            self.memory.adopt(&self.name, blob.descriptor())?;
            return Ok(Pushed::Mounted);
        }
        self.note(Kind::Blob, digest);
        self.repository().push_blob(blob)
    }

    fn push_manifest(&self, manifest: &Manifest, entry: Entry<'_>) -> Result<Pushed> {
        self.note(Kind::Manifest, &manifest.descriptor().digest);
        self.repository().push_manifest(manifest, entry)
    }

    fn list(&self, descriptor: &Descriptor, names: &[Name]) -> Result<()> {
        self.repository().list(descriptor, names)
    }
}

/// Wants everything that `source` lists in each of `targets`.
fn copy(source: &Shelf, place: &Memory, targets: &[&Counted<'_>], filter: &Filter) -> Report {
    let wanted = targets.iter().flat_map(|target| source.wanted(Some(*target)));
    let plan = Plan::discover(wanted.collect(), filter, 8).seal();
    plan.execute(place, 8, &Silent).expect("a plan that can be begun")
}

#[test]
fn e60_what_several_repositories_want_is_sent_to_one_of_them() {
    for seed in 0..20 {
        let source = Shelf::new(graph(seed, 20));
        let (memory, sent) = (Memory::new(), Mutex::default());
        let targets = ["one", "two", "three"].map(|name| Counted::new(&memory, name, &sent));
        let [one, two, three] = &targets;
        assert!(copy(&source, &memory, &[one, two, three], &Filter::default()).is_complete());
        for ((kind, digest), times) in &*sent.lock().unwrap() {
            assert!(*kind == Kind::Manifest || *times == 1, "{digest} was sent {times} times");
        }
        for target in &targets {
            let reached = source.content.entries.iter().flat_map(|it| closure(&source.content, it));
            for digest in reached.filter(|digest| source.content.blobs.contains_key(digest)) {
                let repository = target.repository();
                let is_here = repository.blob(&digest).is_ok()
                    || repository.head(&digest.clone().into()).is_ok();
                assert!(is_here, "{digest} in {}", target.name);
            }
        }
    }
}

#[test]
fn what_one_repository_refuses_another_gets_all_the_same() {
    let source = Shelf::of(|content| {
        let layer = content.blob("application/octet-stream", "layer");
        let config = content.empty();
        content.manifest(&Draft::image(&config, &[layer]))
    });
    let (memory, sent) = (Memory::new(), Mutex::default());
    let mut one = Counted::new(&memory, "one", &sent);
    let two = Counted::new(&memory, "two", &sent);
    one.refused = Some(Digest::sha256("layer"));
    let report = copy(&source, &memory, &[&one, &two], &Filter::default());
    assert_eq!(named(&report, Outcome::Done), ["app"]);
    assert_eq!(named(&report, Outcome::Failed), ["app"]);
    assert_eq!(two.repository().names().unwrap(), [Name::from("app")]);
    assert!(one.repository().names().unwrap().is_empty());
}

#[test]
fn an_equal_digest_is_trusted_only_where_asked_to() {
    let source = Shelf::of(|content| {
        let layer = content.blob("application/octet-stream", "layer");
        let config = content.empty();
        content.manifest(&Draft::image(&config, &[layer]))
    });
    let (memory, sent) = (Memory::new(), Mutex::default());
    let target = Counted::new(&memory, "one", &sent);
    let digest = Filter { unchanged: Unchanged::Digest, ..Filter::default() };
    assert!(copy(&source, &memory, &[&target], &digest).is_complete());
    assert_eq!(sent.lock().unwrap().len(), 3);
    sent.lock().unwrap().clear();
    target.asked();

    let report = copy(&source, &memory, &[&target], &digest);
    assert_eq!(
        (named(&report, Outcome::Done), report.moved, report.existed),
        (vec!["app".to_owned()], 0, 1)
    );
    assert_eq!((target.asked(), sent.lock().unwrap().len()), (1, 0));
    copy(&source, &memory, &[&target], &Filter::default());
    assert_eq!(target.asked(), 2, "the blobs are asked for");

    // Under another name it is to be named, and nothing else is to be sent.
    let mut wanted = source.wanted(Some(&target));
    let again = wanted[0].clone();
    wanted.push(CopyItem { names: vec![Name::from("other")], ..again });
    let plan = Plan::discover(wanted, &digest, 1).seal();
    sent.lock().unwrap().clear();
    assert!(plan.execute(&memory, 1, &Silent).unwrap().is_complete());
    assert_eq!(sent.lock().unwrap().len(), 1);
    assert_eq!(target.repository().names().unwrap(), [Name::from("app"), Name::from("other")]);
}

#[test]
fn a_new_referrer_of_something_that_is_trusted_is_taken() {
    let mut content = Content::new();
    let config = content.empty();
    let layer = content.blob("application/octet-stream", "layer");
    let image = content.manifest(&Draft::image(&config, &[layer]));
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    content.tag(&index, "app");
    let before = Shelf::new(content.clone());
    let signature =
        content.manifest(&Draft::artifact("application/x-signature", &[config]).subject(&image));
    let after = Shelf::new(content);

    let (memory, sent) = (Memory::new(), Mutex::default());
    let target = Counted::new(&memory, "one", &sent);
    let filter = Filter { unchanged: Unchanged::Digest, ..with_referrers() };
    assert!(copy(&before, &memory, &[&target], &filter).is_complete());
    sent.lock().unwrap().clear();
    let request = RootRequest::Listed(index);
    let names = vec![Name::from("app")];
    let wanted =
        vec![CopyItem { source: &after, request, target: Some(&target), names, filter: None }];
    let plan = Plan::discover(wanted, &filter, 2).seal();
    assert!(plan.execute(&memory, 2, &Silent).unwrap().is_complete());
    let sent: Vec<_> = sent.lock().unwrap().keys().cloned().collect();
    assert_eq!(sent, [(Kind::Manifest, signature.digest)]);
}

#[test]
fn what_is_trusted_for_one_root_is_not_for_another() {
    let mut content = Content::new();
    let config = content.empty();
    let layer = content.blob("application/octet-stream", "layer");
    let image = content.manifest(&Draft::image(&config, std::slice::from_ref(&layer)));
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    let other = content.manifest(&Draft::index(&[image.clone(), image.clone()]));
    content.tag(&index, "app");
    let source = Shelf::new(content);
    let manifest = source.child(&index).unwrap();
    let filter = Filter { unchanged: Unchanged::Digest, ..with_referrers() };
    for (wanted, is_first) in [(&other, true), (&other, false), (&image, true), (&image, false)] {
        let (memory, sent) = (Memory::new(), Mutex::default());
        let target = Counted::new(&memory, "one", &sent);
        // It holds the index of an earlier copy, which left its entries out.
        target.repository().push_manifest(&manifest, Entry::Root(&["app".into()])).unwrap();
        let want = |descriptor: &Descriptor, name: &str| CopyItem {
            source: &source,
            request: RootRequest::Listed(descriptor.clone()),
            target: Some(&target as &dyn Target),
            names: vec![name.into()],
            filter: None,
        };
        let mut both = vec![want(&index, "app"), want(wanted, "new")];
        if is_first {
            both.reverse();
        }
        let plan = Plan::discover(both, &filter, 1).seal();
        assert!(plan.execute(&memory, 1, &Silent).unwrap().is_complete());
        assert!(target.repository().blob(&layer.digest).is_ok(), "{}", wanted.digest);
    }
}
