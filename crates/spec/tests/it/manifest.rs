//! Manifests: sections A.4, B and C where they concern reading, and D-01 to D-05, D-11, D-12.

use bytes::Bytes;
use longshore_spec::{Descriptor, Kind, Manifest, ManifestContent, ManifestError, MediaType, Role};

use crate::{blob, image, manifest, parse_as};

const EMPTY: &str = MediaType::EMPTY;

fn empty() -> String {
    blob(EMPTY, "")
}

fn read(media_type: &str, json: &str) -> Result<Manifest, ManifestError> {
    parse_as(media_type, &json.replace('\'', "\""))
}

fn declared(manifest: &Manifest) -> Option<&str> {
    manifest.artifact_type().map(MediaType::as_str)
}

#[test]
fn a40_bytes_are_kept_as_they_came() {
    let json = format!("{{\r\n \"schemaVersion\": 2.0 ,\t\"config\":{},\"x\":1e0}}  \n", empty())
        .replace('\'', "\"");
    let manifest = parse_as(MediaType::IMAGE_MANIFEST, &json).unwrap();
    assert_eq!(manifest.raw(), json.as_bytes());
    assert_eq!(manifest.descriptor(), &Descriptor::of(MediaType::IMAGE_MANIFEST, json.as_bytes()));
}

#[test]
fn a41_members_nobody_knows_do_no_harm() {
    let layer = blob("a/b", "'x':{'layers':[]},'platform':{'architecture':'a','os':'b','x':1}");
    let manifest = image(
        EMPTY,
        &layer,
        "'x-vendor':{'deep':[1,{'config':2}]},'annotations':{'k':''},'y':null",
    );
    assert_eq!(manifest.children().count(), 2);
    assert_eq!(manifest.annotations()["k"], "");
}

#[test]
fn a42_known_members_that_come_twice_are_an_error() {
    let config = empty();
    for members in [
        format!("'config':{config},'config':{config}"),
        format!("'config':{config},'layers':[],'layers':[]"),
        format!("'config':{config},'mediaType':'a','mediaType':'b'"),
        format!("'config':{config},'artifactType':'a','artifactType':'b'"),
        format!("'config':{config},'subject':null,'subject':{config}"),
        "'config':{'mediaType':'a','size':1,'size':2,'digest':'a:b'}".to_owned(),
        "'manifests':[],'manifests':[]".to_owned(),
    ] {
        let error = read(MediaType::IMAGE_MANIFEST, &format!("{{{members}}}")).unwrap_err();
        assert!(
            matches!(&error, ManifestError::Json(text) if text.contains("duplicate")),
            "{members}: {error}"
        );
    }
}

#[test]
fn a42_sizes_above_double_precision_are_exact() {
    let layer = blob("a/b", "").replace("'size':2", "'size':9007199254740993");
    let manifest = image(EMPTY, &layer, "");
    let (_, layer) = manifest.children().last().unwrap();
    assert_eq!(layer.size, 9_007_199_254_740_993);
}

#[test]
fn a36_one_manifest_may_mix_algorithms() {
    let sha512 = format!("{{'mediaType':'a/b','size':0,'digest':'sha512:{}'}}", "0".repeat(128));
    let blake3 = format!("{{'mediaType':'a/b','size':0,'digest':'blake3:{}'}}", "0".repeat(64));
    let unknown = "{'mediaType':'a/b','size':0,'digest':'foo+bar:Zz9='}";
    let manifest = image(EMPTY, &format!("{sha512},{blake3},{unknown}"), "");
    let algorithms: Vec<_> =
        manifest.children().map(|(_, child)| child.digest.algorithm().to_owned()).collect();
    assert_eq!(algorithms, ["sha256", "sha512", "blake3", "foo+bar"]);
}

