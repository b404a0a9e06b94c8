//! All requests (rows E-01 to E-13).

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use longshore_remote::credentials::{Credential, Credentials};
use longshore_remote::{Client, Config, Mirror, Proxies, Secret};
use longshore_spec::{Descriptor, RepositoryName};
use longshore_store::{Error, Selector, Source as _, Target as _};

use crate::fake::ranged;
use crate::stub::{Response, Stub};
use crate::support::{Piece, config, image, noise, registry, remote};

fn content(host: &str, descriptor: &Descriptor, offset: u64) -> Result<Vec<u8>, Error> {
    let remote = remote(host);
    let mut content = Vec::new();
    remote.open(descriptor, offset)?.read_to_end(&mut content).map_err(Error::io("read", "it"))?;
    Ok(content)
}

#[test]
fn e01_a_ping_tells_registries_from_others() {
    let ping = |status| {
        let stub = Stub::new(move |_| Response::new(status));
        let result = registry(&stub.host).ping();
        assert_eq!(stub.log(), ["GET /v2/"]);
        result
    };
    assert!(ping(200).is_ok());
    assert!(matches!(ping(401), Err(Error::Denied { .. })));
    assert!(matches!(ping(404), Err(Error::Unsupported { .. })));
    let teapot = ping(418).unwrap_err().to_string();
    assert!(teapot.starts_with("cannot use 127.0.0.1:"), "{teapot}");
    // A web server may have a page for every address. A registry may call its answer HTML.
    for (body, is_registry) in [(" <!doctype html>", false), ("true", true), ("", true)] {
        let stub = Stub::new(move |_| Response::ok(body).header("content-type", "text/html"));
        assert_eq!(registry(&stub.host).ping().is_ok(), is_registry, "{body}");
    }
}

#[test]
fn e05_redirects_keep_the_range_and_not_the_credential() {
    let blob = noise(1000);
    let descriptor = Descriptor::of("a/b", &blob);
    let (expected, served) = (blob[100..].to_vec(), blob.clone());
    let other = Arc::new(Stub::new(move |request| ranged(request, &served)));
    let location = format!("http://{}/elsewhere?sig=a%2Fb", other.host);
    let stub = Stub::new(move |request| match request.header("authorization") {
        Some(_) if request.is("GET", "/blobs/") => {
            Response::new(307).header("location", "/here?x=1")
        }
        Some(_) => Response::new(302).header("location", &location),
        None => Response::new(401).header("www-authenticate", "Basic realm=x"),
    });
    let credential =
        Credential::Password { username: "me".to_owned(), password: Secret::new("hunter2") };
    let config = Config { credentials: Arc::new(credential), ..config() };
    let registry = Client::new(&config).unwrap().registry(&stub.host).unwrap();
    let remote = registry.remote_repository(&"library/app".parse().unwrap());
    let mut content = Vec::new();
    remote.open(&descriptor, 100).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, expected);
    let there = other.requests();
    assert_eq!(there[0].target, "/elsewhere?sig=a%2Fb");
    assert_eq!(there[0].header("range"), Some("bytes=100-"));
    assert_eq!(there[0].header("authorization"), None);
    // The first request did not know the challenge, the second did, and the redirect stayed on the same
    // host.
    let known: Vec<_> =
        stub.requests().iter().map(|each| each.header("authorization").is_some()).collect();
    assert_eq!(known, [false, true, true]);
}

#[test]
fn e05_a_body_is_sent_again_to_where_a_redirect_leads() {
    let stub = Stub::new(|request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up/1"),
        "PUT" if request.path() == "/up/1" => Response::new(307).header("location", "/up/2?x=1"),
        "PUT" => Response::new(201),
        _ => Response::new(404),
    });
    let piece = Piece::new(noise(600_000));
    remote(&stub.host).push_blob(&piece).unwrap();
    let last = stub.requests().pop().unwrap();
    assert!(last.target.starts_with("/up/2?x=1"), "{}", last.target);
    assert_eq!(last.body, piece.content);
}

#[test]
fn e05_redirects_end() {
    let stub = Stub::new(|_| Response::new(301).header("location", "/again"));
    let error = content(&stub.host, &Descriptor::of("a/b", b"x"), 0).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert_eq!(stub.log().len(), 11);
}

#[test]
fn e08_a_host_that_asks_for_rest_gets_it() {
    let raw = image(None).raw().clone();
    let count = Mutex::new(0);
    let stub = Stub::new(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        match *count {
            1 => Response::new(429).header("retry-after", "1"),
            2 => Response::new(503),
            _ => Response::ok(raw.clone()).header("content-type", "application/json"),
        }
    });
    let start = Instant::now();
    remote(&stub.host).manifest(&Selector::Name("v1".into())).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(stub.log().len(), 3);
}

#[test]
fn e08_a_host_that_asks_for_an_hour_is_not_waited_for() {
    for status in [429, 503] {
        let stub = Stub::new(move |_| Response::new(status).header("retry-after", "3600"));
        let error = remote(&stub.host).manifest(&Selector::Name("v1".into())).unwrap_err();
        assert!(error.said().is_some_and(|said| said.status == status), "{error}");
        assert_eq!(stub.log().len(), 1, "{status}");
    }
}

