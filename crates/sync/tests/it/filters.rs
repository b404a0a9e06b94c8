//! Several things that are wanted, each with a filter of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use longshore_fixture::{Content, artifacts};
use longshore_spec::{Digest, Role};
use longshore_store::{Order, Target as _};
use longshore_sync::{CopyItem, Filter, Outcome, Plan, Platforms, Referring, SealedPlan, Silent};

use crate::support::{Fault, Shelf, Watched, types};

/// An index of four platforms under two names, with referrers.
fn shelf() -> (Shelf, Digest) {
    let mut content = Content::new();
    let index = artifacts::multi_platform(&mut content, 1);
    artifacts::spdx(&mut content, &index, 1);
    artifacts::notation_signature(&mut content, &index, 1);
    content.tag(&index, "one");
    content.tag(&index, "two");
    (Shelf::new(content), index.digest)
}

fn sparse(platform: &str) -> Filter {
    let platforms = Platforms::Sparse(vec![artifacts::platform(platform)]);
    Filter { platforms, ..Filter::default() }
}

fn with<'a>(mut wanted: Vec<CopyItem<'a>>, filters: &[&Filter]) -> Vec<CopyItem<'a>> {
    let named: Vec<_> = wanted.drain(..).filter(|wanted| !wanted.names.is_empty()).collect();
    let filtered = named.into_iter().zip(filters);
    filtered
        .map(|(wanted, filter)| CopyItem { filter: Some(Arc::new((*filter).clone())), ..wanted })
        .collect()
}

fn digests(plan: &SealedPlan<'_>) -> BTreeSet<Digest> {
    plan.outline().nodes().iter().map(|node| node.digest.clone()).collect()
}

#[test]
fn what_one_leaves_out_another_takes() {
    let (source, _) = shelf();
    let (amd64, arm64) = (sparse("linux/amd64"), sparse("linux/arm64"));
    let default = Filter::default();
    let alone = |filter: &Filter| {
        let plan = Plan::discover(vec![source.wanted(None).remove(0)], filter, 2).seal();
        digests(&plan)
    };
    let (first, second) = (alone(&amd64), alone(&arm64));
    assert_ne!(first, second);
    for filters in [[&amd64, &arm64], [&arm64, &amd64]] {
        let plan = Plan::discover(with(source.wanted(None), &filters), &default, 2).seal();
        assert!(plan.failures().is_empty());
        assert_eq!(digests(&plan), first.union(&second).cloned().collect());
    }
    let target = Watched::new(Order::LargestFirst);
    let wanted = with(source.wanted(Some(&target)), &[&amd64, &default]);
    let plan = Plan::discover(wanted, &default, 2).seal();
    assert!(plan.execute(&target, 2, &Silent).unwrap().is_complete());
    assert_eq!(digests(&plan), alone(&default));
    for node in plan.outline().nodes() {
        assert!(node.role != Role::Manifest || target.content(&node.digest).is_some());
    }
}

#[test]
fn each_takes_its_own_referrers() {
    let (source, index) = shelf();
    let taken =
        |of: &str| Filter { referrers: Referring::Taken(types(&[of])), ..Filter::default() };
    let (sboms, signatures, none) = (taken("sbom"), taken("signature"), Filter::default());
    let kinds = |filters: &[&'static str]| -> BTreeSet<String> {
        let filters: Vec<&Filter> = filters
            .iter()
            .map(|name| match *name {
                "sboms" => &sboms,
                "signatures" => &signatures,
                _ => &none,
            })
            .collect();
        let plan = Plan::discover(with(source.wanted(None), &filters), &none, 2).seal();
        let roots = plan.roots().into_iter().filter(|root| root.outcome == Outcome::Done);
        let referrers = roots.filter(|root| root.subject.as_deref() == Some(&index));
        referrers.filter_map(|root| root.artifact_type.as_deref().map(str::to_owned)).collect()
    };
    assert_eq!(kinds(&["none", "none"]).len(), 0);
    assert_eq!(kinds(&["none", "sboms"]).len(), 1);
    assert_eq!(kinds(&["sboms", "none"]).len(), 1);
    assert_eq!(kinds(&["signatures", "sboms"]).len(), 2);
}

