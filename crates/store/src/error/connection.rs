//! Why a host does not answer.

use std::fmt;
use std::io;
use std::time::Duration;

/// Why a host cannot be reached, or does not answer to the end. Displayed, it is a sentence about the
/// host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// Its name has no address; what the system says of that.
    NoAddress(String),
    /// Nobody takes the connection.
    Refused {
        /// The port that nobody listens on; `None` where a proxy may be in between, and it may be the
        /// proxy's.
        port: Option<u16>,
    },
    /// No network leads there.
    NoRoute,
    /// The connection was not taken in time.
    ConnectTimeout,
    /// Nothing came for so long.
    Silent(Duration),
    /// Some bytes come, or are taken, and too few to be waited for.
    Slow,
    /// It has no public address, and whoever named it may name only hosts that have.
    NotPublic,
    /// The connection ended in the middle; how.
    Cut(String),
    /// Its certificate is for other hosts.
    OtherName {
        /// The hosts that it is for.
        names: Vec<String>,
        /// The host that was asked for, if that is known.
        wanted: Option<String>,
    },
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// No authority that is trusted here vouches for its certificate.
    UnknownAuthority,
    /// Its certificate is an authority's own, and not trusted here.
    AuthorityItself,
    /// Its certificate is wrong in another way; how.
    BadCertificate(String),
    /// It ends the handshake, as those do that want to see a client's certificate; what it says.
    Handshake(String),
    /// It does not speak TLS.
    NoTls,
    /// It speaks TLS, and was spoken to without.
    SpeaksTls,
    /// It does not speak HTTP.
    NoHttp,
    /// Something else; what.
    Other(String),
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress(said) => return write!(f, "its name has no address: {said}"),
            Self::Refused { port: Some(port) } => {
                return write!(f, "nothing listens on port {port}");
            }
            Self::Refused { port: None } => "the connection is refused, by it or by the proxy",
            Self::NoRoute => "no network leads there",
            Self::ConnectTimeout => "it did not accept the connection in time",
            Self::Silent(time) => return write!(f, "it said nothing for {} s", time.as_secs()),
            Self::Slow => "the connection is too slow",
            Self::NotPublic => "it has no public address, as such a host must",
            Self::Cut(how) => return write!(f, "the connection was cut: {how}"),
            Self::OtherName { names, wanted } => {
                let names = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
                return match wanted {
                    Some(wanted) => {
                        write!(f, "its certificate is for {names}, not for {wanted}")
                    }
                    None => f.write_str("its certificate is for another host"),
                };
            }
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::UnknownAuthority => {
                "its certificate is not from an authority that is trusted here"
            }
            Self::AuthorityItself => "its certificate is an authority's own, and not trusted here",
            Self::BadCertificate(how) => {
                return write!(f, "its certificate is not accepted: {how}");
            }
            Self::Handshake(said) => return write!(f, "the TLS handshake failed: {said}"),
            Self::NoTls => "it does not speak TLS",
            Self::SpeaksTls => "it speaks TLS, and was addressed without it",
            Self::NoHttp => "it does not speak HTTP",
            Self::Other(what) => what,
        })
    }
}

impl std::error::Error for ConnectionFailure {}

/// Lets a reader pass it through [`io::Read`]; [`crate::Error::from_io`] finds it again.
impl From<ConnectionFailure> for io::Error {
    fn from(failure: ConnectionFailure) -> Self {
        Self::other(failure)
    }
}
