//! Which content belongs to which repository of a layout, and what refers to what.
//!
//! Manifests are read once. Their content never changes, so the graph of references only grows. A
//! repository holds what can be reached from its entries. To find out whether it holds something, the
//! graph is searched from there upwards to an entry, so entries can come and go without cost.
//!
//! How layouts store referrers is not specified (row A-29). They are found by the `subject` of every
//! manifest that can be reached: untagged entries (oras), fallback tags (regctl) and attestations in an
//! index (`BuildKit`).

mod graph;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_spec::{Descriptor, Digest, Kind, MediaType, RepositoryName, Role};
use longshore_store::{AnsweredBy, Error, Referrers, Result, walk};

use self::graph::{Graph, NodeKind};
use crate::backend::Backend;
use crate::listing::{Entry, Listing};
use crate::names::Scope;

/// The most memory of the graph. Beyond it, everything is forgotten and read again.
const MAX_GRAPH: u64 = 256 << 20;

/// How many manifests are read at once: they are small, and a cold disk benefits from parallel reads.
const JOBS: usize = 4;

/// The known graph, and which entries were read.
pub(crate) struct Cache {
    /// The graph is forgotten if it has more bytes.
    most: u64,
    graph: Mutex<Graph>,
    read_parts: Mutex<ReadParts>,
    /// Held while reading: others meanwhile want the same answer.
    reading: Mutex<()>,
}

/// Which parts of a layout were read.
#[derive(Default)]
struct ReadParts {
    /// The lineage of the listing.
    lineage: u64,
    /// The last generation of that lineage.
    generation: u64,
    parts: HashMap<PartKey, Part>,
}

/// A part of the entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PartKey {
    All,
    /// The entries of a repository.
    Repository(Box<str>),
    /// The entries that name no repository.
    NoRepository,
    /// Those of them that have no name either: they may belong anywhere.
    Loose,
}

/// What is known of a part.
#[derive(Default)]
struct Part {
    /// Whether nobody is reading it now.
    is_complete: bool,
    /// Entries that are new since.
    came: Vec<Descriptor>,
    /// Manifests that could not be read. They may be intact the next time.
    damaged: Vec<Descriptor>,
    /// Manifests that were absent.
    absent: Vec<Descriptor>,
}

/// Content of a repository, as what refers to it describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) media_type: MediaType,
    pub(crate) size: u64,
    /// The role in the manifest that refers to it; `None` for an entry.
    pub(crate) role: Option<Role>,
}

/// Whether absent manifests are looked for again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recheck {
    No,
    Yes,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

impl Default for Cache {
    fn default() -> Self {
        let (graph, read_parts, reading) = Default::default();
        Self { most: MAX_GRAPH, graph, read_parts, reading }
    }
}

impl ReadParts {
    /// Forgets what belongs to an older listing.
    fn keep_for(&mut self, listing: &Listing) {
        if self.lineage < listing.lineage() {
            let (lineage, generation) = (listing.lineage(), listing.generation());
            *self = Self { lineage, generation, parts: HashMap::new() };
        }
    }
}

impl Cache {
    /// Returns the content of a repository with this digest: an entry, or what an entry leads to. An
    /// entry without repository and name belongs where its subject is.
    pub(crate) fn find(
        &self,
        backend: &dyn Backend,
        scope: &Scope,
        digest: &Digest,
    ) -> Result<Option<Member>> {
        let listing = backend.listing()?;
        let member = |graph: &Graph| graph.member(&listing, scope, digest);
        let (mut found, mut failure) = self.query(backend, scope, &listing, Recheck::No, member);
        if found.is_none() {
            // A manifest that is new since may refer to it.
            let (late, failed) = self.query(backend, scope, &listing, Recheck::Yes, member);
            (found, failure) = (late, failed.or(failure));
        }
        match (found, failure) {
            (Some(found), _) => Ok(Some(found)),
            (None, None) => Ok(None),
            // The damaged manifest may refer to it.
            (None, Some(error)) => Err(error),
        }
    }

    /// Returns the referrers of `subject` in a repository, sorted by digest. Fails if a manifest is
    /// damaged, since its references are unknown.
    pub(crate) fn referrers(
        &self,
        backend: &dyn Backend,
        scope: &Scope,
        subject: &Digest,
    ) -> Result<Referrers> {
        let listing = backend.listing()?;
        let referrers = |graph: &Graph| graph.referrers(&listing, scope, subject);
        let (mut entries, failure) = self.query(backend, scope, &listing, Recheck::No, referrers);
        if let Some(error) = failure {
            return Err(error);
        }
        entries.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
        Ok(Referrers { entries, answered_by: AnsweredBy::Scan })
    }

