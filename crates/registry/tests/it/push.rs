use std::time::{Duration, Instant};

use longshore_registry::{Access, Handler, RegistryOptions};
use longshore_spec::{Descriptor, Digest, MediaType};
use longshore_store::Memory;

use crate::support::{
    IMAGE, ask, begin, expect, get, image, push_blob, push_image, sparse, writable,
};

const CONTENT: &[u8] = b"some content that comes in pieces";

fn is_there(registry: &Handler, content: &[u8]) -> bool {
    let digest = Digest::sha256(content);
    let answer = get(registry, &format!("/v2/a/blobs/{digest}"));
    assert!(answer.status == 404 || answer.body == content);
    answer.status == 200
}

#[test]
fn f10_f11_post_then_put() {
    let registry = writable();
    let answer = expect(&registry, "POST /v2/a/blobs/uploads/", &[], b"", 202);
    let location = answer.header("location").to_owned();
    let id = answer.header("docker-upload-uuid");
    assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{id}");
    assert_eq!(location, format!("/v2/a/blobs/uploads/{id}"));
    let digest = Digest::sha256(CONTENT);
    let put = format!("PUT {location}?digest={}", digest.to_string().replace(':', "%3A"));
    let answer = expect(&registry, &put, &[("content-length", "33")], CONTENT, 201);
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(get(&registry, answer.header("location")).body, CONTENT);
    expect(&registry, &put, &[], CONTENT, 404);
}

#[test]
fn f12_f19_one_post_by_either_algorithm() {
    let registry = writable();
    for digest in [Digest::sha256(CONTENT), Digest::sha512(CONTENT)] {
        let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        let answer = expect(&registry, &post, &[], CONTENT, 201);
        let blob = get(&registry, answer.header("location"));
        assert_eq!(blob.header("docker-content-digest"), digest.to_string());
        assert_eq!(blob.body, CONTENT);
    }
}

#[test]
fn f11_wrong_content_is_refused_and_not_seen() {
    let registry = writable();
    let digest = Digest::sha256(CONTENT);
    let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(expect(&registry, &post, &[], b"wrong", 400).code(), "DIGEST_INVALID");
    let put = format!("PUT {}?digest={digest}", begin(&registry, "a"));
    assert_eq!(expect(&registry, &put, &[], b"wrong", 400).code(), "DIGEST_INVALID");
    assert!(!is_there(&registry, CONTENT) && !is_there(&registry, b"wrong"));
    let put = format!("PUT {}?digest={digest}", begin(&registry, "a"));
    expect(&registry, &put, &[], CONTENT, 201);
}

#[test]
fn f19_algorithms() {
    let registry = writable();
    for (query, status) in [
        ("digest-algorithm=sha256", 202),
        ("digest-algorithm=sha512", 202),
        ("digest-algorithm=md5", 400),
        ("digest=md5:abc", 400),
        ("digest=sha256:abc", 400),
        ("mount=nonsense", 400),
    ] {
        let post = format!("POST /v2/a/blobs/uploads/?{query}");
        let answer = expect(&registry, &post, &[], b"", status);
        if status == 400 {
            assert_eq!(answer.code(), "DIGEST_INVALID");
        }
    }
    // The digest at the end decides, whatever the first request named.
    let post = "POST /v2/a/blobs/uploads/?digest-algorithm=sha512";
    let location = expect(&registry, post, &[], b"", 202).header("location").to_owned();
    for digest in ["", "?digest=", "?digest=nonsense", "?digest=foo:bar"] {
        let answer = expect(&registry, &format!("PUT {location}{digest}"), &[], b"", 400);
        assert_eq!(answer.code(), "DIGEST_INVALID");
    }
    let put = format!("PUT {location}?digest={}", Digest::sha256(CONTENT));
    expect(&registry, &put, &[], CONTENT, 201);
}

