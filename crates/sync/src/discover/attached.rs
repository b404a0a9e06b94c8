//! What refers to what is wanted: by its subject, or by a tag of cosign's.

use longshore_spec::{Digest, Role};
use longshore_store::{Name, Referrers, Result, Selector, in_parallel};

use super::signatures::{SignatureTags, beside};
use super::{Discovery, Key, Step, Via, Way};
use crate::{Action, Referring, Wish};

/// What is attached to one manifest.
#[derive(Default)]
pub(super) struct Attached {
    /// `None` if nobody asked, or nobody is to be told that there was no answer.
    pub(super) referrers: Option<Result<Referrers>>,
    /// The names in the source of what cosign attached.
    pub(super) signatures: Vec<Name>,
}

impl Attached {
    pub(super) fn count(&self) -> u64 {
        let listed = self.referrers.iter().flatten().map(|referrers| referrers.entries.len());
        (listed.sum::<usize>() + self.signatures.len()) as u64
    }
}

/// A referrer that was met, and what it will be called.
pub(super) struct Referrer {
    way: Way,
    wish: Wish,
    names: Vec<Name>,
}

impl Discovery<'_, '_> {
    /// Returns, for each source, what is attached there by tags.
    pub(super) fn signature_tags(&mut self, jobs: usize) -> Vec<SignatureTags> {
        let Referring::Taken(_) = self.filter.referrers else {
            return self.plan.sources.iter().map(|_| SignatureTags::default()).collect();
        };
        let all = in_parallel(&self.plan.sources, jobs, |source| source.names());
        let mut tags = Vec::new();
        for (at, names) in all.into_iter().enumerate() {
            let names = names.unwrap_or_else(|error| {
                let source = format!("{:?}", self.plan.sources[at]);
                self.fail(Action::ListReferrers, source, error);
                Vec::new()
            });
            tags.push(SignatureTags::new(names));
        }
        tags
    }

    /// Returns the steps to the referrers that were met and are not known otherwise.
    pub(super) fn begin_referrers(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for Referrer { way, wish, names } in std::mem::take(&mut self.referrers) {
            // An index may list what refers to another of its entries (row E-98).
            let is_known = |entry, is_trusted| {
                self.known.contains_key(&Key::new(way.target, entry, Role::Manifest, is_trusted))
            };
            if let Wish::Listed(entry) = &wish
                && (is_known(entry, false) || is_known(entry, true))
            {
                continue;
            }
            if let Referring::Taken(_) = self.filter.referrers {
                let trust = self.trust_if_listed(&names);
                let via = Via::Referrer(self.add_root(None, names));
                steps.push(Step { way, wish, via, trust });
            } else {
                self.plan.referrers_seen += 1;
            }
        }
        steps
    }

    /// Takes note of what is attached to a manifest.
    pub(super) fn take_attached(&mut self, way: &Way, subject: &Digest, attached: Attached) {
        self.take_signatures(way, attached.signatures);
        match attached.referrers {
            None => {}
            Some(Ok(referrers)) => self.take_referrers(way, referrers),
            Some(Err(error)) => self.fail(Action::ListReferrers, subject.to_string(), error),
        }
    }

    fn take_referrers(&mut self, way: &Way, referrers: Referrers) {
        for entry in referrers.entries {
            if self.met.insert((way.target, entry.digest.clone())) {
                let (way, wish) = (way.clone(), Wish::Listed(entry));
                self.referrers.push(Referrer { way, wish, names: Vec::new() });
            }
        }
    }

    /// Takes what is attached by tag, under a tag beside the name of its root. What is wanted under
    /// that name already is not taken twice.
    fn take_signatures(&mut self, way: &Way, signatures: Vec<Name>) {
        for found in signatures {
            let name = beside(&found, way.repository.as_deref());
            if self.given.insert((way.target, name.clone())) {
                let (way, wish) = (way.clone(), Wish::Selector(Selector::Name(found)));
                self.referrers.push(Referrer { way, wish, names: vec![name] });
            }
        }
    }
}
