//! Carrying a plan out.

mod copy_node;
mod mounts;
mod naming;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use longshore_spec::{Digest, Role};
use longshore_store::{Error, Order, Target, TargetPlace};

use self::copy_node::Copied;
use self::mounts::Mounts;
use self::naming::{BeingNamed, Naming};
use crate::plan::{Node, PlannedRoot, State};
use crate::{Action, Failure, Observer, Outcome, Report, RootReport, SealedPlan, Side};

impl SealedPlan<'_> {
    /// Copies everything that is wanted into its targets, which all belong to `place`, with up to
    /// `jobs` at once.
    ///
    /// A node starts when all that it refers to is there; a root gets its names when all of it is.
    /// What fails is in the report, and the rest goes on. The error is that of a plan that cannot
    /// be begun: nothing has been written then.
    pub fn execute(
        &self,
        place: &dyn TargetPlace,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Result<Report, Failure> {
        let there = self.begin(place)?;
        self.forget_outline();
        if let Some(there) = there {
            observer.resumed(there);
        }
        let run = Run::new(self, place.order(), observer);
        match place.order() {
            Order::Sequence => run.work_in_sequence(),
            Order::LargestFirst | Order::Outline => {
                run.work_in_parallel(jobs, place.writers(jobs));
            }
        }
        let mut report = run.report();
        let committed = if report.is_complete() { place.commit() } else { place.commit_partial() };
        if let Err(error) = committed {
            let subject = format!("{place:?}");
            let failure = Failure::new(Side::Target, Action::Publish, subject, error);
            observer.failed(&failure);
            report.failures.push(failure);
            report.uncommitted = true;
            for root in report.roots.iter_mut().filter(|root| root.outcome == Outcome::Done) {
                root.outcome = Outcome::Failed;
            }
        }
        Ok(report)
    }

    /// Makes the place ready; returns how many bytes are there, if it knows.
    fn begin(&self, place: &dyn TargetPlace) -> Result<Option<u64>, Failure> {
        let prepared = match self.conflict() {
            Some(conflict) => Err(conflict),
            None => place.prepare(&self.outline()),
        };
        prepared.map_err(|error| {
            let subject = format!("{place:?}");
            Failure::new(Side::Target, Action::Prepare, subject, error)
        })
    }
}

