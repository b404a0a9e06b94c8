//! Asking a registry what it has, without the program's help.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use longshore_spec::Digest;
use serde::Deserialize;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How much of a body is sent at once.
const PIECE: usize = 64 << 10;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest is no longer than this.
const MAX_MANIFEST: u64 = 4 << 20;

/// A connection.
pub(crate) struct Client(BufReader<TcpStream>);

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) digest: String,
    /// How long the body is, or would be.
    length: u64,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let headers = format!("Accept: {IMAGE}, {INDEX}\r\nContent-Type: {media_type}\r\n");
        self.exchange(method, path, &headers, body)
    }

    /// Asks for the first byte of a blob.
    pub(crate) fn first_byte(&mut self, path: &str) -> Result<()> {
        let answer = self.exchange("GET", path, "Range: bytes=0-0\r\n", b"")?;
        let is_one = answer.status == 206 && answer.body.len() == 1;
        ensure!(is_one, "a byte of {path} was answered with {}", answer.status);
        Ok(())
    }

    /// Asks, with `headers` that each end their line.
    fn exchange(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let stream = self.0.get_mut();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        for piece in body.chunks(PIECE) {
            stream.write_all(piece)?;
        }
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status =
            status.with_context(|| format!("{method} {path} was answered with {line:?}"))?;
        let (location, digest) = (String::new(), String::new());
        let mut answer = Answer { status, location, digest, length: 0, body: Vec::new() };
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                bail!("the answer to {method} {path} is cut off");
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.length = value.parse()?,
                "location" => value.clone_into(&mut answer.location),
                "docker-content-digest" => value.clone_into(&mut answer.digest),
                _ => {}
            }
        }
        if method != "HEAD" {
            ensure!(answer.length <= MAX_MANIFEST, "the answer to {method} {path} is too long");
            (&mut self.0).take(answer.length).read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }

    /// Pushes a blob with one request.
    pub(crate) fn push_blob(
        &mut self,
        repository: &str,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.created("POST", &path, "application/octet-stream", bytes)
    }

    /// Pushes an image manifest under a tag.
    pub(crate) fn push_manifest(
        &mut self,
        repository: &str,
        tag: &str,
        bytes: &[u8],
    ) -> Result<()> {
        self.created("PUT", &format!("/v2/{repository}/manifests/{tag}"), IMAGE, bytes)
    }

    fn created(&mut self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Result<()> {
        let status = self.ask(method, path, media_type, body)?.status;
        ensure!(status == 201, "{method} {path} was answered with {status}");
        Ok(())
    }

    /// Fails unless a manifest is there with all that it refers to, as far as that can be said without
    /// reading blobs. Returns how much it saw.
    pub(crate) fn closure(&mut self, repository: &str, reference: &str) -> Result<usize> {
        /// What a manifest refers to.
        #[derive(Deserialize)]
        struct Manifest {
            #[serde(default)]
            manifests: Vec<Entry>,
            config: Option<Entry>,
            #[serde(default)]
            layers: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            digest: Digest,
            size: u64,
        }
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.ask("GET", &path, "", &[])?;
        ensure!(answer.status == 200, "{path} was answered with {}", answer.status);
        let found = Digest::sha256(&answer.body).to_string();
        let is_right = !reference.contains(':') || reference == found;
        ensure!(is_right, "{path} has content that hashes to {found}");
        let Manifest { manifests, config, layers } = serde_json::from_slice(&answer.body)?;
        let mut seen = 1;
        for entry in manifests {
            seen += self.closure(repository, &entry.digest.to_string())?;
        }
        for Entry { digest, size } in config.into_iter().chain(layers) {
            let path = format!("/v2/{repository}/blobs/{digest}");
            let answer = self.ask("HEAD", &path, "", &[])?;
            ensure!(
                answer.status == 200,
                "{repository}:{reference} is there, and {digest} of it is not: {}",
                answer.status
            );
            ensure!(answer.length == size, "{path} has {} bytes, not {size}", answer.length);
            seen += 1;
        }
        Ok(seen)
    }
}
