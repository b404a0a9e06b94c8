//! A server beside a trap, asked for all that it has, and given more.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use longshore_spec::{Digest, MediaType};
use serde_json::{Deserializer, Value};

use super::scene::holds_mark;
use super::template::{APP, Template};
use super::watch::Watched;
use crate::measure::mib;
use crate::server::ANY_PORT;

/// How long a client waits for anything.
const PATIENCE: Duration = Duration::from_secs(4);
/// How much of an answer is read.
const READ: u64 = 1 << 20;

/// Asks for every blob and manifest, and for every list.
pub(super) fn pull(command: Command, template: &Template) -> Result<Vec<String>> {
    serve(command, |client| {
        client.look(template);
    })
}

/// Pushes an image, and deletes that and what was there.
pub(super) fn push(command: Command, template: &Template) -> Result<Vec<String>> {
    serve(command, |client| {
        let blob = template.app.blobs.keys().find(|digest| **digest != template.manifest.digest);
        client.push(blob);
        client.look(template);
        client.delete(template);
    })
}

/// Starts a server, lets a client ask, ends it, and returns what was found.
fn serve(mut command: Command, asking: impl FnOnce(&mut Client)) -> Result<Vec<String>> {
    command.args(["--json", "--listen", ANY_PORT]);
    let mut server = Watched::start(command, None)?;
    let stdout = server.child.stdout.as_mut().context("no pipe")?;
    // It prints one document when it listens, and nothing when it does not come to that.
    let said = Deserializer::from_reader(stdout).into_iter::<Value>().next();
    let mut found = Vec::new();
    if let Some(Ok(said)) = said {
        server.printed = said.to_string().into_bytes();
        // One that cannot begin says why, and has no address.
        if let Some(address) = said["address"].as_str() {
            let address = address.to_owned();
            let mut client = Client { address, found: Vec::new(), gave_up: false };
            asking(&mut client);
            found = client.found;
        }
    }
    server.terminate()?;
    found.extend(server.wait()?.findings());
    Ok(found)
}

/// Asks a server and takes note of what must not be answered.
struct Client {
    address: String,
    found: Vec<String>,
    /// Something was not answered: nothing more is asked.
    gave_up: bool,
}

impl Client {
    fn look(&mut self, template: &Template) {
        for path in ["/", "/v2/", "/v2/_catalog"] {
            self.ask("GET", path, "", b"");
        }
        for path in ["tags/list", "manifests/1", "manifests/pushed"] {
            self.ask("GET", &format!("/v2/{APP}/{path}"), "", b"");
        }
        for digest in template.app.blobs.keys().chain([&template.unfinished]) {
            for kind in ["manifests", "blobs", "referrers"] {
                let path = format!("/v2/{APP}/{kind}/{digest}");
                self.ask("HEAD", &path, "", b"");
                self.ask("GET", &path, "", b"");
                self.ask("GET", &path, "Range: bytes=0-20\r\n", b"");
            }
        }
    }

    fn push(&mut self, mounted: Option<&Digest>) {
        let uploads = format!("/v2/{APP}/blobs/uploads/");
        if let Some(digest) = mounted {
            let path = format!("/v2/elsewhere/blobs/uploads/?mount={digest}&from={APP}");
            self.ask("POST", &path, "", b"");
        }
        let (config, layer) = (&b"{}"[..], &b"a layer that is pushed"[..]);
        for content in [config, layer] {
            let begun = self.ask("POST", &uploads, "", b"");
            let Some(at) = location(&begun) else { continue };
            let (first, rest) = content.split_at(content.len() / 2);
            let continued = self.ask("PATCH", &at, "", first);
            let at = location(&continued).unwrap_or(at);
            let digest = Digest::sha256(content);
            let and = if at.contains('?') { '&' } else { '?' };
            self.ask("PUT", &format!("{at}{and}digest={digest}"), "", rest);
        }
        // One that breaks off.
        let begun = self.ask("POST", &uploads, "", b"");
        if let Some(at) = location(&begun) {
            self.ask("PATCH", &at, "", layer);
            self.ask("GET", &at, "", b"");
        }
        let entry = |content: &[u8], media_type: &str| {
            let (digest, size) = (Digest::sha256(content), content.len());
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        };
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            MediaType::IMAGE_MANIFEST,
            entry(config, MediaType::EMPTY),
            entry(layer, MediaType::LAYER_TAR)
        );
        let media_type = format!("Content-Type: {}\r\n", MediaType::IMAGE_MANIFEST);
        let path = format!("/v2/{APP}/manifests/pushed");
        self.ask("PUT", &path, &media_type, manifest.as_bytes());
    }

    fn delete(&mut self, template: &Template) {
        self.ask("DELETE", &format!("/v2/{APP}/manifests/pushed"), "", b"");
        for digest in template.app.blobs.keys() {
            for kind in ["manifests", "blobs"] {
                self.ask("DELETE", &format!("/v2/{APP}/{kind}/{digest}"), "", b"");
            }
        }
    }

    /// Asks once, on a connection of its own; returns what was answered, whole or not.
    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        if self.gave_up {
            return answer;
        }
        let asked = (|| -> io::Result<()> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let accepted = MediaType::IMAGE_MANIFEST;
            write!(
                stream,
                "{method} {path} HTTP/1.0\r\nHost: x\r\nAccept: {accepted}, */*\r\n{headers}\
                 Content-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(body)?;
            stream.take(READ).read_to_end(&mut answer)?;
            Ok(())
        })();
        let request = format!("{method} {path}");
        if asked.is_err_and(|error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        }) {
            self.found.push(format!("`{request}` is not answered"));
            self.gave_up = true;
        }
        if answer.len() as u64 >= READ {
            self.found.push(format!("`{request}` is answered by {:.0} MiB", mib(READ)));
        }
        if holds_mark(&answer) {
            self.found.push(format!("`{request}` is answered by what lies outside"));
        }
        answer
    }
}

/// Returns the path that an answer leads to.
fn location(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let lines = text.lines().take_while(|line| !line.is_empty());
    let mut headers = lines.filter_map(|line| line.split_once(": "));
    let (_, at) = headers.find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
    Some(at.to_owned())
}
