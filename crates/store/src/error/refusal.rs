//! What a registry said when it refused.

use std::fmt;

use http::StatusCode;

/// What a registry, or a service that it names, said when it did not do what it was asked.
/// Displayed, it is its status, and its own words as far as there are any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// The codes of the distribution spec that the answer gives.
    pub codes: Vec<ErrorCode>,
    /// What it says, codes and all, as one line of bounded length.
    pub detail: Option<String>,
}

impl Refusal {
    /// Returns a refusal of which only the status is known, as the answer to a HEAD is.
    pub fn of_status(status: u16) -> Self {
        Self { status, codes: Vec::new(), detail: None }
    }

    /// Returns the refusal with other words.
    #[must_use]
    pub fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Tells whether one of the codes is `code`.
    pub fn has(&self, code: &ErrorCode) -> bool {
        self.codes.contains(code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        match (&self.detail, known) {
            (Some(detail), _) => write!(f, "{status}: {detail}"),
            (None, Some(reason)) => write!(f, "{status} {reason}"),
            (None, None) => write!(f, "{status}"),
        }
    }
}

/// A code by which a registry says why it refuses, as the distribution spec has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorCode {
    /// A blob is not known.
    BlobUnknown,
    /// An upload of a blob is not valid.
    BlobUploadInvalid,
    /// An upload of a blob is not known.
    BlobUploadUnknown,
    /// Who asks may not do that.
    Denied,
    /// A digest does not fit the content.
    DigestInvalid,
    /// A manifest refers to a manifest or blob that is not known.
    ManifestBlobUnknown,
    /// A manifest is not valid.
    ManifestInvalid,
    /// A manifest is not known.
    ManifestUnknown,
    /// The name of a repository is not valid.
    NameInvalid,
    /// A repository is not known.
    NameUnknown,
    /// A size does not fit the content.
    SizeInvalid,
    /// Too much is asked.
    TooManyRequests,
    /// Who asks has to say who it is.
    Unauthorized,
    /// The fault is the registry's. Registries say so, and the spec has no code for it.
    Unknown,
    /// The registry does not do that.
    Unsupported,
    /// One that the spec does not have.
    Other(String),
}

impl ErrorCode {
    /// Returns the code that `text` is.
    pub fn of(text: &str) -> Self {
        match text {
            "BLOB_UNKNOWN" => Self::BlobUnknown,
            "BLOB_UPLOAD_INVALID" => Self::BlobUploadInvalid,
            "BLOB_UPLOAD_UNKNOWN" => Self::BlobUploadUnknown,
            "DENIED" => Self::Denied,
            "DIGEST_INVALID" => Self::DigestInvalid,
            "MANIFEST_BLOB_UNKNOWN" => Self::ManifestBlobUnknown,
            "MANIFEST_INVALID" => Self::ManifestInvalid,
            "MANIFEST_UNKNOWN" => Self::ManifestUnknown,
            "NAME_INVALID" => Self::NameInvalid,
            "NAME_UNKNOWN" => Self::NameUnknown,
            "SIZE_INVALID" => Self::SizeInvalid,
            "TOOMANYREQUESTS" => Self::TooManyRequests,
            "UNAUTHORIZED" => Self::Unauthorized,
            "UNKNOWN" => Self::Unknown,
            "UNSUPPORTED" => Self::Unsupported,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the code as registries write it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_its_status_and_its_words() {
        let bare = Refusal::of_status(418);
        assert_eq!(bare.to_string(), "418 I'm a teapot");
        assert_eq!(bare.saying("DENIED: no").to_string(), "418: DENIED: no");
        assert_eq!(Refusal::of_status(599).to_string(), "599");
        assert_eq!(Refusal::of_status(7).to_string(), "7");
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        for text in [
            "BLOB_UNKNOWN",
            "BLOB_UPLOAD_INVALID",
            "BLOB_UPLOAD_UNKNOWN",
            "DENIED",
            "DIGEST_INVALID",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_INVALID",
            "MANIFEST_UNKNOWN",
            "NAME_INVALID",
            "NAME_UNKNOWN",
            "SIZE_INVALID",
            "TOOMANYREQUESTS",
            "UNAUTHORIZED",
            "UNSUPPORTED",
        ] {
            let code = ErrorCode::of(text);
            assert!(!matches!(code, ErrorCode::Other(_)), "{text}");
            assert_eq!(code.as_str(), text);
        }
        assert_eq!(ErrorCode::of("QUOTA").to_string(), "QUOTA");
    }
}
