//! One request and its response.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::Shared;
use super::activity::Activity;
use super::admission::{self, Work};
use super::client::Client;
use super::endpoint::Endpoint;
use super::fair_semaphore::FairPermit;
use super::limits::{MAX_HEADER_BYTES, STREAM_WINDOW};
use super::metrics::MoreMetrics;
use super::record::ActiveRequest;
use super::request_body::{RequestBody, drain};
use super::response_body::{CountedBody, FIRST, ResponseBody};
use crate::body::Part;
use crate::context::ClientSite;
use crate::error::{Code, ErrorResponse};
use crate::{Body, handler, response};

/// The longest path and query in bytes. The longest in use are those of a manifest with many tags: 40 of
/// the longest tags fit.
const MAX_TARGET: usize = 8 << 10;

/// The memory of a request without its headers: two pieces of an answer, the buffers of the libraries,
/// and the overhead of the allocator, as measured with 3000 slow readers.
const REQUEST: u64 = 2 * FIRST as u64 + (24 << 10);

/// TLS buffers so much of an answer.
const TLS_BUFFER: u64 = 64 << 10;

const HEALTH: &str = "/healthz";
const METRICS: &str = "/metrics";

/// Serves a request. Fails only if the thread that serves it panics.
pub(super) async fn exchange(
    request: Request<Incoming>,
    client: Client,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
) -> io::Result<Response<CountedBody>> {
    if request.version() == Version::HTTP_2 {
        activity.set_http_2();
    }
    let (parts, body) = request.into_parts();
    let active = ActiveRequest::begin(&parts, client.address, Arc::clone(&shared), activity);
    let request = Request::from_parts(parts, body);
    let (method, awaits_word) = (request.method().clone(), request.headers().contains_key(EXPECT));
    let answer = match answer(request, client, active, &shared).await? {
        Ok(answer) => return Ok(answer),
        Err(refused) => refused,
    };
    let Refused { error, active, body, held } = *answer;
    // A client that waits for `100 Continue` sends no body.
    if !awaits_word {
        tokio::spawn(drain(body, shared.options.idle_timeout));
    }
    Ok(counted(short(error.into_response(&method), &method), active, held))
}

/// A request that was refused before any work was done for it.
struct Refused {
    error: ErrorResponse,
    active: ActiveRequest,
    body: Incoming,
    held: Option<FairPermit>,
}

async fn answer(
    request: Request<Incoming>,
    client: Client,
    mut active: ActiveRequest,
    shared: &Arc<Shared>,
) -> io::Result<Result<Response<CountedBody>, Box<Refused>>> {
    let refuse = |error, active, request: Request<Incoming>, held| {
        Ok(Err(Box::new(Refused { error, active, body: request.into_body(), held })))
    };
    let path = request.uri().path();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let admission = &shared.admission;
    if is_read && path == HEALTH {
        let held = admission.any_memory(client, REQUEST);
        return Ok(Ok(counted(plain("ok\n".to_owned(), request.method()), active, held)));
    }
    let takes = weight(&request, shared);
    let list = if is_list(path) { admission.list() } else { 0 };
    let mut held = match admission.wait_for_memory(client, takes + list).await {
        Ok(held) => held,
        Err(error) => return refuse(error, active, request, None),
    };
    if request.uri().path_and_query().map_or(0, |target| target.as_str().len()) > MAX_TARGET {
        let text = format!("a path has at most {MAX_TARGET} bytes here");
        let error = ErrorResponse::new(Code::Unsupported, text).status(StatusCode::URI_TOO_LONG);
        return refuse(error, active, request, Some(held));
    }
    if header_bytes(request.headers()) > MAX_HEADER_BYTES.into() {
        let text = format!("headers have at most {MAX_HEADER_BYTES} bytes here");
        let error = ErrorResponse::new(Code::Unsupported, text)
            .status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        return refuse(error, active, request, Some(held));
    }
    match shared.authenticator.authenticate(&request, client.address.ip()).await {
        Ok(user) => active.record.user = user,
        Err(error) => return refuse(error, active, request, Some(held)),
    }
    if is_read && path == METRICS {
        let mut text = shared.metrics.render(admission.waiting(), shared.registry.open_uploads());
        text.extend(shared.options.more_metrics.as_ref().map(|MoreMetrics(more)| more()));
        return Ok(Ok(counted(plain(text, request.method()), active, Some(held))));
    }
    let permit = match admission.wait_for_thread(client, Work::of(request.method())).await {
        Ok(permit) => permit,
        Err(error) => return refuse(error, active, request, Some(held)),
    };
    let method = request.method().clone();
    let (answer, answered) = oneshot::channel();
    let (of_thread, handle) = (Arc::clone(shared), Handle::current());
    let received = Arc::clone(&active.received);
    spawn_blocking(move || {
        let request = request.map(|body| RequestBody::new(body, received, &of_thread, handle));
        serve(&of_thread, client, request, answer);
        drop(permit);
    });
    let gone = |_| io::Error::other("the thread that served the request is gone");
    let (parts, content) = answered.await.map_err(gone)?.into_parts();
    let length = content.as_ref().map_or(0, |bytes| bytes.len() as u64);
    let needed = takes + if length > 2 * FIRST as u64 { length } else { 0 };
    if !held.resize(needed) {
        let response = short(admission::busy().into_response(&method), &method);
        return Ok(Ok(counted(response, active, Some(held))));
    }
    let held = Some(Arc::new(held));
    let body = match content {
        Ok(bytes) => ResponseBody::bytes(bytes, held),
        Err(part) => ResponseBody::blob(*part, client, Arc::clone(shared), held),
    };
    Ok(Ok(taken(Response::from_parts(parts, body), active)))
}

