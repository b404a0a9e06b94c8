//! What `oci-spec` says of the same text, where it is right.
//!
//! It is not asked about platforms (it loses `os.version` and `os.features`), about members nobody
//! knows (it drops them), `null` lists (it refuses them), the grammar of blake3 (it does not know
//! it), IPv6 hosts (it refuses them) or hosts of Docker Hub.

use longshore_spec::{Digest, ManifestContent, MediaType, Reference};
use oci_spec::distribution::Reference as OracleReference;
use oci_spec::image::{Digest as OracleDigest, ImageManifest};

use crate::parse_as;

#[test]
fn a30_to_a33_digests() {
    let hex = "0123456789abcdef".repeat(4);
    for text in [
        format!("sha256:{hex}"),
        format!("sha512:{hex}{hex}"),
        format!("sha256:{hex}0"),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha512:{hex}"),
        format!("SHA256:{hex}"),
        "foo+bar:Zz9=".to_owned(),
        "a..b:c".to_owned(),
        "sha256+foo+-b:c".to_owned(),
        ":c".to_owned(),
        "sha256:".to_owned(),
        "sha256".to_owned(),
        "foo:../x".to_owned(),
    ] {
        let (ours, theirs) = (text.parse::<Digest>(), text.parse::<OracleDigest>());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            assert_eq!(ours.to_string(), theirs.to_string());
            assert_eq!(ours.algorithm(), theirs.algorithm().as_ref());
        }
    }
}

#[test]
fn e02_references() {
    let digest = Digest::sha256(b"x");
    for text in [
        "alpine".to_owned(),
        "alpine:3.20".to_owned(),
        "user/app".to_owned(),
        "docker.io/alpine".to_owned(),
        "ghcr.io/a/b/c:v1".to_owned(),
        "localhost:5000/a__b/c-d:x".to_owned(),
        format!("quay.io/a/b:t@{digest}"),
        format!("quay.io/a/b@{digest}"),
        "a.b/c:d/e".to_owned(),
        "ghcr.io/A/b".to_owned(),
        "a//b".to_owned(),
        String::new(),
        "-a".to_owned(),
        "a.b/c@sha256:0".to_owned(),
        format!("a.b/c:{}", "x".repeat(129)),
    ] {
        let (ours, theirs) = (Reference::from_docker_name(&text), text.parse::<OracleReference>());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?}, {theirs:?}");
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
        assert_eq!(ours.registry(), theirs.registry(), "{text}");
        assert_eq!(ours.repository().as_str(), theirs.repository(), "{text}");
        assert_eq!(ours.digest().map(ToString::to_string).as_deref(), theirs.digest(), "{text}");
        // It adds `latest` where we add nothing.
        if let Some(tag) = ours.tag() {
            assert_eq!(Some(tag.as_str()), theirs.tag(), "{text}");
        }
    }
}

#[test]
fn c07_image_manifests() {
    let json = r#"{
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example+type",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
        "layers": [{"mediaType": "application/vnd.example", "size": 9007199254740993,
            "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}],
        "annotations": {"a": "b"}
    }"#;
    let ours = parse_as(MediaType::IMAGE_MANIFEST, json).unwrap();
    let ManifestContent::Image(ours) = ours.content() else { panic!("it is an image") };
    let theirs = ImageManifest::from_reader(json.as_bytes()).unwrap();
    assert_eq!(ours.layers[0].size, theirs.layers()[0].size());
    assert_eq!(ours.layers[0].digest.to_string(), theirs.layers()[0].digest().to_string());
    assert_eq!(ours.config.media_type.as_str(), theirs.config().media_type().to_string());
    assert_eq!(
        ours.artifact_type.as_ref().map(MediaType::as_str),
        theirs.artifact_type().as_ref().map(AsRef::as_ref)
    );
    assert_eq!(
        Some(ours.annotations.len()),
        theirs.annotations().as_ref().map(std::collections::HashMap::len)
    );
}
