//! Servers that a test runs: the program itself, and one that says what it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::common::{Site, redacted};

/// `serve`, in a process of its own that ends with this.
pub(crate) struct Served {
    child: Child,
    /// What `--json` printed.
    pub(crate) document: Value,
    _stdout: ChildStdout,
}

impl Served {
    /// Serves a place, with further flags behind it.
    pub(crate) fn start(site: &Site, line: &str) -> Self {
        Self::start_with(site, line, &[])
    }

    /// The like, with paths of the site in the environment.
    pub(crate) fn start_with(site: &Site, line: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = site.command(&format!("serve --listen 127.0.0.1:0 --json {line}"));
        for (name, path) in environment {
            command.env(name, site.path(path));
        }
        Self::spawn(command)
    }

    /// Runs a command that serves and prints a document.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let documents = serde_json::Deserializer::from_reader(&mut stdout);
        let document = documents.into_iter().next().expect("it prints a document").unwrap();
        Self { child, document, _stdout: stdout }
    }

    /// Returns the host, as references have it.
    pub(crate) fn host(&self) -> &str {
        self.document["address"].as_str().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.host().parse().unwrap()
    }

    /// Returns what is answered to a request, without the program's help.
    pub(crate) fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Returns a text with another word for the host, which is never the same.
    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(self.host(), "HOST")
    }

    /// Runs commands in which `HOST` is the host; returns what a terminal would show, with only
    /// stderr of each.
    pub(crate) fn errors(&self, site: &Site, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.replace("HOST", self.host())).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        self.redacted(&site.errors(&lines))
    }

    /// The like with stdout too, of commands that must succeed.
    pub(crate) fn shown(&self, site: &Site, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.replace("HOST", self.host())).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        self.redacted(&site.shown(&lines))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a stub says to a request: status line and headers, and a body.
pub(crate) type Said = (String, Vec<u8>);

/// A server that says what it is told to, one request a connection.
pub(crate) struct Stub {
    address: SocketAddr,
    /// The request lines that came, without the version.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// Starts a server that gives `answer` to each request line. It ends with the process.
    pub(crate) fn start(answer: impl Fn(&str) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away early is no failure.
                let _ = Self::answer(stream, &answer, &log);
            }
        });
        Self { address, asked }
    }

    fn answer(
        mut stream: TcpStream,
        answer: &impl Fn(&str) -> Said,
        log: &Mutex<Vec<String>>,
    ) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            let line = line.trim_end();
            if request.is_empty() {
                line.trim_end_matches(" HTTP/1.1").clone_into(&mut request);
            } else if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
        if request.is_empty() {
            return Ok(());
        }
        log.lock().unwrap().push(request.clone());
        let (head, body) = answer(&request);
        let length = body.len();
        let head =
            format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        if !request.starts_with("HEAD ") {
            stream.write_all(&body)?;
        }
        stream.flush()
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Runs a command in which `HOST` is the stub; returns what [`Site::errors`] does.
    pub(crate) fn errors(&self, site: &Site, line: &str) -> String {
        let host = self.address.to_string();
        redacted(&site.errors(&[&line.replace("HOST", &host)])).replace(&host, "HOST")
    }
}
