//! Lists and what is taken away (rows E-100 to E-112).

use longshore_store::{Entry, Error, Name, Place as _, Repository as _, Source as _, Target as _};
use serde_json::json;

use crate::fake::{self, Profile};
use crate::stub::{Response, Stub};
use crate::support::{image, registry, remote};

fn names(tags: &[&str]) -> Vec<Name> {
    tags.iter().map(|tag| Name::from(*tag)).collect()
}

#[test]
fn e101_pages_are_followed_whatever_their_length() {
    let page = |tags: &[&str]| Response::ok(json!({"name": "x", "tags": tags}).to_string());
    let stub = Stub::new(move |request| match request.param("last").as_deref() {
        None => page(&["b"]).header("link", "</v2/library/app/tags/list?last=b&n=2>; rel=next"),
        // The tag itself once more, as some do.
        Some("b") => page(&["b", "A"]).header("link", "<list?last=A>; rel=\"next\""),
        Some("A") => page(&[]).header("link", "<list?last=z>; rel=\"next\""),
        _ => page(&["c"]),
    });
    assert_eq!(remote(&stub.host).names().unwrap(), names(&["A", "b", "c"]));
    assert_eq!(stub.log().len(), 4);
}

#[test]
fn e102_a_registry_without_links_that_repeats_itself_ends() {
    let tags: Vec<String> = (0..1000).map(|n| format!("t{n:04}")).collect();
    let stub = Stub::new(move |_| Response::ok(json!({"name": "x", "tags": tags}).to_string()));
    assert_eq!(remote(&stub.host).names().unwrap().len(), 1000);
    assert_eq!(stub.log().len(), 2);
    assert_eq!(stub.requests()[1].param("last").as_deref(), Some("t0999"));
}

#[test]
fn a_link_that_leads_nowhere_new_ends() {
    let stub = Stub::new(move |request| {
        let link = format!("<{}>; rel=next", request.target);
        Response::ok(r#"{"tags": ["a"]}"#).header("link", link)
    });
    assert_eq!(remote(&stub.host).names().unwrap(), names(&["a"]));
    assert_eq!(stub.log().len(), 1);
}

#[test]
fn e100_a_repository_that_does_not_exist_is_empty() {
    for answer in [Response::new(404), Response::ok(r#"{"name": "x", "tags": null}"#)] {
        let stub = Stub::new(move |_| answer.clone());
        assert!(remote(&stub.host).names().unwrap().is_empty());
    }
}

#[test]
fn a_registry_that_lists_no_repositories_says_so() {
    for status in [404, 405] {
        let stub = Stub::new(move |_| Response::new(status));
        let error = registry(&stub.host).repositories().unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

#[test]
fn e111_a_tag_is_deleted_as_a_tag_and_never_as_a_digest() {
    let stub = fake::registry(Profile::NEW);
    let remote = remote(&stub.host);
    remote.push_manifest(&image(None), Entry::Root(&names(&["v1", "v2"]))).unwrap();
    remote.untag(&"v1".into()).unwrap();
    assert_eq!(remote.names().unwrap(), names(&["v2"]));
    assert!(remote.untag(&"v1".into()).unwrap_err().is_not_found());
    for status in [400, 405] {
        let stub = Stub::new(move |_| Response::new(status));
        let error = crate::support::remote(&stub.host).untag(&"v1".into()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        assert_eq!(stub.log(), ["DELETE /v2/library/app/manifests/v1"]);
    }
}

#[test]
fn lists_of_referrers_are_names_but_no_roots() {
    let stub = fake::registry(Profile::OLD);
    let remote = remote(&stub.host);
    remote.push_manifest(&image(None), Entry::Root(&names(&["v1"]))).unwrap();
    let signature = image(Some(image(None).descriptor()));
    remote.push_manifest(&signature, Entry::Root(&names(&["signature"]))).unwrap();
    assert_eq!(remote.names().unwrap().len(), 3);
    let roots = remote.roots().unwrap();
    assert_eq!(roots.iter().map(|root| root.names.len()).sum::<usize>(), 2);
}

#[test]
fn a_list_that_is_cut_off_is_read_again() {
    let count = std::sync::Mutex::new(0);
    let stub = Stub::new(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let list = Response::ok(r#"{"name": "x", "tags": ["a", "b"]}"#);
        if *count == 1 { list.cut_after(20) } else { list }
    });
    assert_eq!(remote(&stub.host).names().unwrap(), names(&["a", "b"]));
    assert_eq!(stub.log().len(), 2);
}
