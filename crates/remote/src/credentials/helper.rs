//! Helper programs that store credentials: `docker-credential-NAME`.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use longshore_store::{Error, Flaw, Result};
use serde::Deserialize;
use serde_json::json;

use super::Credential;
use crate::Secret;
use crate::text::one_line;

/// An answer of more bytes is refused.
const MOST_BYTES: u64 = 1 << 20;

/// How often to check whether a helper that has closed its output has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How long to wait for the stderr of a helper that has ended.
const COMPLAINT: Duration = Duration::from_millis(200);

/// The name that helpers give to an identity token.
const TOKEN_USER: &str = "<token>";

/// What helpers print when they have nothing. Their protocol has no code for it, only these words.
const NOT_FOUND: &str = "credentials not found";

/// One helper program.
pub(super) struct Helper<'a> {
    name: &'a str,
    /// The directory of the program, if `PATH` is not searched.
    directory: Option<&'a Path>,
    timeout: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl<'a> Helper<'a> {
    /// Returns the helper `name`. It is not run.
    pub(super) fn new(
        name: &'a str,
        directory: Option<&'a Path>,
        timeout: Duration,
    ) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            let reason = "it is no name of a program".to_owned();
            let what = format!("the helper `{name}`");
            return Err(Error::malformed(what, Flaw::Credentials(reason)));
        }
        Ok(Self { name, directory, timeout })
    }

    /// Returns the credential that the helper has. A helper that fails has none: there is no code for
    /// that, and many helpers say it in words of their own, which the user gets to see.
    pub(super) fn get(&self, key: &str) -> Result<Option<Credential>> {
        let ended = self.run("get", key.as_bytes())?;
        if !ended.success {
            if !ended.has_nothing() {
                let (program, words) = (self.program(), ended.words());
                tracing::warn!(
                    "{program} has nothing for {key}, which is asked as nobody: {words}"
                );
            }
            return Ok(None);
        }
        // The answer holds a secret, so the error does not quote it.
        let reply: Reply = serde_json::from_slice(&ended.stdout)
            .map_err(|_| self.failed("it did not answer in JSON".to_owned()))?;
        let password = Secret::new(reply.secret);
        Ok(match reply.username {
            _ if password.expose().is_empty() => None,
            name if name == TOKEN_USER => Some(Credential::Identity(password)),
            username => Some(Credential::Password { username, password }),
        })
    }

    pub(super) fn store(&self, key: &str, credential: &Credential) -> Result<()> {
        let (username, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::Identity(token) | Credential::Token(token) => (TOKEN_USER, token),
        };
        let text = json!({"ServerURL": key, "Username": username, "Secret": secret.expose()});
        let ended = self.run("store", text.to_string().as_bytes())?;
        if ended.success { Ok(()) } else { Err(self.failed(ended.words())) }
    }

    /// Makes the helper remove a credential. Returns whether it had it.
    pub(super) fn erase(&self, key: &str) -> Result<bool> {
        let ended = self.run("erase", key.as_bytes())?;
        if ended.success || ended.has_nothing() {
            Ok(ended.success)
        } else {
            Err(self.failed(ended.words()))
        }
    }

    /// Runs the helper until it ends.
    fn run(&self, verb: &str, input: &[u8]) -> Result<Ended> {
        let program = self.program();
        let path = self.directory.map_or_else(|| program.clone().into(), |dir| dir.join(&program));
        let failed = |error| Error::Io { action: "run", what: program.clone(), source: error };
        let mut child = Command::new(path)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let end = Instant::now() + self.timeout;
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // A helper that needs no input may have ended already; its output decides.
            thread::spawn(move || stdin.write_all(&input));
        }
        let (stdout, stderr) = (listen(child.stdout.take()), listen(child.stderr.take()));
        let ended = match stdout.recv_timeout(self.timeout) {
            Ok(said) => ended_by(&mut child, end).map(|status| status.map(|of| (of, said))),
            Err(_) => Ok(None),
        };
        let Some((status, said)) = ended.map_err(failed)? else {
            // It may have ended just now.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(io::ErrorKind::TimedOut.into()));
        };
        // A process that the helper left running may hold this pipe open. It is not waited for.
        let complaint = stderr.recv_timeout(COMPLAINT).unwrap_or_else(|_| Ok(Vec::new()));
        let stderr = complaint.unwrap_or_default();
        Ok(Ended { success: status.success(), stdout: said.map_err(failed)?, stderr })
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn failed(&self, reason: String) -> Error {
        Error::malformed(format!("what {} said", self.program()), Flaw::Credentials(reason))
    }
}

/// A helper program that has ended.
struct Ended {
    success: bool,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    /// Tells whether a helper that failed said in the usual words that it has nothing.
    fn has_nothing(&self) -> bool {
        [&self.stdout, &self.stderr]
            .into_iter()
            .any(|said| String::from_utf8_lossy(said).contains(NOT_FOUND))
    }

    /// Returns the message of a helper that failed, from either output.
    fn words(&self) -> String {
        let each =
            [&self.stdout, &self.stderr].map(|said| one_line(&String::from_utf8_lossy(said)));
        let said: Vec<_> = each.into_iter().filter(|words| !words.is_empty()).collect();
        if said.is_empty() { "it failed without a word".to_owned() } else { said.join("; ") }
    }
}

/// Reads the output of a program, up to a bound.
fn listen(pipe: Option<impl io::Read + Send + 'static>) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = pipe {
        thread::spawn(move || {
            let mut said = Vec::new();
            let result = pipe.take(MOST_BYTES).read_to_end(&mut said);
            // After the time is over nobody receives it.
            let _ = sender.send(result.map(|_| said));
        });
    }
    receiver
}

/// Waits for a program, which may go on after it has closed its stdout. Returns `None` if it has not
/// ended in time.
fn ended_by(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status);
        }
        thread::sleep(LOOK);
    }
}
