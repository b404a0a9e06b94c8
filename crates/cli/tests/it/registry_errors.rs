//! What is said when a registry cannot be reached, or does not let one in, or cannot do something.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use longshore_fixture::proxy::{Answer, Class, Faults, Proxy, Rules};
use longshore_fixture::tls;

use crate::common::{Ran, Site, redacted, two_platforms};
use crate::serve::SECRET;
use crate::servers::{Served, Stub};

/// How long it may take until a host is given up that takes no connection. Without the bound it
/// would be 8 s and more.
const SOON: Duration = Duration::from_secs(5);

/// Runs commands in which `HOST` is a host; returns what a terminal would show.
fn errors(site: &Site, host: &str, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.replace("HOST", host)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let port = host.rsplit(':').next().unwrap_or_default();
    let shown = redacted(&site.errors(&lines)).replace(host, "HOST");
    shown.replace(&format!("port {port}"), "port PORT")
}

#[test]
fn who_takes_no_connection_is_told_soon() {
    let site = Site::image();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let start = Instant::now();
    insta::assert_snapshot!(errors(&site, &host, &[
        "copy HOST/app:v1 oci:dst",
        "copy oci:src HOST/app:v1",
    ]), @r"
    $ longshore copy HOST/app:v1 oci:dst
    error: cannot reach HOST: nothing listens on port PORT
      hint: check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: cannot reach HOST: nothing listens on port PORT
      hint: check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`
    [exit 2]
    ");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // Whoever wants to know sees that it tries again.
    let ran = site.run(&format!("copy -v {host}/app:v1 oci:dst"));
    assert!(ran.stderr.contains("trying again"), "{}", ran.stderr);
}

#[test]
fn a_host_without_an_address_is_told_soon() {
    let site = Site::image();
    let start = Instant::now();
    let ran = site.run("list no-such-host.invalid/app");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: cannot reach no-such-host.invalid: "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("\n  hint: check its name, the network and the name server"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_certificate_that_is_not_good_is_told() {
    let site = Site::image();
    for (name, pem) in
        [("authority", tls::AUTHORITY), ("other", tls::OTHER_HOST), ("expired", tls::EXPIRED)]
    {
        site.file(&format!("{name}.pem"), pem);
    }
    site.file("notes.txt", "no certificate\n");
    let start = |pem| {
        let page = |request: &str| {
            let body = if request.contains("/tags/list") { r#"{"tags":["v1"]}"# } else { "{}" };
            ("200 OK".to_owned(), body.as_bytes().to_vec())
        };
        format!("localhost:{}", tls::serve(pem, page).unwrap().port())
    };
    let shown = [
        (tls::OTHER_HOST, "copy oci:src HOST/app:v1 --tls-ca other.pem"),
        (tls::AUTHORITY, "copy oci:src HOST/app:v1 --tls-ca other.pem"),
        (tls::SERVER, "copy HOST/app:v1 oci:dst --tls-ca other.pem"),
        (tls::EXPIRED, "copy HOST/app:v1 oci:dst --tls-ca expired.pem"),
        (tls::AUTHORITY, "copy HOST/app:v1 oci:dst --tls-ca notes.txt"),
        (tls::AUTHORITY, "copy HOST/app:v1 oci:dst --tls-ca none.pem"),
    ]
    .map(|(pem, line)| errors(&site, &start(pem), &[line]));
    insta::assert_snapshot!(shown.join("\n"), @r"
    $ longshore copy oci:src HOST/app:v1 --tls-ca other.pem
    error: cannot reach HOST: its certificate is for elsewhere.example, not for localhost
      hint: use a host name that its certificate covers; --tls-ca does not help here; --insecure trusts anybody who answers
    [exit 2]

    $ longshore copy oci:src HOST/app:v1 --tls-ca other.pem
    error: cannot reach HOST: its certificate is an authority's own, and not trusted here
      hint: trust its authority, or just this certificate, with --tls-ca FILE; --insecure trusts anybody who answers
    [exit 2]

    $ longshore copy HOST/app:v1 oci:dst --tls-ca other.pem
    error: cannot reach HOST: its certificate is not from an authority that is trusted here
      hint: trust its authority, or just this certificate, with --tls-ca FILE; --insecure trusts anybody who answers
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst --tls-ca expired.pem
    error: cannot reach HOST: its certificate has expired
      hint: check the clock of this machine, and have the certificate renewed; --insecure trusts anybody who answers
    [exit 1]

    $ longshore copy HOST/app:v1 oci:dst --tls-ca notes.txt
    error: an authority is malformed: there is no certificate in PEM in the file
      hint: --tls-ca expects a file of certificates in PEM
    [exit 2]

    $ longshore copy HOST/app:v1 oci:dst --tls-ca none.pem
    error: cannot read none.pem: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]
    ");
    // Each of the two hints helps.
    let host = start(tls::AUTHORITY);
    for flag in ["--tls-ca authority.pem", "--insecure"] {
        let ran = site.run(&format!("verify {host}/app:v2 {flag}"));
        assert!(!ran.stderr.contains("cannot reach"), "{flag}: {}", ran.stderr);
    }
}

#[test]
fn who_is_not_let_in_is_told() {
    let site = Site::image();
    site.file("auth.json", "{}");
    let basic = Stub::start(|_| {
        let head = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"site\"";
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        (head.to_owned(), body.as_bytes().to_vec())
    });
    // A service that hands out tokens which the registry finds to have expired.
    let service = Stub::start(|_| ("200 OK".to_owned(), br#"{"token":"old"}"#.to_vec()));
    let realm = service.host();
    let expired = Stub::start(move |_| {
        let head = format!(
            "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://{realm}/token\",service=\"site\",error=\"invalid_token\""
        );
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"the token has expired"}]}"#;
        (head, body.as_bytes().to_vec())
    });
    // A service that does not know the password.
    let refusing = Stub::start(|_| {
        let body =
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#;
        ("401 Unauthorized".to_owned(), body.as_bytes().to_vec())
    });
    let realm = refusing.host();
    let guarded = Stub::start(move |_| {
        let head =
            format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://{realm}/token\"");
        (head, Vec::new())
    });
    let shown = [
        basic.errors(&site, "copy --authfile auth.json HOST/app:v1 oci:dst"),
        basic.errors(&site, "copy --creds me:wrong HOST/app:v1 oci:dst"),
        basic.errors(&site, "copy --creds me:wrong oci:src HOST/app:v1"),
        expired.errors(&site, "copy --creds me:right oci:src HOST/app:v1"),
        expired.errors(&site, "copy --creds me:right HOST/app:v1 oci:dst"),
        guarded.errors(&site, "copy --creds me:wrong HOST/app:v1 oci:dst"),
    ];
    let shown = shown.join("\n").replace(&refusing.host(), "SERVICE");
    insta::assert_snapshot!(shown, @r#"
    $ longshore copy --authfile auth.json HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST denies it: 401: UNAUTHORIZED: authentication required
      hint: log in with `longshore login` or --creds
    [exit 1]

    $ longshore copy --creds me:wrong HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST denies it: 401: UNAUTHORIZED: authentication required
      hint: log in with `longshore login` or --creds
    [exit 1]

    $ longshore copy --creds me:wrong oci:src HOST/app:v1
    error: cannot log in to HOST: HOST denies it: 401: UNAUTHORIZED: authentication required
      hint: log in with `longshore login` or --creds
    [exit 2]

    $ longshore copy --creds me:right oci:src HOST/app:v1
    error: cannot log in to HOST: HOST denies it: 401: UNAUTHORIZED: the token has expired
      hint: log in with `longshore login` or --creds
    [exit 2]

    $ longshore copy --creds me:right HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST denies it: 401: UNAUTHORIZED: the token has expired
      hint: log in with `longshore login` or --creds
    [exit 1]

    $ longshore copy --creds me:wrong HOST/app:v1 oci:dst
    error: cannot get a token for HOST: SERVICE denies it: 401: UNAUTHORIZED: incorrect username or password
      hint: log in with `longshore login` or --creds
    [exit 1]
    "#);
}

#[test]
fn proxies_are_read_from_variables_in_either_case() {
    let site = Site::image();
    let (far, near) = ("r.invalid/app:v1", Served::start(&site, "oci:src"));
    let near = format!("{}/src:app", near.host());
    for (place, variables, is_through) in [
        (far, vec![("http_proxy", "PROXY")], true),
        (far, vec![("HTTP_PROXY", "PROXY")], true),
        (far, vec![("HTTP_PROXY", "PROXY"), ("NO_PROXY", "a.example,10.0.0.0/8")], true),
        (far, vec![("http_proxy", "PROXY"), ("NO_PROXY", "*")], false),
        (far, vec![("http_proxy", "PROXY"), ("no_proxy", "a.example .invalid")], false),
        (far, vec![("http_proxy", "PROXY"), ("NO_PROXY", "r.invalid:80")], false),
        // Who sent a request to a CGI program may have set it.
        (far, vec![("HTTP_PROXY", "PROXY"), ("REQUEST_METHOD", "GET")], false),
        (near.as_str(), vec![("http_proxy", "PROXY"), ("HTTPS_PROXY", "PROXY")], false),
    ] {
        let proxy = Stub::start(|_| ("404 Not Found".to_owned(), Vec::new()));
        let mut command = site.command(&format!("digest --plain-http {place}"));
        for (name, value) in &variables {
            command.env(name, value.replace("PROXY", &format!("http://{}", proxy.host())));
        }
        command.output().unwrap();
        assert_eq!(!proxy.asked().is_empty(), is_through, "{place} {variables:?}");
    }
}

/// Logs in with a password; returns what a terminal would show.
fn login(site: &Site, host: &str, password: &str) -> String {
    let _ = std::fs::remove_file(site.path("auth.json"));
    site.file("password", password);
    let line = format!("login -u ana --password-stdin --authfile auth.json {host}");
    let mut command = site.command(&line);
    command.stdin(std::fs::File::open(site.path("password")).unwrap());
    let ran = Ran::of(command.output().unwrap());
    let kept = if site.path("auth.json").exists() { "kept" } else { "not kept" };
    let said = format!("{}{}", ran.stderr, ran.text());
    format!("{password}: exit {}, {kept}\n{said}", ran.code).replace(host, "HOST")
}

#[test]
fn login_finds_out_about_the_password_or_says_that_nobody_asked() {
    let site = Site::image();
    site.file("users", SECRET);
    let open = Served::start(&site, "oci:src");
    // Everybody may read there.
    let half = Served::start(&site, "oci:store --writable --htpasswd users --anonymous-pull");
    let shown = [
        login(&site, open.host(), "any"),
        login(&site, half.host(), "wrong"),
        login(&site, half.host(), "secret"),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r"
    any: exit 0, kept
    warning: HOST asked for no password, so this one was not checked
    logged in to HOST; the password is kept by auth.json

    wrong: exit 1, not kept
    error: cannot log in to HOST: HOST denies it: 401: UNAUTHORIZED: the name or the password is wrong
      hint: check name and password; nothing was saved

    secret: exit 0, kept
    logged in to HOST; the password is kept by auth.json
    ");
}

#[test]
fn a_repository_that_has_to_be_made_first_is_told() {
    let site = Site::image();
    let told = |head: &'static str, code: &str| {
        let said = format!(r#"{{"errors":[{{"code":"{code}","message":"make `app` first"}}]}}"#);
        let stub = Stub::start(move |asked| {
            let is_read = asked.starts_with("GET ") || asked.starts_with("HEAD ");
            let head = match asked {
                "GET /v2/" => "200 OK",
                _ if is_read => "404 Not Found",
                _ => head,
            };
            (head.to_owned(), said.as_bytes().to_vec())
        });
        errors(&site, &stub.host(), &["copy oci:src HOST/app:v1"])
    };
    for (head, code) in [("400 Bad Request", "NAME_UNKNOWN"), ("409 Conflict", "NAME_UNKNOWN")] {
        let said = told(head, code);
        assert!(said.contains("hint: the repository may have to be created first"), "{said}");
    }
    let shown = [told("404 Not Found", "NAME_UNKNOWN"), told("403 Forbidden", "DENIED")];
    insta::assert_snapshot!(shown.join("\n"), @r"
    $ longshore copy oci:src HOST/app:v1
    error: cannot push sha256:61a213d0…: HOST/app answered 404: NAME_UNKNOWN: make `app` first
      hint: the repository may have to be created first: not every registry creates it on a push
    error: cannot push sha256:8bb9332c…: HOST/app answered 404: NAME_UNKNOWN: make `app` first
    error: cannot push sha256:d5991443…: HOST/app answered 404: NAME_UNKNOWN: make `app` first
    error: `v1` is not complete
    [exit 1]

    $ longshore copy oci:src HOST/app:v1
    error: cannot push sha256:61a213d0…: HOST denies it: 403: DENIED: make `app` first
      hint: the repository may have to be created first, or you may not push to it; log in with `longshore login` or --creds
    error: cannot push sha256:8bb9332c…: HOST denies it: 403: DENIED: make `app` first
    error: cannot push sha256:d5991443…: HOST denies it: 403: DENIED: make `app` first
    error: `v1` is not complete
    [exit 1]
    ");
}

#[test]
fn what_a_registry_cannot_do_is_told() {
    let site = Site::new();
    site.put("src", &longshore_fixture::Content::tagged("app", two_platforms));
    let served = Served::start(&site, "oci:store --writable");
    let sparse = "copy -q --platform linux/amd64 --sparse-index keep oci:src HOST/app:v1";
    insta::assert_snapshot!(served.errors(&site, &[sparse]), @r#"
    $ longshore copy -q --platform linux/amd64 --sparse-index keep oci:src HOST/app:v1
    error: sha256:1caad312…: cannot push HOST/app:v1: HOST answered 400: MANIFEST_BLOB_UNKNOWN: sha256:70c30bc7… is not in this repository; push it first; left out of it are sha256:70c30bc7…
      hint: the registry requires everything that a manifest refers to; if platforms of an index were left out, `--sparse-index strip` removes them from it
    error: `v1` is not complete
    [exit 1]
    "#);
    site.ok(&sparse.replace("HOST", served.host()).replace("keep", "strip"));
}

#[test]
fn a_registry_without_an_account_of_referrers_is_no_failure() {
    let site = Site::typed();
    let served = Served::start(&site, "oci:store --writable");
    let rules = Rules::default().answer(|request| {
        (request.class() == Class::Referrers)
            .then(|| Answer::status(404).body("404 page not found"))
    });
    let proxy = Proxy::start(served.address(), Faults::http(rules)).unwrap();
    let host = proxy.address().to_string();
    insta::assert_snapshot!(errors(&site, &host, &[
        "copy oci:site:app HOST/all:app",
        "copy --referrers oci:site:app HOST/all:app",
        "copy --referrers HOST/all:app oci:far",
    ]), @r"
    $ longshore copy oci:site:app HOST/all:app
    3 referrers not copied (signatures, SBOMs, …); `--referrers` copies them
    [exit 0]

    $ longshore copy --referrers oci:site:app HOST/all:app
    [exit 0]

    $ longshore copy --referrers HOST/all:app oci:far
    [exit 0]
    ");
}

#[test]
fn who_leads_to_where_nobody_is_is_told() {
    type Answers = fn(&str) -> String;
    const NOBODY: &str = "http://127.0.0.1:1";
    let site = Site::image();
    let heads: [(&str, Answers); 3] = [
        ("copy oci:src HOST/app:v1", |asked| match asked {
            asked if asked.starts_with("POST ") => {
                format!("202 Accepted\r\nLocation: {NOBODY}/up")
            }
            "GET /v2/" => "200 OK".to_owned(),
            _ => "404 Not Found".to_owned(),
        }),
        ("inspect HOST/app:v1", |_| format!("307 Temporary Redirect\r\nLocation: {NOBODY}/x")),
        ("inspect HOST/app:v1", |_| {
            let realm = format!("Bearer realm=\"{NOBODY}/token\",service=\"s\"");
            format!("401 Unauthorized\r\nWWW-Authenticate: {realm}")
        }),
    ];
    for (line, head) in heads {
        let stub = Stub::start(move |asked| (head(asked), Vec::new()));
        let said = errors(&site, &stub.host(), &[line]);
        let expected =
            "error: cannot reach 127.0.0.1:1, where HOST leads: nothing listens on port 1";
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("hint: check the network; if that host is wrong"), "{said}");
    }
}
