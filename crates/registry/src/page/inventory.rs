//! The content that the page shows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use longshore_spec::artifact_type::{ArtifactType, cosign_tag};
use longshore_spec::{Descriptor, Digest, Manifest, ManifestContent, RepositoryName, Role, keys};
use longshore_store::{Error, Place, Repository, Result, describe, walk};

/// How many manifests are read to find the size of one artifact. Beyond that, the size is a lower bound.
const WEIGHED: usize = 100;

/// How many referrers of one artifact are shown.
const REFERRERS: usize = 50;

/// The content that the page shows.
pub(super) struct Inventory {
    /// Every repository.
    pub(super) repositories: Vec<RepositoryName>,
    /// The repository that is shown, if not all are.
    pub(super) only: Option<RepositoryName>,
    pub(super) shelves: Vec<Shelf>,
    /// The last artifact that is shown, if more follow.
    pub(super) more_after: Option<String>,
}

/// The content of one repository.
pub(super) struct Shelf {
    pub(super) name: RepositoryName,
    pub(super) artifacts: Vec<Artifact>,
    /// How many manifests are listed without a tag: referrers, parts of indexes, and manifests that lost
    /// their tag.
    pub(super) untagged: usize,
}

/// An artifact with a tag.
#[expect(clippy::struct_field_names, reason = "the specs call it so")]
pub(super) struct Artifact {
    pub(super) tags: Vec<String>,
    pub(super) digest: Digest,
    /// Its type. For an index without a type, that of its entries.
    pub(super) artifact_type: ArtifactType,
    pub(super) is_index: bool,
    pub(super) platforms: Vec<String>,
    pub(super) weight: Weight,
    /// Its annotations: title, version, description.
    pub(super) says: Vec<(&'static str, String)>,
    pub(super) referrers: Vec<Referrer>,
    pub(super) more_referrers: usize,
    pub(super) problem: Option<String>,
}

/// A referrer of an artifact.
pub(super) struct Referrer {
    pub(super) artifact_type: ArtifactType,
    pub(super) digest: Digest,
    /// The tag by which cosign attached it, if it did so.
    pub(super) tag: Option<String>,
}

/// The size of an artifact with everything that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Exactly(u64),
    /// Some of it is absent, or was not read.
    AtLeast(u64),
}

/// The manifests of one digest in a repository.
struct Listed {
    tags: BTreeSet<String>,
    descriptor: Descriptor,
}

impl Inventory {
    /// Reads up to `most` artifacts of `all` repositories, or of the wanted one, after the artifact
    /// `last`: `REPOSITORY:TAG`.
    pub(super) fn take(
        place: &dyn Place,
        all: &[RepositoryName],
        only: Option<&RepositoryName>,
        last: &str,
        most: usize,
    ) -> Result<Self> {
        let (last_name, last_tag) = last.rsplit_once(':').unwrap_or((last, ""));
        let mut shelves = Vec::new();
        let mut left = most;
        let mut more_after = None;
        let shown = all.iter().filter(|name| only.is_none_or(|only| only == *name));
        for name in shown.filter(|name| name.as_str() >= last_name) {
            let repository = place.repository(name)?;
            let Sorted { tagged: mut listed, signatures, untagged } = sort(&*repository)?;
            if name.as_str() == last_name {
                listed.retain(|it| it.tags.first().is_some_and(|tag| tag.as_str() > last_tag));
            }
            if left == 0 && !listed.is_empty() {
                break;
            }
            let total = listed.len();
            listed.truncate(left);
            left -= listed.len();
            let artifacts: Vec<_> =
                listed.into_iter().map(|it| look(&*repository, it, &signatures)).collect();
            let end = artifacts.last().and_then(|it| Some(format!("{name}:{}", it.tags.first()?)));
            more_after = end.or(more_after);
            let is_cut = artifacts.len() < total;
            if !artifacts.is_empty() || (untagged > 0 && name.as_str() != last_name) {
                shelves.push(Shelf { name: name.clone(), artifacts, untagged });
            }
            if is_cut {
                break;
            }
        }
        // If nothing follows, the next page says so.
        let more_after = more_after.filter(|_| left == 0);
        Ok(Self { repositories: all.to_vec(), only: only.cloned(), shelves, more_after })
    }
}

/// The entries of a repository, sorted.
struct Sorted {
    /// By tag, what has tags of its own.
    tagged: Vec<Listed>,
    /// By subject, what cosign attached by a tag.
    signatures: BTreeMap<Digest, Vec<(String, Descriptor)>>,
    untagged: usize,
}

