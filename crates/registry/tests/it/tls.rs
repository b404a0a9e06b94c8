//! TLS, and HTTP/2 over it and without it.

use std::convert::Infallible;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use longshore_registry::front::{Certificate, CertificateError, Server, ServerOptions};
use longshore_spec::Digest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Client, PATIENCE, started};
use crate::support::{get, push_blob, writable};

const ONE: (&[u8], &[u8]) = (include_bytes!("../tls/one.crt"), include_bytes!("../tls/one.key"));
const TWO: (&[u8], &[u8]) = (include_bytes!("../tls/two.crt"), include_bytes!("../tls/two.key"));

fn certificate((chain, key): (&[u8], &[u8])) -> Certificate {
    Certificate::from_pem(chain, key).unwrap()
}

fn trusting(pem: &[u8], protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Connects, trusting only one certificate.
fn connect(server: &Server, trusted: &[u8]) -> std::io::Result<Client<Stream>> {
    let plain = Client::to(server).0.into_inner();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(trusting(trusted, &[]), name).unwrap();
    let mut stream = StreamOwned::new(connection, plain);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Client(std::io::BufReader::new(stream)))
}

#[test]
fn blobs_come_whole_over_tls() {
    let registry = Arc::new(writable());
    let content: Vec<u8> = (0..3_000_001_u32).map(|n| (n % 251) as u8).collect();
    let digest = push_blob(&registry, "a", &content);
    let options = ServerOptions { certificate: Some(certificate(ONE)), ..ServerOptions::default() };
    let server = started(&registry, options);
    let mut client = connect(&server, ONE.0).unwrap();
    assert!(client.ask(&format!("GET /v2/a/blobs/{digest}"), "", b"").body == content);
    let own = vec![1; 2_000_000];
    let digest = Digest::sha256(&own);
    let post = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(client.ask(&post, "content-length: 2000000\r\n", &own).status, 201);
    assert!(get(&registry, &format!("/v2/a/blobs/{digest}")).body == own);
}

#[test]
fn who_speaks_no_tls_is_told() {
    let options = ServerOptions { certificate: Some(certificate(ONE)), ..ServerOptions::default() };
    let server = started(&Arc::new(writable()), options);
    let reply = Client::to(&server).ask("GET /v2/", "", b"");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.body, b"Client sent an HTTP request to an HTTPS server.\n");
    // Nor does a client that sends something other than TLS.
    let mut odd = Client::to(&server);
    odd.send(b"\x16\x03\x01\x00\x05aaaaaaaaaaaa");
    odd.ends();
}

#[test]
fn a_new_certificate_is_shown_to_new_connections() {
    let options = ServerOptions { certificate: Some(certificate(ONE)), ..ServerOptions::default() };
    let server = started(&Arc::new(writable()), options);
    let mut before = connect(&server, ONE.0).unwrap();
    assert!(connect(&server, TWO.0).is_err());
    server.set_certificate(certificate(TWO));
    assert_eq!(before.ask("GET /v2/", "", b"").status, 200);
    assert_eq!(connect(&server, TWO.0).unwrap().ask("GET /v2/", "", b"").status, 200);
    assert!(connect(&server, ONE.0).is_err());
}

#[test]
fn what_is_no_certificate_is_told_apart_from_what_is_no_key() {
    let wrong = |chain: &[u8], key: &[u8]| Certificate::from_pem(chain, key).err().unwrap();
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let encrypted =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(matches!(wrong(b"", ONE.1), CertificateError::Certificate(_)));
    assert!(matches!(wrong(ONE.1, ONE.1), CertificateError::Certificate(_)));
    assert!(matches!(wrong(broken, ONE.1), CertificateError::Certificate(_)));
    assert!(matches!(wrong(ONE.0, ONE.0), CertificateError::Key(_)));
    let CertificateError::Key(reason) = wrong(ONE.0, encrypted) else { panic!("it is the key") };
    assert!(reason.contains("encrypted"));
    assert!(matches!(wrong(ONE.0, TWO.1), CertificateError::Pair(_)));
}

/// A body of bytes, as `hyper` sends one.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.0.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

async fn all(response: Response<Incoming>) -> Vec<u8> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        bytes.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    bytes
}

