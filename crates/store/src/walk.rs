//! The one walk over a graph of manifests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Manifests nested deeper than this are refused: real ones nest three or four levels.
pub const MAX_DEPTH: usize = 64;

/// How many nodes are looked at before their results are taken in: bounds what a wide level of the
/// graph keeps in memory.
const BATCH: usize = 64;

/// A graph is nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("manifests are nested more than {MAX_DEPTH} levels deep")]
pub struct TooDeep;

/// Walks breadth-first from `roots`, a level at a time.
///
/// `look` is called once for each node, by up to `jobs` threads at once; `take` is called by this
/// thread with each node and its result, always in the same order, and says which nodes come next.
/// It is `take` that keeps a node from being visited twice.
pub fn walk<N, R>(
    roots: Vec<N>,
    jobs: usize,
    look: impl Fn(&N) -> R + Sync,
    mut take: impl FnMut(N, R) -> Vec<N>,
) -> Result<(), TooDeep>
where
    N: Send + Sync,
    R: Send,
{
    let mut level = roots;
    for _ in 0..MAX_DEPTH {
        let mut next = Vec::new();
        let mut nodes = level.into_iter();
        loop {
            let batch: Vec<N> = nodes.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let results = in_parallel(&batch, jobs, &look);
            for (node, result) in batch.into_iter().zip(results) {
                next.extend(take(node, result));
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        level = next;
    }
    Err(TooDeep)
}

/// Calls `work` for each of `items`, by up to `jobs` threads at once, and returns the results in
/// the order of the items.
pub fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some((at, item)) = claim(&next, items) {
            done.push((at, work(item)));
        }
        done
    };
    let jobs = jobs.min(items.len());
    if jobs <= 1 {
        return run().into_iter().map(|(_, result)| result).collect();
    }
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(run)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn claim<'a, T>(next: &AtomicUsize, items: &'a [T]) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        for jobs in [0, 1, 2, 16] {
            assert_eq!(
                in_parallel(&items, jobs, |n| n * 2),
                items.iter().map(|n| n * 2).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn levels_are_taken_in_order_and_wide_ones_in_batches() {
        let mut taken = Vec::new();
        let children = |n: &u32| if *n == 0 { (1..=1000).collect() } else { Vec::new() };
        walk(vec![0], 4, children, |n, next| {
            taken.push(n);
            next
        })
        .unwrap();
        assert_eq!(taken, (0..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn c21_endless_nesting_is_refused() {
        assert_eq!(walk(vec![0], 1, |n| n + 1, |_, next| vec![next]), Err(TooDeep));
    }
}
