//! Filters by artifact type, as people write them.

use std::fmt;
use std::str::FromStr;

use super::{ArtifactType, Family, Known, TABLE};
use crate::MediaType;

/// Which artifact types are wanted.
///
/// A filter looks at one manifest. An index that declares no type is only admitted as `index` or
/// by a filter that admits everything (row I-03); whoever wants an index for what is in it asks for
/// its children.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TypeFilter {
    include: Vec<Item>,
    exclude: Vec<Item>,
}

/// Why an item of a filter means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{item}` is not an artifact type; {}", advice(.close))]
pub struct TypeFilterError {
    item: String,
    close: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Item {
    Any,
    /// A name of [`TABLE`], or what [`ArtifactType::name`] says of a manifest without a type.
    Name(&'static str),
    Family(Family),
    Declared(MediaType),
}

/// Stands for every type.
const ANY: &str = "any";

impl TypeFilter {
    /// Reads a filter from its items, in any case: names of [`TABLE`], families, media types,
    /// `index` and `untyped` for what declares no type, and `any`.
    ///
    /// An item with `!` before it excludes, and an exclusion wins over an inclusion. Without
    /// inclusions everything is included.
    pub fn parse<S: AsRef<str>>(items: &[S]) -> Result<Self, TypeFilterError> {
        let mut filter = Self::default();
        for text in items {
            let text = text.as_ref().trim();
            match text.strip_prefix('!') {
                Some(text) => filter.exclude.push(text.trim().parse()?),
                None => filter.include.push(text.parse()?),
            }
        }
        Ok(filter)
    }

    /// Returns the items that [`TypeFilter::parse`] reads as this filter, sorted; none if it admits
    /// everything.
    pub fn items(&self) -> Vec<String> {
        let include = self.include.iter().map(Item::to_string);
        let mut items: Vec<_> =
            include.chain(self.exclude.iter().map(|item| format!("!{item}"))).collect();
        items.sort_unstable();
        items.dedup();
        items
    }

    /// Tells whether an artifact of this type is wanted.
    pub fn admits(&self, artifact_type: &ArtifactType) -> bool {
        let covers = |item: &Item| item.covers(artifact_type);
        (self.include.is_empty() || self.include.iter().any(covers))
            && !self.excludes(artifact_type)
    }

    /// Tells whether an artifact of this type is named as one that is not wanted.
    pub fn excludes(&self, artifact_type: &ArtifactType) -> bool {
        self.exclude.iter().any(|item| item.covers(artifact_type))
    }
}

impl Item {
    fn covers(&self, artifact_type: &ArtifactType) -> bool {
        match self {
            Item::Any => true,
            Item::Name(name) => artifact_type.name() == *name,
            Item::Family(family) => artifact_type.family() == Some(*family),
            Item::Declared(media_type) => artifact_type.declared() == Some(media_type),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Any => f.write_str(ANY),
            Item::Name(name) => f.write_str(name),
            Item::Family(family) => fmt::Display::fmt(family, f),
            Item::Declared(media_type) => fmt::Display::fmt(media_type, f),
        }
    }
}

impl FromStr for Item {
    type Err = TypeFilterError;

    fn from_str(text: &str) -> Result<Self, TypeFilterError> {
        if text.contains('/') {
            return Ok(Item::Declared(MediaType::new(text)));
        }
        if text.eq_ignore_ascii_case(ANY) {
            return Ok(Item::Any);
        }
        if let Ok(family) = text.parse() {
            return Ok(Item::Family(family));
        }
        names()
            .find(|name| name.eq_ignore_ascii_case(text))
            .map(Item::Name)
            .ok_or_else(|| TypeFilterError { item: text.to_owned(), close: close(text) })
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let untyped = [ArtifactType::INDEX, ArtifactType::UNTYPED];
    TABLE.iter().map(|known: &Known| known.name).chain(untyped)
}

fn advice(close: &[&str]) -> String {
    match close {
        [] => "write a family such as `image`, a name such as `helm-chart`, or a media type"
            .to_owned(),
        [one] => format!("did you mean `{one}`?"),
        [rest @ .., last] => format!("did you mean `{}` or `{last}`?", rest.join("`, `")),
    }
}

/// Returns the words that look most like `text`, the likeliest first.
fn close(text: &str) -> Vec<&'static str> {
    const SHOWN: usize = 3;
    const TYPING_ERRORS: usize = 2;
    const SHORTEST_PART: usize = 3;

    let text = text.to_ascii_lowercase();
    let score = |word: &'static str| {
        let is_part = text.len() >= SHORTEST_PART && (word.contains(&text) || text.contains(word));
        let typing_errors = edit_distance(&text, word);
        if typing_errors <= TYPING_ERRORS && typing_errors < text.len() {
            Some((typing_errors, word))
        } else {
            is_part.then_some((TYPING_ERRORS + 1, word))
        }
    };
    let families = Family::ALL.into_iter().map(Family::as_str);
    let mut scored: Vec<_> = families.chain(names()).filter_map(score).collect();
    scored.sort_unstable();
    scored.into_iter().map(|(_, word)| word).take(SHOWN).collect()
}

/// Returns how many characters must be added, dropped or changed to make `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