#[test]
fn what_is_taken_says_its_platforms() {
    let (source, _) = shelf();
    let (arm64, default) = (sparse("linux/arm64"), Filter::default());
    let plan = Plan::discover(with(source.wanted(None), &[&arm64, &default]), &default, 2).seal();
    let platforms = plan.roots().into_iter().map(|root| {
        root.platforms
            .iter()
            .map(|(_, platform)| platform.to_string())
            .collect::<Vec<_>>()
            .join(",")
    });
    let platforms: Vec<_> = platforms.collect();
    assert_eq!(platforms[0], "linux/arm64");
    assert!(platforms[1].contains("linux/amd64"), "{}", platforms[1]);
}

#[test]
fn what_failed_is_dropped_with_what_came_along_for_it() {
    let mut content = Content::new();
    let [good, bad, beside] = [1, 2, 3].map(|seed| artifacts::image(&mut content, seed));
    let kept = artifacts::spdx(&mut content, &good, 1);
    let gone = artifacts::spdx(&mut content, &beside, 2);
    let signature = artifacts::notation_signature(&mut content, &gone, 2);
    content.tag(&good, "good");
    let index = content.manifest(&longshore_fixture::Draft::index(&[beside.clone(), bad.clone()]));
    content.tag(&index, "bad");
    let source = Shelf::new(content).with_fault(&bad.digest, Fault::Unreadable);
    let filter = Filter { referrers: Referring::Taken(types(&[])), ..Filter::default() };
    let mut plan = Plan::discover(source.wanted(None), &filter, 2);
    let (failures, dropped) = plan.drop_failed();
    assert_eq!(failures.len(), 1);
    assert!(plan.failures().is_empty());
    assert!(dropped.iter().all(|root| root.outcome == Outcome::Failed));
    let names: Vec<_> =
        dropped.iter().map(|root| &root.descriptor.as_ref().unwrap().digest).collect();
    assert_eq!(names, [&index.digest, &gone.digest, &signature.digest]);
    let there = digests(&plan.seal());
    assert!(there.contains(&kept.digest) && there.contains(&good.digest));
    for digest in [bad.digest, beside.digest, gone.digest, signature.digest, index.digest] {
        assert!(!there.contains(&digest));
    }
    let target = Watched::new(Order::Outline);
    let mut plan = Plan::discover(source.wanted(Some(&target)), &filter, 2);
    plan.drop_failed();
    assert!(plan.seal().execute(&target, 2, &Silent).unwrap().is_complete());
    assert!(target.held(&good, Role::Manifest).is_ok());
}

#[test]
fn a_referrer_that_failed_is_told_unless_it_is_not_kept() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let sbom = artifacts::spdx(&mut content, &image, 1);
    let signature = artifacts::notation_signature(&mut content, &image, 1);
    content.tag(&image, "app");
    let source = Shelf::new(content).with_fault(&sbom.digest, Fault::Unreadable);
    let filter = Filter { referrers: Referring::Taken(types(&[])), ..Filter::default() };
    let plan = || Plan::discover(source.wanted(None), &filter, 2);
    let (failures, dropped) = plan().drop_failed();
    assert_eq!((failures.len(), dropped.len()), (1, 1));
    assert_eq!(dropped[0].descriptor.as_ref().unwrap().digest, sbom.digest);
    assert_eq!(dropped[0].subject.as_deref(), Some(&image.digest));
    let mut kept = plan();
    kept.retain_referrers(|digest| *digest == signature.digest);
    assert!(kept.failures().is_empty(), "nobody asked for it: {:?}", kept.failures());
    assert!(digests(&kept.seal()).contains(&signature.digest));
    let mut kept = plan();
    kept.retain_referrers(|_| true);
    assert_eq!(kept.failures().len(), 1);
}

#[test]
fn what_cannot_be_listed_is_dropped_with_its_root() {
    let (mut source, _) = shelf();
    source.mute = true;
    let filter = Filter { referrers: Referring::Taken(types(&[])), ..Filter::default() };
    let mut plan = Plan::discover(source.wanted(None), &filter, 2);
    assert!(!plan.drop_failed().0.is_empty());
    assert!(plan.roots().is_empty() && digests(&plan.seal()).is_empty());
}
