//! The classifier: rows D-01 to D-12 as seen through it, I-01 to I-03, and its table.

use std::collections::BTreeSet;

use bytes::Bytes;
use longshore_spec::artifact_type::{Evidence, Known, TABLE, cosign_tag, cosign_tags};
use longshore_spec::{ArtifactType, Descriptor, Digest, Family, Manifest, MediaType};

use crate::{blob, disguised, image, manifest};

fn name(manifest: &Manifest) -> String {
    ArtifactType::of(manifest).name().to_owned()
}

/// An artifact with the empty config and this type.
fn artifact(artifact_type: &str) -> Manifest {
    image(
        MediaType::EMPTY,
        &blob(MediaType::EMPTY, ""),
        &format!("'artifactType':'{artifact_type}'"),
    )
}

#[test]
fn i01_every_listed_type_is_found_by_config_and_by_artifact_type() {
    for known in TABLE {
        for text in known.types {
            for manifest in
                [image(text, &blob("x/x", ""), ""), artifact(text), artifact(&text.to_uppercase())]
            {
                let found = ArtifactType::of(&manifest);
                assert_eq!(found.known(), Some(known), "{text}");
                assert_eq!(found.family(), Some(known.family));
                assert!(!found.is_sniffed());
            }
        }
        for prefix in known.prefixes {
            assert_eq!(name(&artifact(&format!("{prefix}x.v9+json"))), known.name, "{prefix}");
        }
    }
}

#[test]
fn i01_every_evidence_is_found_in_what_is_declared_as_an_image() {
    let text = |pattern: &str| pattern.replace('*', "x");
    for known in TABLE {
        for evidence in known.evidence {
            let (layer, more, labels, entry) = match *evidence {
                Evidence::Layer(layer) => (blob(&text(layer), ""), String::new(), None, None),
                Evidence::LayerAnnotation(key, value) => {
                    let annotations =
                        format!("'annotations':{{'{}':'{}'}}", text(key), text(value));
                    (blob(MediaType::LAYER_GZIP, &annotations), String::new(), None, None)
                }
                Evidence::Annotation(key, value) => {
                    let annotations =
                        format!("'annotations':{{'{}':'{}'}}", text(key), text(value));
                    (blob(MediaType::LAYER_GZIP, ""), annotations, None, None)
                }
                Evidence::ConfigLabel(key, value) => (
                    blob(MediaType::LAYER_GZIP, ""),
                    String::new(),
                    Some((text(key), text(value))),
                    None,
                ),
                Evidence::EntryAnnotation(key, value) => (
                    blob(MediaType::LAYER_GZIP, ""),
                    String::new(),
                    None,
                    Some((text(key), text(value))),
                ),
                _ => panic!("evidence that this test does not know: {evidence:?}"),
            };
            for config_type in [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG] {
                let plain = image(config_type, &layer, &more);
                let mut descriptor = plain.descriptor().clone();
                descriptor.annotations.extend(entry.clone());
                let manifest = Manifest::parse(plain.raw().clone(), descriptor).unwrap();
                let labels =
                    labels.clone().into_iter().collect::<std::collections::BTreeMap<_, _>>();
                let config = serde_json::json!({"config": {"Labels": labels}}).to_string();
                let found = ArtifactType::with_config(&manifest, config.as_bytes());
                assert_eq!(found.name(), known.name, "{evidence:?}");
                assert!(found.is_sniffed());
                assert!(found.declared().unwrap().is(config_type));
            }
        }
    }
}

#[test]
fn i01_exact_before_prefix_before_evidence_before_raw() {
    // Exact wins over the evidence of a layer.
    let chart = image(
        "application/vnd.cncf.helm.config.v1+json",
        &blob("application/vnd.ollama.image.model", ""),
        "",
    );
    assert_eq!(name(&chart), "helm-chart");
    // So does a prefix, with its parameters.
    let bundle = image(
        MediaType::EMPTY,
        &blob("application/vnd.ollama.image.model", ""),
        "'artifactType':'application/vnd.dev.sigstore.bundle+json;version=0.2'",
    );
    assert_eq!(name(&bundle), "sigstore-bundle");
    // A type nobody knows loses to evidence, and stays visible.
    let custom =
        image(MediaType::EMPTY, &blob("application/spdx+json", ""), "'artifactType':'x/custom'");
    let found = ArtifactType::of(&custom);
    assert_eq!((found.name(), found.is_sniffed()), ("spdx", true));
    assert_eq!(found.declared().map(MediaType::as_str), Some("x/custom"));
    // A config says more than an artifact type that says nothing.
    let config = image(
        "application/vnd.cncf.helm.config.v1+json",
        "",
        "'artifactType':'application/vnd.unknown.artifact.v1'",
    );
    assert_eq!(name(&config), "helm-chart");
    // Nothing known: what is declared, as it is written.
    let found = ArtifactType::of(&artifact("X/Custom; a=b"));
    assert_eq!((found.name(), found.family(), found.is_sniffed()), ("X/Custom; a=b", None, false));
}