#[test]
fn f13_f14_f16_chunks_come_in_order() {
    let registry = writable();
    let location = begin(&registry, "a");
    let status = |range: &str| {
        let stray = format!("GET {location}?digest={}", Digest::sha256("stray"));
        let answer = expect(&registry, &stray, &[], b"", 204);
        assert_eq!((answer.header("range"), answer.header("location")), (range, &*location));
    };
    let chunk = |range: &str, length: &str, body: &[u8], expected: u16| {
        let headers = [("content-range", range), ("content-length", length)];
        expect(&registry, &format!("PATCH {location}"), &headers, body, expected)
    };
    status("0-0");
    chunk("10-19", "10", &CONTENT[10..20], 416);
    status("0-0");
    let answer = chunk("0-9", "10", &CONTENT[..10], 202);
    assert_eq!((answer.header("range"), answer.header("location")), ("0-9", &*location));
    assert_eq!(chunk("0-9", "10", &CONTENT[..10], 416).header("range"), "0-9");
    chunk("20-29", "10", &CONTENT[20..30], 416);
    status("0-9");
    assert_eq!(chunk("nonsense", "10", &CONTENT[10..20], 400).code(), "BLOB_UPLOAD_INVALID");
    assert_eq!(chunk("10-12", "10", &CONTENT[10..20], 400).code(), "SIZE_INVALID");
    chunk("10-19", "10", &CONTENT[10..20], 202);
    let put = format!("PUT {location}?digest={}", Digest::sha256(CONTENT));
    expect(&registry, &put, &[("content-range", "0-9")], &CONTENT[..10], 416);
    status("0-19");
    let last = [("content-range", "20-32"), ("content-length", "13")];
    expect(&registry, &put, &last, &CONTENT[20..], 201);
    assert!(is_there(&registry, CONTENT));
    expect(&registry, &format!("GET {location}"), &[], b"", 404);
}

#[test]
fn f15_a_stream_needs_neither_range_nor_length() {
    let registry = writable();
    let location = begin(&registry, "a");
    let octets = ("content-type", "application/octet-stream");
    expect(&registry, &format!("PATCH {location}"), &[octets], CONTENT, 202);
    let put = format!("PUT {location}?digest={}", Digest::sha256(CONTENT));
    expect(&registry, &put, &[("content-length", "0"), octets], b"", 201);
    assert!(is_there(&registry, CONTENT));
}

#[test]
fn f17_uploads_are_cancelled_and_time_out() {
    let registry = writable();
    let location = begin(&registry, "a");
    expect(&registry, &format!("DELETE {}", location.replace("/a/", "/b/")), &[], b"", 404);
    expect(&registry, &format!("DELETE {location}"), &[], b"", 204);
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let answer = expect(&registry, &format!("{method} {location}"), &[], b"", 404);
        assert_eq!(answer.code(), "BLOB_UPLOAD_UNKNOWN");
    }
    let location = begin(&registry, "a");
    let hours = |hours| Instant::now() + Duration::from_hours(1) * hours;
    registry.expire_uploads(Instant::now());
    expect(&registry, &format!("GET {location}"), &[], b"", 204);
    registry.expire_uploads(hours(2));
    expect(&registry, &format!("GET {location}"), &[], b"", 404);
}

/// A body that runs a function in its middle.
struct Interrupted<'a>(&'a Handler, String, Option<u16>);

impl std::io::Read for Interrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Self(registry, request, expected) = self;
        let Some(status) = expected.take() else { return Ok(0) };
        expect(registry, request, &[], b"", status);
        buffer[0] = b'x';
        Ok(1)
    }
}

#[test]
fn f17_one_request_at_a_time_works_on_an_upload() {
    let registry = writable();
    let location = begin(&registry, "a");
    for (method, during, after) in [("GET", 429, 204), ("PATCH", 429, 202), ("DELETE", 204, 404)] {
        let body = Interrupted(&registry, format!("{method} {location}"), Some(during));
        let patch = http::Request::builder().method("PATCH").uri(&location).body(body).unwrap();
        assert_eq!(registry.handle(patch).status(), 202);
        expect(&registry, &format!("{method} {location}"), &[], b"", after);
    }
}

#[test]
fn f46_too_many_uploads_are_to_come_later() {
    let options =
        RegistryOptions { access: Access::ReadWrite, max_uploads: 2, ..RegistryOptions::default() };
    let registry = Handler::new(std::sync::Arc::new(Memory::new()), options);
    let first = begin(&registry, "a");
    begin(&registry, "a");
    let answer = expect(&registry, "POST /v2/a/blobs/uploads/", &[], b"", 429);
    assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("TOOMANYREQUESTS", "1"));
    expect(&registry, &format!("DELETE {first}"), &[], b"", 204);
    begin(&registry, "a");
}