/// Returns how much memory a request takes.
fn weight(request: &Request<Incoming>, shared: &Shared) -> u64 {
    let is_http_2 = request.version() == Version::HTTP_2;
    // The part of a body that may arrive before anybody reads it.
    let body = if is_http_2 && !request.body().is_end_stream() { STREAM_WINDOW.into() } else { 0 };
    let tls = if shared.certificate.is_some() && !is_http_2 { TLS_BUFFER } else { 0 };
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    REQUEST + body + tls + (header_bytes(request.headers()) + target) as u64
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Tells whether the answer is built in memory and may be long.
fn is_list(path: &str) -> bool {
    let endpoint = Endpoint::of(path);
    matches!(endpoint, Endpoint::Catalog | Endpoint::Page | Endpoint::Referrers | Endpoint::Tags)
}

/// The body of an answer: bytes, or a range of a blob that has not been read.
type Content = Result<Bytes, Box<Part>>;

/// Serves a request on this thread, except for reading a blob while the client takes it.
fn serve(
    shared: &Shared,
    client: Client,
    mut request: Request<RequestBody>,
    head: oneshot::Sender<Response<Content>>,
) {
    request.extensions_mut().insert(ClientSite(client.site));
    let (parts, mut received) = request.into_parts();
    let response = shared.registry.handle(Request::from_parts(parts, &mut received));
    // Fails only if the client is gone.
    let _ = head.send(response.map(|body| body.try_into_bytes().or_else(read_small)));
    received.drain();
}

/// Reads a range that fits into the memory that every request has, so that it needs no other thread.
fn read_small(part: Box<Part>) -> Content {
    if part.length > FIRST as u64 {
        return Err(part);
    }
    let mut content = Bytes::new();
    let read = part.pieces(0, |_, read| {
        content = read(FIRST)?;
        Ok(true)
    });
    // The later reader meets the same error, and reports it to the client.
    read.map(|()| content).map_err(|_| part)
}

/// Returns an answer in plain text.
fn plain(text: String, method: &Method) -> Response<Bytes> {
    let text_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let mut response = response::with_body(Body::from(text.into_bytes()), text_type);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    short(response, method)
}

/// Completes an answer that is in memory.
fn short(response: Response<Body>, method: &Method) -> Response<Bytes> {
    let response = handler::finish_response(response, method);
    response.map(|body| body.try_into_bytes().unwrap_or_default())
}

/// Returns an answer that is counted. Over HTTP/2, its body is dropped if there is no memory for it: it
/// would wait for a client that may never take it.
fn counted(
    response: Response<Bytes>,
    active: ActiveRequest,
    held: Option<FairPermit>,
) -> Response<CountedBody> {
    let (mut parts, mut bytes) = response.into_parts();
    if held.is_none() && active.activity.is_http_2() && !bytes.is_empty() {
        bytes = Bytes::new();
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    taken(Response::from_parts(parts, ResponseBody::bytes(bytes, held.map(Arc::new))), active)
}

fn taken(response: Response<ResponseBody>, mut active: ActiveRequest) -> Response<CountedBody> {
    active.record.status = Some(response.status().as_u16());
    response.body().watched_by(&active.activity);
    response.map(|body| CountedBody { body, active })
}
