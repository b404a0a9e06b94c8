//! Content identifiers: `algorithm:encoded`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

use crate::read::from_text;

/// The identity of a piece of content (image-spec `descriptor.md`, rows ).
///
/// Any string of the digest grammar can be represented. `sha256` and `sha512` can also be
/// computed, see [`Digest::hasher`]; everything else is carried as text.
///
/// Digests order as their text does, so that sorted output is stable and reads well.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digest(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Sha256([u8; 32]),
    Sha512(Box<[u8; 64]>),
    /// The whole text and where its colon is.
    Other(Box<str>, u32),
}

/// Why a string is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest: {reason}")]
pub struct DigestError {
    text: String,
    reason: &'static str,
}

impl Digest {
    /// The encoded part of a referrers tag has at most this many characters (row E-87).
    pub const REFERRERS_TAG_ENCODED: usize = 64;

    /// Returns the SHA-256 digest of `bytes`.
    pub fn sha256(bytes: impl AsRef<[u8]>) -> Self {
        Self(Repr::Sha256(Sha256::digest(bytes).into()))
    }

    /// Returns the SHA-512 digest of `bytes`.
    pub fn sha512(bytes: impl AsRef<[u8]>) -> Self {
        Self(Repr::Sha512(Box::new(Sha512::digest(bytes).into())))
    }

    /// Returns the part before the colon, such as `sha256`.
    pub fn algorithm(&self) -> &str {
        match &self.0 {
            Repr::Sha256(_) => "sha256",
            Repr::Sha512(_) => "sha512",
            Repr::Other(text, colon) => &text[..*colon as usize],
        }
    }

    /// Returns the part after the colon.
    pub fn encoded(&self) -> String {
        match &self.0 {
            Repr::Sha256(bytes) => hex(bytes),
            Repr::Sha512(bytes) => hex(bytes.as_slice()),
            Repr::Other(text, colon) => text[*colon as usize + 1..].to_owned(),
        }
    }

    /// Returns a fresh hasher of this digest's algorithm, or `None` for an algorithm that cannot
    /// be computed here (row A-38).
    pub fn hasher(&self) -> Option<Hasher> {
        match &self.0 {
            Repr::Sha256(_) => Some(Hasher::sha256()),
            Repr::Sha512(_) => Some(Hasher::sha512()),
            Repr::Other(..) => None,
        }
    }

    /// Returns the digest of `bytes` under this digest's algorithm, or `None` if it cannot be
    /// computed here.
    pub fn recompute(&self, bytes: &[u8]) -> Option<Digest> {
        let mut hasher = self.hasher()?;
        hasher.update(bytes);
        Some(hasher.finish())
    }

    /// Returns the tag under which registries without a referrers API list the referrers of
    /// this digest (distribution-spec "Referrers Tag Schema", row E-87).
    ///
    /// The encoded part is [cut](Self::REFERRERS_TAG_ENCODED), so the tag of a sha512 digest cannot be turned
    /// back into the digest.
    pub fn referrers_tag(&self) -> String {
        const ALGORITHM: usize = 32;
        let part = |text: &str, limit| -> String {
            let legal =
                |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
            text.chars().take(limit).map(legal).collect()
        };
        format!(
            "{}-{}",
            part(self.algorithm(), ALGORITHM),
            part(&self.encoded(), Self::REFERRERS_TAG_ENCODED)
        )
    }

    /// Tells whether `tag` has the form of a [referrers tag](Self::referrers_tag) of a sha256 or
    /// sha512 digest (row E-87). Tags of other algorithms look like any other tag.
    pub fn is_referrers_tag(tag: &str) -> bool {
        tag.split_once('-').is_some_and(|(algorithm, encoded)| {
            matches!(algorithm, "sha256" | "sha512")
                && encoded.len() == Self::REFERRERS_TAG_ENCODED
                && encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    }

    /// Returns the first twelve characters of the encoded part, for people.
    pub fn short(&self) -> String {
        const SHORT: usize = 12;
        let mut encoded = self.encoded();
        encoded.truncate(SHORT);
        encoded
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = |reason| DigestError { text: text.to_owned(), reason };
        let (algorithm, encoded) = text.split_once(':').ok_or_else(|| error("it has no colon"))?;
        if !is_algorithm(algorithm) {
            return Err(error("the algorithm must be lower-case words joined by one of + . _ -"));
        }
        if encoded.is_empty()
            || !encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b))
        {
            return Err(error("the encoded part may hold only letters, digits, =, _ and -"));
        }
        match algorithm {
            "sha256" => Ok(Self(Repr::Sha256(
                unhex(encoded)
                    .ok_or_else(|| error("sha256 takes exactly 64 lower-case hex digits"))?,
            ))),
            "sha512" => Ok(Self(Repr::Sha512(Box::new(
                unhex(encoded)
                    .ok_or_else(|| error("sha512 takes exactly 128 lower-case hex digits"))?,
            )))),
            "blake3" if unhex::<32>(encoded).is_none() => {
                Err(error("blake3 takes exactly 64 lower-case hex digits"))
            }
            _ => {
                let colon = u32::try_from(algorithm.len()).map_err(|_| error("it is too long"))?;
                Ok(Self(Repr::Other(text.into(), colon)))
            }
        }
    }
}

/// `[a-z0-9]+(?:[+._-][a-z0-9]+)*`
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-']).all(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Sha256(bytes) => write!(f, "sha256:{}", hex(bytes)),
            Repr::Sha512(bytes) => write!(f, "sha512:{}", hex(bytes.as_slice())),
            Repr::Other(text, _) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Sha256(a), Repr::Sha256(b)) => a.cmp(b),
            (Repr::Sha512(a), Repr::Sha512(b)) => a.cmp(b),
            _ => self.to_string().cmp(&other.to_string()),
        }
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, str::parse)
    }
}

/// Computes a [`Digest`] and counts bytes as they pass.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    count: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// Returns a hasher that has seen nothing and yields `sha256` digests (row A-35: the default).
    pub fn sha256() -> Self {
        Self { state: State::Sha256(Sha256::new()), count: 0 }
    }

    /// Returns a hasher that has seen nothing and yields `sha512` digests.
    pub fn sha512() -> Self {
        Self { state: State::Sha512(Box::new(Sha512::new())), count: 0 }
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.count += bytes.len() as u64;
    }

    /// Returns how many bytes were taken in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the digest of all that was taken in.
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(state) => Digest(Repr::Sha256(state.finalize().into())),
            State::Sha512(state) => Digest(Repr::Sha512(Box::new(state.finalize().into()))),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = match self.state {
            State::Sha256(_) => "sha256",
            State::Sha512(_) => "sha512",
        };
        write!(f, "Hasher({algorithm}, {} bytes)", self.count)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Decodes exactly `N` bytes of lower-case hex; anything else is `None` (row A-32).
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}
