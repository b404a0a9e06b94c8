#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! Copies typed artifacts between places.
//!
//! A copy ([`CopyRequest`]) has two steps. [`Plan::discover`] walks everything that is wanted, manifest by manifest,
//! before the first blob byte moves; [`Plan::execute`] carries the plan out in parallel. A dry run,
//! exact progress, a look at the room on a disk, [`Plan::verify`] and the collection of garbage
//! ([`reachable()`]) use the same plan, so there is one walk over the graph.
//!
//! What holds for every copy:
//!
//! - Nothing is re-serialised; the one manifest that is authored, an index with entries taken out,
//!   has to be asked for.
//! - A root gets its name when all that it refers to is there, and never before.
//! - That a manifest is there is no proof that what it refers to is: every node is asked for.
//! - One root that fails does not stop the others, and is named.
//!
//! The engine knows places only by the traits of `longshore-store`.

mod copy;
mod discover;
mod execute;
mod filter;
mod observe;
mod plan;
mod presence;
mod reachable;
mod report;
mod survey;
mod transfer;
mod verify;

pub use copy::{CopyRequest, PreparedCopy};
pub use discover::{SignatureTags, subject_of};
pub use filter::{Filter, Platforms, Referring, Unchanged};
pub use observe::{Observer, Silent};
pub use plan::{CopyItem, LeftOut, Moved, Plan, RootRequest, Totals, Unfit};
pub use presence::{Present, Proof};
pub use reachable::reachable;
pub use report::{Action, Failure, FoundRoot, Outcome, Report, RootReport, Side};
pub use survey::{Part, survey, survey_known};
