#![doc = include_str!("../README.md")]
//!
//! # Design
//!
//! A copy ([`CopyRequest`]) has two steps. [`Plan::discover`] reads all manifests before the first blob byte
//! moves. Then the plan is sealed, and [`SealedPlan::execute`] copies in parallel. Dry runs, progress, the check
//! for free disk space, [`SealedPlan::verify`] and garbage collection ([`reachable()`]) use the same walk over
//! the graph.
//!
//! What holds for every copy:
//!
//! - No manifest is serialised again, with one exception on request: an index without some of its entries.
//! - A root gets its name only when everything that it refers to is there.
//! - The presence of a manifest does not prove the presence of its children: the target is asked for every
//!   node.
//! - A root that fails is named, and does not stop the others.
//!
//! The engine knows places only by the traits of `longshore-store`.

mod copy;
mod discover;
mod execute;
mod filter;
mod observe;
mod plan;
mod presence;
mod preview;
mod reachable;
mod report;
mod sealed_plan;
mod survey;
mod transfer;
mod verify;

pub use copy::{CopyRequest, PreparedCopy};
pub use discover::{SignatureTags, subject_of};
pub use filter::{Filter, Platforms, Referring, Unchanged};
pub use observe::{Arrival, Observer, Silent};
pub use plan::{CopyItem, LeftOut, Moved, Plan, RootRequest, Totals, Unfit};
pub use presence::{Present, Proof};
pub use preview::{GivenName, MissingBytes};
pub use reachable::reachable;
pub use report::{Action, Failure, FoundRoot, Outcome, Report, RootReport, Side};
pub use sealed_plan::SealedPlan;
pub use survey::{Part, survey, survey_known};
pub use transfer::Transfer;
