//! Referrers (rows E-80 to E-97).

use std::sync::Mutex;
use std::thread;

use longshore_spec::{Descriptor, ManifestContent, MediaType};
use longshore_store::{
    AnsweredBy, Entry, Error, Repository as _, Selector, Source as _, Target as _,
};
use serde_json::json;

use crate::fake::{self, Profile};
use crate::stub::{Request, Response, Stub};
use crate::support::{image, manifest, remote};

fn index_of(entries: &[Descriptor]) -> Response {
    let list = json!({"schemaVersion": 2, "manifests": entries});
    Response::ok(list.to_string()).header("content-type", MediaType::IMAGE_INDEX)
}

fn fallback_tag() -> Selector {
    Selector::Name(image(None).descriptor().digest.referrers_tag().as_str().into())
}

/// A signature that differs for each number.
fn signature(number: usize) -> longshore_spec::Manifest {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "artifactType": "application/x.signature",
        "config": Descriptor::empty(),
        "layers": [],
        "subject": image(None).descriptor(),
        "annotations": {"number": number.to_string()},
    });
    manifest(&document.to_string())
}

#[test]
fn e80_the_header_decides_about_the_fallback_tag_and_not_the_endpoint() {
    for (subject_header, referrers_api) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let stub = fake::registry(Profile { referrers_api, subject_header, ..Profile::NEW });
        let remote = remote(&stub.host);
        remote.push_manifest(&signature(1), Entry::Child).unwrap();
        let listed = remote.manifest(&fallback_tag());
        assert_eq!(listed.is_ok(), !subject_header);
    }
}

#[test]
fn e84_the_list_has_all_of_an_entry_and_each_once() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    for _ in 0..2 {
        remote.push_manifest(&signature(1), Entry::Child).unwrap();
    }
    let list = remote.manifest(&fallback_tag()).unwrap();
    let ManifestContent::Index(index) = list.content() else { panic!("{list:?}") };
    assert_eq!(index.manifests, [signature(1).as_referrer()]);
    let document: serde_json::Value = serde_json::from_slice(list.raw()).unwrap();
    assert_eq!(document["schemaVersion"], 2);
    assert_eq!(document["mediaType"], MediaType::IMAGE_INDEX);
    let found = remote.referrers(&image(None).descriptor().digest).unwrap();
    assert_eq!(found.answered_by, AnsweredBy::FallbackTag);
    assert_eq!(found.entries, index.manifests);
}

#[test]
fn e85_what_others_listed_stays() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    let foreign = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_INDEX,
        "x-unknown": {"kept": true},
        "manifests": [signature(7).as_referrer()],
    });
    let Selector::Name(tag) = fallback_tag() else { unreachable!() };
    remote.push_manifest(&manifest(&foreign.to_string()), Entry::Root(&[tag])).unwrap();
    remote.push_manifest(&signature(1), Entry::Child).unwrap();
    let list = remote.manifest(&fallback_tag()).unwrap();
    let document: serde_json::Value = serde_json::from_slice(list.raw()).unwrap();
    assert_eq!(document["x-unknown"]["kept"], true);
    assert_eq!(document["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn e82_a_tag_that_is_no_list_is_not_touched() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    let Selector::Name(tag) = fallback_tag() else { unreachable!() };
    remote.push_manifest(&image(None), Entry::Root(&[tag])).unwrap();
    let error = remote.push_manifest(&signature(1), Entry::Child).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(remote.manifest(&fallback_tag()).unwrap().raw(), image(None).raw());
    let digest = signature(1).descriptor().digest.clone();
    assert!(remote.head(&digest.into()).is_ok(), "the manifest itself stands");
    let subject = image(None).descriptor().digest.clone();
    assert!(remote.referrers(&subject).unwrap().entries.is_empty(), "row E-91");
}

/// A registry that takes the tag `sha256-HEX` for the digest `sha256:HEX`, as GitLab does, if there is no
/// such tag, or always.
fn gitlab(always: bool) -> Stub {
    let inner = fake::registry(Profile::OLD);
    let pass = move |request: &Request, target: &str| inner.answer(request, target);
    Stub::new(move |request| {
        let found = pass(request, &request.target);
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        match request.target.split_once("/manifests/sha256-") {
            Some((before, hex)) if is_read && (always || found.status() == 404) => {
                pass(request, &format!("{before}/manifests/sha256:{hex}"))
            }
            _ => found,
        }
    })
}

/// An index of two images.
fn two_images() -> longshore_spec::Manifest {
    let entry = |architecture: &str| {
        let mut entry = json!(image(None).descriptor());
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    };
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_INDEX,
        "manifests": [entry("amd64"), entry("arm64")],
    });
    manifest(&document.to_string())
}

