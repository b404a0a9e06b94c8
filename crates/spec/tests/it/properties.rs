//! What holds for any text.

use bytes::Bytes;
use longshore_spec::{
    ArtifactType, Descriptor, Digest, Kind, Manifest, MediaType, Platform, Reference,
    RepositoryName, Tag, TypeFilter,
};
use proptest::prelude::*;

const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}";
const REPOSITORY: &str = "[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}){0,3}";
const HOST: &str = "(localhost|[a-z0-9]{1,5}(-[a-z0-9]{1,3})?(\\.[a-z0-9]{1,5}){1,3}|\\[::[1-9a-f]{1,4}\\])(:[1-9][0-9]{0,3})?";
const DIGEST: &str = "(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|blake3:[0-9a-f]{64}|[a-z0-9]{1,5}([+._-][a-z0-9]{1,5}){1,2}:[a-zA-Z0-9=_-]{1,40})";

proptest! {
    #[test]
    fn a30_digests_round_trip(text in DIGEST) {
        let digest: Digest = text.parse().unwrap();
        prop_assert_eq!(digest.to_string(), text);
        prop_assert!(digest.referrers_tag().parse::<Tag>().is_ok());
    }

    #[test]
    fn a43_digests_sort_as_their_text_does(a in DIGEST, b in DIGEST) {
        let (x, y): (Digest, Digest) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn e02_references_round_trip(
        host in HOST, repository in REPOSITORY, tag in proptest::option::of(TAG), digest in proptest::option::of(DIGEST),
    ) {
        let tag_part = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest_part = digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        let text = format!("{host}/{repository}{tag_part}{digest_part}");
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string(), text.as_str());
        prop_assert_eq!(reference.registry(), host);
        prop_assert_eq!(reference.repository().as_str(), repository);
        prop_assert_eq!(reference.tag().map(Tag::as_str), tag.as_deref());
        prop_assert_eq!(Reference::from_docker_name(&text), Ok(reference));
    }

    #[test]
    fn e02_short_names_print_as_strict_references(text in "[a-z0-9./:@_-]{0,24}") {
        if let Ok(reference) = Reference::from_docker_name(&text) {
            prop_assert_eq!(reference.to_string().parse(), Ok(reference));
        }
    }

    #[test]
    fn platforms_round_trip(text in "[a-z0-9]{1,6}(\\([0-9.]{1,9}\\))?/[a-z0-9]{1,6}(/v[0-9]{1,2})?") {
        let platform: Platform = text.parse().unwrap();
        prop_assert_eq!(platform.to_string().parse(), Ok(platform.clone()));
        prop_assert!(platform.accepts(&platform));
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,40}|[a-z0-9:/@.()\\[\\]!;=-]{0,40}") {
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Tag>();
        let _ = text.parse::<RepositoryName>();
        let _ = text.parse::<Reference>();
        let _ = Reference::from_docker_name(&text);
        let _ = text.parse::<Platform>();
        let _ = TypeFilter::parse(&[&text]);
        let _ = longshore_spec::artifact_type::cosign_tag(&text);
        let _ = MediaType::new(text.as_str()).is_well_formed();
    }

    #[test]
    fn reading_manifests_never_panics(
        text in prop_oneof![any::<Vec<u8>>(), proptest::collection::vec(member(), 0..5).prop_map(|members| {
            format!("{{{}}}", members.join(",")).into_bytes()
        })],
        media_type in proptest::sample::select(MEDIA_TYPES),
    ) {
        let raw = Bytes::from(text);
        if let Ok(media_type) = Manifest::media_type_of(&raw) {
            prop_assert!(Kind::of(&media_type).is_some());
        }
        if let Ok(manifest) = Manifest::parse(raw.clone(), Descriptor::of(media_type, &raw)) {
            prop_assert_eq!(manifest.raw(), &raw);
            prop_assert!(!ArtifactType::with_config(&manifest, &raw).name().is_empty());
            prop_assert!(manifest.children().count() <= 3);
        }
    }
}

const MEDIA_TYPES: &[&str] = &[
    MediaType::IMAGE_MANIFEST,
    MediaType::IMAGE_INDEX,
    MediaType::ARTIFACT_MANIFEST,
    "application/octet-stream",
];

/// A member of a manifest, right or wrong.
fn member() -> impl Strategy<Value = String> {
    let names = [
        "config",
        "layers",
        "blobs",
        "manifests",
        "subject",
        "mediaType",
        "artifactType",
        "annotations",
        "x",
    ];
    let descriptor = r#"{"mediaType":"a/b","digest":"a:b","size":0}"#.to_owned();
    let list = format!("[{descriptor},{descriptor}]");
    let values = ["null", "[]", "{}", "1", r#""a/b""#]
        .map(str::to_owned)
        .into_iter()
        .chain([descriptor, list]);
    let values: Vec<_> = values.collect();
    (proptest::sample::select(names.to_vec()), proptest::sample::select(values))
        .prop_map(|(name, value)| format!("\"{name}\":{value}"))
}
