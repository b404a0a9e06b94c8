//! What every layout that is read has in common.

use longshore_spec::Digest;
use longshore_store::{Result, Source, SourcePlace};

use crate::{Archive, Directory, StreamStats, StreamedArchive};

/// A layout that is read: a directory, an archive, or what came through a pipe.
pub trait Layout: SourcePlace {
    /// Returns all of it as one repository; names are those of its entries.
    fn whole(&self) -> Box<dyn Source + '_>;

    /// Returns a file that lies beside the content (row A-14), `name` without a directory; `None` if it is
    /// not there. Fails with [`Error::Limit`](longshore_store::Error::Limit) if it has more than
    /// `limit` bytes.
    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>>;

    /// Returns the digest of every blob that is stored, in no order.
    fn stored(&self) -> Result<Vec<Digest>>;

    /// Returns what came through the pipe, if it came through one.
    fn came(&self) -> Option<&StreamStats> {
        None
    }

    /// Tells whether it was written once and as a whole, so that nothing earlier is left in it.
    fn is_written_once(&self) -> bool {
        false
    }
}

impl Layout for Directory {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.extra_file(name, limit)
    }

    fn stored(&self) -> Result<Vec<Digest>> {
        self.stored()
    }
}

impl Layout for Archive {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    fn extra_file(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.extra_file(name, limit)
    }

    fn stored(&self) -> Result<Vec<Digest>> {
        Ok(self.stored())
    }

    fn is_written_once(&self) -> bool {
        true
    }
}

impl Layout for StreamedArchive {
    fn whole(&self) -> Box<dyn Source + '_> {
        Box::new(self.whole())
    }

    /// Only files that were kept when it came are here.
    fn extra_file(&self, name: &str, _: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.extra_file(name).map(ToOwned::to_owned))
    }

    fn stored(&self) -> Result<Vec<Digest>> {
        Ok(self.stored())
    }

    fn came(&self) -> Option<&StreamStats> {
        Some(self.came())
    }
}