#[test]
fn f21_mounts() {
    let registry = writable();
    let digest = push_blob(&registry, "one", CONTENT);
    let absent = Digest::sha256("absent");
    let post = |query: &str, status: u16| {
        let post = format!("POST /v2/two/blobs/uploads/?{query}");
        expect(&registry, &post, &[], b"", status).header("location").to_owned()
    };
    let target = format!("GET /v2/two/blobs/{digest}");
    assert!(post(&format!("mount={absent}&from=one"), 202).contains("/blobs/uploads/"));
    assert!(post(&format!("mount={digest}&from=three"), 202).contains("/blobs/uploads/"));
    post(&format!("mount={digest}&from=NO"), 202);
    post(&format!("mount={absent}"), 202);
    expect(&registry, &target, &[], b"", 404);
    for query in [format!("mount={digest}&from=one"), format!("mount={digest}")] {
        let location = post(&query.replace(':', "%3A"), 201);
        assert_eq!(location, format!("/v2/two/blobs/{digest}"));
        assert_eq!(get(&registry, &location).body, CONTENT);
        expect(&registry, &format!("DELETE {location}"), &[], b"", 202);
        expect(&registry, &format!("GET /v2/one/blobs/{digest}"), &[], b"", 200);
    }
}

#[test]
fn f49_a_length_that_is_not_right_is_refused() {
    let registry = writable();
    let digest = Digest::sha256(b"short");
    let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    for length in ["4", "6", "x"] {
        let answer = expect(&registry, &post, &[("content-length", length)], b"short", 400);
        assert_eq!(answer.code(), "SIZE_INVALID", "{length}");
    }
    assert!(!is_there(&registry, b"short") && !is_there(&registry, b"shor"));
    let location = begin(&registry, "a");
    let patch = format!("PATCH {location}");
    expect(&registry, &patch, &[("content-length", "9")], b"short", 400);
    assert_eq!(expect(&registry, &format!("GET {location}"), &[], b"", 204).header("range"), "0-4");
}

#[test]
fn a_blob_that_is_too_large_is_refused() {
    let options =
        RegistryOptions { access: Access::ReadWrite, max_blob: 8, ..RegistryOptions::default() };
    let registry = Handler::new(std::sync::Arc::new(Memory::new()), options);
    let post =
        |content: &[u8]| format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(content));
    expect(&registry, &post(b"12345678"), &[], b"12345678", 201);
    expect(&registry, &post(b"123456789"), &[], b"123456789", 413);
    expect(&registry, &post(b"123456789"), &[("content-length", "9")], b"123456789", 413);
}

#[test]
fn f52_one_blob_pushed_by_all_at_once_is_there_once() {
    let registry = writable();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| push_blob(&registry, "a", CONTENT));
        }
    });
    assert!(is_there(&registry, CONTENT));
}

#[test]
fn f22_f47_a_manifest_is_kept_byte_for_byte() {
    let registry = sparse();
    let raw = br#" { "schemaVersion": 2, "new": [1], "config": {"mediaType": "application/x.new", "digest":
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2, "odd": null},
        "layers": [], "annotations": {"a": "b"} } "#;
    let digest = Digest::sha256(raw);
    let answer = expect(&registry, "PUT /v2/a/manifests/v1", &[IMAGE], raw, 201);
    assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(get(&registry, answer.header("location")).body, &raw[..]);
    assert_eq!(get(&registry, "/v2/a/manifests/v1").body, &raw[..]);
}

#[test]
fn f03_f22_f27_manifests_that_are_refused() {
    let registry = sparse();
    let raw = image(b"{}", &[], None);
    let other = Digest::sha256("other");
    let endless = vec![b' '; 9 << 20];
    let both = br#"{"config":{},"layers":[],"manifests":[]}"#;
    let large = endless.len().to_string();
    for (request, headers, body, status, code) in [
        (format!("PUT /v2/a/manifests/{other}"), &[IMAGE][..], &raw[..], 400, "DIGEST_INVALID"),
        ("PUT /v2/a/manifests/sha256:bad".to_owned(), &[IMAGE], &raw, 400, "DIGEST_INVALID"),
        ("PUT /v2/a/manifests/foo:bar".to_owned(), &[IMAGE], &raw, 400, "DIGEST_INVALID"),
        ("PUT /v2/a/manifests/-x".to_owned(), &[IMAGE], &raw, 400, "MANIFEST_INVALID"),
        ("PUT /v2/A/manifests/x".to_owned(), &[IMAGE], &raw, 400, "NAME_INVALID"),
        ("PUT /v2/a/manifests/x".to_owned(), &[IMAGE], b"", 400, "MANIFEST_INVALID"),
        ("PUT /v2/a/manifests/x".to_owned(), &[IMAGE], b"{}", 400, "MANIFEST_INVALID"),
        ("PUT /v2/a/manifests/x".to_owned(), &[], b"[]", 400, "MANIFEST_INVALID"),
        ("PUT /v2/a/manifests/x".to_owned(), &[IMAGE], both, 400, "MANIFEST_INVALID"),
        (
            "PUT /v2/a/manifests/x".to_owned(),
            &[("content-type", MediaType::IMAGE_INDEX)],
            &raw,
            400,
            "MANIFEST_INVALID",
        ),
        ("PUT /v2/a/manifests/x".to_owned(), &[("content-length", "9")], &raw, 400, "SIZE_INVALID"),
        ("PUT /v2/a/manifests/x".to_owned(), &[IMAGE], &endless, 413, "SIZE_INVALID"),
        (
            "PUT /v2/a/manifests/x".to_owned(),
            &[("content-length", &large)],
            b"",
            413,
            "SIZE_INVALID",
        ),
    ] {
        let answer = ask(&registry, &request, headers, body);
        assert_eq!((answer.status, &*answer.code()), (status, code), "{request}");
    }
    expect(&registry, "GET /v2/a/manifests/x", &[], b"", 404);
}

