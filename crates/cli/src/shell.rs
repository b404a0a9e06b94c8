//! Words as they are written for a POSIX shell, so that what a hint shows can be pasted.

use std::fmt;

/// Returns the word that a shell takes for this text: the text itself, or in quotes if anything in it means
/// something to a shell.
pub(crate) fn word(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "@%_+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    // Within single quotes nothing has a meaning but the one that ends them.
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_word_that_was_meant() {
        for text in
            ["", "a b", "it's", "$HOME", "~/x", "a;b", "*", "`id`", "\"", "a\\b", "x\ny", "#", "!"]
        {
            let line = format!("printf %s {}", word(text));
            let ran = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), text);
        }
        for text in ["oci:dir:app", "ghcr.io/acme/app:v1@sha256:0", "./ä-b_c.tar", "a=b,c%d+e"] {
            assert_eq!(word(text), text);
        }
    }
}
