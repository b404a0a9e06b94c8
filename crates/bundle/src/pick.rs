//! From what is wanted to references: asks repositories for their tags, where that is needed.

use std::collections::BTreeMap;
use std::fmt;

use longshore_spec::artifact_type::cosign_tag;
use longshore_spec::{Digest, Platform, Reference, Tag};
use longshore_store::{Error, Name, Result, Subject, in_parallel};
use longshore_sync::{Action, Failure, Filter, Platforms, Side};

use crate::tags::highest_version;
use crate::{Choice, Item, LayoutPlace, Selection, SparseIndex, TagRules};

/// One artifact that is wanted, by tag or digest.
#[derive(Debug, Clone)]
pub struct Picked<'s> {
    /// Which.
    pub reference: Reference,
    /// What asked for it.
    pub item: &'s Item,
}

/// What the places have that a selection names, where something may be chosen.
pub trait ReferenceLookup: Sync {
    /// Returns the tags of a repository.
    fn tags(&self, repository: &Reference) -> Result<Vec<Tag>>;

    /// Returns the full references that one artifact of a layout has there. Fails if it has none.
    fn artifact(&self, layout: &LayoutPlace) -> Result<Vec<Reference>>;

    /// Returns every full reference of a layout.
    fn references(&self, layout: &LayoutPlace) -> Result<Vec<Reference>>;
}

impl Selection {
    /// Returns every artifact that is wanted, by reference, in the order in which they were written,
    /// and what went wrong with the others.
    ///
    /// `catalog` is asked for tags only where rules choose among them, by up to `jobs` threads at once.
    /// Tags that only keep account of signatures and other referrers are never chosen by rules: what
    /// they hold comes along with what it refers to. Rules that choose nothing are a failure.
    pub fn pick(
        &self,
        jobs: usize,
        catalog: &impl ReferenceLookup,
    ) -> (Vec<Picked<'_>>, Vec<Failure>) {
        let pick = |item: &Item| match &item.choice {
            Choice::Reference(reference) => Ok(vec![reference.clone()]),
            Choice::Layout(layout) => catalog.artifact(layout),
            Choice::References(layout, rules) => {
                let chosen = choose(layout, rules, catalog.references(layout)?)?;
                Ok(chosen)
            }
            Choice::Repository(repository, rules) => {
                // A listed one that is not there fails when it is looked into, and is named then.
                let chosen = if let Some(listed) = rules.listed() {
                    listed.to_vec()
                } else {
                    let mut tags = catalog.tags(repository)?;
                    tags.retain(|tag| !is_account(tag));
                    let chosen = rules.choose(&tags).unwrap_or_default();
                    if chosen.is_empty() {
                        return Err(nothing_chosen(repository, rules, &tags));
                    }
                    chosen
                };
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
                    let subject = item.choice.to_string();
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
            ([], SparseIndex::Strip) => Platforms::Present,
            ([], _) => Platforms::All,
            ([one], _) => Platforms::One(one.clone()),
            // Whoever writes the bundle refuses what turns out to be left out of.
            (several, SparseIndex::Keep | SparseIndex::Refuse) => {
                Platforms::Sparse(several.to_vec())
            }
            (several, SparseIndex::Strip) => Platforms::Stripped(several.to_vec()),
        };
        let (types, referrers) = (self.types.clone(), self.referrers.clone());
        Filter { platforms, types, referrers, ..Filter::default() }
    }
}

/// Returns the references whose tags the rules choose, those of each repository apart.
fn choose(
    layout: &LayoutPlace,
    rules: &TagRules,
    references: Vec<Reference>,
) -> Result<Vec<Reference>> {
    let mut by_repository: BTreeMap<String, (Reference, Vec<Tag>)> = BTreeMap::new();
    for reference in references {
        let Some(tag) = reference.tag().cloned().filter(|tag| !is_account(tag)) else { continue };
        let repository = reference.with_tag(None).with_digest(None);
        let known = by_repository.entry(repository.to_string());
        known.or_insert_with(|| (repository, Vec::new())).1.push(tag);
    }
    if let Some(listed) = rules.listed() {
        let is_there = |tag: &&Tag| by_repository.values().any(|(_, tags)| tags.contains(tag));
        if let Some(missing) = listed.iter().find(|tag| !is_there(tag)) {
            return Err(Error::not_found(Subject::Name(Name::new(missing.as_str())), layout));
        }
    }
    let all: Vec<Tag> = by_repository.values().flat_map(|(_, tags)| tags).cloned().collect();
    let chosen = by_repository.into_values().flat_map(|(repository, tags)| {
        let tags = match rules.listed() {
            Some(listed) => listed.iter().filter(|tag| tags.contains(tag)).cloned().collect(),
            None => rules.choose(&tags).unwrap_or_default(),
        };
        tags.into_iter().map(move |tag| repository.clone().with_tag(Some(tag)))
    });
    let chosen: Vec<_> = chosen.collect();
    if chosen.is_empty() {
        return Err(nothing_chosen(layout, rules, &all));
    }
    Ok(chosen)
}

/// Returns what it means that `rules` choose none of some tags.
fn nothing_chosen(place: impl fmt::Display, rules: &TagRules, tags: &[Tag]) -> Error {
    Error::NothingChosen {
        place: place.to_string(),
        rules: rules.to_string(),
        tags: tags.len(),
        newest: highest_version(tags).map(ToString::to_string),
    }
}

/// Tells whether a tag keeps account of what refers to a manifest: a fallback tag (row E-87), or one
/// of cosign's (row E-97).
fn is_account(tag: &Tag) -> bool {
    let text = tag.as_str();
    Digest::is_referrers_tag(text) || cosign_tag(text).is_some()
}
