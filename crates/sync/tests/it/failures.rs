//! What fails, and what does not.

use longshore_fixture::artifacts::{self, image_for, platform};
use longshore_fixture::{Content, Draft, Form, Tree, broken, with_platform};
use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest, MediaType};
use longshore_store::{Error, Name, Order, Root, Selector, Source as _};
use longshore_sync::{
    Action, CopyItem, Failure, Filter, LeftOut, Outcome, Plan, RootReport, RootRequest, SealedPlan,
    Side, Silent,
};

use crate::support::{Fault, Shelf, Watched, copy, named, texts, with_referrers};

fn look(source: &Shelf) -> SealedPlan<'_> {
    Plan::discover(source.wanted(None), &Filter::default(), 2).seal()
}

fn only(failures: &[Failure]) -> &Failure {
    let [failure] = failures else { panic!("one failure is expected: {failures:?}") };
    failure
}

#[test]
fn a_name_that_is_not_there_fails_its_root_only() {
    let source = Shelf::of(|content| artifacts::image(content, 1));
    let target = Watched::new(Order::LargestFirst);
    let mut wanted = source.wanted(Some(&target));
    wanted.push(CopyItem {
        request: RootRequest::Selector(Selector::Name("ap".into())),
        names: vec!["ap".into()],
        ..wanted[0].clone()
    });
    let plan = Plan::discover(wanted, &with_referrers(), 2).seal();
    let failure = only(plan.failures());
    assert_eq!(
        (failure.side, failure.action, &*failure.subject),
        (Side::Source, Action::Resolve, "ap")
    );
    let report = plan.execute(&target, 2, &Silent).unwrap();
    assert_eq!(named(&report, Outcome::Done), ["app"]);
    assert_eq!(named(&report, Outcome::Failed), ["ap"]);
    assert_eq!(report.roots[1].wanted, Some("ap".into()));
    assert_eq!(target.names(), [Name::from("app")].into());
    assert_eq!(target.committed(), [false]);
}

#[test]
fn one_name_for_two_things_is_refused_before_anything_is_written() {
    let mut content = Content::new();
    for (seed, name) in [(1, "one"), (2, "two")] {
        let image = artifacts::image(&mut content, seed);
        content.tag(&image, name);
    }
    let source = Shelf::new(content);
    let target = Watched::new(Order::LargestFirst);
    let mut wanted = source.wanted(Some(&target));
    wanted[1].names = vec!["v1".into(), "one".into()];
    let plan = Plan::discover(wanted, &Filter::default(), 2).seal();
    let failure = plan.execute(&target, 2, &Silent).unwrap_err();
    assert!(matches!(*failure.error, Error::Conflict { .. }));
    assert!(failure.to_string().starts_with("`one` would stand for both"), "{failure}");
    assert!(target.pushed().is_empty() && target.committed().is_empty());
}

#[test]
fn a_place_without_room_is_not_written_to() {
    let source = Shelf::of(|content| artifacts::image(content, 1));
    let mut target = Watched::new(Order::LargestFirst);
    target.room = 10;
    let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 2).seal();
    let failure = plan.execute(&target, 2, &Silent).unwrap_err();
    assert_eq!((failure.side, failure.action), (Side::Target, Action::Prepare));
    assert!(failure.to_string().starts_with("the target has no room"), "{failure}");
    assert!(target.pushed().is_empty() && target.committed().is_empty());
}

/// An index `app` of two images, the second with or without a platform, and the second image.
fn index_of_two(has_platform: bool) -> (Shelf, Descriptor) {
    let mut absent = None;
    let source = Shelf::of(|content| {
        let on = [platform("linux/amd64"), platform("linux/arm64")];
        let first = with_platform(image_for(content, 1, &on[0]).manifest, &on[0]);
        let mut second = image_for(content, 2, &on[1]).manifest;
        if has_platform {
            second = with_platform(second, &on[1]);
        }
        absent = Some(second.clone());
        content.manifest(&Draft::index(&[first, second]))
    });
    let absent = absent.expect("the maker ran");
    (source.with_fault(&absent.digest, Fault::Gone), absent)
}

