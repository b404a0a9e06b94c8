//! Carrying a plan out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use longshore_spec::{Digest, Manifest, Role};
use longshore_store::{Blob as _, Entry, Error, ExtraFile, Held, Order, Place, Pushed, Target};

use crate::plan::{Node, Parents, PlannedRoot, State};
use crate::transfer::Transfer;
use crate::{Action, Failure, Observer, Plan, Report, Side};

impl Plan<'_> {
    /// Copies everything that is wanted into its targets, which all belong to `place`, with up to
    /// `jobs` at once. `files` lie beside the content, where the place has such a thing.
    ///
    /// A node starts when all that it refers to is there; a root gets its names when all of it is.
    /// What fails is in the report, and the rest goes on. The error is that of a plan that cannot
    /// be begun: nothing has been written then.
    pub fn execute(
        &self,
        place: &dyn Place,
        files: Vec<ExtraFile>,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Result<Report, Failure> {
        let refuse = |error| {
            let subject = format!("{place:?}");
            Failure { side: Side::Target, action: Action::Prepare, subject, error: Box::new(error) }
        };
        if let Some(conflict) = self.conflict() {
            return Err(refuse(conflict));
        }
        let outline = self.outline(files);
        place.prepare(&outline).map_err(refuse)?;
        let ranks: HashMap<&Digest, usize> =
            outline.nodes().iter().enumerate().map(|(rank, node)| (&node.digest, rank)).collect();
        let run = Run::new(self, place.order(), &ranks, observer);
        drop(ranks);
        match place.order() {
            Order::Sequence => run.work_in_sequence(),
            Order::LargestFirst | Order::Outline => thread::scope(|scope| {
                for number in 0..jobs.max(1) {
                    scope.spawn({
                        let run = &run;
                        move || run.work(number)
                    });
                }
            }),
        }
        let mut report = run.report();
        if let Err(error) = place.commit(report.is_complete()) {
            let subject = format!("{place:?}");
            let failure = Failure {
                side: Side::Target,
                action: Action::Publish,
                subject,
                error: Box::new(error),
            };
            observer.failed(&failure);
            report.failures.push(failure);
        }
        Ok(report)
    }
}

/// A plan that is being carried out.
struct Run<'r, 'p> {
    plan: &'r Plan<'p>,
    observer: &'r dyn Observer,
    parents: Parents,
    /// The roots of every node that has some.
    roots: HashMap<u32, Vec<&'r PlannedRoot>>,
    queue: Mutex<Queue>,
    /// Told whenever something has become ready, and when all is over.
    changed: Condvar,
    moved: AtomicU64,
    existed: AtomicU64,
    bytes: AtomicU64,
}

/// What is to be done, and by whom it is waited for.
struct Queue {
    /// Manifests whose children are all there.
    manifests: VecDeque<u32>,
    /// Content without children, in the order that the place wants it.
    blobs: VecDeque<u32>,
    /// For each node, how many of its children are not there yet.
    waiting: Vec<u32>,
    progress: Vec<Progress>,
    /// How many nodes are neither there nor given up.
    left: usize,
    failures: Vec<Failure>,
    unverified: BTreeSet<Digest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not there yet.
    Open,
    /// There.
    Done,
    /// It, or something that it refers to, could not be had.
    Failed,
    /// No root needs it of which all is known.
    Unneeded,
}

