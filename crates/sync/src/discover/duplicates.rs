//! Many names of one content: it is looked into once.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use longshore_spec::Descriptor;
use longshore_store::in_parallel;

use super::{Discovery, Origin, Step, Trust};
use crate::{FoundRoot, Platforms, RootRequest};

impl Discovery<'_> {
    /// Makes one step of all that lead to the same content on the same route: it is looked into once,
    /// however many names it has. Asks targets that may be trusted with up to `jobs` requests at once.
    pub(super) fn merge_duplicates(&self, mut steps: Vec<Step>, jobs: usize) -> Vec<Step> {
        let trusts = in_parallel(&steps, jobs, |step| self.trust_of(step));
        for (step, trust) in steps.iter_mut().zip(trusts) {
            if let Some(trust) = trust {
                step.trust = trust;
            }
        }
        let hasher = RandomState::new();
        let mut first: HashMap<u64, usize> = HashMap::new();
        let mut joined: Vec<Step> = Vec::new();
        for step in steps {
            let key = self.can_be_merged(&step).then(|| match &step.request {
                RootRequest::Listed(Descriptor { digest, size, .. }) => {
                    let (route, trust) = (&step.route, matches!(step.trust, Trust::Yes));
                    let route = (route.source, route.target, route.filter, &route.repository);
                    Some(hasher.hash_one((route, trust, digest, size)))
                }
                RootRequest::Selector(_) => None,
            });
            let Some(key) = key.flatten() else {
                joined.push(step);
                continue;
            };
            let at = *first.entry(key).or_insert(joined.len());
            match joined.get_mut(at) {
                Some(other) if are_duplicates(other, &step) => {
                    if let (Origin::Root(root), RootRequest::Listed(listed)) =
                        (step.origin, step.request)
                    {
                        other.duplicates.push((root, listed));
                    }
                }
                _ => joined.push(step),
            }
        }
        joined
    }

    /// Finds out whether a target that may be trusted is; `None` if that has to wait until it is
    /// known what is taken.
    fn trust_of(&self, step: &Step) -> Option<Trust> {
        let (Trust::IfListed(names), RootRequest::Listed(listed)) = (&step.trust, &step.request)
        else {
            return None;
        };
        if !self.can_be_merged(step) {
            return None;
        }
        let target = self.plan.targets[step.route.target as usize];
        // One that does not answer is asked again for everything, and then it is told.
        let lists = target.is_some_and(|target| target.lists(listed, names).unwrap_or(false));
        Some(if lists { Trust::Yes } else { Trust::No })
    }

    /// Tells whether what is listed is what is taken. What is chosen within it, or written anew, has
    /// its own descriptor.
    fn can_be_merged(&self, step: &Step) -> bool {
        matches!(self.filter(&step.route).platforms, Platforms::All | Platforms::Sparse(_))
            && matches!(step.request, RootRequest::Listed(_))
    }

    /// Tells the roots that are duplicates what the first of them is.
    pub(super) fn record_duplicates(&mut self, step: &Step, duplicates: Vec<(usize, Descriptor)>) {
        let Origin::Root(first) = step.origin else { return };
        for (root, mut listed) in duplicates {
            let first = &self.plan.roots[first];
            if let Some(descriptor) = &first.descriptor {
                listed.media_type = descriptor.media_type.clone();
            }
            let (node, skipped, known) = (first.node, first.skipped, Arc::clone(&first.found));
            let root = &mut self.plan.roots[root];
            (root.node, root.skipped) = (node, skipped);
            let found: &mut FoundRoot = root;
            found.descriptor = Some(listed);
            found.artifact_type.clone_from(&known.artifact_type);
            found.platforms.clone_from(&known.platforms);
            found.origin.clone_from(&known.origin);
        }
    }
}

/// Returns steps to roots that were duplicates, each on its own.
pub(super) fn separate(
    step: &Step,
    duplicates: Vec<(usize, Descriptor)>,
) -> impl Iterator<Item = Step> {
    let (route, trust) = (step.route.clone(), step.trust.clone());
    duplicates.into_iter().map(move |(root, listed)| Step {
        route: route.clone(),
        request: RootRequest::Listed(listed),
        origin: Origin::Root(root),
        trust: trust.clone(),
        duplicates: Vec::new(),
    })
}

/// Tells whether two steps lead to the same on the same route, and their places say the same of it but
/// for names.
fn are_duplicates(one: &Step, other: &Step) -> bool {
    let route = |step: &Step| {
        let is_trusted = match step.trust {
            Trust::No => Some(false),
            Trust::Yes => Some(true),
            Trust::IfListed(_) => None,
        };
        (step.route.source, step.route.target, step.route.filter, is_trusted)
    };
    let (RootRequest::Listed(a), RootRequest::Listed(b)) = (&one.request, &other.request) else {
        return false;
    };
    route(one) == route(other)
        && route(one).3.is_some()
        && one.route.repository == other.route.repository
        && differ_by_name_only(a, b)
}

/// Tells whether two entries say the same of the same content, but for names.
pub(crate) fn differ_by_name_only(a: &Descriptor, b: &Descriptor) -> bool {
    (&a.digest, a.size, &a.artifact_type) == (&b.digest, b.size, &b.artifact_type)
        && a.media_type.as_str() == b.media_type.as_str()
        && (&a.platform, &a.more) == (&b.platform, &b.more)
        && a.annotations.beside_names().eq(b.annotations.beside_names())
}