#[test]
fn a13_an_entry_with_a_platform_may_be_absent() {
    let (source, absent) = index_of_two(true);
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &Filter::default(), 2);
    assert!(report.is_complete());
    assert!(target.content(&absent.digest).is_none(), "nothing is made up in its place");
    let plan = look(&source);
    assert_eq!(plan.left_out(), [LeftOut::Absent(absent)]);
    assert!(plan.failures().is_empty());
    assert!(plan.verify(2, &Silent).is_complete());
}

#[test]
fn an_entry_without_a_platform_may_not() {
    let (source, absent) = index_of_two(false);
    let plan = look(&source);
    let failure = only(plan.failures());
    assert_eq!(failure.subject, absent.digest.to_string());
    assert!(failure.error.is_not_found());
    assert_eq!(plan.roots()[0].outcome, Outcome::Failed);
    assert!(plan.left_out().is_empty());
}

#[test]
fn an_entry_that_one_index_may_lack_fails_the_other_alone() {
    for swapped in [false, true] {
        let mut content = Content::new();
        let on = platform("linux/amd64");
        let image = image_for(&mut content, 1, &on).manifest;
        let sparse = content.manifest(&Draft::index(&[with_platform(image.clone(), &on)]));
        let strict = content.manifest(&Draft::index(std::slice::from_ref(&image)));
        let mut roots = [("sparse", &sparse), ("strict", &strict)];
        if swapped {
            roots.reverse();
        }
        for (name, root) in roots {
            content.tag(root, name);
        }
        let source = Shelf::new(content).with_fault(&image.digest, Fault::Gone);
        let target = Watched::new(Order::LargestFirst);
        let report = copy(&source, &target, &Filter::default(), 2);
        assert_eq!(named(&report, Outcome::Done), ["sparse"]);
        assert_eq!(named(&report, Outcome::Failed), ["strict"]);
        only(look(&source).failures());
    }
}

#[test]
fn an_entry_that_one_source_lacks_may_come_as_a_root_of_another() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    content.tag(&image, "image");
    let with_image = Shelf::new(content.clone());
    content.entries.clear();
    content.tag(&index, "index");
    let without = Shelf::new(content).with_fault(&image.digest, Fault::Gone);
    for swapped in [false, true] {
        let target = Watched::new(Order::LargestFirst);
        let mut wanted = with_image.wanted(Some(&target));
        wanted.extend(without.wanted(Some(&target)));
        if swapped {
            wanted.reverse();
        }
        let plan = Plan::discover(wanted, &Filter::default(), 2).seal();
        assert!(plan.failures().is_empty(), "{:?}", texts(plan.failures()));
        let report = plan.execute(&target, 2, &Silent).unwrap();
        assert_eq!(named(&report, Outcome::Done), ["image", "index"]);
    }
}

#[test]
fn an_absent_blob_of_a_manifest_that_is_there_always_fails() {
    let mut layer = None;
    let source = Shelf::of(|content| {
        let on = platform("linux/arm64");
        let parts = image_for(content, 1, &on);
        layer = Some(parts.layers[1].digest.clone());
        content.manifest(&Draft::index(&[with_platform(parts.manifest, &on)]))
    });
    let layer = layer.expect("the maker ran");
    let source = source.with_fault(&layer, Fault::Gone);
    let report = copy(&source, &Watched::new(Order::LargestFirst), &Filter::default(), 2);
    let failure = only(&report.failures);
    assert_eq!((failure.side, failure.action), (Side::Source, Action::Copy));
    assert_eq!(failure.subject, layer.to_string());
    assert_eq!(report.roots[0].outcome, Outcome::Failed);
}

