//! Text from other programs.

/// A text is cut off after so many characters.
const MOST_SHOWN: usize = 300;

/// The byte order mark that some programs write before JSON. JSON has none (RFC 8259 8.1), and a reader
/// may skip it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the text as one line of bounded length, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