#[test]
fn d01_d04_what_has_no_type_says_so() {
    assert_eq!(
        name(&image(MediaType::EMPTY, &blob(MediaType::EMPTY, ""), "")),
        ArtifactType::UNTYPED
    );
    let untyped = ArtifactType::of(&image(MediaType::EMPTY, "", "'artifactType':''"));
    assert_eq!(untyped.declared().map(MediaType::as_str), Some(MediaType::EMPTY));
    assert_eq!((untyped.known(), untyped.family()), (None, None));
    // D-02: an index has the type it declares or none.
    let child = blob(
        MediaType::IMAGE_MANIFEST,
        "'artifactType':'application/vnd.cncf.helm.config.v1+json'",
    );
    let index = ArtifactType::of(&manifest(&format!("{{'manifests':[{child}]}}")));
    assert_eq!((index.name(), index.declared()), (ArtifactType::INDEX, None));
}

#[test]
fn d02_d12_i03_indexes_that_declare_a_type() {
    assert_eq!(
        name(&manifest("{'manifests':[],'artifactType':'application/vnd.opentofu.provider'}")),
        "opentofu-provider"
    );
    assert_eq!(
        name(&manifest(
            "{'manifests':[],'annotations':{'org.opencontainers.artifactType':'application/vnd.cnab.manifest.v1'}}"
        )),
        "cnab"
    );
    assert_eq!(
        name(&manifest(
            "{'manifests':[],'annotations':{'com.github.package.type':'homebrew_bottle'}}"
        )),
        "homebrew-bottle"
    );
    let checkpoint = blob("application/vnd.containerd.container.criu.checkpoint.criu.tar", "");
    assert_eq!(
        name(&manifest(&format!("{{'manifests':[{checkpoint}]}}"))),
        "containerd-checkpoint"
    );
}

#[test]
fn d03_docker() {
    for (config, expected) in [
        (MediaType::DOCKER_CONFIG, "docker-image"),
        ("application/vnd.docker.plugin.v1+json", "docker-plugin"),
    ] {
        assert_eq!(name(&image(config, &blob(MediaType::DOCKER_LAYER_GZIP, ""), "")), expected);
    }
}

#[test]
fn d06_what_is_declared_as_an_image_and_is_none() {
    for (layer, expected) in [
        (MediaType::LAYER_GZIP, "oci-image"),
        ("application/vnd.dev.cosign.simplesigning.v1+json", "cosign-signature"),
        ("application/vnd.dsse.envelope.v1+json", "dsse"),
        ("text/spdx", "spdx"),
        ("application/vnd.cyclonedx+xml", "cyclonedx"),
        ("application/vnd.in-toto+json", "in-toto"),
        ("application/vnd.cirruslabs.tart.disk.v2", "tart-vm"),
        ("appliciation/vnd.sylabs.sif.layer.tar", "singularity-sif"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "encrypted-image"),
        ("application/vnd.aquasec.trivy.db.layer.v1.tar+gzip", "trivy-db"),
        ("application/vnd.wasm.content.layer.v1+wasm", "wasm-module"),
    ] {
        assert_eq!(name(&disguised(layer)), expected, "{layer}");
    }
    let kind = "'annotations':{'dev.tekton.image.kind':'task'}";
    assert_eq!(
        name(&image(MediaType::IMAGE_CONFIG, &blob(MediaType::LAYER_TAR, kind), "")),
        "tekton-bundle"
    );
    let base = "'annotations':{'io.crossplane.xpkg':'base'}";
    assert_eq!(
        name(&image(MediaType::IMAGE_CONFIG, &blob(MediaType::LAYER_GZIP, base), "")),
        "crossplane-package"
    );
    let model = blob("application/vnd.ollama.image.model", "");
    assert_eq!(name(&image(MediaType::DOCKER_CONFIG, &model, "")), "ollama-model");
    let rego = blob("application/vnd.cncf.openpolicyagent.policy.layer.v1+rego", "");
    assert_eq!(
        name(&image("application/vnd.unknown.config.v1+json", &rego, "")),
        "conftest-policy"
    );
    assert_eq!(
        name(&image("application/vnd.unknown.config.v1+json", &blob(MediaType::LAYER_TAR, ""), "")),
        "oras-files"
    );
}

