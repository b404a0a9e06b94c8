//! Lists, and deleting (rows E-100 to E-112).

use longshore_remote::{Client, Config, Limits, RegistryCatalog};
use longshore_spec::{Descriptor, Digest, MediaType};
use longshore_store::{
    Entry, Error, Name, Repository as _, Source as _, SourcePlace as _, Target as _,
};
use serde_json::json;

use crate::fake::{self, Profile};
use crate::stub::{Request, Response, Stub};
use crate::support::{config, image, registry, remote};

fn names(tags: &[&str]) -> Vec<Name> {
    tags.iter().map(|tag| Name::from(*tag)).collect()
}

#[test]
fn e101_pages_are_followed_whatever_their_length() {
    let page = |tags: &[&str]| Response::ok(json!({"name": "x", "tags": tags}).to_string());
    let stub = Stub::new(move |request| match request.param("last").as_deref() {
        None => page(&["b"]).header("link", "</v2/library/app/tags/list?last=b&n=2>; rel=next"),
        // Some registries repeat the tag itself.
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
fn pages_that_lead_round_in_a_circle_are_an_error() {
    for circle in [1, 2, 3] {
        let stub = Stub::new(move |request| {
            let page: usize = request.param("page").map_or(0, |page| page.parse().unwrap());
            let next = format!("</v2/library/app/tags/list?page={}>; rel=next", page % circle + 1);
            Response::ok(json!({"tags": [format!("t{page}")]}).to_string()).header("link", next)
        });
        let error = remote(&stub.host).names().unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        let expected = format!(
            "its page {}, http://{}/v2/library/app/tags/list, leads back",
            circle + 1,
            stub.host
        );
        assert!(error.to_string().contains(&expected), "{error}");
        assert_eq!(stub.log().len(), circle + 1);
    }
}

#[test]
fn pages_that_bring_nothing_new_are_an_error() {
    for tags in [json!(["a"]), json!([])] {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let stub = Stub::new(move |_| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let link = format!("<list?page={number}>; rel=next");
            Response::ok(json!({"tags": tags}).to_string()).header("link", link)
        });
        let error = remote(&stub.host).names().unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert!(stub.log().len() < 20);
    }
}

#[test]
fn a_list_without_end_is_refused() {
    let limits = |limits: Limits| Config { limits, ..config() };
    for (config, bound) in [
        (limits(Limits { list_entries: 5000, ..Limits::default() }), "5000 entries"),
        (limits(Limits { list_bytes: 50_000, ..Limits::default() }), "50000 bytes"),
        (limits(Limits { list_pages: 7, ..Limits::default() }), "7 pages"),
        (limits(Limits { list_page_bytes: 1000, ..Limits::default() }), "1000 bytes"),
    ] {
        for path in ["tags/list", "_catalog"] {
            let count = std::sync::atomic::AtomicUsize::new(0);
            let stub = Stub::new(move |request| {
                let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let names: Vec<_> = (0..500).map(|each| format!("t{number}-{each}")).collect();
                Response::ok(json!({"tags": names, "repositories": names}).to_string())
                    .header("link", format!("<{}?p={number}>; rel=next", request.path()))
            });
            let registry = Client::new(&config).unwrap().registry(&stub.host).unwrap();
            let error = if path == "_catalog" {
                registry.repositories().unwrap_err()
            } else {
                registry.remote_repository(&"library/app".parse().unwrap()).names().unwrap_err()
            };
            assert!(matches!(error, Error::Limit { .. }), "{error}");
            let text = error.to_string();
            let named = if path == "_catalog" { "repositories of" } else { "tags of" };
            assert!(text.contains(named) && text.ends_with(bound), "{text}");
        }
    }
}

#[test]
fn a_size_that_is_refused_in_any_words_is_not_asked_for_again() {
    for status in [400, 403, 404, 405, 413, 422, 500] {
        for most in [0, 100] {
            let stub = Stub::new(move |request| {
                let size = request.param("n").map_or(0, |size| size.parse().unwrap());
                if size > most {
                    return Response::new(status)
                        .body(r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}"#);
                }
                Response::ok(r#"{"tags":["a"],"repositories":["b"]}"#)
            });
            assert_eq!(remote(&stub.host).names().unwrap(), names(&["a"]), "{status} {most}");
            let found = registry(&stub.host).repositories().unwrap();
            assert_eq!(found, ["b".parse().unwrap()], "{status} {most}");
            assert!(stub.log().len() <= 6, "{status} {most}: {:?}", stub.log());
        }
    }
    // A refusal of a request without a size is final.
    for status in [400, 403, 500] {
        let stub = Stub::new(move |_| Response::new(status));
        assert!(remote(&stub.host).names().is_err(), "{status}");
    }
    let stub = Stub::new(|_| Response::new(404));
    assert_eq!(remote(&stub.host).names().unwrap(), []);
}

#[test]
fn what_is_no_text_keeps_nothing_from_the_others() {
    let stub = Stub::new(|request| match request.path() {
        path if path.ends_with("/list") => Response::ok(r#"{"tags":["a",5,null,"b"]}"#),
        _ => Response::ok("\u{feff}{\"repositories\":[\"a\",5,\"B\",null,\"../x\",\"\",\"b\"]}"),
    });
    assert_eq!(remote(&stub.host).names().unwrap(), names(&["5", "a", "b", "null"]));
    let RegistryCatalog { repositories, others } = registry(&stub.host).catalog().unwrap();
    assert_eq!(repositories, ["a", "b"].map(|name| name.parse().unwrap()));
    let others: Vec<_> = others.iter().map(ToString::to_string).collect();
    assert_eq!(others.len(), 5, "{others:?}");
    assert!(others.contains(&"`null` is no text".to_owned()), "{others:?}");
    assert!(others.iter().any(|other| other.starts_with("`B` is not a")), "{others:?}");
}

#[test]
fn many_tags_are_listed() {
    const TAGS: usize = 20_000;
    let stub = Stub::new(move |request| {
        let from: usize = request.param("from").map_or(0, |from| from.parse().unwrap());
        let to = (from + 1000).min(TAGS);
        let tags: Vec<_> = (from..to).map(|each| format!("v1.{each}")).collect();
        let page = Response::ok(json!({"tags": tags}).to_string());
        let link = format!("</v2/library/app/tags/list?from={to}>; rel=next");
        if to < TAGS { page.header("link", link) } else { page }
    });
    assert_eq!(remote(&stub.host).names().unwrap().len(), TAGS);
}

/// A registry whose lists are `page`.
fn listed(request: &Request, names: &[&str]) -> Response {
    if request.path().contains("/referrers/") {
        let entries: Vec<_> =
            names.iter().map(|name| Descriptor::of("a/b", name.as_bytes())).collect();
        let list =
            json!({"schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": entries});
        return Response::ok(list.to_string());
    }
    Response::ok(json!({"name": "x", "tags": names, "repositories": names}).to_string())
}

/// Returns the number of entries of each of the three lists.
fn lengths(host: &str) -> [Result<usize, Error>; 3] {
    let registry = registry(host);
    let remote = remote(host);
    [
        remote.names().map(|all| all.len()),
        registry.repositories().map(|all| all.len()),
        remote.referrers(&Digest::sha256("x")).map(|all| all.entries.len()),
    ]
}

#[test]
fn e101_a_list_that_is_not_whole_is_an_error() {
    for status in [400, 401, 403, 404, 405, 410, 416, 500] {
        let stub = Stub::new(move |request| match request.param("page") {
            None => listed(request, &["a"])
                .header("link", format!("<{}?page=2>; rel=next", request.path())),
            Some(_) => Response::new(status),
        });
        for length in lengths(&stub.host) {
            let error = length.unwrap_err();
            let is_about_list =
                !matches!(error, Error::NotFound { .. } | Error::Unsupported { .. });
            assert!(is_about_list && error.to_string().contains(&status.to_string()), "{error}");
        }
    }
}

#[test]
fn e103_links_of_every_form_are_followed() {
    for link in [
        "<PATH?page=2>; rel=\"next\"",
        "<PATH?page=2>;rel=next",
        "<PATH?page=2>; title=\"x, y; rel=prev\"; rel='next'",
        "<PATH?page=9>; rel=\"prev\", <PATH?page=2>; rel=\"last next\"",
        "<?page=2>; rel=next",
        "<http://HOST/PATH?page=2>; rel=next",
        "<https://HOST/PATH?page=2>; rel=next",
        "<//registry.internal:5000/PATH?page=2>; rel=next",
        "<https://registry.internal/PATH?page=2>; rel=next",
        "PATH?page=2; rel=\"next\"",
    ] {
        let stub = Stub::new(move |request| match request.param("page").as_deref() {
            None => {
                let link = link.replace("HOST", request.header("host").unwrap());
                let link = link.replace("/PATH", request.path()).replace("PATH", request.path());
                listed(request, &["a"]).header("link", link)
            }
            Some("2") => listed(request, &["b"]),
            Some(_) => Response::new(500),
        });
        for length in lengths(&stub.host) {
            assert_eq!(length.unwrap(), 2, "{link}");
        }
    }
}

#[test]
fn a_page_size_that_is_refused_is_made_smaller() {
    for status in [400, 405, 413, 416, 422] {
        for most in [None, Some(100), Some(999)] {
            let stub = Stub::new(move |request| {
                let size = request.param("n").map(|n| n.parse::<usize>().unwrap());
                if size.is_none_or(|size| most.is_some_and(|most| size <= most)) {
                    return listed(request, &["a", "b"]);
                }
                let said = r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"no"}]}"#;
                Response::new(status).body(said)
            });
            for length in lengths(&stub.host) {
                assert_eq!(length.unwrap(), 2, "{status} above {most:?}");
            }
        }
    }
    // A registry that refuses every list is asked three times, and its error is reported.
    let stub = Stub::new(|_| Response::new(400).body("no lists here"));
    let error = remote(&stub.host).names().unwrap_err();
    assert!(error.to_string().contains("no lists here"), "{error}");
    assert_eq!(stub.log().len(), 3);
    // Without links, the next pages have the size that worked.
    let tags: Vec<String> = (0..250).map(|number| format!("t{number:03}")).collect();
    let stub = Stub::new(move |request| {
        let size: usize = request.param("n").unwrap().parse().unwrap();
        if size > 100 {
            return Response::new(400);
        }
        let last = request.param("last").unwrap_or_default();
        let page: Vec<_> = tags.iter().filter(|tag| **tag > last).take(size).collect();
        Response::ok(json!({"tags": page}).to_string())
    });
    assert_eq!(remote(&stub.host).names().unwrap().len(), 250);
}

#[test]
fn an_empty_list_has_many_forms() {
    for body in [
        r#"{"name":"x","tags":null,"repositories":null,"schemaVersion":2,"manifests":null}"#,
        r#"{"name":"x","tags":[],"repositories":[],"schemaVersion":2,"manifests":[]}"#,
        r#"{"name":"x","schemaVersion":2}"#,
    ] {
        let stub = Stub::new(move |request| {
            let is_index = request.path().contains("/referrers/");
            let media_type = if is_index { MediaType::IMAGE_INDEX } else { "application/json" };
            Response::ok(body).header("content-type", media_type)
        });
        for length in lengths(&stub.host) {
            assert_eq!(length.unwrap(), 0, "{body}");
        }
    }
}

#[test]
fn e100_a_repository_that_does_not_exist_is_empty() {
    let empty = Response::ok(r#"{"name": "x", "tags": null}"#);
    for (answer, is_there) in [(Response::new(404), false), (empty, true)] {
        let stub = Stub::new(move |_| answer.clone());
        let remote = remote(&stub.host);
        assert!(remote.names().unwrap().is_empty());
        assert_eq!(remote.has_tag_list().unwrap(), is_there);
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

/// A registry of so many tags that share a manifest with `shared - 1` others each, and that refuses the
/// GET requests for tags after the first `answered`.
fn tagged(count: usize, shared: usize, answered: usize) -> Stub {
    let gets = std::sync::atomic::AtomicUsize::new(0);
    Stub::new(move |request| {
        let Some((_, tag)) = request.path().split_once("/manifests/t") else {
            let tags: Vec<_> = (0..count).map(|number| format!("t{number:04}")).collect();
            return Response::ok(json!({"tags": tags}).to_string());
        };
        if request.method == "GET"
            && gets.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= answered
        {
            return Response::new(429);
        }
        let number = tag.parse::<usize>().unwrap() / shared;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::IMAGE_MANIFEST,
            "config": Descriptor::empty(),
            "layers": [],
            "annotations": {"number": number.to_string()},
        });
        let manifest = manifest.to_string();
        Response::ok(manifest.clone())
            .header("content-type", MediaType::IMAGE_MANIFEST)
            .header("docker-content-digest", Digest::sha256(manifest))
    })
}

#[test]
fn tags_with_a_manifest_each_take_one_request_each_after_the_first_hundred() {
    let stub = tagged(450, 1, usize::MAX);
    assert_eq!(remote(&stub.host).roots().unwrap().len(), 450);
    assert_eq!((stub.count("HEAD"), stub.count("GET")), (100, 451));
}

#[test]
fn tags_that_share_manifests_are_looked_up_by_head_and_each_manifest_is_pulled_once() {
    let stub = tagged(450, 3, usize::MAX);
    assert_eq!(remote(&stub.host).roots().unwrap().len(), 150);
    assert_eq!((stub.count("HEAD"), stub.count("GET")), (450, 151));
}

#[test]
fn a_registry_that_lets_nobody_pull_any_more_still_says_what_tags_stand_for() {
    let stub = tagged(450, 1, 250);
    let known = remote(&stub.host).known_roots().unwrap();
    assert_eq!((known.roots.len(), known.unknown.len()), (450, 0));
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
