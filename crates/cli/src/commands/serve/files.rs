//! The files that a server reads again when they change.

use std::path::PathBuf;

use longshore_registry::front::{Certificate, CertificateError, Passwords, Server};

use crate::args::Serve;
use crate::input;
use crate::output::Output;
use crate::problem::{Exit, Problem};

const TLS_HINT: &str =
    "--tls-cert expects certificates in PEM, the server's own first; --tls-key its key";

const HTPASSWD_HINT: &str = "--htpasswd expects a file that `htpasswd -B` writes";

/// The files of a server, as they were read last.
#[derive(Debug, Default)]
pub(super) struct Files {
    tls: Option<Watched>,
    htpasswd: Option<Watched>,
}

/// Files that are read together, and what was in them. A change counts when it has been seen twice:
/// certificate and key are rarely replaced at once, and some editors write in place.
struct Watched {
    paths: Vec<PathBuf>,
    used: Contents,
    seen: Contents,
}

type Contents = Result<Vec<Vec<u8>>, String>;

impl Files {
    /// Reads all files that are named; fails if any is not as it must be.
    pub(super) fn read(
        args: &Serve,
        output: &Output,
    ) -> Result<(Self, Option<Certificate>, Option<Passwords>), Problem> {
        let mut files = Self::default();
        let (mut shown, mut asked) = (None, None);
        if let (Some(chain), Some(key)) = (&args.tls_cert, &args.tls_key) {
            let watched = Watched::read(&[chain, key]);
            let problem = |text| Problem::new(Exit::Usage, text).hint(TLS_HINT);
            shown = Some(watched.certificate().map_err(problem)?);
            files.tls = Some(watched);
        }
        if let Some(path) = &args.htpasswd {
            let watched = Watched::read(&[path]);
            let passwords = watched
                .passwords(output)
                .map_err(|text| Problem::new(Exit::Usage, text).hint(HTPASSWD_HINT))?;
            if passwords.is_empty() {
                let text = format!(
                    "{} holds no name and bcrypt hash, so nobody could log in",
                    path.display()
                );
                let hint =
                    format!("`htpasswd -B {} NAME` adds a name and password", path.display());
                return Err(Problem::new(Exit::Usage, text).hint(hint));
            }
            asked = Some(passwords);
            files.htpasswd = Some(watched);
        }
        Ok((files, shown, asked))
    }

    /// Uses what has changed and changes no more.
    pub(super) fn look(&mut self, server: &Server, output: &Output) {
        self.take_up(server, output, Watched::has_settled);
    }

    /// Uses what is there now.
    pub(super) fn reload(&mut self, server: &Server, output: &Output) {
        self.take_up(server, output, Watched::has_changed);
    }

    fn take_up(&mut self, server: &Server, output: &Output, is_due: fn(&mut Watched) -> bool) {
        let kept = |text: String| output.warning(&format!("{text}; the previous one stays in use"));
        if let Some(tls) = &mut self.tls
            && is_due(tls)
        {
            match tls.certificate() {
                Ok(certificate) => {
                    server.set_certificate(certificate);
                    output.note(&format!("{} was reloaded", tls.paths[0].display()));
                }
                Err(text) => kept(text),
            }
        }
        if let Some(htpasswd) = &mut self.htpasswd
            && is_due(htpasswd)
        {
            match htpasswd.passwords(output) {
                Ok(passwords) => {
                    // An empty file is what somebody wants who locks everybody out.
                    server.set_passwords(passwords);
                    output.note(&format!("{} was reloaded", htpasswd.paths[0].display()));
                }
                Err(text) => kept(text),
            }
        }
    }
}

impl Watched {
    fn read(paths: &[&PathBuf]) -> Self {
        let paths: Vec<_> = paths.iter().map(|path| (*path).clone()).collect();
        let used = contents(&paths);
        Self { seen: used.clone(), used, paths }
    }

    /// Tells whether the files are different from what is used, and as they were the last time.
    fn has_settled(&mut self) -> bool {
        let now = contents(&self.paths);
        let is_due = now != self.used && now == self.seen;
        if is_due {
            self.used.clone_from(&now);
        }
        self.seen = now;
        is_due
    }

    /// Tells whether the files are different from what is used.
    fn has_changed(&mut self) -> bool {
        self.seen = contents(&self.paths);
        let is_due = self.seen != self.used;
        self.used.clone_from(&self.seen);
        is_due
    }

    fn certificate(&self) -> Result<Certificate, String> {
        let contents = self.used.clone()?;
        let [chain, key] = &self.paths[..] else { unreachable!("there are two") };
        Certificate::from_pem(&contents[0], &contents[1]).map_err(|error| match error {
            CertificateError::Certificate(reason) => {
                format!("{} is not a file of certificates in PEM: {reason}", chain.display())
            }
            CertificateError::Key(reason) => {
                format!("{} is not a key in PEM: {reason}", key.display())
            }
            CertificateError::Pair(reason) => {
                let (chain, key) = (chain.display(), key.display());
                format!("{chain} and {key} do not match: {reason}")
            }
        })
    }

    fn passwords(&self, output: &Output) -> Result<Passwords, String> {
        let contents = self.used.clone()?;
        let path = self.paths[0].display();
        let text = std::str::from_utf8(&contents[0]).map_err(|_| format!("{path} is not text"))?;
        let (passwords, refused) = Passwords::parse(text);
        for refused in refused {
            output.warning(&format!(
                "{path}:{}: {}; the line is skipped",
                refused.line, refused.reason
            ));
        }
        Ok(passwords)
    }
}

fn contents(paths: &[PathBuf]) -> Contents {
    let read = |path: &PathBuf| input::bytes(path, input::MAX_TRUST);
    paths.iter().map(|path| read(path).map_err(|error| error.to_string())).collect()
}

impl std::fmt::Debug for Watched {
    /// Shows nothing of what is in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watched").field(&self.paths).finish()
    }
}
