//! What refers to what is taken.

use longshore_fixture::{Content, Draft, artifacts, good};
use longshore_spec::Descriptor;
use longshore_store::{ConnectionFailure, Error, Name, Order, Refusal};
use longshore_sync::{Action, Filter, Outcome, Plan, Referring, Silent};

use crate::support::{Shelf, Watched, copy, texts, types, with_referrers};

/// An image with a list of parts, and a signature of that list.
fn signed() -> (Shelf, [Descriptor; 3]) {
    let mut content = Content::new();
    let app = artifacts::image(&mut content, 1);
    content.tag(&app, "app");
    let sbom = artifacts::spdx(&mut content, &app, 1);
    let signature = artifacts::notation_signature(&mut content, &sbom, 1);
    (Shelf::new(content), [app, sbom, signature])
}

fn digests(plan: &Plan<'_>) -> Vec<longshore_spec::Digest> {
    let roots = plan.roots().into_iter();
    roots
        .filter_map(|root| root.descriptor.as_ref().map(|descriptor| descriptor.digest.clone()))
        .collect()
}

#[test]
fn they_stay_behind_are_counted_or_come_along() {
    let (source, [app, sbom, signature]) = signed();
    let plan = |referrers| {
        let filter = Filter { referrers, ..Filter::default() };
        Plan::discover(source.wanted(None), &filter, 2).seal()
    };
    let ignored = plan(Referring::Ignored);
    assert_eq!((digests(&ignored).len(), ignored.referrers_seen()), (1, 0));
    let counted = plan(Referring::Counted);
    assert_eq!((digests(&counted).len(), counted.referrers_seen()), (1, 1));
    let taken = plan(Referring::Taken(types(&[])));
    assert_eq!(digests(&taken), [&app, &sbom, &signature].map(|it| it.digest.clone()));
    assert_eq!(taken.referrers_seen(), 0);
}

#[test]
fn those_of_unwanted_types_stay_and_so_does_what_refers_to_them() {
    let (source, [_, sbom, signature]) = signed();
    let target = Watched::new(Order::LargestFirst);
    let referrers = Referring::Taken(types(&["signature"]));
    let report = copy(&source, &target, &Filter { referrers, ..Filter::default() }, 2);
    assert!(report.is_complete());
    assert_eq!(report.roots[1].outcome, Outcome::Skipped);
    assert!(target.content(&sbom.digest).is_none() && target.content(&signature.digest).is_none());
    let referrers = Referring::Taken(types(&["application/spdx+json"]));
    copy(&source, &target, &Filter { referrers, ..Filter::default() }, 2);
    assert!(target.content(&sbom.digest).is_some() && target.content(&signature.digest).is_none());
}

#[test]
fn d05_the_manifest_says_its_type_and_not_the_list() {
    let (mut source, [_, sbom, _]) = signed();
    source.lie = Some("application/vnd.cncf.notary.signature");
    let target = Watched::new(Order::LargestFirst);
    let referrers = Referring::Taken(types(&["application/spdx+json"]));
    copy(&source, &target, &Filter { referrers, ..Filter::default() }, 2);
    assert!(target.content(&sbom.digest).is_some());
}

#[test]
fn e98_what_an_index_lists_needs_no_entry_of_its_own() {
    let mut content = Content::new();
    let index = artifacts::attested_by_subject(&mut content, 1);
    let raw = content.blobs[&index.digest].clone();
    let parsed = longshore_spec::Manifest::parse(raw, index.clone()).unwrap();
    let image = parsed.children().next().unwrap().1.clone();
    // The image alone comes first: its attestation is met before the index that lists it.
    for roots in [[&image, &index], [&index, &image]] {
        let mut content = content.clone();
        content.tag(roots[0], "one");
        content.tag(roots[1], "two");
        let source = Shelf::new(content);
        let plan = Plan::discover(source.wanted(None), &with_referrers(), 2).seal();
        assert_eq!(digests(&plan), roots.map(|root| root.digest.clone()));
        let counted = Filter { referrers: Referring::Counted, ..Filter::default() };
        assert_eq!(Plan::discover(source.wanted(None), &counted, 2).seal().referrers_seen(), 0);
    }
}

#[test]
fn one_that_is_wanted_itself_comes_once() {
    let (source, _) = signed();
    let mut content = source.content.clone();
    let all: Vec<_> = source.content.blobs.keys().cloned().collect();
    for digest in all {
        let raw = content.blobs[&digest].clone();
        if let Ok(media_type) = longshore_spec::Manifest::media_type_of(&raw) {
            let entry = Descriptor::new(media_type, digest, raw.len() as u64);
            if content.entries.iter().all(|listed| listed.digest != entry.digest) {
                content.untagged(&entry);
            }
        }
    }
    let source = Shelf::new(content);
    let plan = Plan::discover(source.wanted(None), &with_referrers(), 2).seal();
    assert_eq!(plan.roots().len(), 3);
    assert!(plan.roots().iter().all(|root| root.wanted.is_some()));
}

