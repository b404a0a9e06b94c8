//! `manifest.json`: what Docker, Podman and skopeo's `docker-archive:` read of a bundle.

use std::collections::BTreeMap;
use std::fmt;

use longshore_spec::{Digest, Kind, MediaType, Platform, Reference};
use longshore_store::{Error, ExtraFile, in_parallel};
use longshore_sync::{Outcome, Part, RootReport, SealedPlan};
use serde::{Deserialize, Serialize};

/// The name of the file in a layout.
pub const DOCKER_MANIFEST: &str = "manifest.json";

/// A `manifest.json` of more bytes than this is refused: some hundred thousand images.
pub const MAX_DOCKER_MANIFEST: u64 = 64 << 20;

/// What `docker load` is told of a bundle: its images, one platform of each, by Docker's own names.
///
/// It is the list that `docker save` writes (`Config`, `RepoTags`, `Layers`), and points into
/// `blobs/`. Like `bundle.json` it says nothing of the machine or time, and an image that has several
/// names stands in it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerManifest {
    platform: Option<String>,
    images: Vec<Image>,
    skipped: Vec<NotForDocker>,
    has_zstd: bool,
}

/// One image, in the words of `docker save`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// What a record says of the `manifest.json` beside it.
// Fields are in the order of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordedDockerManifest {
    /// What the file is.
    pub digest: Digest,
    /// The platform that is taken of each image; none if nothing in the bundle names any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// The roots that it does not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<NotForDocker>,
}

/// A root that `manifest.json` does not name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotForDocker {
    /// What it is called.
    pub reference: String,
    /// Why.
    pub why: Obstacle,
}

/// Why a root is not named in `manifest.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Obstacle {
    /// It is no container image: its config or a layer is of another type.
    NotAnImage,
    /// It is not there for the platform.
    NoPlatform,
    /// It is known by its digest only.
    NoTag,
    /// Another root has the same tag.
    TagTaken,
}

/// Why a bundle can have no `manifest.json`.
#[derive(Debug, thiserror::Error)]
pub enum DockerManifestError {
    /// Nobody said which of several platforms is meant.
    #[error("its images are for {}, and `manifest.json` takes one platform of each", .0.join(", "))]
    SeveralPlatforms(Vec<String>),
    /// It would name nothing.
    #[error("it holds no image{} with a tag, so `manifest.json` would name nothing", .0.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default())]
    Empty(Option<String>),
    /// The config of an image, which names its platform, cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Error),
}

impl DockerManifest {
    /// Returns what Docker is told of a plan: of every index the image for `platform`, and every image that
    /// is in no index, if its config names that platform or none. Without `platform` the only one that
    /// the bundle has is meant; what this machine is decides nothing. Configs are read by up to `jobs`
    /// threads at once.
    ///
    /// # Errors
    ///
    /// There are several platforms and none was given, no image is left, or a config cannot be read.
    pub fn of(
        plan: &SealedPlan<'_>,
        platform: Option<&Platform>,
        jobs: usize,
    ) -> Result<Self, DockerManifestError> {
        let reports = plan.roots();
        let wanted = |report: &RootReport| {
            report.outcome == Outcome::Done && report.subject.is_none() && !report.names.is_empty()
        };
        let wanted: Vec<_> =
            reports.iter().enumerate().filter(|(_, report)| wanted(report)).collect();
        let roots = in_parallel(&wanted, jobs, |&(number, report)| Root::of(plan, number, report));
        let roots: Vec<Root<'_>> = roots.into_iter().collect::<Result<_, _>>()?;
        let platform = match platform {
            Some(platform) => Some(platform.clone()),
            None => only_platform(&roots)?,
        };
        let (mut named, mut skipped) = (BTreeMap::new(), Vec::new());
        // Whatever was wanted first, the file is the same.
        let mut found: Vec<_> = roots
            .iter()
            .flat_map(|root| {
                let image = root.image(platform.as_ref());
                root.report.names.iter().map(move |name| (name.to_string(), image.clone()))
            })
            .collect();
        found.sort_unstable();
        for (reference, image) in found {
            match image.and_then(|image| Ok((docker_tag(&reference)?, image))) {
                Ok((tag, image)) => match named.entry(tag) {
                    std::collections::btree_map::Entry::Occupied(there) => {
                        if *there.get() != image {
                            skipped.push(NotForDocker { reference, why: Obstacle::TagTaken });
                        }
                    }
                    std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(image),
                },
                Err(why) => skipped.push(NotForDocker { reference, why }),
            }
        }
        skipped.sort_unstable();
        skipped.dedup();
        let has_zstd = named.values().any(|found| found.has_zstd);
        let mut images: BTreeMap<Found, Vec<String>> = BTreeMap::new();
        for (tag, found) in named {
            images.entry(found).or_default().push(tag);
        }
        let image = |(Found { config, layers, .. }, repo_tags)| Image { config, repo_tags, layers };
        let mut images: Vec<Image> = images.into_iter().map(image).collect();
        images.sort_by(|one, other| one.repo_tags.cmp(&other.repo_tags));
        let platform = platform.map(|platform| platform.to_string());
        if images.is_empty() {
            return Err(DockerManifestError::Empty(platform));
        }
        Ok(Self { platform, images, skipped, has_zstd })
    }

    /// Returns the file as it lies in a layout.
    pub fn file(&self) -> ExtraFile {
        let mut content = serde_json::to_vec(&self.images)
            .unwrap_or_else(|_| unreachable!("every key of an image is text"));
        content.push(b'\n');
        ExtraFile { name: DOCKER_MANIFEST.to_owned(), content: content.into() }
    }