    /// Returns the repositories of a layout, sorted: those that entries name, and that of entries that
    /// name none, if there are any. An entry that names none and refers to stored content belongs where
    /// that content is.
    pub(crate) fn names(&self, backend: &dyn Backend) -> Result<Vec<RepositoryName>> {
        let listing = backend.listing()?;
        let bare = backend.bare_names_in().filter(|_| {
            let says_none = |entry: &&Entry| entry.says().is_none();
            listing.says_none()
                && listing.entries().filter(says_none).any(|entry| !self.is_tied(backend, entry))
        });
        Ok(listing.repositories(bare))
    }

    /// Tells whether a repository is among [`Cache::names`].
    pub(crate) fn has_name(&self, backend: &dyn Backend, name: &RepositoryName) -> Result<bool> {
        let listing = backend.listing()?;
        let mut entries = listing.within_repository(name.as_str());
        if entries.any(|entry| entry.says() == Some(name.as_str())) {
            return Ok(true);
        }
        let is_bare = backend.bare_names_in() == Some(name);
        Ok(is_bare && self.names(backend)?.contains(name))
    }

    /// Tells whether an entry names no repository and refers to stored content. It belongs where that
    /// content is.
    pub(crate) fn is_tied(&self, backend: &dyn Backend, entry: &Entry) -> bool {
        if !entry.is_loose() {
            return false;
        }
        let descriptor = entry.descriptor();
        // A damaged manifest refers to nothing until it can be read.
        if self.read_manifest(backend, descriptor).is_err() {
            return false;
        }
        self.tie(backend, &descriptor.digest)
    }

    /// Tells whether a manifest that was read refers to stored content.
    fn tie(&self, backend: &dyn Backend, digest: &Digest) -> bool {
        let Some((subject, is_stored)) = self.graph().subject(digest) else { return false };
        if is_stored {
            return true;
        }
        let is_here = backend.size(&subject).is_ok_and(|size| size.is_some());
        if is_here {
            self.graph().note_stored(&subject);
        }
        is_here
    }

    /// Records the new entries of a listing. Only they are read later.
    pub(crate) fn follow(&self, after: &Listing) {
        let mut read_parts = self.read_parts();
        read_parts.keep_for(after);
        if read_parts.lineage != after.lineage() {
            return;
        }
        read_parts.generation = read_parts.generation.max(after.generation());
        for entry in after.new_entries() {
            let by_name = entry.repositories().map(|name| match name {
                "" => PartKey::NoRepository,
                name => PartKey::Repository(name.into()),
            });
            let loose = entry.is_loose().then_some(PartKey::Loose);
            for key in by_name.chain(loose).chain([PartKey::All]) {
                if let Some(part) = read_parts.parts.get_mut(&key) {
                    part.came.push(entry.descriptor().clone());
                }
            }
        }
    }

    /// Answers a question about a repository, after reading what was not read yet. The error says why the
    /// answer may be incomplete.
    fn query<T>(
        &self,
        backend: &dyn Backend,
        scope: &Scope,
        listing: &Listing,
        recheck: Recheck,
        question: impl Fn(&Graph) -> T,
    ) -> (T, Option<Error>) {
        let parts = match scope {
            Scope::Layout => vec![PartKey::All],
            Scope::Repository { name, bare } => {
                let others = if *bare { PartKey::NoRepository } else { PartKey::Loose };
                vec![PartKey::Repository(name.as_str().into()), others]
            }
        };
        let is_done = |read_parts: &ReadParts| {
            let is_done = |key: &PartKey| {
                read_parts.parts.get(key).is_some_and(|part| {
                    part.is_complete
                        && part.came.is_empty()
                        && part.damaged.is_empty()
                        && (recheck == Recheck::No || part.absent.is_empty())
                })
            };
            read_parts.lineage == listing.lineage() && parts.iter().all(is_done)
        };
        // While one of these locks is held, the graph is not forgotten.
        let read_parts = self.read_parts();
        if is_done(&read_parts) {
            return (question(&self.graph()), None);
        }
        drop(read_parts);
        let _looking = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_if_large();
        let mut failure = None;
        for key in parts {
            let failed = self.read_part(backend, key, listing, recheck);
            failure = failure.or(failed);
        }
        (question(&self.graph()), failure)
    }