#[test]
fn all_fixtures_of_referrers_are_found() {
    for fixture in good().into_iter().filter(|fixture| fixture.name.starts_with("referrer")) {
        let longshore_fixture::Form::Content(content) = fixture.form else { continue };
        let source = Shelf::new(content);
        let target = Watched::new(Order::LargestFirst);
        let plan =
            Plan::discover(vec![source.wanted(Some(&target)).remove(0)], &with_referrers(), 2)
                .seal();
        assert!(plan.roots().len() > 1, "{}", fixture.name);
        let report = plan.execute(&target, 2, &Silent).unwrap();
        assert!(report.is_complete(), "{}: {:?}", fixture.name, texts(&report.failures));
    }
}

/// An image under `root`, and a signature of it in the source under `names`.
fn cosigned(root: &str, names: &[&str]) -> (Shelf, Descriptor) {
    let mut content = Content::new();
    let app = artifacts::image(&mut content, 1);
    content.tag(&app, root);
    let signature = artifacts::cosign_signature(&mut content, &app, 1);
    for name in names {
        content.tag(&signature, &name.replace('#', &artifacts::signature_tag(&app.digest)));
    }
    (Shelf::new(content), app)
}

fn names_of_signature(source: &Shelf, app: &Descriptor) -> Vec<String> {
    let target = Watched::new(Order::LargestFirst);
    let plan =
        Plan::discover(vec![source.wanted(Some(&target)).remove(0)], &with_referrers(), 2).seal();
    let report = plan.execute(&target, 2, &Silent).unwrap();
    assert!(report.is_complete(), "{:?}", texts(&report.failures));
    let short = artifacts::signature_tag(&app.digest);
    let names = target.names().into_iter().map(|name| name.to_string());
    names.filter(|name| name.ends_with(&short)).map(|name| name.replace(&short, "#")).collect()
}

#[test]
fn e97_a_signature_that_is_found_by_its_tag_lies_beside_what_it_signs() {
    for (root, found, expected) in [
        ("v1", "#", "#"),
        ("team/app:v1", "#", "team/app:#"),
        ("v1", "team/app:#", "#"),
        ("team/app:v1", "team/app:#", "team/app:#"),
        ("localhost:5000/app:v1", "#", "localhost:5000/app:#"),
        ("localhost:5000/app", "#", "localhost:5000/app:#"),
    ] {
        let (source, app) = cosigned(root, &[found]);
        assert_eq!(names_of_signature(&source, &app), [expected], "{root}, {found}");
    }
    let (source, app) = cosigned("v1", &["#"]);
    let mut content = source.content.clone();
    content.entries.clear();
    content.tag(&app, &format!("team/app@{}", app.digest));
    content.entries.extend(source.content.entries[1..].iter().cloned());
    assert_eq!(names_of_signature(&Shelf::new(content), &app), ["team/app:#"]);
}

#[test]
fn e97_a_source_that_lists_no_names_is_asked_for_each() {
    let denied: fn() -> _ = || {
        let (action, what, place) = ("list", "its tags".into(), "the shelf".to_owned());
        Err(Error::Denied { action, what, place, said: Refusal::of_status(401).into() })
    };
    let refused: fn() -> _ = || {
        let (action, what, place) = ("list", "its tags".into(), "the shelf".to_owned());
        Err(Error::Refused { action, what, place, said: Refusal::of_status(405).into() })
    };
    let nothing: fn() -> _ = || Ok(Vec::new());
    for unlisted in [denied, refused, nothing] {
        let (source, app) = cosigned("v1", &["#"]);
        let source = Shelf { unlisted: Some(unlisted), ..source };
        assert_eq!(names_of_signature(&source, &app), ["#"]);
        // What nobody asked for is not looked for, and what is not there is no failure.
        let plan =
            Plan::discover(vec![source.wanted(None).remove(0)], &Filter::default(), 2).seal();
        assert_eq!((plan.roots().len(), plan.failures().len()), (1, 0));
        let (source, app) = cosigned("v1", &[]);
        let source = Shelf { unlisted: Some(unlisted), ..source };
        assert_eq!(names_of_signature(&source, &app), [""; 0]);
    }
    // A list that is broken off is none to go by.
    let (source, _) = cosigned("v1", &["#"]);
    let silent: fn() -> _ = || {
        let why = ConnectionFailure::Silent(std::time::Duration::from_mins(1));
        Err(Error::unreachable("the shelf", why))
    };
    let source = Shelf { unlisted: Some(silent), ..source };
    let plan = Plan::discover(vec![source.wanted(None).remove(0)], &with_referrers(), 2).seal();
    let [failure] = plan.failures() else { panic!("{:?}", plan.failures()) };
    assert_eq!(failure.action, Action::ListReferrers);
}

