//! Limits that several modules of the front end share.

/// How much HTTP/1.1 reads from a connection at once. With 64 KiB, uploads would cost a quarter more
/// processor time. A larger buffer would let somebody open many connections and fill each with headers
/// that never end.
pub(super) const READ_BUFFER: usize = 256 << 10;

/// The HTTP/2 window of an upload: 20 ms at 150 Mbit/s. The bytes are in memory until they are read, and
/// 64 of these fit into the share of one client.
pub(super) const STREAM_WINDOW: u32 = 384 << 10;

/// The longest names and values of headers together, in bytes.
pub(super) const MAX_HEADER_BYTES: u16 = u16::MAX;
