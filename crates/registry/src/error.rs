//! Error responses.

use std::io::ErrorKind;

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};
use longshore_store::Error;
pub(crate) use longshore_store::ErrorCode as Code;

use crate::body::Body;
use crate::response;

/// The `Retry-After` of a refusal for lack of capacity, in seconds.
const RETRY_SECONDS: &str = "1";

/// A longer message is cut off: some quote the request.
const MAX_MESSAGE: usize = 1 << 10;

/// An error response in the form of the spec (row F-44).
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    code: Code,
    status: StatusCode,
    message: String,
    headers: Box<HeaderMap>,
}

/// Returns the usual status of a code.
fn status_of(code: &Code) -> StatusCode {
    match code {
        Code::BlobUnknown | Code::BlobUploadUnknown | Code::ManifestUnknown | Code::NameUnknown => {
            StatusCode::NOT_FOUND
        }
        Code::Denied => StatusCode::FORBIDDEN,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Code::BlobUploadInvalid
        | Code::DigestInvalid
        | Code::ManifestBlobUnknown
        | Code::ManifestInvalid
        | Code::NameInvalid
        | Code::SizeInvalid
        | Code::Unsupported => StatusCode::BAD_REQUEST,
    }
}

impl ErrorResponse {
    /// Returns an error response with the usual status of its code.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let status = status_of(&code);
        let error = Self { code, status, message: message.into(), headers: Box::default() };
        match error.code {
            // Row F-46.
            Code::TooManyRequests => {
                error.header(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
            }
            _ => error,
        }
    }

    /// Returns a function that turns [`Error::NotFound`] into a response with this code.
    pub(crate) fn unknown(code: Code) -> impl Fn(Error) -> Self {
        move |error| match error {
            Error::NotFound { what, .. } => Self::new(code.clone(), format!("{what} is not here")),
            error => error.into(),
        }
    }

    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn into_response(mut self, method: &Method) -> Response<Body> {
        self.message.truncate(self.message.floor_char_boundary(MAX_MESSAGE));
        tracing::debug!(%method, status = self.status.as_u16(), message = self.message, "refused");
        let error = serde_json::json!({ "code": self.code.as_str(), "message": self.message });
        let mut response = response::json(&serde_json::json!({ "errors": [error] }));
        *response.status_mut() = self.status;
        response.headers_mut().extend(*self.headers);
        response
    }
}

/// Tells whether there was no room: found before writing, or reported by the disk.
fn is_full(error: &Error) -> bool {
    match error {
        Error::NoSpace { .. } => true,
        Error::Io { source, .. } => {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}

impl From<Error> for ErrorResponse {
    /// The client is told what the place cannot do, and what is wrong with the request. All other errors
    /// are for the log: they may name paths.
    fn from(error: Error) -> Self {
        match &error {
            Error::Unsupported { .. } => Self::new(Code::Unsupported, error.to_string())
                .status(StatusCode::METHOD_NOT_ALLOWED),
            Error::Unverifiable { .. } => Self::new(Code::DigestInvalid, error.to_string()),
            Error::Ambiguous { name, candidates, .. } => {
                let candidates = candidates.join(" or ");
                let message = format!("`{name}` is ambiguous: it may be {candidates}");
                Self::new(Code::ManifestUnknown, message)
            }
            Error::Cancelled => Self::new(Code::TooManyRequests, "the request was given up"),
            Error::Busy { .. } => Self::new(Code::TooManyRequests, "the content is in use"),
            error if is_full(error) => {
                tracing::error!(%error, "no room");
                Self::new(Code::Unknown, "there is no room left")
                    .status(StatusCode::INSUFFICIENT_STORAGE)
            }
            _ => {
                tracing::error!(%error, "a request failed");
                Self::new(Code::Unknown, "the registry failed; its log says why")
            }
        }
    }
}
