//! Places that fail.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use longshore_registry::{Access, Handler, RegistryOptions, front};
use longshore_spec::{Descriptor, Digest, Hasher, Manifest, RepositoryName, Role};
use longshore_store::{
    Blob, Entry, Error, Held, Inability, Name, Place, Pushed, Reader, Referrers, Repository,
    Result, Selector, Source, SourcePlace, Target, TargetPlace, Upload,
};

use crate::support::{ask, expect};

/// How a place fails.
type Fault = fn() -> Error;

/// A place where everything fails in one way, except for a blob of ten bytes that has only five.
#[derive(Debug)]
struct Broken(Fault);

impl SourcePlace for Broken {
    fn source(&self, _: &RepositoryName) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(View(self.0)))
    }

    fn repositories(&self) -> Result<Vec<RepositoryName>> {
        Err(self.0())
    }
}

impl TargetPlace for Broken {
    fn target(&self, _: &RepositoryName) -> Result<Box<dyn Target + '_>> {
        Ok(Box::new(View(self.0)))
    }
}

impl Place for Broken {
    fn repository(&self, _: &RepositoryName) -> Result<Box<dyn Repository + '_>> {
        Ok(Box::new(View(self.0)))
    }

    fn upload(&self, name: &RepositoryName, _: Hasher) -> Result<Box<dyn Upload>> {
        if name.as_str() == "choking" { Ok(Box::new(Choking(self.0))) } else { Err(self.0()) }
    }

    fn adopt(&self, _: &RepositoryName, _: &Descriptor) -> Result<()> {
        Err(self.0())
    }

    fn forget(&self, _: &RepositoryName, _: &Digest) -> Result<()> {
        Err(self.0())
    }
}

#[derive(Debug)]
struct View(Fault);

/// An upload that begins, and then cannot be written.
struct Choking(Fault);

impl Upload for Choking {
    fn write(&mut self, _: &[u8]) -> Result<()> {
        Err(self.0())
    }

    fn len(&self) -> u64 {
        0
    }

    fn finish(self: Box<Self>, _: &Digest) -> Result<Descriptor> {
        Err(self.0())
    }
}

impl Source for View {
    fn head(&self, _: &Selector) -> Result<Descriptor> {
        Err(self.0())
    }

    fn manifest(&self, _: &Selector) -> Result<Manifest> {
        Err(self.0())
    }

    fn open(&self, _: &Descriptor, _: u64) -> Result<Reader<'_>> {
        Ok(Box::new(&b"short"[..]))
    }

    fn blob(&self, digest: &Digest) -> Result<Descriptor> {
        if *digest != Digest::sha256("ten bytes.") {
            return Err(self.0());
        }
        Ok(Descriptor::new("a/b", digest.clone(), 10))
    }

    fn names(&self) -> Result<Vec<Name>> {
        Err(self.0())
    }

    fn referrers(&self, _: &Digest) -> Result<Referrers> {
        Err(self.0())
    }
}

impl Target for View {
    fn held(&self, _: &Descriptor, _: Role) -> Result<Held> {
        Err(self.0())
    }

    fn push_blob(&self, _: &dyn Blob) -> Result<Pushed> {
        Err(self.0())
    }

    fn push_manifest(&self, _: &Manifest, _: Entry<'_>) -> Result<Pushed> {
        Err(self.0())
    }

    fn list(&self, _: &Descriptor, _: &[Name]) -> Result<()> {
        Err(self.0())
    }
}

impl Repository for View {
    fn untag(&self, _: &Name) -> Result<()> {
        Err(self.0())
    }

    fn remove(&self, _: &Digest) -> Result<()> {
        Err(self.0())
    }
}

fn registry(fault: Fault) -> Handler {
    let options = RegistryOptions { access: Access::ReadWrite, ..RegistryOptions::default() };
    Handler::new(Arc::new(Broken(fault)), options)
}

#[test]
fn what_the_place_says_is_told_without_its_paths() {
    let io = || Error::io("open", "/secret/path")(std::io::Error::other("secret"));
    let busy = || Error::Busy { what: "/secret/path".to_owned() };
    let full = || Error::NoSpace { place: "/secret/path".to_owned(), needed: 1, available: 0 };
    let disk = || Error::io("write", "/secret/path")(std::io::ErrorKind::StorageFull.into());
    let malformed = || Error::malformed("/secret/path", "secret");
    let rows: [(Fault, u16, &str); 5] = [
        (io, 500, "UNKNOWN"),
        (malformed, 500, "UNKNOWN"),
        (full, 507, "UNKNOWN"),
        (disk, 507, "UNKNOWN"),
        (busy, 429, "TOOMANYREQUESTS"),
    ];
    let absent = Digest::sha256("absent");
    for (fault, status, code) in rows {
        let registry = registry(fault);
        for request in [
            "GET /v2/_catalog",
            "GET /v2/a/tags/list",
            "GET /v2/a/manifests/v1",
            &format!("GET /v2/a/blobs/{absent}"),
            &format!("GET /v2/a/referrers/{absent}"),
            "POST /v2/a/blobs/uploads/",
            "DELETE /v2/a/manifests/v1",
        ] {
            let answer = expect(&registry, request, &[], b"", status);
            assert_eq!(answer.code(), code);
            assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
            let head = ask(&registry, &request.replace("GET", "HEAD"), &[], b"");
            assert_eq!(head.status, status);
        }
    }
}

#[test]
fn f53_a_place_that_cannot_be_written_says_so() {
    let registry = registry(|| Error::unsupported("the place", Inability::ReadOnly));
    for request in ["POST /v2/a/blobs/uploads/", "DELETE /v2/a/manifests/v1"] {
        assert_eq!(expect(&registry, request, &[], b"", 405).code(), "UNSUPPORTED");
    }
}

#[test]
fn content_that_is_too_short_never_looks_whole() {
    let registry = Arc::new(registry(|| Error::not_found("it", "the place")));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = front::serve([listener], registry, front::ServerOptions::default()).unwrap();
    let mut stream = TcpStream::connect(server.addresses()[0]).unwrap();
    let digest = Digest::sha256("ten bytes.");
    write!(stream, "GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|count| count > 0) {}
    // The connection may break before the headers are sent.
    assert!(head.is_empty() || head.contains("content-length: 10\r\n"), "{head}");
    let mut body = Vec::new();
    let _ = stream.read_to_end(&mut body);
    assert!(body.len() < 10);
}

#[test]
fn an_upload_that_found_the_disk_full_is_forgotten() {
    let registry = registry(|| Error::io("write", "/x")(std::io::ErrorKind::StorageFull.into()));
    for method in ["PATCH", "PUT"] {
        let begun = expect(&registry, "POST /v2/choking/blobs/uploads/", &[], b"", 202);
        let location = begun.header("location").to_owned();
        let target = format!("{method} {location}?digest={}", Digest::sha256("abc"));
        expect(&registry, &target, &[], b"abc", 507);
        let status = expect(&registry, &format!("GET {location}"), &[], b"", 404);
        assert_eq!(status.code(), "BLOB_UPLOAD_UNKNOWN");
        assert_eq!(registry.open_uploads(), 0);
    }
}
