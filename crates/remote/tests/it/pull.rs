//! Pulling (rows E-20 to E-31).

use std::io::Read as _;
use std::sync::Mutex;

use longshore_spec::{Descriptor, Digest, ManifestError, MediaType, Role};
use longshore_store::{Entry, Error, Held, Name, Selector, Source as _, Target as _, Verifying};
use serde_json::json;

use crate::fake::{self, Profile, ranged};
use crate::stub::{Request, Response, Stub};
use crate::support::{Piece, image, noise, remote};

fn by_name() -> Selector {
    Selector::Name("v1".into())
}

/// A registry that answers requests for a manifest with `response`.
fn serving(response: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    Stub::new(response)
}

fn serving_image(media_type: &'static str, digest: Option<Digest>) -> Stub {
    serving(move |_| {
        let response = Response::ok(image(None).raw().clone()).header("content-type", media_type);
        match &digest {
            Some(digest) => response.header("Docker-Content-Digest", digest),
            None => response,
        }
    })
}

#[test]
fn e20_every_type_of_manifest_is_accepted() {
    let stub = serving_image(MediaType::IMAGE_MANIFEST, None);
    let found = remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(found.raw(), image(None).raw());
    assert_eq!(found.descriptor(), image(None).descriptor());
    let accept = stub.requests()[0].header("accept").unwrap().to_owned();
    for media_type in [
        MediaType::IMAGE_MANIFEST,
        MediaType::IMAGE_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_LIST,
    ] {
        assert!(accept.split(", ").any(|each| each == media_type), "{accept}");
    }
    assert!(!accept.contains("*/*"));
}

#[test]
fn e22_parameters_of_the_type_are_ignored() {
    let stub = serving_image("application/vnd.oci.image.manifest.v1+json; charset=utf-8", None);
    let found = remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(found.descriptor().media_type.as_str(), MediaType::IMAGE_MANIFEST);
}

#[test]
fn e23_what_a_manifest_is_its_content_decides() {
    let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
    let bare = json!({"schemaVersion": 2, "config": Descriptor::empty(), "layers": []}).to_string();
    let own = String::from_utf8(image(None).raw().to_vec()).unwrap();
    for (document, sent, expected) in [
        (own, MediaType::IMAGE_INDEX, MediaType::IMAGE_MANIFEST),
        (bare.clone(), MediaType::IMAGE_INDEX, MediaType::IMAGE_MANIFEST),
        (index.clone(), MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX),
        // If the manifest does not name its type, the header does.
        (bare, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST),
        (index, MediaType::DOCKER_LIST, MediaType::DOCKER_LIST),
    ] {
        let digest = Digest::sha256(&document);
        let stub = Stub::new(move |_| Response::ok(document.clone()).header("content-type", sent));
        for selector in [by_name(), Selector::Digest(digest)] {
            let found = remote(&stub.host).manifest(&selector).unwrap();
            assert_eq!(found.descriptor().media_type.as_str(), expected);
        }
    }
}

#[test]
fn b32_the_digest_vouches_for_the_type_of_its_descriptor() {
    let stub = serving_image("application/octet-stream", None);
    let found = remote(&stub.host).child(image(None).descriptor()).unwrap();
    assert_eq!(found.descriptor(), image(None).descriptor());
    // Without a descriptor, the document decides its type.
    let found = remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(found.descriptor().media_type.as_str(), MediaType::IMAGE_MANIFEST);
}

#[test]
fn e24_a_digest_that_is_claimed_is_taken_where_it_is_right() {
    let own = image(None).descriptor().digest.clone();
    for wrong in [Digest::sha256("another"), Digest::sha512("another")] {
        let stub = serving_image(MediaType::IMAGE_MANIFEST, Some(wrong));
        let remote = remote(&stub.host);
        let actual = remote.manifest(&by_name()).unwrap().descriptor().digest.clone();
        assert_eq!(actual, actual.recompute(image(None).raw()).unwrap());
        for found in [remote.manifest(&own.clone().into()), remote.child(image(None).descriptor())]
        {
            assert_eq!(found.unwrap().descriptor().digest, own, "what was asked for came");
        }
        assert_eq!(remote.head(&own.clone().into()).unwrap(), *image(None).descriptor());
        assert_eq!(remote.held(image(None).descriptor(), Role::Manifest).unwrap(), Held::Whole);
    }
    let sha512 = Digest::sha512(image(None).raw());
    let stub = serving_image(MediaType::IMAGE_MANIFEST, Some(sha512.clone()));
    let found = remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(found.descriptor().digest, sha512);
    let asked = image(None).descriptor().digest.clone();
    let found = remote(&stub.host).manifest(&asked.clone().into()).unwrap();
    assert_eq!(found.descriptor().digest, asked, "both are right, and one was asked for");
}