fn signature_of(subject: &Descriptor, number: usize) -> longshore_spec::Manifest {
    let mut document: serde_json::Value = serde_json::from_slice(signature(number).raw()).unwrap();
    document["subject"] = json!(subject);
    manifest(&document.to_string())
}

#[test]
fn the_subject_itself_is_no_list_of_its_referrers() {
    for subject in [image(None), two_images()] {
        let stub = gitlab(false);
        let remote = remote(&stub.host);
        remote.push_manifest(&image(None), Entry::Child).unwrap();
        remote.push_manifest(&subject, Entry::Root(&["v1".into()])).unwrap();
        let digest = subject.descriptor().digest.clone();
        assert!(remote.referrers(&digest).unwrap().entries.is_empty());
        // The list is created, and is there from then on.
        for number in 1..=2 {
            let signature = signature_of(subject.descriptor(), number);
            remote.push_manifest(&signature, Entry::Child).unwrap();
        }
        assert_eq!(remote.referrers(&digest).unwrap().entries.len(), 2);
        assert_eq!(remote.manifest(&digest.into()).unwrap().raw(), subject.raw());
    }
}

#[test]
fn a_page_for_people_is_no_list() {
    let stub = Stub::new(|request| match request.method.as_str() {
        "PUT" => Response::new(201),
        _ => Response::ok("<html>not here</html>").header("content-type", "text/html"),
    });
    let remote = remote(&stub.host);
    let digest = image(None).descriptor().digest.clone();
    assert!(remote.referrers(&digest).unwrap().entries.is_empty());
    // A list that may be hidden is not overwritten.
    let error = remote.push_manifest(&signature(1), Entry::Child).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!(stub.count("PUT /v2/library/app/manifests/sha256-"), 0);
}

#[test]
fn a_list_that_cannot_be_seen_is_not_written_over() {
    let stub = gitlab(true);
    let remote = remote(&stub.host);
    let subject = two_images();
    remote.push_manifest(&image(None), Entry::Child).unwrap();
    remote.push_manifest(&subject, Entry::Root(&["v1".into()])).unwrap();
    for number in 1..=2 {
        let signature = signature_of(subject.descriptor(), number);
        let error = remote.push_manifest(&signature, Entry::Child).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert!(remote.head(&signature.descriptor().digest.clone().into()).is_ok());
    }
    assert_eq!(stub.count("PUT /v2/library/app/manifests/sha256-"), 1);
}

#[test]
fn an_index_of_images_under_the_tag_is_no_list_and_stays() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    let Selector::Name(tag) = fallback_tag() else { unreachable!() };
    remote.push_manifest(&image(None), Entry::Child).unwrap();
    remote.push_manifest(&two_images(), Entry::Root(&[tag])).unwrap();
    let subject = image(None).descriptor().digest.clone();
    assert!(remote.referrers(&subject).unwrap().entries.is_empty());
    let error = remote.push_manifest(&signature(1), Entry::Child).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(remote.manifest(&fallback_tag()).unwrap().raw(), two_images().raw());
}

#[test]
fn e86_twenty_signatures_at_once_are_all_listed() {
    const SIGNATURES: usize = 20;
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    thread::scope(|scope| {
        for number in 0..SIGNATURES {
            let remote = &remote;
            scope.spawn(move || remote.push_manifest(&signature(number), Entry::Child).unwrap());
        }
    });
    let found = remote.referrers(&image(None).descriptor().digest).unwrap();
    assert_eq!(found.entries.len(), SIGNATURES);
}