    /// Forgets everything if the graph is too large. What is read next stays known until the call after
    /// it, however large it is.
    fn forget_if_large(&self) {
        let mut read_parts = self.read_parts();
        let mut graph = self.graph();
        if graph.size() > self.most {
            *graph = Graph::default();
            read_parts.parts.clear();
        }
    }

    fn read_part(
        &self,
        backend: &dyn Backend,
        key: PartKey,
        listing: &Listing,
        recheck: Recheck,
    ) -> Option<Error> {
        let mut roots = self.unread(&key, listing, recheck);
        let mut seen = HashSet::new();
        roots.retain(|entry| seen.insert(entry.digest.clone()));
        let may_be_loose = matches!(key, PartKey::NoRepository | PartKey::Loose);
        let loose: Vec<Digest> =
            roots.iter().filter(|_| may_be_loose).map(|it| it.digest.clone()).collect();
        let (mut damaged, mut absent, mut failure) = (Vec::new(), Vec::new(), None);
        let read_manifest = |descriptor: &Descriptor| self.read_manifest(backend, descriptor);
        let walked = walk(roots, JOBS, read_manifest, |descriptor, kind| {
            let mut next = match kind {
                Ok(NodeKind::NotAManifest) => Vec::new(),
                Ok(NodeKind::Absent) => {
                    absent.push(descriptor);
                    return Vec::new();
                }
                Ok(NodeKind::Links) => self.graph().manifests_of(&descriptor.digest),
                Err(error) => {
                    damaged.push(descriptor);
                    failure.get_or_insert(error);
                    return Vec::new();
                }
            };
            next.retain(|child| seen.insert(child.digest.clone()));
            next
        });
        // Those that refer to stored content belong where it is.
        for digest in loose {
            self.tie(backend, &digest);
        }
        if let Err(error) = walked {
            let (what, limit) = (backend.label(), error.to_string());
            failure.get_or_insert(Error::Limit { what, limit });
        }
        let mut read_parts = self.read_parts();
        let is_it = read_parts.lineage == listing.lineage();
        if let Some(part) = read_parts.parts.get_mut(&key).filter(|_| is_it) {
            part.is_complete = true;
            part.damaged.append(&mut damaged);
            part.absent.append(&mut absent);
        }
        failure
    }

    /// Returns the entries of a part that were not read yet. The caller must read them.
    fn unread(&self, key: &PartKey, listing: &Listing, recheck: Recheck) -> Vec<Descriptor> {
        let mut read_parts = self.read_parts();
        read_parts.keep_for(listing);
        let is_it = read_parts.lineage == listing.lineage();
        if let Some(known) = read_parts.parts.get_mut(key).filter(|_| is_it) {
            known.is_complete = false;
            let absent = if recheck == Recheck::Yes {
                std::mem::take(&mut known.absent)
            } else {
                Vec::new()
            };
            let seen = [&mut known.came, &mut known.damaged].map(std::mem::take);
            return seen.into_iter().flatten().chain(absent).collect();
        }
        // A newer listing may have been recorded meanwhile.
        if is_it && listing.generation() >= read_parts.generation {
            read_parts.parts.insert(key.clone(), Part::default());
        }
        let descriptor = |entry: &Entry| entry.descriptor().clone();
        match key {
            PartKey::All => listing.entries().map(descriptor).collect(),
            PartKey::Repository(name) => listing.within_repository(name).map(descriptor).collect(),
            PartKey::NoRepository => listing.within_repository("").map(descriptor).collect(),
            PartKey::Loose => {
                let entries = listing.within_repository("");
                entries.filter(|entry| entry.is_loose()).map(descriptor).collect()
            }
        }
    }

