//! The page for browsers.

use std::collections::BTreeSet;

use longshore_registry::Handler;
use longshore_spec::{Descriptor, Digest, MediaType};
use serde_json::{Value, json};

use crate::support::{Answer, IMAGE, ask, expect, get, image, push_blob, push_image, writable};

fn page(registry: &Handler, target: &str) -> String {
    let answer =
        expect(registry, &format!("GET {target}"), &[("host", "reg.local:5000")], b"", 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    text(&answer)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn put(registry: &Handler, name: &str, tag: &str, manifest: &Value) -> Descriptor {
    let raw = manifest.to_string().into_bytes();
    let media_type = manifest["mediaType"].as_str().unwrap().to_owned();
    let request = format!("PUT /v2/{name}/manifests/{tag}");
    expect(registry, &request, &[("content-type", &media_type)], &raw, 201);
    Descriptor::of(media_type.as_str(), &raw)
}

/// Returns the text between each `before` and the next `after`.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

#[test]
fn what_is_here_is_shown_with_the_commands_to_get_it() {
    let registry = writable();
    assert!(page(&registry, "/").contains("Nothing more is here."));
    let app = push_image(&registry, "acme/app", "v1", &[7; 3000]);
    push_image(&registry, "acme/app", "latest", &[7; 3000]);
    let chart = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "config": Descriptor::of("application/vnd.cncf.helm.config.v1+json", b"{}"),
        "layers": [],
        "annotations": { "org.opencontainers.image.version": "1.2.3" },
    });
    push_blob(&registry, "charts/shop", b"{}");
    put(&registry, "charts/shop", "1.2.3", &chart);

    let text = page(&registry, "/");
    assert_eq!(between(&text, "<h1>", "</h1>"), ["<a href=\"/\">reg.local:5000</a>"]);
    // HTTP/2 has no `Host` header.
    let other = expect(&registry, "GET https://other.local/", &[], b"", 200);
    assert!(String::from_utf8_lossy(&other.body).contains("docker pull other.local/acme/app:"));
    assert_eq!(between(&text, "<span class=\"tag\">", "</span>"), ["latest", "v1", "1.2.3"]);
    assert_eq!(between(&text, "<article>", "</article>").len(), 2);
    let commands = between(&text, "<pre><code>", "</code></pre>");
    assert_eq!(
        commands,
        [
            "docker pull reg.local:5000/acme/app:latest",
            "podman pull --tls-verify=false reg.local:5000/acme/app:latest",
            "longshore copy --plain-http reg.local:5000/acme/app:latest oci:DIR",
            "helm pull --plain-http oci://reg.local:5000/charts/shop --version 1.2.3",
            "longshore copy --plain-http reg.local:5000/charts/shop:1.2.3 oci:DIR",
        ]
    );
    let size = app.size + 2 + 3000;
    assert!(text.contains(&format!("<dd>{}</dd>", longshore_spec::Size(size))), "{text}");
    assert!(text.contains(&app.digest.to_string()) && text.contains("<dd>1.2.3</dd>"));

    let only = page(&registry, "/?repository=charts/shop");
    assert_eq!(between(&only, "<article>", "</article>").len(), 1);
    for (target, status) in [("/?repository=none", 404), ("/?repository=A", 400), ("/x", 404)] {
        assert_eq!(get(&registry, target).status, status, "{target}");
    }
    let head = ask(&registry, "HEAD /", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(ask(&registry, "POST /", &[], b"").status, 405);
}

#[test]
fn an_image_for_several_platforms_is_one() {
    let registry = writable();
    let entries = ["amd64", "arm64"].map(|architecture| {
        let of = push_image(
            &registry,
            "app",
            &Digest::sha256(image(b"{}", &[architecture.as_bytes()], None)).to_string(),
            architecture.as_bytes(),
        );
        let mut entry = serde_json::to_value(of).unwrap();
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    });
    let index =
        json!({ "schemaVersion": 2, "mediaType": MediaType::IMAGE_INDEX, "manifests": entries });
    put(&registry, "app", "v1", &index);
    let text = page(&registry, "/");
    assert!(text.contains("linux/amd64, linux/arm64") && text.contains("docker pull"), "{text}");
    assert!(text.contains("oci-image") && text.contains(", index"), "{text}");
}

#[test]
fn referrers_stand_under_what_they_refer_to() {
    let registry = writable();
    let app = push_image(&registry, "app", "v1", b"layer");
    let signature = image(b"{}", &[], Some(&app));
    let digest = Digest::sha256(&signature);
    expect(&registry, &format!("PUT /v2/app/manifests/{digest}"), &[IMAGE], &signature, 201);
    let tag = format!("{}.sig", app.digest.to_string().replace(':', "-"));
    let tied = push_image(&registry, "app", &tag, b"signature");
    push_image(&registry, "app", &app.digest.referrers_tag(), b"a list");

    let text = page(&registry, "/");
    let articles = between(&text, "<article>", "</article>");
    assert_eq!(articles.len(), 1, "{text}");
    assert!(articles[0].contains("<summary>2 referrers</summary>"), "{text}");
    let listed = between(articles[0], "<li>", "</li>");
    assert!(listed[0].contains(&digest.to_string()), "{text}");
    assert!(listed[1].contains(&tied.digest.to_string()) && listed[1].contains(&tag), "{text}");
}

#[test]
fn names_and_annotations_stay_text() {
    let registry = writable();
    let hostile = "</dd><script>alert(1)</script>\"'&";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "artifactType": "application/<b>x",
        "config": Descriptor::of("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [],
        "annotations": { "org.opencontainers.image.title": hostile },
    });
    push_blob(&registry, "app", b"{}");
    put(&registry, "app", "v1", &manifest);
    let answer = expect(&registry, "GET /", &[("host", "<i>host")], b"", 200);
    let text = text(&answer);
    for tag in ["<script", "<b>", "<i>"] {
        assert!(!text.contains(tag), "{text}");
    }
    assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
}

