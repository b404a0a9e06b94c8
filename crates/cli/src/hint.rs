//! What to do about errors, as values: which advice there is depends on the error, and how much of it
//! is given on the command that is running, since not every command has every flag.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::sync::OnceLock;

use longshore_spec::{ManifestError, Size};
use longshore_store::{ConnectionFailure, Error, ErrorCode, Flaw, Inability, Refusal, Subject};
use longshore_sync::Action;

use crate::shell;

/// What Unix systems say of a disk that fails; the standard library has no name for it.
const EIO: i32 = 5;

/// Where content is had anew.
pub(crate) const AGAIN: &str = "fetch it again from its source";

/// What to do about a problem: one or several clauses, of which those are shown that the running command
/// can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint(Vec<Clause>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    text: Cow<'static, str>,
    who: Who,
}

/// For which commands a clause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    All,
    /// Those that have this flag.
    Having(&'static str),
    /// Those that do not have this flag.
    Lacking(&'static str),
    /// These.
    Only(&'static [&'static str]),
}

/// What is said about what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Advice {
    Do(Hint),
    /// Nothing, and why: for whoever reads and tests this.
    Nothing(&'static str),
}

/// A command that is running, or may.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    /// Its flags, without the dashes.
    flags: Vec<String>,
}

static RUNNING: OnceLock<Running> = OnceLock::new();

impl Running {
    /// Takes note of which command of the program this process runs.
    pub(crate) fn begin(mut program: clap::Command, name: &str) {
        // Only then flags of every command are in each.
        program.build();
        if let Some(command) = program.find_subcommand(name) {
            // There is one command in a process.
            let _ = RUNNING.set(Self::of(command));
        }
    }

    /// Returns what the command is called that this process runs.
    pub(crate) fn name() -> &'static str {
        RUNNING.get().map_or("", |running| &running.name)
    }

    fn of(command: &clap::Command) -> Self {
        let flags = command.get_arguments().filter_map(|arg| arg.get_long());
        Self { name: command.get_name().to_owned(), flags: flags.map(str::to_owned).collect() }
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|have| have == flag)
    }
}

