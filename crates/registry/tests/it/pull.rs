use longshore_registry::{Access, Missing};
use longshore_spec::{Digest, MediaType};

use crate::support::{
    IMAGE, ask, expect, get, image, over, push_blob, push_image, sparse, writable,
};

#[test]
fn f02_the_base_answers() {
    for request in ["GET /v2/", "GET /v2", "HEAD /v2/"] {
        let answer = expect(&writable(), request, &[], b"", 200);
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
}

#[test]
fn f05_f06_f08_manifests_come_as_they_were_pushed() {
    let registry = writable();
    let descriptor = push_image(&registry, "a/b", "v1", b"layer");
    let raw = image(b"{}", &[b"layer"], None);
    let digest = descriptor.digest.to_string();
    for (target, accept) in [
        ("/v2/a/b/manifests/v1".to_owned(), MediaType::IMAGE_MANIFEST),
        (format!("/v2/a/b/manifests/{digest}"), "*/*"),
        (format!("/v2/a/b/manifests/{}", digest.replace(':', "%3A")), "text/html"),
        ("/v2/a/b/manifests/v1?ns=docker.io&what=ever".to_owned(), "application/nonsense"),
    ] {
        for method in ["GET", "HEAD"] {
            let request = format!("{method} {target}");
            let answer = expect(&registry, &request, &[("accept", accept)], b"", 200);
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.header("content-type"), MediaType::IMAGE_MANIFEST);
            assert_eq!(answer.header("content-length"), raw.len().to_string());
            assert_eq!(answer.header("etag"), format!("\"{digest}\""));
            assert_eq!(answer.body, if method == "GET" { &raw[..] } else { b"" });
        }
    }
    let etag = format!("W/\"x\", \"{digest}\"");
    let known = [("if-none-match", etag.as_str())];
    expect(&registry, "GET /v2/a/b/manifests/v1", &known, b"", 304);
    expect(&registry, "HEAD /v2/a/b/manifests/v1", &known, b"", 304);
}

#[test]
fn f06_the_pushed_type_stays_and_loses_its_parameters() {
    let registry = sparse();
    let untyped = br#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    for (given, served) in [
        (MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", MediaType::IMAGE_MANIFEST),
        ("application/vnd.example+json", "application/vnd.example+json"),
        ("application/octet-stream", MediaType::IMAGE_MANIFEST),
        ("text/html", MediaType::IMAGE_MANIFEST),
    ] {
        expect(&registry, "PUT /v2/a/manifests/v1", &[("content-type", given)], untyped, 201);
        assert_eq!(get(&registry, "/v2/a/manifests/v1").header("content-type"), served);
    }
    expect(&registry, "PUT /v2/a/manifests/v2", &[], untyped, 201);
    assert_eq!(
        get(&registry, "/v2/a/manifests/v2").header("content-type"),
        MediaType::IMAGE_MANIFEST
    );
}