#[test]
fn e86_a_list_that_has_changed_is_not_written_over() {
    let foreign = signature(7).as_referrer();
    for (mark, conditions) in [
        ("\"NUMBER\"", [Some("\"1\"".to_owned()), Some("\"2\"".to_owned())]),
        // Weak entity tags cannot be compared: the result is read again.
        ("W/\"NUMBER\"", [None, None]),
    ] {
        let (list, number) = (json!({"schemaVersion": 2, "manifests": []}), 1);
        let (state, theirs) = (Mutex::new((list, number)), foreign.clone());
        let stub = Stub::new(move |request| {
            if request.path().contains("/manifests/sha256:") {
                return Response::new(201);
            }
            let (list, number) = &mut *state.lock().unwrap();
            if request.method == "PUT" {
                *number += 1;
                let is_stale = request.header("if-match").is_some() && *number == 2;
                if !is_stale {
                    *list = serde_json::from_slice(&request.body).unwrap();
                }
                // Another client writes before, or after.
                if *number == 2 {
                    *list = json!({"schemaVersion": 2, "manifests": [theirs]});
                }
                return Response::new(if is_stale { 412 } else { 201 });
            }
            Response::ok(list.to_string())
                .header("content-type", MediaType::IMAGE_INDEX)
                .header("etag", mark.replace("NUMBER", &number.to_string()))
        });
        remote(&stub.host).push_manifest(&signature(1), Entry::Child).unwrap();
        let requests = stub.requests();
        let puts = requests.iter().filter(|each| each.is("PUT", "/manifests/sha256-"));
        let sent: Vec<_> = puts.map(|each| each.header("if-match").map(str::to_owned)).collect();
        assert_eq!(sent, conditions);
        let listed = remote(&stub.host).manifest(&fallback_tag()).unwrap();
        let ManifestContent::Index(index) = listed.content() else { panic!("{listed:?}") };
        assert_eq!(index.manifests, [foreign.clone(), signature(1).as_referrer()]);
    }
}

