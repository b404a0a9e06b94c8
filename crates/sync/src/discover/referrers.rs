//! What refers to what is wanted: by its subject, or by a tag of cosign's.

use std::collections::HashSet;

use longshore_spec::{Digest, Manifest, Role};
use longshore_store::{Name, Referrers, Result, Selector, in_parallel};

use super::known::Key;
use super::signatures::{SignatureTags, beside};
use super::{Discovery, Origin, Route, Step};
use crate::{Action, Referring, RootRequest, Unfit};

/// What is attached to one manifest.
pub(super) struct Attached {
    /// `None` if nobody asked, or nobody is to be told that there was no answer.
    pub(super) referrers: Option<Result<Referrers>>,
    /// The names in the source of what cosign attached.
    pub(super) signatures: Result<Vec<Name>>,
}

impl Default for Attached {
    fn default() -> Self {
        Self { referrers: None, signatures: Ok(Vec::new()) }
    }
}

/// A referrer that was met, and what it will be called.
pub(super) struct Referrer {
    way: Route,
    wish: RootRequest,
    names: Vec<Name>,
    subject: Digest,
}

impl Discovery<'_> {
    /// Returns, for each source, what is attached there by tags.
    pub(super) fn signature_tags(&mut self, steps: &[Step], jobs: usize) -> Vec<SignatureTags> {
        let those = |is: fn(&Referring) -> bool| -> HashSet<u32> {
            let asking = steps.iter().filter(|step| is(&self.filter(&step.way).referrers));
            asking.map(|step| step.way.source).collect()
        };
        let asked = those(|referring| *referring != Referring::Ignored);
        let taken = those(|referring| matches!(referring, Referring::Taken(_)));
        let sources = (0..).zip(&self.plan.sources);
        let sources_asked: Vec<_> =
            sources.map(|(number, source)| asked.contains(&number).then_some(*source)).collect();
        let all = in_parallel(&sources_asked, jobs, |source| match source {
            Some(source) => SignatureTags::find(*source),
            None => Ok(SignatureTags::default()),
        });
        let mut tags = Vec::new();
        for (at, found) in all.into_iter().enumerate() {
            tags.push(found.unwrap_or_else(|error| {
                // Nobody asked for what is only counted, so nobody is told that it cannot be listed.
                if taken.contains(&u32::try_from(at).unwrap_or(u32::MAX)) {
                    let source = format!("{:?}", self.plan.sources[at]);
                    self.fail(Action::ListReferrers, source, error);
                }
                SignatureTags::default()
            }));
        }
        tags
    }

    /// Returns the steps to the referrers that were met and are not known otherwise.
    pub(super) fn begin_referrers(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.place_strangers();
        for Referrer { way, wish, names, subject } in std::mem::take(&mut self.referrers) {
            // An index may list what refers to another of its entries (row E-98).
            let is_known = |entry, is_trusted| {
                let key = Key::new(&way, entry, Role::Manifest, is_trusted);
                self.known.get(&key, &self.plan.nodes).is_some()
            };
            if let RootRequest::Listed(entry) = &wish
                && (is_known(entry, false) || is_known(entry, true))
            {
                continue;
            }
            if let Referring::Taken(_) = self.filter(&way).referrers {
                let trust = self.trust_if_listed(&way, &names);
                let root = self.add_root(None, names, Some(subject));
                if let RootRequest::Listed(entry) = &wish {
                    // What it is is known even if it cannot be had.
                    self.plan.roots[root].descriptor = Some(entry.clone());
                }
                let via = Origin::Referrer(root);
                steps.push(Step { way, wish, via, trust, alike: Vec::new() });
            } else {
                self.plan.referrers_seen += 1;
            }
        }
        steps
    }

    /// Takes note of what is attached to a manifest.
    pub(super) fn take_attached(&mut self, way: &Route, subject: &Digest, attached: Attached) {
        match attached.signatures {
            Ok(signatures) => self.take_signatures(way, subject, signatures),
            Err(error) => self.fail(Action::ListReferrers, subject.to_string(), error),
        }
        match attached.referrers {
            None => {}
            Some(Ok(referrers)) => self.take_referrers(way, subject, referrers),
            Some(Err(error)) => self.fail(Action::ListReferrers, subject.to_string(), error),
        }
    }

    /// Tells whether what was listed as a referrer refers to something else, and leaves it out if so:
    /// places have been seen to list the same for whatever is asked. One that says nothing of what it
    /// refers to may be attached by a tag.
    pub(super) fn is_stranger(&mut self, step: &Step, manifest: &Manifest) -> bool {
        let (Origin::Referrer(root), RootRequest::Listed(_)) = (step.via, &step.wish) else {
            return false;
        };
        let planned = &mut self.plan.roots[root];
        let (Some(listed), Some(own)) = (planned.subject.as_deref(), manifest.subject()) else {
            return false;
        };
        if own.digest == *listed {
            return false;
        }
        let digest = &manifest.descriptor().digest;
        tracing::warn!(
            "{digest} is listed as a referrer of {listed}, but refers to {}",
            own.digest
        );
        planned.skipped = true;
        let (way, wish, subject) = (step.way.clone(), step.wish.clone(), own.digest.clone());
        self.strangers.push((own.clone(), Referrer { way, wish, names: Vec::new(), subject }));
        true
    }

    /// Takes those that refer to something that is in the plan, whatever list they stood in.
    fn place_strangers(&mut self) {
        for (own, referrer) in std::mem::take(&mut self.strangers) {
            let is_known = |is_trusted| {
                let key = Key::new(&referrer.way, &own, Role::Manifest, is_trusted);
                self.known.get(&key, &self.plan.nodes).is_some()
            };
            if is_known(false) || is_known(true) {
                self.referrers.push(referrer);
            } else {
                self.strangers.push((own, referrer));
            }
        }
    }

    /// Takes note of what is attached to an index that does not come as it is.
    pub(super) fn leave_behind(&mut self, way: &Route, index: &Digest, attached: Attached) {
        let Attached { referrers, signatures } = attached;
        let mut leave = |referrer, is_carried| {
            let subject = index.clone();
            self.plan.unfit.push(Unfit { subject, referrer, is_carried });
        };
        for entry in referrers.into_iter().flatten().flat_map(|referrers| referrers.entries) {
            // Whether it comes all the same is known at the end.
            leave(RootRequest::Listed(entry), false);
        }
        for found in signatures.into_iter().flatten() {
            let name = beside(&found, way.repository.as_deref());
            let is_wanted = self.given.contains(&(way.target, name));
            leave(RootRequest::Selector(Selector::Name(found)), is_wanted);
        }
    }

    /// Finds out what refers to an index that does not come as it is, and is wanted on its own account; the
    /// rest stays behind.
    pub(super) fn mark_carried(&mut self) {
        if self.plan.unfit.is_empty() {
            return;
        }
        let roots = self.plan.roots.iter().filter(|root| root.subject.is_none());
        let wanted: HashSet<&Digest> = roots.filter_map(|root| root.origin()).collect();
        for unfit in &mut self.plan.unfit {
            if let RootRequest::Listed(entry) = &unfit.referrer {
                unfit.is_carried = wanted.contains(&entry.digest);
            }
        }
        let left = self.plan.unfit.iter().filter(|unfit| !unfit.is_carried).count();
        self.plan.referrers_seen += left as u64;
    }

    fn take_referrers(&mut self, way: &Route, subject: &Digest, referrers: Referrers) {
        for entry in referrers.entries {
            if self.met.insert((way.target, way.filter, entry.digest.clone())) {
                let (way, wish, subject) =
                    (way.clone(), RootRequest::Listed(entry), subject.clone());
                self.referrers.push(Referrer { way, wish, names: Vec::new(), subject });
            }
        }
    }

    /// Takes what is attached by tag, under a tag beside the name of its root. What is wanted under
    /// that name already is not taken twice.
    fn take_signatures(&mut self, way: &Route, subject: &Digest, signatures: Vec<Name>) {
        for found in signatures {
            let name = beside(&found, way.repository.as_deref());
            if !self.given.contains(&(way.target, name.clone()))
                && self.beside.insert((way.target, way.filter, name.clone()))
            {
                let (way, wish) = (way.clone(), RootRequest::Selector(Selector::Name(found)));
                let (names, subject) = (vec![name], subject.clone());
                self.referrers.push(Referrer { way, wish, names, subject });
            }
        }
    }
}
