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
    /// Makes one step of all that lead to the same content on the same way: it is looked into once,
    /// however many names it has. Asks targets that may be trusted with up to `jobs` requests at once.
    pub(super) fn join_alike(&self, mut steps: Vec<Step>, jobs: usize) -> Vec<Step> {
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
            let key = self.can_be_joined(&step).then(|| match &step.wish {
                RootRequest::Listed(Descriptor { digest, size, .. }) => {
                    let (way, trust) = (&step.way, matches!(step.trust, Trust::Yes));
                    let way = (way.source, way.target, way.filter, &way.repository);
                    Some(hasher.hash_one((way, trust, digest, size)))
                }
                RootRequest::Selector(_) => None,
            });
            let Some(key) = key.flatten() else {
                joined.push(step);
                continue;
            };
            let at = *first.entry(key).or_insert(joined.len());
            match joined.get_mut(at) {
                Some(other) if is_alike(other, &step) => {
                    if let (Origin::Root(root), RootRequest::Listed(listed)) = (step.via, step.wish)
                    {
                        other.alike.push((root, listed));
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
        let (Trust::IfListed(names), RootRequest::Listed(listed)) = (&step.trust, &step.wish)
        else {
            return None;
        };
        if !self.can_be_joined(step) {
            return None;
        }
        let target = self.plan.targets[step.way.target as usize];
        // One that does not answer is asked again for everything, and then it is told.
        let lists = target.is_some_and(|target| target.lists(listed, names).unwrap_or(false));
        Some(if lists { Trust::Yes } else { Trust::No })
    }

    /// Tells whether what is listed is what is taken. What is chosen within it, or written anew, has
    /// its own descriptor.
    fn can_be_joined(&self, step: &Step) -> bool {
        matches!(self.filter(&step.way).platforms, Platforms::All | Platforms::Sparse(_))
            && matches!(step.wish, RootRequest::Listed(_))
    }

    /// Tells the roots that are alike what the first of them is.
    pub(super) fn take_alike(&mut self, step: &Step, alike: Vec<(usize, Descriptor)>) {
        let Origin::Root(first) = step.via else { return };
        for (root, mut listed) in alike {
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

/// Returns steps to roots that were alike, each on its own.
pub(super) fn alone(step: &Step, alike: Vec<(usize, Descriptor)>) -> impl Iterator<Item = Step> {
    let (way, trust) = (step.way.clone(), step.trust.clone());
    alike.into_iter().map(move |(root, listed)| Step {
        way: way.clone(),
        wish: RootRequest::Listed(listed),
        via: Origin::Root(root),
        trust: trust.clone(),
        alike: Vec::new(),
    })
}

/// Tells whether two steps lead to the same on the same way, and their places say the same of it but
/// for names.
fn is_alike(one: &Step, other: &Step) -> bool {
    let way = |step: &Step| {
        let is_trusted = match step.trust {
            Trust::No => Some(false),
            Trust::Yes => Some(true),
            Trust::IfListed(_) => None,
        };
        (step.way.source, step.way.target, step.way.filter, is_trusted)
    };
    let (RootRequest::Listed(a), RootRequest::Listed(b)) = (&one.wish, &other.wish) else {
        return false;
    };
    way(one) == way(other)
        && way(one).3.is_some()
        && one.way.repository == other.way.repository
        && differ_by_name_only(a, b)
}

/// Tells whether two entries say the same of the same content, but for names.
pub(crate) fn differ_by_name_only(a: &Descriptor, b: &Descriptor) -> bool {
    (&a.digest, a.size, &a.artifact_type) == (&b.digest, b.size, &b.artifact_type)
        && a.media_type.as_str() == b.media_type.as_str()
        && (&a.platform, &a.more) == (&b.platform, &b.more)
        && a.annotations.beside_names().eq(b.annotations.beside_names())
}
