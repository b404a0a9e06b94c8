//! Text that others sent.

/// How many characters of a text are shown.
const MOST_SHOWN: usize = 300;

/// What some put before their JSON. JSON has none (RFC 8259 8.1), and a reader may skip it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns one line of bounded length that moves nothing on a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
