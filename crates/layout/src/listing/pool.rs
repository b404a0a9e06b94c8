//! Entries by number, which listings share.

use std::sync::Arc;

use super::Entry;

/// So many entries are copied at most where one comes.
const PIECE: usize = 256;

/// Entries, each with the number under which it was put in.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    /// All but the last have [`PIECE`] entries. A copy shares them.
    pieces: Vec<Arc<Vec<Arc<Entry>>>>,
    length: u32,
}

impl Pool {
    /// Returns how many entries were put in: the number of the next.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    pub(super) fn get(&self, number: u32) -> &Arc<Entry> {
        let number = number as usize;
        &self.pieces[number / PIECE][number % PIECE]
    }

    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => Arc::make_mut(last).push(entry),
            None => self.pieces.push(Arc::new(vec![entry])),
        }
        self.length += 1;
    }
}

impl FromIterator<Arc<Entry>> for Pool {
    fn from_iter<I: IntoIterator<Item = Arc<Entry>>>(entries: I) -> Self {
        let mut pool = Self::default();
        for entry in entries {
            pool.put(entry);
        }
        pool
    }
}
