//! Authentication (row E-15).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use longshore_remote::credentials::Credential;
use longshore_remote::{Client, Config, CredentialCheck, Registry, Secret};
use longshore_spec::Descriptor;
use longshore_store::{Entry, Error, Selector, Source as _, SourcePlace as _, Target as _};

use crate::stub::{Request, Response, Stub};
use crate::support::{Piece, config, image, registry};

fn password() -> Credential {
    Credential::Password { username: "me".to_owned(), password: Secret::new("hunter2") }
}

fn registry_as(host: &str, credential: Credential) -> Registry {
    let config = Config { credentials: Arc::new(credential), ..config() };
    Client::new(&config).unwrap().registry(host).unwrap()
}

fn read(registry: &Registry, repository: &str) -> Result<(), Error> {
    let remote = registry.remote_repository(&repository.parse().unwrap());
    remote.manifest(&Selector::Name("v1".into())).map(drop)
}

/// A service that hands out the tokens `t1`, `t2` and so on.
fn tokens(life: u64) -> Arc<Stub> {
    let count = AtomicUsize::new(0);
    Arc::new(Stub::new(move |request| {
        assert!(!request.is("GET", "refuse"));
        let token = format!("t{}", count.fetch_add(1, Ordering::SeqCst) + 1);
        let member = if life.is_multiple_of(2) { "token" } else { "access_token" };
        Response::ok(serde_json::json!({member: token, "expires_in": life}).to_string())
    }))
}

/// A registry that accepts the tokens for which `takes` returns true.
fn guarded(service: &Stub, takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> Stub {
    let raw = image(None).raw().clone();
    let host = service.host.clone();
    Stub::new(move |request: &Request| {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if token.is_some_and(&takes) {
            return Response::ok(raw.clone());
        }
        let challenge = format!(
            "Bearer realm=\"http://{host}/token?a=1,2\",service=\"the, service\",scope=\"repository:a/b:pull\""
        );
        Response::new(401).header("www-authenticate", challenge)
    })
}

#[test]
fn the_address_for_tokens_may_be_relative() {
    for realm in ["/token", "../../../../token", "//HOST/token", "/token?x=1"] {
        let raw = image(None).raw().clone();
        let stub = Stub::new(move |request: &Request| {
            let token = request.header("authorization");
            match request.path() {
                // Some services end tokens with a newline.
                "/token" => Response::ok("{\"token\": \"t1\\n\"}"),
                _ if token == Some("Bearer t1") => Response::ok(raw.clone()),
                _ => {
                    let realm = realm.replace("HOST", request.header("host").unwrap());
                    let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
                    Response::new(401).header("www-authenticate", challenge)
                }
            }
        });
        read(&registry(&stub.host), "a/b").unwrap();
    }
    let stub = Stub::new(|_| {
        Response::new(401).header("www-authenticate", "Bearer realm=\"ftp://x/token\"")
    });
    let error = read(&registry(&stub.host), "a/b").unwrap_err().to_string();
    assert!(error.starts_with("the address for tokens that"), "{error}");
}

#[test]
fn a_token_is_fetched_once_and_used_again() {
    let service = tokens(300);
    let stub = guarded(&service, |_| true);
    let registry = registry(&stub.host);
    for _ in 0..3 {
        read(&registry, "a/b").unwrap();
    }
    let asked = service.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].params("service"), ["the,%20service"]);
    assert_eq!(asked[0].params("scope"), ["repository:a/b:pull"]);
    assert_eq!(asked[0].params("a"), ["1,2"]);
    assert_eq!(asked[0].header("authorization"), None, "nobody asks as nobody");
    assert_eq!(stub.log().len(), 4);
    // Another repository needs another token.
    read(&registry, "c/d").unwrap();
    let scopes = service.requests()[1].params("scope");
    assert_eq!(scopes, ["repository:c/d:pull", "repository:a/b:pull"]);
}

