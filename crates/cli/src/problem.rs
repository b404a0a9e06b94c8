//! What ends a command early, and the code it ends with.

use std::io::ErrorKind;
use std::process::ExitCode;

use longshore_spec::{Digest, ManifestError};
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
        problem.is_damage = match &error {
            Error::Malformed { .. } | Error::LeadsOut { .. } => true,
            Error::Io { what, source, .. } => {
                source.kind() == ErrorKind::NotFound && is_of_layout(what)
            }
            error => error.is_corruption(),
        };
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

/// What to do where a registry does not say what refers to artifacts: it may let nobody list tags.
pub(crate) const WITHOUT_REFERRERS: &str = "whether signatures and SBOMs refer to it cannot be known there; `--referrers none` takes it without, and so does `copy` without --referrers";

/// What to do about a registry that refuses an index of which entries were left out.
pub(crate) const WANTS_ALL: &str = "it wants all that a manifest refers to; where images of an index were left out, --sparse-index strip writes it anew without them";

/// What Unix systems say of a disk that fails; the standard library has no name for it.
const EIO: i32 = 5;

/// Returns what to do about an error.
pub(crate) fn hint(error: &Error) -> Option<String> {
    const AGAIN: &str = "get it again from where it came";
    Some(match error {
        Error::Ambiguous { .. } => "give the full name or the digest".to_owned(),
        Error::Busy { .. } => "wait until it is done, or stop it".to_owned(),
        Error::Conflict { .. } => "copy them to different names, one at a time".to_owned(),
        Error::Corrupt { .. } | Error::Size { .. } => {
            format!("the copy that was read is damaged; {AGAIN}")
        }
        Error::Exists { .. } => "choose another name, or replace it with --force".to_owned(),
        Error::NoSpace { needed, available, .. } => {
            format!(
                "free {}, or choose another disk",
                longshore_spec::Size(needed.saturating_sub(*available))
            )
        }
        Error::NotFound { what, .. } if what.parse::<Digest>().is_ok() => {
            format!("the copy that was read is not complete; {AGAIN}")
        }
        Error::NotFound { what, .. } if what.starts_with("the platform") => {
            "choose one of these, or leave --platform away".to_owned()
        }
        Error::NotFound { .. } => "`longshore list` shows what is there".to_owned(),
        Error::LeadsOut { .. } => {
            "--follow-links reads what such links lead to, if you trust whoever made the layout"
                .to_owned()
        }
        Error::Limit { .. } => {
            "nothing that is in use is like this; ask whoever made it".to_owned()
        }
        Error::Unverifiable { .. } => "--allow-unverified takes it without proof".to_owned(),
        Error::Manifest { source: ManifestError::Schema1, .. } => return None, // says it itself
        Error::Manifest { .. } => {
            "its digest is right, so it was made like this: whoever made it has to make it again"
                .to_owned()
        }
        Error::Malformed { reason, .. } => return malformed_hint(reason),
        Error::Denied { .. } => {
            "give a name and password that it knows, with `longshore login` or --creds".to_owned()
        }
        Error::Refused { reason, .. } if reason.contains("HTTPS server") => {
            "it speaks TLS; --tls-ca FILE or --insecure has that spoken on this machine too"
                .to_owned()
        }
        Error::Refused { action: "push", reason, .. } if reason.starts_with("405") => {
            "it takes no pushes: it may be read-only, as `longshore serve` is without --writable"
                .to_owned()
        }
        Error::Refused { action: "push", reason, .. } if reason.contains("BLOB_UNKNOWN") => {
            WANTS_ALL.to_owned()
        }
        Error::Throttled { .. } => {
            "wait, or ask for less at once with --jobs; the same command goes on".to_owned()
        }
        Error::Unsupported { what, .. } => return unsupported_hint(what).map(ToOwned::to_owned),
        Error::Io { action: "reach", source, .. } => reach_hint(&source.to_string()).to_owned(),
        Error::Io { source, .. } if source.raw_os_error() == Some(EIO) => {
            "the disk, or what it is reached by, is failing; look into the system's log".to_owned()
        }
        Error::Io { source, what, .. } => io_hint(source.kind(), what),
        _ => return None,
    })
}