#[test]
fn d06_labels_of_the_image_config() {
    let plain = disguised(MediaType::LAYER_GZIP);
    let with =
        |config: &str| ArtifactType::with_config(&plain, config.as_bytes()).name().to_owned();
    assert_eq!(with(r#"{"config":{"Labels":{"containers.bootc":"1"}}}"#), "bootc-image");
    assert_eq!(with(r#"{"config":{"Labels":{"containers.bootc":"0"}}}"#), "oci-image");
    assert_eq!(
        with(r#"{"config":{"Labels":{"io.crossplane.xpkg:sha256:ab":"base"}}}"#),
        "crossplane-package"
    );
    // C-35, D-10: null, missing and unreadable parts are no labels.
    for config in [
        r#"{"config":{"Labels":null}}"#,
        r#"{"config":{}}"#,
        r#"{"config":null}"#,
        "{}",
        "",
        "no JSON",
        "[]",
    ] {
        assert_eq!(with(config), "oci-image", "{config}");
    }
    // C-08: a config of any other type is not read.
    let chart = image("x/custom", &blob("x/x", ""), "");
    let config = br#"{"config":{"Labels":{"containers.bootc":"1"}}}"#;
    assert_eq!(ArtifactType::with_config(&chart, config).name(), "x/custom");
}

#[test]
fn d11_withdrawn_manifests() {
    let json = "{'mediaType':'application/vnd.oci.artifact.manifest.v1+json','artifactType':'application/spdx+json','blobs':[]}";
    assert_eq!(name(&manifest(json)), "spdx");
    assert_eq!(
        name(&manifest(&format!("{{'blobs':[{}]}}", blob("application/sarif+json", "")))),
        "sarif"
    );
    assert_eq!(name(&manifest("{'blobs':[]}")), ArtifactType::UNTYPED);
}

#[test]
fn b17_buildkit_attestations_of_either_age() {
    let predicate =
        "'annotations':{'in-toto.io/predicate-type':'https://slsa.dev/provenance/v0.2'}";
    let legacy =
        image(MediaType::IMAGE_CONFIG, &blob("application/vnd.in-toto+json", predicate), "");
    assert_eq!(name(&legacy), "buildkit-attestation");
    assert_eq!(
        name(&artifact("application/vnd.docker.attestation.manifest.v1+json")),
        "buildkit-attestation"
    );
    let raw: Bytes = disguised("application/vnd.in-toto+json").raw().clone();
    let mut entry = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw);
    entry
        .annotations
        .insert("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned());
    assert_eq!(name(&Manifest::parse(raw, entry).unwrap()), "buildkit-attestation");
}

#[test]
fn i2_cosign_tags() {
    let digest = Digest::sha256(b"x");
    let tags = cosign_tags(&digest);
    assert_eq!(tags[0], format!("sha256-{}.sig", digest.encoded()));
    for (tag, suffix) in tags.iter().zip(["sig", "att", "sbom"]) {
        assert_eq!(cosign_tag(tag), Some((digest.clone(), suffix)));
    }
    let hex = digest.encoded();
    for tag in [
        "latest".to_owned(),
        format!("sha256-{hex}"),
        format!("sha256-{hex}.zip"),
        format!("sha256-{}.sig", &hex[1..]),
        format!("sha256-{}.sig", hex.to_uppercase()),
        format!("sha512-{hex}{hex}.sig"),
        format!("x-sha256-{hex}.sig"),
        ".sig".to_owned(),
    ] {
        assert_eq!(cosign_tag(&tag), None, "{tag}");
    }
}

#[test]
fn the_table_is_consistent() {
    let mut names = BTreeSet::new();
    let mut types = BTreeSet::new();
    let reserved = Family::ALL.map(Family::as_str);
    for known in TABLE {
        let Known { name, title, types: listed, prefixes, evidence, .. } = known;
        assert!(names.insert(*name), "{name} comes twice");
        let kebab = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        assert!(name.split('-').all(kebab), "{name} is not in kebab case");
        // A word must not mean a name and something else.
        assert!(!reserved.contains(name), "{name} is a family");
        assert!(![ArtifactType::INDEX, ArtifactType::UNTYPED, "any"].contains(name));
        assert!(!title.is_empty() && title.trim() == *title, "{name}");
        assert!(
            !(listed.is_empty() && prefixes.is_empty() && evidence.is_empty()),
            "{name} is never found"
        );
        for text in *listed {
            assert!(types.insert(*text), "{text} is listed twice");
            assert!(MediaType::new(*text).is_well_formed(), "{text}");
            assert_eq!(*text, text.to_lowercase());
        }
        for prefix in *prefixes {
            assert!(MediaType::new(*prefix).is_well_formed(), "{prefix}");
            assert_eq!(*prefix, prefix.to_lowercase());
        }
        for evidence in *evidence {
            if let Evidence::Layer(text) = evidence {
                let text = text.replace('*', if text.starts_with('*') { "a/b" } else { "x" });
                assert!(MediaType::new(text.as_str()).is_well_formed(), "{text}");
                assert_eq!(text, text.to_lowercase());
            }
        }
    }
    assert_eq!(Known::by_name("Helm-Chart").map(|known| known.title), Some("Helm chart"));
    assert_eq!(Known::by_name("helm"), None);
}

#[test]
fn families_are_words_in_order() {
    let words = Family::ALL.map(Family::as_str);
    assert!(words.is_sorted());
    assert!(Family::ALL.is_sorted());
    for family in Family::ALL {
        assert_eq!(family.to_string().parse(), Ok(family));
        assert_eq!(family.to_string().to_uppercase().parse(), Ok(family));
        assert!(TABLE.iter().any(|known| known.family == family), "nothing is of family {family}");
    }
    let error = "charts".parse::<Family>().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "`charts` is not a family of artifact types; write one of: attestation, chart, "
        ),
        "{error}"
    );
}
