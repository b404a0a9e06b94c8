//! The artifact types that are known by name (section I).

use super::Family;
use crate::MediaType;

/// An artifact type that is known by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// The name by which people ask for it, in kebab case and unique: `helm-chart`.
    pub name: &'static str,
    /// What it is called in prose: `Helm chart`.
    pub title: &'static str,
    /// The group that it belongs to.
    pub family: Family,
    /// The declared types that mean it: values of `artifactType` or of the config's media type.
    pub types: &'static [&'static str],
    /// How declared types begin that mean it; unlike [`Known::types`] with parameters.
    pub prefixes: &'static [&'static str],
    /// What shows that it is meant where the declared type does not. Any one is enough.
    pub evidence: &'static [Evidence],
}

/// Something in or about a manifest that shows what it holds (row D-06).
///
/// All texts are patterns: they mean themselves in any case, and a `*` at one end stands for
/// anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A layer, a blob of an artifact manifest or an entry of an index has this media type.
    Layer(&'static str),
    /// One of those has an annotation of this key and value.
    LayerAnnotation(&'static str, &'static str),
    /// The manifest has an annotation of this key and value.
    Annotation(&'static str, &'static str),
    /// The descriptor under which the manifest was found has an annotation of this key and value.
    EntryAnnotation(&'static str, &'static str),
    /// The image config has a label of this key and value.
    ConfigLabel(&'static str, &'static str),
}

impl Known {
    /// Returns the entry of this name, in any case.
    pub fn by_name(name: &str) -> Option<&'static Known> {
        TABLE.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// Returns the entry that lists `media_type`, else the one of whose prefixes it has one (row
    /// I-01).
    pub fn by_type(media_type: &MediaType) -> Option<&'static Known> {
        let listed = |known: &&Known| known.types.iter().any(|text| media_type.is(text));
        let begun = |known: &&Known| known.prefixes.iter().any(|text| media_type.starts_with(text));
        TABLE.iter().find(listed).or_else(|| TABLE.iter().find(begun))
    }
}

/// What most entries have none of.
const NONE: Known = Known {
    name: "",
    title: "",
    family: Family::Generic,
    types: &[],
    prefixes: &[],
    evidence: &[],
};

use Evidence::{Annotation, ConfigLabel, EntryAnnotation, Layer, LayerAnnotation};