#[test]
fn e97_of_signatures_in_several_repositories_that_of_the_same_one_comes() {
    let mut content = Content::new();
    let app = artifacts::image(&mut content, 1);
    let tag = artifacts::signature_tag(&app.digest);
    let mut signatures = Vec::new();
    for (seed, repository) in [(1, "a/app"), (2, "b/app")] {
        content.tag(&app, &format!("{repository}:v1"));
        let signature = artifacts::cosign_signature(&mut content, &app, seed);
        content.tag(&signature, &format!("{repository}:{tag}"));
        signatures.push(signature);
    }
    let source = Shelf::new(content);
    for (at, repository) in [(0, "a/app"), (2, "b/app")] {
        let target = Watched::new(Order::LargestFirst);
        let wanted = vec![source.wanted(Some(&target)).remove(at)];
        let plan = Plan::discover(wanted, &with_referrers(), 2).seal();
        let [_, root] = &plan.roots()[..] else { panic!("{:?}", plan.roots()) };
        assert_eq!(root.names, [Name::new(format!("{repository}:{tag}"))]);
        let found = root.descriptor.as_ref().map(|it| &it.digest);
        assert_eq!(found, Some(&signatures[at / 2].digest));
    }
    // Wanted by name, they do not come a second time.
    let plan = Plan::discover(source.wanted(None), &with_referrers(), 2).seal();
    assert_eq!(plan.roots().len(), 4);
    assert!(plan.conflict().is_none());
}

#[test]
fn e97_signatures_of_an_entry_and_of_a_referrer_lie_beside_the_root() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    content.tag(&index, "team/app:v1");
    let sbom = artifacts::spdx(&mut content, &index, 1);
    for (seed, subject) in [(1, &image), (2, &sbom)] {
        let signature = artifacts::cosign_signature(&mut content, subject, seed);
        content.tag(&signature, &artifacts::signature_tag(&subject.digest));
    }
    let source = Shelf::new(content);
    let plan = Plan::discover(vec![source.wanted(None).remove(0)], &with_referrers(), 2).seal();
    let names: Vec<_> =
        plan.roots().into_iter().flat_map(|root| root.names.clone()).skip(1).collect();
    let expected = [&image, &sbom]
        .map(|it| Name::new(format!("team/app:{}", artifacts::signature_tag(&it.digest))));
    assert_eq!(names, expected);
}

#[test]
fn a_list_that_cannot_be_had_is_a_failure_only_if_it_is_wanted() {
    let (source, [app, ..]) = signed();
    let source = Shelf { mute: true, ..source };
    for referrers in [Referring::Ignored, Referring::Counted] {
        let filter = Filter { referrers, ..Filter::default() };
        assert!(Plan::discover(source.wanted(None), &filter, 2).seal().failures().is_empty());
    }
    let target = Watched::new(Order::LargestFirst);
    let plan = Plan::discover(source.wanted(Some(&target)), &with_referrers(), 2).seal();
    let [failure] = plan.failures() else { panic!("{:?}", plan.failures()) };
    assert_eq!(
        (failure.action, &failure.subject),
        (Action::ListReferrers, &app.digest.to_string())
    );
    plan.execute(&target, 2, &Silent).unwrap();
    assert_eq!(target.committed(), [false], "not all that was wanted has come");
}

#[test]
fn what_refers_to_something_else_than_a_list_says_stays() {
    let (mut source, [app, sbom, signature]) = signed();
    // The same list for whatever is asked.
    let all: Vec<_> = source.referrers.values().flatten().cloned().collect();
    for digest in [&app, &sbom, &signature].map(|it| it.digest.clone()) {
        source.referrers.insert(digest, all.clone());
    }
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &with_referrers(), 2);
    assert!(report.is_complete());
    let done: Vec<_> = report
        .roots
        .iter()
        .filter(|root| root.outcome == Outcome::Done)
        .map(|root| (&root.descriptor.as_ref().unwrap().digest, root.subject.as_deref()))
        .collect();
    let expected = [
        (&app.digest, None),
        (&sbom.digest, Some(&app.digest)),
        (&signature.digest, Some(&sbom.digest)),
    ];
    assert_eq!(done, expected);
}