#[test]
fn failures_that_stay_are_not_tried_again() {
    for (status, requests) in [(403, 1), (404, 1), (409, 1), (500, 4), (429, 4)] {
        let stub = Stub::new(move |_| Response::new(status).body("<html>no</html>"));
        let error = remote(&stub.host).manifest(&Selector::Name("v1".into())).unwrap_err();
        assert_eq!(stub.log().len(), requests, "{status}: {error}");
        match status {
            403 => assert!(matches!(error, Error::Denied { .. })),
            404 => assert!(error.is_not_found()),
            429 => assert!(matches!(error, Error::Throttled { .. })),
            _ => assert!(matches!(error, Error::Refused { .. })),
        }
    }
}

#[test]
fn a_host_that_hangs_up_is_asked_again() {
    let count = Mutex::new(0);
    let raw = image(None).raw().clone();
    let stub = Stub::new(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        if *count < 3 { Response::hang_up() } else { Response::ok(raw.clone()) }
    });
    remote(&stub.host).manifest(&Selector::Name("v1".into())).unwrap();
    let nobody = remote("127.0.0.1:1").manifest(&Selector::Name("v1".into())).unwrap_err();
    assert!(nobody.to_string().starts_with("cannot reach 127.0.0.1:1: "), "{nobody}");
    // Of many artifacts of such a host, only the first one waits.
    let (away, begun) = (remote("127.0.0.1:1"), Instant::now());
    for number in 0..100 {
        let error =
            away.manifest(&Selector::Name(format!("v{number}").as_str().into())).unwrap_err();
        assert_eq!(error.to_string(), nobody.to_string());
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn e09_a_refusal_says_what_the_registry_said() {
    let body = r#"{"errors":[{"code":"TEAPOT","message":"short\u001b[31m","detail":{"a":[1]}}]}"#;
    let stub = Stub::new(move |_| Response::new(418).body(body));
    let error = remote(&stub.host).manifest(&Selector::Name("v1".into())).unwrap_err();
    let expected = format!(
        "cannot read {0}/library/app:v1: {0} answered 418: TEAPOT: short [31m: a 1",
        stub.host
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn e11_a_warning_is_passed_on_once() {
    let raw = image(None).raw().clone();
    let stub = Stub::new(move |_| {
        Response::ok(raw.clone())
            .header("warning", "299 - \"going \\\"away\\\"\", 299 - \"soon\"")
            .header("warning", "199 - \"other\"")
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let on_warning = move |_: &str, text: &str| sink.lock().unwrap().push(text.to_owned());
    let config = Config { on_warning: Some(Arc::new(on_warning)), ..config() };
    let registry = Client::new(&config).unwrap().registry(&stub.host).unwrap();
    let remote = registry.remote_repository(&"library/app".parse().unwrap());
    for _ in 0..5 {
        remote.manifest(&Selector::Name("v1".into())).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), ["going \"away\"", "soon"]);
}

#[test]
fn requests_pass_through_a_proxy_unless_they_shall_not() {
    let raw = image(None).raw().clone();
    let proxy = Stub::new(move |_| Response::ok(raw.clone()));
    let through = |no_proxy: Option<&str>| {
        let proxies = Proxies {
            http: Some(Secret::new(format!("http://user:hunter2@{}", proxy.host))),
            no_proxy: no_proxy.map(str::to_owned),
            ..Proxies::default()
        };
        let plain_http = longshore_remote::PlainHttp::Always;
        let config = Config { proxies, plain_http, retries: 0, ..config() };
        assert!(!format!("{config:?}").contains("hunter2"));
        let registry = Client::new(&config).unwrap().registry("r.invalid").unwrap();
        let remote = registry.remote_repository(&"library/app".parse().unwrap());
        remote.manifest(&Selector::Name("v1".into()))
    };
    through(None).unwrap();
    assert_eq!(proxy.log(), ["GET http://r.invalid/v2/library/app/manifests/v1"]);
    for direct in ["r.invalid", "*", "r.invalid:80", ".invalid", "a.example, INVALID"] {
        let error = through(Some(direct)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(proxy.log().len(), 1);
    through(Some("a.example,r.invalid:5000")).unwrap();
    assert_eq!(proxy.log().len(), 2);
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    let proxy = Stub::new(|_| Response::new(503));
    let stub = Stub::new(|_| Response::ok(image(None).raw().clone()));
    let port = stub.host.rsplit(':').next().unwrap();
    for host in [stub.host.clone(), format!("localhost:{port}")] {
        let address = Some(Secret::new(format!("http://{}", proxy.host)));
        let proxies = Proxies { http: address.clone(), https: address, no_proxy: None };
        let config = Config { proxies, ..config() };
        let registry = Client::new(&config).unwrap().registry(&host).unwrap();
        let remote = registry.remote_repository(&"library/app".parse().unwrap());
        remote.manifest(&Selector::Name("v1".into())).unwrap();
    }
    assert!(proxy.log().is_empty());
}

#[test]
fn a_proxy_gets_its_own_password_and_no_other() {
    let proxy = Stub::new(|request| match request.header("authorization") {
        Some(_) => Response::ok(image(None).raw().clone()),
        None => Response::new(401).header("www-authenticate", "Basic realm=x"),
    });
    let address = Secret::new(format!("user:hunter2@{}", proxy.host));
    let proxies = Proxies { http: Some(address), ..Proxies::default() };
    let credential =
        Credential::Password { username: "me".to_owned(), password: Secret::new("other") };
    let plain_http = longshore_remote::PlainHttp::Always;
    let credentials = Arc::new(credential);
    let config = Config { proxies, plain_http, credentials, ..config() };
    let registry = Client::new(&config).unwrap().registry("r.invalid").unwrap();
    let remote = registry.remote_repository(&"library/app".parse().unwrap());
    remote.manifest(&Selector::Name("v1".into())).unwrap();
    for request in proxy.requests() {
        let shown = request.header("proxy-authorization");
        assert_eq!(shown, Some("Basic dXNlcjpodW50ZXIy"), "{request:?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let credential =
        Credential::Password { username: "me".to_owned(), password: Secret::new("hunter2") };
    let location = "http://me:hunter2@127.0.0.1:1/blob?token=hunter2";
    let stub = Stub::new(move |_| Response::new(307).header("location", location));
    let config = Config { credentials: Arc::new(credential), retries: 0, ..config() };
    let client = Client::new(&config).unwrap();
    let registry = client.registry(&stub.host).unwrap();
    let remote = registry.remote_repository(&"library/app".parse().unwrap());
    let error = remote.open(&Descriptor::of("a/b", b"x"), 0).err().unwrap();
    let shown = format!("{error} {error:?} {config:?} {client:?} {registry:?} {remote:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let stub = Stub::new(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Response::new(200)
    });
    let config = Config { idle_timeout: Duration::from_millis(50), retries: 1, ..config() };
    let registry = Client::new(&config).unwrap().registry(&stub.host).unwrap();
    let start = Instant::now();
    let error = registry.ping().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(error.to_string().contains("it said nothing"), "{error}");
}

#[test]
fn e14_a_mirror_is_told_whose_content_is_meant_and_not_who_asks() {
    #[derive(Debug)]
    struct OnlyForOrigin;

    impl Credentials for OnlyForOrigin {
        fn find(
            &self,
            registry: &str,
            _: Option<&RepositoryName>,
        ) -> Result<Option<Credential>, Error> {
            let known =
                Credential::Password { username: "me".to_owned(), password: Secret::new("p") };
            Ok((registry == "origin.example").then_some(known))
        }
    }

    let raw = image(None).raw().clone();
    let stub = Arc::new(Stub::new(move |request| match request.method.as_str() {
        "POST" => Response::new(202).header("location", "/up"),
        "PUT" => Response::new(201),
        _ if request.header("authorization").is_some() => Response::new(403),
        // The server asks for a client certificate, and continues without one.
        _ if request.is("GET", "/tags/list?") && request.param("last").is_none() => {
            let next = format!("<{}&last=a>; rel=\"next\"", request.target);
            Response::ok(r#"{"tags":["a"]}"#).header("link", next)
        }
        _ if request.is("GET", "/tags/list?") => Response::ok(r#"{"tags":["b"]}"#),
        _ if request.is("GET", "/blobs/") => Response::ok("content"),
        _ if request.is("GET", "/referrers/") => {
            Response::new(401).header("www-authenticate", "Basic realm=x")
        }
        _ => Response::ok(raw.clone()),
    }));
    let ask = |mirrors: Vec<Mirror>| {
        let config = Config { credentials: Arc::new(OnlyForOrigin), mirrors, ..config() };
        let registry = Client::new(&config).unwrap().registry(&stub.host).unwrap();
        let remote = registry.remote_repository(&"library/app".parse().unwrap());
        remote.manifest(&Selector::Name("v1".into())).unwrap();
        assert_eq!(remote.names().unwrap().len(), 2);
        remote.open(&Descriptor::of("a/b", b"content"), 0).unwrap();
        assert!(remote.referrers(&image(None).descriptor().digest).is_err());
        let before = stub.requests().len();
        remote.push_blob(&Piece::new("content")).unwrap();
        let requests = stub.requests();
        assert!(requests.iter().all(|each| each.header("authorization").is_none()));
        assert!(requests[before..].iter().all(|each| each.params("ns").is_empty()));
        requests[..before].iter().map(|each| each.params("ns")).collect::<Vec<_>>()
    };
    let told = ask(Vec::new());
    assert!(told.iter().all(Vec::is_empty), "{told:?}");
    let (host, of) = (stub.host.clone(), "origin.example".to_owned());
    let told = ask(vec![Mirror { host, of }]).split_off(told.len() + 2);
    assert_eq!(told.len(), 5);
    assert!(told.iter().all(|each| *each == ["origin.example"]), "{told:?}");
}