#[test]
fn f03_f07_what_is_not_there_and_what_cannot_be() {
    let registry = writable();
    push_image(&registry, "a", "v1", b"layer");
    let absent = Digest::sha256("absent");
    let long = "x".repeat(129);
    for (target, status, code) in [
        ("/v2/a/manifests/v2", 404, "MANIFEST_UNKNOWN"),
        ("/v2/never/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        (&format!("/v2/a/manifests/{absent}"), 404, "MANIFEST_UNKNOWN"),
        (&format!("/v2/a/blobs/{absent}"), 404, "BLOB_UNKNOWN"),
        (&format!("/v2/never/blobs/{absent}"), 404, "BLOB_UNKNOWN"),
        ("/v2/never/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/a/blobs/uploads/none", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("/v2/A/manifests/v1", 400, "NAME_INVALID"),
        ("/v2/a/../manifests/v1", 400, "NAME_INVALID"),
        ("/v2/a//b/tags/list", 400, "NAME_INVALID"),
        ("/v2//tags/list", 400, "NAME_INVALID"),
        ("/v2/tags/list", 400, "NAME_INVALID"),
        ("/v2/a%00/tags/list", 400, "NAME_INVALID"),
        ("/v2/a/manifests/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("/v2/a/blobs/x", 400, "DIGEST_INVALID"),
        ("/v2/a/referrers/sha256:baddigeststring", 400, "DIGEST_INVALID"),
        ("/v2/a/manifests/..", 400, "MANIFEST_INVALID"),
        (&format!("/v2/a/manifests/{long}"), 400, "MANIFEST_INVALID"),
        ("/x", 404, "UNSUPPORTED"),
        ("/v1/", 404, "UNSUPPORTED"),
        ("/v2/a", 404, "UNSUPPORTED"),
        ("/v2/a/tags/list/", 404, "UNSUPPORTED"),
        ("/v2/_oci/ext/discover", 404, "UNSUPPORTED"),
    ] {
        let answer = get(&registry, target);
        assert_eq!((answer.status, &*answer.code()), (status, code), "{target}");
        assert_eq!(answer.header("content-type"), "application/json");
        let head = ask(&registry, &format!("HEAD {target}"), &[], b"");
        assert_eq!((head.status, head.body.len()), (status, 0), "{target}");
    }
}

#[test]
fn f05_f09_blobs_come_whole_and_in_part() {
    let registry = writable();
    let content: Vec<u8> = (0..2048_u32).map(|n| (n % 251) as u8).collect();
    let digest = push_blob(&registry, "a", &content);
    let target = format!("/v2/a/blobs/{digest}");
    let (etag, other) = (format!("\"{digest}\""), "\"other\"");
    for (headers, status, part) in [
        (&[][..], 200, Some(0..2048)),
        (&[("range", "bytes=0-499")], 206, Some(0..500)),
        (&[("range", "bytes=500-999")], 206, Some(500..1000)),
        (&[("range", "bytes=1000-")], 206, Some(1000..2048)),
        (&[("range", "bytes=-500")], 206, Some(1548..2048)),
        (&[("range", "bytes=2000-9999")], 206, Some(2000..2048)),
        (&[("range", "bytes=0-0")], 206, Some(0..1)),
        (&[("range", "bytes=2048-")], 416, None),
        (&[("range", "bytes=500-0")], 416, None),
        (&[("range", "bytes=0-1,5-6")], 200, Some(0..2048)),
        (&[("range", "bytes=nonsense")], 200, Some(0..2048)),
        (&[("range", "bytes=1-2"), ("if-range", &etag)], 206, Some(1..3)),
        (&[("range", "bytes=1-2"), ("if-range", other)], 200, Some(0..2048)),
        (&[("if-none-match", &etag)], 304, Some(0..0)),
    ] {
        let answer = expect(&registry, &format!("GET {target}"), headers, b"", status);
        let Some(part) = part else {
            assert_eq!(answer.header("content-range"), "bytes */2048");
            continue;
        };
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.body, &content[part.clone()], "{headers:?}");
        if status == 206 {
            let range = format!("bytes {}-{}/2048", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), range);
        }
    }
    let head = expect(&registry, &format!("HEAD {target}"), &[("range", "bytes=0-1")], b"", 200);
    assert_eq!(head.header("content-length"), "2048");
    assert_eq!(head.header("accept-ranges"), "bytes");
}

#[test]
fn f09_an_empty_blob() {
    let registry = writable();
    let digest = push_blob(&registry, "a", b"");
    let target = format!("GET /v2/a/blobs/{digest}");
    assert_eq!(expect(&registry, &target, &[], b"", 200).header("content-length"), "0");
    expect(&registry, &target, &[("range", "bytes=0-")], b"", 416);
    expect(&registry, &target, &[("range", "bytes=-1")], b"", 200);
}

#[test]
fn a_blob_is_seen_only_where_it_belongs() {
    let registry = writable();
    push_image(&registry, "one", "v1", b"layer");
    let digest = Digest::sha256(b"layer");
    expect(&registry, &format!("GET /v2/one/blobs/{digest}"), &[], b"", 200);
    expect(&registry, &format!("GET /v2/two/blobs/{digest}"), &[], b"", 404);
}

#[test]
fn f01_f53_a_registry_that_is_read_only_can_only_be_read() {
    let place = std::sync::Arc::new(longshore_store::Memory::new());
    let writer = over(place.clone(), Access::ReadWrite, Missing::Refuse);
    let descriptor = push_image(&writer, "a", "v1", b"layer");
    let upload = crate::support::begin(&writer, "a");
    let reader = over(place, Access::ReadOnly, Missing::Refuse);
    let digest = &descriptor.digest;
    for request in [
        "POST /v2/a/blobs/uploads/",
        &format!("PATCH {upload}"),
        &format!("PUT {upload}?digest={digest}"),
        &format!("DELETE {upload}"),
        "PUT /v2/a/manifests/v2",
        "DELETE /v2/a/manifests/v1",
        &format!("DELETE /v2/a/manifests/{digest}"),
        &format!("DELETE /v2/a/blobs/{digest}"),
    ] {
        let answer = expect(&reader, request, &[IMAGE], &image(b"{}", &[b"layer"], None), 405);
        assert_eq!(answer.code(), "UNSUPPORTED");
        assert!(answer.headers.contains_key("allow"));
    }
    expect(&reader, "GET /v2/a/manifests/v1", &[], b"", 200);
    expect(&reader, &format!("GET /v2/a/blobs/{}", Digest::sha256(b"layer")), &[], b"", 200);
    assert_eq!(get(&reader, "/v2/a/tags/list").list("tags"), ["v1"]);
}

#[test]
fn methods_that_are_not_there_are_named() {
    let registry = writable();
    let answer = expect(&registry, "POST /v2/a/tags/list", &[], b"", 405);
    assert_eq!((answer.code().as_str(), answer.header("allow")), ("UNSUPPORTED", "GET, HEAD"));
    expect(&registry, "GET /v2/a/blobs/uploads/", &[], b"", 405);
    expect(&registry, "OPTIONS /v2/", &[], b"", 405);
}

#[test]
fn f50_a_namespace_scopes_where_there_is_one() {
    let registry = writable();
    for (name, layer) in [("app", "plain"), ("quay.io/app", "quay"), ("host_5000/app", "port")] {
        push_image(&registry, name, "v1", layer.as_bytes());
    }
    for (ns, layer, echoed) in [
        ("", "plain", ""),
        ("?ns=", "plain", ""),
        ("?ns=docker.io", "plain", ""),
        ("?ns=../NO%0d%0a", "plain", ""),
        ("?ns=quay.io", "quay", "quay.io"),
        ("?ns=host:5000", "port", "host:5000"),
    ] {
        let answer = get(&registry, &format!("/v2/app/manifests/v1{ns}"));
        assert_eq!(answer.body, image(b"{}", &[layer.as_bytes()], None), "{ns}");
        assert_eq!(answer.header("oci-namespace"), echoed);
        let blob = format!("/v2/app/blobs/{}{ns}", Digest::sha256(layer));
        assert_eq!(get(&registry, &blob).body, layer);
    }
}
