//! Rust source as tokens: as much of the language as the rules need.

use super::tree::File;

/// A word, `::`, or a single character of punctuation. A literal with quotes is its first quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    /// The index of its line, counted from 0.
    pub(super) line: usize,
}

impl Token<'_> {
    /// Tells whether the token is a name or a keyword.
    pub(super) fn is_word(self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

impl File {
    /// Returns the tokens of code that is shipped: without comments, and without items that are marked
    /// `#[cfg(test)]`.
    pub(super) fn product_tokens(&self) -> Vec<Token<'_>> {
        without_tests(&tokens(&self.text))
    }
}

/// Splits source text into tokens. Comments and white space are none.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 0);
    while let Some(first) = rest.chars().next() {
        let (length, is_code) = first_token(rest, first);
        let (taken, behind) = rest.split_at(length.min(rest.len()));
        if is_code {
            let is_literal = taken.len() > 1 && taken.ends_with(['"', '\'', '#']);
            tokens.push(Token { text: if is_literal { "\"" } else { taken }, line });
        }
        line += taken.matches('\n').count();
        rest = behind;
    }
    tokens
}

/// Returns the length of what a text begins with, and whether it is code.
fn first_token(text: &str, first: char) -> (usize, bool) {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    if first.is_whitespace() {
        return (first.len_utf8(), false);
    }
    if text.starts_with("//") {
        return (text.find('\n').unwrap_or(text.len()), false);
    }
    if text.starts_with("/*") {
        return (block_comment(text), false);
    }
    if text.starts_with("::") {
        return (2, true);
    }
    if let Some(length) = string(text) {
        return (length, true);
    }
    if first == '\'' {
        return (character(text), true);
    }
    if is_name(first) {
        return (text.find(|c| !is_name(c)).unwrap_or(text.len()), true);
    }
    (first.len_utf8(), true)
}

/// Returns the length of a comment in `/*` and `*/`, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns the length of the string that a text begins with, raw or not.
fn string(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'b' | 'c' | 'r'))?;
    let behind = &text[prefix..];
    let hashes = behind.find(|c| c != '#')?;
    let is_raw = text[..prefix].ends_with('r');
    let inside = behind[hashes..].strip_prefix('"').filter(|_| is_raw || hashes == 0)?;
    let begin = text.len() - inside.len();
    if is_raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(inside.find(&end).map_or(text.len(), |at| begin + at + end.len()));
    }
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(begin + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// Returns the length of the character that a text begins with, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(1, |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// Leaves out items behind `#[cfg(test)]`, to their `;` or closing brace.
fn without_tests<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut product = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let ahead = tokens[at..].iter().map(|token| token.text);
        if ahead.take(MARK.len()).eq(MARK) {
            at += MARK.len();
            at += item_length(&tokens[at..]);
        } else {
            product.push(*token);
            at += 1;
        }
    }
    product
}

/// Returns how many tokens belong to the item that they begin with.
fn item_length(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" if depth <= 1 => return index + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_paths_and_literals_are_told_apart() {
        let source = "use a::b; // c::d\nlet x: &'a str = \"e::f\\\"\" /* g /* h */ */ + '\\'' + 'i' + r#\"j\"k\"#;";
        let expected = [
            "use", "a", "::", "b", ";", "let", "x", ":", "&", "'", "a", "str", "=", "\"", "+",
            "\"", "+", "\"", "+", "\"", ";",
        ];
        assert_eq!(texts(source), expected);
        assert_eq!(tokens(source)[5].line, 1);
    }

    #[test]
    fn items_of_tests_are_no_product() {
        let source = "a #[cfg(test)] mod tests; b #[cfg(test)] #[x(y)] fn f() { { } } c";
        let product = without_tests(&tokens(source));
        assert_eq!(product.iter().map(|token| token.text).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
