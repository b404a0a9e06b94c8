//! Which roots are taken, and what content that is no manifest becomes.

use longshore_fixture::{Content, Draft, artifacts, typed, with_platform};
use longshore_layout::Directory;
use longshore_spec::{Descriptor, Manifest, MediaType, Role};
use longshore_store::{Held, Order, Source as _};
use longshore_sync::{Filter, Outcome, Plan, Platforms, Silent};

use crate::support::{Shelf, Watched, copy, named, types, with_referrers};

fn taken(source: &Shelf, items: &[&str]) -> Vec<String> {
    let target = Watched::new(Order::LargestFirst);
    let filter = Filter { types: types(items), ..Filter::default() };
    let report = copy(source, &target, &filter, 2);
    assert!(report.is_complete());
    let done = named(&report, Outcome::Done);
    let skipped = named(&report, Outcome::Skipped);
    assert_eq!(done.len() + skipped.len(), source.content.entries.len());
    let names: Vec<String> = target.names().iter().map(ToString::to_string).collect();
    assert_eq!(names, done.iter().filter(|name| *name != "-").cloned().collect::<Vec<_>>());
    done
}

#[test]
fn types_are_included_and_excluded_by_name_family_and_media_type() {
    let source = Shelf::new(typed());
    assert_eq!(taken(&source, &["helm-chart"]), ["chart"]);
    assert_eq!(taken(&source, &["chart"]), ["chart"]);
    assert_eq!(taken(&source, &["application/vnd.cncf.helm.config.v1+json"]), ["chart"]);
    assert_eq!(taken(&source, &["application/vnd.example.settings.v1"]), ["settings", "strong"]);
    let without = taken(&source, &["!chart", "!application/vnd.example.settings.v1"]);
    assert!(!without.contains(&"chart".to_owned()) && !without.contains(&"settings".to_owned()));
    assert!(without.contains(&"model".to_owned()) && without.contains(&"app".to_owned()));
}

#[test]
fn i03_an_index_without_a_type_is_what_it_holds() {
    let source = Shelf::new(typed());
    let images = ["app", "built", "legacy", "release"].map(str::to_owned);
    let found = taken(&source, &["image"]);
    assert!(images.iter().all(|name| found.contains(name)), "{found:?}");
    let found = taken(&source, &["!image"]);
    assert!(!images.iter().any(|name| found.contains(name)), "{found:?}");
    assert!(found.contains(&"chart".to_owned()));
    let found = taken(&source, &["index"]);
    assert!(images.iter().all(|name| found.contains(name)), "{found:?}");
    let found = taken(&source, &["!index"]);
    assert!(!images.iter().any(|name| found.contains(name)), "{found:?}");
    let found = taken(&source, &["attestation"]);
    assert!(!found.contains(&"built".to_owned()), "an image is not its attestation: {found:?}");
}

#[test]
fn a15_an_entry_that_is_no_manifest_is_copied_and_listed() {
    for apart in [false, true] {
        let mut content = Content::tagged("app", |content| artifacts::image(content, 1));
        let xml = content.blob("application/xml", &b"<x/>"[..]);
        content.tag(&xml, "notes");
        let source = Shelf { apart, ..Shelf::new(content) };
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path().join("layout")).unwrap();
        let target = layout.whole();
        for run in 0..2 {
            let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 2).seal();
            assert!(plan.failures().is_empty(), "{:?}", plan.failures());
            let report = plan.execute(&layout, 2, &Silent).unwrap();
            assert!(report.is_complete(), "{:?}", report.failures);
            assert_eq!(report.bytes == 0, run == 1, "the second run moves nothing");
        }
        let listed = target.head(&longshore_store::Selector::Name("notes".into())).unwrap();
        assert_eq!((&listed.digest, listed.media_type.as_str()), (&xml.digest, "application/xml"));
    }
}

#[test]
fn a15_what_cannot_list_anything_but_manifests_says_so() {
    let mut content = Content::new();
    let xml = content.blob("application/xml", &b"<x/>"[..]);
    content.tag(&xml, "notes");
    let source = Shelf::new(content);
    let report = copy(&source, &Watched::new(Order::LargestFirst), &Filter::default(), 1);
    assert_eq!(report.roots[0].outcome, Outcome::Failed);
    assert_eq!(report.failures[0].action, longshore_sync::Action::Publish);
}

#[test]
fn a15_a_filter_looks_at_the_media_type_of_what_is_no_manifest() {
    let mut content = Content::new();
    let xml = content.blob("application/xml", &b"<x/>"[..]);
    content.tag(&xml, "notes");
    let source = Shelf::new(content);
    let outcome = |items: &[&str]| {
        let filter = Filter { types: types(items), ..Filter::default() };
        Plan::discover(source.wanted(None), &filter, 1).seal().roots()[0].outcome
    };
    assert_eq!(outcome(&["application/xml"]), Outcome::Done);
    assert_eq!(outcome(&["image"]), Outcome::Skipped);
    assert_eq!(outcome(&["!application/xml"]), Outcome::Skipped);
}

