//! What refers to what is wanted: by its subject, or by a tag of cosign's.

use std::collections::HashSet;

use longshore_spec::{Digest, Manifest, Role};
use longshore_store::{Name, Referrers, Result, Selector, in_parallel};

use super::node_index::NodeKey;
use super::signatures::{SignatureTags, tag_beside};
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
    route: Route,
    request: RootRequest,
    names: Vec<Name>,
    subject: Digest,
}

impl Discovery<'_> {
    /// Returns, for each source, what is attached there by tags.
    pub(super) fn signature_tags(&mut self, steps: &[Step], jobs: usize) -> Vec<SignatureTags> {
        let those = |is: fn(&Referring) -> bool| -> HashSet<u32> {
            let asking = steps.iter().filter(|step| is(&self.filter(&step.route).referrers));
            asking.map(|step| step.route.source).collect()
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
        self.place_misplaced();
        for Referrer { route, request, names, subject } in std::mem::take(&mut self.referrers) {
            // An index may list what refers to another of its entries (row E-98).
            let is_known = |entry, is_trusted| {
                let key = NodeKey::new(&route, entry, Role::Manifest, is_trusted);
                self.index.get(&key, &self.plan.nodes).is_some()
            };
            if let RootRequest::Listed(entry) = &request
                && (is_known(entry, false) || is_known(entry, true))
            {
                continue;
            }
            if let Referring::Taken(_) = self.filter(&route).referrers {
                let trust = self.trust_if_listed(&route, &names);
                let root = self.add_root(None, names, Some(subject));
                if let RootRequest::Listed(entry) = &request {
                    // What it is is known even if it cannot be had.
                    self.plan.roots[root].descriptor = Some(entry.clone());
                }
                let origin = Origin::Referrer(root);
                steps.push(Step { route, request, origin, trust, duplicates: Vec::new() });
            } else {
                self.plan.referrers_seen += 1;
            }
        }
        steps
    }

    /// Takes note of what is attached to a manifest.
    pub(super) fn record_attached(&mut self, route: &Route, subject: &Digest, attached: Attached) {
        match attached.signatures {
            Ok(signatures) => self.record_signatures(route, subject, signatures),
            Err(error) => self.fail(Action::ListReferrers, subject.to_string(), error),
        }
        match attached.referrers {
            None => {}
            Some(Ok(referrers)) => self.record_referrers(route, subject, referrers),
            Some(Err(error)) => self.fail(Action::ListReferrers, subject.to_string(), error),
        }
    }

    /// Tells whether what was listed as a referrer refers to something else, and leaves it out if so:
    /// places have been seen to list the same for whatever is asked. One that says nothing of what it
    /// refers to may be attached by a tag.
    pub(super) fn is_misplaced(&mut self, step: &Step, manifest: &Manifest) -> bool {
        let (Origin::Referrer(root), RootRequest::Listed(_)) = (step.origin, &step.request) else {
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
        let (route, request, subject) =
            (step.route.clone(), step.request.clone(), own.digest.clone());
        self.misplaced.push((own.clone(), Referrer { route, request, names: Vec::new(), subject }));
        true
    }

    /// Takes those that refer to something that is in the plan, whatever list they stood in.
    fn place_misplaced(&mut self) {
        for (own, referrer) in std::mem::take(&mut self.misplaced) {
            let is_known = |is_trusted| {
                let key = NodeKey::new(&referrer.route, &own, Role::Manifest, is_trusted);
                self.index.get(&key, &self.plan.nodes).is_some()
            };
            if is_known(false) || is_known(true) {
                self.referrers.push(referrer);
            } else {
                self.misplaced.push((own, referrer));
            }
        }
    }

    /// Takes note of what is attached to an index that does not come as it is.
    pub(super) fn leave_behind(&mut self, route: &Route, index: &Digest, attached: Attached) {
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
            let name = tag_beside(&found, route.repository.as_deref());
            let is_wanted = self.wanted_names.contains(&(route.target, name));
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

    fn record_referrers(&mut self, route: &Route, subject: &Digest, referrers: Referrers) {
        for entry in referrers.entries {
            if self.seen_referrers.insert((route.target, route.filter, entry.digest.clone())) {
                let (route, request, subject) =
                    (route.clone(), RootRequest::Listed(entry), subject.clone());
                self.referrers.push(Referrer { route, request, names: Vec::new(), subject });
            }
        }
    }

    /// Takes what is attached by tag, under a tag beside the name of its root. What is wanted under
    /// that name already is not taken twice.
    fn record_signatures(&mut self, route: &Route, subject: &Digest, signatures: Vec<Name>) {
        for found in signatures {
            let name = tag_beside(&found, route.repository.as_deref());
            if !self.wanted_names.contains(&(route.target, name.clone()))
                && self.seen_tags.insert((route.target, route.filter, name.clone()))
            {
                let (route, request) =
                    (route.clone(), RootRequest::Selector(Selector::Name(found)));
                let (names, subject) = (vec![name], subject.clone());
                self.referrers.push(Referrer { route, request, names, subject });
            }
        }
    }
}