#[test]
fn b32_the_descriptor_decides_what_it_points_to() {
    let json = format!("{{'mediaType':'application/octet-stream','config':{}}}", empty());
    assert!(matches!(
        read(MediaType::DOCKER_MANIFEST, &json).unwrap().content(),
        ManifestContent::Image(_)
    ));
    let json = "{'mediaType':'application/vnd.oci.image.manifest.v1+json','manifests':[]}";
    assert!(matches!(
        read(MediaType::IMAGE_INDEX, json).unwrap().content(),
        ManifestContent::Index(_)
    ));
    // What the document says of itself counts if the descriptor says nothing.
    let json = format!("{{'mediaType':'{}'}}", MediaType::DOCKER_LIST);
    assert!(matches!(
        read("application/octet-stream", &json).unwrap().content(),
        ManifestContent::Index(_)
    ));
}

#[test]
fn c01_schema_1_is_refused() {
    for json in ["{'schemaVersion':1,'fsLayers':[]}", "{'schemaVersion':1}", "{'fsLayers':[]}"] {
        assert_eq!(read("application/json", json).unwrap_err(), ManifestError::Schema1, "{json}");
    }
    for media_type in [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED] {
        assert_eq!(read(media_type, "no JSON").unwrap_err(), ManifestError::Schema1);
    }
}

#[test]
fn c02_the_media_type_may_be_missing() {
    let of = |json: &str| Manifest::media_type_of(json.replace('\'', "\"").as_bytes());
    let config = empty();
    for (json, media_type) in [
        (format!("{{'config':{config}}}"), MediaType::IMAGE_MANIFEST),
        ("{'manifests':[]}".to_owned(), MediaType::IMAGE_INDEX),
        ("{'blobs':[]}".to_owned(), MediaType::ARTIFACT_MANIFEST),
        (
            format!("{{'mediaType':'{}','config':{config}}}", MediaType::DOCKER_MANIFEST),
            MediaType::DOCKER_MANIFEST,
        ),
        // A type that is none of a manifest says nothing.
        (format!("{{'mediaType':'','config':{config}}}"), MediaType::IMAGE_MANIFEST),
        (
            format!("{{'mediaType':'application/json','config':{config}}}"),
            MediaType::IMAGE_MANIFEST,
        ),
    ] {
        assert_eq!(of(&json).unwrap().as_str(), media_type, "{json}");
    }
    assert_eq!(of("{}"), Err(ManifestError::Unknown));
    assert_eq!(of("{'layers':[]}"), Err(ManifestError::Unknown));
    assert!(matches!(of("[]"), Err(ManifestError::Json(_))));
    assert!(matches!(of(""), Err(ManifestError::Json(_))));
}

#[test]
fn c05_no_type_is_refused() {
    let manifest = image("no type", &blob("neither/this/one", ""), "'artifactType':'nor this'");
    assert_eq!(declared(&manifest), Some("nor this"));
}

#[test]
fn c06_an_image_has_a_config() {
    let error = read(MediaType::IMAGE_MANIFEST, "{'layers':[]}").unwrap_err();
    assert!(matches!(error, ManifestError::Missing { missing: "config", .. }), "{error}");
    assert!(read(MediaType::IMAGE_MANIFEST, "{'config':null}").is_err());
}

#[test]
fn c09_c20_lists_may_be_empty_null_or_missing() {
    let config = empty();
    for layers in ["", ",'layers':[]", ",'layers':null"] {
        let manifest =
            read(MediaType::IMAGE_MANIFEST, &format!("{{'config':{config}{layers}}}")).unwrap();
        assert_eq!(manifest.children().count(), 1);
    }
    for json in ["{}", "{'manifests':[]}", "{'manifests':null}"] {
        assert_eq!(read(MediaType::IMAGE_INDEX, json).unwrap().children().count(), 0);
    }
    assert!(
        read(MediaType::IMAGE_MANIFEST, &format!("{{'config':{config},'layers':[null]}}")).is_err()
    );
}

