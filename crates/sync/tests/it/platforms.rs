//! Which entries of indexes are taken.

use std::collections::BTreeSet;

use longshore_fixture::artifacts::{self, image_for, platform};
use longshore_fixture::{Content, Draft, with_annotation, with_platform};
use longshore_spec::{Descriptor, Digest, Manifest, Platform};
use longshore_store::{Order, Selector};
use longshore_sync::{Filter, LeftOut, Outcome, Plan, Platforms, Report, Silent};

use crate::support::{Shelf, Watched, closure, texts, with_referrers};

/// Copies all of `source` by `platforms`, without failures.
fn copied(source: &Shelf, platforms: Platforms) -> (Watched, Report, Vec<LeftOut>) {
    let target = Watched::new(Order::LargestFirst);
    let filter = Filter { platforms, ..Filter::default() };
    let plan = Plan::discover(source.wanted(Some(&target)), &filter, 2).seal();
    assert!(plan.failures().is_empty(), "{:?}", texts(plan.failures()));
    let report = plan.execute(&target, 2, &Silent).unwrap();
    assert!(report.is_complete(), "{:?}", texts(&report.failures));
    let left_out = plan.left_out().to_vec();
    drop(plan);
    (target, report, left_out)
}

fn refused(source: &Shelf, platforms: Platforms) -> String {
    let filter = Filter { platforms, ..Filter::default() };
    let plan = Plan::discover(source.wanted(None), &filter, 2).seal();
    assert_eq!(plan.roots()[0].outcome, Outcome::Failed);
    let [text] = &texts(plan.failures())[..] else { panic!("{:?}", plan.failures()) };
    text.clone()
}

fn wanted(texts: &[&str]) -> Vec<Platform> {
    texts.iter().map(|text| text.parse().expect("a platform")).collect()
}

fn one(text: &str) -> Platforms {
    Platforms::One(text.parse().expect("a platform"))
}

fn entries(source: &Shelf, root: &Descriptor) -> Vec<Descriptor> {
    let raw = source.content.blobs[&root.digest].clone();
    let manifest = Manifest::parse(raw, root.clone()).unwrap();
    manifest.children().map(|(_, child)| child.clone()).collect()
}

fn root(source: &Shelf) -> Descriptor {
    source.content.entries[0].clone()
}

/// Returns what is there of the closure of a descriptor.
fn is_there(source: &Shelf, target: &Watched, of: &Descriptor) -> bool {
    closure(&source.content, of).iter().all(|digest| target.content(digest).is_some())
}

#[test]
fn one_platform_takes_the_place_of_its_index() {
    let source = Shelf::of(|content| artifacts::multi_platform(content, 1));
    let arm = entries(&source, &root(&source))[1].clone();
    let (target, report, _) = copied(&source, one("linux/arm64"));
    assert_eq!(report.roots[0].descriptor.as_ref().map(|it| &it.digest), Some(&arm.digest));
    assert!(is_there(&source, &target, &arm));
    assert_eq!(target.pushed().len(), closure(&source.content, &arm).len());
    let found = target.repository().head(&Selector::Name("app".into())).unwrap();
    assert_eq!(found.digest, arm.digest);
}

#[test]
fn b16_the_first_of_two_entries_for_one_platform_is_taken() {
    let mut first = None;
    let source = Shelf::of(|content| {
        let linux = platform("linux/amd64");
        let images = [1, 2].map(|seed| image_for(content, seed, &linux).manifest);
        first = Some(images[0].digest.clone());
        content.manifest(&Draft::index(&images.map(|image| with_platform(image, &linux))))
    });
    let (_, report, _) = copied(&source, one("linux/amd64"));
    assert_eq!(report.roots[0].descriptor.as_ref().map(|it| it.digest.clone()), first);
}

#[test]
fn b14_a_version_of_windows_chooses() {
    let mut old = None;
    let source = Shelf::of(|content| {
        let images = [(1, "10.0.20348.1"), (2, "10.0.17763.6293")].map(|(seed, version)| {
            let mut windows = platform("windows/amd64");
            windows.os_version = Some(version.to_owned());
            with_platform(image_for(content, seed, &windows).manifest, &windows)
        });
        old = Some(images[1].digest.clone());
        content.manifest(&Draft::index(&images))
    });
    let (_, report, _) = copied(&source, one("windows(10.0.17763)/amd64"));
    assert_eq!(report.roots[0].descriptor.as_ref().map(|it| it.digest.clone()), old);
    let text = refused(&source, one("windows(10.0.14393)/amd64"));
    assert!(text.contains("windows(10.0.20348.1)/amd64"), "{text}");
}