#[test]
fn manifests_that_cannot_be_read_are_named_with_the_reason() {
    for (name, words) in [
        ("layout-schema1", "Docker schema 1"),
        ("layout-ambiguous-manifest", "an index and an image at once"),
        ("layout-manifest-not-json", "cannot be read as a manifest: EOF"),
        ("layout-manifest-without-config", "has no `config`"),
        ("layout-entry-wrong-size", "its size is"),
        ("layout-bad-digest-manifest", "hashes to"),
        ("layout-missing-manifest", "is not in"),
        ("layout-deep-nesting", "64 levels"),
    ] {
        let fixture = broken::all().into_iter().find(|fixture| fixture.name == name).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::open(fixture.write(directory.path()).unwrap()).unwrap();
        let view = layout.whole();
        let roots = view.roots().unwrap().into_iter();
        let wanted = roots.map(|Root { descriptor, names }| CopyItem {
            source: &view,
            request: RootRequest::Listed(descriptor),
            target: None,
            names,
            filter: None,
        });
        let plan = Plan::discover(wanted.collect(), &Filter::default(), 2).seal();
        let [RootReport { outcome: Outcome::Failed, .. }] = plan.roots()[..] else {
            panic!("{name}: {:?}", plan.roots())
        };
        let text = only(plan.failures()).to_string();
        assert!(text.contains(words), "{name}: {text}");
        assert!(plan.outline().nodes().is_empty());
    }
}

#[test]
fn what_is_too_deep_fails_its_root_only() {
    let mut content = Content::tagged("app", |content| artifacts::image(content, 1));
    let deep = (0..100).fold(content.entries[0].clone(), |below, level| {
        content.manifest(&Draft::index(&[below]).annotation("level", &level.to_string()))
    });
    content.tag(&deep, "deep");
    let source = Shelf::new(content);
    let report = copy(&source, &Watched::new(Order::LargestFirst), &Filter::default(), 2);
    assert_eq!(named(&report, Outcome::Done), ["app"]);
    assert_eq!(named(&report, Outcome::Failed), ["deep"]);
}

#[test]
fn a_wrong_size_fails_who_says_it_and_nobody_else() {
    // In either order, of a layer and of an entry.
    for swapped in [false, true] {
        let mut content = Content::new();
        let image = artifacts::image(&mut content, 1);
        let layer = content.blob("text/plain", &b"twelve bytes"[..]);
        let lie = |of: &Descriptor| Descriptor { size: of.size + 1, ..of.clone() };
        content.empty();
        let right = Draft::artifact("application/vnd.example.a", std::slice::from_ref(&layer));
        let wrong = Draft::artifact("application/vnd.example.a", &[lie(&layer)]);
        let mut roots = [
            ("image", image.clone()),
            ("layer-right", content.manifest(&right)),
            ("layer-wrong", content.manifest(&wrong)),
            ("entry-right", content.manifest(&Draft::index(std::slice::from_ref(&image)))),
            ("entry-wrong", content.manifest(&Draft::index(&[lie(&image)]))),
        ];
        if swapped {
            roots.reverse();
        }
        for (name, root) in &roots {
            content.tag(root, name);
        }
        let source = Shelf::new(content);
        let target = Watched::new(Order::LargestFirst);
        let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 1).seal();
        let checked = plan.verify(2, &Silent);
        assert_eq!(named(&checked, Outcome::Failed), ["entry-wrong", "layer-wrong"]);
        // Both are known before anything is copied.
        let found: Vec<_> = plan.failures().iter().map(|failure| failure.subject.clone()).collect();
        assert_eq!(found, [&image, &layer].map(|of| of.digest.to_string()));
    }
}

#[test]
fn a_lying_media_type_fails_who_says_it_and_nobody_else() {
    for swapped in [false, true] {
        let mut content = Content::new();
        let image = artifacts::image(&mut content, 1);
        let lie =
            Descriptor { media_type: MediaType::from(MediaType::IMAGE_INDEX), ..image.clone() };
        let mut roots = [("right", &image), ("wrong", &lie)];
        if swapped {
            roots.reverse();
        }
        for (name, root) in roots {
            let index = content.manifest(&Draft::index(std::slice::from_ref(root)));
            content.tag(&index, name);
        }
        let source = Shelf::new(content);
        let report = copy(&source, &Watched::new(Order::LargestFirst), &Filter::default(), 2);
        assert_eq!(named(&report, Outcome::Done), ["right"]);
        assert_eq!(named(&report, Outcome::Failed), ["wrong"]);
    }
}