impl<'r, 'p> Run<'r, 'p> {
    fn new(
        plan: &'r Plan<'p>,
        order: Order,
        ranks: &HashMap<&Digest, usize>,
        observer: &'r dyn Observer,
    ) -> Self {
        let needed = plan.needed();
        let mut roots: HashMap<u32, Vec<&PlannedRoot>> = HashMap::new();
        for root in &plan.roots {
            if let Some(node) = root.node {
                roots.entry(node).or_default().push(root);
            }
        }
        let is_there = |child: &&u32| plan.nodes[**child as usize].state != State::Absent;
        let waiting: Vec<u32> = (0..)
            .take(plan.nodes.len())
            .map(|node| {
                u32::try_from(plan.children(node).iter().filter(is_there).count())
                    .unwrap_or(u32::MAX)
            })
            .collect();
        let numbers = || (0..).take(plan.nodes.len()).filter(|node: &u32| needed[*node as usize]);
        let rank = |node: &u32| ranks.get(&plan.nodes[*node as usize].digest).copied();
        let mut blobs: Vec<u32> =
            numbers().filter(|node| plan.nodes[*node as usize].state == State::Blob).collect();
        let mut manifests: Vec<u32> = numbers()
            .filter(|node| {
                plan.nodes[*node as usize].state == State::Manifest && waiting[*node as usize] == 0
            })
            .collect();
        manifests.sort_by_key(rank);
        match order {
            Order::LargestFirst => {
                let size = |node: &u32| std::cmp::Reverse(plan.nodes[*node as usize].size);
                blobs.sort_by_key(|node| (size(node), rank(node)));
            }
            Order::Outline | Order::Sequence => blobs.sort_by_key(rank),
        }
        let progress = |needed: &bool| if *needed { Progress::Open } else { Progress::Unneeded };
        let queue = Queue {
            manifests: manifests.into(),
            blobs: blobs.into(),
            waiting,
            progress: needed.iter().map(progress).collect(),
            left: numbers().count(),
            failures: Vec::new(),
            unverified: BTreeSet::new(),
        };
        Self {
            plan,
            observer,
            parents: plan.parents(),
            roots,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            moved: AtomicU64::new(0),
            existed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Works until nothing is left. The second worker takes the smallest first, so that many small
    /// ones are not kept waiting by a few large ones.
    fn work(&self, number: usize) {
        const SMALL_ONES: usize = 1;
        while let Some(node) = self.next(number == SMALL_ONES) {
            let result = self.bring(node);
            self.settle(node, result);
        }
    }

    /// Brings everything in the order of the outline, manifests first; stops at the first failure,
    /// since what is in a pipe cannot be taken back.
    fn work_in_sequence(&self) {
        let needed = |node: &u32| self.queue().progress[*node as usize] == Progress::Open;
        let mut nodes: Vec<u32> = (0..).take(self.plan.nodes.len()).collect();
        nodes.retain(needed);
        let role = |node: &Node| match (node.state, node.role) {
            (State::Blob, Role::Manifest) => Role::Layer,
            (_, role) => role,
        };
        nodes.sort_by_key(|node| {
            let node = &self.plan.nodes[*node as usize];
            (role(node), node.digest.clone())
        });
        for node in nodes {
            let result = self.bring(node);
            let failed = result.is_err();
            self.settle(node, result);
            if failed {
                return;
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a node that is ready, or waits for one; `None` when nothing is left.
    fn next(&self, smallest: bool) -> Option<u32> {
        let mut queue = self.queue();
        loop {
            if queue.left == 0 {
                return None;
            }
            let blob = |queue: &mut Queue| {
                if smallest { queue.blobs.pop_back() } else { queue.blobs.pop_front() }
            };
            if let Some(node) = queue.manifests.pop_front().or_else(|| blob(&mut queue)) {
                if queue.progress[node as usize] == Progress::Open {
                    return Some(node);
                }
                continue;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Brings one node into its target.
    fn bring(&self, number: u32) -> Result<(), Failure> {
        let node = &self.plan.nodes[number as usize];
        let Some(target) = self.plan.targets[node.target as usize] else { return Ok(()) };
        let roots = self.roots.get(&number);
        let pushed = match node.state {
            State::Blob => self.bring_blob(node, target, roots),
            _ => self.bring_manifest(node, target, roots),
        }?;
        let moved = matches!(pushed, Pushed::Written(_));
        let count = if moved { &self.moved } else { &self.existed };
        count.fetch_add(1, Ordering::Relaxed);
        self.observer.finished(&node.digest, node.size, moved);
        for root in roots.into_iter().flatten() {
            self.observer.named(&root.names, &node.digest);
        }
        Ok(())
    }

    fn bring_blob(
        &self,
        node: &Node,
        target: &dyn Target,
        roots: Option<&Vec<&PlannedRoot>>,
    ) -> Result<Pushed, Failure> {
        let descriptor = node.descriptor();
        let held = target
            .held(&descriptor, node.role)
            .map_err(|error| fail(node, Side::Target, Action::Check, error))?;
        let pushed = if held == Held::Whole {
            Pushed::Existed
        } else {
            let source = self.plan.sources[node.source as usize];
            let transfer =
                Transfer::new(source, descriptor, self.observer, self.plan.allow_unverified);
            let pushed = target.push_blob(&transfer);
            self.bytes.fetch_add(transfer.read(), Ordering::Relaxed);
            if pushed.is_ok() && transfer.descriptor().digest.hasher().is_none() {
                self.queue().unverified.insert(node.digest.clone());
            }
            pushed.map_err(|error| fail(node, transfer.side(&error), Action::Copy, error))?
        };
        for root in roots.into_iter().flatten() {
            let Some(descriptor) = &root.descriptor else { continue };
            let listed = target.list(descriptor, &root.names);
            listed.map_err(|error| fail(node, Side::Target, Action::Publish, error))?;
        }
        Ok(pushed)
    }

    fn bring_manifest(
        &self,
        node: &Node,
        target: &dyn Target,
        roots: Option<&Vec<&PlannedRoot>>,
    ) -> Result<Pushed, Failure> {
        let copy = |side| move |error| fail(node, side, Action::Copy, error);
        let held = target.held(&node.descriptor(), Role::Manifest).map_err(copy(Side::Target))?;
        if held == Held::Whole && roots.is_none() {
            return Ok(Pushed::Existed);
        }
        let manifest = self.manifest(node, roots).map_err(copy(Side::Source))?;
        let mut pushed = Pushed::Existed;
        match roots {
            None => {
                pushed =
                    target.push_manifest(&manifest, Entry::Child).map_err(copy(Side::Target))?
            }
            // Several wishes may have met in one manifest, each with what its entry said.
            Some(roots) => {
                for root in roots {
                    let listed = root
                        .descriptor
                        .clone()
                        .map(|descriptor| manifest.clone().described(descriptor));
                    let manifest = listed.as_ref().unwrap_or(&manifest);
                    let result = target
                        .push_manifest(manifest, Entry::Root(&root.names))
                        .map_err(copy(Side::Target))?;
                    if let Pushed::Written(_) = result {
                        pushed = result;
                    }
                }
            }
        }
        if let Pushed::Written(read) = pushed {
            self.bytes.fetch_add(read, Ordering::Relaxed);
            self.observer.advanced(read);
        }
        Ok(pushed)
    }

    /// Returns a manifest that was discovered: kept, or fetched again.
    fn manifest(&self, node: &Node, roots: Option<&Vec<&PlannedRoot>>) -> Result<Manifest, Error> {
        let descriptor = roots
            .and_then(|roots| roots[0].descriptor.clone())
            .unwrap_or_else(|| node.descriptor());
        match &node.manifest {
            None => self.plan.sources[node.source as usize].child(&descriptor),
            Some(raw) => Manifest::parse(raw.clone(), descriptor)
                .map_err(|source| Error::Manifest { digest: node.digest.clone(), source }),
        }
    }

    /// Takes note of what became of a node, and of what that means for those that refer to it.
    fn settle(&self, node: u32, result: Result<(), Failure>) {
        if let Err(failure) = &result {
            self.observer.failed(failure);
        }
        let mut queue = self.queue();
        match result {
            Ok(()) => {
                queue.progress[node as usize] = Progress::Done;
                queue.left -= 1;
                for &parent in self.parents.of(node) {
                    queue.waiting[parent as usize] -= 1;
                    if queue.waiting[parent as usize] == 0
                        && queue.progress[parent as usize] == Progress::Open
                    {
                        queue.manifests.push_back(parent);
                    }
                }
            }
            Err(failure) => {
                queue.failures.push(failure);
                let mut failed = vec![node];
                while let Some(node) = failed.pop() {
                    if queue.progress[node as usize] == Progress::Open {
                        queue.progress[node as usize] = Progress::Failed;
                        queue.left -= 1;
                        failed.extend(self.parents.of(node));
                    }
                }
            }
        }
        drop(queue);
        self.changed.notify_all();
    }

    fn report(self) -> Report {
        let queue = self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        let done = |root: &PlannedRoot| {
            root.node.is_some_and(|node| queue.progress[node as usize] == Progress::Done)
        };
        let mut report = Report {
            roots: self.plan.roots.iter().map(|root| root.report(done(root))).collect(),
            failures: queue.failures,
            moved: self.moved.into_inner(),
            existed: self.existed.into_inner(),
            bytes: self.bytes.into_inner(),
            unverified: queue.unverified.into_iter().collect(),
        };
        report.failures.sort_by(|a, b| a.subject.cmp(&b.subject));
        report
    }
}

fn fail(node: &Node, side: Side, action: Action, error: Error) -> Failure {
    Failure { side, action, subject: node.digest.to_string(), error: Box::new(error) }
}
