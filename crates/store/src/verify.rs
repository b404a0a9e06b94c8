//! Verification: the only way that bytes reach a target.

use std::io::{self, Read};

use longshore_spec::{Descriptor, Digest, Hasher};

use crate::{Error, Result};

/// So much memory is reserved for what a descriptor announces: that of the largest manifest. More is
/// taken as it comes.
const MAX_RESERVED: usize = 8 << 20;

/// Bytes from a source, not yet proven.
pub type Reader<'a> = Box<dyn Read + Send + 'a>;

/// Bytes that are counted and hashed as they pass.
///
/// The last byte is handed out only after size and digest are right, so a consumer that got all
/// bytes got the right ones, whether it reads to the end of file or just as many bytes as it
/// expects. Content of no bytes is proven by the first read. A source that has more bytes than the
/// descriptor says fails too, after one byte too many (row A-37). Content that proved wrong stays
/// so: whoever reads on gets an error again and never an end of file.
pub struct Verifying<'a> {
    inner: Reader<'a>,
    /// `None` once the content is proven, or where it cannot be.
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    passed: u64,
    state: State,
}

/// What is known of the content so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Proven,
    Wrong,
}

impl<'a> Verifying<'a> {
    /// Reads the content of `descriptor` from `inner`, from its first byte.
    ///
    /// Fails with [`Error::Unverifiable`] if the digest cannot be computed here.
    pub fn new(inner: Reader<'a>, descriptor: &Descriptor) -> Result<Self> {
        let unverifiable = || Error::Unverifiable { digest: descriptor.digest.clone() };
        Ok(Self::resume(inner, descriptor, descriptor.digest.hasher().ok_or_else(unverifiable)?))
    }

    /// Goes on after the bytes that `prefix` has seen: `inner` begins with the byte that follows.
    pub fn resume(inner: Reader<'a>, descriptor: &Descriptor, prefix: Hasher) -> Self {
        Self {
            inner,
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            passed: prefix.count(),
            hasher: Some(prefix),
            state: State::Open,
        }
    }

    /// Reads content that nobody can prove here (row A-38): only its size is checked.
    ///
    /// Whoever calls this owes the user a word about it.
    pub fn unverified(inner: Reader<'a>, descriptor: &Descriptor) -> Self {
        let Descriptor { digest, size, .. } = descriptor;
        let state = State::Open;
        Self { inner, hasher: None, digest: digest.clone(), size: *size, passed: 0, state }
    }

    /// Returns how many bytes of the content have passed, those of a prefix included.
    pub fn position(&self) -> u64 {
        self.passed
    }

    /// Returns what has seen the bytes so far, for whoever will read on from here another time.
    /// `None` once the content is proven, or where it cannot be.
    pub fn prefix(&self) -> Option<Hasher> {
        self.hasher.clone()
    }

    /// Returns all of the content that has not passed yet, in as few reads as the source allows. Whoever
    /// calls this knows that it fits into memory.
    pub fn into_bytes(mut self) -> Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(left.min(MAX_RESERVED));
        let read = self.read_to_end(&mut bytes);
        read.map_err(Error::io("read", &self.digest))?;
        Ok(bytes)
    }

    /// Checks that nothing follows and that the digest is right.
    fn prove(&mut self) -> io::Result<()> {
        if read_some(&mut self.inner, &mut [0])? != 0 {
            return Err(self.wrong_size(true));
        }
        if let Some(hasher) = self.hasher.take() {
            let actual = hasher.finish();
            if actual != self.digest {
                self.state = State::Wrong;
                return Err(Error::Corrupt { expected: self.digest.clone(), actual }.into());
            }
        }
        self.state = State::Proven;
        Ok(())
    }

    fn wrong_size(&mut self, more: bool) -> io::Error {
        self.state = State::Wrong;
        let error = Error::Size {
            digest: self.digest.clone(),
            expected: self.size,
            actual: self.passed,
            more,
        };
        error.into()
    }
}

impl Read for Verifying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Wrong => {
                return Err(io::Error::other(format!(
                    "{} was read on after it failed",
                    self.digest
                )));
            }
            State::Proven => return Ok(0),
            State::Open if buffer.is_empty() => return Ok(0),
            State::Open => {}
        }
        let left = self.size.saturating_sub(self.passed);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = read_some(&mut self.inner, &mut buffer[..wanted])?;
        if count == 0 && left > 0 {
            return Err(self.wrong_size(false));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.passed += count as u64;
        if self.passed >= self.size {
            self.prove()?;
        }
        Ok(count)
    }
}

