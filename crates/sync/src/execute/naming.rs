//! Many names of one manifest: the first comes with its content, and the others are given at once.

use longshore_spec::Manifest;
use longshore_store::{Entry, Error, Pushed, Target};

use super::Run;
use crate::Failure;

/// Names of one root that are given by one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming {
    node: u32,
    root: u32,
    /// The names are `names[first..][..count]`; without any it is listed by its digest.
    first: usize,
    count: usize,
}

/// A manifest whose names are being given.
pub(super) struct BeingNamed {
    manifest: Manifest,
    /// How many requests are still to be made.
    left: usize,
    /// Whether one of them was taken: then its content is there.
    is_there: bool,
    written: bool,
}

impl Run<'_, '_> {
    /// Copies a manifest under the first of its names, and puts the others in the queue; false if that
    /// is one request, or one change, after all.
    pub(super) fn begin_to_name(
        &self,
        node: u32,
        target: &dyn Target,
        manifest: &Manifest,
    ) -> Result<bool, Failure> {
        let Some(at_once) = target.names_at_once(manifest) else { return Ok(false) };
        let mut all = Vec::new();
        for &(node, root) in self.roots_of(node) {
            let names = self.plan.roots[root as usize].names.len();
            let starts = (0..names.max(1)).step_by(at_once.get());
            all.extend(starts.map(|first| {
                let count = (names - first).min(at_once.get());
                Naming { node, root, first, count }
            }));
        }
        let ([first, others @ ..], 2..) = (&all[..], all.len()) else { return Ok(false) };
        let result = self.push_names(target, manifest, *first);
        if result.as_ref().is_err_and(is_about_the_host) {
            return result
                .map(|_| true)
                .map_err(|error| self.not_taken(&self.plan.nodes[node as usize], manifest, error));
        }
        let named = BeingNamed {
            manifest: manifest.clone(),
            left: all.len(),
            is_there: false,
            written: false,
        };
        let mut queue = self.queue();
        queue.being_named.insert(node, named);
        queue.names.extend(others);
        drop(queue);
        self.record_named(*first, manifest, result);
        Ok(true)
    }

    /// Gives names.
    pub(super) fn name(&self, naming: Naming) {
        let target = self.plan.targets[self.plan.nodes[naming.node as usize].target as usize];
        let manifest = self.queue().being_named.get(&naming.node).map(|of| of.manifest.clone());
        if let (Some(target), Some(manifest)) = (target, manifest) {
            let result = self.push_names(target, &manifest, naming);
            self.record_named(naming, &manifest, result);
        }
    }

    fn push_names(
        &self,
        target: &dyn Target,
        manifest: &Manifest,
        naming: Naming,
    ) -> Result<Pushed, Error> {
        let root = &self.plan.roots[naming.root as usize];
        let names = &root.names[naming.first..][..naming.count];
        let manifest = match &root.descriptor {
            Some(descriptor) => manifest.clone().described(descriptor.clone()),
            None => manifest.clone(),
        };
        target.push_manifest(&manifest, Entry::Root(names))
    }

    /// Takes note of what became of names. Of several that were refused together each is tried alone,
    /// so that one name does not cost others theirs. Where the host is lost, no other is tried.
    fn record_named(&self, naming: Naming, manifest: &Manifest, result: Result<Pushed, Error>) {
        let Naming { node: number, root, first, count } = naming;
        let node = &self.plan.nodes[number as usize];
        let host_is_lost = result.as_ref().is_err_and(is_about_the_host);
        let (pushed, failure) = match result {
            Ok(pushed) => (Some(pushed), None),
            Err(_) if count > 1 && !host_is_lost => (None, None),
            Err(error) => (None, Some(self.not_named(naming, manifest, error))),
        };
        let mut locked = self.queue();
        let queue = &mut *locked;
        let Some(of) = queue.being_named.get_mut(&number) else { return };
        of.left -= 1;
        match pushed {
            Some(pushed) => {
                of.is_there = true;
                if let (Pushed::Written(read), false) = (pushed, of.written) {
                    of.written = true;
                    self.read(read);
                }
            }
            None if host_is_lost => {
                queue.names.retain(|other| {
                    let goes = other.node == number;
                    if goes {
                        of.left -= 1;
                        queue.unnamed.insert(other.root);
                    }
                    !goes
                });
                queue.unnamed.insert(root);
                queue.failures.extend(failure);
            }
            None if count > 1 => {
                of.left += count;
                let each = (first..first + count).map(|first| Naming { first, count: 1, ..naming });
                queue.names.extend(each);
            }
            None => {
                queue.unnamed.insert(root);
                queue.failures.extend(failure);
            }
        }
        let is_last = |of: &BeingNamed| of.left == 0;
        if !queue.being_named.get(&number).is_some_and(is_last) {
            drop(locked);
            self.changed.notify_all();
            return;
        }
        let done = queue.being_named.remove(&number);
        drop(locked);
        match done {
            Some(BeingNamed { is_there: true, written, .. }) => {
                self.count(node, written);
                self.announce(number);
                self.finish(number, Ok(()));
            }
            _ => self.finish(number, Err(None)),
        }
    }

    /// Tells about a name that its target did not take.
    fn not_named(&self, naming: Naming, manifest: &Manifest, error: Error) -> Failure {
        let node = &self.plan.nodes[naming.node as usize];
        let mut failure = self.not_taken(node, manifest, error);
        if let Some(name) = self.plan.roots[naming.root as usize].names.get(naming.first) {
            failure.subject = name.to_string();
        }
        self.observer.failed(&failure);
        failure
    }
}

/// Tells whether other names would fare no better.
fn is_about_the_host(error: &Error) -> bool {
    matches!(error, Error::Connection { .. } | Error::Throttled { .. })
}
