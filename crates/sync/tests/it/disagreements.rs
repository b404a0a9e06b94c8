//! Descriptors that disagree on one digest.

use std::collections::BTreeSet;

use longshore_fixture::{Content, Draft, graph};
use longshore_layout::{Archive, ArchiveOptions, Directory};
use longshore_spec::{Descriptor, Digest, Manifest, MediaType};
use longshore_store::{Name, Order, Source, Target};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Report, RootRequest, SealedPlan, Silent};
use proptest::prelude::*;

use crate::places::{archive, pipe, write};
use crate::support::{Shelf, Watched, closure, name, named, texts};

const JOBS: [usize; 3] = [1, 2, 16];

/// Returns the digests that `content` leads to.
fn all(content: &Content) -> Vec<Digest> {
    let all = content.entries.iter().flat_map(|entry| closure(content, entry));
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns a graph in which one more image has one of its blobs with a wrong size, and its digest and
/// the right size. That image comes first or last.
fn with_a_lie(seed: u64, size: usize, at: usize, lie: usize, is_first: bool) -> (Shelf, Digest) {
    let mut content = graph(seed, size);
    let digests = all(&content);
    let digest = digests[at % digests.len()].clone();
    let length = content.blobs[&digest].len() as u64;
    let lies = [0, 1, length / 2, length.saturating_sub(1), length + 1, 1 << 40, u64::MAX];
    let wrong = lies[lie % lies.len()];
    let wrong = if wrong == length { length + 7 } else { wrong };
    let layer = |size| Descriptor::new("application/octet-stream", digest.clone(), size);
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let right = content.manifest(&Draft::image(&config, &[layer(length)]));
    let both = [layer(length), layer(wrong)];
    let layers = if lie.is_multiple_of(2) { &both[..] } else { &both[1..] };
    let wrong = content.manifest(&Draft::image(&config, layers));
    content.tag(&right, "right");
    content.tag(&wrong, "wrong");
    if is_first {
        content.entries.rotate_right(1);
    }
    (Shelf::new(content), digest)
}

/// Returns a graph in which one manifest is listed under several types, and its digest.
fn with_types(seed: u64, size: usize, at: usize, is_first: bool) -> Shelf {
    let mut content = graph(seed, size);
    let is_manifest = |digest: &Digest| Manifest::media_type_of(&content.blobs[digest]).is_ok();
    let digests: Vec<_> = all(&content).into_iter().filter(is_manifest).collect();
    let digest = digests[at % digests.len()].clone();
    let length = content.blobs[&digest].len() as u64;
    let of_type = |media_type: &str| Descriptor::new(media_type, digest.clone(), length);
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let octets = of_type("application/octet-stream");
    let own = Manifest::media_type_of(&content.blobs[&digest]).unwrap();
    let layers = [octets.clone(), of_type(own.as_str()), of_type(MediaType::LAYER_TAR)];
    let image = content.manifest(&Draft::image(&config, &layers));
    let index = content.manifest(&Draft::index(&[octets.clone(), of_type(own.as_str())]));
    let other = content.manifest(&Draft::index(std::slice::from_ref(&octets)));
    for (descriptor, name) in
        [(image, "layer"), (index, "entry"), (other, "other"), (octets, "root")]
    {
        content.tag(&descriptor, name);
    }
    if is_first {
        content.entries.reverse();
    }
    Shelf::new(content)
}

fn discover<'a>(source: &'a Shelf, target: Option<&'a dyn Target>, jobs: usize) -> SealedPlan<'a> {
    Plan::discover(source.wanted(target), &Filter::default(), jobs).seal()
}

/// Checks that exactly the root `wrong` failed, for one reason that names the digest.
fn check(source: &Shelf, plan: &Plan<'_>, report: &Report, digest: &Digest) {
    for (entry, root) in source.content.entries.iter().zip(&report.roots) {
        let is_wrong = name(entry) == Some("wrong".into());
        let expected = if is_wrong { Outcome::Failed } else { Outcome::Done };
        assert_eq!(root.outcome, expected, "{entry:?}");
    }
    let told = texts(plan.failures());
    assert!(told.len() == 1 && told[0].contains(&digest.to_string()), "{told:?}");
    assert!(told[0].contains("its size is"), "{told:?}");
    assert!(report.failures.is_empty(), "{:?}", texts(&report.failures));
}

/// Checks that all that a layout lists is there, and returns what it is called.
fn verified(whole: &dyn Source) -> BTreeSet<Name> {
    let wanted = whole.roots().unwrap().into_iter().map(|root| CopyItem {
        source: whole,
        request: RootRequest::Listed(root.descriptor),
        target: None,
        names: root.names,
        filter: None,
    });
    let plan = Plan::discover(wanted.collect(), &Filter::default(), 2).seal();
    let report = plan.verify(2, &Silent);
    assert!(plan.failures().is_empty() && report.is_complete(), "{:?}", texts(plan.failures()));
    whole.names().unwrap().into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn b05_a_wrong_size_fails_its_own_root_and_no_other(
        seed: u64, size in 1_usize..12, at: usize, lie: usize, is_first: bool, jobs in 0..JOBS.len(),
    ) {
        let (source, digest) = with_a_lie(seed, size, at, lie, is_first);
        let jobs = JOBS[jobs];
        let expected: BTreeSet<Name> =
            source.content.entries.iter().filter_map(name).filter(|name| *name != "wrong".into()).collect();
        for order in [Order::LargestFirst, Order::Outline] {
            let target = Watched::new(order);
            let plan = discover(&source, Some(&target), jobs);
            let report = plan.execute(&target, jobs, &Silent).unwrap();
            check(&source, &plan, &report, &digest);
            prop_assert_eq!(target.names(), expected.clone());
        }
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path().join("layout")).unwrap();
        let whole = layout.whole();
        let plan = discover(&source, Some(&whole), jobs);
        let report = plan.execute(&layout, jobs, &Silent).unwrap();
        check(&source, &plan, &report, &digest);
        prop_assert_eq!(verified(&whole), expected.clone());

        let path = directory.path().join("a.tar");
        let written = archive(&source, &path, jobs);
        prop_assert!(written == archive(&source, &path, 1) && written == pipe(&source, 1));
        let read = Archive::open(&path, &ArchiveOptions::default()).unwrap();
        prop_assert_eq!(verified(&read.whole()), expected);
    }

    #[test]
    fn b32_each_reference_is_taken_by_its_own_type_and_content_is_stored_once(
        seed: u64, size in 1_usize..12, at: usize, is_first: bool, jobs in 0..JOBS.len(),
    ) {
        let source = with_types(seed, size, at, is_first);
        let jobs = JOBS[jobs];
        let expected: BTreeSet<Name> = source.content.entries.iter().filter_map(name).collect();
        let target = Watched::new(Order::LargestFirst);
        let plan = discover(&source, Some(&target), jobs);
        prop_assert!(plan.failures().is_empty(), "{:?}", texts(plan.failures()));

        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path().join("layout")).unwrap();
        write(&source, &layout, &layout.whole(), jobs);
        prop_assert_eq!(verified(&layout.whole()), expected.clone());
        let path = directory.path().join("a.tar");
        let written = archive(&source, &path, jobs);
        prop_assert!(written == archive(&source, &path, 1) && written == pipe(&source, 1));
        let read = Archive::open(&path, &ArchiveOptions::default()).unwrap();
        prop_assert_eq!(verified(&read.whole()), expected);
    }
}

