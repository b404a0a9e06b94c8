//! A registry of Debian's that speaks TLS with a certificate of an authority of its own, and asks
//! for a password.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Outcome;
use super::cargo::{Cargo, typed_by_sha256};
use super::ground::{Ground, Reach, refused};
use crate::run::{capture, shown};
use crate::server::{Guard, Server};

const NAME: &str = "harbour";
const PASSWORD: &str = "a long: pass word";
const REACH: Reach = Reach { authority: "authority/ca.crt", authfile: "auth.json" };

/// What `openssl` is told of authorities and of the registry.
const CERTIFICATES: &str = "[req]\nprompt = no\ndistinguished_name = name\n\
    [name]\nCN = longshore interop\n\
    [authority]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n\
    [registry]\nbasicConstraints = CA:FALSE\nsubjectAltName = IP:127.0.0.1\n\
    extendedKeyUsage = serverAuth\n";

/// Refuses who may not, and carries content round for who may.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let server = Server::guarded(&ground.path("distribution"), &guard(ground)?)?;
    let address = server.address();
    authority(ground, "stranger")?;
    let reach = ["--authfile", REACH.authfile, "--tls-ca"];
    let with = |words: &[&str], authority: &str| {
        ground.command(&[words, &reach[..], &[authority]].concat())
    };
    let login = |password: &str| {
        let words = ["login", "--username", NAME, "--password-stdin", address];
        typed(&mut with(&words, REACH.authority), password)
    };
    let place = server.place("good/typed");

    refused(&mut with(&["list", &place], "stranger/ca.crt"), "invalid peer certificate")?;
    refused(&mut with(&["list", &place], REACH.authority), "with `longshore login` or --creds")?;
    let wrong = login("wrong")?;
    ensure!(
        wrong.code == Some(1) && wrong.said.contains(&format!("{address} denies it: 401")),
        "a wrong password was tried, and longshore said {:?}:\n{}",
        wrong.code,
        wrong.said
    );
    ensure!(!ground.path(REACH.authfile).exists(), "a wrong password was kept");
    let taken = login(PASSWORD)?;
    ensure!(taken.code == Some(0), "`login` failed:\n{}", taken.said);
    let kept = fs::read_to_string(ground.path(REACH.authfile))?;
    ensure!(kept.contains(address) && !kept.contains(PASSWORD), "`login` kept {kept}");

    let ground = ground.reaching(REACH);
    let cargo = Cargo::new(&ground, "typed", &typed_by_sha256())?;
    cargo.round(&ground, &server, &server)?;
    let [wrong, denied] = [format!("{NAME}:wrong"), format!("{address} denies it: 401")];
    for words in [&["list", "--creds", &wrong, &place][..], &["digest", "--creds", &wrong, &place]]
    {
        refused(&mut ground.command(words), &denied)?;
    }
    ground.ours(&["list", "--quiet", &place])?;
    Ok(Outcome::Passed(format!(
        "a stranger's certificate, no password and a wrong one refused; {} manifests from the \
         registry by an archive and by a directory to it again; skopeo reads what `login` kept",
        cargo.manifests.len()
    )))
}

/// Makes an authority, a certificate by it, and a file with one password.
fn guard(ground: &Ground<'_>) -> Result<Guard> {
    authority(ground, "authority")?;
    let request = ["-config", "certificates", "-keyout", "key.pem", "-out", "request.pem"];
    openssl(ground, &[&["req", "-new"], &KEY[..], &request].concat())?;
    let signed = ["x509", "-req", "-in", "request.pem", "-out", "certificate.pem", "-days", "1"];
    let by = ["-CA", "authority/ca.crt", "-CAkey", "authority/key.pem", "-CAcreateserial"];
    let form = ["-extfile", "certificates", "-extensions", "registry"];
    openssl(ground, &[&signed[..], &by, &form].concat())?;
    // By bcrypt; the registry knows no other.
    let mut htpasswd = ground.peer_command("htpasswd", &["-c", "-B", "-i", "passwords", NAME]);
    let made = typed(&mut htpasswd, PASSWORD)?;
    ensure!(made.code == Some(0), "htpasswd failed:\n{}", made.said);
    Ok(Guard {
        certificate: ground.path("certificate.pem"),
        key: ground.path("key.pem"),
        passwords: ground.path("passwords"),
    })
}

/// How keys are made.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// Makes an authority in a directory.
fn authority(ground: &Ground<'_>, name: &str) -> Result<()> {
    fs::create_dir(ground.path(name))?;
    fs::write(ground.path("certificates"), CERTIFICATES)?;
    let [key, certificate] = ["key.pem", "ca.crt"].map(|file| format!("{name}/{file}"));
    let form = ["-config", "certificates", "-extensions", "authority", "-days", "1"];
    let files = ["-keyout", &key, "-out", &certificate];
    openssl(ground, &[&["req", "-x509"], &KEY[..], &form, &files].concat())
}

fn openssl(ground: &Ground<'_>, args: &[&str]) -> Result<()> {
    capture(&mut ground.peer_command("openssl", args)).map(drop)
}

/// How a program ended that was told something, and what it said.
struct Told {
    code: Option<i32>,
    said: String,
}

/// Runs a program that reads a line.
fn typed(command: &mut Command, line: &str) -> Result<Told> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run `{}`", shown(command)))?;
    // One that fails at once does not read it, and says why.
    let _ = writeln!(child.stdin.take().context("no pipe")?, "{line}");
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Told { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() })
}
