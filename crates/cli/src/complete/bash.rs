//! A command line as bash has it.

/// A line up to the cursor.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The words behind the program that are complete.
    pub(super) words: Vec<String>,
    /// The word that is being typed, without its quotes.
    pub(super) current: String,
    /// How much of it bash leaves as it is: only what comes behind is replaced.
    kept: usize,
    /// The quote that is open.
    quote: Option<char>,
}

impl Line {
    /// Reads a line. `breaks` are the characters at which bash takes words apart (`COMP_WORDBREAKS`):
    /// for what is replaced a word begins behind the last of them, for the program it does not.
    pub(super) fn read(line: &str, breaks: &str) -> Self {
        let mut read = Self::default();
        // Whether a word has begun, which may be empty.
        let mut is_open = false;
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            match (read.quote, letter) {
                (None, _) if letter.is_whitespace() => {
                    if is_open {
                        read.words.push(std::mem::take(&mut read.current));
                    }
                    (read.kept, is_open) = (0, false);
                    continue;
                }
                // Another command begins.
                (None, ';' | '|' | '&' | '(') => {
                    read = Self::default();
                    is_open = false;
                    continue;
                }
                (None, '\'' | '"') => {
                    read.quote = Some(letter);
                    read.kept = read.current.len();
                }
                (Some(quote), _) if letter == quote => read.quote = None,
                (None, '\\') => read.current.extend(letters.next()),
                (Some('"'), '\\') => match letters.next() {
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => read.current.push(escaped),
                    other => {
                        read.current.push('\\');
                        read.current.extend(other);
                    }
                },
                (quote, _) => {
                    read.current.push(letter);
                    if quote.is_none() && breaks.contains(letter) {
                        read.kept = read.current.len();
                    }
                }
            }
            is_open = true;
        }
        if !read.words.is_empty() {
            read.words.remove(0);
        }
        read
    }

    /// Tells whether a quote is open.
    pub(super) fn is_quoted(&self) -> bool {
        self.quote.is_some()
    }

    /// Returns what bash puts into the place of what it replaces for the word to become `value`.
    pub(super) fn reply(&self, value: &str) -> String {
        // What is offered begins as the word does.
        let rest = value.get(self.kept..).unwrap_or_default();
        if self.quote.is_some() {
            return rest.to_owned();
        }
        let mut reply = String::new();
        for (at, letter) in rest.char_indices() {
            let is_home = letter == '~' && at == 0 && self.kept == 0;
            if !is_home && (letter.is_whitespace() || SPECIAL.contains(letter)) {
                reply.push('\\');
            }
            reply.push(letter);
        }
        reply
    }
}

/// What means something to bash where it is not quoted.
const SPECIAL: &str = "\"'\\`$&;|<>(){}[]*?#!~^";

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn read(line: &str) -> (Vec<String>, String) {
        let Line { words, current, .. } = Line::read(line, BREAKS);
        (words, current)
    }

    #[test]
    fn a_line_is_words_as_the_program_gets_them() {
        for (line, words, current) in [
            ("longshore ", &[][..], ""),
            ("longshore co", &[], "co"),
            ("longshore copy oci:a:b ", &["copy", "oci:a:b"], ""),
            ("longshore copy 'my dir' oci:my\\ d", &["copy", "my dir"], "oci:my d"),
            ("longshore copy \"oci:my d", &["copy"], "oci:my d"),
            ("longshore copy '' x", &["copy", ""], "x"),
            ("cd x && longshore list ", &["list"], ""),
            ("longshore list \"a\\\"b\\c", &["list"], "a\"b\\c"),
        ] {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(read(line), (words, current.to_owned()), "{line}");
        }
    }

    #[test]
    fn only_what_bash_replaces_is_given() {
        for (line, value, reply) in [
            ("longshore list si", "site/", "site/"),
            ("longshore list oci:si", "oci:site", "site"),
            ("longshore list oci:site:", "oci:site:a.io/x:1", "a.io/x:1"),
            ("longshore list oci:site:a.io/x:", "oci:site:a.io/x:1", "1"),
            ("longshore list oci:my", "oci:my dir/", "my\\ dir/"),
            ("longshore list 'oci:my", "oci:my dir/", "oci:my dir/"),
            ("longshore list oci:'my", "oci:my dir/", "my dir/"),
            ("longshore copy --type=im", "--type=image", "image"),
            ("longshore copy --type !si", "!signature", "\\!signature"),
            ("longshore find-images ~/x", "~/x y", "~/x\\ y"),
        ] {
            assert_eq!(Line::read(line, BREAKS).reply(value), reply, "{line}");
        }
    }
}
