//! What belongs to a repository of a layout, and what refers to what in it.
//!
//! Manifests are read once, since their content never changes; what a repository holds is put
//! together from what they say whenever `index.json` has changed.
//!
//! How referrers are stored in a layout is not specified (row A-29): they are found by the
//! `subject` of every manifest that can be reached. That covers untagged entries (oras), fallback
//! tags (regctl) and attestations inside an index (`BuildKit`) alike.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use longshore_spec::{Descriptor, Digest, Kind, Manifest, MediaType, RepositoryName, Role};
use longshore_store::{AnsweredBy, Error, Referrers, Result, walk};

use crate::index::Listing;
use crate::names::{self, Scope};
use crate::view::Contents;

/// What manifests of so many bytes say is remembered, which takes no more than they do; with more,
/// all is forgotten and read again.
const MAX_MANIFESTS: u64 = 256 << 20;

/// What remembering anything takes, in bytes.
const ENTRY: u64 = 128;

/// So many repositories are remembered; with more, all are forgotten and put together again.
const MAX_REPOSITORIES: usize = 1000;

/// So many subjects are remembered to be stored; with more, all are looked for again.
const MAX_SUBJECTS: usize = 1_000_000;

/// How many manifests are read at once: they are small, and a cold disk likes company.
const JOBS: usize = 4;

/// What was found out so far.
#[derive(Default)]
pub(crate) struct Cache {
    manifests: Mutex<Known>,
    /// Subjects that were seen to be stored.
    subjects: Mutex<HashSet<Digest>>,
    repositories: Mutex<ByRepository>,
    /// Held while looking: others who ask meanwhile want the same answer.
    looking: Mutex<()>,
}

/// What manifests refer to; nothing for content that is no manifest.
#[derive(Default)]
struct Known {
    manifests: HashMap<Digest, Option<Arc<Links>>>,
    /// How many bytes the manifests have.
    size: u64,
}

/// What repositories hold, each for one state of what is listed; without a name, all of a layout. A
/// state that is over is not kept for it: there may be as many as repositories.
type ByRepository = HashMap<Option<RepositoryName>, (Weak<Listing>, Arc<Holdings>)>;

/// What a manifest refers to.
struct Links {
    children: Box<[(Digest, Member)]>,
    /// Its subject, and how it is described in a list of the subject's referrers.
    subject: Option<(Digest, Descriptor)>,
}

/// What a repository holds.
#[derive(Default)]
struct Holdings {
    all: HashMap<Digest, Member>,
    by_subject: HashMap<Digest, Vec<Descriptor>>,
}

/// Something that a repository holds, as the first that refers to it describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) media_type: MediaType,
    pub(crate) size: u64,
    /// What it is to the manifest that refers to it; nothing refers to an entry.
    pub(crate) role: Option<Role>,
}

impl Cache {
    /// Returns what a repository holds under a digest: its entries, and all that they lead to. An
    /// entry that says no repository and has no name is where its subject is.
    pub(crate) fn find(
        &self,
        contents: &dyn Contents,
        scope: &Scope,
        digest: &Digest,
    ) -> Result<Option<Member>> {
        let (holdings, failure) = self.holdings(contents, scope)?;
        match (holdings.all.get(digest), failure) {
            (Some(found), _) => Ok(Some(found.clone())),
            (None, None) => Ok(None),
            // It may be what the damaged manifest refers to.
            (None, Some(error)) => Err(error),
        }
    }

    /// Returns the referrers of `subject` in a repository, sorted by digest. Fails if a manifest is
    /// damaged: what it said is not known.
    pub(crate) fn referrers(
        &self,
        contents: &dyn Contents,
        scope: &Scope,
        subject: &Digest,
    ) -> Result<Referrers> {
        let (holdings, failure) = self.holdings(contents, scope)?;
        if let Some(error) = failure {
            return Err(error);
        }
        let entries = holdings.by_subject.get(subject).cloned().unwrap_or_default();
        Ok(Referrers { entries, answered_by: AnsweredBy::Scan })
    }