/// A plan that is being carried out.
struct Run<'r, 'p> {
    plan: &'r SealedPlan<'p>,
    observer: &'r dyn Observer,
    /// Nodes with their roots, by number, sorted.
    roots: Vec<(u32, u32)>,
    order: Order,
    /// What roots need, in the order of the outline.
    in_order: Vec<u32>,
    /// What is to come into which target; found out when a target refuses something.
    expected: OnceLock<HashSet<(u32, &'r Digest)>>,
    queue: Mutex<Queue>,
    /// Told whenever something has become ready, and when all is over.
    changed: Condvar,
    /// Told when a manifest may have become ready, and when all is over.
    manifest_ready: Condvar,
    moved: AtomicU64,
    existed: AtomicU64,
    bytes: AtomicU64,
}

/// What is to be done, and by whom it is waited for.
struct Queue {
    /// What goes first: manifests whose children are all there, and blobs that can be taken over.
    ready: VecDeque<u32>,
    /// Content without children, in the order that the place wants it.
    blobs: VecDeque<u32>,
    mounts: Mounts,
    /// Names that are given while others are: their content is there.
    names: VecDeque<Naming>,
    /// The manifests that they are given to, by node.
    being_named: HashMap<u32, BeingNamed>,
    /// Roots that did not get all of their names.
    unnamed: HashSet<u32>,
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

/// What a worker does next.
enum Work {
    Copy(u32),
    Name(Naming),
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
    fn new(plan: &'r SealedPlan<'p>, order: Order, observer: &'r dyn Observer) -> Self {
        let needed = &plan.needed;
        let is_there = |child: &&u32| {
            plan.nodes[**child as usize].state != State::Absent && !plan.is_assumed(**child)
        };
        let waiting: Vec<u32> = (0..)
            .take(plan.nodes.len())
            .map(|node| {
                u32::try_from(plan.children(node).iter().filter(is_there).count())
                    .unwrap_or(u32::MAX)
            })
            .collect();
        let in_order = in_order(plan);
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
        let progress = |(node, needed): (u32, &bool)| match (*needed, plan.is_assumed(node)) {
            _ if plan.is_held_back(node) => Progress::Unneeded,
            (false, _) => Progress::Unneeded,
            (true, true) => Progress::Done,
            (true, false) => Progress::Open,
        };
        // What is not whole where it goes gets no name there.
        let mut roots = plan.roots_by_node();
        roots.retain(|(node, _)| !plan.partial[*node as usize]);
        let queue = Queue {
            ready: manifests.into(),
            blobs: blobs.into(),
            mounts: Mounts::new(plan, &in_order),
            names: VecDeque::new(),
            being_named: HashMap::new(),
            unnamed: HashSet::new(),
            waiting,
            progress: (0..).zip(needed).map(progress).collect(),
            left: in_order.len(),
            panicked: false,
            failures: Vec::new(),
            unverified: Vec::new(),
        };
        Self {
            plan,
            observer,
            roots,
            order,
            in_order,
            expected: OnceLock::new(),
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            manifest_ready: Condvar::new(),
            moved: AtomicU64::new(0),
            existed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Works with `jobs` threads, and with more, up to `writers`, that only write manifests in memory.
    fn work_in_parallel(&self, jobs: usize, writers: usize) {
        let names: usize = self.plan.roots.iter().map(|root| root.names.len()).sum();
        let jobs = jobs.min(self.queue().left.max(names)).max(1);
        let writers = writers.min(self.plan.manifests.len()).max(jobs);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs)
                .map(|number| scope.spawn(move || self.work(number)))
                .chain((jobs..writers).map(|_| scope.spawn(|| self.write_manifests())))
                .collect();
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
        while let Some(work) = self.next(smallest) {
            match work {
                Work::Copy(node) => self.copy(node),
                Work::Name(naming) => self.name(naming),
            }
        }
        self.manifest_ready.notify_all();
    }

    /// Writes manifests that are in memory until nothing is left.
    fn write_manifests(&self) {
        let _guard = OnPanic(self);
        while let Some(node) = self.next_manifest() {
            self.copy(node);
        }
    }

    fn copy(&self, node: u32) {
        match self.copy_node(node) {
            Ok(Copied::Whole) => {
                self.announce(node);
                self.finish(node, Ok(()));
            }
            Ok(Copied::BeingNamed) => {}
            Err(failure) => self.finish(node, Err(Some(failure))),
        }
    }

    /// Copies everything in the order of the outline, manifests first; stops at the first failure,
    /// since what is in a pipe cannot be taken back. Nothing is announced before all of it is there.
    fn work_in_sequence(&self) {
        let mut before: Option<&Node> = None;
        for &number in &self.in_order {
            let node = &self.plan.nodes[number as usize];
            // The outline has everything once.
            let is_same =
                |before: &Node| (&before.digest, before.size) == (&node.digest, node.size);
            let result =
                if before.is_some_and(is_same) { Ok(()) } else { self.copy_node(number).map(drop) };
            before = Some(node);
            let failed = result.is_err();
            self.finish(number, result.map_err(Some));
            if failed || self.observer.is_cancelled() {
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

    /// Returns what is ready, or waits for it; `None` when nothing is left.
    fn next(&self, smallest: bool) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if self.is_over(&queue) {
                return None;
            }
            if let Some(naming) = queue.names.pop_front() {
                return Some(Work::Name(naming));
            }
            let blob = |queue: &mut Queue| {
                if smallest { queue.blobs.pop_back() } else { queue.blobs.pop_front() }
            };
            if let Some(node) = queue.ready.pop_front().or_else(|| blob(&mut queue)) {
                if self.claim(&mut queue, node) {
                    return Some(Work::Copy(node));
                }
                continue;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Returns a manifest that is ready and in memory, or waits for one; `None` when nothing is left.
    fn next_manifest(&self) -> Option<u32> {
        let mut queue = self.queue();
        loop {
            if self.is_over(&queue) {
                return None;
            }
            let is_in_memory = |node: &mut u32| self.plan.manifests.contains_key(node);
            if let Some(node) = queue.ready.pop_front_if(is_in_memory) {
                if self.claim(&mut queue, node) {
                    return Some(node);
                }
                continue;
            }
            queue = self.manifest_ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_over(&self, queue: &Queue) -> bool {
        queue.left == 0 || queue.panicked || self.observer.is_cancelled()
    }

    /// Takes a node that is ready; false if it is done already, or another is to come first.
    fn claim(&self, queue: &mut Queue, node: u32) -> bool {
        queue.progress[node as usize] == Progress::Open
            && queue.mounts.claim(node, &self.plan.nodes[node as usize])
    }

    /// Tells about the roots that are there with a node.
    fn announce(&self, number: u32) {
        for (_, root) in self.roots_of(number) {
            if !self.queue().unnamed.contains(root) {
                let names = &self.plan.roots[*root as usize].names;
                self.observer.named(names, &self.plan.nodes[number as usize].digest);
            }
        }
    }

    /// Returns the roots of a node, each with it.
    fn roots_of(&self, node: u32) -> &[(u32, u32)] {
        let start = self.roots.partition_point(|(of, _)| *of < node);
        let end = self.roots.partition_point(|(of, _)| *of <= node);
        &self.roots[start..end]
    }

    /// Takes note of what became of a node, and of what that means for those that refer to it.
    /// `Err(None)` is a failure that was told already.
    fn finish(&self, node: u32, result: Result<(), Option<Failure>>) {
        if let Err(Some(failure)) = &result {
            self.observer.failed(failure);
        }
        let of = &self.plan.nodes[node as usize];
        let target = self.plan.targets[of.target as usize].filter(|_| result.is_ok());
        let mut queue = self.queue();
        let waiting = queue.mounts.release(of, target.and_then(Target::offers));
        queue.ready.extend(waiting);
        let mut manifests = 0;
        match result {
            Ok(()) => {
                queue.progress[node as usize] = Progress::Done;
                queue.left -= 1;
                for &parent in self.plan.parents.of(node) {
                    queue.waiting[parent as usize] -= 1;
                    if queue.waiting[parent as usize] == 0
                        && queue.progress[parent as usize] == Progress::Open
                    {
                        queue.ready.push_back(parent);
                        manifests += 1;
                    }
                }
            }
            Err(failure) => {
                queue.failures.extend(failure);
                let mut failed = vec![node];
                while let Some(node) = failed.pop() {
                    if queue.progress[node as usize] == Progress::Open {
                        queue.progress[node as usize] = Progress::Failed;
                        queue.left -= 1;
                        failed.extend(self.plan.parents.of(node));
                    }
                }
            }
        }
        drop(queue);
        self.changed.notify_all();
        match manifests {
            0 => {}
            1 => self.manifest_ready.notify_one(),
            _ => self.manifest_ready.notify_all(),
        }
    }

    fn report(self) -> Report {
        let Queue { progress, mut failures, unverified, unnamed, left, .. } =
            self.queue.into_inner().unwrap_or_else(PoisonError::into_inner);
        if left > 0 && failures.is_empty() && self.observer.is_cancelled() {
            let rest = "the rest".to_owned();
            failures.push(Failure::new(Side::Target, Action::Copy, rest, Error::Cancelled));
        }
        // In a sequence a manifest may be there while what it refers to is not.
        let is_missing = |(_, progress): &(u32, &Progress)| {
            matches!(progress, Progress::Open | Progress::Failed)
        };
        let missing = (0..).zip(&progress).filter(is_missing).map(|(node, _)| node).collect();
        let whole = self.plan.without_under(&self.plan.parents, missing);
        let done = |number: &u32, root: &PlannedRoot| {
            root.node.is_some_and(|node| {
                whole[node as usize] && progress[node as usize] == Progress::Done
            }) && !unnamed.contains(number)
        };
        let roots = (0..).zip(&self.plan.roots);
        let roots = roots.map(|(number, root)| {
            let report = root.report(done(&number, root));
            if root.node.is_some_and(|node| self.plan.is_held_back(node)) {
                return RootReport { outcome: Outcome::Skipped, ..report };
            }
            report
        });
        let mut report = Report {
            roots: roots.collect(),
            failures,
            moved: self.moved.into_inner(),
            existed: self.existed.into_inner(),
            bytes: self.bytes.into_inner(),
            unverified,
            uncommitted: false,
            unplanned: self.plan.failures.len(),
        };
        report.sort();
        report
    }
}

/// Returns the nodes that are brought in the order of the outline: by the first role of their digest,
/// then by digest.
fn in_order(plan: &SealedPlan<'_>) -> Vec<u32> {
    let of = |number: u32| &plan.nodes[number as usize];
    let mut in_order = plan.numbers(|_| true);
    in_order.retain(|number| plan.is_brought(*number));
    in_order.sort_unstable_by(|a, b| {
        (&of(*a).digest, of(*a).role, a).cmp(&(&of(*b).digest, of(*b).role, b))
    });
    let mut first = vec![Role::Manifest; plan.nodes.len()];
    for same in in_order.chunk_by(|a, b| of(*a).digest == of(*b).digest) {
        for number in same {
            first[*number as usize] = of(same[0]).role;
        }
    }
    in_order.sort_by_key(|number| first[*number as usize]);
    in_order
}

/// Ends the work of all when one worker panics: the others would wait for what it had in hand.
struct OnPanic<'r, 's, 'p>(&'s Run<'r, 'p>);

impl Drop for OnPanic<'_, '_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.queue().panicked = true;
            self.0.changed.notify_all();
            self.0.manifest_ready.notify_all();
        }
    }
}
