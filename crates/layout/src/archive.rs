//! The layout as a tar archive.
//!
//! Reading and writing share only the names of members: any tar that holds a layout is read, and exactly
//! one form is written (`tar_layout`).

mod decompress;
mod inventory;
mod journal;
mod members;
mod reader;
mod series;
mod stream;
mod stream_reader;
mod tar_layout;
mod target;
mod writer;

use longshore_store::{Error, Inability};

pub use self::inventory::{FileLookup, Inventory, Listed};
pub use self::reader::{Archive, ArchiveOptions};
pub use self::series::ArchiveSeries;
pub use self::stream::ArchiveStream;
pub use self::stream_reader::{StreamObserver, StreamOptions, StreamedArchive};
pub use self::target::ArchiveTarget;
pub use self::writer::ArchiveWriter;

/// The error of an archive that is completed before all content has come.
const INCOMPLETE: &str = "has not been given all that was announced to it";

/// Returns the error of an archive that gets other content than was announced.
fn unannounced(archive: String, what: impl Into<String>) -> Error {
    Error::unsupported(archive, Inability::Unannounced(what.into()))
}
