//! Rules that choose among the tags of a repository.

use std::fmt;

use longshore_spec::Tag;
use regex::Regex;
use semver::{Version, VersionReq};

/// Rules that choose among the tags of a repository. The default chooses all of them.
#[derive(Debug, Clone, Default)]
pub struct TagRules {
    /// These and no others; one that is not there is an error.
    pub(crate) listed: Option<Vec<Tag>>,
    /// Those that match as a whole.
    pub(crate) regex: Option<Regex>,
    /// Those that are versions in this range; a `v` in front is no part of a version.
    pub(crate) semver: Option<VersionReq>,
    /// Tags that match any of these as a whole are dropped.
    pub(crate) exclude: Vec<Regex>,
    /// So many, the highest versions, of those that are left.
    pub(crate) newest: Option<usize>,
}

/// Tags that are wanted by name, and are not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there {} tag {}", if .0.len() == 1 { "is no" } else { "are no" }, names(.0))]
pub struct NoSuchTags(pub Vec<Tag>);

fn names(tags: &[Tag]) -> String {
    tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", ")
}

impl TagRules {
    /// Chooses among `tags`. Returns `listed` unchanged if it is set (other rules do not apply); otherwise
    /// the matches, sorted.
    ///
    /// # Errors
    ///
    /// Tags that are listed by name and are not there; then nothing is chosen.
    pub fn choose(&self, tags: &[Tag]) -> Result<Vec<Tag>, NoSuchTags> {
        if let Some(listed) = &self.listed {
            let missing: Vec<_> =
                listed.iter().filter(|tag| !tags.contains(tag)).cloned().collect();
            return if missing.is_empty() { Ok(listed.clone()) } else { Err(NoSuchTags(missing)) };
        }
        let mut chosen: Vec<Tag> = tags.iter().filter(|tag| self.admits(tag)).cloned().collect();
        chosen.sort();
        chosen.dedup();
        if let Some(newest) = self.newest {
            // What is no version is neither old nor new.
            let mut versions: Vec<_> =
                chosen.into_iter().filter_map(|tag| Some((version(&tag)?, tag))).collect();
            versions.sort();
            chosen = versions.into_iter().rev().take(newest).map(|(_, tag)| tag).collect();
            chosen.sort();
        }
        Ok(chosen)
    }

    /// Returns the tags if all are given by name, so that nobody need ask which there are.
    pub fn listed(&self) -> Option<&[Tag]> {
        self.listed.as_deref()
    }

    fn admits(&self, tag: &Tag) -> bool {
        let text = tag.as_str();
        self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
            && !self.exclude.iter().any(|regex| regex.is_match(text))
            && self
                .semver
                .as_ref()
                .is_none_or(|range| version(tag).is_some_and(|version| range.matches(&version)))
    }
}

impl fmt::Display for TagRules {
    /// Writes the rules as `bundle.yaml` does; omits `newest`, unless it is the only rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(listed) = &self.listed {
            parts.push(format!("the tags {}", names(listed)));
        }
        parts.extend(self.semver.iter().map(|range| format!("semver `{range}`")));
        parts.extend(self.regex.iter().map(|regex| format!("regex `{}`", unanchored(regex))));
        parts.extend(self.exclude.iter().map(|regex| format!("exclude `{}`", unanchored(regex))));
        match (parts.is_empty(), self.newest) {
            (false, _) => f.write_str(&parts.join(", ")),
            (true, Some(newest)) => write!(f, "newest {newest}, which takes versions only"),
            (true, None) => f.write_str("the rules, which take every tag"),
        }
    }
}

/// Returns the tag that is the highest version, if any is a version.
pub(crate) fn highest_version(tags: &[Tag]) -> Option<&Tag> {
    let versions = tags.iter().filter_map(|tag| Some((version(tag)?, tag)));
    versions.max().map(|(_, tag)| tag)
}

/// Returns a pattern as it was written, without what makes it match a tag as a whole.
pub(crate) fn unanchored(regex: &Regex) -> &str {
    let text = regex.as_str();
    let inner = text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
    inner.unwrap_or(text)
}

/// Reads a tag as a version: with or without a `v` in front; `1.2` is `1.2.0`, and `_` stands for
/// the `+` that no tag may have.
fn version(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text).replacen('_', "+", 1);
    if let Ok(version) = Version::parse(&text) {
        return Some(version);
    }
    let core = text.find(['-', '+']).unwrap_or(text.len());
    let (core, rest) = text.split_at(core);
    let dots = core.bytes().filter(|byte| *byte == b'.').count();
    let zeros = match dots {
        0 => ".0.0",
        1 => ".0",
        _ => return None,
    };
    Version::parse(&format!("{core}{zeros}{rest}")).ok()
}

/// Reads a pattern that has to match a tag as a whole.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    // The pattern alone first, so that nothing in it can undo what is put around it.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

/// Reads a range of versions; conditions may stand side by side, with or without commas.
pub(crate) fn range(text: &str) -> Result<VersionReq, String> {
    VersionReq::parse(&conditions(text))
        .map_err(|error| format!("`{text}` is not a version range: {error}"))
}

/// Returns the conditions of a range with nothing but a comma between them.
pub(crate) fn conditions(text: &str) -> String {
    text.split_whitespace().fold(String::new(), |mut all, part| {
        let follows = !all.is_empty() && !all.ends_with([',', '<', '>', '=', '~', '^']);
        if follows && !part.starts_with(',') {
            all.push(',');
        }
        all.push_str(part);
        all
    })
}

/// Returns what is wrong with a pattern, in one line.
pub(crate) fn regex_error(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    format!("this is not a regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
}