/// Every artifact type that is known by name, in the order in which evidence is looked for.
pub static TABLE: &[Known] = &[
    // I.1 Images and infrastructure. An index and the empty descriptor are no types of their own.
    Known {
        name: "oci-image",
        title: "OCI image",
        family: Family::Image,
        types: &["application/vnd.oci.image.config.v1+json"],
        ..NONE
    },
    Known {
        name: "docker-image",
        title: "Docker image",
        family: Family::Image,
        types: &["application/vnd.docker.container.image.v1+json"],
        ..NONE
    },
    Known {
        name: "docker-plugin",
        title: "Docker Engine plugin",
        family: Family::Package,
        types: &["application/vnd.docker.plugin.v1+json"],
        ..NONE
    },
    Known {
        name: "encrypted-image",
        title: "Encrypted image",
        family: Family::Image,
        evidence: &[Layer("*+encrypted")],
        ..NONE
    },
    // Older ones are declared as images.
    Known {
        name: "buildkit-attestation",
        title: "BuildKit attestation",
        family: Family::Attestation,
        types: &["application/vnd.docker.attestation.manifest.v1+json"],
        evidence: &[
            EntryAnnotation("vnd.docker.reference.type", "attestation-manifest"),
            LayerAnnotation("in-toto.io/predicate-type", "*"),
        ],
        ..NONE
    },
    // Older ones are an index that lists the cache config beside image layers.
    Known {
        name: "buildkit-cache",
        title: "BuildKit cache",
        family: Family::Data,
        types: &["application/vnd.buildkit.cacheconfig.v0"],
        evidence: &[Layer("application/vnd.buildkit.cacheconfig.v0")],
        ..NONE
    },
    // An index that lists its parts as entries.
    Known {
        name: "containerd-checkpoint",
        title: "containerd checkpoint",
        family: Family::Image,
        types: &["application/vnd.containerd.container.checkpoint.config.v1+proto"],
        evidence: &[Layer("application/vnd.containerd.container.*")],
        ..NONE
    },
    Known {
        name: "erofs-image",
        title: "Image with EROFS layers",
        family: Family::Image,
        evidence: &[Layer("application/vnd.erofs.layer.v1")],
        ..NONE
    },
    Known {
        name: "nydus-image",
        title: "Nydus image",
        family: Family::Image,
        types: &[
            "application/vnd.nydus.image.manifest.v1+json",
            "application/vnd.nydus.image.config.v1+json",
        ],
        evidence: &[Layer("application/vnd.oci.image.layer.nydus.blob.v1")],
        ..NONE
    },
    Known {
        name: "soci-index",
        title: "SOCI index",
        family: Family::Filesystem,
        types: &[
            "application/vnd.amazon.soci.index.v1+json",
            "application/vnd.amazon.soci.index.v2+json",
        ],
        evidence: &[Layer("application/vnd.amazon.soci.prefetch.v1+json")],
        ..NONE
    },
    // The misspelled type is what the prototype wrote (row B-02).
    Known {
        name: "singularity-sif",
        title: "Singularity image",
        family: Family::Filesystem,
        types: &["application/vnd.sylabs.sif.config.v1+json"],
        evidence: &[
            Layer("application/vnd.sylabs.sif.layer.v1.sif"),
            Layer("appliciation/vnd.sylabs.sif.layer.tar"),
            Layer("application/vnd.sylabs.image.layer.v1.squashfs"),
        ],
        ..NONE
    },
    Known {
        name: "tart-vm",
        title: "Tart virtual machine",
        family: Family::Filesystem,
        evidence: &[Layer("application/vnd.cirruslabs.tart.*")],
        ..NONE
    },
    Known {
        name: "bootc-image",
        title: "Bootable container image",
        family: Family::Image,
        evidence: &[ConfigLabel("containers.bootc", "1"), ConfigLabel("ostree.bootable", "*")],
        ..NONE
    },
    Known {
        name: "imgpkg-bundle",
        title: "Carvel imgpkg bundle",
        family: Family::Package,
        evidence: &[
            ConfigLabel("dev.carvel.imgpkg.bundle", "*"),
            ConfigLabel("dev.carvel.imgpkg.copy.root-bundle", "*"),
        ],
        ..NONE
    },
    Known {
        name: "olm-bundle",
        title: "OLM bundle",
        family: Family::Package,
        evidence: &[ConfigLabel("operators.operatorframework.io.bundle.mediatype.v1", "*")],
        ..NONE
    },
    Known {
        name: "olm-catalog",
        title: "OLM catalog",
        family: Family::Package,
        evidence: &[
            ConfigLabel("operators.operatorframework.io.index.configs.v1", "*"),
            ConfigLabel("operators.operatorframework.io.index.database.v1", "*"),
        ],
        ..NONE
    },
    Known {
        name: "crossplane-package",
        title: "Crossplane package",
        family: Family::Package,
        evidence: &[
            LayerAnnotation("io.crossplane.xpkg", "*"),
            ConfigLabel("io.crossplane.xpkg:*", "*"),
        ],
        ..NONE
    },
    Known {
        name: "homebrew-bottle",
        title: "Homebrew bottle",
        family: Family::Package,
        evidence: &[
            Annotation("com.github.package.type", "homebrew_bottle"),
            Annotation("sh.brew.*", "*"),
            EntryAnnotation("sh.brew.*", "*"),
        ],
        ..NONE
    },
    // I.2 Signatures, attestations, bills of material.
    // Older ones carry the version as a parameter. Holds signatures and attestations alike.
    Known {
        name: "sigstore-bundle",
        title: "Sigstore bundle",
        family: Family::Signature,
        types: &["application/vnd.dev.sigstore.bundle.v0.3+json"],
        prefixes: &["application/vnd.dev.sigstore.bundle"],
        evidence: &[
            Layer("application/vnd.dev.sigstore.bundle*"),
            Annotation("dev.sigstore.bundle.*", "*"),
        ],
    },
    Known {
        name: "cosign-signature",
        title: "Cosign signature",
        family: Family::Signature,
        types: &["application/vnd.dev.cosign.artifact.sig.v1+json"],
        evidence: &[
            Layer("application/vnd.dev.cosign.simplesigning.v1+json"),
            LayerAnnotation("dev.cosignproject.cosign/signature", "*"),
        ],
        ..NONE
    },
    Known {
        name: "cosign-attestation",
        title: "Cosign attestation",
        family: Family::Attestation,
        types: &["application/vnd.dev.cosign.artifact.att.v1+json"],
        ..NONE
    },
    // One that is attached by tag shows its format in its layers.
    Known {
        name: "cosign-sbom",
        title: "Cosign SBOM",
        family: Family::Sbom,
        types: &["application/vnd.dev.cosign.artifact.sbom.v1+json"],
        ..NONE
    },
    Known {
        name: "notation-signature",
        title: "Notation signature",
        family: Family::Signature,
        types: &["application/vnd.cncf.notary.signature"],
        evidence: &[Annotation("io.cncf.notary.x509chain.thumbprint#S256", "*")],
        ..NONE
    },
    // So are the attestations that cosign attaches by tag.
    Known {
        name: "dsse",
        title: "DSSE envelope",
        family: Family::Attestation,
        types: &["application/vnd.dsse.envelope.v1+json"],
        evidence: &[Layer("application/vnd.dsse.envelope.v1+json")],
        ..NONE
    },
    Known {
        name: "in-toto",
        title: "in-toto attestation",
        family: Family::Attestation,
        types: &["application/vnd.in-toto+json"],
        evidence: &[Layer("application/vnd.in-toto+json")],
        ..NONE
    },
    Known {
        name: "spdx",
        title: "SPDX SBOM",
        family: Family::Sbom,
        types: &["application/spdx+json", "text/spdx", "text/spdx+json"],
        evidence: &[Layer("application/spdx+json"), Layer("text/spdx"), Layer("text/spdx+json")],
        ..NONE
    },
    Known {
        name: "cyclonedx",
        title: "CycloneDX SBOM",
        family: Family::Sbom,
        types: &[
            "application/vnd.cyclonedx+json",
            "application/vnd.cyclonedx+xml",
            "application/x.vnd.cyclonedx+protobuf",
        ],
        evidence: &[
            Layer("application/vnd.cyclonedx+json"),
            Layer("application/vnd.cyclonedx+xml"),
            Layer("application/x.vnd.cyclonedx+protobuf"),
        ],
        ..NONE
    },
    Known {
        name: "syft",
        title: "Syft SBOM",
        family: Family::Sbom,
        types: &["application/vnd.syft+json"],
        evidence: &[Layer("application/vnd.syft+json")],
        ..NONE
    },
    Known {
        name: "openvex",
        title: "OpenVEX document",
        family: Family::Attestation,
        types: &["application/vnd.openvex+json"],
        evidence: &[Layer("application/vnd.openvex+json")],
        ..NONE
    },
    Known {
        name: "sarif",
        title: "SARIF report",
        family: Family::Attestation,
        types: &["application/sarif+json"],
        evidence: &[Layer("application/sarif+json")],
        ..NONE
    },
    Known {
        name: "lifecycle",
        title: "Image lifecycle",
        family: Family::Attestation,
        types: &["application/vnd.microsoft.artifact.lifecycle"],
        evidence: &[Annotation("vnd.microsoft.artifact.lifecycle.end-of-life.date", "*")],
        ..NONE
    },
    Known {
        name: "trivy-db",
        title: "Trivy database",
        family: Family::Data,
        types: &["application/vnd.aquasec.trivy.config.v1+json"],
        evidence: &[
            Layer("application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"),
            Layer("application/vnd.aquasec.trivy.javadb.layer.v1.tar+gzip"),
        ],
        ..NONE
    },
    // As Trivy publishes its checks. Those of the policy CLI look like any image.
    Known {
        name: "opa-bundle",
        title: "Open Policy Agent bundle",
        family: Family::Policy,
        evidence: &[Layer("application/vnd.cncf.openpolicyagent.layer.v1.tar+gzip")],
        ..NONE
    },
    // I.3 Kubernetes, GitOps, policy. UDS bundles are Zarf packages; KCL, Fleet and HashiCorp have no types.
    Known {
        name: "helm-chart",
        title: "Helm chart",
        family: Family::Chart,
        types: &["application/vnd.cncf.helm.config.v1+json"],
        evidence: &[
            Layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
            Layer("application/vnd.cncf.helm.chart.provenance.v1.prov"),
        ],
        ..NONE
    },
    Known {
        name: "helm-plugin",
        title: "Helm plugin",
        family: Family::Package,
        types: &["application/vnd.helm.plugin.v1+json"],
        ..NONE
    },
    Known {
        name: "artifacthub-metadata",
        title: "Artifact Hub metadata",
        family: Family::Data,
        types: &["application/vnd.cncf.artifacthub.config.v1+yaml"],
        evidence: &[Layer("application/vnd.cncf.artifacthub.repository-metadata.layer.v1.yaml")],
        ..NONE
    },
    Known {
        name: "flux",
        title: "Flux source",
        family: Family::Infrastructure,
        types: &["application/vnd.cncf.flux.config.v1+json"],
        evidence: &[Layer("application/vnd.cncf.flux.content.v1.tar+gzip")],
        ..NONE
    },
    Known {
        name: "timoni",
        title: "Timoni module",
        family: Family::Infrastructure,
        types: &["application/vnd.timoni.config.v1+json"],
        evidence: &[Layer("application/vnd.timoni.content.v1.tar+gzip")],
        ..NONE
    },
    // Proposed. Argo CD takes any type today.
    Known {
        name: "argocd",
        title: "Argo CD source",
        family: Family::Infrastructure,
        prefixes: &["application/vnd.cncf.argoproj.argocd."],
        ..NONE
    },
    Known {
        name: "tekton-bundle",
        title: "Tekton bundle",
        family: Family::Infrastructure,
        evidence: &[
            LayerAnnotation("dev.tekton.image.name", "*"),
            LayerAnnotation("dev.tekton.image.kind", "*"),
            LayerAnnotation("dev.tekton.image.apiVersion", "*"),
        ],
        ..NONE
    },
    Known {
        name: "kyverno-policy",
        title: "Kyverno policy",
        family: Family::Policy,
        types: &["application/vnd.cncf.kyverno.config.v1+json"],
        evidence: &[Layer("application/vnd.cncf.kyverno.policy.layer.v1+yaml")],
        ..NONE
    },
    Known {
        name: "conftest-policy",
        title: "Conftest policy",
        family: Family::Policy,
        evidence: &[
            Layer("application/vnd.cncf.openpolicyagent.policy.layer.v1+rego"),
            Layer("application/vnd.cncf.openpolicyagent.data.layer.v1+json"),
        ],
        ..NONE
    },
    Known {
        name: "falco-rules",
        title: "Falco rules",
        family: Family::Policy,
        types: &["application/vnd.cncf.falco.rulesfile.config.v1+json"],
        evidence: &[Layer("application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz")],
        ..NONE
    },
    Known {
        name: "falco-plugin",
        title: "Falco plugin",
        family: Family::Package,
        types: &["application/vnd.cncf.falco.plugin.config.v1+json"],
        evidence: &[Layer("application/vnd.cncf.falco.plugin.layer.v1+tar.gz")],
        ..NONE
    },
    Known {
        name: "falco-asset",
        title: "Falco asset",
        family: Family::Data,
        types: &["application/vnd.cncf.falco.asset.config.v1+json"],
        evidence: &[Layer("application/vnd.cncf.falco.asset.layer.v1+tar.gz")],
        ..NONE
    },
    Known {
        name: "inspektor-gadget",
        title: "Inspektor Gadget",
        family: Family::Package,
        types: &["application/vnd.gadget.v1+binary", "application/vnd.gadget.config.v1+yaml"],
        evidence: &[Layer("application/vnd.gadget.*")],
        ..NONE
    },
    Known {
        name: "zarf-package",
        title: "Zarf package",
        family: Family::Package,
        types: &["application/vnd.zarf.config.v1+json"],
        evidence: &[Layer("application/vnd.zarf.layer.v1.blob")],
        ..NONE
    },
    Known {
        name: "ocm-component",
        title: "OCM component",
        family: Family::Package,
        types: &[
            "application/vnd.ocm.software.component.config.v1+json",
            "application/vnd.gardener.cloud.cnudie.component.config.v1+json",
        ],
        evidence: &[
            Layer("application/vnd.ocm.software.component-descriptor.*"),
            Layer("application/vnd.gardener.cloud.cnudie.*"),
        ],
        ..NONE
    },
    // The index names its type in an annotation (row D-12).
    Known {
        name: "cnab",
        title: "CNAB bundle",
        family: Family::Package,
        types: &["application/vnd.cnab.manifest.v1", "application/vnd.cnab.config.v1+json"],
        evidence: &[
            EntryAnnotation("io.cnab.manifest.type", "config"),
            Annotation("io.cnab.*", "*"),
        ],
        ..NONE
    },
    // I.4 WebAssembly. Order matters: runtimes share the types of their layers.
    Known {
        name: "spin-app",
        title: "Spin application",
        family: Family::Wasm,
        types: &["application/vnd.fermyon.spin.application.v1+config"],
        evidence: &[
            Layer("application/vnd.wasm.content.bundle.v1.tar+gzip"),
            Layer("application/vnd.wasm.content.layer.v1+data"),
        ],
        ..NONE
    },
    Known {
        name: "wasm-artifact",
        title: "WebAssembly artifact",
        family: Family::Wasm,
        types: &["application/vnd.wasm.config.v0+json"],
        evidence: &[Layer("application/wasm")],
        ..NONE
    },
    // Kubewarden policies look the same.
    Known {
        name: "wasm-module",
        title: "WebAssembly module",
        family: Family::Wasm,
        types: &["application/vnd.wasm.config.v1+json"],
        evidence: &[Layer("application/vnd.wasm.content.layer.v1+wasm")],
        ..NONE
    },
    Known {
        name: "wasmcloud-actor",
        title: "wasmCloud actor",
        family: Family::Wasm,
        types: &["application/vnd.wasmcloud.actor.archive.config"],
        ..NONE
    },
    Known {
        name: "wasmcloud-provider",
        title: "wasmCloud provider",
        family: Family::Wasm,
        types: &["application/vnd.wasmcloud.provider.archive.config"],
        evidence: &[Layer("application/vnd.wasmcloud.provider.archive.layer.v1+par")],
        ..NONE
    },
    Known {
        name: "proxy-wasm",
        title: "Proxy WebAssembly module",
        family: Family::Wasm,
        types: &["application/vnd.module.wasm.config.v1+json"],
        evidence: &[Layer("application/vnd.module.wasm.content.layer.v1+wasm")],
        ..NONE
    },
    Known {
        name: "runwasi",
        title: "WebAssembly container image",
        family: Family::Wasm,
        evidence: &[Layer("application/vnd.bytecodealliance.wasm.component.layer.v0+wasm")],
        ..NONE
    },
    // I.5 Models and agents.
    Known {
        name: "modelpack",
        title: "ModelPack model",
        family: Family::Model,
        types: &[
            "application/vnd.cncf.model.manifest.v1+json",
            "application/vnd.cncf.model.config.v1+json",
        ],
        prefixes: &["application/vnd.cncf.model."],
        evidence: &[Layer("application/vnd.cncf.model.*")],
    },
    Known {
        name: "kitops-modelkit",
        title: "KitOps ModelKit",
        family: Family::Model,
        types: &["application/vnd.kitops.modelkit.config.v1+json"],
        prefixes: &["application/vnd.kitops.modelkit."],
        evidence: &[Layer("application/vnd.kitops.modelkit.*")],
    },
    Known {
        name: "docker-model",
        title: "Docker Model Runner model",
        family: Family::Model,
        types: &[
            "application/vnd.docker.ai.model.config.v0.1+json",
            "application/vnd.docker.ai.model.config.v0.2+json",
        ],
        evidence: &[Layer("application/vnd.docker.ai.*")],
        ..NONE
    },
    Known {
        name: "ollama-model",
        title: "Ollama model",
        family: Family::Model,
        prefixes: &["application/vnd.ollama.image."],
        evidence: &[Layer("application/vnd.ollama.image.*")],
        ..NONE
    },
    Known {
        name: "docker-agent",
        title: "Docker agent",
        family: Family::Model,
        types: &["application/vnd.docker.cagent.config.v1+json"],
        ..NONE
    },
    // I.6 Developer tooling, and files of which nothing more is said. The withdrawn manifests are kinds, not types.
    Known {
        name: "devcontainer",
        title: "Dev container feature or template",
        family: Family::Package,
        types: &["application/vnd.devcontainers"],
        evidence: &[
            Layer("application/vnd.devcontainers.layer.v1+tar"),
            Layer("application/vnd.devcontainers.collection.layer.v1+json"),
            Annotation("dev.containers.metadata", "*"),
            Annotation("com.github.package.type", "devcontainer_*"),
        ],
        ..NONE
    },
    Known {
        name: "compose",
        title: "Docker Compose project",
        family: Family::Package,
        types: &[
            "application/vnd.docker.compose.project",
            "application/vnd.docker.compose.config.empty.v1+json",
        ],
        evidence: &[
            Layer("application/vnd.docker.compose.file+yaml"),
            Layer("application/vnd.docker.compose.envfile"),
        ],
        ..NONE
    },
    Known {
        name: "opentofu-provider",
        title: "OpenTofu provider",
        family: Family::Infrastructure,
        types: &["application/vnd.opentofu.provider", "application/vnd.opentofu.provider-target"],
        ..NONE
    },
    Known {
        name: "opentofu-module",
        title: "OpenTofu module",
        family: Family::Infrastructure,
        types: &["application/vnd.opentofu.modulepkg"],
        ..NONE
    },
    Known {
        name: "bicep-module",
        title: "Bicep module",
        family: Family::Infrastructure,
        types: &[
            "application/vnd.ms.bicep.module.artifact",
            "application/vnd.ms.bicep.module.config.v1+json",
        ],
        evidence: &[
            Layer("application/vnd.ms.bicep.module.layer.v1+json"),
            Layer("application/vnd.ms.bicep.module.source.v1.tar+gzip"),
        ],
        ..NONE
    },
    Known {
        name: "bicep-extension",
        title: "Bicep extension",
        family: Family::Infrastructure,
        types: &["application/vnd.ms.bicep.provider.artifact"],
        evidence: &[Layer("application/vnd.ms.bicep.provider.layer.v1.tar+gzip")],
        ..NONE
    },
    Known {
        name: "cue-module",
        title: "CUE module",
        family: Family::Package,
        types: &["application/vnd.cue.module.v1+json"],
        evidence: &[Layer("application/vnd.cue.modulefile.v1")],
        ..NONE
    },
    Known {
        name: "conda-package",
        title: "Conda package",
        family: Family::Package,
        evidence: &[
            Layer("application/vnd.conda.package.*"),
            Layer("application/vnd.conda.info.*"),
        ],
        ..NONE
    },
    Known {
        name: "oras-files",
        title: "Files pushed without a type",
        family: Family::Generic,
        types: &["application/vnd.unknown.config.v1+json", "application/vnd.unknown.artifact.v1"],
        ..NONE
    },
];