/// Pushes and pulls blobs, all at once on one connection, by HTTP/2.
async fn many_at_once<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let each = (0..16_u8).map(|number| {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            let content = Bytes::from(vec![number; 700_000]);
            let digest = Digest::sha256(&content);
            let request = |method, path: String, body| {
                let uri = format!("http://localhost{path}");
                Request::builder().method(method).uri(uri).body(Whole(body)).unwrap()
            };
            let path = format!("/v2/a/blobs/uploads/?digest={digest}");
            let post = sender.send_request(request("POST", path, Some(content.clone()))).await;
            let post = post.unwrap();
            assert_eq!((post.status().as_u16(), post.version()), (201, Version::HTTP_2));
            let path = format!("/v2/a/blobs/{digest}");
            let get = sender.send_request(request("GET", path, None)).await.unwrap();
            assert_eq!(get.headers()["content-length"], "700000");
            assert!(all(get).await == content);
        })
    });
    for one in each.collect::<Vec<_>>() {
        one.await.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn http_2_is_spoken_over_tls() {
    let options = ServerOptions { certificate: Some(certificate(ONE)), ..ServerOptions::default() };
    let server = started(&Arc::new(writable()), options);
    let address = server.addresses()[0];
    runtime().block_on(async {
        let connector = tokio_rustls::TlsConnector::from(trusting(ONE.0, &[b"h2", b"http/1.1"]));
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        many_at_once(stream).await;
    });
    assert_eq!(server.stop(PATIENCE), 0);
}

#[test]
fn http_2_is_spoken_in_the_clear_to_who_knows() {
    let server = started(&Arc::new(writable()), ServerOptions::default());
    let address = server.addresses()[0];
    runtime().block_on(async {
        many_at_once(tokio::net::TcpStream::connect(address).await.unwrap()).await;
    });
    assert_eq!(server.stop(PATIENCE), 0);
}

#[test]
fn a_client_of_http_2_that_takes_nothing_makes_room_for_those_that_wait() {
    let registry = Arc::new(writable());
    let digest = push_blob(&registry, "a", &vec![7; 32 << 20]);
    let options = ServerOptions {
        max_requests: 1,
        idle_timeout_while_others_wait: std::time::Duration::from_millis(50),
        min_rate_while_others_wait: 1 << 40,
        ..ServerOptions::default()
    };
    let server = started(&registry, options);
    let address = server.addresses()[0];
    let runtime = runtime();
    let lazy = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let uri = format!("http://localhost/v2/a/blobs/{digest}");
        let request = Request::builder().uri(uri).body(Whole(None)).unwrap();
        // The headers have come, and nobody reads the body.
        (sender.send_request(request).await.unwrap(), sender)
    });
    assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    drop(lazy);
}

#[test]
fn answers_that_no_window_is_open_for_make_room() {
    let registry = Arc::new(writable());
    let digest = push_blob(&registry, "a", &vec![7; 1 << 20]);
    // Memory for some twenty requests.
    let options = ServerOptions { max_memory: 1 << 20, ..ServerOptions::default() };
    let server = started(&registry, options);
    let address = server.addresses()[0];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let closed = runtime.block_on(async {
        let mut closed = Vec::new();
        for _ in 0..2 {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(0);
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            for _ in 0..32 {
                let uri = format!("http://localhost/v2/a/blobs/{digest}");
                let request = Request::builder().uri(uri).body(Whole(None)).unwrap();
                let mut sender = sender.clone();
                closed.push(tokio::spawn(async move { sender.send_request(request).await }));
            }
        }
        closed
    });
    for _ in 0..3 {
        assert_eq!(Client::to(&server).ask("GET /v2/", "", b"").status, 200);
    }
    drop(closed);
}

#[test]
fn a_long_manifest_is_pulled_whole() {
    let registry = Arc::new(writable());
    let raw = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[],"annotations":{{"a":"{}"}}}}"#,
        longshore_spec::MediaType::IMAGE_INDEX,
        "b".repeat(3 << 20)
    );
    let put = "PUT /v2/a/manifests/long";
    crate::support::expect(&registry, put, &[], raw.as_bytes(), 201);
    let server = started(&registry, ServerOptions::default());
    let reply = Client::to(&server).ask("GET /v2/a/manifests/long", "", b"");
    assert_eq!((reply.status, reply.body.len()), (200, raw.len()));
    assert!(reply.body == raw.as_bytes());
}
