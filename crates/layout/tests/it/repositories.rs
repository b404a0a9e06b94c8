//! Repositories of a directory, as a server changes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest, Manifest, MediaType};
use longshore_store::{Entry, Place as _, Source as _, Target as _, manifest_from};

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

/// Keeps what is done to make files durable: steps and paths.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<(String, String)>>>);

impl tracing::Subscriber for Steps {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "longshore::persist"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut step = Step::default();
        event.record(&mut step);
        self.0.lock().unwrap().push((step.0, step.1));
    }
}

/// Step and path of an event.
#[derive(Default)]
struct Step(String, String);

impl tracing::field::Visit for Step {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "step" {
            value.clone_into(&mut self.0);
        }
    }
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "path" {
            self.1 = format!("{value:?}");
        }
    }
}

#[test]
fn a19_what_others_have_brought_is_durable_before_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    drop(created(directory.path()));
    // As a run left it that was killed before it synced the directory.
    let manifest = index(&[], 1);
    let blobs = directory.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(manifest.descriptor().digest.encoded()), manifest.raw()).unwrap();
    let layout = created(directory.path());
    let steps = Steps::default();
    tracing::subscriber::with_default(steps.clone(), || {
        layout.whole().push_manifest(&manifest, Entry::Root(&["v1".into()])).unwrap();
        layout.commit(true).unwrap();
    });
    let steps = steps.0.lock().unwrap().clone();
    let at = |step: &str, path: &str| {
        steps.iter().position(|(done, to)| done == step && to.contains(path))
    };
    let synced = at("sync directory", "/blobs/sha256").expect("it is synced");
    assert!(Some(synced) < at("rename", "/index.json"), "{steps:?}");
}
