//! Text that others wrote, as it is shown.

use std::borrow::Cow;

/// Returns a text in which everything is to be seen: names and annotations come from anybody.
///
/// What does not print is escaped: control characters, which speak to a terminal; marks that turn the
/// direction of writing, so that a text reads as another one; what takes no width; separators of lines
/// and paragraphs; spaces that are none; what Unicode does not assign, or leaves to private use.
/// Line feeds and tabs stay, since a text may have several lines.
pub fn printable(text: &str) -> Cow<'_, str> {
    shown(text, |c| matches!(c, '\n' | '\t'))
}

/// Returns the same on one line: line feeds and tabs are escaped too.
pub fn printable_line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// Tells whether a character is to be seen, or is a space.
pub fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() => false,
        // A mark is escaped on its own, and stays behind what it belongs to.
        c => {
            let mut buffer = [b'x'; 1 + 4];
            let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
            std::str::from_utf8(&buffer[..end]).is_ok_and(|text| text.escape_debug().count() == 2)
        }
    }
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_shown = |c: char| is_printable(c) || stays(c);
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shown(c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_print_is_escaped() {
        let bidirectional = ['\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}'];
        let isolates = ['\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];
        let marks = ['\u{200e}', '\u{200f}', '\u{61c}'];
        let no_width = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];
        let separators = ['\u{2028}', '\u{2029}', '\u{a0}', '\u{3000}'];
        let controls = ['\0', '\u{7}', '\r', '\u{1b}', '\u{7f}', '\u{80}', '\u{9b}', '\u{9f}'];
        let others = ['\u{e0001}', '\u{e000}', '\u{fff9}', '\u{180e}'];
        let all =
            [&bidirectional[..], &isolates, &marks, &no_width, &separators, &controls, &others];
        for c in all.into_iter().flatten() {
            assert!(!is_printable(*c), "{c:?}");
            let text = format!("a{c}b");
            assert_eq!(printable(&text), format!("a{}b", c.escape_default()), "{c:?}");
        }
    }

    #[test]
    fn what_prints_stays() {
        for text in [
            "a b~",
            "Grüße",
            "e\u{301}",
            "日本語",
            "Ω → \"x\" 'y' \\ │└─ …",
            "🚢",
            "עברית",
            "مرحبا",
        ] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(printable("a\n\tb"), "a\n\tb");
        assert_eq!(printable_line("a\n\tb"), "a\\n\\tb");
    }
}
