//! A client that sends bytes, and servers for it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use longshore_registry::Handler;
use longshore_registry::front::{Server, ServerOptions, serve};

/// A test that waits longer than this has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client that sends bytes.
pub(crate) struct Client<S: Read + Write = TcpStream>(pub(crate) BufReader<S>);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Returns a header, or an empty text if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

impl Client {
    pub(crate) fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addresses()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Sends `request`, which is written `METHOD TARGET`, with further header lines.
    pub(crate) fn ask(&mut self, request: &str, headers: &str, body: &[u8]) -> Reply {
        self.send(format!("{request} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").as_bytes());
        self.send(body);
        self.receive(!request.starts_with("HEAD"))
    }

    pub(crate) fn receive(&mut self, has_body: bool) -> Reply {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let mut reply = Reply { status, headers: Vec::new(), body: Vec::new() };
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        assert_eq!(reply.header("transfer-encoding"), "", "the length is always said");
        if has_body && status != 204 {
            reply.body = vec![0; reply.header("content-length").parse().unwrap()];
            self.0.read_exact(&mut reply.body).unwrap();
        }
        reply
    }

    /// Waits until the server closes the connection.
    pub(crate) fn ends(mut self) {
        let mut rest = Vec::new();
        // A reset ends the connection, too.
        let _ = self.0.read_to_end(&mut rest);
    }
}

pub(crate) fn started(registry: &Arc<Handler>, options: ServerOptions) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    serve([listener], Arc::clone(registry), options).unwrap()
}