#[test]
fn a_long_list_goes_on_behind_a_link() {
    let registry = writable();
    let mut wanted = BTreeSet::new();
    for (name, count) in [("a", 49), ("a/b", 1), ("a-b", 60), ("b", 0), ("z", 51)] {
        for number in 0..count {
            let tag = format!("v{number:02}");
            push_image(&registry, name, &tag, format!("{name}{number}").as_bytes());
            wanted.insert(format!("{name}:{tag}"));
        }
    }
    let (mut found, mut target, mut pages) = (Vec::new(), "/".to_owned(), 0);
    loop {
        let text = page(&registry, &target);
        let commands = between(&text, "<pre><code>docker pull reg.local:5000/", "</code>");
        assert!(commands.len() <= 50);
        found.extend(commands.into_iter().map(ToOwned::to_owned));
        pages += 1;
        match between(&text, "<a href=\"", "\" rel=\"next\"").last() {
            Some(next) => {
                target = next.rsplit_once('"').map_or(*next, |(_, it)| it).replace("&amp;", "&");
            }
            None => break,
        }
        assert!(pages < 10, "{target}");
    }
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn what_does_not_print_is_escaped() {
    let registry = writable();
    push_blob(&registry, "acme/app", b"{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "artifactType": "application/x\u{2066}",
        "config": Descriptor::of(MediaType::EMPTY, b"{}"),
        "layers": [],
        "annotations": { "org.opencontainers.image.title": "a\u{202e}b\u{9b}c\u{200b}\u{2028} é" },
    });
    put(&registry, "acme/app", "v1", &manifest);
    let text = page(&registry, "/");
    assert!(text.contains("a\\u{202e}b\\u{9b}c\\u{200b}\\u{2028} é"), "{text}");
    assert!(text.chars().all(|c| longshore_spec::is_printable(c) || c == '\n'), "{text}");
}