/// Returns what to do about a file that is not in the form it must have.
fn malformed_hint(reason: &str) -> Option<String> {
    let has = |words| reason.contains(words);
    let hint = if has("Docker archive") {
        "`skopeo copy docker-archive:FILE oci:DIR` makes a layout of it"
    } else if has("not an image layout") {
        "give the directory that holds `oci-layout`, or an empty or new one to write to"
    } else if has("it is not a directory") {
        "write `oci-archive:FILE` if it is a tar file"
    } else if has("it is a directory") {
        return None; // says it itself
    } else if has("so nothing is written to it") {
        "remove it, or choose another name"
    } else if has("no link is followed here") {
        "remove the link: what is written or removed lies behind none"
    } else if has("it is a pipe") {
        "save it to a file first; `longshore import -` reads a bundle from stdin"
    } else if has("not a tar archive") {
        "an archive is a tar file, plain or compressed with gzip or zstd; check the path"
    } else if has("version") && has("not supported") {
        "it was made for another version of the format; have it made for 1.0.0"
    } else if has("web page") {
        "the host answers, but not as a registry does; check its name and port"
    } else if has("cut off") {
        "the file is incomplete; copy it again from where it came"
    } else {
        "it is damaged, or what made it is at fault; get it again from where it came"
    };
    Some(hint.to_owned())
}

/// Returns what to do about what a place cannot do.
fn unsupported_hint(what: &str) -> Option<&'static str> {
    let has = |words| what.contains(words);
    if has("no full reference") {
        Some("`longshore tag oci:DIR:NAME HOST/PATH:TAG` gives it one")
    } else if has("only the digest behind it") {
        Some("`longshore delete HOST/REPOSITORY@DIGEST` does that")
    } else if has("cannot take away tags") || has("cannot take manifests away") {
        Some("it may be read-only, or deleting is turned off in its settings")
    } else if has("is no registry") {
        Some("check its name and port")
    } else {
        None
    }
}

/// Returns what to do about a registry that does not answer.
fn reach_hint(said: &str) -> &'static str {
    let has = |word| said.contains(word);
    if has("its certificate is for") {
        "reach it by a name that its certificate has; --insecure trusts anybody who answers, and --tls-ca does not help here"
    } else if has("has expired") || has("not valid yet") {
        "check the clock of this machine, and have the certificate renewed; --insecure trusts anybody who answers"
    } else if has("certificate") {
        "trust its authority, or just this certificate, with --tls-ca FILE; --insecure trusts anybody who answers"
    } else if has("InvalidContentType") || has("corrupt message") {
        "it speaks no TLS; --plain-http does without, and so without proof of who answers"
    } else {
        "check its name, the network and the proxy; a layout is written `oci:DIR` or `oci-archive:FILE`"
    }
}

/// Returns what to do about what the operating system refused.
fn io_hint(kind: ErrorKind, what: &str) -> String {
    match kind {
        ErrorKind::NotFound if is_of_layout(what) => {
            "the layout is not complete; get it again from where it came"
        }
        ErrorKind::NotFound => "check the path: it, or a directory in it, is not there",
        ErrorKind::NotADirectory => "write `oci-archive:FILE` if it is a tar file",
        ErrorKind::PermissionDenied => "check who may read and write there",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some room and run the same command again: it goes on where it stopped"
        }
        ErrorKind::FileTooLarge => {
            "no file can be that large there: FAT32 ends at 4 GiB, exFAT and ext4 do not; a directory, `oci:DIR`, has a file for each blob"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "the disk cannot be written to; choose another, or mount it writable"
        }
        ErrorKind::BrokenPipe => "whoever was to read it went away",
        _ => "check the path",
    }
    .to_owned()
}

/// Tells whether a path is that of a file that every layout has.
fn is_of_layout(path: &str) -> bool {
    path.ends_with("/index.json")
}
