//! What values take, where there may be hundreds of thousands of them.

use longshore_spec::{Annotations, Descriptor, MediaType, keys};

#[test]
fn descriptors_are_small() {
    assert_eq!(size_of::<Annotations>(), 16);
    assert_eq!(size_of::<MediaType>(), 16);
    assert_eq!(size_of::<Option<MediaType>>(), 24);
    assert_eq!(size_of::<Descriptor>(), 120);
}

#[test]
fn an_entry_with_names_takes_less_than_400_bytes() {
    /// Two counts of whoever shares annotations.
    const COUNTS: usize = 16;
    /// A number in place of a key, and the text.
    const PAIR: usize = 16 + size_of::<String>();
    let name = "registry.example.org/team/project/app:v1.2.3";
    let mut entry = Descriptor::of(MediaType::IMAGE_MANIFEST, b"");
    let pairs = [
        (keys::REF_NAME, name),
        (keys::CONTAINERD_IMAGE_NAME, name),
        (keys::REPOSITORY, "team/project/app"),
    ];
    entry.annotations =
        pairs.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
    let read: Descriptor = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
    assert_eq!(read, entry);
    let texts: usize = read.annotations.values().map(String::capacity).sum();
    assert_eq!(texts, 2 * name.len() + "team/project/app".len(), "no room is left over");
    assert!(size_of::<Descriptor>() + COUNTS + 3 * PAIR + texts <= 400);
}
