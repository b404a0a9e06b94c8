//! Tests of the public API.

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::unwrap_used, reason = "what tests share belongs to them")]

mod auth;
mod conformance;
mod credentials;
mod distribution;
mod fake;
mod foreign;
mod general;
mod pace;
mod pull;
mod push;
mod referrers;
mod refused;
mod slow;
mod stub;
mod support;
mod tags;
mod tls;
