//! Manifests that list others, rightly or wrongly, in a directory, which reads all of them to find out
//! what a repository holds.

use std::sync::Arc;

use longshore_layout::Directory;
use longshore_registry::{Access, Handler, Missing};
use longshore_spec::{Descriptor, Digest, Manifest, MediaType};
use longshore_store::MAX_DEPTH;

use crate::support::{IMAGE, expect, get, image, over, push_blob, push_image};

const INDEX: (&str, &str) = ("content-type", MediaType::IMAGE_INDEX);

fn serve(directory: &tempfile::TempDir, missing: Missing) -> Handler {
    let place = Directory::create(directory.path()).unwrap();
    over(Arc::new(place), Access::ReadWrite, missing)
}

fn index(entries: &[Descriptor]) -> Vec<u8> {
    let document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_INDEX,
        "manifests": entries,
    });
    serde_json::to_vec(&document).unwrap()
}

/// Checks that the repository `a` has exactly the content that it should have.
fn is_sound(registry: &Handler, image: &Descriptor) {
    let absent = Digest::sha256("absent");
    expect(registry, &format!("HEAD /v2/a/blobs/{absent}"), &[], b"", 404);
    expect(registry, &format!("HEAD /v2/a/manifests/{absent}"), &[], b"", 404);
    expect(registry, &format!("GET /v2/a/referrers/{absent}"), &[], b"", 200);
    expect(registry, &format!("GET /v2/a/manifests/{}", image.digest), &[], b"", 200);
    expect(registry, &format!("GET /v2/a/blobs/{}", Digest::sha256("layer")), &[], b"", 200);
}

#[test]
fn c22_what_an_index_calls_a_manifest_is_one() {
    for missing in [Missing::Refuse, Missing::Accept] {
        let directory = tempfile::tempdir().unwrap();
        let registry = serve(&directory, missing);
        let image = push_image(&registry, "a", "v1", b"layer");
        let large = vec![b' '; usize::try_from(Manifest::MAX_SIZE).unwrap() + 1];
        for content in [&b"text"[..], b"[]", b"{}", &large] {
            push_blob(&registry, "a", content);
            let entry = Descriptor::of(MediaType::IMAGE_MANIFEST, content);
            let raw = index(&[image.clone(), entry]);
            let answer = expect(&registry, "PUT /v2/a/manifests/bad", &[INDEX], &raw, 400);
            assert_eq!(answer.code(), "MANIFEST_INVALID");
            is_sound(&registry, &image);
        }
        let mut entry = image.clone();
        entry.media_type = MediaType::new(MediaType::IMAGE_INDEX);
        expect(&registry, "PUT /v2/a/manifests/bad", &[INDEX], &index(&[entry]), 400);
        is_sound(&registry, &image);
    }
}

#[test]
fn c22_an_index_may_list_what_is_no_manifest_however_large() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let large = vec![b' '; usize::try_from(Manifest::MAX_SIZE).unwrap() + 1];
    let digest = push_blob(&registry, "a", &large);
    let entry = Descriptor::of("application/x-model", &large);
    for _ in 0..2 {
        expect(
            &registry,
            "PUT /v2/a/manifests/v1",
            &[INDEX],
            &index(std::slice::from_ref(&entry)),
            201,
        );
    }
    let answer = get(&registry, &format!("/v2/a/manifests/{digest}"));
    assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"));
}

#[test]
fn manifests_are_nested_no_deeper_than_they_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let image = push_image(&registry, "a", "v1", b"layer");
    let mut top = image.clone();
    for depth in 2..=MAX_DEPTH + 1 {
        let raw = index(&[top]);
        top = Descriptor::of(MediaType::IMAGE_INDEX, &raw);
        let status = if depth <= MAX_DEPTH { 201 } else { 400 };
        expect(&registry, "PUT /v2/a/manifests/top", &[INDEX], &raw, status);
    }
    is_sound(&registry, &image);
}

#[test]
fn a_layout_that_lists_what_is_no_manifest_is_served_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let image = push_image(&registry, "a", "v1", b"layer");
    push_blob(&registry, "a", b"text");
    drop(registry);
    let path = directory.path().join("index.json");
    let listed = std::fs::read_to_string(&path).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let mut entry = document["manifests"][0].clone();
    let text = Descriptor::of(MediaType::IMAGE_MANIFEST, b"text");
    entry["digest"] = text.digest.to_string().into();
    entry["size"] = text.size.into();
    entry["annotations"]["org.opencontainers.image.ref.name"] = "a:odd".into();
    // The image comes first under a wrong type: its content decides what it refers to.
    let mut odd = document["manifests"][0].clone();
    odd["mediaType"] = MediaType::IMAGE_INDEX.into();
    odd["annotations"]["org.opencontainers.image.ref.name"] = "b:odd".into();
    document["manifests"] = serde_json::json!([odd, entry, document["manifests"][0]]);
    std::fs::write(&path, document.to_string()).unwrap();
    std::fs::remove_dir_all(directory.path().join(".longshore/repositories")).unwrap();
    let registry = serve(&directory, Missing::Refuse);
    for _ in 0..2 {
        for (content, status) in [("layer", 200), ("text", 404)] {
            let head = format!("HEAD /v2/b/blobs/{}", Digest::sha256(content));
            expect(&registry, &head, &[], b"", status);
        }
        is_sound(&registry, &image);
    }
}