    /// Reads a manifest into the graph, unless it was read before. An absent manifest has no references
    /// (row A-13), nor has content that is listed as a manifest and is not one. A damaged one is an
    /// error.
    fn read_manifest(&self, backend: &dyn Backend, descriptor: &Descriptor) -> Result<NodeKind> {
        if let Some(known) = self.graph().kind(&descriptor.digest) {
            return Ok(known);
        }
        let is_typed = Kind::of(&descriptor.media_type).is_some();
        // The descriptor's size may be wrong, which concerns only its own reader.
        let Some(size) = backend.size(&descriptor.digest)? else { return Ok(NodeKind::Absent) };
        let descriptor = &Descriptor { size, ..descriptor.clone() };
        let found = match backend.manifest(descriptor) {
            Ok(manifest) => Some(manifest),
            Err(Error::NotFound { .. }) => return Ok(NodeKind::Absent),
            // The content has this digest, but not the type of the descriptor: the content decides.
            Err(Error::Manifest { .. } | Error::Limit { .. }) if is_typed => {
                let Descriptor { digest, size, .. } = descriptor;
                let untyped = Descriptor::new(MediaType::new(""), digest.clone(), *size);
                return self.read_manifest(backend, &untyped);
            }
            // An entry of unknown type may be anything (rows A-15, C-22).
            Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
                if !is_typed =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(self.graph().add(&descriptor.digest, found.as_ref()))
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_parts(&self) -> MutexGuard<'_, ReadParts> {
        self.read_parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_store::{Entry as Listed, Place, TargetPlace as _, manifest_from};

    use super::*;
    use crate::Directory;

    fn scope(name: &str) -> Scope {
        Scope::Repository { name: name.parse().unwrap(), bare: false }
    }

    fn digest(content: &str) -> Digest {
        Digest::sha256(content)
    }

    /// Pushes an image with a config of its own and a layer that all have; returns its digest.
    fn push(layout: &Directory, repository: &str, tag: &str) -> Digest {
        let part = |kind: &str, content: &str| {
            let digest = digest(content);
            serde_json::json!({ "mediaType": kind, "digest": digest, "size": content.len() })
        };
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MediaType::IMAGE_MANIFEST,
            "config": part(MediaType::IMAGE_CONFIG, &format!("{repository}:{tag}")),
            "layers": [part("a/layer", "shared")],
        });
        let raw = serde_json::to_vec(&document).unwrap();
        let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, &raw);
        let manifest = manifest_from(raw.into(), descriptor).unwrap();
        let repository = layout.repository(&repository.parse().unwrap()).unwrap();
        repository.push_manifest(&manifest, Listed::Root(&[tag.into()])).unwrap();
        layout.commit().unwrap();
        manifest.descriptor().digest.clone()
    }

    #[test]
    fn what_a_repository_holds_is_found_however_little_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path()).unwrap();
        let forgetful = Cache { most: 0, ..Cache::default() };
        let role = |cache: &Cache, repository: &str, content: &str| {
            let found = cache.find(&layout, &scope(repository), &digest(content)).unwrap();
            found.map(|member| member.role.unwrap())
        };
        // Fewer entries than manifests with the layer, and more: it is looked for either way.
        for (many, few) in [(1, 0), (9, 0), (20, 2)] {
            let all = (0..many).map(|number| ("many", number));
            for (repository, number) in all.chain((0..few).map(|number| ("few", number))) {
                push(&layout, repository, &format!("v{number}"));
                forgetful.follow(&layout.listing().unwrap());
            }
            for cache in [&layout.membership, &forgetful] {
                assert_eq!(role(cache, "many", "shared"), Some(Role::Layer));
                assert_eq!(role(cache, "few", "shared"), (few > 0).then_some(Role::Layer));
                assert_eq!(role(cache, "none", "shared"), None);
                let last = format!("many:v{}", many - 1);
                assert_eq!(role(cache, "many", &last), Some(Role::Config));
                assert_eq!(role(cache, "few", &last), None);
            }
        }
    }

    #[test]
    fn what_is_removed_takes_with_it_what_nothing_else_refers_to() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path()).unwrap();
        let [one, two] = ["v1", "v2"].map(|tag| push(&layout, "a", tag));
        let holds = |content: &str| {
            layout.membership.find(&layout, &scope("a"), &digest(content)).unwrap().is_some()
        };
        assert!(holds("a:v1") && holds("a:v2") && holds("shared"));
        let repository = layout.repository(&"a".parse().unwrap()).unwrap();
        repository.remove(&one).unwrap();
        assert!(!holds("a:v1") && holds("a:v2") && holds("shared"));
        repository.remove(&two).unwrap();
        assert!(!holds("a:v2") && !holds("shared"));
    }

    #[test]
    fn a_list_that_has_changed_is_kept_by_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path()).unwrap();
        let repository = layout.repository(&"a".parse().unwrap()).unwrap();
        let list = |content: &[u8]| {
            let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, content);
            repository.list(&descriptor, &["v1".into()]).unwrap();
            layout.commit().unwrap();
        };
        list(b"one");
        assert!(repository.blob(&Digest::sha256("absent")).is_err());
        let before = Arc::downgrade(&layout.listing().unwrap());
        list(b"two");
        layout.listing().unwrap();
        assert!(before.upgrade().is_none());
    }
}
