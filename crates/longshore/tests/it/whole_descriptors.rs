//! What a descriptor says beside digest and size reaches whoever fetches its content (rows B-06, B-07).

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use longshore::registry::front::{self, Server};
use longshore::registry::{Handler, RegistryOptions};
use longshore::remote::{Config, ForeignUrls};
use longshore::spec::{Descriptor, Manifest, MediaType};
use longshore::store::{Entry, Memory, Place as _, manifest_from};
use longshore::{CopyOptions, Places, Report, Silent, copy};
use longshore_fixture::tls;

const LAYER: &str = "a layer that the registry does not have";

/// A registry that has a manifest and nothing that it refers to.
fn serve(manifest: &Manifest) -> (Server, String) {
    let place = Memory::new();
    let repository = place.repository(&"team/app".parse().unwrap()).unwrap();
    repository.push_manifest(manifest, Entry::Root(&["v1".into()])).unwrap();
    drop(repository);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = Arc::new(Handler::new(Arc::new(place), RegistryOptions::default()));
    let server = front::serve([listener], registry, front::ServerOptions::default()).unwrap();
    let app = format!("{}/team/app:v1", server.addresses()[0]);
    (server, app)
}

/// An image whose config is in its descriptor, with a layer at this address.
fn image(url: Option<&str>) -> Manifest {
    let mut config = Descriptor::of(MediaType::EMPTY, b"{}");
    config.change_more(|more| more.data = Some("e30=".to_owned()));
    let layers = url.map(|url| {
        let mut layer = Descriptor::of("text/plain", LAYER.as_bytes());
        layer.change_more(|more| more.urls = vec![url.to_owned()]);
        layer
    });
    let [config, layers] = [
        serde_json::to_string(&config).unwrap(),
        serde_json::to_string(&layers.into_iter().collect::<Vec<_>>()).unwrap(),
    ];
    let raw = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":{layers}}}"#,
        MediaType::IMAGE_MANIFEST
    );
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, raw.as_bytes());
    manifest_from(raw.into(), descriptor).unwrap()
}

fn copied(app: &str, to: &Path, foreign_urls: ForeignUrls) -> Report {
    let extra_authorities = vec![tls::SERVER.as_bytes().to_vec()];
    let config = Config { extra_authorities, foreign_urls, ..Config::default() };
    let places = Places::new(&config).unwrap();
    let (from, to) = (places.source(app), places.target(&format!("oci:{}", to.display())));
    copy(&from.unwrap(), &to.unwrap(), &CopyOptions::default(), &Silent).unwrap()
}

#[test]
fn b06_a_layer_that_only_an_address_has_is_fetched_from_there_where_that_is_allowed() {
    let scene = tempfile::tempdir().unwrap();
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let elsewhere = tls::serve_heads(tls::SERVER, move |_| {
        *counted.lock().unwrap() += 1;
        ("200 OK".to_owned(), LAYER.into())
    });
    let url = format!("https://localhost:{}/layer", elsewhere.unwrap().port());
    let (_server, app) = serve(&image(Some(&url)));
    for refused in [ForeignUrls::Refused, ForeignUrls::Public] {
        let report = copied(&app, &scene.path().join("refused"), refused);
        assert!(!report.is_complete());
        assert_eq!(*asked.lock().unwrap(), 0, "this machine is not on the public internet");
    }
    let there = scene.path().join("there");
    assert!(copied(&app, &there, ForeignUrls::Anywhere).is_complete());
    assert_eq!(*asked.lock().unwrap(), 1);
    let layer = Descriptor::of("text/plain", LAYER.as_bytes()).digest;
    let layer = there.join("blobs").join(layer.algorithm()).join(layer.encoded());
    assert_eq!(std::fs::read_to_string(layer).unwrap(), LAYER);
}

#[test]
fn b07_a_config_in_its_descriptor_is_not_asked_for() {
    let scene = tempfile::tempdir().unwrap();
    // The registry would say that it does not have it.
    let (_server, app) = serve(&image(None));
    let report = copied(&app, scene.path(), ForeignUrls::Refused);
    assert!(report.is_complete(), "{:?}", report.failures);
}