#[test]
fn a_password_goes_to_the_service_and_not_to_the_registry() {
    let service = tokens(301);
    let stub = guarded(&service, |_| true);
    read(&registry_as(&stub.host, password()), "a/b").unwrap();
    let asked = &service.requests()[0];
    assert_eq!(asked.header("authorization"), Some("Basic bWU6aHVudGVyMg=="));
    assert_eq!(asked.params("account"), ["me"]);
    let sent = stub.requests();
    assert!(sent.iter().all(|each| !format!("{each:?}").contains("Basic ")));
}

#[test]
fn an_identity_token_is_exchanged() {
    let service = tokens(300);
    let stub = guarded(&service, |_| true);
    read(&registry_as(&stub.host, Credential::Identity(Secret::new("id&tok"))), "a/b").unwrap();
    let asked = &service.requests()[0];
    assert_eq!(asked.method, "POST");
    let form = String::from_utf8(asked.body.clone()).unwrap();
    assert!(form.contains("grant_type=refresh_token&refresh_token=id%26tok"), "{form}");
    assert!(form.contains("scope=repository:a/b:pull"), "{form}");
}

#[test]
fn a_token_for_the_registry_itself_is_sent_as_it_is() {
    let service = tokens(300);
    let stub = guarded(&service, |token| token == "mine");
    read(&registry_as(&stub.host, Credential::Token(Secret::new("mine"))), "a/b").unwrap();
    assert!(service.log().is_empty());
}

#[test]
fn a_token_that_is_no_longer_taken_is_replaced_once() {
    let service = tokens(300);
    let taken = Arc::new(Mutex::new("t1".to_owned()));
    let wanted = Arc::clone(&taken);
    let stub = guarded(&service, move |token| *wanted.lock().unwrap() == token);
    let registry = registry(&stub.host);
    read(&registry, "a/b").unwrap();
    "t2".clone_into(&mut taken.lock().unwrap());
    read(&registry, "a/b").unwrap();
    assert_eq!(service.log().len(), 2);
    "never".clone_into(&mut taken.lock().unwrap());
    let error = read(&registry, "a/b").unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(service.log().len(), 3, "it is not asked for ever");
}

#[test]
fn an_expired_token_is_not_used() {
    let service = tokens(1);
    let stub = guarded(&service, |_| true);
    let registry = registry(&stub.host);
    read(&registry, "a/b").unwrap();
    thread::sleep(std::time::Duration::from_millis(600));
    read(&registry, "a/b").unwrap();
    assert_eq!(service.log().len(), 2);
    assert_eq!(stub.log().len(), 3, "the second request had a fresh token from the start");
}

#[test]
fn all_who_need_a_token_wait_for_one() {
    let service = tokens(300);
    let stub = guarded(&service, |_| true);
    let registry = registry(&stub.host);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| read(&registry, "a/b").unwrap());
        }
    });
    assert!(service.log().len() <= 8);
    read(&registry, "a/b").unwrap();
    let fetched = service.log().len();
    assert_eq!(fetched, 1, "{fetched} tokens for the same wish");
}

#[test]
fn a_mount_asks_for_both_repositories() {
    let service = tokens(300);
    let host = service.host.clone();
    let stub = Stub::new(move |request| {
        if request.header("authorization").is_some() {
            return Response::new(201).header("location", "/x");
        }
        let challenge = format!("Bearer realm=\"http://{host}/token\"");
        Response::new(401).header("www-authenticate", challenge)
    });
    let registry = registry(&stub.host);
    let mut piece = Piece::new("content");
    piece.location = registry.remote_repository(&"from/here".parse().unwrap()).location();
    registry.remote_repository(&"to/there".parse().unwrap()).push_blob(&piece).unwrap();
    let scopes = service.requests()[0].params("scope");
    assert_eq!(scopes, ["repository:from/here:pull", "repository:to/there:pull,push"]);
}

