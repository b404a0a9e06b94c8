//! Reading (rows E-20 to E-31).

use std::io::Read as _;
use std::sync::Mutex;

use longshore_spec::{Descriptor, Digest, ManifestError, MediaType};
use longshore_store::{Error, Held, Selector, Source as _, Target as _, Verifying};

use crate::fake::ranged;
use crate::stub::{Request, Response, Stub};
use crate::support::{image, noise, remote};

fn by_name() -> Selector {
    Selector::Name("v1".into())
}

/// A registry that answers for a manifest with `response`.
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
fn e23_a_type_that_is_not_the_documents_own_is_refused() {
    let stub = serving_image(MediaType::IMAGE_INDEX, None);
    let digest = image(None).descriptor().digest.clone();
    for selector in [by_name(), Selector::Digest(digest)] {
        let error = remote(&stub.host).manifest(&selector).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[test]
fn b32_the_digest_vouches_for_the_type_of_its_descriptor() {
    let stub = serving_image("application/octet-stream", None);
    let found = remote(&stub.host).child(image(None).descriptor()).unwrap();
    assert_eq!(found.descriptor(), image(None).descriptor());
    // Without a descriptor, the document says what it is.
    let found = remote(&stub.host).manifest(&by_name()).unwrap();
    assert_eq!(found.descriptor().media_type.as_str(), MediaType::IMAGE_MANIFEST);
}

#[test]
fn e24_a_digest_that_is_claimed_is_checked() {
    let stub = serving_image(MediaType::IMAGE_MANIFEST, Some(Digest::sha256("another")));
    let error = remote(&stub.host).manifest(&by_name()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
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
    let found = remote(&stub.host).head(&by_name()).unwrap();
    assert_eq!(found, *image(None).descriptor());
    assert_eq!(stub.log(), ["HEAD /v2/library/app/manifests/v1"]);
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

#[test]
fn e26_what_is_not_there_is_not_found() {
    let stub = serving(|_| Response::new(404));
    let remote = remote(&stub.host);
    let descriptor = Descriptor::of("a/b", b"x");
    assert!(remote.head(&by_name()).unwrap_err().is_not_found());
    assert!(remote.manifest(&by_name()).unwrap_err().is_not_found());
    assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    assert_eq!(remote.held(&descriptor, longshore_spec::Role::Layer).unwrap(), Held::Nothing);
    assert_eq!(remote.held(&descriptor, longshore_spec::Role::Manifest).unwrap(), Held::Nothing);
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

/// A registry whose answers are cut after `step` bytes each, and altered by `alter`.
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
fn b05_a_blob_that_is_shorter_or_longer_is_not_taken_for_a_cut_one() {
    for served in [&b"hell"[..], b"hello!"] {
        let stub = Stub::new(move |_| Response::ok(served));
        let error = Error::from_io("read", "it", read_blob(&stub, b"hello").unwrap_err());
        assert!(matches!(error, Error::Size { .. }), "{error}");
        assert_eq!(stub.log().len(), 1);
    }
}
