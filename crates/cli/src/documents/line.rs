//! What is told line by line on stderr, for programs.

use schemars::JsonSchema;
use serde::Serialize;

use super::Failed;

/// What `--progress json` prints on stderr, one a line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum ProgressEvent {
    /// Work begins.
    Begun {
        /// `copying`, `exporting`, `comparing`, `importing`, `mirroring`, `receiving` or `verifying`.
        action: &'static str,
        /// How much there is to do, as far as that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        /// How many artifacts are to come, referrers among them.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_artifacts: Option<u64>,
    },
    /// Content begins to move.
    Moving {
        /// The artifact, or one of several, whose content begins to move.
        #[serde(skip_serializing_if = "Option::is_none")]
        artifact: Option<String>,
        /// That content.
        digest: String,
        /// Its size.
        size: u64,
    },
    /// So much is done.
    Progress {
        /// How much is done; about once a second.
        bytes: u64,
        /// How much there is to do, as far as that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<u64>,
        /// How many artifacts are there.
        #[serde(skip_serializing_if = "Option::is_none")]
        artifacts: Option<u64>,
        /// The mean speed so far.
        bytes_per_second: u64,
    },
    /// An artifact is there.
    Artifact {
        /// What an artifact is called that is there now.
        names: Vec<String>,
        /// What it is.
        digest: String,
    },
    /// Something went wrong; the rest goes on.
    Failed(Failed),
    /// Work has ended.
    Finished {
        /// How much was done.
        bytes: u64,
        /// How many artifacts are there.
        #[serde(skip_serializing_if = "Option::is_none")]
        artifacts: Option<u64>,
        /// How long it took.
        seconds: f64,
        /// The mean speed.
        bytes_per_second: u64,
    },
}

/// A request that is over, as `serve --access-log` tells of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestLine<'a> {
    /// When it began, in UTC, as RFC 3339 has it.
    pub(crate) time: String,
    /// Address and port of the client.
    pub(crate) client: String,
    /// The name that came with a right password.
    pub(crate) user: Option<&'a str>,
    /// What was asked for, as `target`.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The status of the answer; null if the client went away before there was one.
    pub(crate) status: Option<u16>,
    /// Bytes of the request's body.
    pub(crate) received: u64,
    /// Bytes of the answer's body.
    pub(crate) sent: u64,
    /// Whether that is all of the answer.
    pub(crate) whole: bool,
    /// How long it took, to the last byte.
    pub(crate) millis: u64,
    /// What the client calls itself.
    pub(crate) user_agent: Option<&'a str>,
}