#[test]
fn what_is_there_is_found_while_nothing_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let image = push_image(&registry, "a", "v1", b"layer");
    let raw = get(&registry, "/v2/a/manifests/v1").body;
    // As on a full disk: the next `index.json` cannot be created.
    let next = directory.path().join(".longshore/index.json.new");
    std::fs::create_dir(&next).unwrap();
    expect(&registry, "PUT /v2/a/manifests/v2", &[IMAGE], &raw, 500);
    is_sound(&registry, &image);
    expect(&registry, "GET /v2/a/manifests/v1", &[], b"", 200);
    expect(&registry, "GET /v2/a/manifests/v2", &[], b"", 404);
    expect(&registry, "PUT /v2/a/manifests/v3", &[IMAGE], &raw, 500);
    std::fs::remove_dir(&next).unwrap();
    expect(&registry, "PUT /v2/a/manifests/v3", &[IMAGE], &raw, 201);
    expect(&registry, "GET /v2/a/manifests/v3", &[], b"", 200);
}

#[test]
fn f41_a_referrer_goes_from_the_list_that_a_client_keeps_under_a_tag() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let subject = push_image(&registry, "a", "v1", b"layer");
    let list = format!("PUT /v2/a/manifests/{}", subject.digest.referrers_tag());
    // As clients leave them that maintain the list: only the list refers to them.
    let signatures: Vec<_> = [&b"one"[..], b"two"]
        .map(|layer| {
            push_blob(&registry, "a", layer);
            let raw = image(b"{}", &[layer], Some(&subject));
            let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw[..]);
            let put = format!("PUT /v2/a/manifests/{}", descriptor.digest);
            expect(&registry, &put, &[IMAGE], &raw, 201);
            descriptor
        })
        .into();
    expect(&registry, &list, &[INDEX], &index(&signatures), 201);
    let listed = || {
        let answer = get(&registry, &format!("/v2/a/referrers/{}", subject.digest)).json();
        let manifests = answer["manifests"].as_array().unwrap().clone();
        manifests
            .iter()
            .map(|entry| entry["digest"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().len(), 2);
    let delete = |of: &Descriptor| format!("DELETE /v2/a/manifests/{}", of.digest);
    let [one, two] = [&signatures[0], &signatures[1]];
    expect(&registry, &delete(one), &[], b"", 202);
    assert_eq!(listed(), [two.digest.to_string()]);
    expect(&registry, &format!("GET /v2/a/manifests/{}", one.digest), &[], b"", 404);
    let kept = get(&registry, &format!("/v2/a/manifests/{}", subject.digest.referrers_tag()));
    assert_eq!(kept.body, index(std::slice::from_ref(two)), "the list that is left is as it was");
    expect(&registry, &delete(two), &[], b"", 202);
    assert!(listed().is_empty());
    expect(&registry, &list.replace("PUT", "GET"), &[], b"", 404);
    expect(&registry, &delete(two), &[], b"", 404);
}

#[test]
fn f41_referrers_that_go_at_once_all_leave_the_list_under_a_tag() {
    let directory = tempfile::tempdir().unwrap();
    let registry = serve(&directory, Missing::Refuse);
    let subject = push_image(&registry, "a", "v1", b"layer");
    let signatures: Vec<Descriptor> = (0..6)
        .map(|number: u8| {
            push_blob(&registry, "a", &[number]);
            let raw = image(b"{}", &[&[number]], Some(&subject));
            let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw[..]);
            let put = format!("PUT /v2/a/manifests/{}", descriptor.digest);
            expect(&registry, &put, &[IMAGE], &raw, 201);
            descriptor
        })
        .collect();
    let list = format!("/v2/a/manifests/{}", subject.digest.referrers_tag());
    expect(&registry, &format!("PUT {list}"), &[INDEX], &index(&signatures), 201);
    std::thread::scope(|scope| {
        for of in &signatures {
            let delete = format!("DELETE /v2/a/manifests/{}", of.digest);
            let registry = &registry;
            scope.spawn(move || expect(registry, &delete, &[], b"", 202));
        }
    });
    expect(&registry, &format!("GET {list}"), &[], b"", 404);
    for of in &signatures {
        expect(&registry, &format!("GET /v2/a/manifests/{}", of.digest), &[], b"", 404);
    }
}
