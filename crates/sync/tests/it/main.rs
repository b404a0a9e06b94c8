//! Tests of the public interface, one module per subject. Names and comments cite the rules they
//! hold the code to (A-13 and so on).

#![allow(clippy::disallowed_methods, reason = "tests may write files directly")]
#![allow(clippy::print_stderr, reason = "a test of scale says what it measured")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod assumed;
mod cancel;
mod disagreements;
mod elsewhere;
mod failures;
mod filters;
mod naming;
mod places;
mod platforms;
mod properties;
mod reachable;
mod referrers;
mod scale;
mod shared;
mod support;
mod types;
mod verify;
mod workers;