#[test]
fn content_that_is_said_to_be_huge_does_not_make_a_place_refuse_the_rest() {
    let mut content = Content::new();
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let layer = content.blob(MediaType::LAYER_TAR, &b"layer"[..]);
    let good = content.manifest(&Draft::image(&config, &[]));
    let bad = content.manifest(&Draft::image(&config, &[Descriptor { size: 1 << 60, ..layer }]));
    content.tag(&good, "good");
    content.tag(&bad, "bad");
    let source = Shelf::new(content);
    let mut target = Watched::new(Order::LargestFirst);
    target.room = 1 << 20;
    let plan = discover(&source, Some(&target), 1);
    let report = plan.execute(&target, 1, &Silent).unwrap();
    assert_eq!(named(&report, Outcome::Done), ["good"]);
    assert_eq!(named(&report, Outcome::Failed), ["bad"]);
}

#[test]
fn what_a_wrong_size_belongs_to_is_not_garbage() {
    let mut content = Content::new();
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let layer = content.blob(MediaType::LAYER_TAR, &b"layer"[..]);
    let digest = layer.digest.clone();
    let lie = Descriptor { size: 7, ..layer.clone() };
    let wrong = content.manifest(&Draft::image(&config, &[layer, lie]));
    content.tag(&wrong, "wrong");
    let directory = tempfile::tempdir().unwrap();
    content.tree().write(directory.path()).unwrap();
    let layout = Directory::open(directory.path()).unwrap();
    let needed = longshore_sync::reachable(&layout.whole(), 1).unwrap().unwrap();
    assert!(needed.contains(&digest) && needed.contains(&wrong.digest));
}
