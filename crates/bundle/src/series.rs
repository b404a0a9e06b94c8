//! Series: bundles of one name, each with a number that grows.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name that `bundle.yaml` gives to a series of bundles: letters, digits, `.`, `_`, `-` and `/`, of which the
/// first is a letter or a digit; at most [`BundleName::MAX_LENGTH`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct BundleName(String);

/// Why a text is no name of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a bundle's name has 1 to {} letters, digits, `.`, `_`, `-` and `/`, and begins with a letter or a digit",
    BundleName::MAX_LENGTH
)]
pub struct BundleNameError;

/// The number of a bundle among those of its name: from 1 to [`Sequence::MAX`]. A higher one is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u64", into = "u64")]
#[cfg_attr(feature = "schema", schemars(with = "u64"))]
pub struct Sequence(NonZeroU64);

/// Why a number is no sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sequence is a whole number from 1 to {}", Sequence::MAX)]
pub struct SequenceError;

impl BundleName {
    /// How many bytes a name has at most.
    pub const MAX_LENGTH: usize = 128;

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BundleName {
    type Err = BundleNameError;

    fn from_str(text: &str) -> Result<Self, BundleNameError> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        let is_good = text.len() <= Self::MAX_LENGTH
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(is_known);
        if is_good { Ok(Self(text.to_owned())) } else { Err(BundleNameError) }
    }
}

impl TryFrom<String> for BundleName {
    type Error = BundleNameError;

    fn try_from(text: String) -> Result<Self, BundleNameError> {
        text.parse()
    }
}

impl From<BundleName> for String {
    fn from(name: BundleName) -> Self {
        name.0
    }
}

impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Sequence {
    /// The first bundle of a series.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The highest number: canonical JSON has no higher one that every reader reads alike.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Returns the number.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// Returns the number of the next bundle. That of the last is its own.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1)).min(Self(NonZeroU64::MIN.saturating_add(Self::MAX - 1)))
    }
}

impl TryFrom<u64> for Sequence {
    type Error = SequenceError;

    fn try_from(number: u64) -> Result<Self, SequenceError> {
        let number = NonZeroU64::new(number).filter(|number| number.get() <= Self::MAX);
        number.map(Self).ok_or(SequenceError)
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.number()
    }
}

impl FromStr for Sequence {
    type Err = SequenceError;

    fn from_str(text: &str) -> Result<Self, SequenceError> {
        text.parse::<u64>().map_err(|_| SequenceError)?.try_into()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_of_few_characters() {
        for good in ["plant-7", "acme/ship_12.eu", "7", &"x".repeat(128)] {
            assert_eq!(good.parse::<BundleName>().unwrap().as_str(), good);
        }
        for bad in ["", "-x", "/x", "..", "a b", "a\n", "ä", "a:b", "a@b", &"x".repeat(129)] {
            assert_eq!(bad.parse::<BundleName>(), Err(BundleNameError), "{bad:?}");
        }
    }

    #[test]
    fn numbers_grow_up_to_what_json_holds() {
        assert_eq!(Sequence::FIRST.next().number(), 2);
        let last = Sequence::try_from(Sequence::MAX).unwrap();
        assert_eq!(last.next(), last);
        for bad in ["0", "-1", "1.5", "", "9007199254740992", "x"] {
            assert_eq!(bad.parse::<Sequence>(), Err(SequenceError), "{bad}");
        }
    }
}
