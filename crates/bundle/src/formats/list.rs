//! Lists of references, one a line.

use crate::{Choice, ConfigError, Item, ReadLayout, Selection};

/// Tells whether a text is a list, and no YAML document: its first line that says anything is a path, which
/// may have spaces, or one word, and no key.
pub(super) fn is_list(text: &str) -> bool {
    const PATHS: [&str; 5] = ["/", "./", "../", "oci:", "oci-archive:"];
    let first = lines(text).next().map(|(_, line)| line);
    first.is_some_and(|line| {
        if PATHS.iter().any(|begin| line.starts_with(begin)) {
            return true;
        }
        !line.contains(char::is_whitespace)
            && !line.ends_with(':')
            && line != "---"
            && !line.starts_with(['{', '[', '%'])
    })
}

pub(super) fn parse(
    name: &str,
    text: &str,
    layout: ReadLayout<'_>,
) -> Result<Selection, ConfigError> {
    let item = |(number, line): (u64, &str)| {
        let wrong = |message: String| ConfigError::new(name, message).at(number, 1);
        Ok(Item::new(Choice::parse_where(line, layout).map_err(wrong)?, number))
    };
    let items = lines(text).map(item).collect::<Result<_, _>>()?;
    Ok(Selection { name: None, items })
}

/// Returns the lines that say anything, without comments, and their numbers.
fn lines(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let without_comment = |line: &'_ str| -> usize {
        // A `#` within a word is part of it.
        let starts = line.match_indices('#').map(|(at, _)| at);
        let mut comments =
            starts.filter(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
        comments.next().unwrap_or(line.len())
    };
    let lines = (1..).zip(text.lines());
    lines
        .map(move |(number, line)| (number, line[..without_comment(line)].trim()))
        .filter(|(_, line)| !line.is_empty())
}
