//! What tasks around the program share: other programs are run and shown, ours is built, and registries
//! serve for as long as somebody needs them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a task reports to the person who started it"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a task writes build products, which may be made again, not content that must survive a crash"
)]

pub mod program;
pub mod run;
pub mod server;
