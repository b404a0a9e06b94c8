//! What ends a command early, and the code it ends with.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use longshore_spec::ManifestError;
use longshore_store::{ConnectionFailure, Error, ErrorCode, Flaw, Inability, Refusal, Subject};

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
            Error::Malformed { .. } => true,
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
    Some(match error {
        Error::Ambiguous { .. } => "give the full name or the digest".to_owned(),
        Error::Busy { .. } => "wait until it is done, or stop it".to_owned(),
        Error::Conflict { .. } => "copy them to different names, one at a time".to_owned(),
        Error::Connection { why, .. } => connection_hint(why).to_owned(),
        Error::Corrupt { .. } | Error::Size { .. } => {
            format!("the copy that was read is damaged; {AGAIN}")
        }
        Error::Denied { .. } => {
            "give a name and password that it knows, with `longshore login` or --creds".to_owned()
        }
        Error::Exists { .. } => "choose another name, or replace it with --force".to_owned(),
        Error::Io { source, .. } => io_hint(source).to_owned(),
        Error::Limit { .. } => {
            "nothing that is in use is like this; ask whoever made it".to_owned()
        }
        Error::Malformed { reason, .. } => malformed_hint(reason).to_owned(),
        Error::Manifest { source: ManifestError::Schema1, .. } => return None, // says it itself
        Error::Manifest { .. } => {
            "its digest is right, so it was made like this: whoever made it has to make it again"
                .to_owned()
        }
        Error::NoSpace { needed, available, .. } => {
            format!(
                "free {}, or choose another disk",
                longshore_spec::Size(needed.saturating_sub(*available))
            )
        }
        Error::NotFound { what: Subject::Digest(_), said: None, .. } => {
            format!("the copy that was read is not complete; {AGAIN}")
        }
        Error::NotFound { what: Subject::Platforms(_), .. } => {
            "choose one of these, or leave --platform away".to_owned()
        }
        Error::NotFound { .. } => "`longshore list` shows what is there".to_owned(),
        Error::Refused { action, said, .. } => return refused_hint(action, said),
        Error::Throttled { .. } => {
            "wait, or ask for less at once with --jobs; the same command goes on".to_owned()
        }
        Error::Unsupported { what, .. } => return unsupported_hint(what).map(ToOwned::to_owned),
        Error::Unverifiable { .. } => "--allow-unverified takes it without proof".to_owned(),
    })
}

const AGAIN: &str = "get it again from where it came";

/// Returns what to do about a refusal of a registry that is neither for who asks nor for how much.
fn refused_hint(action: &str, said: &Refusal) -> Option<String> {
    let wants_all = said.has(&ErrorCode::BlobUnknown) || said.has(&ErrorCode::ManifestBlobUnknown);
    if said.status == 405 && action == "push" {
        Some(
            "it takes no pushes: it may be read-only, as `longshore serve` is without --writable"
                .to_owned(),
        )
    } else if wants_all && action == "push" {
        Some(WANTS_ALL.to_owned())
    } else {
        None
    }
}

