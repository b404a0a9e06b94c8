//! The errors of requests that get no answer.

use std::error::Error as _;
use std::io;

use longshore_store::{ConnectionFailure, Error};

use super::tls;
use super::{AttemptError, Retry};
use crate::text::one_line;

/// Returns the error of a request that got no answer. An invalid certificate stays invalid, and a host
/// that refuses connections seldom starts to accept them.
pub(super) fn no_answer(host: &str, error: reqwest::Error) -> AttemptError {
    let is_about_certificates =
        matches!(tls_error(&error), Some(rustls::Error::InvalidCertificate(_)));
    let is_connected = !error.is_connect();
    let error = Error::unreachable(host, failure(error));
    if is_about_certificates {
        AttemptError::lasting(error)
    } else if is_connected {
        AttemptError::passing(error)
    } else {
        AttemptError { error, retry: Retry::Briefly }
    }
}

/// Returns why a request failed, or why a body was cut off.
pub(super) fn failure(error: reqwest::Error) -> ConnectionFailure {
    if let Some(failure) = tls_error(&error).and_then(tls::failure) {
        return failure;
    }
    // The result of our own resolver.
    if let Some(found) = cause::<ConnectionFailure>(&error) {
        return found.clone();
    }
    let is_connecting = error.is_connect();
    let port = error.url().and_then(reqwest::Url::port_or_known_default);
    if let Some(found) = cause::<io::Error>(&error).map(io::Error::kind) {
        use io::ErrorKind as Kind;
        match found {
            Kind::ConnectionRefused => return ConnectionFailure::Refused { port },
            Kind::HostUnreachable | Kind::NetworkUnreachable => return ConnectionFailure::NoRoute,
            Kind::TimedOut if is_connecting => return ConnectionFailure::ConnectTimeout,
            Kind::TimedOut
            | Kind::BrokenPipe
            | Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::NotConnected
            | Kind::UnexpectedEof => return ConnectionFailure::Cut(found.to_string()),
            _ => {}
        }
    }
    if let Some(found) = cause::<hyper::Error>(&error) {
        if found.is_parse() {
            return ConnectionFailure::NoHttp;
        }
        if found.is_incomplete_message() {
            return ConnectionFailure::Cut("it ended within the answer".to_owned());
        }
    }
    if is_connecting && error.is_timeout() {
        return ConnectionFailure::ConnectTimeout;
    }
    let said = innermost_message(error);
    if is_connecting { ConnectionFailure::Other(said) } else { ConnectionFailure::Cut(said) }
}

/// Returns the error of the TLS library, if the failure is one.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    causes(error).find_map(|mut cause| {
        // An I/O error may hold another error that is not its `source`.
        while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = inner;
        }
        cause.downcast_ref()
    })
}

/// Returns the innermost message of an error, without the address, which may hold a secret.
pub(super) fn innermost_message(error: reqwest::Error) -> String {
    let error = error.without_url();
    let innermost = causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string);
    one_line(&innermost)
}

/// Returns the innermost cause of this type.
fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).filter_map(|cause| cause.downcast_ref()).last()
}

/// Returns the causes of a failure, the innermost last.
fn causes<'a>(
    error: &'a reqwest::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause: &&'a (dyn std::error::Error + 'static)| {
        cause.source()
    })
}
