//! Several places as one: what is read from which, and that what is written to is whole by itself.

#![allow(clippy::unwrap_used, reason = "what tests share fails as they do")]

use longshore_spec::{Descriptor, Digest, Hasher, Manifest, MediaType, RepositoryName};
use longshore_store::{
    Entry, Error, Memory, Name, Place, Selector, SourcePlace, Union, conformance, manifest_from,
};

fn app() -> RepositoryName {
    "library/app".parse().unwrap()
}

fn push(place: &dyn Place, content: &[u8]) -> Descriptor {
    let mut upload = place.upload(&app(), Hasher::sha256()).unwrap();
    upload.write(content).unwrap();
    upload.finish(&Digest::sha256(content)).unwrap()
}

fn manifest(media_type: &str, children: (&str, serde_json::Value)) -> Manifest {
    let (member, children) = children;
    let mut document = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type });
    if media_type == MediaType::IMAGE_MANIFEST {
        document["config"] =
            serde_json::to_value(Descriptor::of(MediaType::IMAGE_CONFIG, b"{}")).unwrap();
    }
    document[member] = children;
    let raw = serde_json::to_vec(&document).unwrap();
    let descriptor = Descriptor::of(media_type, &raw);
    manifest_from(raw.into(), descriptor).unwrap()
}

fn image(layer: &[u8]) -> Manifest {
    let layers = serde_json::json!([Descriptor::of(MediaType::LAYER_TAR, layer)]);
    manifest(MediaType::IMAGE_MANIFEST, ("layers", layers))
}

/// Returns a place with an image under names.
fn holding(layer: &[u8], names: &[&str]) -> Memory {
    let place = Memory::new();
    let repository = place.repository(&app()).unwrap();
    for content in [&b"{}"[..], layer] {
        push(&place, content);
    }
    let names: Vec<_> = names.iter().map(|name| Name::from(*name)).collect();
    repository.push_manifest(&image(layer), Entry::Root(&names)).unwrap();
    drop(repository);
    place
}

fn head(place: &dyn SourcePlace, name: &str) -> Result<Digest, Error> {
    let found = place.source(&app()).unwrap().head(&Selector::Name(name.into()));
    found.map(|entry| entry.digest)
}

#[test]
fn it_conforms() {
    conformance::place(|| Union::new(Some(Box::new(Memory::new())), Vec::new()));
    conformance::place(|| Union::new(Some(Box::new(Memory::new())), vec![Box::new(Memory::new())]));
}

#[test]
fn a_name_means_one_thing() {
    let others = || -> Vec<Box<dyn SourcePlace>> {
        vec![Box::new(holding(b"one", &["v1", "same"])), Box::new(holding(b"two", &["v1", "v2"]))]
    };
    let union = Union::new(None, others());
    let [one, two] = [b"one", b"two"].map(|layer| image(layer).descriptor().digest.clone());
    let Error::Ambiguous { candidates, .. } = head(&union, "v1").unwrap_err() else { panic!() };
    assert_eq!(candidates, [one.to_string(), two.to_string()]);
    assert_eq!(
        (head(&union, "same").unwrap(), head(&union, "v2").unwrap()),
        (one.clone(), two.clone())
    );
    let [clash] = &union.clashes().unwrap()[..] else { panic!("one clashes") };
    assert_eq!((&clash.name, &clash.repository), (&Name::from("v1"), &app()));
    assert_eq!(clash.meanings, [(0, one), (1, two)]);
    let names = union.repository(&app()).unwrap().names().unwrap();
    assert_eq!(names, ["same", "v1", "v2"].map(Name::from));

    let three = image(b"three").descriptor().digest.clone();
    let union = Union::new(Some(Box::new(holding(b"three", &["v1"]))), others());
    assert_eq!(head(&union, "v1").unwrap(), three, "what is written to comes first");
    assert_eq!(union.clashes().unwrap(), []);
}

#[test]
fn what_is_pushed_is_whole_where_it_is_pushed_to() {
    let union =
        Union::new(Some(Box::new(Memory::new())), vec![Box::new(holding(b"base", &["base"]))]);
    let repository = union.repository(&app()).unwrap();
    let child = image(b"base");
    let entries = serde_json::json!([child.descriptor()]);
    let index = manifest(MediaType::IMAGE_INDEX, ("manifests", entries));
    repository.push_manifest(&index, Entry::Root(&["all".into()])).unwrap();
    drop(repository);
    let alone = union.written().unwrap().repository(&app()).unwrap();
    assert_eq!(
        alone.head(&Selector::Name("all".into())).unwrap().digest,
        index.descriptor().digest
    );
    assert!(alone.child(child.descriptor()).is_ok());
    for content in [&b"{}"[..], b"base"] {
        assert!(alone.blob(&Digest::sha256(content)).is_ok());
    }
}

#[test]
fn what_is_only_read_cannot_be_taken_away() {
    let digest = image(b"one").descriptor().digest.clone();
    // Taken from the one, it would go on to be found in the other.
    for written in [
        Box::new(Memory::new()),
        Box::new(holding(b"one", &["v1"])),
        Box::new(holding(b"two", &["v1"])),
    ] {
        let union = Union::new(Some(written), vec![Box::new(holding(b"one", &["v1"]))]);
        let repository = union.repository(&app()).unwrap();
        for result in [
            repository.untag(&"v1".into()),
            repository.remove(&digest),
            union.forget(&app(), &Digest::sha256(b"one")),
        ] {
            assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
        }
        assert!(matches!(repository.untag(&"v2".into()), Err(Error::NotFound { .. })));
        assert!(head(&union, "v1").is_ok());
    }
    let union = Union::new(
        Some(Box::new(holding(b"two", &["v2"]))),
        vec![Box::new(holding(b"one", &["v1"]))],
    );
    union.repository(&app()).unwrap().untag(&"v2".into()).unwrap();
    let union = Union::new(None, vec![Box::new(holding(b"one", &["v1"]))]);
    let upload = union.upload(&app(), Hasher::sha256());
    assert!(matches!(upload, Err(Error::Unsupported { .. })));
}

#[test]
fn the_names_of_preferred_places_come_first() {
    let places = |preferred| {
        let others = [(&b"new"[..], &["v1"][..]), (b"old", &["v1", "v2"])];
        let others = others.map(|(layer, names)| Box::new(holding(layer, names)) as _);
        Union::new(None, others.into()).preferring(preferred)
    };
    let (none, first) = (places(0), places(1));
    assert!(matches!(head(&none, "v1"), Err(Error::Ambiguous { .. })));
    assert_eq!(none.clashes().unwrap().len(), 1);
    assert_eq!(head(&first, "v1").unwrap(), image(b"new").descriptor().digest);
    assert_eq!(head(&first, "v2").unwrap(), image(b"old").descriptor().digest);
    assert_eq!(first.clashes().unwrap(), []);
    let digest = Selector::Digest(image(b"old").descriptor().digest.clone());
    assert!(first.source(&app()).unwrap().head(&digest).is_ok());
}