/// Returns what to do about something that is not in the form it must have.
fn malformed_hint(reason: &Flaw) -> &'static str {
    match reason {
        Flaw::DockerArchive => "`skopeo copy docker-archive:FILE oci:DIR` makes a layout of it",
        Flaw::NotALayout | Flaw::NotEmpty | Flaw::NoLayoutInside => {
            "give the directory that holds `oci-layout`, or an empty or new one to write to"
        }
        Flaw::NotADirectory => "write `oci-archive:FILE` if it is a tar file",
        Flaw::Directory => "a layout directory is given as `oci:DIR`",
        Flaw::Pipe => "save it to a file first; `longshore import -` reads a bundle from stdin",
        Flaw::NotATar => {
            "an archive is a tar file, plain or compressed with gzip or zstd; check the path"
        }
        Flaw::Version { .. } => {
            "it was made for another version of the format; have it made for 1.0.0"
        }
        Flaw::WebPage => "the host answers, but not as a registry does; check its name and port",
        Flaw::NoIndex => "the layout is not complete; get it again from where it came",
        Flaw::CutOff(_) | Flaw::Empty => "the file is incomplete; copy it again from where it came",
        Flaw::Answer(_) | Flaw::Unencrypted { .. } => {
            "the registry, or a proxy before it, does not do what the spec says; tell whoever runs it"
        }
        Flaw::Address(_) => "a registry is given by its host, and its port if it has one",
        Flaw::Authority(_) => "--tls-ca takes files of certificates in PEM",
        Flaw::Identity(_) => "it takes a certificate and its key, in PEM",
        Flaw::Credentials(_) => "`longshore login` keeps a name and password anew",
        Flaw::Proxy(_) => "check HTTPS_PROXY and http_proxy",
        Flaw::NotAFile | Flaw::Damaged(_) => {
            "it is damaged, or what made it is at fault; get it again from where it came"
        }
    }
}

/// Returns what to do about what a place cannot do.
fn unsupported_hint(what: &Inability) -> Option<&'static str> {
    match what {
        Inability::NoFullReference => {
            Some("`longshore tag oci:DIR:NAME HOST/PATH:TAG` gives it one")
        }
        Inability::TagDelete { said } if said.status == 400 => Some(
            "`longshore delete HOST/REPOSITORY@DIGEST` deletes the manifest, with all its tags",
        ),
        Inability::TagDelete { .. } | Inability::ManifestDelete { .. } => {
            Some("it may be read-only, or deleting is turned off in its settings")
        }
        Inability::NoRegistry { .. } => Some("check its name and port"),
        Inability::ReadOnly
        | Inability::WriteOnly
        | Inability::Archive
        | Inability::Unannounced(_)
        | Inability::Catalog { .. }
        | Inability::NotATag(_)
        | Inability::ReferrersTag(_)
        | Inability::Needed(_)
        | Inability::Elsewhere(_)
        | Inability::NoCredentials
        | Inability::Uploads
        | Inability::Adoption(_)
        | Inability::Removal(_)
        | Inability::ManifestsOnly(_)
        | Inability::Other(_) => None,
    }
}

/// Returns what to do about a host that does not answer.
fn connection_hint(why: &ConnectionFailure) -> &'static str {
    match why {
        ConnectionFailure::OtherName { .. } => {
            "reach it by a name that its certificate has; --insecure trusts anybody who answers, and --tls-ca does not help here"
        }
        ConnectionFailure::Expired | ConnectionFailure::NotYetValid => {
            "check the clock of this machine, and have the certificate renewed; --insecure trusts anybody who answers"
        }
        ConnectionFailure::UnknownAuthority
        | ConnectionFailure::AuthorityItself
        | ConnectionFailure::BadCertificate(_) => {
            "trust its authority, or just this certificate, with --tls-ca FILE; --insecure trusts anybody who answers"
        }
        ConnectionFailure::NoTls => {
            "it speaks no TLS; --plain-http does without, and so without proof of who answers"
        }
        ConnectionFailure::SpeaksTls => {
            "--tls-ca FILE or --insecure has TLS spoken on this machine too"
        }
        ConnectionFailure::Handshake(_)
        | ConnectionFailure::NoHttp
        | ConnectionFailure::NoAddress(_)
        | ConnectionFailure::Refused
        | ConnectionFailure::NoRoute
        | ConnectionFailure::ConnectTimeout
        | ConnectionFailure::Silent(_)
        | ConnectionFailure::Cut(_)
        | ConnectionFailure::Other(_) => {
            "check its name, the network and the proxy; a layout is written `oci:DIR` or `oci-archive:FILE`"
        }
    }
}

/// Returns what to do about what the operating system refused.
fn io_hint(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(EIO) {
        return "the disk, or what it is reached by, is failing; look into the system's log";
    }
    match error.kind() {
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
}