impl std::fmt::Debug for Verifying<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifying({}, {} of {} bytes)", self.digest, self.passed, self.size)
    }
}

/// Reads once, again where a signal came in between. Reads nothing into an empty buffer.
fn read_some(inner: &mut Reader<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    if buffer.is_empty() {
        return Ok(0);
    }
    loop {
        match inner.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        content: &'static [u8],
        descriptor: &Descriptor,
        step: usize,
    ) -> (Vec<u8>, Option<Error>) {
        let mut reader = Verifying::new(Box::new(content), descriptor).unwrap();
        let (mut got, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (got, None),
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) => return (got, Some(Error::from_io("read", "it", error))),
            }
        }
    }

    #[test]
    fn right_content_passes_whatever_the_step() {
        let descriptor = Descriptor::of("a/b", b"hello");
        for step in 1..8 {
            let (got, error) = read(b"hello", &descriptor, step);
            assert_eq!((got.as_slice(), error.is_none()), (&b"hello"[..], true), "step {step}");
        }
    }

    #[test]
    fn a10_last_byte_of_wrong_content_is_never_handed_out() {
        let descriptor = Descriptor::of("a/b", b"hello");
        for step in 1..8 {
            let (got, error) = read(b"hellO", &descriptor, step);
            assert!(got.len() < 5, "step {step} handed out {got:?}");
            assert!(matches!(error, Some(Error::Corrupt { .. })), "{error:?}");
        }
    }

    #[test]
    fn b05_short_and_long_content_fail() {
        let descriptor = Descriptor::of("a/b", b"hello");
        let (got, error) = read(b"hell", &descriptor, 16);
        assert_eq!(got, b"hell");
        assert!(matches!(error, Some(Error::Size { actual: 4, more: false, .. })), "{error:?}");
        let (got, error) = read(b"hello!", &descriptor, 16);
        assert!(got.is_empty());
        assert!(matches!(error, Some(Error::Size { actual: 5, more: true, .. })), "{error:?}");
    }

    #[test]
    fn wrong_content_never_comes_to_an_end_of_file() {
        let descriptor = Descriptor::of("a/b", b"hello");
        for wrong in [&b"hellO"[..], b"hell", b"hello!"] {
            let mut reader = Verifying::new(Box::new(wrong), &descriptor).unwrap();
            let mut buffer = [0; 16];
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
            for _ in 0..3 {
                assert!(reader.read(&mut buffer).is_err(), "{wrong:?}");
            }
        }
    }

    #[test]
    fn empty_content_is_proven_by_the_first_read() {
        assert!(read(b"", &Descriptor::of("a/b", b""), 4).1.is_none());
        let lie = Descriptor::new("a/b", Digest::sha256("x"), 0);
        assert!(matches!(read(b"", &lie, 4).1, Some(Error::Corrupt { .. })));
        assert!(matches!(read(b"x", &lie, 4).1, Some(Error::Size { more: true, .. })));
    }

    #[test]
    fn a_resumed_read_proves_prefix_and_rest_together() {
        let descriptor = Descriptor::of("a/b", b"hello");
        for (prefix, right) in [("hel", true), ("hal", false)] {
            let mut hasher = Hasher::sha256();
            hasher.update(prefix.as_bytes());
            let mut reader = Verifying::resume(Box::new(&b"lo"[..]), &descriptor, hasher);
            let mut rest = Vec::new();
            assert_eq!(reader.read_to_end(&mut rest).is_ok(), right);
        }
    }

    #[test]
    fn a38_unknown_algorithms_need_the_other_constructor() {
        let descriptor = Descriptor::new("a/b", "foo:bar".parse().unwrap(), 2);
        let refused = Verifying::new(Box::new(&b"hi"[..]), &descriptor);
        assert!(matches!(refused, Err(Error::Unverifiable { .. })));
        let mut got = Vec::new();
        Verifying::unverified(Box::new(&b"hi"[..]), &descriptor).read_to_end(&mut got).unwrap();
        assert_eq!(got, b"hi");
    }
}