#[test]
fn c12_children_come_in_order_with_their_roles() {
    // A layer with the media type of a manifest is a layer.
    let layers = format!("{},{}", blob(MediaType::IMAGE_INDEX, ""), blob("a/b", ""));
    let manifest = image("c/d", &layers, "");
    let children: Vec<_> =
        manifest.children().map(|(role, child)| (role, child.media_type.as_str())).collect();
    assert_eq!(
        children,
        [(Role::Config, "c/d"), (Role::Layer, MediaType::IMAGE_INDEX), (Role::Layer, "a/b")]
    );
}

#[test]
fn c13_the_subject_is_no_child() {
    let subject = blob("s/s", "");
    let index = manifest(&format!("{{'manifests':[{}],'subject':{subject}}}", blob("a/b", "")));
    assert_eq!(index.subject().unwrap().media_type.as_str(), "s/s");
    assert_eq!(index.children().map(|(role, _)| role).collect::<Vec<_>>(), [Role::Manifest]);
    assert!(image(EMPTY, "", "'subject':null").subject().is_none());
    assert!(image(EMPTY, "", &format!("'subject':{subject}")).subject().is_some());
}

#[test]
fn c22_index_entries_may_be_anything() {
    let index = manifest(&format!("{{'manifests':[{}]}}", blob("application/xml", "")));
    assert_eq!(index.children().count(), 1);
}

#[test]
fn c36_what_is_two_things_is_refused() {
    let config = empty();
    for json in [
        format!("{{'manifests':[],'config':{config}}}"),
        "{'manifests':[],'layers':[]}".to_owned(),
        "{'manifests':[],'blobs':[]}".to_owned(),
    ] {
        for media_type in [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX, "application/json"] {
            assert_eq!(read(media_type, &json).unwrap_err(), ManifestError::Ambiguous, "{json}");
        }
    }
    // The members of another kind must not be overlooked: a copy would lack them.
    for (media_type, json) in [
        (MediaType::IMAGE_INDEX, format!("{{'config':{config},'layers':[]}}")),
        (MediaType::IMAGE_INDEX, "{'blobs':[]}".to_owned()),
        (MediaType::IMAGE_MANIFEST, "{'manifests':[]}".to_owned()),
        (MediaType::ARTIFACT_MANIFEST, format!("{{'config':{config},'layers':[]}}")),
        (MediaType::ARTIFACT_MANIFEST, "{'manifests':[]}".to_owned()),
    ] {
        assert!(
            matches!(read(media_type, &json), Err(ManifestError::Missing { .. })),
            "{media_type} {json}"
        );
    }
}

#[test]
fn depth_does_no_harm() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(read(MediaType::IMAGE_INDEX, &deep), Err(ManifestError::Json(_))));
    // Members that are skipped are skipped at any depth; those that are kept have a limit.
    assert!(read(MediaType::IMAGE_INDEX, &format!("{{'manifests':[],'x':{deep}}}")).is_ok());
    let entry = blob("a/b", &format!("'x':{deep}"));
    assert!(matches!(
        read(MediaType::IMAGE_INDEX, &format!("{{'manifests':[{entry}]}}")),
        Err(ManifestError::Json(_))
    ));
}

#[test]
fn an_array_is_no_manifest() {
    for json in ["[]", " [2]", "[2,null,null,null,null,null,[]]", "null", "\"\"", "1", "\u{feff}{}"]
    {
        for media_type in
            [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX, MediaType::ARTIFACT_MANIFEST]
        {
            assert!(matches!(read(media_type, json), Err(ManifestError::Json(_))), "{json}");
        }
    }
}

#[test]
fn d01_d04_the_type_of_an_image_manifest() {
    for (config, more, expected) in [
        ("c/c", "", "c/c"),
        ("c/c", "'artifactType':''", "c/c"),
        ("c/c", "'artifactType':null", "c/c"),
        ("c/c", "'artifactType':'a/a'", "a/a"),
        (EMPTY, "'artifactType':'a/a'", "a/a"),
        (EMPTY, "", EMPTY),
    ] {
        let manifest = image(config, &empty(), more);
        assert_eq!(declared(&manifest), Some(expected), "{config} {more}");
        assert_eq!(
            manifest.as_referrer().artifact_type.as_ref().map(MediaType::as_str),
            Some(expected)
        );
    }
}

