//! The layout as a tar archive.
//!
//! Reading and writing share nothing but the names of members: any tar that holds a layout is
//! read, exactly one form is written (`format`).

mod format;
mod journal;
mod members;
mod reader;
mod received;
mod recorded;
mod stream;
mod unpack;
mod writer;

pub use self::reader::{Archive, ArchiveOptions};
pub use self::received::{Came, Received, Receiving};
pub use self::recorded::Inventory;
pub use self::stream::ArchiveStream;
pub use self::writer::ArchiveWriter;
