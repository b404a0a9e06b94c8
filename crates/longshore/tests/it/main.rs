//! The examples, run against a registry of our own.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

#[path = "../../examples/copy.rs"]
#[expect(dead_code, reason = "its `main` is for whoever runs it alone")]
mod copy;
#[path = "../../examples/credentials.rs"]
#[expect(dead_code, reason = "as above")]
mod credentials;
#[path = "../../examples/export.rs"]
#[expect(dead_code, reason = "as above")]
mod export;
#[path = "../../examples/import.rs"]
#[expect(dead_code, reason = "as above")]
mod import;
#[path = "../../examples/place.rs"]
#[expect(dead_code, reason = "as above")]
mod place;
#[path = "../../examples/progress.rs"]
#[expect(dead_code, reason = "as above")]
mod progress;
#[path = "../../examples/serve.rs"]
#[expect(dead_code, reason = "as above")]
mod serving;
#[path = "../../examples/verify.rs"]
#[expect(dead_code, reason = "as above")]
mod verify;

mod whole_descriptors;

use std::net::TcpListener;
use std::sync::Arc;

use longshore::layout::Directory;
use longshore::registry::front::{self, Server};
use longshore::registry::{Access, Handler, RegistryOptions};
use longshore::spec::{Digest, MediaType};
use longshore::store::{Memory, Source as _};
use longshore_fixture::{Content, artifacts};

/// As `htpasswd -nbB -C 4 ana secret` writes it.
const ANA: &str = "ana:$2y$04$JXYLJfVLFx0AFy9LS3dm8OUGRM4xj6F/I2jGBXtoGET3i1fZ5.YYG";

/// A registry in memory, and its host.
fn serve() -> (Server, String) {
    let options = RegistryOptions { access: Access::ReadWrite, ..RegistryOptions::default() };
    let registry = Arc::new(Handler::new(Arc::new(Memory::new()), options));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = front::serve([listener], registry, front::ServerOptions::default()).unwrap();
    let host = server.addresses()[0].to_string();
    (server, host)
}

#[test]
fn the_examples_take_an_artifact_to_the_other_side() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let content = Content::tagged("v1", |content| artifacts::multi_platform(content, 1));
    content.write_directory(path("src").as_ref()).unwrap();
    let (_near, near) = serve();
    let (_far, far) = serve();
    let app = format!("{near}/team/app:v1");
    assert!(!progress::run(&format!("oci:{}:v1", path("src")), &app, 1).unwrap());
    copy::run(&format!("oci:{}", path("src")), &app).unwrap();
    let bundle = path("site.tar");
    export::run(&app, &bundle).unwrap();
    verify::run(&bundle).unwrap();
    import::run(&bundle, &format!("{far}/mirror")).unwrap();
    let back = format!("oci:{}:back", path("back"));
    assert!(progress::run(&format!("{far}/mirror/team/app:v1"), &back, u64::MAX).unwrap());
    let there = Directory::open(path("back")).unwrap();
    assert_eq!(there.whole().roots().unwrap()[0].descriptor.digest, content.entries[0].digest);
    assert!(copy::run("oci:nowhere", &app).is_err());
    // What cannot be had leaves no bundle that looks whole.
    let lacking = path("lacking.tar");
    assert!(export::run(&format!("{app}\n{near}/team/app:none"), &lacking).is_err());
    assert!(!std::path::Path::new(&lacking).exists());
    assert!(verify::run(&path("nowhere.tar")).is_err());
}

#[test]
fn a_place_of_ones_own_is_copied_from_and_its_content_pushed_to_a_registry_that_asks_who_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let note = format!("oci:{}:note", path("note"));
    place::run("words", &note).unwrap();
    let server = serving::run(&path("served"), "127.0.0.1:0", ANA).unwrap();
    let host = server.addresses()[0].to_string();
    let app = format!("{host}/team/note:v1");
    assert!(copy::run(&note, &app).is_err(), "nobody said who pushes");
    assert!(credentials::run(&note, &app, "other.example", "ana", "secret").is_err());
    credentials::run(&note, &app, &host, "ana", "secret").unwrap();
    let back = format!("oci:{}:back", path("back"));
    copy::run(&app, &back).unwrap();
    let there = Directory::open(path("back")).unwrap();
    let artifact = there.whole().roots().unwrap().remove(0).descriptor;
    let blob = there.whole().blob(&Digest::sha256("words")).unwrap();
    assert_eq!((artifact.media_type.as_str(), blob.size), (MediaType::IMAGE_MANIFEST, 5));
}
