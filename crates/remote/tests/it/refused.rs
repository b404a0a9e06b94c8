//! Registries that refuse uploads: by some methods, or until something else is done.

use std::sync::Mutex;

use longshore_spec::Digest;
use longshore_store::{Entry, Error, Source as _, Target as _};
use serde_json::json;

use crate::push::{named, of};
use crate::stub::{Request, Response, Stub};
use crate::support::{Piece, image, noise, remote};

/// A registry that accepts content as `takes` says, and stores it.
fn picky(takes: impl Fn(&Request) -> Option<u16> + Send + Sync + 'static) -> Stub {
    let (blob, count) = (Mutex::new(Vec::new()), Mutex::new(0));
    Stub::new(move |request| {
        if let Some(status) = takes(request) {
            return Response::new(status).body(r#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#);
        }
        let mut blob = blob.lock().unwrap();
        match request.method.as_str() {
            "POST" => {
                blob.clear();
                let mut count = count.lock().unwrap();
                *count += 1;
                // By its path alone, as a whole, or with a query.
                let host = request.header("host").unwrap();
                let location = match *count % 3 {
                    0 => format!("http://{host}/v2/library/app/blobs/uploads/{count}"),
                    1 => format!("/v2/library/app/blobs/uploads/{count}?_state=a%2Bb%3D"),
                    _ => format!("{count}?x"),
                };
                Response::new(202).header("location", location)
            }
            "PATCH" => {
                blob.extend_from_slice(&request.body);
                Response::new(202).header("location", &request.target)
            }
            "PUT" => {
                blob.extend_from_slice(&request.body);
                let digest = request.param("digest").unwrap();
                let is_right = Digest::sha256(&*blob).to_string() == digest;
                Response::new(if is_right { 201 } else { 400 })
            }
            _ => Response::new(404),
        }
    })
}

#[test]
fn content_that_is_refused_with_put_goes_with_patch() {
    for status in [400, 403, 404, 405, 411, 415, 416, 422, 501, 505] {
        for length in [7, 200_000, 5_000_000] {
            // A client that may not open an upload may not write.
            let stub = picky(move |request| {
                let is_opening = status == 403 && request.method == "POST";
                let is_content = request.method != "PATCH" && !request.body.is_empty();
                (is_content && !is_opening).then_some(status)
            });
            let remote = remote(&stub.host);
            remote.push_blob(&Piece::new(noise(length))).unwrap();
            let patches = of(&stub, "PATCH");
            assert_eq!(patches.len(), 1, "{status} {length}");
            assert_eq!(patches[0].header("content-range"), None);
            // The next upload uses the method that worked.
            let before = stub.count("PUT");
            remote.push_blob(&Piece::new(noise(length + 1))).unwrap();
            assert_eq!((stub.count("PUT"), stub.count("PATCH")), (before + 1, 2), "{status}");
        }
    }
}

#[test]
fn content_that_is_refused_in_one_piece_goes_in_chunks() {
    for status in [400, 404, 405, 413, 416, 501] {
        let stub = picky(move |request| {
            let is_whole = request.method == "PATCH" && request.header("content-range").is_none();
            let is_content = request.method == "PUT" && !request.body.is_empty();
            (is_whole || is_content).then_some(status)
        });
        remote(&stub.host).push_blob(&Piece::new(noise(5_000_000))).unwrap();
        let numbered = of(&stub, "PATCH");
        let numbered = numbered.iter().filter(|each| each.header("content-range").is_some());
        assert_eq!(numbered.count(), 2, "{status}");
    }
}

#[test]
fn chunks_that_are_too_long_are_halved() {
    let takes = |most: usize| picky(move |request| (request.body.len() > most).then_some(413));
    let stub = takes(1 << 20);
    let remote_of = remote(&stub.host);
    let numbered = || of(&stub, "PATCH").iter().filter(|each| each.body.len() <= 1 << 20).count();
    remote_of.push_blob(&Piece::new(noise(5_000_000))).unwrap();
    assert_eq!((numbered(), stub.count("PATCH")), (5, 7));
    // The next upload uses the chunk size that worked.
    remote_of.push_blob(&Piece::new(noise(5_000_001))).unwrap();
    assert_eq!((numbered(), stub.count("PATCH")), (10, 12));
    // A blob that is shorter than a chunk is halved, too; if nothing is accepted, the error is reported.
    remote(&takes(100_000).host).push_blob(&Piece::new(noise(200_000))).unwrap();
    let error = remote(&takes(1000).host).push_blob(&Piece::new(noise(200_000))).unwrap_err();
    assert!(error.to_string().contains("answered 413"), "{error}");
}

#[test]
fn a_registry_that_fails_with_put_gets_the_content_with_patch() {
    for status in [500, 502, 504] {
        let stub = picky(move |request| {
            (request.method == "PUT" && !request.body.is_empty()).then_some(status)
        });
        remote(&stub.host).push_blob(&Piece::new(noise(200_000))).unwrap();
        assert_eq!((stub.count("PUT"), stub.count("PATCH")), (3, 1), "{status}");
    }
}

#[test]
fn a_registry_that_hangs_up_on_put_gets_the_content_with_patch() {
    let hangs_up = |request: &Request| request.method == "PUT" && !request.body.is_empty();
    let inner = picky(|_| None);
    let stub = Stub::new(move |request| {
        if hangs_up(request) { Response::hang_up() } else { inner.answer(request, &request.target) }
    });
    let remote = remote(&stub.host);
    remote.push_blob(&Piece::new(noise(200_000))).unwrap();
    assert_eq!((stub.count("PUT"), stub.count("PATCH")), (3, 1));
    remote.push_blob(&Piece::new(noise(200_001))).unwrap();
    assert_eq!((stub.count("PUT"), stub.count("PATCH")), (4, 2));
}

#[test]
fn who_may_write_nothing_is_told_so() {
    for status in [401, 403] {
        let stub = picky(move |request| (!request.body.is_empty()).then_some(status));
        let error = remote(&stub.host).push_blob(&Piece::new(noise(200_000))).unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{status}: BLOB_UNKNOWN")), "{error}");
    }
}

#[test]
fn of_several_refusals_the_first_is_told() {
    let stub = picky(|request| match request.method.as_str() {
        "PUT" => Some(400),
        "PATCH" => Some(405),
        _ => None,
    });
    let error = remote(&stub.host).push_blob(&Piece::new(noise(200_000))).unwrap_err();
    assert!(error.to_string().contains("answered 400: BLOB_UNKNOWN"), "{error}");
}

#[test]
fn what_a_registry_says_of_a_repository_that_is_not_there_is_told() {
    const WORDS: &str = "The repository with name 'library/app' does not exist";
    for (status, code) in [(404, "NAME_UNKNOWN"), (403, "DENIED"), (400, "NAME_INVALID")] {
        let refuses = move |request: &Request| {
            let said = json!({"errors": [{"code": code, "message": WORDS}]}).to_string();
            (request.method != "GET" && request.method != "HEAD")
                .then(|| Response::new(status).body(said))
        };
        let stub = Stub::new(move |request| refuses(request).unwrap_or(Response::new(404)));
        let remote = remote(&stub.host);
        let mut mounted = Piece::new(noise(7));
        mounted.location =
            remote.registry().remote_repository(&"other/app".parse().unwrap()).location();
        let signature = image(Some(image(None).descriptor()));
        for error in [
            remote.push_blob(&Piece::new("small")).unwrap_err(),
            remote.push_blob(&Piece::new(noise(100_000))).unwrap_err(),
            remote.push_blob(&mounted).unwrap_err(),
            remote.push_manifest(&image(None), Entry::Root(&named(&["v1"]))).unwrap_err(),
            remote.push_manifest(&image(None), Entry::Child).unwrap_err(),
            remote.push_manifest(&signature, Entry::Child).unwrap_err(),
        ] {
            assert!(error.to_string().contains(WORDS), "{error}");
            assert!(matches!(error, Error::Refused { .. } | Error::Denied { .. }), "{error}");
        }
    }
    // The list of referrers has a tag of its own.
    let stub = Stub::new(|request| match request.method.as_str() {
        "PUT" if request.path().contains("/manifests/sha256-") => {
            let said = json!({"errors": [{"code": "NAME_UNKNOWN", "message": WORDS}]});
            Response::new(404).body(said.to_string())
        }
        "PUT" => Response::new(201),
        _ => Response::new(404),
    });
    let signature = image(Some(image(None).descriptor()));
    let error = remote(&stub.host).push_manifest(&signature, Entry::Child).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(WORDS), "{error}");
}

#[test]
fn e44_another_status_than_201_is_looked_into() {
    for (status, there, length) in
        [(200, true, 7), (202, true, 100_000), (202, false, 7), (200, false, 100_000)]
    {
        let stub = Stub::new(move |request| match request.method.as_str() {
            "POST" => Response::new(202).header("location", "/up"),
            "PUT" => Response::new(status),
            "HEAD" if there => Response::ok(noise(length)),
            _ => Response::new(404),
        });
        let pushed = remote(&stub.host).push_blob(&Piece::new(noise(length)));
        assert_eq!(pushed.is_ok(), there, "{status}: {pushed:?}");
    }
}
