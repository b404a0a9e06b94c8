use longshore_spec::Digest;

use crate::support::{IMAGE, expect, get, image, push_blob, push_image, writable};

#[test]
fn f40_a_tag_goes_and_its_manifest_stays() {
    let registry = writable();
    let descriptor = push_image(&registry, "a", "v1", b"layer");
    expect(&registry, "DELETE /v2/a/manifests/v1", &[], b"", 202);
    expect(&registry, "HEAD /v2/a/manifests/v1", &[], b"", 404);
    assert!(get(&registry, "/v2/a/tags/list").list("tags").is_empty());
    expect(&registry, &format!("GET /v2/a/manifests/{}", descriptor.digest), &[], b"", 200);
    let answer = expect(&registry, "DELETE /v2/a/manifests/v1", &[], b"", 404);
    assert_eq!(answer.code(), "MANIFEST_UNKNOWN");
}

#[test]
fn f41_f43_a_manifest_goes_with_its_tags_and_may_come_again() {
    let registry = writable();
    for tag in ["v1", "latest"] {
        push_image(&registry, "a", tag, b"layer");
    }
    let digest = push_image(&registry, "b", "v1", b"layer").digest;
    let delete = format!("DELETE /v2/a/manifests/{digest}");
    expect(&registry, &delete, &[], b"", 202);
    for selector in ["v1", "latest", &digest.to_string()] {
        expect(&registry, &format!("HEAD /v2/a/manifests/{selector}"), &[], b"", 404);
    }
    expect(&registry, "GET /v2/b/manifests/v1", &[], b"", 200);
    assert_eq!(expect(&registry, &delete, &[], b"", 404).code(), "MANIFEST_UNKNOWN");
    expect(&registry, &delete.replace("/a/", "/never/"), &[], b"", 404);
    let raw = image(b"{}", &[b"layer"], None);
    expect(&registry, "PUT /v2/a/manifests/v2", &[IMAGE], &raw, 201);
    expect(&registry, &format!("GET /v2/a/manifests/{digest}"), &[], b"", 200);
}

#[test]
fn f42_f43_a_blob_goes_from_one_repository_once_nothing_needs_it() {
    let registry = writable();
    let manifest = push_image(&registry, "a", "v1", b"layer").digest;
    push_blob(&registry, "b", b"layer");
    let digest = Digest::sha256(b"layer");
    let delete = format!("DELETE /v2/a/blobs/{digest}");
    assert_eq!(expect(&registry, &delete, &[], b"", 405).code(), "UNSUPPORTED");
    expect(&registry, &format!("DELETE /v2/a/manifests/{manifest}"), &[], b"", 202);
    expect(&registry, &delete, &[], b"", 202);
    expect(&registry, &format!("HEAD /v2/a/blobs/{digest}"), &[], b"", 404);
    assert_eq!(expect(&registry, &delete, &[], b"", 404).code(), "BLOB_UNKNOWN");
    expect(&registry, &format!("GET /v2/b/blobs/{digest}"), &[], b"", 200);
    push_blob(&registry, "a", b"layer");
    expect(&registry, &format!("GET /v2/a/blobs/{digest}"), &[], b"", 200);
}