#[test]
fn e92_only_some_answers_mean_that_no_account_is_kept() {
    let subject = image(None).descriptor().digest.clone();
    let ask = |answer: Response| {
        let stub = Stub::new(move |request| {
            if request.is("GET", "/referrers/") { answer.clone() } else { Response::new(404) }
        });
        remote(&stub.host).referrers(&subject).map(|found| found.answered_by)
    };
    for status in [204, 400, 401, 404, 405, 406, 410] {
        assert_eq!(ask(Response::new(status)).unwrap(), AnsweredBy::FallbackTag, "{status}");
    }
    let page = Response::ok("<html>").header("content-type", "text/html; charset=utf-8");
    assert_eq!(ask(page).unwrap(), AnsweredBy::FallbackTag);
    for status in [403, 500, 503] {
        assert!(ask(Response::new(status)).is_err(), "{status}");
    }
    let challenge = Response::new(401).header("www-authenticate", "Basic realm=\"x\"");
    assert!(matches!(ask(challenge), Err(Error::Denied { .. })));
    // Not a list: nothing, or another document.
    let typed = |body: &str| Response::ok(body).header("content-type", MediaType::IMAGE_INDEX);
    for body in ["", " \n", "{}", "[]", "null", "<html>", r#"{"errors":[{"code":"X"}]}"#] {
        assert_eq!(ask(Response::ok(body)).unwrap(), AnsweredBy::FallbackTag, "{body}");
        assert_eq!(ask(typed(body)).unwrap(), AnsweredBy::FallbackTag, "{body}");
    }
    let empty = format!(r#"{{"schemaVersion":2,"mediaType":"{}"}}"#, MediaType::IMAGE_INDEX);
    assert_eq!(ask(typed(&empty)).unwrap(), AnsweredBy::FallbackTag);
    // A list that is cut off, or has another form.
    for body in [r#"{"schemaVersion":2,"manifests":["#, r#"{"manifests":[{"digest":"x"}]}"#, "x"] {
        assert!(matches!(ask(typed(body)), Err(Error::Malformed { .. })), "{body}");
    }
    assert_eq!(ask(index_of(&[])).unwrap(), AnsweredBy::Place);
}

#[test]
fn what_refers_to_something_else_is_left_out_of_a_list() {
    let subject = image(None);
    let (own, other) = (signature(1), signature_of(signature(1).descriptor(), 2));
    let all = [subject.clone(), own.clone(), other.clone()];
    let stub = Stub::new(move |request| {
        if request.is("GET", "/referrers/") {
            return index_of(&[own.as_referrer(), other.as_referrer()]);
        }
        let digest = request.path().rsplit('/').next().unwrap();
        let found = all.iter().find(|found| found.descriptor().digest.to_string() == digest);
        let typed =
            |raw: &[u8]| Response::ok(raw).header("content-type", MediaType::IMAGE_MANIFEST);
        found.map_or(Response::new(404), |found| typed(found.raw()))
    });
    let remote = remote(&stub.host);
    let referrers = |of: &longshore_spec::Manifest| {
        let found = remote.referrers(&of.descriptor().digest).unwrap();
        found.entries.into_iter().map(|entry| entry.digest).collect::<Vec<_>>()
    };
    let digest = |of: &longshore_spec::Manifest| of.descriptor().digest.clone();
    let (own, other) = (signature(1), signature_of(signature(1).descriptor(), 2));
    assert_eq!(referrers(&subject), [digest(&own)]);
    assert_eq!(referrers(&own), [digest(&other)]);
    assert_eq!(referrers(&other), []);
    // Entries that were read for the check are not read again.
    let before = stub.log().len();
    remote.child(other.descriptor()).unwrap();
    assert_eq!(stub.log().len(), before);
}

#[test]
fn lists_that_are_right_are_believed_from_the_third_on() {
    let stub = fake::registry(Profile::NEW);
    let remote = remote(&stub.host);
    let mut subjects = vec![image(None)];
    for number in 1..=3 {
        let last = subjects.last().unwrap().descriptor().clone();
        subjects.push(signature_of(&last, number));
    }
    for manifest in &subjects {
        remote.push_manifest(manifest, Entry::Child).unwrap();
    }
    for (at, pair) in subjects.windows(2).enumerate() {
        let before = stub.count("GET /v2/library/app/manifests/");
        let found = remote.referrers(&pair[0].descriptor().digest).unwrap();
        assert_eq!(found.entries, [pair[1].as_referrer()]);
        let read = stub.count("GET /v2/library/app/manifests/") - before;
        assert_eq!(read, usize::from(at < 2));
    }
}

#[test]
fn e93_all_pages_are_read_and_each_entry_is_there_once() {
    let stub = Stub::new(|request| {
        let entries = [1, 2, 3].map(|number| signature(number).as_referrer());
        match request.param("page").as_deref() {
            None => index_of(&entries[..2]).header("link", "<?page=2&x=%2B>; rel=\"next\""),
            Some("2") => index_of(&entries[1..]).header("link", "</last?page=3>; rel=next"),
            _ => index_of(&[]),
        }
    });
    let found = remote(&stub.host).referrers(&image(None).descriptor().digest).unwrap();
    let mut expected = [1, 2, 3].map(|number| signature(number).as_referrer());
    expected.sort_by(|a, b| a.digest.cmp(&b.digest));
    assert_eq!(found.entries, expected);
    assert!(stub.log()[1].ends_with("?page=2&x=%2B"));
    assert_eq!(stub.log()[2], "GET /last?page=3");
}

#[test]
fn e95_a_manifest_that_goes_leaves_the_list() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    let (one, two) = (signature(1), signature(2));
    for signature in [&one, &two] {
        remote.push_manifest(signature, Entry::Child).unwrap();
    }
    remote.remove(&one.descriptor().digest).unwrap();
    let found = remote.referrers(&image(None).descriptor().digest).unwrap();
    assert_eq!(found.entries, [two.as_referrer()]);
}
