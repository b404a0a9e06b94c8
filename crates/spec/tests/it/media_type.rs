//! Media types: rows B-01, B-02 and the grammar of section 0.

use longshore_spec::MediaType;

#[test]
fn b01_names_of_rfc_6838() {
    let long = "a".repeat(127);
    for text in
        ["a/b", MediaType::IMAGE_MANIFEST, "text/x!#$&^_.+-", &format!("{long}/{long}"), "0/0"]
    {
        assert!(MediaType::new(text).is_well_formed(), "{text}");
    }
    let too_long = format!("a/{long}a");
    for text in [
        "", "/", "a", "a/", "/b", "a/b/c", "a b/c", ".a/b", "a/+b", "ä/b", "a/b;c=d", " a/b",
        &too_long,
    ] {
        assert!(!MediaType::new(text).is_well_formed(), "{text}");
    }
}

#[test]
fn b02_types_outside_the_grammar_survive() {
    for text in [
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "appliciation/vnd.sylabs.sif.layer.tar",
        "archive/zip",
        "no type at all \u{e4}",
        "",
    ] {
        let json = serde_json::to_string(text).unwrap();
        let read: MediaType = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }
}

#[test]
fn i01_case_and_parameters_do_not_matter() {
    let media_type = MediaType::from("Application/VND.oci.empty.v1+JSON ; charset=utf-8");
    assert!(media_type.is(MediaType::EMPTY));
    assert_eq!(media_type, MediaType::from(MediaType::EMPTY));
    assert_eq!(media_type.essence(), "Application/VND.oci.empty.v1+JSON");
    assert!(media_type.starts_with("application/vnd.OCI."));
    assert!(!media_type.starts_with(&"x".repeat(100)));
    assert!(!MediaType::from("ä").starts_with("a"), "no panic inside of a character");
    assert_eq!(media_type.to_string(), "Application/VND.oci.empty.v1+JSON ; charset=utf-8");
}

#[test]
fn c32_g03_layers_that_stay_where_they_are() {
    for (text, stays) in [
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", true),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true),
        (MediaType::LAYER_GZIP, false),
        (MediaType::DOCKER_LAYER_GZIP, false),
    ] {
        assert_eq!(MediaType::new(text).is_nondistributable(), stays, "{text}");
    }
}