#[test]
fn what_is_in_an_index_of_an_index_is_found_wherever_it_is() {
    let source = Shelf::of(|content| artifacts::nested(content, 1));
    let (_, report, _) = copied(&source, one("linux/arm64"));
    assert_eq!(report.roots[0].outcome, Outcome::Done);

    // Not in the first of the indexes within.
    let mut arm = None;
    let source = Shelf::of(|content| {
        let inner = ["linux/amd64", "linux/arm64"].map(|text| {
            let on = platform(text);
            let image = image_for(content, 1, &on).manifest;
            arm = Some(image.digest.clone());
            content.manifest(&Draft::index(&[with_platform(image, &on)]))
        });
        content.manifest(&Draft::index(&inner))
    });
    let (_, report, _) = copied(&source, one("linux/arm64"));
    assert_eq!(report.roots[0].descriptor.as_ref().map(|it| it.digest.clone()), arm);
    let text = refused(&source, one("linux/s390x"));
    assert!(text.contains("linux/amd64, linux/arm64"), "{text}");
}

#[test]
fn a_root_that_has_no_platforms_is_taken_as_it_is() {
    type Maker = fn(&mut Content, u64) -> Descriptor;
    for maker in [artifacts::model_pack as Maker, artifacts::helm_chart, artifacts::empty_index] {
        let source = Shelf::of(|content| maker(content, 1));
        let list = wanted(&["linux/s390x"]);
        for platforms in
            [one("linux/s390x"), Platforms::Sparse(list.clone()), Platforms::Stripped(list)]
        {
            let (target, _, left_out) = copied(&source, platforms);
            assert!(is_there(&source, &target, &root(&source)));
            assert!(left_out.is_empty());
        }
    }
    let source = Shelf::of(|content| {
        let images = [1, 2].map(|seed| artifacts::image(content, seed));
        content.manifest(&Draft::index(&images))
    });
    let (target, ..) = copied(&source, one("linux/s390x"));
    assert!(is_there(&source, &target, &root(&source)));
}

#[test]
fn an_image_without_an_index_is_refused_if_it_is_for_none_of_them() {
    let source = Shelf::of(|content| artifacts::image(content, 1));
    let list = wanted(&["linux/s390x", "plan9/386"]);
    for platforms in
        [one("linux/s390x"), Platforms::Sparse(list.clone()), Platforms::Stripped(list)]
    {
        let text = refused(&source, platforms);
        assert!(text.contains("which is for linux/amd64"), "{text}");
    }
    for platforms in [one("linux/amd64"), Platforms::Sparse(wanted(&["plan9/386", "linux/amd64"]))]
    {
        let (target, ..) = copied(&source, platforms);
        assert!(is_there(&source, &target, &root(&source)));
    }
}

#[test]
fn an_index_of_which_the_source_lacks_entries_is_written_anew_without_them() {
    let whole = Shelf::of(|content| artifacts::multi_platform(content, 1));
    let gone = entries(&whole, &root(&whole))[1].clone();
    let (target, report, left_out) = copied(&whole, Platforms::Present);
    assert!(left_out.is_empty() && is_there(&whole, &target, &root(&whole)));
    assert_eq!(report.roots[0].descriptor, Some(root(&whole)));
    let mut content = whole.content.clone();
    content.blobs.remove(&gone.digest);
    let source = Shelf::new(content);
    let (target, report, left_out) = copied(&source, Platforms::Present);
    assert_eq!(left_out, [LeftOut::Absent(gone.clone())]);
    let descriptor = report.roots[0].descriptor.clone().unwrap();
    let raw = target.content(&descriptor.digest).unwrap();
    let written = Manifest::parse(raw.into(), descriptor).unwrap();
    let children: Vec<_> = written.children().map(|(_, child)| child.clone()).collect();
    let others = entries(&whole, &root(&whole)).into_iter().filter(|entry| *entry != gone);
    assert_eq!(children, others.collect::<Vec<_>>());
    let mut content = whole.content.clone();
    for entry in entries(&whole, &root(&whole)) {
        content.blobs.remove(&entry.digest);
    }
    let none = refused(&Shelf::new(content), Platforms::Present);
    assert!(none.contains("is not in the index") && none.ends_with("which has none"), "{none}");
    // As it is, it comes too, and points to what is not there.
    let (_, report, _) = copied(&source, Platforms::All);
    assert_eq!(report.roots[0].descriptor, Some(root(&whole)));
}