#[test]
fn f24_f25_what_a_manifest_refers_to_must_be_there() {
    let registry = writable();
    let raw = image(b"{}", &[b"layer"], None);
    let put = "PUT /v2/a/manifests/v1";
    for content in [&b"{}"[..], b"layer"] {
        let answer = expect(&registry, put, &[IMAGE], &raw, 400);
        assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
        push_blob(&registry, "a", content);
    }
    expect(&registry, put, &[IMAGE], &raw, 201);
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"absent");
    expect(&registry, put, &[IMAGE], &image(b"{}", &[], Some(&subject)), 201);
    let foreign = String::from_utf8(image(b"{}", &[b"absent"], None))
        .unwrap()
        .replace(MediaType::LAYER_TAR, "application/vnd.oci.image.layer.nondistributable.v1.tar");
    expect(&registry, put, &[IMAGE], foreign.as_bytes(), 201);
    let wrong = String::from_utf8(raw).unwrap().replace("\"size\": 5", "\"size\": 6");
    assert_eq!(expect(&registry, put, &[IMAGE], wrong.as_bytes(), 400).code(), "MANIFEST_INVALID");

    let entry = |content: &[u8]| {
        serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::IMAGE_INDEX,
            "manifests": [Descriptor::of(MediaType::IMAGE_MANIFEST, content)],
        }))
        .unwrap()
    };
    let index = ("content-type", MediaType::IMAGE_INDEX);
    let answer = expect(&registry, put, &[index], &entry(b"absent"), 400);
    assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
    expect(&registry, put, &[index], &entry(&image(b"{}", &[b"layer"], None)), 201);
    expect(&sparse(), put, &[index], &entry(b"absent"), 201);
}

#[test]
fn f26_the_subject_is_named() {
    let registry = sparse();
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, b"absent");
    let raw = image(b"{}", &[], Some(&subject));
    for selector in ["v1".to_owned(), Digest::sha256(&raw).to_string()] {
        let put = format!("PUT /v2/a/manifests/{selector}");
        let answer = expect(&registry, &put, &[IMAGE], &raw, 201);
        assert_eq!(answer.header("oci-subject"), subject.digest.to_string());
    }
}

#[test]
fn f28_f29_tags_beside_a_digest_remember_its_algorithm() {
    let registry = writable();
    push_image(&registry, "a", "sha256", b"layer");
    let raw = image(b"{}", &[b"layer"], None);
    let digest = Digest::sha512(&raw);
    let tags: Vec<_> = (0..10).map(|n| format!("t{n}")).collect();
    let query = tags.iter().map(|tag| format!("&tag={tag}")).collect::<String>();
    let put = format!("PUT /v2/a/manifests/{digest}?x{query}");
    let answer = expect(&registry, &put, &[IMAGE], &raw, 201);
    assert_eq!(answer.headers.get_all("oci-tag").iter().cloned().collect::<Vec<_>>(), tags);
    for selector in tags.iter().cloned().chain([digest.to_string()]) {
        let answer = get(&registry, &format!("/v2/a/manifests/{selector}"));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
    }
    let answer = get(&registry, "/v2/a/manifests/sha256");
    assert_eq!(answer.header("docker-content-digest"), Digest::sha256(&raw).to_string());

    let invalid = format!("PUT /v2/a/manifests/{digest}?tag=-x");
    assert_eq!(expect(&registry, &invalid, &[IMAGE], &raw, 400).code(), "MANIFEST_INVALID");
    let many = format!("PUT /v2/a/manifests/{digest}?{}", "&tag=x".repeat(65));
    expect(&registry, &many, &[IMAGE], &raw, 414);
}
