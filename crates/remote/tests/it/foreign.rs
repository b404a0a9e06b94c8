//! Redirects and addresses from others: out of TLS, to other hosts, into private networks (rows B-06,
//! E-05, E-15, E-41).

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use longshore_fixture::tls;
use longshore_remote::credentials::Credential;
use longshore_remote::{Client, Config, ForeignUrls, PlainHttp, RemoteRepository, Secret};
use longshore_spec::Descriptor;
use longshore_store::{Error, Selector, Source as _, SourcePlace as _, Target as _};

use crate::fake::ranged;
use crate::stub::{Response, Stub};
use crate::support::{Piece, config, image, noise, remote};

/// A server with TLS that answers with `answer`, and the heads of all requests to it.
struct Encrypted {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Encrypted {
    fn new(answer: impl Fn(&str) -> tls::TlsAnswer + Send + Sync + 'static) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let address = tls::serve_heads(tls::SERVER, move |head| {
            seen.lock().unwrap().push(head.to_owned());
            answer(head)
        });
        Self { address: address.unwrap(), heads }
    }

    fn host(&self, name: &str) -> String {
        format!("{name}:{}", self.address.port())
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(status: &str, body: impl Into<Vec<u8>>) -> tls::TlsAnswer {
    (status.to_owned(), body.into())
}

fn trusting(foreign_urls: ForeignUrls) -> Config {
    let extra_authorities = vec![tls::SERVER.as_bytes().to_vec()];
    Config { extra_authorities, foreign_urls, ..config() }
}

fn remote_with(config: &Config, host: &str) -> RemoteRepository {
    let registry = Client::new(config).unwrap().registry(host).unwrap();
    registry.remote_repository(&"library/app".parse().unwrap())
}

fn over_tls(server: &Encrypted, credential: Option<Credential>) -> RemoteRepository {
    let config = Config { plain_http: PlainHttp::Never, ..trusting(ForeignUrls::Public) };
    let config = match credential {
        Some(credential) => Config { credentials: Arc::new(credential), ..config },
        None => config,
    };
    remote_with(&config, &server.host("localhost"))
}

fn password() -> Credential {
    Credential::Password { username: "me".to_owned(), password: Secret::new("hunter2") }
}

fn leaves_tls(error: &Error) {
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(error.to_string().ends_with("where nothing is encrypted"), "{error}");
}

#[test]
fn e41_no_content_leaves_tls() {
    let plain = Arc::new(Stub::new(|_| Response::new(201)));
    let there = format!("http://{}/up", plain.host);
    // The host that opens an upload, accepts it, or accepts a chunk names the next address.
    for stage in ["open", "redirect", "chunk"] {
        let there = there.clone();
        let server = Encrypted::new(move |head| {
            let at =
                |status: &str, place: &str| answer(&format!("{status}\r\nLocation: {place}"), "");
            match head.split_whitespace().next() {
                Some("POST") if stage == "open" => at("202 Accepted", &there),
                Some("POST") => at("202 Accepted", "/up"),
                Some("PUT") if stage == "chunk" => answer("413 Too Large", ""),
                Some("PUT") => at("307 There", &there),
                Some("PATCH") => at("202 Accepted", &there),
                _ => answer("404 Not Found", ""),
            }
        });
        let error = over_tls(&server, None).push_blob(&Piece::new(noise(200_000))).unwrap_err();
        leaves_tls(&error);
        assert!(plain.log().is_empty(), "{stage}");
    }
}

#[test]
fn e05_no_redirect_leaves_tls_whatever_is_asked() {
    let plain = Arc::new(Stub::new(|_| Response::ok("{}")));
    let there = format!("http://{}/x", plain.host);
    let server = Encrypted::new(move |_| answer(&format!("308 There\r\nLocation: {there}"), ""));
    let remote = over_tls(&server, Some(password()));
    let by_name = Selector::Name("v1".into());
    let digest = image(None).descriptor().digest.clone();
    leaves_tls(&remote.head(&by_name).unwrap_err());
    leaves_tls(&remote.manifest(&by_name).unwrap_err());
    leaves_tls(&remote.open(&Descriptor::of("a/b", b"x"), 0).err().unwrap());
    leaves_tls(&remote.names().unwrap_err());
    leaves_tls(&remote.referrers(&digest).unwrap_err());
    leaves_tls(&remote.registry().ping().unwrap_err());
    assert!(plain.log().is_empty());
}

#[test]
fn e103_no_page_is_read_from_elsewhere() {
    let plain = Arc::new(Stub::new(|_| Response::ok(r#"{"tags": ["x"], "repositories": ["x"]}"#)));
    for there in [plain.host.clone(), "registry.internal:5000".to_owned()] {
        let next = format!("http://{there}");
        let server = Encrypted::new(move |head| {
            let path = head.split_whitespace().nth(1).unwrap();
            let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
            let lists = r#"{"tags": ["a"], "repositories": ["a"]}"#.to_owned();
            let body = |page: &str| match page {
                _ if path.contains("/referrers/") => index.to_owned(),
                "last" => lists.replace("\"a\"", "\"b\""),
                _ => lists.clone(),
            };
            if path.contains("?page=2") {
                return answer("200 OK", body("last"));
            }
            let path = path.split('?').next().unwrap();
            let link = format!("Link: <{next}{path}?page=2>; rel=next");
            answer(&format!("200 OK\r\n{link}"), body("first"))
        });
        let remote = over_tls(&server, Some(password()));
        assert_eq!(remote.names().unwrap().len(), 2);
        assert_eq!(remote.registry().repositories().unwrap().len(), 2);
        remote.referrers(&image(None).descriptor().digest).unwrap();
        assert_eq!(server.heads().iter().filter(|head| head.contains("page=2")).count(), 3);
    }
    assert!(plain.log().is_empty());
}

#[test]
fn e15_nobody_is_asked_for_a_token_outside_of_tls() {
    let plain = Arc::new(Stub::new(|_| Response::ok(r#"{"token": "t"}"#)));
    for credential in [None, Some(password()), Some(Credential::Identity(Secret::new("id")))] {
        let realm = format!("http://{}/token", plain.host);
        let server = Encrypted::new(move |_| {
            let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\"");
            answer(&format!("401 Unauthorized\r\n{challenge}"), "")
        });
        let error = over_tls(&server, credential).manifest(&Selector::Name("v1".into()));
        leaves_tls(&error.unwrap_err());
    }
    assert!(plain.log().is_empty());
}

#[test]
fn a_password_in_the_clear_stays_on_this_machine() {
    for (realm, reason) in [
        ("http://tokens.invalid/t", "nothing is encrypted there, and it would be shown a secret"),
        ("http://me:pw@127.0.0.1:1/t", "a name or password stands in it"),
        ("//tokens.invalid/t", "nothing is encrypted there, and it would be shown a secret"),
        ("ftp://127.0.0.1/t", "it is no address of a web server"),
    ] {
        let stub = Stub::new(move |_| {
            let challenge = format!("Bearer realm=\"{realm}\"");
            Response::new(401).header("www-authenticate", challenge)
        });
        let config = Config { credentials: Arc::new(password()), ..config() };
        let remote = remote_with(&config, &stub.host);
        let error = remote.manifest(&Selector::Name("v1".into())).unwrap_err();
        assert!(error.to_string().ends_with(reason), "{error}");
    }
}

#[test]
fn a_secret_in_a_body_goes_to_nobody_else() {
    let other = Arc::new(Stub::new(|_| Response::ok(r#"{"token": "stolen"}"#)));
    let there = format!("http://{}/token", other.host);
    let service = Arc::new(Stub::new(move |request| match request.path() {
        "/token" => Response::new(307).header("location", "/here"),
        _ => Response::new(308).header("location", &there),
    }));
    let realm = format!("http://{}/token", service.host);
    let stub = Stub::new(move |_| {
        Response::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
    });
    let credential = Credential::Identity(Secret::new("refresh-hunter2"));
    let config = Config { credentials: Arc::new(credential), ..config() };
    let remote = remote_with(&config, &stub.host);
    let error = remote.manifest(&Selector::Name("v1".into())).unwrap_err();
    assert!(error.to_string().contains("it would take a secret to"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(other.log().is_empty());
    // On the same server the secret may follow.
    assert_eq!(service.log(), ["POST /token", "POST /here"]);
}

/// A registry without a blob, and the blob's descriptor with `urls`.
fn lacking(content: &[u8], urls: &[String]) -> (Stub, Descriptor) {
    let mut descriptor = Descriptor::of("a/b", content);
    descriptor.change_more(|more| more.urls = urls.to_vec());
    (Stub::new(|_| Response::new(404)), descriptor)
}

fn read(remote: &RemoteRepository, blob: &Descriptor, offset: u64) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    remote.open(blob, offset)?.read_to_end(&mut content).map_err(Error::io("read", "it"))?;
    Ok(content)
}

#[test]
fn b06_what_lies_elsewhere_is_read_there_by_nobody() {
    let content = noise(1000);
    let served = content.clone();
    let other = Encrypted::new(move |head| match head {
        _ if head.starts_with("GET /moved") => answer("302 There\r\nLocation: /x", ""),
        _ if head.contains("bytes=100-") => {
            answer("206 Part\r\nContent-Range: bytes 100-999/1000", &served[100..])
        }
        _ => answer("200 OK", &served[..]),
    });
    let urls = [
        "file:///etc/passwd".to_owned(),
        format!("https://me:hunter2@{}/x", other.host("localhost")),
        format!("https://{}/moved", other.host("localhost")),
    ];
    let (stub, descriptor) = lacking(&content, &urls);
    let config = Config { credentials: Arc::new(password()), ..trusting(ForeignUrls::Anywhere) };
    let remote = remote_with(&config, &stub.host);
    assert!(read(&remote, &descriptor, 0).unwrap() == content);
    assert!(read(&remote, &descriptor, 100).unwrap() == content[100..]);
    let heads = other.heads();
    assert_eq!(heads.len(), 4, "the one with a password in it is not gone to");
    for head in heads {
        let head = head.to_lowercase();
        assert!(!head.contains("authorization") && !head.contains("cookie"), "{head}");
    }
}

#[test]
fn b06_only_what_a_registry_lacks_is_looked_for_elsewhere() {
    let other = Encrypted::new(|_| answer("200 OK", "x"));
    let mut descriptor = Descriptor::of("a/b", b"x");
    let elsewhere = format!("https://{}/x", other.host("localhost"));
    descriptor.change_more(|more| more.urls = vec![elsewhere]);
    for status in [400, 401, 403, 405, 500] {
        let stub = Stub::new(move |_| Response::new(status));
        let remote = remote_with(&trusting(ForeignUrls::Anywhere), &stub.host);
        let error = remote.open(&descriptor, 0).err().unwrap();
        assert!(!error.is_not_found(), "{error}");
    }
    assert!(other.heads().is_empty());
}

#[test]
fn b06_nothing_that_is_not_public_is_gone_to() {
    let other = Encrypted::new(|_| answer("200 OK", "x"));
    let plain = Stub::new(|_| Response::ok("x"));
    let mut urls: Vec<_> = ["localhost", "127.0.0.1", "127.1", "2130706433", "[::ffff:7f00:1]"]
        .map(|host| format!("https://{}/x", other.host(host)))
        .to_vec();
    urls.push("https://169.254.169.254/latest/meta-data".to_owned());
    urls.push(format!("http://{}/x", plain.host));
    let (stub, descriptor) = lacking(b"x", &urls);
    let remote = remote_with(&trusting(ForeignUrls::Public), &stub.host);
    let error = remote.open(&descriptor, 0).err().unwrap();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(stub.log().len(), 1);
    assert!(other.heads().is_empty() && plain.log().is_empty());
    // The registry itself may be named so, and is still asked.
    let (stub, descriptor) = lacking(b"x", &[format!("https://{}/x", stub.host)]);
    let remote = remote_with(&trusting(ForeignUrls::Public), &stub.host);
    for _ in 0..2 {
        assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    }
    assert_eq!(stub.log().len(), 2);
}

#[test]
fn b06_no_address_is_gone_to_where_that_is_not_wanted() {
    let other = Encrypted::new(|_| answer("200 OK", "x"));
    let urls = [format!("https://{}/x", other.host("localhost"))];
    let (stub, descriptor) = lacking(b"x", &urls);
    let remote = remote_with(&trusting(ForeignUrls::Refused), &stub.host);
    assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    assert!(other.heads().is_empty());
}

#[test]
fn b06_a_redirect_of_what_lies_elsewhere_stays_in_tls() {
    let content = noise(10);
    let plain = Arc::new(Stub::new({
        let content = content.clone();
        move |request| ranged(request, &content)
    }));
    let there = format!("http://{}/x", plain.host);
    let other = Encrypted::new(move |_| answer(&format!("302 There\r\nLocation: {there}"), ""));
    let urls = [format!("https://{}/x", other.host("localhost"))];
    let (stub, descriptor) = lacking(&content, &urls);
    let remote = remote_with(&trusting(ForeignUrls::Anywhere), &stub.host);
    assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    assert!(plain.log().is_empty());
}

#[test]
fn any_number_of_addresses_is_not_tried() {
    let other = Encrypted::new(|_| answer("404 Not Found", ""));
    let url = |number| format!("https://{}/{number}", other.host("localhost"));
    let urls: Vec<_> = (0..1000).map(url).collect();
    let (stub, descriptor) = lacking(b"x", &urls);
    let remote = remote_with(&trusting(ForeignUrls::Anywhere), &stub.host);
    assert!(remote.open(&descriptor, 0).err().unwrap().is_not_found());
    assert_eq!(other.heads().len(), 8);
}

#[test]
fn a_registry_in_the_clear_may_lead_to_another_and_into_tls() {
    let other = Encrypted::new(|_| answer("200 OK", "x"));
    let there = format!("https://{}/x", other.host("localhost"));
    let stub = Stub::new(move |_| Response::new(307).header("location", &there));
    let known = remote_with(&trusting(ForeignUrls::Refused), &stub.host);
    assert_eq!(read(&known, &Descriptor::of("a/b", b"x"), 0).unwrap(), b"x");
    let target = Arc::new(Stub::new(|_| Response::ok("x")));
    let there = format!("http://{}/x", target.host);
    let stub = Stub::new(move |_| Response::new(307).header("location", &there));
    let found = read(&remote(&stub.host), &Descriptor::of("a/b", b"x"), 0);
    assert_eq!(found.unwrap(), b"x");
}
