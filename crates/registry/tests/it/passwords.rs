//! Passwords.

use std::sync::Arc;
use std::time::Duration;

use longshore_registry::front::{Passwords, Server, ServerOptions};
use longshore_spec::Digest;

use crate::client::{Client, Reply, started};
use crate::support::{push_image, writable};

/// `ana` with the password `secret`, as `htpasswd -nbB -C 4` writes it.
const ANA: &str = "ana:$2y$04$JXYLJfVLFx0AFy9LS3dm8OUGRM4xj6F/I2jGBXtoGET3i1fZ5.YYG\n";

/// The same user with the password `changed`.
const ANA_CHANGED: &str = "ana:$2y$04$hOrjEAJrjp0UWTB8Plh3h.GiQZL9gWqGxflINEzg66FKin4fpXWCe\n";

const ANA_SECRET: &str = "authorization: Basic YW5hOnNlY3JldA==\r\n";
const ANA_WRONG: &str = "authorization: Basic YW5hOndyb25n\r\n";
const BOB_SECRET: &str = "authorization: Basic Ym9iOnNlY3JldA==\r\n";

fn passwords(text: &str) -> Passwords {
    let (passwords, refused) = Passwords::parse(text);
    assert_eq!(refused, []);
    passwords
}

fn guarded(anonymous_pull: bool) -> Server {
    let registry = Arc::new(writable());
    push_image(&registry, "app", "v1", b"layer");
    let passwords = Some(passwords(ANA));
    started(&registry, ServerOptions { passwords, anonymous_pull, ..ServerOptions::default() })
}

fn is_challenge(reply: &Reply) -> bool {
    let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    reply.status == 401
        && reply.header("www-authenticate") == "Basic realm=\"longshore\""
        && reply.header("docker-distribution-api-version") == "registry/2.0"
        && document["errors"][0]["code"] == "UNAUTHORIZED"
}

#[test]
fn without_the_right_password_there_is_a_challenge_and_nothing_else() {
    let server = guarded(false);
    let mut client = Client::to(&server);
    for headers in [
        "",
        ANA_WRONG,
        BOB_SECRET,
        "authorization: Bearer abc\r\n",
        "authorization: Basic !\r\n",
        "authorization: Basic\r\n",
        "authorization: Basic YW5h\r\n",
        "authorization: Basic Og==\r\n",
    ] {
        for request in ["GET /v2/", "GET /v2/app/manifests/v1", "GET /metrics", "GET /nowhere"] {
            assert!(is_challenge(&client.ask(request, headers, b"")), "{request} {headers}");
        }
        let post = "POST /v2/app/blobs/uploads/";
        let headers = format!("{headers}content-length: 3\r\n");
        assert!(is_challenge(&client.ask(post, &headers, b"abc")), "{headers}");
    }
    assert_eq!(client.ask("HEAD /v2/app/manifests/v1", "", b"").status, 401);
    assert_eq!(client.ask("GET /healthz", "", b"").body, b"ok\n");
    // The right password is right every time.
    for request in ["GET /v2/", "GET /v2/app/manifests/v1", "GET /metrics"] {
        assert_eq!(client.ask(request, ANA_SECRET, b"").status, 200);
        assert_eq!(client.ask(request, &ANA_SECRET.replace("Basic", "bAsIc"), b"").status, 200);
    }
    let post = format!("POST /v2/app/blobs/uploads/?digest={}", Digest::sha256("abc"));
    let headers = format!("{ANA_SECRET}content-length: 3\r\n");
    assert_eq!(client.ask(&post, &headers, b"abc").status, 201);
}

#[test]
fn a_password_that_was_changed_is_right_no_longer() {
    let server = guarded(false);
    let mut client = Client::to(&server);
    let changed = "authorization: Basic YW5hOmNoYW5nZWQ=\r\n";
    assert_eq!(client.ask("GET /v2/", ANA_SECRET, b"").status, 200);
    assert_eq!(client.ask("GET /v2/", changed, b"").status, 401);
    server.set_passwords(passwords(ANA_CHANGED));
    assert_eq!(client.ask("GET /v2/", ANA_SECRET, b"").status, 401);
    assert_eq!(client.ask("GET /v2/", changed, b"").status, 200);
    server.set_passwords(Passwords::default());
    assert_eq!(client.ask("GET /v2/", changed, b"").status, 401);
}

#[test]
fn pulls_may_need_no_password_and_pushes_do() {
    let server = guarded(true);
    let mut client = Client::to(&server);
    let layer = format!("GET /v2/app/blobs/{}", Digest::sha256("layer"));
    for request in ["GET /v2/app/manifests/v1", "GET /v2/app/tags/list", "GET /metrics", &layer] {
        for none in ["", "authorization: Basic Og==\r\n"] {
            assert_eq!(client.ask(request, none, b"").status, 200, "{request}");
        }
        // A password that is sent is always checked.
        assert!(is_challenge(&client.ask(request, ANA_WRONG, b"")), "{request}");
    }
    let manifest = format!("DELETE /v2/app/manifests/{}", Digest::sha256("x"));
    for request in [
        "POST /v2/app/blobs/uploads/",
        "PUT /v2/app/manifests/v2",
        "PATCH /v2/app/blobs/uploads/x",
        "GET /v2/app/blobs/uploads/x",
        &manifest,
    ] {
        assert!(is_challenge(&client.ask(request, "content-length: 0\r\n", b"")), "{request}");
    }
    // Most clients learn here that they need a password for a push.
    assert!(is_challenge(&client.ask("GET /v2/", "", b"")));
    let docker = "user-agent: docker/27.5.1 go/go1.22.11 kernel/6.1 os/linux\r\n";
    assert_eq!(client.ask("GET /v2/", docker, b"").status, 200);
    assert_eq!(client.ask("GET /v2/", ANA_SECRET, b"").status, 200);
}

#[test]
fn f46_who_is_wrong_too_often_has_to_wait_but_not_with_what_is_known_to_be_right() {
    let server = guarded(false);
    let mut client = Client::to(&server);
    assert_eq!(client.ask("GET /v2/", ANA_SECRET, b"").status, 200);
    let refused =
        (0..100).map(|_| client.ask("GET /v2/", BOB_SECRET, b"")).find(|reply| reply.status == 429);
    let refused = refused.expect("a hundred attempts are too many");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(client.ask("GET /v2/", ANA_WRONG, b"").status, 429);
    assert_eq!(client.ask("GET /v2/", ANA_SECRET, b"").status, 200);
}

#[test]
fn many_clients_of_one_user_come_in_at_once() {
    let server = guarded(false);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                assert_eq!(Client::to(&server).ask("GET /v2/", ANA_SECRET, b"").status, 200);
            });
        }
    });
}

#[test]
fn who_hangs_up_before_the_answer_has_guessed_all_the_same() {
    let registry = Arc::new(writable());
    // With this cost, a check takes longer than hanging up.
    let slow = ANA.replace("$04$", "$08$");
    let passwords = Some(passwords(&slow));
    let server = started(&registry, ServerOptions { passwords, ..ServerOptions::default() });
    for _ in 0..30 {
        let mut client = Client::to(&server);
        client.send(format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{ANA_WRONG}\r\n").as_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Far below the limit.
    let mut statuses = (0..10).map(|_| {
        std::thread::sleep(Duration::from_millis(200));
        Client::to(&server).ask("GET /v2/", BOB_SECRET, b"").status
    });
    assert!(statuses.any(|status| status == 429));
}
