//! Registries that run for as long as a check or demonstration needs them.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use longshore_spec::MediaType;
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde_json::{Deserializer, Value};

use crate::run::shown;

/// Where a server listens that is to find a free port.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// How long a server may take to listen, and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a registry shows of itself, and whom it answers: files.
pub struct Guard {
    /// The certificate that it shows, in PEM.
    pub certificate: PathBuf,
    /// The key of that.
    pub key: PathBuf,
    /// As `htpasswd` writes it.
    pub passwords: PathBuf,
}

/// A registry in a process of its own, which ends with this.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `longshore serve … --json`; what it complains of goes to the file `log`.
    pub fn ours(command: &mut Command, log: &Path) -> Result<Self> {
        let mut server = Self::spawn(command.stdout(Stdio::piped()), log)?;
        // The pipe stays open: who writes to one without a reader fails.
        let stdout = server.child.stdout.as_mut().context("no pipe")?;
        // It prints one document when it listens, and nothing when it does not come to that.
        let said = Deserializer::from_reader(stdout).into_iter::<Value>().next();
        let address = match said {
            Some(Ok(document)) => document["address"].as_str().map(str::to_owned),
            _ => None,
        };
        server.address = address.with_context(|| silent(command, log))?;
        Ok(server)
    }

    /// Starts Debian's `docker-registry` at an address, with its content and log in `directory`.
    pub fn distribution(directory: &Path, listen: &str, deletes: bool) -> Result<Self> {
        let program = Path::new("docker-registry");
        let deletes = format!("{{enabled: {deletes}}}");
        Self::docker_registry(program, directory, &deletes, &format!("addr: {listen:?}"), "")
    }

    /// Starts version 3 of it, which lies at `program`, at any port.
    pub fn distribution_3(program: &Path, directory: &Path) -> Result<Self> {
        let http = format!("addr: {ANY_PORT:?}");
        Self::docker_registry(program, directory, "{enabled: true}", &http, "")
    }

    /// Starts Debian's `docker-registry`, which speaks TLS only and asks for passwords.
    pub fn guarded(directory: &Path, guard: &Guard) -> Result<Self> {
        let [certificate, key, passwords] =
            [&guard.certificate, &guard.key, &guard.passwords].map(|path| path.display());
        let tls = format!("{{certificate: '{certificate}', key: '{key}'}}");
        let http = format!("addr: {ANY_PORT:?}, tls: {tls}");
        let auth = format!("auth: {{htpasswd: {{realm: harbour, path: '{passwords}'}}}}\n");
        Self::docker_registry(Path::new("docker-registry"), directory, "{}", &http, &auth)
    }

    fn docker_registry(
        program: &Path,
        directory: &Path,
        deletes: &str,
        http: &str,
        auth: &str,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let config = format!(
            "version: 0.1\n\
             log: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{cache: {{blobdescriptor: inmemory}}, filesystem: {{rootdirectory: store}}, delete: {deletes}}}\n\
             http: {{{http}, secret: none}}\n\
             {auth}",
        );
        fs::write(directory.join("config.yml"), config)?;
        let log = directory.join("log");
        let mut command = Command::new(program);
        command.args(["serve", "config.yml"]).current_dir(directory).stdout(Stdio::null());
        let mut server = Self::spawn(&mut command, &log)?;
        let start = Instant::now();
        loop {
            if let Some(address) = listening(&fs::read_to_string(&log)?) {
                server.address = address;
                return Ok(server);
            }
            if server.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                bail!(silent(&command, &log));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("cannot run `{}`", shown(command)))?;
        Ok(Self { child, address: String::new() })
    }

    /// Returns the host and port at which it answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns how many seconds of CPU it has used, its threads that have ended among them.
    pub fn processor(&self) -> Result<f64> {
        // By its clock, since `/proc` tells no less than 1/100 s.
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(self.child.id())?))?;
        Ok(Duration::from(clock.now()?).as_secs_f64())
    }

    /// Returns the most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = self.account("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(most.context("the system does not say how much memory a process had")? << 10)
    }

    /// Returns what the operating system says of its process.
    fn account(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))?)
    }

    /// Ends it at once, as nothing else does.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, as a service manager does, and returns how it did.
    pub fn end(mut self) -> Result<ExitStatus> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        Ok(self.child.wait()?)
    }

    /// Returns a repository of it as a place.
    pub fn place(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    /// Returns the tags that it lists, in their order, without asking the program.
    pub fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let path = format!("/v2/{repository}/tags/list");
        let Answer { status, body, .. } = self.get(&path)?;
        if status == 404 {
            return Ok(Vec::new());
        }
        let said = String::from_utf8_lossy(&body);
        ensure!(status == 200, "GET {path} was answered with {status}: {said}");
        let document: Value = serde_json::from_slice(&body)?;
        let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut tags: Vec<_> =
            tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        tags.sort();
        Ok(tags)
    }

    /// Returns what it answers to a GET by plain HTTP, without asking the program. Manifests of
    /// every type are accepted.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (host, accepted) = (&self.address, MANIFESTS.join(", "));
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accepted}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Answer::parse(&answer).with_context(|| format!("GET {path} was not answered"))
    }

    /// Returns a manifest by its tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Result<Answer> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.get(&path)?;
        let (status, said) = (answer.status, String::from_utf8_lossy(&answer.body));
        ensure!(status == 200, "GET {path} at {} gave {status}: {said}", self.address());
        Ok(answer)
    }
}

/// What a registry that is asked for a manifest may answer with.
const MANIFESTS: [&str; 4] = [
    MediaType::IMAGE_MANIFEST,
    MediaType::IMAGE_INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_LIST,
];

/// What a server answered.
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// What came behind the headers.
    pub body: Vec<u8>,
}

impl Answer {
    /// Takes the answer to a request of HTTP/1.0 apart, whose end is that of the connection.
    fn parse(bytes: &[u8]) -> Option<Self> {
        const END: &[u8] = b"\r\n\r\n";
        let end = bytes.windows(END.len()).position(|window| window == END)?;
        let mut lines = std::str::from_utf8(&bytes[..end]).ok()?.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers.map(|(name, value)| (name.into(), value.into())).collect();
        let answer = Self { status, headers, body: bytes[end + END.len()..].to_vec() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        length.is_none_or(|length: usize| length == answer.body.len()).then_some(answer)
    }

    /// Returns the first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the address in what `docker-registry` logs when it listens.
fn listening(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && !".:[]".contains(c))?;
    Some(rest[..end].to_owned())
}

fn silent(command: &Command, log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    format!("`{}` does not listen\n{}", shown(command), log.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_log() {
        let log = "level=warning msg=x\nlevel=info msg=\"listening on 127.0.0.1:35009\" go=1\n";
        assert_eq!(listening(log).as_deref(), Some("127.0.0.1:35009"));
        assert_eq!(listening("level=info msg=\"listening on 127.0.0.1:35"), None);
        assert_eq!(listening("level=info msg=\"redis not configured\"\n"), None);
    }

    #[test]
    fn an_answer_that_breaks_off_is_none() {
        let whole = b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nX: y\r\n\r\nbody";
        let answer = Answer::parse(whole).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"body"[..]));
        assert_eq!(answer.header("x"), Some("y"));
        for end in 0..whole.len() {
            assert!(Answer::parse(&whole[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such layout >&2; exit 2"]);
        let Err(error) = Server::ours(&mut command, &directory.path().join("log")) else {
            panic!("it has an address");
        };
        assert!(error.to_string().ends_with("does not listen\nno such layout"), "{error}");
    }
}
