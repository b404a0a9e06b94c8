//! Values that stand apart from their flag, where only `--flag=value` is read as one.

use std::path::Path;

use longshore_spec::Platform;
use longshore_spec::artifact_type::TypeFilter;

use crate::problem::{Exit, Problem};

/// A flag whose value may be left out, so that a word behind it is a place.
struct Optional {
    /// The commands that have it so.
    commands: &'static [&'static str],
    flag: &'static str,
    /// Whether a word is meant as its value, most likely.
    is_value: fn(&str) -> bool,
}

const OPTIONAL: [Optional; 2] = [
    Optional { commands: &["copy", "cp"], flag: "--referrers", is_value: are_types },
    Optional {
        commands: &["export"],
        flag: "--docker-manifest",
        is_value: |word| word.contains('/') && word.parse::<Platform>().is_ok(),
    },
];

/// Tells whether a word is a list of types. Any `a/b` may be a media type, and is a repository, unless it
/// begins as those of artifacts do.
fn are_types(word: &str) -> bool {
    let types: Vec<_> = word.split(',').collect();
    let is_no_place =
        |one: &&str| !one.contains(':') && (!one.contains('/') || one.starts_with("application/"));
    types.iter().all(is_no_place) && TypeFilter::parse(&types).is_ok()
}

/// Returns what is wrong with a line in which a value stands behind such a flag and a space: it would be
/// taken for a place.
pub(crate) fn refuse(words: &[String]) -> Option<Problem> {
    let command = words.iter().find(|word| !word.starts_with('-'))?;
    let flags = OPTIONAL.iter().filter(|of| of.commands.contains(&command.as_str()));
    let apart = |of: &Optional| {
        let pairs = words.iter().zip(words.iter().skip(1)).take_while(|(word, _)| *word != "--");
        let mut values = pairs.filter(|(word, _)| *word == of.flag).map(|(_, value)| value);
        let value =
            values.find(|value| (of.is_value)(value) && !Path::new(value.as_str()).exists())?;
        let text = format!("`{value}` stands apart from `{}`, and would be a place", of.flag);
        Some(Problem::new(Exit::Usage, text).hint(format!("write `{}={value}`", of.flag)))
    };
    { flags }.find_map(apart)
}