#[test]
fn e25_other_content_than_what_was_asked_for_is_refused() {
    let stub = serving_image(MediaType::IMAGE_MANIFEST, None);
    let error = remote(&stub.host).manifest(&Digest::sha256("another").into()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn c30_a_manifest_of_any_length_is_not_read() {
    let stub = serving(|_| {
        Response::ok(vec![b' '; 9 << 20]).header("content-type", MediaType::IMAGE_MANIFEST)
    });
    let error = remote(&stub.host).manifest(&by_name()).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn g06_schema_1_is_refused_and_not_called_corrupt() {
    for media_type in [MediaType::DOCKER_SCHEMA1_SIGNED, "application/json"] {
        let stub = serving(move |_| {
            Response::ok(r#"{"schemaVersion": 1, "fsLayers": []}"#)
                .header("content-type", media_type)
                .header(
                    "docker-content-digest",
                    Digest::sha256(if media_type.len() > 20 {
                        ""
                    } else {
                        r#"{"schemaVersion": 1, "fsLayers": []}"#
                    }),
                )
        });
        let error = remote(&stub.host).manifest(&by_name()).unwrap_err();
        let schema1 = matches!(error, Error::Manifest { source: ManifestError::Schema1, .. });
        assert!(schema1, "{error}");
    }
}

#[test]
fn e29_a_head_is_enough_if_it_says_all() {
    let digest = image(None).descriptor().digest.clone();
    let stub = serving_image(MediaType::IMAGE_MANIFEST, Some(digest));
    let remote = remote(&stub.host);
    for _ in 0..3 {
        assert_eq!(remote.head(&by_name()).unwrap(), *image(None).descriptor());
    }
    // HEAD is checked once.
    assert_eq!((stub.count("HEAD"), stub.count("GET")), (3, 1));
    let digest = image(None).descriptor().digest.clone();
    assert_eq!(remote.head(&digest.into()).unwrap(), *image(None).descriptor());
    assert_eq!((stub.count("HEAD"), stub.count("GET")), (4, 1));
}

#[test]
fn e29_a_head_that_says_something_else_is_found_out() {
    let own = image(None).descriptor().clone();
    let (length, digest) = (own.size.to_string(), own.digest.to_string());
    let other = Digest::sha256("another").to_string();
    for (length, media_type, named) in [
        (length.as_str(), MediaType::IMAGE_MANIFEST, other.as_str()),
        (&length, MediaType::IMAGE_INDEX, &digest),
        ("17", MediaType::IMAGE_MANIFEST, &digest),
    ] {
        let head = Response::new(200)
            .header("content-length", length)
            .header("content-type", media_type)
            .header("docker-content-digest", named);
        let stub = headed(move |_| head.clone());
        let remote = remote(&stub.host);
        assert_eq!(remote.head(&by_name()).unwrap(), own);
        assert_eq!(remote.roots().unwrap()[0].descriptor, own);
        assert_eq!(remote.head(&own.digest.clone().into()).unwrap(), own);
        assert_eq!(stub.count("HEAD"), 1, "it is not asked again");
    }
    // A GET that is refused proves nothing, and is not repeated.
    let digest = image(None).descriptor().digest.clone();
    let stub = serving(move |request| match request.method.as_str() {
        "HEAD" => Response::ok(image(None).raw().clone())
            .header("content-type", MediaType::IMAGE_MANIFEST)
            .header("docker-content-digest", &digest),
        _ => Response::new(429),
    });
    let found = remote(&stub.host).head(&by_name()).unwrap();
    assert_eq!(found, *image(None).descriptor());
    assert_eq!(stub.count("GET"), 1);
}

#[test]
fn e29_what_head_says_of_each_tag_is_found_out_by_its_content() {
    let (own, other) = (image(None), image(Some(image(None).descriptor())));
    let right = own.descriptor();
    for (length, media_type, named) in [
        (right.size, MediaType::IMAGE_MANIFEST, Digest::sha256("another")),
        (right.size, MediaType::IMAGE_MANIFEST, other.descriptor().digest.clone()),
        (17, MediaType::IMAGE_MANIFEST, right.digest.clone()),
        (right.size, MediaType::IMAGE_INDEX, right.digest.clone()),
    ] {
        let (all, said) = ([own.clone(), other.clone()], named.clone());
        let stub = Stub::new(move |request| {
            let reference = request.path().rsplit('/').next().unwrap();
            let found = match reference {
                "list" => return Response::ok(r#"{"tags":["a","b","c"]}"#),
                "a" => &all[1],
                "b" | "c" => &all[0],
                digest => {
                    match all.iter().find(|it| it.descriptor().digest.to_string() == digest) {
                        Some(found) => found,
                        None => return Response::new(404),
                    }
                }
            };
            let response = Response::ok(found.raw().clone());
            let descriptor = found.descriptor();
            if request.method == "HEAD" && reference != "a" {
                return response
                    .header("content-length", length)
                    .header("content-type", media_type)
                    .header("docker-content-digest", &said);
            }
            response
                .header("content-type", MediaType::IMAGE_MANIFEST)
                .header("docker-content-digest", &descriptor.digest)
        });
        let remote = remote(&stub.host);
        let mut roots = remote.roots().unwrap();
        roots.sort_by(|a, b| a.names.cmp(&b.names));
        let found: Vec<_> = roots.iter().map(|root| (&root.descriptor, &root.names)).collect();
        let names: [&[Name]; 2] = [&["a".into()], &["b".into(), "c".into()]];
        assert_eq!(found[0], (other.descriptor(), &names[0].to_vec()), "{named}");
        assert_eq!(found[1], (right, &names[1].to_vec()), "{named}");
        // A manifest that was read for the check is returned without another request.
        let before = stub.log().len();
        assert_eq!(remote.child(right).unwrap().raw(), own.raw());
        assert_eq!(stub.log().len(), before);
    }
}

#[test]
fn e30_a_head_that_says_too_little_is_followed_by_a_get() {
    let no_digest = serving_image(MediaType::IMAGE_MANIFEST, None);
    let no_type = serving_image("text/plain", Some(image(None).descriptor().digest.clone()));
    let no_head = serving(|request| match request.method.as_str() {
        "HEAD" => Response::new(405),
        _ => Response::ok(image(None).raw().clone()),
    });
    for stub in [no_digest, no_type, no_head] {
        let found = remote(&stub.host).head(&by_name()).unwrap();
        assert_eq!(found, *image(None).descriptor());
        assert_eq!(stub.log().len(), 2);
    }
}

/// A registry that answers HEAD as `head` says, and has the image and a blob.
fn headed(head: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Stub {
    Stub::new(move |request| match request.method.as_str() {
        "HEAD" => head(request),
        _ if request.path().contains("/manifests/") => Response::ok(image(None).raw().clone())
            .header("content-type", MediaType::IMAGE_MANIFEST),
        _ if request.path().starts_with("/signed") || request.path().contains("/blobs/") => {
            first(request, &noise(1000))
        }
        _ => Response::ok(json!({"name": "x", "tags": ["v1"]}).to_string()),
    })
}

/// Answers with the requested range, by its first and last byte.
fn first(request: &Request, blob: &[u8]) -> Response {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    match range.and_then(|range| range.split_once('-')) {
        Some(("0", "0")) => Response::new(206)
            .header("content-range", format!("bytes 0-0/{}", blob.len()))
            .body(&blob[..1]),
        _ => ranged(request, blob),
    }
}

#[test]
fn e30_a_head_that_is_refused_or_fails_says_nothing() {
    for status in [400, 401, 403, 404, 405, 406, 410, 429, 500, 501, 502, 503] {
        let stub = headed(move |_| Response::new(status));
        reads(&stub);
        let heads = stub.requests().iter().filter(|each| each.method == "HEAD").count();
        assert!(heads < 10, "{status}: {heads}");
    }
    reads(&headed(|_| Response::hang_up()));
    // To an address that is signed for GET.
    reads(&headed(|request| {
        if request.path().starts_with("/signed") {
            return Response::new(403);
        }
        Response::new(307).header("location", "/signed/manifests/?X-Amz-Signature=1")
    }));
    reads(&headed(|_| Response::new(429).header("retry-after", 0)));
    // To an unreachable host, or to no valid address.
    for location in ["http://127.0.0.1:1/x", "/v2/round", "ftp://x/y"] {
        reads(&headed(move |_| Response::new(307).header("location", location)));
    }
    // By a web site that has a page for every address.
    reads(&headed(|_| Response::ok("<html>").header("content-type", "text/html")));
    reads(&headed(|_| Response::new(200).header("content-type", MediaType::IMAGE_MANIFEST)));
}

/// Calls every method that begins with HEAD.
fn reads(stub: &Stub) {
    let (remote, own) = (remote(&stub.host), image(None).descriptor().clone());
    let blob = Descriptor::of("application/octet-stream", &noise(1000));
    assert_eq!(remote.head(&by_name()).unwrap(), own);
    assert_eq!(remote.head(&own.digest.clone().into()).unwrap(), own);
    assert_eq!(remote.roots().unwrap().len(), 1);
    assert_eq!(remote.blob(&blob.digest).unwrap(), blob);
    assert_eq!(remote.size(&blob).unwrap(), 1000);
    for request in stub.requests().iter().filter(|each| each.is("GET", "/blobs/")) {
        assert_eq!(request.header("range"), Some("bytes=0-0"), "nobody wants all of it");
    }
}

#[test]
fn e29_what_a_target_has_it_may_say_by_get() {
    let blob = Descriptor::of("application/octet-stream", &noise(1000));
    let manifest = image(None).descriptor().clone();
    for status in [400, 401, 403, 405, 500, 501] {
        let stub = headed(move |_| Response::new(status));
        let remote = remote(&stub.host);
        assert_eq!(remote.held(&blob, Role::Layer).unwrap(), Held::Whole, "{status}");
        assert_eq!(remote.held(&manifest, Role::Manifest).unwrap(), Held::Whole, "{status}");
        assert!(remote.lists(&manifest, &["v1".into()]).unwrap(), "{status}");
        assert_eq!(remote.stands_for(&"v1".into()).unwrap(), Some(manifest.digest.clone()));
    }
    // Nor is a blob whose address leads to an unreachable host.
    let stub = Stub::new(|_| Response::new(307).header("location", "http://127.0.0.1:1/x"));
    let other = remote(&stub.host);
    assert_eq!(other.held(&blob, Role::Layer).unwrap(), Held::Nothing);
    assert_eq!(other.held(&manifest, Role::Manifest).unwrap(), Held::Nothing);
    // Without a clear answer, content is sent, and the registry says what is wrong.
    for status in [403, 404, 405, 501] {
        let stub = Stub::new(move |_| Response::new(status));
        let remote = remote(&stub.host);
        assert_eq!(remote.held(&blob, Role::Layer).unwrap(), Held::Nothing, "{status}");
        assert_eq!(remote.held(&manifest, Role::Manifest).unwrap(), Held::Nothing, "{status}");
        assert_eq!(remote.stands_for(&"v1".into()).unwrap(), None, "{status}");
    }
}

#[test]
fn e29_of_two_lengths_the_content_has_one() {
    let blob = Descriptor::of("application/octet-stream", &noise(1000));
    let manifest = image(None).descriptor().clone();
    for length in ["0", "17", "99999"] {
        let claimed = manifest.digest.to_string();
        let stub = headed(move |_| {
            Response::new(200)
                .header("content-length", length)
                .header("content-type", MediaType::IMAGE_MANIFEST)
                .header("docker-content-digest", &claimed)
        });
        let remote = remote(&stub.host);
        assert_eq!(remote.held(&blob, Role::Layer).unwrap(), Held::Whole, "{length}");
        assert_eq!(remote.held(&manifest, Role::Manifest).unwrap(), Held::Whole, "{length}");
        assert!(remote.lists(&manifest, &["v1".into()]).unwrap(), "{length}");
        assert_eq!(remote.size(&blob).unwrap(), 1000, "{length}");
        let longer = Descriptor::new("a/b", blob.digest.clone(), 1001);
        assert_eq!(remote.held(&longer, Role::Layer).unwrap(), Held::Nothing, "{length}");
    }
}

#[test]
fn what_is_hashed_comes_as_it_is() {
    let stub = fake::registry(Profile::NEW);
    let remote = remote(&stub.host);
    remote.push_manifest(&image(None), Entry::Root(&["v1".into()])).unwrap();
    remote.push_blob(&Piece::new(noise(100_000))).unwrap();
    remote.manifest(&by_name()).unwrap();
    remote.names().unwrap();
    remote.referrers(&image(None).descriptor().digest).unwrap();
    for request in stub.requests() {
        assert_eq!(request.header("accept-encoding"), Some("identity"), "{request:?}");
    }
}

#[test]
fn e26_what_is_not_there_is_not_found() {
    let stub = serving(|_| Response::new(404));
    let remote = remote(&stub.host);
    let descriptor = Descriptor::of("a/b", b"x");
    assert!(remote.head(&by_name()).unwrap_err().is_not_found());
    assert!(remote.manifest(&by_name()).unwrap_err().is_not_found());
    assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    assert_eq!(remote.held(&descriptor, Role::Layer).unwrap(), Held::Nothing);
    assert_eq!(remote.held(&descriptor, Role::Manifest).unwrap(), Held::Nothing);
}

#[test]
fn a_manifest_that_is_cut_off_is_read_again() {
    let count = Mutex::new(0);
    let stub = serving(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let response = Response::ok(image(None).raw().clone());
        if *count == 1 { response.cut_after(10) } else { response }
    });
    remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(stub.log().len(), 2);
}

fn read_blob(stub: &Stub, blob: &[u8]) -> std::io::Result<Vec<u8>> {
    let (remote, descriptor) = (remote(&stub.host), Descriptor::of("a/b", blob));
    let mut content = Vec::new();
    let reader = remote.open(&descriptor, 0)?;
    Verifying::new(reader, &descriptor)?.read_to_end(&mut content)?;
    Ok(content)
}

/// A registry whose answers are cut after `step` bytes each, and changed by `alter`.
fn cutting(
    blob: &[u8],
    step: usize,
    alter: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
) -> Stub {
    let (blob, cuts) = (blob.to_vec(), Mutex::new(0));
    Stub::new(move |request| {
        let mut cuts = cuts.lock().unwrap();
        *cuts += 1;
        let answer = ranged(request, &blob);
        alter(request, if *cuts <= 3 { answer.cut_after(step) } else { answer })
    })
}

#[test]
fn e28_a_blob_goes_on_where_it_was_cut() {
    let blob = noise(1_000_000);
    let stub = cutting(&blob, 200_000, |_, answer| answer);
    assert!(read_blob(&stub, &blob).unwrap() == blob);
    let ranges: Vec<_> =
        stub.requests().iter().map(|each| each.header("range").map(str::to_owned)).collect();
    assert_eq!(
        ranges,
        [None, Some("bytes=200000-"), Some("bytes=400000-"), Some("bytes=600000-")]
            .map(|range| range.map(str::to_owned))
    );
}

#[test]
fn e28_a_server_without_ranges_sends_it_again() {
    let blob = noise(500_000);
    let whole = blob.clone();
    let count = Mutex::new(0);
    let stub = Stub::new(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        let answer = Response::ok(whole.clone());
        if *count == 1 { answer.cut_after(123_456) } else { answer }
    });
    assert!(read_blob(&stub, &blob).unwrap() == blob);
    assert_eq!(stub.log().len(), 2);
}

#[test]
fn e28_another_range_than_the_one_asked_for_is_not_appended() {
    let blob = noise(500_000);
    let whole = blob.clone();
    let count = Mutex::new(0);
    let stub = Stub::new(move |request| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => Response::ok(whole.clone()).cut_after(100_000),
            _ if request.header("range").is_some() => Response::new(206)
                .header("content-range", "bytes 7-499999/500000")
                .body(&whole[7..]),
            _ => Response::ok(whole.clone()),
        }
    });
    assert!(read_blob(&stub, &blob).unwrap() == blob);
    assert_eq!(stub.log().len(), 3);
}

#[test]
fn a_blob_that_never_goes_on_fails() {
    let blob = noise(1000);
    let whole = blob.clone();
    let stub = Stub::new(move |request| match request.header("range") {
        None => Response::ok(whole.clone()).cut_after(100),
        Some(_) => Response::new(206)
            .header("content-range", "bytes 100-999/1000")
            .body(&whole[100..])
            .cut_after(0),
    });
    assert!(read_blob(&stub, &blob).is_err());
    assert_eq!(stub.log().len(), 6);
}

#[test]
fn a_blob_that_is_said_to_be_longer_is_whole_when_all_has_come() {
    let stub = Stub::new(|_| Response::ok("hello").header("content-length", 500).cut_after(5));
    assert_eq!(read_blob(&stub, b"hello").unwrap(), b"hello");
    assert_eq!(stub.log().len(), 1);
}

#[test]
fn b05_a_blob_that_is_shorter_or_longer_is_not_taken_for_a_cut_one() {
    for served in [&b"hell"[..], b"hello!"] {
        let stub = Stub::new(move |_| Response::ok(served));
        let error = Error::from_io("read", "it", read_blob(&stub, b"hello").unwrap_err());
        assert!(matches!(error, Error::Size { .. }), "{error}");
        assert_eq!(stub.log().len(), 1);
    }
}

fn gzip(raw: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(raw, flate2::Compression::fast());
    encoder.read_to_end(&mut all).unwrap();
    all
}

/// Answers with an image, a list and blobs, encoded by `body` and named as `encoding`.
fn encoded(encoding: &'static str, body: fn(&[u8]) -> Vec<u8>) -> Stub {
    Stub::new(move |request| {
        let raw = match request.path() {
            path if path.contains("/manifests/") => image(None).raw().to_vec(),
            path if path.contains("/blobs/") => noise(100_000),
            _ => br#"{"name":"x","tags":["v1"]}"#.to_vec(),
        };
        Response::ok(body(&raw)).header("content-encoding", encoding)
    })
}

#[test]
fn what_comes_encoded_although_nobody_asked_is_decoded() {
    let blob = Descriptor::of("application/octet-stream", &noise(100_000));
    let read = |stub: &Stub| {
        let remote = remote(&stub.host);
        assert_eq!(remote.names()?, ["v1".into()]);
        assert_eq!(*remote.manifest(&by_name())?.descriptor(), *image(None).descriptor());
        remote.child(image(None).descriptor())?;
        let mut content = Vec::new();
        let mut reader = Verifying::new(remote.open(&blob, 0)?, &blob)?;
        reader.read_to_end(&mut content).map_err(|error| Error::from_io("read", "it", error))?;
        assert!(content == noise(100_000));
        // From any byte.
        let mut rest = Vec::new();
        remote.open(&blob, 99_999).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, noise(100_000)[99_999..]);
        Ok::<_, Error>(())
    };
    read(&encoded("gzip", gzip)).unwrap();
    read(&encoded("X-GZIP", gzip)).unwrap();
    // Content that is only named as encoded: object stores do that for content that is itself compressed.
    for encoding in ["gzip", "br", "identity"] {
        read(&encoded(encoding, <[u8]>::to_vec)).unwrap();
    }
    // Content that cannot be decoded is not called corrupt.
    let other: fn(&[u8]) -> Vec<u8> = |raw| [b"\x01", raw].concat();
    for (encoding, body) in [("br", other), ("gzip", other)] {
        let stub = encoded(encoding, body);
        let error = read(&stub).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        let mut content = Vec::new();
        let failed = match remote(&stub.host).open(&blob, 0) {
            Ok(mut reader) => {
                Error::from_io("read", "it", reader.read_to_end(&mut content).unwrap_err())
            }
            Err(error) => error,
        };
        let expected = format!("it comes encoded as `{encoding}`, which was not asked for");
        assert!(failed.to_string().ends_with(&expected), "{failed}");
    }
    // Decoded content is bounded as well.
    let stub = encoded("gzip", |_| gzip(&vec![b' '; 64 << 20]));
    let error = remote(&stub.host).manifest(&by_name()).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
}

#[test]
fn a_type_of_schema_1_on_other_content_is_not_believed() {
    for media_type in [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED] {
        let stub = serving_image(media_type, Some(image(None).descriptor().digest.clone()));
        let remote = remote(&stub.host);
        assert_eq!(*remote.manifest(&by_name()).unwrap().descriptor(), *image(None).descriptor());
        assert_eq!(remote.head(&by_name()).unwrap(), *image(None).descriptor());
        remote.child(image(None).descriptor()).unwrap();
    }
}

#[test]
fn content_is_there_if_its_first_byte_comes() {
    let blob = Descriptor::of(MediaType::new("application/octet-stream"), b"content");
    let has = |response: fn(&Request) -> Response| {
        let stub = Stub::new(response);
        let found = remote(&stub.host).has_content(&blob);
        let ranged = stub.requests().iter().all(|of| of.header("range") == Some("bytes=0-0"));
        assert!(ranged, "no more is asked for");
        found
    };
    assert!(has(|_| Response::new(206).body("c").header("content-range", "bytes 0-0/7")).unwrap());
    assert!(has(|_| Response::ok("content")).unwrap(), "ranges are not known everywhere");
    assert!(!has(|_| Response::new(404)).unwrap());
    assert!(!has(|_| Response::ok("")).unwrap());
    assert!(!has(|_| Response::new(206).body("c").header("content-range", "bytes 0-0/6")).unwrap());
    // A registry with a cache, whose storage has lost the content.
    assert!(
        !has(|_| Response::new(206).body("c").header("content-range", "bytes 0-0/7").cut_after(0))
            .unwrap()
    );
    assert!(has(|_| Response::new(500)).is_err());
}