#[test]
fn what_is_left_out_of_an_index_that_stays_is_known_of_each_root() {
    let source = Shelf::new({
        let mut content = Content::new();
        let multi = artifacts::multi_platform(&mut content, 1);
        let image = artifacts::image(&mut content, 2);
        for (entry, name) in [(&multi, "multi"), (&image, "image"), (&multi, "again")] {
            content.tag(entry, name);
        }
        content
    });
    let left_out = |platforms: Platforms| {
        let filter = Filter { platforms, ..Filter::default() };
        let plan = Plan::discover(source.wanted(None), &filter, 2).seal();
        let of = |root| plan.left_out_of(root).map(|platforms| platforms.len());
        (0..3).map(of).collect::<Vec<_>>()
    };
    let two = wanted(&["linux/amd64", "linux/arm64"]);
    assert_eq!(left_out(Platforms::Sparse(two.clone())), [Some(2), None, Some(2)]);
    assert_eq!(left_out(Platforms::Stripped(two)), [None; 3]);
    assert_eq!(left_out(one("linux/amd64")), [None; 3]);
    assert_eq!(left_out(Platforms::All), [None; 3]);
}

#[test]
fn what_nobody_offers_is_refused_with_what_there_is() {
    let source = Shelf::of(|content| artifacts::multi_platform(content, 1));
    let list = wanted(&["linux/s390x", "plan9/386"]);
    for platforms in
        [one("linux/s390x"), Platforms::Sparse(list.clone()), Platforms::Stripped(list)]
    {
        let text = refused(&source, platforms);
        let offered =
            "which has linux/amd64, linux/arm64, linux/arm/v7, windows(10.0.17763.6293)/amd64";
        assert!(text.contains(offered) && text.contains("linux/s390x"), "{text}");
    }
}

#[test]
fn a_sparse_index_stays_as_it_is_and_says_what_was_left_out() {
    let source = Shelf::of(|content| artifacts::multi_platform(content, 1));
    let list = entries(&source, &root(&source));
    let (target, report, left_out) =
        copied(&source, Platforms::Sparse(wanted(&["linux/amd64", "linux/arm"])));
    assert_eq!(
        report.roots[0].descriptor.as_ref().map(|it| &it.digest),
        Some(&root(&source).digest)
    );
    let there: Vec<_> = list.iter().map(|entry| is_there(&source, &target, entry)).collect();
    assert_eq!(there, [true, false, true, false]);
    assert_eq!(left_out, [1, 3].map(|at| LeftOut::Filtered(list[at].clone())));
}

#[test]
fn b17_attestations_stay_with_what_they_are_about() {
    for maker in [artifacts::attested, artifacts::attested_by_subject] {
        let source = Shelf::of(|content| {
            let attested = maker(content, 1);
            let raw = content.blobs[&attested.digest].clone();
            let parsed = Manifest::parse(raw, attested).unwrap();
            let mut entries: Vec<_> = parsed.children().map(|(_, it)| it.clone()).collect();
            // One more platform, with an attestation of its own.
            let arm = platform("linux/arm64");
            let image = image_for(content, 2, &arm).manifest;
            let other = content.manifest(&Draft::artifact("application/vnd.in-toto+json", &[]));
            let other = with_platform(other, &platform("unknown/unknown"));
            let about = "vnd.docker.reference.digest";
            let other = with_annotation(other, about, &image.digest.to_string());
            content.empty();
            entries.extend([with_platform(image, &arm), other]);
            content.manifest(&Draft::index(&entries))
        });
        let list = entries(&source, &root(&source));
        for platforms in [
            Platforms::Sparse(wanted(&["linux/amd64"])),
            Platforms::Stripped(wanted(&["linux/amd64"])),
        ] {
            let (target, ..) = copied(&source, platforms);
            let there: Vec<_> =
                list.iter().map(|entry| is_there(&source, &target, entry)).collect();
            assert_eq!(there, [true, true, false, false]);
        }
        let text = refused(&source, one("linux/s390x"));
        assert!(text.ends_with("which has linux/amd64, linux/arm64"), "{text}");
    }
}