#[test]
fn a38_what_cannot_be_verified_is_taken_only_if_asked_for_and_reported() {
    let source = Shelf::of(|content| artifacts::unknown_algorithm(content, 1));
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &Filter::default(), 2);
    let failure = only(&report.failures);
    assert!(matches!(*failure.error, Error::Unverifiable { .. }));
    assert_eq!(failure.side, Side::Source);
    assert!(report.unverified.is_empty() && target.names().is_empty());

    let filter = Filter { allow_unverified: true, ..Filter::default() };
    let report = copy(&source, &target, &filter, 2);
    assert!(report.is_complete(), "{:?}", texts(&report.failures));
    let [digest] = &report.unverified[..] else { panic!("{:?}", report.unverified) };
    assert_eq!(digest.algorithm(), "blake3");
    let plan = Plan::discover(source.wanted(None), &filter, 2).seal();
    assert_eq!(plan.verify(2, &Silent).unverified, report.unverified);
}

#[test]
fn a_root_that_is_reached_twice_fails_twice_and_counts_once() {
    let mut layer = None;
    let mut content = Content::new();
    let parts = image_for(&mut content, 1, &platform("linux/amd64"));
    layer.replace(parts.layers[0].digest.clone());
    let index = content.manifest(&Draft::index(std::slice::from_ref(&parts.manifest)));
    for (name, root) in [("a", &parts.manifest), ("b", &parts.manifest), ("c", &index)] {
        content.tag(root, name);
    }
    let layer: Digest = layer.expect("it was set");
    let whole = Shelf::new(content);
    let broken = whole.clone().with_fault(&layer, Fault::Cut);
    let report = copy(&broken, &Watched::new(Order::LargestFirst), &Filter::default(), 8);
    assert_eq!(named(&report, Outcome::Failed), ["a", "b", "c"]);
    only(&report.failures);

    let target = Watched::new(Order::LargestFirst);
    let report = copy(&whole, &target, &Filter::default(), 8);
    assert_eq!(report.moved, 5, "index, manifest, config and two layers");
    let size: u64 = whole.content.blobs.values().map(|raw| raw.len() as u64).sum();
    assert_eq!(report.bytes, size);
    assert_eq!(target.names().len(), 3);
}

#[test]
fn a_child_that_is_listed_twice_is_waited_for_once() {
    let source = Shelf::of(|content| {
        let layer = content.blob("text/plain", &b"twice"[..]);
        content.empty();
        let twice = [layer.clone(), layer];
        let image = content.manifest(&Draft::artifact("application/vnd.example.a", &twice));
        content.manifest(&Draft::index(&[image.clone(), image]))
    });
    for jobs in [1, 8] {
        let report = copy(&source, &Watched::new(Order::LargestFirst), &Filter::default(), jobs);
        assert!(report.is_complete());
        assert_eq!(report.moved, 4);
    }
}

#[test]
fn a_layer_that_is_a_directory_is_a_failure() {
    let fixture = |name: &str| {
        let fixture = broken::all().into_iter().find(|fixture| fixture.name == name).unwrap();
        let Form::Tree(tree) = fixture.form else { panic!("{name} is a tree") };
        tree
    };
    let trees: [Tree; 3] =
        ["layout-directory-for-blob", "layout-symlink-loop", "layout-symlink-blob"].map(fixture);
    for tree in trees {
        let directory = tempfile::tempdir().unwrap();
        tree.write(directory.path()).unwrap();
        let layout = Directory::open(directory.path()).unwrap();
        let view = layout.whole();
        let Root { descriptor, names } = view.roots().unwrap().remove(0);
        let request = RootRequest::Listed(descriptor);
        let wanted = CopyItem { source: &view, request, target: None, names, filter: None };
        let plan = Plan::discover(vec![wanted], &Filter::default(), 2).seal();
        let report = plan.verify(2, &Silent);
        assert_eq!(report.roots[0].outcome, Outcome::Failed);
        only(&report.failures);
    }
}