impl Hint {
    /// Returns a hint that every command can follow.
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Clause { text: text.into(), who: Who::All }])
    }

    fn and(mut self, who: Who, text: &'static str) -> Self {
        self.0.push(Clause { text: text.into(), who });
        self
    }

    /// Returns a hint to which clauses are added that together fit every command.
    fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds what every command says.
    pub(crate) fn also(self, text: &'static str) -> Self {
        self.and(Who::All, text)
    }

    /// Adds what is said where the command has a flag, named without its dashes.
    fn having(self, flag: &'static str, text: &'static str) -> Self {
        self.and(Who::Having(flag), text)
    }

    /// Adds what is said where it does not.
    fn lacking(self, flag: &'static str, text: &'static str) -> Self {
        self.and(Who::Lacking(flag), text)
    }

    /// Returns the hint as the running command shows it.
    pub(crate) fn shown(&self) -> Option<String> {
        self.shown_by(RUNNING.get())
    }

    fn shown_by(&self, running: Option<&Running>) -> Option<String> {
        let fits = |clause: &&Clause| match (clause.who, running) {
            (Who::All, _) | (Who::Lacking(_), None) => true,
            (_, None) => false,
            (Who::Having(flag), Some(running)) => running.has(flag),
            (Who::Lacking(flag), Some(running)) => !running.has(flag),
            (Who::Only(names), Some(running)) => names.contains(&running.name.as_str()),
        };
        let texts: Vec<_> = self.0.iter().filter(fits).map(|clause| &*clause.text).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Hint {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Advice {
    /// Returns what to do, if there is anything.
    pub(crate) fn hint(self) -> Option<Hint> {
        match self {
            Self::Do(hint) => Some(hint),
            Self::Nothing(_) => None,
        }
    }
}

impl<T: Into<Hint>> From<T> for Advice {
    fn from(hint: T) -> Self {
        Self::Do(hint.into())
    }
}

/// Returns what to do about a registry that does not say what refers to artifacts: it may let nobody
/// list tags.
pub(crate) fn without_referrers() -> Hint {
    Hint::new("its signatures and SBOMs cannot be listed there")
        .and(Who::Only(&["export", "lock"]), "`--referrers none` leaves them out")
        .and(Who::Only(&["copy"]), "leave out --referrers to copy it without them")
}

/// Returns what to do about a registry that refuses an index of which entries were left out.
pub(crate) fn wants_all() -> Hint {
    Hint::new("the registry requires everything that a manifest refers to").having(
        "sparse-index",
        "if platforms of an index were left out, `--sparse-index strip` removes them from it",
    )
}

/// Returns what to do about an error that came up in `action`, if it is known in which.
pub(crate) fn advice(error: &Error, action: Option<Action>) -> Advice {
    match error {
        Error::Ambiguous { .. } => "give the full name or the digest".into(),
        Error::Busy { .. } => "wait until it is done, or stop it".into(),
        Error::Cancelled => "run the same command again, and it goes on from there".into(),
        Error::Conflict { .. } => "copy them to different names, one at a time".into(),
        Error::Connection { led_by: Some(registry), .. } => {
            format!("check the network; if that host is wrong, whoever runs {registry} can tell")
                .into()
        }
        Error::Connection { why, .. } => connection(why).into(),
        Error::Corrupt { .. } | Error::Size { .. } => {
            format!("this copy is damaged; {AGAIN}").into()
        }
        Error::Denied { .. } | Error::Refused { .. } if action == Some(Action::ListReferrers) => {
            without_referrers().into()
        }
        Error::Denied { action: "push", said, .. } if said.status == 403 => {
            Hint::new("the repository may have to be created first, or you may not push to it")
                .having("creds", "log in with `longshore login` or --creds")
                .into()
        }
        Error::Denied { .. } => Hint::none()
            .having(
                "creds",
                "log in with `longshore login` or --creds",
            )
            .lacking("creds", "log in with `longshore login`")
            .into(),
        Error::Exists { .. } => {
            Hint::new("choose another name").having("force", "--force replaces it").into()
        }
        Error::Io { source, .. } => io(source).into(),
        Error::LeadsOut { .. } => Hint::none()
            .having(
                "follow-links",
                "--follow-links follows such links; use it only if you trust whoever made the layout",
            )
            .lacking("follow-links", "this command only takes a layout whose links stay inside")
            .into(),
        Error::Limit { .. } => "this is more than any known tool produces; ask whoever made it".into(),
        Error::Malformed { reason, .. } => flaw(reason).into(),
        Error::Manifest { source: ManifestError::Schema1, .. } => {
            Advice::Nothing("the message says which program makes something else of it")
        }
        Error::Manifest { .. } => {
            "its digest is right, so it was created this way; whoever made it must fix it"
                .into()
        }
        Error::NoDirectory { directory, .. } => {
            format!("`mkdir -p {}` makes it; or choose another path", shell::word(directory)).into()
        }
        Error::NothingChosen { place, tags: 0, .. } => {
            {
            let place = shell::word(place);
            format!("check the name; `longshore list {place}` shows what is there").into()
        }
        }
        Error::NothingChosen { place, .. } => {
            {
            let place = shell::word(place);
            format!("change the rule; `longshore list {place}` shows all tags").into()
        }
        }
        Error::NoSpace { needed, available, .. } => {
            let missing = Size(needed.saturating_sub(*available));
            format!("free {missing}, or choose another disk").into()
        }
        Error::NotFound { what, said, .. } => not_found(what, said.as_deref()).into(),
        Error::Refused { action, said, .. } => refused(action, said),
        Error::Throttled { .. } => {
            Hint::new("wait, and run the same command again: it goes on where it stopped")
                .having("jobs", "--jobs asks for less at once")
                .into()
        }
        Error::Unsupported { what, .. } => inability(what),
        Error::Unverifiable { .. } => Hint::none()
            .having("allow-unverified", "--allow-unverified accepts it unverified")
            .lacking(
                "allow-unverified",
                "`longshore copy --allow-unverified` copies it unverified",
            )
            .into(),
    }
}

fn not_found(what: &Subject, said: Option<&Refusal>) -> Hint {
    let unknown = |code| said.is_some_and(|said| said.has(&code));
    match what {
        Subject::Digest(_) if said.is_none() => {
            Hint::new(format!("this copy is incomplete; {AGAIN}"))
        }
        Subject::Platforms(_) => Hint::new("choose one of those that are there")
            .having("platform", "without --platform, all of them are taken"),
        _ if unknown(ErrorCode::NameUnknown) => Hint::new(
            "check the path, and whether you may read it: many registries answer the same to both",
        ),
        Subject::Digest(_) => Hint::new(
            "check the digest; if something there refers to it, that is incomplete and must be pushed again",
        ),
        Subject::Name(_)
        | Subject::Tagged { .. }
        | Subject::Repository(_)
        | Subject::Registry(_)
        | Subject::Other(_) => Hint::new("`longshore list` shows what is there"),
    }
}

/// Returns what to do about a refusal that is neither for who asks nor for how much.
fn refused(action: &str, said: &Refusal) -> Advice {
    let lacks = |code| said.has(&code);
    let is_push = action == "push";
    match said.status {
        405 if is_push => {
            "it accepts no pushes: it may be read-only; `longshore serve --writable` accepts them".into()
        }
        _ if is_push && (lacks(ErrorCode::BlobUnknown) || lacks(ErrorCode::ManifestBlobUnknown)) => {
            wants_all().into()
        }
        _ if is_push
            && (said.status == 404
                || lacks(ErrorCode::NameUnknown)
                || lacks(ErrorCode::NameInvalid)) =>
        {
            "the repository may have to be created first: not every registry creates it on a push"
                .into()
        }
        413 => "the registry, or a proxy in front of it, accepts nothing this large; check its settings".into(),
        507 => "the registry has no space left; tell whoever runs it".into(),
        500..=599 => "the registry, or a proxy in front of it, failed; try again later, or ask whoever runs it".into(),
        _ => Advice::Nothing("only the registry's own words say what it did not like"),
    }
}

fn flaw(reason: &Flaw) -> Hint {
    match reason {
        Flaw::DockerArchive => {
            Hint::new("convert it with `skopeo copy docker-archive:FILE oci:DIR`")
        }
        Flaw::NotALayout | Flaw::NotEmpty => Hint::new(
            "give the directory that holds `oci-layout`, or an empty or new one to write to",
        ),
        Flaw::NoLayoutInside => Hint::new(
            "give an archive of an image layout; `longshore export` and `longshore copy` write them",
        ),
        Flaw::NotADirectory => Hint::new("write `oci-archive:FILE` if it is a tar file"),
        Flaw::Directory => Hint::new("a layout directory is given as `oci:DIR`"),
        Flaw::Pipe => {
            Hint::new("save it to a file first; `longshore import -` reads a bundle from stdin")
        }
        Flaw::Link { .. } => {
            Hint::new("remove the link: nothing is written or removed through links")
        }
        Flaw::NotOurs(_) => Hint::new("remove it, or choose another name"),
        Flaw::NotText => Hint::new(
            "give a text file; this looks like an archive, a device or the data of another program",
        ),
        Flaw::NotATar => Hint::new(
            "an archive is a tar file, plain or compressed with gzip or zstd; check the path",
        ),
        Flaw::Compressed { with } => Hint::new(format!(
            "unpack it first, with `{with} -dk FILE`; plain tar, gzip and zstd are read"
        )),
        Flaw::HardLink { .. } => Hint::new(
            "save the archive to a file, and give that by its name: `longshore import FILE DST`",
        ),
        Flaw::Trailing(_) => {
            Hint::new("copy the file again from its source, or remove what follows its end")
        }
        Flaw::Version { known, .. } => Hint::new(format!(
            "it has another version of the format; create it again with version {known}"
        )),
        Flaw::WebPage => {
            Hint::new("the host answers, but not as a registry does; check its name and port")
        }
        Flaw::NoIndex => Hint::new(format!("the layout is incomplete; {AGAIN}")),
        Flaw::CutOff(_) | Flaw::Empty => {
            Hint::new("the file is incomplete; copy it again from its source")
        }
        Flaw::Answer(_) => Hint::new(
            "the registry, or a proxy in front of it, violates the distribution spec; tell whoever runs it",
        ),
        Flaw::Unencrypted { .. } => {
            Hint::new("nothing is sent there without encryption; tell whoever runs the registry")
        }
        Flaw::Address(_) => {
            Hint::new("write a host, and its port if it has one, such as `registry.example:5000`")
        }
        Flaw::Authority(_) => Hint::none()
            .having("tls-ca", "--tls-ca expects a file of certificates in PEM")
            .lacking("tls-ca", "the file must hold certificates in PEM"),
        Flaw::Identity(_) => Hint::new("it must be a certificate and its key, in PEM"),
        Flaw::Credentials(_) => Hint::new("`longshore login` saves a name and password again"),
        Flaw::Proxy(_) => Hint::new("check the variables HTTPS_PROXY and http_proxy"),
        Flaw::Journal(_) => Hint::new(
            "without this file the layout is as in its index.json, and lacks what was pushed last; \
             move it away to go on so",
        ),
        Flaw::NotAFile => Hint::new("give the path of a file; `-` is stdout"),
        Flaw::Damaged(_) => Hint::new(format!("it is damaged, or was created wrongly; {AGAIN}")),
    }
}

fn inability(what: &Inability) -> Advice {
    const CALLER: &str = "no command asks a place for this: it would be a fault of the program";
    match what {
        Inability::NoFullReference => {
            "`longshore tag oci:DIR:NAME HOST/PATH:TAG` gives it one".into()
        }
        // Distribution 2.8 answers so to any tag.
        Inability::TagDelete { said } if said.status == 400 => {
            "`longshore delete HOST/REPOSITORY@DIGEST` deletes the manifest, with all its tags".into()
        }
        Inability::TagDelete { .. } | Inability::ManifestDelete { .. } => {
            "it may be read-only, or deleting is turned off in its settings".into()
        }
        Inability::NoRegistry { .. } => "check its name and port".into(),
        Inability::Catalog { .. } => {
            "many registries do not; `longshore list HOST/REPOSITORY` lists one repository".into()
        }
        Inability::NotATag(_) => {
            "a tag has letters, digits, `_`, `.` and `-`, and at most 128 of them".into()
        }
        Inability::ReferrersTag(_) => {
            "the registry has no referrers API, so referrers are listed under this tag; delete it, or choose another repository".into()
        }
        Inability::NoCredentials => Hint::new("there is no file for them")
            .having("authfile", "--authfile names one")
            .into(),
        Inability::Needed(_) => "delete the manifest that needs it first".into(),
        Inability::Elsewhere(_) => "change it in the layout that holds it".into(),
        Inability::ReadOnly
        | Inability::Unannounced(_)
        | Inability::ManifestsOnly(_)
        | Inability::Other(_) => Advice::Nothing(CALLER),
    }
}

fn connection(why: &ConnectionFailure) -> Hint {
    const INSECURE: &str = "--insecure trusts anybody who answers";
    match why {
        ConnectionFailure::OtherName { .. } => {
            Hint::new("use a host name that its certificate covers")
                .having("tls-ca", "--tls-ca does not help here")
                .having("insecure", INSECURE)
        }
        ConnectionFailure::Expired | ConnectionFailure::NotYetValid => {
            Hint::new("check the clock of this machine, and have the certificate renewed")
                .having("insecure", INSECURE)
        }
        ConnectionFailure::UnknownAuthority
        | ConnectionFailure::AuthorityItself
        | ConnectionFailure::BadCertificate(_) => Hint::none()
            .having("tls-ca", "trust its authority, or just this certificate, with --tls-ca FILE")
            .lacking("tls-ca", "use a certificate of an authority that is trusted here")
            .having("insecure", INSECURE),
        ConnectionFailure::NoTls => Hint::new("check its name and port").having(
            "plain-http",
            "--plain-http speaks without TLS, and so without proof of who answers",
        ),
        ConnectionFailure::SpeaksTls => {
            Hint::new("registries on this machine are spoken to without TLS unless it is asked for")
                .having("tls-ca", "--tls-ca FILE or --insecure asks for it")
        }
        ConnectionFailure::NoHttp => Hint::new("check its name and port").having(
            "tls-ca",
            "if it speaks TLS, --tls-ca FILE or --insecure use that on this machine too",
        ),
        ConnectionFailure::Handshake(_) => Hint::new(
            "it may require a client certificate or another TLS version; ask whoever runs it",
        ),
        ConnectionFailure::NoAddress(_) => Hint::new(
            "check its name, the network and the name server; a layout is written `oci:DIR` or `oci-archive:FILE`",
        ),
        ConnectionFailure::Refused { .. } => Hint::new(
            "check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`",
        ),
        ConnectionFailure::NoRoute
        | ConnectionFailure::ConnectTimeout
        | ConnectionFailure::Other(_) => Hint::new(
            "check its name, the network and the proxy; a layout is written `oci:DIR` or `oci-archive:FILE`",
        ),
        ConnectionFailure::NotPublic => Hint::new(
            "the artifact or the registry names a host on a private network; ask whoever made or runs it",
        ),
        ConnectionFailure::Silent(_) | ConnectionFailure::Slow | ConnectionFailure::Cut(_) => {
            Hint::new(
                "check the network and the proxy, and run the same command again: it goes on where it stopped",
            )
        }
    }
}

/// Returns what to do about what the operating system refused.
fn io(error: &io::Error) -> Hint {
    if error.raw_os_error() == Some(EIO) {
        return Hint::new("the disk or its connection is failing; check the system log");
    }
    Hint::new(match error.kind() {
        ErrorKind::NotFound => "check the path: it, or a directory in it, does not exist",
        ErrorKind::NotADirectory => "write `oci-archive:FILE` if it is a tar file",
        ErrorKind::PermissionDenied => "check the permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some room and run the same command again: it goes on where it stopped"
        }
        ErrorKind::FileTooLarge => {
            "no file can be that large there: FAT32 ends at 4 GiB, exFAT and ext4 do not; a directory, `oci:DIR`, has a file for each blob"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "the disk cannot be written to; choose another, or mount it writable"
        }
        ErrorKind::BrokenPipe => "the reader went away",
        _ => "check the path",
    })
}

#[cfg(test)]
mod tests;