#[test]
fn c22_an_entry_of_unknown_type_is_a_manifest_if_it_reads_as_one_and_else_a_blob() {
    for apart in [false, true] {
        let mut parts = Vec::new();
        let source = Shelf {
            apart,
            ..Shelf::of(|content| {
                let image = artifacts::image(content, 1);
                let xml = content.blob("application/xml", &b"<x/>"[..]);
                let mut strange = artifacts::image(content, 2);
                strange.media_type = MediaType::from("application/vnd.example.manifest");
                parts.extend([xml.clone(), strange.clone()]);
                content.manifest(&Draft::index(&[image, xml, strange]))
            })
        };
        let target = Watched::new(Order::LargestFirst);
        let report = copy(&source, &target, &Filter::default(), 2);
        assert!(report.is_complete(), "{:?}", report.failures);
        let repository = target.repository();
        let held = |descriptor: &Descriptor, role| repository.held(descriptor, role).unwrap();
        assert_eq!(held(&parts[0], Role::Manifest), Held::Nothing);
        assert_eq!(held(&parts[0], Role::Layer), Held::Whole);
        assert_eq!(held(&parts[1], Role::Manifest), Held::Whole);
        assert_eq!(copy(&source, &target, &Filter::default(), 2).bytes, 0);
    }
}

#[test]
fn a_layer_with_the_media_type_of_a_manifest_is_not_walked_into() {
    let source = Shelf::of(|content| artifacts::manifest_typed_layer(content, 1));
    let target = Watched::new(Order::LargestFirst);
    assert!(copy(&source, &target, &with_referrers(), 2).is_complete());

    // Nor if it is a whole manifest whose children are nowhere.
    let source = Shelf::of(|content| {
        let mut elsewhere = Content::new();
        let image = artifacts::image(&mut elsewhere, 2);
        let raw = elsewhere.blobs[&image.digest].clone();
        let layer = content.blob(image.media_type, raw);
        content.empty();
        content.manifest(&Draft::artifact("application/vnd.example.a", &[layer]))
    });
    let target = Watched::new(Order::LargestFirst);
    assert!(copy(&source, &target, &with_referrers(), 2).is_complete());
}

#[test]
fn one_digest_may_be_layer_and_manifest() {
    // In either order, and as a root too.
    for names in [["a", "b", "c"], ["c", "b", "a"]] {
        let mut content = Content::new();
        let image = artifacts::image(&mut content, 1);
        content.empty();
        let carrier = content
            .manifest(&Draft::artifact("application/vnd.example.a", std::slice::from_ref(&image)));
        let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
        let mut roots = [(names[0], &carrier), (names[1], &index), (names[2], &image)];
        roots.sort_by_key(|(name, _)| *name);
        for (name, root) in roots {
            content.tag(root, name);
        }
        let source = Shelf::new(content);
        for order in [Order::LargestFirst, Order::Sequence] {
            let target = Watched::new(order);
            let report = copy(&source, &target, &Filter::default(), 2);
            assert!(report.is_complete(), "{:?}", report.failures);
            let repository = target.repository();
            assert_eq!(repository.held(&image, Role::Manifest).unwrap(), Held::Whole);
            let raw = &source.content.blobs[&image.digest];
            let parsed = Manifest::parse(raw.clone(), image.clone()).unwrap();
            for (role, child) in parsed.children() {
                assert_eq!(repository.held(child, role).unwrap(), Held::Whole);
            }
        }
    }
}

#[test]
fn types_and_platforms_go_together() {
    let source = Shelf::new({
        let mut content = Content::new();
        let index = artifacts::multi_platform(&mut content, 1);
        let chart = artifacts::helm_chart(&mut content, 1);
        let mixed = [with_platform(chart.clone(), &artifacts::platform("linux/amd64"))];
        let charts = content.manifest(&Draft::index(&mixed));
        content.tag(&index, "app");
        content.tag(&charts, "charts");
        content
    });
    let platforms = Platforms::One("linux/amd64".parse().unwrap());
    let filter = Filter { types: types(&["chart"]), platforms, ..Filter::default() };
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &filter, 2);
    assert_eq!(named(&report, Outcome::Done), ["charts"]);
    assert_eq!(report.roots[1].artifact_type.as_deref(), Some("helm-chart"));
}

#[test]
fn content_has_one_role_whichever_manifest_comes_first() {
    let mut content = Content::new();
    let both = content.empty();
    let other = content.blob("application/octet-stream", "config");
    let as_layer = content.manifest(&Draft::image(&other, std::slice::from_ref(&both)));
    let as_config = content.manifest(&Draft::image(&both, &[]));
    content.tag(&as_layer, "layer");
    content.tag(&as_config, "config");
    let source = Shelf::new(content);
    let nodes = |turned: bool| {
        let mut wanted = source.wanted(None);
        if turned {
            wanted.reverse();
        }
        let plan = Plan::discover(wanted, &Filter::default(), 2).seal();
        plan.outline().nodes().to_vec()
    };
    assert_eq!(nodes(false), nodes(true));
    let found = nodes(false).into_iter().find(|node| node.digest == both.digest).unwrap();
    assert_eq!(found.role, Role::Config);
}
