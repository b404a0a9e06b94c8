//! Properties that hold for any content and any order.

use longshore_fixture::{Content, graph};
use longshore_layout::{ArchiveWriter, Directory};
use longshore_spec::{Descriptor, MediaType, keys};
use longshore_store::{Entry, Name, Source as _, Target as _, TargetPlace as _, manifest_from};
use proptest::prelude::*;

use crate::common::{Parcel, created, push_all, read_all};

/// Writes all of `content` into a new directory, manifests after their children.
fn fill(layout: &Directory, content: &Content) {
    let parcel = Parcel::of(content);
    let whole = layout.whole();
    for piece in &parcel.pieces {
        whole.push_blob(piece).unwrap();
    }
    for root in parcel.outline.roots() {
        let bytes = content.blobs[&root.descriptor.digest].clone();
        let manifest = manifest_from(bytes, root.descriptor.clone()).unwrap();
        whole.push_manifest(&manifest, Entry::Root(&root.names)).unwrap();
    }
    layout.commit().unwrap();
}

/// A change to the entries of a layout.
#[derive(Debug, Clone)]
enum Step {
    Set(usize, usize),
    Add(usize),
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_usize, 0..5_usize).prop_map(|(name, of)| Step::Set(name, of)),
        2 => (0..5_usize).prop_map(Step::Add),
        1 => Just(Step::Commit),
    ]
}

fn listed(number: usize) -> Descriptor {
    Descriptor::of(MediaType::IMAGE_MANIFEST, format!("manifest {number}").as_bytes())
}

/// Returns `index.json` after `steps`.
fn index_after(steps: &[Step]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    for step in steps {
        match step {
            Step::Set(name, of) => {
                let name = Name::new(format!("host/repository-{}:v{name}", name % 3));
                layout.whole().list(&listed(*of), &[name]).unwrap();
            }
            Step::Add(of) => layout.whole().list(&listed(*of), &[]).unwrap(),
            Step::Commit => layout.commit_partial().unwrap(),
        }
    }
    layout.commit().unwrap();
    std::fs::read(directory.path().join("index.json")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// If no name is set twice, the order of changes and writes does not matter.
    #[test]
    fn the_list_does_not_depend_on_the_order_of_changes(
        (steps, shuffled) in prop::collection::vec(step(), 0..20).prop_flat_map(|mut steps| {
            let mut seen = std::collections::HashSet::new();
            steps.retain(|step| match step {
                Step::Set(name, _) => seen.insert(*name),
                _ => true,
            });
            (Just(steps.clone()), Just(steps).prop_shuffle())
        }),
    ) {
        let [one, other] = [index_after(&steps), index_after(&shuffled)].map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert_eq!(one, other);
    }

    /// The last change of a name wins, and the manifest that had it keeps its other names.
    #[test]
    fn a25_a_name_stands_for_what_it_was_set_to_last(steps in prop::collection::vec(step(), 0..30)) {
        let mut expected = std::collections::BTreeMap::new();
        for step in &steps {
            if let Step::Set(name, of) = step {
                expected.insert(format!("host/repository-{}:v{name}", name % 3), listed(*of).digest.to_string());
            }
        }
        let index: serde_json::Value = serde_json::from_slice(&index_after(&steps)).unwrap();
        let entries = index["manifests"].as_array().unwrap();
        let named: std::collections::BTreeMap<_, _> = entries
            .iter()
            .filter_map(|entry| {
                let name = entry["annotations"][keys::REF_NAME].as_str()?;
                Some((name.to_owned(), entry["digest"].as_str()?.to_owned()))
            })
            .collect();
        prop_assert_eq!(named, expected);
    }

    #[test]
    fn a40_any_graph_goes_from_directory_to_archive_byte_for_byte(seed: u64, size in 1..25_usize) {
        let content = graph(seed, size);
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("layout");
        let layout = created(&root);
        fill(&layout, &content);
        prop_assert!(read_all(&root).unwrap() == content.blobs);

        let path = directory.path().join("a.tar");
        let parcel = Parcel::of(&content);
        let writer = ArchiveWriter::new(&path).unwrap();
        writer.prepare(&parcel.outline).unwrap();
        push_all(&writer, &parcel.pieces);
        writer.commit().unwrap();
        prop_assert!(read_all(&path).unwrap() == content.blobs);

        let archive = longshore_layout::Archive::open(&path, &longshore_layout::ArchiveOptions::default()).unwrap();
        prop_assert_eq!(archive.whole().names().unwrap(), layout.whole().names().unwrap());
        prop_assert_eq!(archive.whole().roots().unwrap(), layout.whole().roots().unwrap());
        for digest in content.blobs.keys() {
            let one = archive.whole().referrers(digest).unwrap();
            prop_assert_eq!(one, layout.whole().referrers(digest).unwrap());
        }
        let size = |digest: &longshore_spec::Digest| {
            archive.whole().size(&Descriptor::new("a/b", digest.clone(), 0)).unwrap()
        };
        prop_assert!(content.blobs.iter().all(|(digest, blob)| size(digest) == blob.len() as u64));
    }
}
