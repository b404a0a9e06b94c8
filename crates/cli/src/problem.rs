//! What ends a command early, and the code it ends with.

use std::process::ExitCode;

use longshore_store::Error;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// Some content failed; it was named.
    Failed = 1,
    /// It was asked for wrongly, or what it needs is not as it must be.
    Usage = 2,
    /// `verify` found a difference.
    Difference = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not be carried out, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Whether it lies in content that is not what it should be.
    pub(crate) is_damage: bool,
}

impl Problem {
    /// Returns a problem without a hint.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, is_damage: false }
    }

    /// Returns the problem that an error of a place is, with what to do about it.
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    pub(crate) fn of(error: Error) -> Self {
        let mut problem = Self::new(Exit::Usage, error.to_string());
        problem.is_damage = error.is_corruption() || matches!(error, Error::Malformed { .. });
        match hint(&error) {
            Some(text) => problem.hint(text),
            None => problem,
        }
    }

    /// Returns the problem with what to do about it.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Returns the problem with another exit code.
    pub(crate) fn because(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

/// Returns what to do about an error.
pub(crate) fn hint(error: &Error) -> Option<String> {
    use std::io::ErrorKind;
    Some(match error {
        Error::Ambiguous { .. } => "give the full name or the digest".to_owned(),
        Error::Busy { .. } => "wait until it is done, or stop it".to_owned(),
        Error::Conflict { .. } => "copy them to different names, one at a time".to_owned(),
        Error::Corrupt { .. } | Error::Size { .. } => {
            "the copy that was read is damaged; get it again from where it came".to_owned()
        }
        Error::Exists { .. } => "choose another name, or replace it with --force".to_owned(),
        Error::NoSpace { needed, available, .. } => {
            format!(
                "free {}, or choose another disk",
                crate::human::size(needed.saturating_sub(*available))
            )
        }
        Error::Unverifiable { .. } => "--allow-unverified takes it without proof".to_owned(),
        Error::Malformed { reason, .. } if reason.contains("cut off") => {
            "the file is incomplete; copy it again from where it came".to_owned()
        }
        Error::Malformed { reason, .. } if reason.contains("Docker archive") => {
            "`skopeo copy docker-archive:FILE oci:DIR` makes a layout of it".to_owned()
        }
        Error::Malformed { reason, .. } if reason.contains("not an image layout") => {
            "give the directory that holds `oci-layout`, or an empty or new one to write to"
                .to_owned()
        }
        Error::Io { source, .. } => match source.kind() {
            ErrorKind::NotFound => "check the path".to_owned(),
            ErrorKind::PermissionDenied => "check who may read and write there".to_owned(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "free some room and run the same command again: it goes on where it stopped"
                    .to_owned()
            }
            ErrorKind::ReadOnlyFilesystem => {
                "the disk cannot be written to; choose another, or mount it writable".to_owned()
            }
            _ => return None,
        },
        _ => return None,
    })
}
