//! Carrying a plan out.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use longshore_spec::{Digest, Manifest};
use longshore_store::{Entry, Error, ExtraFile, Held, Order, Outline, Place, Pushed, Target};

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
        let run = Run::new(self, place.order(), &outline, observer);
        drop(outline);
        match place.order() {
            Order::Sequence => run.work_in_sequence(),
            Order::LargestFirst | Order::Outline => run.work_in_parallel(jobs),
        }
        let mut report = run.report();
        // Referrers that could not be listed are wanted too.
        let complete = report.is_complete() && self.failures.is_empty();
        if let Err(error) = place.commit(complete) {
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
    order: Order,
    /// What roots need, in the order of the outline.
    in_order: Vec<u32>,
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
    /// Whether a worker panicked: what it had in hand will never be there.
    panicked: bool,
    failures: Vec<Failure>,
    unverified: Vec<Digest>,
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
        outline: &Outline,
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
        let mut in_order: Vec<u32> =
            (0..).take(plan.nodes.len()).filter(|node: &u32| needed[*node as usize]).collect();
        let ranks: HashMap<&Digest, usize> =
            outline.nodes().iter().enumerate().map(|(rank, node)| (&node.digest, rank)).collect();
        in_order.sort_by_cached_key(|node| {
            let node = &plan.nodes[*node as usize];
            (ranks.get(&node.digest).copied(), node.role)
        });
        let (mut blobs, mut manifests) = (Vec::new(), Vec::new());
        for &node in &in_order {
            match plan.nodes[node as usize].state {
                State::Blob => blobs.push(node),
                _ if waiting[node as usize] == 0 => manifests.push(node),
                _ => {}
            }
        }
        if order == Order::LargestFirst {
            blobs.sort_by_key(|node| std::cmp::Reverse(plan.nodes[*node as usize].size));
        }
        let progress = |needed: &bool| if *needed { Progress::Open } else { Progress::Unneeded };
        let queue = Queue {
            manifests: manifests.into(),
            blobs: blobs.into(),
            waiting,
            progress: needed.iter().map(progress).collect(),
            left: in_order.len(),
            panicked: false,
            failures: Vec::new(),
            unverified: Vec::new(),
        };
        Self {
            plan,
            observer,
            parents: plan.parents(),
            roots,
            order,
            in_order,
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            moved: AtomicU64::new(0),
            existed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn work_in_parallel(&self, jobs: usize) {
        let jobs = jobs.min(self.queue().left).max(1);
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..jobs).map(|number| scope.spawn(move || self.work(number))).collect();
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    }

    /// Works until nothing is left. Where the largest come first the second worker takes the
    /// smallest, so that many small ones are not kept waiting by a few large ones.
    fn work(&self, number: usize) {
        const SMALL_ONES: usize = 1;
        let _guard = OnPanic(self);
        let smallest = self.order == Order::LargestFirst && number == SMALL_ONES;
        while let Some(node) = self.next(smallest) {
            let result = self.bring(node);
            if result.is_ok() {
                self.announce(node);
            }
            self.settle(node, result);
        }
    }

    /// Brings everything in the order of the outline, manifests first; stops at the first failure,
    /// since what is in a pipe cannot be taken back. Nothing is announced before all of it is there.
    fn work_in_sequence(&self) {
        let mut before: Option<&Node> = None;
        for &number in &self.in_order {
            let node = &self.plan.nodes[number as usize];
            // The outline has everything once.
            let is_same =
                |before: &Node| (&before.digest, before.size) == (&node.digest, node.size);
            let result = if before.is_some_and(is_same) { Ok(()) } else { self.bring(number) };
            before = Some(node);
            let failed = result.is_err();
            self.settle(number, result);
            if failed {
                return;
            }
        }
        for &number in &self.in_order {
            self.announce(number);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a node that is ready, or waits for one; `None` when nothing is left.
    fn next(&self, smallest: bool) -> Option<u32> {
        let mut queue = self.queue();
        loop {
            if queue.left == 0 || queue.panicked {
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
        let roots = self.roots.get(&number).map_or(&[][..], Vec::as_slice);
        let moved = match node.state {
            State::Blob => self.bring_blob(node, target, roots),
            _ => self.bring_manifest(number, target, roots),
        }?;
        let count = if moved { &self.moved } else { &self.existed };
        count.fetch_add(1, Ordering::Relaxed);
        self.observer.finished(&node.digest, node.size, moved);
        Ok(())
    }

    /// Tells about the roots that are there with a node.
    fn announce(&self, number: u32) {
        for root in self.roots.get(&number).into_iter().flatten() {
            self.observer.named(&root.names, &self.plan.nodes[number as usize].digest);
        }
    }

    /// Brings a blob; returns whether anything was read for it.
    fn bring_blob(
        &self,
        node: &Node,
        target: &dyn Target,
        roots: &[&PlannedRoot],
    ) -> Result<bool, Failure> {
        let moved = held(node, target)? != Held::Whole && self.push_blob(node, target)?;
        for root in roots {
            let Some(descriptor) = &root.descriptor else { continue };
            let listed = target.list(descriptor, &root.names);
            listed.map_err(|error| fail(node, Side::Target, Action::Publish, error))?;
        }
        Ok(moved)
    }

    fn push_blob(&self, node: &Node, target: &dyn Target) -> Result<bool, Failure> {
        let source = self.plan.sources[node.source as usize];
        let allow_unverified = self.plan.allow_unverified;
        let transfer = Transfer::new(source, node.descriptor(), self.observer, allow_unverified);
        let pushed = target.push_blob(&transfer);
        self.bytes.fetch_add(transfer.read(), Ordering::Relaxed);
        let pushed =
            pushed.map_err(|error| fail(node, transfer.side(&error), Action::Copy, error))?;
        if node.digest.hasher().is_none() {
            self.queue().unverified.push(node.digest.clone());
        }
        Ok(matches!(pushed, Pushed::Written(_)) || transfer.read() > 0)
    }

    /// Brings a manifest; returns whether it was written.
    fn bring_manifest(
        &self,
        number: u32,
        target: &dyn Target,
        roots: &[&PlannedRoot],
    ) -> Result<bool, Failure> {
        let node = &self.plan.nodes[number as usize];
        if held(node, target)? == Held::Whole && roots.is_empty() {
            return Ok(false);
        }
        let copy = |side| move |error| fail(node, side, Action::Copy, error);
        let manifest = self.manifest(number, roots).map_err(copy(Side::Source))?;
        let push = |manifest: &Manifest, entry| {
            target.push_manifest(manifest, entry).map_err(copy(Side::Target))
        };
        let mut pushed = Vec::new();
        if roots.is_empty() {
            pushed.push(push(&manifest, Entry::Child)?);
        } else if self.order == Order::Sequence {
            // A pipe takes everything once; what each entry said it knows from the outline.
            let names: Vec<_> = roots.iter().flat_map(|root| root.names.clone()).collect();
            pushed.push(push(&manifest, Entry::Root(&names))?);
        } else {
            // Several wishes may have met in one manifest, each with what its entry said.
            for root in roots {
                let found = manifest.clone();
                let found = match &root.descriptor {
                    Some(descriptor) => found.described(descriptor.clone()),
                    None => found,
                };
                pushed.push(push(&found, Entry::Root(&root.names))?);
            }
        }
        let written = |pushed: &Pushed| match pushed {
            Pushed::Written(read) => Some(*read),
            Pushed::Existed => None,
        };
        let Some(read) = pushed.iter().find_map(written) else { return Ok(false) };
        self.bytes.fetch_add(read, Ordering::Relaxed);
        self.observer.advanced(read);
        Ok(true)
    }

    /// Returns a manifest that was discovered: kept, or fetched again.
    fn manifest(&self, number: u32, roots: &[&PlannedRoot]) -> Result<Manifest, Error> {
        let node = &self.plan.nodes[number as usize];
        let listed = roots.first().and_then(|root| root.descriptor.clone());
        let descriptor = listed.unwrap_or_else(|| node.descriptor());
        match self.plan.manifests.get(&number) {
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
        let Queue { progress, failures, unverified, .. } =
            self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        // In a sequence a manifest may be there while what it refers to is not.
        let is_missing = |(_, progress): &(u32, &Progress)| {
            matches!(progress, Progress::Open | Progress::Failed)
        };
        let missing = (0..).zip(&progress).filter(is_missing).map(|(node, _)| node).collect();
        let whole = self.plan.without(missing);
        let done = |root: &PlannedRoot| {
            root.node.is_some_and(|node| {
                whole[node as usize] && progress[node as usize] == Progress::Done
            })
        };
        let mut report = Report {
            roots: self.plan.roots.iter().map(|root| root.report(done(root))).collect(),
            failures,
            moved: self.moved.into_inner(),
            existed: self.existed.into_inner(),
            bytes: self.bytes.into_inner(),
            unverified,
        };
        report.sort();
        report
    }
}

/// Ends the work of all when one worker panics: the others would wait for what it had in hand.
struct OnPanic<'r, 's, 'p>(&'s Run<'r, 'p>);

impl Drop for OnPanic<'_, '_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.queue().panicked = true;
            self.0.changed.notify_all();
        }
    }
}

fn held(node: &Node, target: &dyn Target) -> Result<Held, Failure> {
    let held = target.held(&node.descriptor(), node.role);
    held.map_err(|error| fail(node, Side::Target, Action::Check, error))
}

fn fail(node: &Node, side: Side, action: Action, error: Error) -> Failure {
    Failure { side, action, subject: node.digest.to_string(), error: Box::new(error) }
}