fn sort(repository: &dyn Repository) -> Result<Sorted> {
    let mut by_digest: BTreeMap<Digest, Listed> = BTreeMap::new();
    for root in repository.roots()? {
        let tags = root.names.iter().filter_map(|name| Some(name.tag()?.as_str().to_owned()));
        let listed = by_digest.entry(root.descriptor.digest.clone()).or_insert_with(|| Listed {
            tags: BTreeSet::new(),
            descriptor: root.descriptor.clone(),
        });
        listed.tags.extend(tags);
    }
    let mut signatures: BTreeMap<Digest, Vec<(String, Descriptor)>> = BTreeMap::new();
    for listed in by_digest.values() {
        for tag in &listed.tags {
            if let Some((subject, _)) = cosign_tag(tag) {
                let tied = (tag.clone(), listed.descriptor.clone());
                signatures.entry(subject).or_default().push(tied);
            }
        }
    }
    // Lists of referrers (row E-87) and referrers that are shown with their subject are not shown by
    // themselves.
    let lists: HashSet<String> = by_digest.keys().map(Digest::referrers_tag).collect();
    let known: HashSet<Digest> = by_digest.keys().cloned().collect();
    let is_tied = |tag: &String| {
        lists.contains(tag) || cosign_tag(tag).is_some_and(|(subject, _)| known.contains(&subject))
    };
    let (mut tagged, mut untagged) = (Vec::new(), 0);
    for (_, mut listed) in by_digest {
        if listed.tags.is_empty() {
            untagged += 1;
            continue;
        }
        listed.tags.retain(|tag| !is_tied(tag));
        if !listed.tags.is_empty() {
            tagged.push(listed);
        }
    }
    tagged.sort_by(|a, b| a.tags.cmp(&b.tags));
    Ok(Sorted { tagged, signatures, untagged })
}

fn look(
    repository: &dyn Repository,
    Listed { tags, descriptor }: Listed,
    signatures: &BTreeMap<Digest, Vec<(String, Descriptor)>>,
) -> Artifact {
    let mut artifact = Artifact {
        tags: tags.into_iter().collect(),
        digest: descriptor.digest.clone(),
        artifact_type: ArtifactType::declared_as(&descriptor.media_type),
        is_index: false,
        platforms: Vec::new(),
        weight: Weight::AtLeast(descriptor.size),
        says: Vec::new(),
        referrers: Vec::new(),
        more_referrers: 0,
        problem: None,
    };
    match repository.child(&descriptor) {
        Ok(manifest) => {
            artifact.is_index = matches!(manifest.content(), ManifestContent::Index(_));
            artifact.artifact_type = describe::type_of_entries(repository, &manifest)
                .unwrap_or_else(|| describe::artifact_type(repository, &manifest));
            let platforms = describe::platforms(repository, &manifest);
            artifact.platforms = platforms.iter().map(ToString::to_string).collect();
            artifact.weight = weigh(repository, &manifest);
            let annotations = manifest.annotations();
            let says = [
                ("title", keys::TITLE),
                ("version", keys::VERSION),
                ("description", keys::DESCRIPTION),
                ("created", keys::CREATED),
            ];
            let said =
                says.iter().filter_map(|(what, key)| Some((*what, annotations.get(key)?.clone())));
            artifact.says = said.collect();
        }
        Err(error) => artifact.problem = Some(error.to_string()),
    }
    let listed = repository.referrers(&descriptor.digest).map(|listed| listed.entries);
    let attached = listed.unwrap_or_default().into_iter().map(|entry| (None, entry));
    let tied = signatures.get(&descriptor.digest).into_iter().flatten();
    let tied = tied.map(|(tag, entry)| (Some(tag.clone()), entry.clone()));
    let all: Vec<_> = attached.chain(tied).collect();
    artifact.more_referrers = all.len().saturating_sub(REFERRERS);
    let referrer = |(tag, entry): (Option<String>, Descriptor)| Referrer {
        artifact_type: match repository.child(&entry) {
            Ok(manifest) => describe::artifact_type(repository, &manifest),
            Err(_) => ArtifactType::declared_as(&entry.media_type),
        },
        digest: entry.digest,
        tag,
    };
    artifact.referrers = all.into_iter().take(REFERRERS).map(referrer).collect();
    artifact
}

/// Adds up the sizes of everything that a manifest refers to, shared content once.
fn weigh(repository: &dyn Repository, manifest: &Manifest) -> Weight {
    let root = manifest.descriptor().clone();
    let mut seen = HashSet::from([root.digest.clone()]);
    let (mut bytes, mut read, mut is_whole) = (root.size, 0, true);
    let look = |descriptor: &Descriptor| match repository.child(descriptor) {
        // An entry of an index may not be a manifest (row A-15).
        Err(Error::Manifest { .. }) => Ok(None),
        found => found.map(Some),
    };
    let walked = walk(vec![root], 1, look, |_, found| {
        let Ok(found) = found else {
            is_whole = false;
            return Vec::new();
        };
        let mut next = Vec::new();
        for (role, child) in found.iter().flat_map(Manifest::children) {
            if !seen.insert(child.digest.clone()) {
                continue;
            }
            bytes = bytes.saturating_add(child.size);
            if role != Role::Manifest {
                continue;
            }
            read += 1;
            if read <= WEIGHED {
                next.push(child.clone());
            }
        }
        next
    });
    if is_whole && walked.is_ok() && read <= WEIGHED {
        Weight::Exactly(bytes)
    } else {
        Weight::AtLeast(bytes)
    }
}
