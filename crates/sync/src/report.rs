//! What came of a plan. Partial success is a value, not an error.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use longshore_spec::{Descriptor, Digest, Kind, Platform};
use longshore_store::{Error, Name};

/// How many of what an index lists are named at most: as many as there are platforms in use.
const MOST_SHOWN: usize = 32;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// What became of every root that was wanted, in the order they were, then of the referrers
    /// that came along.
    pub roots: Vec<RootReport>,
    /// Everything that went wrong while the plan was carried out, by subject. What went wrong before
    /// is in [`Plan::failures`](crate::Plan::failures).
    pub failures: Vec<Failure>,
    /// Nodes that were copied or checked, byte by byte.
    pub moved: u64,
    /// Nodes that were there before, or that the target took over from another of its repositories:
    /// no byte was moved for them.
    pub existed: u64,
    /// Bytes of content that were read from sources.
    pub bytes: u64,
    /// Content that was taken though nobody can prove it (row A-38).
    pub unverified: Vec<Digest>,
    /// Whether the place could not make durable what came: no root is there for sure, and each that would be
    /// done has failed.
    pub uncommitted: bool,
    /// How much went wrong before, while the plan was made: see [`Plan::failures`](crate::Plan::failures).
    pub unplanned: usize,
}

/// What became of one root. What is known of it is shared with its plan.
#[derive(Debug, Clone)]
pub struct RootReport {
    /// What is known of it.
    pub found: Arc<FoundRoot>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What is known of a root. There may be as many as a place has names, so it is kept once, for a plan
/// and all that is told of it: 208 bytes beside its names and what its descriptor shares with
/// its source.
#[derive(Debug, Clone)]
pub struct FoundRoot {
    /// What was asked for, or `None` for a referrer that came along.
    pub wanted: Option<Name>,
    /// What it is called in the target.
    pub names: Vec<Name>,
    /// What it is; `None` if that could not be found out.
    pub descriptor: Option<Descriptor>,
    /// Its artifact type as a word.
    pub artifact_type: Option<Arc<str>>,
    /// What it refers to, if it came along for that.
    pub subject: Option<Box<Digest>>,
    /// What is taken for which platform, as far as its index or its entry there says.
    pub platforms: Box<[(Digest, Platform)]>,
    /// What was found under its name, if that is something else than it is.
    pub(crate) origin: Option<Box<Digest>>,
}

/// What became of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is there with all that it refers to.
    Done,
    /// Something of it could not be had; it got no name.
    Failed,
    /// The filter does not take it, or it waits for content that comes another time.
    Skipped,
}

/// Something that went wrong: what, and on which side.
#[derive(Debug)]
pub struct Failure {
    /// Where it went wrong.
    pub side: Side,
    /// What was being done.
    pub action: Action,
    /// What it was done to: a name, a reference or a digest.
    pub subject: String,
    /// What happened.
    pub error: Box<Error>,
    /// What an index lists that nobody brings, where it was the target that refused the index: many
    /// registries want all of it (rows A-13, F-25).
    pub absent: Vec<Digest>,
}

/// A side of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where content comes from.
    Source,
    /// Where content goes.
    Target,
}

/// What was being done when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Finding out what something is.
    Resolve,
    /// Listing what refers to a manifest.
    ListReferrers,
    /// Getting ready for what comes.
    Prepare,
    /// Looking whether something is there.
    Check,
    /// Moving content.
    Copy,
    /// Making everything visible at the end.
    Publish,
}

impl Deref for RootReport {
    type Target = FoundRoot;

    fn deref(&self) -> &FoundRoot {
        &self.found
    }
}

impl FoundRoot {
    /// Returns what was found under its name: something else than it is where one platform took the
    /// place of an index, or an index was written anew.
    pub fn origin(&self) -> Option<&Digest> {
        let own = || self.descriptor.as_ref().map(|descriptor| &descriptor.digest);
        self.origin.as_deref().or_else(own)
    }
}

impl RootReport {
    /// Tells whether it is an index that is taken for several platforms, and says which.
    pub fn offers_platforms(&self) -> bool {
        let is_index = |root: &Descriptor| Kind::of(&root.media_type) == Some(Kind::Index);
        self.subject.is_none()
            && self.outcome == Outcome::Done
            && !self.platforms.is_empty()
            && self.descriptor.as_ref().is_some_and(is_index)
    }

    /// Tells whether nothing is taken for a platform.
    pub fn lacks(&self, wanted: &Platform) -> bool {
        !self.platforms.iter().any(|(_, platform)| wanted.accepts(platform))
    }
}

impl Report {
    /// Tells whether every root that was wanted is there with all that it refers to, and nothing went wrong
    /// before: referrers that could not be listed are wanted too.
    pub fn is_complete(&self) -> bool {
        self.unplanned == 0
            && self.failures.is_empty()
            && self.roots.iter().all(|root| root.outcome != Outcome::Failed)
    }

    /// Counts what `earlier` moved for the same place, which this found there.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        let moved = earlier.moved.min(self.existed);
        self.existed -= moved;
        self.moved += moved;
        self.bytes += earlier.bytes;
        self
    }

    /// Adds what another run of the same plan came to, of which this is no part: a root is there if it is there in
    /// both.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        for (root, other) in self.roots.iter_mut().zip(&other.roots) {
            if other.outcome == Outcome::Failed {
                root.outcome = Outcome::Failed;
            }
        }
        if self.roots.is_empty() {
            self.roots = other.roots;
        }
        self.failures.extend(other.failures);
        self.moved += other.moved;
        self.existed += other.existed;
        self.bytes += other.bytes;
        self.unverified.extend(other.unverified);
        self.uncommitted |= other.uncommitted;
        self.unplanned = self.unplanned.max(other.unplanned);
        self.sort();
        self
    }

    /// Puts what several threads found into an order that does not depend on them.
    pub(crate) fn sort(&mut self) {
        self.failures.sort_by_cached_key(|failure| {
            (failure.subject.clone(), failure.action.to_string(), failure.error.to_string())
        });
        self.unverified.sort_unstable();
        self.unverified.dedup();
    }
}

impl Failure {
    /// Returns a failure of which nothing else is known.
    pub fn new(side: Side, action: Action, subject: String, error: Error) -> Self {
        Self { side, action, subject, error: Box::new(error), absent: Vec::new() }
    }
}

impl Failure {
    /// Tells whether a source does not give out some content, or gives out something else: no other run
    /// will find it otherwise, as it may where a host does not answer.
    pub fn is_of_content(&self) -> bool {
        self.side == Side::Source
            && matches!(self.action, Action::Check | Action::Copy)
            && !matches!(
                *self.error,
                Error::Cancelled | Error::Connection { .. } | Error::Throttled { .. }
            )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Most errors name the thing themselves, and those of a place name the place.
        let of_place = matches!(self.action, Action::Prepare | Action::Publish);
        if !of_place && !self.error.is_about(&self.subject) {
            write!(f, "{}: ", self.subject)?;
        }
        self.error.fmt(f)?;
        for (number, digest) in self.absent.iter().take(MOST_SHOWN).enumerate() {
            let before = if number == 0 { "; left out of it are" } else { "," };
            write!(f, "{before} {digest}")?;
        }
        match self.absent.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::ListReferrers => "list referrers",
            Self::Prepare => "prepare",
            Self::Check => "check",
            Self::Copy => "copy",
            Self::Publish => "publish",
        })
    }
}
