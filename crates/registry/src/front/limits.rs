//! Bounds that several parts of the front end keep.

/// So much of a connection is read at once by HTTP/1.1, when there is as much. Uploads cost a fifth
/// less time of the processor than with 64 KiB; but somebody might open many connections and fill
/// each with headers that never end.
pub(super) const READ_BUFFER: usize = 256 << 10;

/// So much of an upload may be on its way over HTTP/2: 20 ms at 150 Mbit/s. It is in memory until it
/// is read, and 64 at once are to fit into the share of one client.
pub(super) const STREAM_WINDOW: u32 = 384 << 10;

/// The names and values of headers have at most so many bytes.
pub(super) const MAX_HEADER_BYTES: u16 = u16::MAX;