#[test]
fn a_stripped_index_is_new_keeps_the_rest_and_verifies() {
    let source = Shelf::of(|content| {
        let entries = ["linux/amd64", "linux/arm64"].map(|text| {
            let on = platform(text);
            with_platform(image_for(content, 1, &on).manifest, &on)
        });
        let draft = Draft::index(&entries).annotation("k", "v");
        content.manifest(&draft.member("x-unknown", serde_json::json!({ "y": [1, null] })))
    });
    let before = root(&source);
    let list = entries(&source, &before);
    let (target, report, left_out) = copied(&source, Platforms::Stripped(wanted(&["linux/arm64"])));
    let after = report.roots[0].descriptor.clone().unwrap();
    assert_ne!(after.digest, before.digest);
    assert_eq!(after.annotations, before.annotations, "what the entry says stays");
    assert_eq!(left_out, [LeftOut::Filtered(list[0].clone())]);
    let raw = target.content(&after.digest).expect("the new index is there");
    assert_eq!(Digest::sha256(&raw), after.digest);
    let document: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(document["x-unknown"], serde_json::json!({ "y": [1, null] }));
    assert_eq!(document["annotations"]["k"], "v");
    assert_eq!(document["manifests"].as_array().unwrap().len(), 1);
    assert!(target.content(&list[0].digest).is_none());

    let repository = target.repository();
    let wanted = longshore_sync::CopyItem {
        source: &*repository,
        request: longshore_sync::RootRequest::Selector(Selector::Name("app".into())),
        target: None,
        names: Vec::new(),
        filter: None,
    };
    let plan = Plan::discover(vec![wanted], &Filter::default(), 1).seal();
    assert!(plan.failures().is_empty() && plan.left_out().is_empty());
    assert!(plan.verify(1, &Silent).is_complete());
}

#[test]
fn an_index_that_need_not_be_stripped_keeps_its_digest() {
    let source = Shelf::of(|content| artifacts::docker_list(content, 1));
    let all = wanted(&["linux/amd64", "linux/arm64"]);
    let (_, report, left_out) = copied(&source, Platforms::Stripped(all));
    assert_eq!(
        report.roots[0].descriptor.as_ref().map(|it| &it.digest),
        Some(&root(&source).digest)
    );
    assert!(left_out.is_empty());
}

#[test]
fn indexes_within_are_not_stripped_and_one_that_is_wanted_too_is_both() {
    let source = Shelf::new({
        let mut content = Content::new();
        let multi = artifacts::multi_platform(&mut content, 1);
        let outer = content.manifest(&Draft::index(std::slice::from_ref(&multi)));
        content.tag(&outer, "outer");
        content.tag(&multi, "inner");
        content
    });
    let (target, report, _) = copied(&source, Platforms::Stripped(wanted(&["linux/amd64"])));
    assert!(is_there(&source, &target, &root(&source)), "the outer index is whole");
    assert_ne!(
        report.roots[1].descriptor.as_ref().map(|it| &it.digest),
        Some(&source.content.entries[1].digest)
    );
}

#[test]
fn what_refers_to_an_index_does_not_come_with_one_that_is_stripped_of_it() {
    let mut content = Content::new();
    let index = artifacts::multi_platform(&mut content, 1);
    content.tag(&index, "app");
    let sbom = artifacts::spdx(&mut content, &index, 1);
    let signature = artifacts::cosign_signature(&mut content, &index, 1);
    content.tag(&signature, &artifacts::signature_tag(&index.digest));
    let source = Shelf::new(content);
    let filter =
        Filter { platforms: Platforms::Stripped(wanted(&["linux/amd64"])), ..with_referrers() };
    let target = Watched::new(Order::LargestFirst);
    let plan = Plan::discover(vec![source.wanted(Some(&target)).remove(0)], &filter, 2).seal();
    assert_eq!((plan.roots().len(), plan.referrers_seen()), (1, 2));
    let unfit: Vec<_> = plan.unfit().iter().map(ToString::to_string).collect();
    let tag = artifacts::signature_tag(&index.digest);
    let of = format!("of the index {}", index.digest);
    assert_eq!(unfit, [format!("spdx {} {of}", sbom.digest), format!("{tag} {of}")]);
    let report = plan.execute(&target, 2, &Silent).unwrap();
    assert!(report.is_complete());
    assert!(target.content(&sbom.digest).is_none());
    let names: BTreeSet<_> = target.names();
    assert_eq!(names.len(), 1);
}
