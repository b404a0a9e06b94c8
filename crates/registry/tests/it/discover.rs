use longshore_registry::Handler;
use longshore_spec::{Descriptor, Digest, MediaType};

use crate::support::{IMAGE, expect, get, image, push_image, sparse, writable};

#[test]
fn f30_f31_f32_tags_are_listed_in_pages() {
    let registry = writable();
    for tag in ["b", "a", "B", "c", "_x", "1"] {
        push_image(&registry, "a/b", tag, b"layer");
    }
    let all = ["1", "B", "_x", "a", "b", "c"];
    for (query, expected, next) in [
        ("", &all[..], ""),
        ("?n=0", &[], ""),
        ("?n=2", &all[..2], "n=2&last=B"),
        ("?n=2&last=B", &all[2..4], "n=2&last=a"),
        ("?n=2&last=a", &all[4..], ""),
        ("?n=6", &all, ""),
        ("?n=99999999999999999999999", &all, ""),
        ("?last=C", &all[2..], ""),
        ("?last=c", &[], ""),
    ] {
        let answer = expect(&registry, &format!("GET /v2/a/b/tags/list{query}"), &[], b"", 200);
        assert_eq!(answer.list("tags"), expected, "{query}");
        assert_eq!(answer.json()["name"], "a/b");
        let link = match next {
            "" => String::new(),
            next => format!("</v2/a/b/tags/list?{next}>; rel=\"next\""),
        };
        assert_eq!(answer.header("link"), link, "{query}");
    }
    for n in ["-1", "x", "1.5"] {
        let list = format!("GET /v2/a/b/tags/list?n={n}");
        assert_eq!(expect(&registry, &list, &[], b"", 400).code(), "UNSUPPORTED");
    }
    let answer = get(&registry, "/v2/_catalog");
    assert_eq!(answer.list("repositories"), ["a/b"]);
}

#[test]
fn repositories_are_listed_in_pages() {
    let registry = writable();
    assert!(get(&registry, "/v2/_catalog").list("repositories").is_empty());
    for name in ["c", "a/b", "b"] {
        push_image(&registry, name, "v1", b"layer");
    }
    let answer = get(&registry, "/v2/_catalog?n=1&last=a");
    assert_eq!(answer.list("repositories"), ["a/b"]);
    assert_eq!(answer.header("link"), "</v2/_catalog?n=1&last=a%2Fb>; rel=\"next\"");
    assert_eq!(get(&registry, "/v2/_catalog?last=a/b").list("repositories"), ["b", "c"]);
}

#[test]
fn f30_a_repository_without_tags_has_an_empty_list() {
    let registry = writable();
    crate::support::push_blob(&registry, "a", b"x");
    assert!(get(&registry, "/v2/a/tags/list").list("tags").is_empty());
}

fn attach(registry: &Handler, subject: &Descriptor, artifact_type: &str, size: usize) -> Digest {
    let raw = image(b"{}", &[], Some(subject));
    let mut document: serde_json::Value = serde_json::from_slice(&raw).unwrap();
    if !artifact_type.is_empty() {
        document["artifactType"] = artifact_type.into();
    }
    document["annotations"] = serde_json::json!({ "note": "x".repeat(size) });
    let raw = serde_json::to_vec(&document).unwrap();
    let digest = Digest::sha256(&raw);
    expect(registry, &format!("PUT /v2/a/manifests/{digest}"), &[IMAGE], &raw, 201);
    digest
}

fn digests(answer: &crate::support::Answer) -> Vec<String> {
    let json = answer.json();
    let entries = json["manifests"].as_array().unwrap().iter();
    entries.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn f33_f34_referrers_of_anything_are_a_list() {
    let registry = sparse();
    for digest in [Digest::sha256("x"), Digest::sha512("x"), "foo+bar:Zz9=".parse().unwrap()] {
        let answer = get(&registry, &format!("/v2/never/referrers/{digest}"));
        assert_eq!((answer.status, answer.header("content-type")), (200, MediaType::IMAGE_INDEX));
        assert_eq!(
            answer.json(),
            serde_json::json!({
                "schemaVersion": 2,
                "mediaType": MediaType::IMAGE_INDEX,
                "manifests": [],
            })
        );
    }
}

#[test]
fn f35_f37_f39_referrers_are_described_filtered_and_deleted() {
    let registry = sparse();
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, &image(b"{}", &[], None));
    let plus = "application/vnd.example+json";
    let typed = attach(&registry, &subject, plus, 1);
    let plain = attach(&registry, &subject, "", 1);
    let target = format!("/v2/a/referrers/{}", subject.digest);
    let answer = get(&registry, &target);
    assert_eq!(answer.header("oci-filters-applied"), "");
    let json = answer.json();
    let entry = json["manifests"].as_array().unwrap().iter();
    let entry = entry.clone().find(|entry| entry["digest"] == plain.to_string()).unwrap();
    assert_eq!(entry["artifactType"], MediaType::IMAGE_CONFIG);
    assert_eq!(entry["mediaType"], MediaType::IMAGE_MANIFEST);
    assert_eq!(entry["annotations"]["note"], "x");
    assert_eq!(digests(&answer).len(), 2);

    for spelling in [plus, "application%2Fvnd.example%2Bjson"] {
        let answer = get(&registry, &format!("{target}?artifactType={spelling}&other=x"));
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
        assert_eq!(digests(&answer), [typed.to_string()]);
    }
    let answer = get(&registry, &format!("{target}?artifactType=a/b"));
    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    assert!(digests(&answer).is_empty());
    assert!(digests(&get(&registry, &target.replace("/a/", "/b/"))).is_empty());

    expect(&registry, &format!("DELETE /v2/a/manifests/{typed}"), &[], b"", 202);
    assert_eq!(digests(&get(&registry, &target)), [plain.to_string()]);
}

#[test]
fn f36_long_lists_of_referrers_are_split() {
    let registry = sparse();
    let subject = Descriptor::of(MediaType::IMAGE_MANIFEST, &image(b"{}", &[], None));
    let mut expected: Vec<_> =
        (0..5).map(|n| attach(&registry, &subject, "a/b", (1 << 20) + n).to_string()).collect();
    expected.sort_unstable();
    let mut target = format!("/v2/a/referrers/{}?artifactType=a/b", subject.digest);
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let answer = get(&registry, &target);
        assert!(answer.body.len() <= (4 << 20) + 200);
        found.extend(digests(&answer));
        pages += 1;
        let Some(link) = answer.header("link").strip_suffix(">; rel=\"next\"") else { break };
        target = link[1..].to_owned();
    }
    assert_eq!((found, pages), (expected, 2));
}