    /// Returns what a repository holds as far as that is known, and why no more is.
    fn holdings(
        &self,
        contents: &dyn Contents,
        scope: &Scope,
    ) -> Result<(Arc<Holdings>, Option<Error>)> {
        let listing = contents.listing()?;
        let (key, state) = (scope.repository().cloned(), Arc::downgrade(&listing));
        let known = || {
            let repositories = self.repositories();
            let (of, holdings) = repositories.get(&key)?;
            Weak::ptr_eq(of, &state).then(|| Arc::clone(holdings))
        };
        if let Some(holdings) = known() {
            return Ok((holdings, None));
        }
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holdings) = known() {
            return Ok((holdings, None));
        }
        let (holdings, failure) = self.gather(contents, scope, &listing);
        let holdings = Arc::new(holdings);
        if failure.is_none() {
            let mut kept = self.repositories();
            if kept.len() >= MAX_REPOSITORIES {
                kept.clear();
            }
            kept.insert(key, (state, Arc::clone(&holdings)));
        }
        Ok((holdings, failure))
    }

    /// Returns the repositories of a layout, sorted: those that names and marks of entries give, and
    /// that of what says none, if there is such a thing. An entry that says none and refers to
    /// something here is where that is.
    pub(crate) fn names(&self, contents: &dyn Contents) -> Result<Vec<RepositoryName>> {
        let listing = contents.listing()?;
        let bare = contents.bare_names_in().filter(|_| {
            let mut entries = listing.index().manifests.iter();
            listing.says_none()
                && entries.any(|entry| names::says_none(entry) && !self.is_tied(contents, entry))
        });
        Ok(listing.repositories(bare))
    }

    /// Tells whether an entry says no repository, and refers to something that is here: it is where that
    /// is.
    pub(crate) fn is_tied(&self, contents: &dyn Contents, entry: &Descriptor) -> bool {
        if !names::is_loose(entry) {
            return false;
        }
        // A damaged one refers to nothing until it can be read.
        let Ok(Some(links)) = self.links(contents, entry) else { return false };
        let Some((subject, _)) = &links.subject else { return false };
        if self.subjects().contains(subject) {
            return true;
        }
        let is_here = contents.size(subject).is_ok_and(|size| size.is_some());
        if is_here {
            let mut subjects = self.subjects();
            if subjects.len() >= MAX_SUBJECTS {
                subjects.clear();
            }
            subjects.insert(subject.clone());
        }
        is_here
    }

    fn subjects(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gather(
        &self,
        contents: &dyn Contents,
        scope: &Scope,
        listing: &Listing,
    ) -> (Holdings, Option<Error>) {
        let entries = listing.index().manifests.iter();
        // Of all of a layout nothing is left.
        let is_elsewhere =
            |entry: &Descriptor| scope.repository().is_some() && self.is_tied(contents, entry);
        let (held, others): (Vec<_>, Vec<_>) =
            entries.partition(|entry| scope.holds(entry) && !is_elsewhere(entry));
        let mut loose: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
        for entry in others.into_iter().filter(|entry| names::is_loose(entry)) {
            // A damaged one is nobody's until it can be read.
            if let Ok(Some(links)) = self.links(contents, entry)
                && let Some((subject, _)) = &links.subject
            {
                loose.entry(subject.clone()).or_default().push(entry.clone());
            }
        }
        let (mut holdings, mut failure, mut seen) = (Holdings::default(), None, HashSet::new());
        let roots: Vec<_> =
            held.into_iter().filter(|entry| seen.insert(entry.digest.clone())).cloned().collect();
        let look = |descriptor: &Descriptor| self.links(contents, descriptor);
        let walked = walk(roots, JOBS, look, |descriptor, links| {
            let links = links.unwrap_or_else(|error| {
                failure.get_or_insert(error);
                None
            });
            let mut next = loose.remove(&descriptor.digest).unwrap_or_default();
            for (digest, child) in links.iter().flat_map(|links| &links.children) {
                if child.role == Some(Role::Manifest) {
                    let Member { media_type, size, .. } = child;
                    next.push(Descriptor::new(media_type.clone(), digest.clone(), *size));
                }
                holdings.add(digest, child);
            }
            if let Some(Links { subject: Some((subject, as_referrer)), .. }) = links.as_deref() {
                let known = holdings.by_subject.entry(subject.clone()).or_default();
                known.push(as_referrer.clone());
            }
            let Descriptor { media_type, digest, size, .. } = descriptor;
            holdings.add(&digest, &Member { media_type, size, role: None });
            next.retain(|descriptor| seen.insert(descriptor.digest.clone()));
            next
        });
        if let Err(error) = walked {
            let (what, limit) = (contents.label(), error.to_string());
            failure.get_or_insert(Error::Limit { what, limit });
        }
        for list in holdings.by_subject.values_mut() {
            list.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
        }
        (holdings, failure)
    }

    /// Returns what a manifest refers to. One that is absent says nothing (row A-13), nor does what
    /// is no manifest though it is listed as one; one that is damaged is an error.
    fn links(
        &self,
        contents: &dyn Contents,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<Links>>> {
        if let Some(known) = self.known().manifests.get(&descriptor.digest) {
            return Ok(known.clone());
        }
        let is_typed = Kind::of(&descriptor.media_type).is_some();
        // Whoever lists it may be wrong about its size. That is its own business: what the manifest
        // says is the same.
        let Some(size) = contents.size(&descriptor.digest)? else { return Ok(None) };
        let descriptor = &Descriptor { size, ..descriptor.clone() };
        let found = match contents.manifest(descriptor) {
            Ok(manifest) => Some(Arc::new(Links::of(&manifest))),
            Err(Error::NotFound { .. }) => return Ok(None),
            // It is what its digest says, and not what its descriptor does: then its own bytes tell.
            Err(Error::Manifest { .. } | Error::Limit { .. }) if is_typed => {
                let Descriptor { digest, size, .. } = descriptor;
                let untyped = Descriptor::new(MediaType::new(""), digest.clone(), *size);
                return self.links(contents, &untyped);
            }
            // An entry of unknown type may be anything (rows A-15, C-22).
            Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
                if !is_typed =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let mut known = self.known();
        let size = ENTRY + if found.is_some() { descriptor.size } else { 0 };
        if known.size + size > MAX_MANIFESTS {
            *known = Known::default();
        }
        if known.manifests.insert(descriptor.digest.clone(), found.clone()).is_none() {
            known.size += size;
        }
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repositories(&self) -> MutexGuard<'_, ByRepository> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    fn of(manifest: &Manifest) -> Self {
        let child = |(role, child): (Role, &Descriptor)| {
            let (media_type, size) = (child.media_type.clone(), child.size);
            (child.digest.clone(), Member { media_type, size, role: Some(role) })
        };
        Self {
            children: manifest.children().map(child).collect(),
            subject: manifest
                .subject()
                .map(|subject| (subject.digest.clone(), manifest.as_referrer())),
        }
    }
}

impl Holdings {
    /// Adds something. What an index lists as a manifest is one, whatever else it is; of which type,
    /// its own bytes tell where those that list it disagree.
    fn add(&mut self, digest: &Digest, member: &Member) {
        let known = self.all.entry(digest.clone()).or_insert_with(|| member.clone());
        let both = known.role == Some(Role::Manifest) && member.role == Some(Role::Manifest);
        if both && known.media_type != member.media_type {
            known.media_type = MediaType::new("");
        } else if known.role.is_none() || member.role == Some(Role::Manifest) {
            member.clone_into(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use longshore_store::Place as _;

    use super::*;
    use crate::Directory;

    #[test]
    fn a_list_that_has_changed_is_kept_by_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Directory::create(directory.path()).unwrap();
        let repository = layout.repository(&"a".parse().unwrap()).unwrap();
        let list = |content: &[u8]| {
            let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, content);
            repository.list(&descriptor, &["v1".into()]).unwrap();
            layout.commit(true).unwrap();
        };
        list(b"one");
        assert!(repository.blob(&Digest::sha256("absent")).is_err());
        let before = Arc::downgrade(&layout.listing().unwrap());
        list(b"two");
        layout.listing().unwrap();
        assert!(before.upgrade().is_none());
    }
}