#[test]
fn basic_is_answered_with_the_password() {
    let raw = image(None).raw().clone();
    let stub = Stub::new(move |request| match request.header("authorization") {
        Some("Basic bWU6aHVudGVyMg==") => Response::ok(raw.clone()),
        _ => Response::new(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    let registry = registry_as(&stub.host, password());
    read(&registry, "a/b").unwrap();
    read(&registry, "a/b").unwrap();
    assert_eq!(stub.log().len(), 3, "after the first, it is sent without being asked");
    let wrong = Credential::Password { username: "me".to_owned(), password: Secret::new("no") };
    let error = read(&registry_as(&stub.host, wrong), "a/b").unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
}

const BASIC: &str = "Basic bWU6aHVudGVyMg==";

/// Where a registry sends its challenge.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asks {
    Everywhere,
    OnlyAtRoot,
    /// Everybody may read the root.
    NotAtRoot,
}

/// A registry that wants a password, with a challenge as `asks` and with `status`.
fn private(asks: Asks, status: u16, tokens: Option<String>) -> Stub {
    let raw = image(None).raw().clone();
    let wanted = if tokens.is_some() { "Bearer right" } else { BASIC };
    let challenge = match tokens {
        Some(host) => format!("Bearer realm=\"http://{host}/token\""),
        None => "Basic realm=\"x\"".to_owned(),
    };
    Stub::new(move |request| {
        let is_root = request.path() == "/v2/";
        let is_open = is_root && asks == Asks::NotAtRoot;
        match request.header("authorization") {
            Some(shown) if shown == wanted => {}
            None if is_open => {}
            _ if asks == Asks::OnlyAtRoot && !is_root => return Response::new(status),
            _ => return Response::new(status).header("www-authenticate", &challenge),
        }
        match request.path() {
            "/v2/" => Response::ok("{}"),
            path if path.contains("/tags/list") || path.contains("_catalog") => {
                Response::ok(r#"{"tags":["v1"],"repositories":["a/b"]}"#)
            }
            path if path.contains("/referrers/") => Response::new(404),
            path if path.contains("/uploads/") => Response::new(201),
            path if path.contains("/manifests/sha256-") => Response::new(404),
            _ => Response::ok(raw.clone()),
        }
    })
}

/// A token service that knows one name and password.
fn service() -> Stub {
    Stub::new(|request| match request.header("authorization") {
        Some(BASIC) => Response::ok(r#"{"token": "right"}"#),
        _ => Response::new(401).body(r#"{"details": "who is that?"}"#),
    })
}

#[test]
fn what_is_wanted_may_be_said_anywhere_and_with_many_statuses() {
    for asks in [Asks::Everywhere, Asks::OnlyAtRoot, Asks::NotAtRoot] {
        for status in [400, 401, 403, 404] {
            for with_tokens in [false, true] {
                let service = service();
                let tokens = with_tokens.then(|| service.host.clone());
                let stub = private(asks, status, tokens);
                let each = || registry_as(&stub.host, password());
                let context = format!("{asks:?} {status} {with_tokens}");
                read(&each(), "a/b").expect(&context);
                let remote = each().remote_repository(&"a/b".parse().unwrap());
                assert_eq!(remote.names().expect(&context).len(), 1, "{context}");
                let digest = image(None).descriptor().digest.clone();
                let remote = each().remote_repository(&"a/b".parse().unwrap());
                remote.referrers(&digest).expect(&context);
                let all = each().repositories().expect(&context);
                assert_eq!(all.len(), 1, "{context}");
                let remote = each().remote_repository(&"a/b".parse().unwrap());
                remote.push_blob(&Piece::new("x")).expect(&context);
                let remote = each().remote_repository(&"a/b".parse().unwrap());
                assert!(remote.open(&Descriptor::of("a/b", b"x"), 0).is_ok(), "{context}");
                each().ping().expect(&context);
                assert_eq!(
                    each().try_credential().expect(&context),
                    CredentialCheck::Taken,
                    "{context}"
                );
                let wrong = || {
                    let username = "me".to_owned();
                    let wrong = Credential::Password { username, password: Secret::new("wrong") };
                    registry_as(&stub.host, wrong)
                };
                let error = wrong().try_credential().expect_err(&context);
                assert!(matches!(error, Error::Denied { .. }), "{context}: {error}");
                read(&wrong(), "a/b").expect_err(&context);
            }
        }
    }
}

#[test]
fn who_has_nothing_to_show_asks_no_more_than_once_more() {
    for status in [400, 403, 404] {
        let stub = private(Asks::OnlyAtRoot, status, None);
        let registry = registry(&stub.host);
        for _ in 0..3 {
            read(&registry, "a/b").unwrap_err();
        }
        assert_eq!(stub.log().len(), 3, "{status}");
    }
    let stub = private(Asks::OnlyAtRoot, 401, None);
    let registry = registry(&stub.host);
    for _ in 0..3 {
        read(&registry, "a/b").unwrap_err();
    }
    assert_eq!(stub.count("GET /v2/ "), 0);
    assert_eq!(stub.log().iter().filter(|line| *line == "GET /v2/").count(), 1);
}

#[test]
fn a_registry_that_lets_everybody_in_says_nothing_of_a_password() {
    let open = Stub::new(|_| Response::ok("{}"));
    assert_eq!(
        registry_as(&open.host, password()).try_credential().unwrap(),
        CredentialCheck::NotAsked
    );
    // The password was sent only at the end, and only to the root.
    let shown = open.requests().into_iter().filter(|each| each.header("authorization").is_some());
    assert_eq!(shown.map(|each| each.target).collect::<Vec<_>>(), ["/v2/"]);
    // A registry that checks credentials, and never asks for them.
    let looking = Stub::new(|request| match request.header("authorization") {
        None | Some(BASIC) => Response::ok("{}"),
        _ => Response::new(401),
    });
    registry_as(&looking.host, password()).try_credential().unwrap();
    let wrong = Credential::Password { username: "me".to_owned(), password: Secret::new("no") };
    let error = registry_as(&looking.host, wrong).try_credential().unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    // A registry whose catalog is for its owner, who this client is not.
    let owned = Stub::new(|request| match (request.path(), request.header("authorization")) {
        ("/v2/", _) => Response::ok("{}"),
        ("/v2/_catalog", Some(BASIC)) => Response::new(403),
        (_, Some(BASIC)) => Response::new(404),
        _ => Response::new(401).header("www-authenticate", "Basic realm=\"x\""),
    });
    assert_eq!(
        registry_as(&owned.host, password()).try_credential().unwrap(),
        CredentialCheck::Taken
    );
}

#[test]
fn a_service_that_refuses_is_heard() {
    let service =
        Stub::new(|_| Response::new(401).body(r#"{"details": "incorrect username or password"}"#));
    let stub = guarded(&service, |_| true);
    let error = read(&registry_as(&stub.host, password()), "a/b").unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
}

#[test]
fn nobody_else_gets_to_see_who_asks() {
    let other =
        Arc::new(Stub::new(|_| Response::new(401).header("www-authenticate", "Basic realm=\"x\"")));
    let location = format!("http://{}/blob", other.host);
    let stub = Stub::new(move |_| Response::new(307).header("location", &location));
    let registry = registry_as(&stub.host, password());
    let remote = registry.remote_repository(&"a/b".parse().unwrap());
    let error = remote.open(&Descriptor::of("a/b", b"x"), 0).err().unwrap();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(other.requests().iter().all(|each| each.header("authorization").is_none()));
}

#[test]
fn who_may_push_needs_no_second_token_to_pull() {
    let service = tokens(300);
    let stub = guarded(&service, |_| true);
    let remote = registry(&stub.host).remote_repository(&"a/b".parse().unwrap());
    remote.push_manifest(&image(None), Entry::Child).unwrap();
    remote.manifest(&Selector::Name("v1".into())).unwrap();
    assert_eq!(service.log().len(), 1);
    assert_eq!(service.requests()[0].params("scope"), ["repository:a/b:pull,push"]);
}
