//! From what is wanted to references: asks repositories for their tags, where that is needed.

use longshore_spec::artifact_type::cosign_tag;
use longshore_spec::{Platform, Reference, Tag};
use longshore_store::{Error, Result, in_parallel};
use longshore_sync::{Action, Failure, Filter, Platforms, Side};

use crate::{Item, Selection, What};

/// One artifact that is wanted, by tag or digest.
#[derive(Debug, Clone)]
pub struct Picked<'s> {
    /// Which.
    pub reference: Reference,
    /// What asked for it.
    pub item: &'s Item,
}

/// What becomes of an index of which several platforms are taken, but not all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SparseIndex {
    /// It stays as it is and points to some that are not there.
    #[default]
    Keep,
    /// It is written anew without them, and gets another digest.
    Strip,
}

impl Selection {
    /// Returns every artifact that is wanted, by reference, in the order in which they were written,
    /// and what went wrong with the others.
    ///
    /// `tags` gives the tags of a repository. It is asked only where rules choose among them, by up
    /// to `jobs` threads at once. Tags that only keep account of signatures and other referrers are
    /// never chosen by rules: what they hold comes along with what it refers to. Rules that choose
    /// nothing are a failure.
    pub fn pick(
        &self,
        jobs: usize,
        tags: impl Fn(&Reference) -> Result<Vec<Tag>> + Sync,
    ) -> (Vec<Picked<'_>>, Vec<Failure>) {
        let pick = |item: &Item| match &item.what {
            What::Reference(reference) => Ok(vec![reference.clone()]),
            What::Repository(repository, rules) => {
                // A listed one that is not there fails when it is looked into, and is named then.
                let chosen = if let Some(listed) = rules.listed() {
                    listed.to_vec()
                } else {
                    let mut tags = tags(repository)?;
                    tags.retain(|tag| !is_account(tag));
                    rules.choose(&tags).unwrap_or_default()
                };
                if chosen.is_empty() {
                    return Err(Error::not_found("a tag that the rules choose", repository));
                }
                let tagged = |tag| repository.clone().with_tag(Some(tag));
                Ok(chosen.into_iter().map(tagged).collect())
            }
        };
        let (mut picked, mut failures) = (Vec::new(), Vec::new());
        for (item, result) in self.items.iter().zip(in_parallel(&self.items, jobs, pick)) {
            match result {
                Ok(references) => picked
                    .extend(references.into_iter().map(|reference| Picked { reference, item })),
                Err(error) => {
                    let subject = item.what.reference().to_string();
                    failures.push(Failure::new(Side::Source, Action::Resolve, subject, error));
                }
            }
        }
        (picked, failures)
    }
}

impl Item {
    /// Returns what is taken of each artifact that this asks for. One platform alone takes the place
    /// of its index.
    pub fn filter(&self) -> Filter {
        let mut wanted: Vec<Platform> = Vec::new();
        for platform in &self.platforms {
            // `linux/x86_64` beside `linux/amd64` makes no second one.
            if !wanted.contains(platform) {
                wanted.push(platform.clone());
            }
        }
        let platforms = match (wanted.as_slice(), self.sparse_index) {
            ([], _) => Platforms::All,
            ([one], _) => Platforms::One(one.clone()),
            (several, SparseIndex::Keep) => Platforms::Sparse(several.to_vec()),
            (several, SparseIndex::Strip) => Platforms::Stripped(several.to_vec()),
        };
        let (types, referrers) = (self.types.clone(), self.referrers.clone());
        Filter { platforms, types, referrers, ..Filter::default() }
    }
}

impl What {
    /// Returns the artifact, or the repository.
    pub fn reference(&self) -> &Reference {
        match self {
            Self::Reference(reference) | Self::Repository(reference, _) => reference,
        }
    }
}

/// How many digits of a digest the fallback tag of its referrers has (row E-87).
const FALLBACK_DIGITS: usize = 64;

/// Tells whether a tag keeps account of what refers to a manifest: a fallback tag (row E-87), or one
/// of cosign's (row E-97).
fn is_account(tag: &Tag) -> bool {
    let text = tag.as_str();
    let digits = text.strip_prefix("sha256-").or_else(|| text.strip_prefix("sha512-"));
    cosign_tag(text).is_some()
        || digits.is_some_and(|digits| {
            digits.len() == FALLBACK_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
}
