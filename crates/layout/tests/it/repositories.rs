//! Repositories of a directory, as a server changes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest, Manifest, MediaType};
use longshore_store::{Entry, Place as _, Source as _, manifest_from};

use crate::common::created;

fn index(entries: &[Descriptor], number: usize) -> Manifest {
    let document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_INDEX,
        "manifests": entries,
        "annotations": { "number": number.to_string() },
    });
    let raw = serde_json::to_vec(&document).unwrap();
    let descriptor = Descriptor::of(MediaType::IMAGE_INDEX, &raw);
    manifest_from(raw.into(), descriptor).unwrap()
}

#[test]
fn what_loses_its_entry_to_an_index_is_listed_until_the_index_is() {
    let directory = tempfile::tempdir().unwrap();
    let layout = created(directory.path());
    let name = "a".parse().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Whoever looks has written what was noted by then.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                layout.whole().names().unwrap();
            }
        });
        let seen = scope.spawn(|| {
            let reader = Directory::open(directory.path()).unwrap();
            let mut before: Vec<Digest> = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let roots = reader.repository(&name).unwrap().roots().unwrap();
                let now: Vec<_> = roots.into_iter().map(|root| root.descriptor.digest).collect();
                assert!(now.len() >= before.len(), "{before:?} became {now:?}");
                before = now;
            }
        });
        let repository = layout.repository(&name).unwrap();
        for number in 0..20 {
            let child = index(&[], number);
            repository.push_manifest(&child, Entry::Root(&[])).unwrap();
            layout.commit(true).unwrap();
            let parent = index(&[child.descriptor().clone()], number);
            repository.push_manifest(&parent, Entry::Root(&[])).unwrap();
            layout.commit(true).unwrap();
            if seen.is_finished() {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        seen.join().unwrap();
    });
}
