//! Writing down what a site holds.

mod selected;

use std::collections::{BTreeMap, HashMap, HashSet};

use longshore_layout::Layout;
use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Digest, RepositoryName, Role, Tag};
use longshore_store::{Error, Result, Source, SourcePlace, in_parallel};
use longshore_sync::{Failure, Filter, Observer, Present, Proof, Referring, survey_known};

pub use self::selected::SelectedRepositories;
use crate::{Base, Receipt, ReceiptManifest, ReceiptRepository, SiteName};

/// What a receipt is to say.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptRequest<'a> {
    /// What the site has.
    pub places: &'a [ReceiptPlace<'a>],
    /// How content is proven to be there.
    pub proof: Proof,
    /// How much is asked for at once.
    pub jobs: usize,
}

/// A place that belongs to a site.
#[derive(Debug)]
pub enum ReceiptPlace<'a> {
    /// A layout: all that it lists.
    Layout(&'a dyn Layout),
    /// These repositories of a registry.
    Repositories(&'a dyn SourcePlace, Vec<RepositoryName>),
}

/// What a site holds, as far as that could be found out.
#[derive(Debug, Default)]
pub struct Holdings {
    /// What is there, by the repository that holds it, each once, sorted. Those that hold nothing are not
    /// among them.
    repositories: Vec<ReceiptRepository>,
    /// What the site lists or refers to, and does not have, or has damaged.
    pub absent: Vec<Failure>,
    /// What could not be looked for: nobody knows whether the site has it.
    pub failures: Vec<Failure>,
}

/// Returns the repository of a registry that is called `prefix`, and all below it; all of the registry
/// without one. A registry that lists its repositories for nobody has the one that is named, if one is;
/// why there are no others is returned, too.
///
/// # Errors
///
/// The registry lists no repositories and none is named, or it does not answer.
pub fn repositories_below(
    place: &dyn SourcePlace,
    prefix: Option<&RepositoryName>,
) -> Result<(Vec<RepositoryName>, Option<Error>)> {
    let is_forbidden = |error: &Error| {
        use Error::{Denied, Refused, Unsupported};
        error.is_not_found() || matches!(error, Denied { .. } | Refused { .. } | Unsupported { .. })
    };
    let (mut names, prefix) = match (place.repositories(), prefix) {
        (Ok(names), None) => return Ok((names, None)),
        (Ok(names), Some(prefix)) => (names, prefix),
        (Err(error), Some(prefix)) if is_forbidden(&error) => {
            return Ok((vec![prefix.clone()], Some(error)));
        }
        (Err(error), _) => return Err(error),
    };
    names.retain(|name| {
        let rest = name.as_str().strip_prefix(prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    // Some lists lack what is there.
    if !names.contains(prefix) {
        names.push(prefix.clone());
    }
    Ok((names, None))
}

impl ReceiptRequest<'_> {
    /// Finds out what every repository holds: all that its tags and entries reach, and what refers to
    /// that. Of each piece of content it is proven that it is there.
    ///
    /// # Errors
    ///
    /// A place cannot say what it lists.
    pub fn run(&self, observer: &dyn Observer) -> Result<Holdings> {
        let mut holdings = Holdings::default();
        for place in self.places {
            match place {
                ReceiptPlace::Repositories(place, names) => {
                    holdings.add(self.held_by(*place, names, observer)?);
                }
                ReceiptPlace::Layout(layout) => {
                    let mut found = self.held_by(*layout, &layout.repositories()?, observer)?;
                    let (whole, failures) =
                        self.held(None, &*layout.whole(), self.jobs, observer)?;
                    found.add_rest(whole, failures);
                    holdings.add(found);
                }
            }
        }
        Ok(holdings)
    }

    fn held_by(
        &self,
        place: &dyn SourcePlace,
        names: &[RepositoryName],
        observer: &dyn Observer,
    ) -> Result<Holdings> {
        // Most repositories are small, and each takes a few requests that wait for one another.
        let at_once = self.jobs.min(names.len()).max(1);
        let jobs = (self.jobs / at_once).max(1);
        let found = in_parallel(names, at_once, |name| {
            self.held(Some(name), &*place.source(name)?, jobs, observer)
        });
        let mut holdings = Holdings::default();
        for found in found {
            let (repository, failures) = found?;
            holdings.add_repository(repository);
            holdings.add_failures(failures);
        }
        Ok(holdings)
    }

    /// Returns what one repository holds, and what it does not.
    fn held(
        &self,
        name: Option<&RepositoryName>,
        repository: &dyn Source,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Result<(ReceiptRepository, Vec<Failure>)> {
        let known = repository.known_roots()?;
        let mut tags: HashMap<Digest, Vec<Tag>> = HashMap::new();
        for root in &known.roots {
            let names = root.names.iter().filter_map(|name| name.as_str().parse().ok());
            tags.entry(root.descriptor.digest.clone()).or_default().extend(names);
        }
        let referrers = Referring::Taken(TypeFilter::default());
        let filter = Filter { referrers, allow_unverified: true, ..Filter::default() };
        let plan = survey_known(repository, known, &filter, jobs, observer);
        let Present { nodes, failures } = plan.present(self.proof, jobs, observer);
        let (mut manifests, mut blobs) = (BTreeMap::new(), BTreeMap::new());
        for node in nodes {
            let of = if node.role == Role::Manifest { &mut manifests } else { &mut blobs };
            of.insert(node.digest, node.size);
        }
        let manifests = manifests.into_iter().map(|(digest, size)| {
            let mut tags = tags.remove(&digest).unwrap_or_default();
            tags.sort_unstable();
            tags.dedup();
            ReceiptManifest { digest, size, tags }
        });
        let repository = ReceiptRepository {
            name: name.cloned(),
            manifests: manifests.collect(),
            blobs: blobs.into_iter().collect(),
        };
        Ok((repository, failures))
    }
}

impl Holdings {
    /// Returns the same as what a delta may be compared with.
    pub fn to_base(&self) -> Base {
        Base::of_digests(self.repositories.iter().flat_map(ReceiptRepository::digests))
    }

    /// Returns the receipt that says this.
    pub fn into_receipt(self, site: SiteName, number: u64) -> Receipt {
        Receipt { site, number, repositories: self.repositories }
    }

    fn add(&mut self, other: Self) {
        for repository in other.repositories {
            self.add_repository(repository);
        }
        self.absent.extend(other.absent);
        self.failures.extend(other.failures);
    }

    /// Adds what a repository holds; several places may have one of this name.
    fn add_repository(&mut self, repository: ReceiptRepository) {
        if repository.manifests.is_empty() && repository.blobs.is_empty() {
            return;
        }
        match self.repositories.binary_search_by(|known| known.name.cmp(&repository.name)) {
            Err(at) => self.repositories.insert(at, repository),
            Ok(at) => self.repositories[at].add(repository),
        }
    }

    fn add_failures(&mut self, failures: Vec<Failure>) {
        let (unanswered, absent): (Vec<_>, Vec<_>) =
            failures.into_iter().partition(|failure| failure.error.is_unanswered());
        self.absent.extend(absent);
        self.failures.extend(unanswered);
    }

    /// Adds what a layout holds in none of its repositories, and what is wrong there.
    fn add_rest(&mut self, mut whole: ReceiptRepository, mut failures: Vec<Failure>) {
        let known: HashSet<Digest> =
            self.repositories.iter().flat_map(ReceiptRepository::digests).cloned().collect();
        whole.manifests.retain(|manifest| !known.contains(&manifest.digest));
        whole.blobs.retain(|(digest, _)| !known.contains(digest));
        self.add_repository(whole);
        let told: HashSet<String> =
            self.absent.iter().map(|failure| failure.subject.clone()).collect();
        failures.retain(|failure| !told.contains(&failure.subject));
        self.add_failures(failures);
    }
}

impl ReceiptRepository {
    fn digests(&self) -> impl Iterator<Item = &Digest> {
        let manifests = self.manifests.iter().map(|manifest| &manifest.digest);
        manifests.chain(self.blobs.iter().map(|(digest, _)| digest))
    }

    fn add(&mut self, other: Self) {
        self.manifests.extend(other.manifests);
        self.manifests.sort_by(|a, b| a.digest.cmp(&b.digest));
        self.manifests.dedup_by(|later, earlier| {
            let is_same = later.digest == earlier.digest;
            if is_same {
                earlier.tags.append(&mut later.tags);
                earlier.tags.sort_unstable();
                earlier.tags.dedup();
            }
            is_same
        });
        self.blobs.extend(other.blobs);
        self.blobs.sort_unstable();
        self.blobs.dedup();
    }
}
