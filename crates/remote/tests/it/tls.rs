//! Certificates.

use std::time::{Duration, Instant};

use longshore_fixture::tls;
use longshore_remote::{Certificates, Client, Config, PlainHttp};
use longshore_store::Error;

use crate::support::config;

/// Requests a server at `name` with the certificate `shown`, while `named` is trusted.
fn ask(name: &str, shown: &'static str, named: &[&str]) -> Result<(), Error> {
    ask_with(name, shown, named, Certificates::Verified)
}

fn ask_with(
    name: &str,
    shown: &'static str,
    named: &[&str],
    certificates: Certificates,
) -> Result<(), Error> {
    let address = tls::serve(shown, |_| ("200 OK".to_owned(), Vec::new())).unwrap();
    let extra_authorities = named.iter().map(|pem| pem.as_bytes().to_vec()).collect();
    let plain_http = PlainHttp::Never;
    let config = Config { plain_http, certificates, extra_authorities, ..config() };
    Client::new(&config)?.registry(&format!("{name}:{}", address.port()))?.ping()
}

fn refused(result: Result<(), Error>, reason: &str) {
    let text = result.unwrap_err().to_string();
    assert!(text.starts_with("cannot reach ") && text.ends_with(reason), "{text}");
}

#[test]
fn a_certificate_that_is_an_authority_too_is_accepted_where_just_it_is_named() {
    ask("localhost", tls::AUTHORITY, &[tls::AUTHORITY]).unwrap();
    ask("127.0.0.1", tls::AUTHORITY, &[tls::OTHER_HOST, tls::AUTHORITY]).unwrap();
    // A certificate signed by a named one: by itself, or by one with the same name and key.
    ask("localhost", tls::SERVER, &[tls::SERVER]).unwrap();
    ask("localhost", tls::SERVER, &[tls::AUTHORITY]).unwrap();
}

#[test]
fn a_certificate_that_is_not_named_is_refused() {
    let nobody = "its certificate is not from an authority that is trusted here";
    let authority = "its certificate is an authority's own, and not trusted here";
    refused(ask("localhost", tls::SERVER, &[]), nobody);
    refused(ask("localhost", tls::AUTHORITY, &[]), authority);
    refused(ask("localhost", tls::AUTHORITY, &[tls::OTHER_HOST]), authority);
    // The same name and key do not make the same certificate.
    refused(ask("localhost", tls::AUTHORITY, &[tls::SERVER]), authority);
}

#[test]
fn a_certificate_for_another_host_is_refused_also_where_it_is_named() {
    let another = "its certificate is for elsewhere.example, not for localhost";
    refused(ask("localhost", tls::OTHER_HOST, &[tls::OTHER_HOST]), another);
    let another = "its certificate is for elsewhere.example, not for 127.0.0.1";
    refused(ask("127.0.0.1", tls::OTHER_HOST, &[tls::OTHER_HOST]), another);
}

#[test]
fn a_certificate_that_has_expired_is_refused_also_where_it_is_named() {
    let expired = "its certificate has expired";
    refused(ask("localhost", tls::EXPIRED, &[tls::EXPIRED]), expired);
    refused(ask("localhost", tls::EXPIRED, &[tls::AUTHORITY]), expired);
}

#[test]
fn any_certificate_is_accepted_where_that_is_asked_for() {
    for shown in [tls::AUTHORITY, tls::SERVER, tls::OTHER_HOST, tls::EXPIRED] {
        ask_with("localhost", shown, &[], Certificates::Any).unwrap();
    }
}

#[test]
fn a_file_that_holds_no_certificate_is_refused() {
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----"]
    {
        let error = ask("localhost", tls::SERVER, &[pem]).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
}

#[test]
fn who_takes_no_connection_is_not_asked_for_long() {
    let nobody = Config { backoff: Duration::from_secs(20), retries: 5, ..Config::default() };
    let start = Instant::now();
    let registry = Client::new(&nobody).unwrap().registry("127.0.0.1:1").unwrap();
    let error = registry.ping().unwrap_err();
    assert!(error.to_string().starts_with("cannot reach 127.0.0.1:1: "), "{error}");
    // Two waits of 300 ms; a backoff would have been 10 s on average.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}
