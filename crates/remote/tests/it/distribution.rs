//! A registry that others wrote: `docker-registry`, if it is installed.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use longshore_remote::{
    Certificates, Client, Config, PlainHttp, Proxies, PushMode, Registry, Secret,
};
use longshore_store::{
    AnsweredBy, Blob as _, Entry, Error, Held, Pushed, Repository as _, Selector, Source as _,
    SourcePlace as _, Target as _, Verifying,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Piece, config, image, manifest, noise};

struct Distribution {
    host: String,
    child: Child,
    directory: TempDir,
}

impl Distribution {
    /// Starts one. Returns `None` if it is not installed.
    fn start() -> Option<Self> {
        Self::start_with(|_| Some(json!({})))
    }

    /// Starts one with TLS and a self-signed certificate.
    fn start_with_tls() -> Option<Self> {
        Self::start_with(|directory| {
            let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                 -keyout key.pem -out certificate.pem -subj /CN=registry -days 2 \
                 -addext subjectAltName=IP:127.0.0.1 \
                 -addext basicConstraints=critical,CA:FALSE";
            let mut command = Command::new("openssl");
            command.args(arguments.split_whitespace()).current_dir(directory);
            let made = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !made.is_ok_and(|status| status.success()) {
                eprintln!("skipped: `openssl` is not installed");
                return None;
            }
            let [certificate, key] =
                ["certificate.pem", "key.pem"].map(|name| directory.join(name));
            Some(json!({"tls": {"certificate": certificate, "key": key}}))
        })
    }

