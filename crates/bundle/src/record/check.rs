//! Comparing a record with what is there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use longshore_spec::{Descriptor, Digest, Role};
use longshore_store::{Outline, OutlineNode, Root};

use super::{LeftBehind, Record, RecordedBlob, RecordedRoot, Why, role};

/// A way in which a layout is not what its record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// A root of the record is not listed.
    NoRoot {
        /// The root.
        reference: String,
        /// What it should be.
        digest: Digest,
    },
    /// A root stands for something else.
    OtherRoot {
        /// The root.
        reference: String,
        /// What it should be.
        recorded: Digest,
        /// What it is.
        found: Digest,
    },
    /// A root has another media type.
    OtherType {
        /// The root.
        reference: String,
        /// The media type that the record gives.
        recorded: String,
        /// The media type under which it is listed.
        found: String,
    },
    /// Something has a name that the record does not know.
    UnknownRoot {
        /// The name.
        reference: String,
        /// What it is.
        digest: Digest,
    },
    /// Content of the record is not there, or is needed by nothing that is listed.
    NotNeeded(Digest),
    /// Content that is needed is not in the record.
    NotRecorded(Digest),
    /// The `manifest.json` for Docker is not there, or another.
    OtherDockerManifest,
    /// Content is something else to the first manifest that refers to it.
    OtherRole {
        /// The content.
        digest: Digest,
        /// The role that the record gives.
        recorded: Role,
        /// The role that the manifests give.
        found: Role,
    },
    /// Content that nothing needs is there, and the record does not know it.
    Unknown(Digest),
    /// Content has another size.
    OtherSize {
        /// The content.
        digest: Digest,
        /// The size that the record gives, in bytes.
        recorded: u64,
        /// The size that the manifests give.
        found: u64,
    },
}

impl Record {
    /// Returns every way in which a layout is not what this says: `roots` are all that it lists, `outline` has
    /// what they need, and `assumed` what of that is taken for granted elsewhere. Nothing is read for it; that the content is there and hashes right is the
    /// business of whoever reads it. The words for types are not compared: another version may know others.
    pub fn differences(
        &self,
        roots: &[Root],
        outline: &Outline,
        assumed: &[OutlineNode],
    ) -> Vec<Difference> {
        let mut found = BTreeSet::new();
        self.compare_roots(roots, &mut found);
        self.compare_blobs(outline.nodes().iter().chain(assumed), &mut found);
        found.into_iter().collect()
    }

    /// Returns which of `roots`, the entries of a delta's `index.json`, this does not know so. There need not be
    /// any: it lists only what is whole in the delta.
    pub(crate) fn misnamed(&self, roots: &[Root]) -> Vec<Difference> {
        let mut found = BTreeSet::new();
        self.compare_roots(roots, &mut found);
        found.retain(|difference| !matches!(difference, Difference::NoRoot { .. }));
        found.into_iter().collect()
    }

    /// Returns how the `manifest.json` that lies beside the content is not the one of this; one that
    /// this does not know is no business of its.
    pub fn docker_difference(&self, found: Option<&[u8]>) -> Option<Difference> {
        let recorded = self.docker_manifest.as_ref()?;
        let is_it = |found: &[u8]| {
            found.len() as u64 == recorded.size && Digest::sha256(found) == recorded.digest
        };
        (!found.is_some_and(is_it)).then_some(Difference::OtherDockerManifest)
    }

    /// Returns what of `stored`, which nothing needs, this does not know. That matters in archives, which are
    /// written once; a directory may keep what an earlier export had begun.
    pub fn unknown(&self, stored: &[Digest]) -> Vec<Difference> {
        let known: HashSet<&Digest> = self.blobs.iter().map(|blob| &blob.digest).collect();
        let unknown = stored.iter().filter(|digest| !known.contains(digest));
        unknown.cloned().map(Difference::Unknown).collect()
    }

    fn compare_roots(&self, roots: &[Root], found: &mut BTreeSet<Difference>) {
        let listed = roots.iter();
        let listed: BTreeMap<&str, &Descriptor> = listed
            .flat_map(|root| root.names.iter().map(|name| (name.as_str(), &root.descriptor)))
            .collect();
        for root in &self.roots {
            found.extend(root.difference(listed.get(root.reference.as_str()).copied()));
        }
        let known = self.roots.iter().map(|root| root.reference.as_str());
        let attached = self.referrers.iter().filter_map(|referrer| referrer.reference.as_deref());
        let known: BTreeSet<&str> = known.chain(attached).collect();
        for (reference, there) in listed.iter().filter(|(name, _)| !known.contains(*name)) {
            let (reference, digest) = ((*reference).to_owned(), there.digest.clone());
            found.insert(Difference::UnknownRoot { reference, digest });
        }
    }