    /// Returns what the record of the bundle says of it.
    pub fn recorded(&self) -> RecordedDockerManifest {
        let content = self.file().content;
        RecordedDockerManifest {
            platform: self.platform.clone(),
            digest: Digest::sha256(&content),
            size: content.len() as u64,
            skipped: self.skipped.clone(),
        }
    }

    /// Returns how many images it names.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Tells whether it names no image; one that was made always names some.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Returns the platform that is taken of each image, if there is any.
    pub fn platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    /// Returns the roots that it does not name, by name.
    pub fn skipped(&self) -> &[NotForDocker] {
        &self.skipped
    }

    /// Tells whether an image has a layer that is compressed with zstd, which older versions of Docker
    /// do not read.
    pub fn has_zstd(&self) -> bool {
        self.has_zstd
    }
}

/// An image: the paths of its config and layers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    config: String,
    layers: Vec<String>,
    has_zstd: bool,
}

/// A root that is wanted.
struct Root<'p> {
    plan: &'p SealedPlan<'p>,
    number: usize,
    report: &'p RootReport,
    /// The platforms that are there, and what is there for them.
    offered: Vec<(Digest, Platform)>,
}

impl<'p> Root<'p> {
    /// Looks which platforms a root is for: as its index says, or else its config.
    fn of(plan: &'p SealedPlan<'p>, number: usize, report: &'p RootReport) -> Result<Self, Error> {
        let mut root = Self { plan, number, report, offered: report.platforms.to_vec() };
        if let (true, Some(image)) = (root.offered.is_empty(), &report.descriptor)
            && image_of(&plan.parts(number, &image.digest)).is_some()
        {
            let platform = plan.config_platform(number, &image.digest)?;
            root.offered.extend(platform.map(|platform| (image.digest.clone(), platform)));
        }
        Ok(root)
    }

    /// Returns the image that is taken.
    fn image(&self, platform: Option<&Platform>) -> Result<Found, Obstacle> {
        let accepts = |offered: &Platform| platform.is_none_or(|wanted| wanted.accepts(offered));
        let own = self.report.descriptor.as_ref().map(|descriptor| &descriptor.digest);
        let digest = match self.offered.iter().find(|(_, offered)| accepts(offered)) {
            Some((digest, _)) => digest,
            None if self.is_index() => return Err(Obstacle::NoPlatform),
            // One that says nothing of its platform is taken as it is.
            None if self.offered.is_empty() => own.ok_or(Obstacle::NotAnImage)?,
            None if self.has_image() => return Err(Obstacle::NoPlatform),
            None => return Err(Obstacle::NotAnImage),
        };
        image_of(&self.plan.parts(self.number, digest)).ok_or(Obstacle::NotAnImage)
    }

    fn is_index(&self) -> bool {
        let descriptor = self.report.descriptor.as_ref();
        descriptor.is_some_and(|root| Kind::of(&root.media_type) == Some(Kind::Index))
    }

    /// Tells whether any of its platforms is an image.
    fn has_image(&self) -> bool {
        let mut entries = self.offered.iter();
        entries.any(|(digest, _)| image_of(&self.plan.parts(self.number, digest)).is_some())
    }
}

/// Returns the only platform that images of these roots are for; none if they say nothing of it.
fn only_platform(roots: &[Root<'_>]) -> Result<Option<Platform>, DockerManifestError> {
    let images = roots.iter().filter(|root| root.has_image());
    let all: BTreeMap<String, &Platform> = images
        .flat_map(|root| root.offered.iter())
        .map(|(_, platform)| (platform.to_string(), platform))
        .collect();
    let mut platforms = all.values();
    let Some(first) = platforms.next() else { return Ok(None) };
    if platforms.all(|other| first.accepts(other) && other.accepts(first)) {
        return Ok(Some((*first).clone()));
    }
    Err(DockerManifestError::SeveralPlatforms(all.into_keys().collect()))
}

/// Returns the image that these are the parts of.
fn image_of(parts: &[Part<'_>]) -> Option<Found> {
    let (config, layers) = parts.split_first()?;
    let is_config = [MediaType::IMAGE_CONFIG, MediaType::DOCKER_CONFIG]
        .iter()
        .any(|of_image| config.media_type.is(of_image));
    (is_config && layers.iter().all(|layer| is_layer(layer.media_type))).then(|| Found {
        config: path(config.digest),
        layers: layers.iter().map(|layer| path(layer.digest)).collect(),
        has_zstd: layers.iter().any(|layer| layer.media_type.is(MediaType::LAYER_ZSTD)),
    })
}

/// Tells whether something is the layer of a container image as Docker reads it: a tar, not encrypted.
fn is_layer(media_type: &MediaType) -> bool {
    const PREFIXES: [&str; 2] =
        ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];
    PREFIXES.iter().any(|prefix| media_type.starts_with(prefix))
        && !media_type.essence().ends_with("+encrypted")
}

/// Returns where a blob lies in a layout (row A-09).
fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.encoded())
}

/// Returns what Docker calls an artifact.
fn docker_tag(name: &str) -> Result<String, Obstacle> {
    let reference: Reference = name.parse().map_err(|_| Obstacle::NoTag)?;
    let reference = reference.with_digest(None);
    if reference.tag().is_none() {
        return Err(Obstacle::NoTag);
    }
    Ok(reference.docker_name())
}

impl fmt::Display for NotForDocker {
    /// Says what is not named and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reference, self.why)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnImage => "it is not a container image",
            Self::NoPlatform => "it is not there for the platform",
            Self::NoTag => "it has no tag",
            Self::TagTaken => "something else has the same tag",
        })
    }
}