#[test]
fn d02_the_type_of_an_index_is_not_that_of_its_children() {
    let child = blob(MediaType::IMAGE_MANIFEST, "'artifactType':'a/a'");
    let index = manifest(&format!("{{'manifests':[{child}]}}"));
    assert_eq!(declared(&index), None);
    assert!(!serde_json::to_string(&index.as_referrer()).unwrap().contains("artifactType"));
    assert_eq!(declared(&manifest("{'manifests':[],'artifactType':'i/i'}")), Some("i/i"));
    assert_eq!(declared(&manifest("{'manifests':[],'artifactType':''}")), None);
}

#[test]
fn d03_docker_manifests() {
    let config = blob("application/vnd.docker.plugin.v1+json", "");
    let plugin =
        read(MediaType::DOCKER_MANIFEST, &format!("{{'schemaVersion':2,'config':{config}}}"))
            .unwrap();
    assert_eq!(declared(&plugin), Some("application/vnd.docker.plugin.v1+json"));
    assert_eq!(declared(&read(MediaType::DOCKER_LIST, "{'manifests':[]}").unwrap()), None);
}

#[test]
fn d05_the_manifest_decides_not_its_descriptor() {
    let raw = Bytes::from(format!("{{'config':{}}}", blob("c/c", "")).replace('\'', "\""));
    let mut descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw);
    descriptor.artifact_type = Some(MediaType::new("lies/lies"));
    let manifest = Manifest::parse(raw, descriptor).unwrap();
    assert_eq!(declared(&manifest), Some("c/c"));
    assert_eq!(
        manifest.descriptor().artifact_type.as_ref().map(MediaType::as_str),
        Some("lies/lies")
    );
}

#[test]
fn d10_a_config_may_have_no_bytes() {
    let config = blob("c/c", "").replace("'size':2", "'size':0");
    let manifest = read(MediaType::IMAGE_MANIFEST, &format!("{{'config':{config}}}")).unwrap();
    assert_eq!(declared(&manifest), Some("c/c"));
}

#[test]
fn d11_withdrawn_manifests() {
    let json = format!(
        "{{'artifactType':'a/a','blobs':[{}],'subject':{}}}",
        blob("b/b", ""),
        blob("s/s", "")
    );
    for media_type in [MediaType::ARTIFACT_MANIFEST, MediaType::ORAS_MANIFEST] {
        let manifest = read(media_type, &json).unwrap();
        assert_eq!(declared(&manifest), Some("a/a"));
        assert_eq!(manifest.children().map(|(role, _)| role).collect::<Vec<_>>(), [Role::Layer]);
        assert!(manifest.subject().is_some());
    }
    assert_eq!(declared(&read(MediaType::ORAS_MANIFEST, "{}").unwrap()), None);
}

#[test]
fn d12_cnab_types_its_index_by_annotation() {
    let with = |value: &str| {
        format!("{{'manifests':[],'annotations':{{'org.opencontainers.artifactType':'{value}'}}}}")
    };
    assert_eq!(
        declared(&manifest(&with("application/vnd.cnab.manifest.v1"))),
        Some("application/vnd.cnab.manifest.v1")
    );
    assert_eq!(declared(&manifest(&with(""))), None);
    let both = with("a/a").replacen('{', "{'artifactType':'b/b',", 1);
    assert_eq!(declared(&manifest(&both)), Some("b/b"));
}

#[test]
fn kinds_by_media_type() {
    assert_eq!(
        Kind::of(&MediaType::from("Application/vnd.OCI.image.index.v1+json; charset=utf-8")),
        Some(Kind::Index)
    );
    assert_eq!(Kind::of(&MediaType::from(MediaType::DOCKER_MANIFEST)), Some(Kind::Image));
    assert_eq!(Kind::of(&MediaType::from(MediaType::ORAS_MANIFEST)), Some(Kind::Artifact));
    assert_eq!(Kind::of(&MediaType::from(MediaType::DOCKER_SCHEMA1)), None);
}