    fn start_with(http: impl FnOnce(&Path) -> Option<Value>) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mut http = http(directory.path())?;
        // Another program may have taken the port meanwhile.
        for _ in 0..10 {
            let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let root = directory.path().join("root");
            http["addr"] = json!(host);
            let settings = json!({
                "version": 0.1,
                "log": {"level": "error", "accesslog": {"disabled": true}},
                "storage": {"filesystem": {"rootdirectory": root}, "delete": {"enabled": true}},
                "http": http,
            });
            let path = directory.path().join("config.json");
            fs::write(&path, settings.to_string()).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
            let Ok(mut child) = command.spawn() else {
                eprintln!("skipped: `docker-registry` is not installed");
                return None;
            };
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(&host).is_ok() {
                    return Some(Self { host, child, directory });
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("no port is free");
    }

    fn registry(&self, push: PushMode) -> Registry {
        let config = Config { push, chunk_size: 1 << 20, ..config() };
        let registry = Client::new(&config).unwrap().registry(&self.host).unwrap();
        registry.ping().unwrap();
        registry
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_distribution_takes_comes_back() {
    let Some(distribution) = Distribution::start() else { return };
    for (push, name) in [(PushMode::Whole, "whole/app"), (PushMode::Chunks, "chunks/app")] {
        let registry = distribution.registry(push);
        let remote = registry.remote_repository(&name.parse().unwrap());
        assert!(remote.names().unwrap().is_empty());
        let pieces = [0, 1, 300_000, 5_000_000].map(|length| Piece::new(noise(length)));
        for piece in pieces.iter().chain([&Piece::new("{}")]) {
            let descriptor = piece.descriptor();
            let role = longshore_spec::Role::Layer;
            assert_eq!(remote.held(descriptor, role).unwrap(), Held::Nothing);
            assert_eq!(remote.push_blob(piece).unwrap(), Pushed::Written(descriptor.size));
            assert_eq!(remote.held(descriptor, role).unwrap(), Held::Whole);
            let mut content = Vec::new();
            let reader = remote.open(descriptor, 0).unwrap();
            Verifying::new(reader, descriptor).unwrap().read_to_end(&mut content).unwrap();
            assert!(content == piece.content);
            let mut rest = Vec::new();
            let half = descriptor.size / 2;
            remote.open(descriptor, half).unwrap().read_to_end(&mut rest).unwrap();
            assert_eq!(rest.len() as u64, descriptor.size - half);
        }
        let document = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": longshore_spec::Descriptor::empty(),
            "layers": pieces.iter().map(longshore_store::Blob::descriptor).collect::<Vec<_>>(),
        });
        let manifest = manifest(&document.to_string());
        remote.push_manifest(&manifest, Entry::Root(&["v1".into(), "latest".into()])).unwrap();
        assert_eq!(remote.names().unwrap(), ["latest".into(), "v1".into()]);
        let roots = remote.roots().unwrap();
        assert_eq!((roots.len(), roots[0].names.len()), (1, 2));
        assert_eq!(remote.child(manifest.descriptor()).unwrap().raw(), manifest.raw());
        // It cannot delete tags, and deletes a manifest with all its tags.
        assert!(matches!(remote.untag(&"v1".into()), Err(Error::Unsupported { .. })));
        remote.remove(&manifest.descriptor().digest).unwrap();
        assert!(remote.head(&Selector::Name("v1".into())).unwrap_err().is_not_found());
    }
}

#[test]
fn distribution_mounts_and_lists_referrers_in_a_tag() {
    let Some(distribution) = Distribution::start() else { return };
    let registry = distribution.registry(PushMode::Whole);
    let [one, two] =
        ["a/one", "b/two"].map(|name| registry.remote_repository(&name.parse().unwrap()));
    let mut piece = Piece::new("{}");
    one.push_blob(&piece).unwrap();
    piece.location = one.location();
    assert_eq!(two.push_blob(&piece).unwrap(), Pushed::Mounted);
    piece.location = registry.remote_repository(&"c/absent".parse().unwrap()).location();
    let three = registry.remote_repository(&"d/three".parse().unwrap());
    assert_eq!(three.push_blob(&piece).unwrap(), Pushed::Written(2), "it goes on with an upload");

    let subject = image(None);
    two.push_manifest(&subject, Entry::Root(&["v1".into()])).unwrap();
    let signature = image(Some(subject.descriptor()));
    two.push_manifest(&signature, Entry::Child).unwrap();
    let found = two.referrers(&subject.descriptor().digest).unwrap();
    assert_eq!(found.answered_by, AnsweredBy::FallbackTag);
    assert_eq!(found.entries, [signature.as_referrer()]);
    assert_eq!(two.roots().unwrap().len(), 1);
    two.remove(&signature.descriptor().digest).unwrap();
    assert!(two.referrers(&subject.descriptor().digest).unwrap().entries.is_empty());
    assert!(registry.repositories().unwrap().contains(two.name()));
}

#[test]
fn a_certificate_needs_somebody_who_vouches_for_it() {
    let Some(distribution) = Distribution::start_with_tls() else { return };
    let pem = fs::read(distribution.directory.path().join("certificate.pem")).unwrap();
    let with = |config: Config| {
        let config = Config { plain_http: PlainHttp::Never, retries: 0, ..config };
        Client::new(&config).unwrap().registry(&distribution.host).unwrap()
    };
    let named = with(Config { extra_authorities: vec![pem], ..config() });
    named.ping().unwrap();
    let remote = named.remote_repository(&"library/app".parse().unwrap());
    let piece = Piece::new(noise(3_000_000));
    remote.push_blob(&piece).unwrap();
    let mut content = Vec::new();
    remote.open(piece.descriptor(), 0).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == piece.content);
    with(Config { certificates: Certificates::Any, ..config() }).ping().unwrap();
    let error = with(config()).ping().unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn what_cannot_be_used_is_found_before_the_first_request() {
    for config in [
        Config { extra_authorities: vec![b"-----BEGIN CERTIFICATE-----\nx".to_vec()], ..config() },
        Config { identity: Some(Secret::new("hunter2")), ..config() },
        Config {
            proxies: Proxies {
                http: Some(Secret::new("http://hunter2:x@[")),
                ..Proxies::default()
            },
            ..config()
        },
    ] {
        let error = Client::new(&config).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}
