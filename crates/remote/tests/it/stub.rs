//! A web server that does what a test tells it, even what no good server does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection is cut after so many bytes of the body.
    cut_after: Option<usize>,
    /// The connection is cut without an answer.
    hang_up: bool,
}

/// A running server. It ends with the program.
pub(crate) struct Stub {
    pub(crate) host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    handler: Arc<Handler>,
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;
type Early = dyn Fn(&Request) -> Option<Response> + Send + Sync;

impl Stub {
    pub(crate) fn new(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::early(|_| None, handler)
    }

    /// Calls `early` before the body of a request is read; its answer is sent at once.
    pub(crate) fn early(
        early: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, early, handler) =
            (Arc::clone(&requests), Arc::new(early) as Arc<Early>, Arc::new(handler));
        let answers = Arc::clone(&handler) as Arc<Handler>;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, early) = (Arc::clone(&seen), Arc::clone(&early));
                let handler = Arc::clone(&handler) as Arc<Handler>;
                thread::spawn(move || serve(stream, &seen, &*early, &*handler));
            }
        });
        Self { host, requests, handler: answers }
    }

    /// Answers a request as if it were for `target`.
    pub(crate) fn answer(&self, request: &Request, target: &str) -> Response {
        (self.handler)(&Request { target: target.to_owned(), ..request.clone() })
    }

    /// Returns every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns method and target of every request so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.requests().iter().map(|each| format!("{} {}", each.method, each.target)).collect()
    }

    pub(crate) fn count(&self, start: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(start)).count()
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    /// Returns the path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// Returns every value of a parameter.
    pub(crate) fn params(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let params = query.split('&').filter_map(|param| param.split_once('='));
        params.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect()
    }

    pub(crate) fn param(&self, name: &str) -> Option<String> {
        self.params(name).into_iter().next()
    }
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn cut_after(mut self, count: usize) -> Self {
        self.cut_after = Some(count);
        self
    }

    pub(crate) fn hang_up() -> Self {
        Self { hang_up: true, ..Self::default() }
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, early: &Early, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((mut request, length)) = read_head(&mut reader) {
        if let Some(response) = early(&request) {
            seen.lock().unwrap().push(request);
            write(&stream, &response.header("connection", "close"), false);
            let _ = stream.shutdown(Shutdown::Write);
            // Closing with unread bytes would reset the connection and lose the answer.
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
            return;
        }
        request.body = vec![0; length];
        if reader.read_exact(&mut request.body).is_err() {
            return;
        }
        seen.lock().unwrap().push(request.clone());
        let response = handler(&request);
        if !write(&stream, &response, request.method == "HEAD") {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> Option<(Request, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    Some((request, length))
}

/// Returns whether the connection stays open.
fn write(mut stream: &TcpStream, response: &Response, bodiless: bool) -> bool {
    if response.hang_up {
        return false;
    }
    let mut head = vec![format!("HTTP/1.1 {} Status", response.status)];
    let named = |name: &str| response.headers.iter().any(|(key, _)| key == name);
    if !named("content-length") && response.status != 204 {
        head.push(format!("content-length: {}", response.body.len()));
    }
    for (name, value) in &response.headers {
        head.push(format!("{name}: {value}"));
    }
    let mut all = format!("{}\r\n\r\n", head.join("\r\n")).into_bytes();
    if !bodiless {
        let end = response.cut_after.unwrap_or(response.body.len());
        all.extend_from_slice(&response.body[..end]);
    }
    stream.write_all(&all).is_ok() && response.cut_after.is_none()
}