    fn compare_blobs<'n>(
        &self,
        needed: impl Iterator<Item = &'n OutlineNode>,
        found: &mut BTreeSet<Difference>,
    ) {
        // Sorted, and not hashed: there may be hundreds of thousands.
        let mut needed: Vec<&OutlineNode> = needed.collect();
        needed.sort_by(|a, b| a.digest.cmp(&b.digest));
        needed.dedup_by(|later, earlier| later.digest == earlier.digest);
        let mut known = vec![false; needed.len()];
        let find = |digest: &Digest| needed.binary_search_by(|node| node.digest.cmp(digest)).ok();
        for RecordedBlob { digest, size, role, .. } in self.blobs.iter().chain(self.assumed()) {
            let digest = digest.clone();
            let Some(at) = find(&digest) else {
                found.insert(Difference::NotNeeded(digest));
                continue;
            };
            known[at] = true;
            let OutlineNode { size: there, role: role_there, .. } = needed[at];
            if there != size {
                let (recorded, there) = (*size, *there);
                found.insert(Difference::OtherSize { digest, recorded, found: there });
            } else if role_there != role {
                let (recorded, there) = (*role, *role_there);
                found.insert(Difference::OtherRole { digest, recorded, found: there });
            }
        }
        let unknown = needed.iter().zip(&known).filter(|(_, known)| !**known);
        found.extend(unknown.map(|(node, _)| Difference::NotRecorded(node.digest.clone())));
        let of_roots = self.roots.iter().flat_map(|root| &root.referrers);
        let referrers = self.referrers.iter().map(|referrer| &referrer.digest).chain(of_roots);
        let absent = referrers.filter(|digest| find(digest).is_none());
        found.extend(absent.cloned().map(Difference::NotNeeded));
    }
}

impl RecordedRoot {
    /// Compares with what is listed under the same name.
    fn difference(&self, there: Option<&Descriptor>) -> Option<Difference> {
        let reference = self.reference.clone();
        let Some(there) = there else {
            return Some(Difference::NoRoot { reference, digest: self.digest.clone() });
        };
        if there.digest != self.digest {
            let (recorded, found) = (self.digest.clone(), there.digest.clone());
            return Some(Difference::OtherRoot { reference, recorded, found });
        }
        let [recorded, found] = [&self.media_type, &there.media_type].map(ToString::to_string);
        (recorded != found).then_some(Difference::OtherType { reference, recorded, found })
    }
}

/// Keeps what somebody wrote to one line, so that it cannot say what the program would.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoot { reference, digest } => {
                let reference = one_line(reference);
                write!(f, "{reference} is not listed; it should be {digest}")
            }
            Self::OtherRoot { reference, recorded, found } => {
                let reference = one_line(reference);
                write!(f, "{reference} is {found}, and was recorded as {recorded}")
            }
            Self::OtherType { reference, recorded, found } => {
                write!(f, "{reference} is listed as {found}, and was recorded as {recorded}")
            }
            Self::UnknownRoot { reference, digest } => {
                let reference = one_line(reference);
                write!(f, "{reference} ({digest}) is listed, and was not recorded")
            }
            Self::NotNeeded(digest) => {
                write!(f, "{digest} was recorded, but is not there, or nothing needs it")
            }
            Self::NotRecorded(digest) => write!(f, "{digest} is needed, and was not recorded"),
            Self::Unknown(digest) => write!(f, "{digest} is there, and was not recorded"),
            Self::OtherDockerManifest => {
                f.write_str("`manifest.json`, for Docker, is not the one that was recorded")
            }
            Self::OtherRole { digest, recorded, found } => {
                let (recorded, found) = (role::word(*recorded), role::word(*found));
                write!(f, "{digest} is a {found}, and was recorded as a {recorded}")
            }
            Self::OtherSize { digest, recorded, found } => {
                write!(f, "{digest} has {found} bytes, and was recorded with {recorded}")
            }
        }
    }
}

impl fmt::Display for LeftBehind {
    /// Says what was left out and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.as_ref().map(ToString::to_string);
        let parts = [&self.reference, &self.platform, &digest];
        let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
        write!(f, "{}: {}", one_line(&parts.join(" ")), self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "could not be had",
            Self::Platform => "its platform was not asked for",
            Self::Absent => "the source does not have it",
            Self::Type => "its type was not asked for",
        })
    }
}
