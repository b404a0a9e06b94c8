//! What a bundle no longer wants, without the program.

use std::path::Path;

use longshore_bundle::{
    Brought, Delivery, DeliveryKey, ImportState, KeptBecause, OpenRepository, PruneRequest,
    PruneTarget, Record,
};
use longshore_fixture::{Content, artifacts};
use longshore_layout::Directory;
use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Place as _, Repository, Source as _};

/// A registry called `site.local`, in a directory.
#[derive(Debug)]
struct Far(Directory);

impl OpenRepository for Far {
    fn open(&self, name: &RepositoryName) -> Box<dyn Repository + '_> {
        self.0.repository(&format!("site.local/{name}").parse().unwrap()).unwrap()
    }
}

/// Three images of a registry, and what each of its tags stands for.
fn far(path: &Path) -> (Far, [Digest; 3]) {
    let mut content = Content::new();
    let images = [1, 2, 3].map(|seed| {
        let image = artifacts::image(&mut content, seed);
        content.tag(&image, &format!("site.local/app:{seed}"));
        image.digest
    });
    content.write_directory(path).unwrap();
    (Far(Directory::create(path).unwrap()), images)
}

/// Returns the record of a bundle that holds nothing.
fn record() -> Record {
    let text =
        r#"{"blobs":[],"formatVersion":1,"leftOut":[],"referrers":[],"roots":[],"selection":[]}"#;
    let id = format!(r#""id":"{}","leftOut""#, Digest::sha256(text));
    Record::parse(text.replacen(r#""leftOut""#, &id, 1).as_bytes()).unwrap()
}

fn key() -> DeliveryKey {
    DeliveryKey { bundle: "plant-7".parse().unwrap(), target: "site.local".to_owned() }
}

/// Returns a state by which these names were brought.
fn state(names: &[(&str, &Digest)]) -> ImportState {
    let mut delivery = Delivery::new(Digest::sha256("record"), None);
    for (name, digest) in names {
        let from = "docker.io/library/app:1".parse().unwrap();
        let brought = Brought { digest: (*digest).clone(), from, overdue: false };
        delivery.names.insert(name.parse().unwrap(), brought);
    }
    let mut state = ImportState::default();
    state.set(key(), delivery);
    state
}

fn tags(far: &Far) -> Vec<String> {
    far.0.whole().names().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_brought_and_stands_goes_and_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let (far, [one, two, three]) = far(directory.path());
    let mut state = state(&[
        ("site.local/app:1", &one),
        ("site.local/app:2", &three),
        ("site.local/app:4", &two),
    ]);
    let (record, key) = (record(), key());
    let target = PruneTarget::Registry { repositories: &far, host: "site.local" };
    let before = state.clone();
    let (state_before, moves) = (&before, &[]);
    let request =
        PruneRequest { state: state_before, key: &key, moves, record: &record, target, jobs: 2 };
    let prune = request.prepare();
    assert!(prune.is_certain());
    assert_eq!(prune.names.len(), 1);
    assert!(prune.exceeds("33".parse().unwrap()) && !prune.exceeds("34%".parse().unwrap()));
    let report = prune.run(&|_| false);
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    assert_eq!(report.removed, prune.names);
    assert_eq!(report.kept[0].why, KeptBecause::Moved(two));
    assert_eq!(report.gone[0].to_string(), "site.local/app:4");
    assert_eq!(tags(&far), ["site.local/app:2", "site.local/app:3"]);
    assert!(state.note_pruned(&key, &prune, &report));
    assert!(state.get(&key).unwrap().names.is_empty());
    assert!(!state.note_pruned(&key, &prune, &report));
}

#[test]
fn a_state_that_names_what_is_elsewhere_removes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (far, [one, two, _]) = far(directory.path());
    let (record, key) = (record(), key());
    let target = PruneTarget::Registry { repositories: &far, host: "site.local" };
    for elsewhere in ["other.local/app:2".to_owned(), format!("site.local/app@{two}")] {
        let state = state(&[("site.local/app:1", &one), (&elsewhere, &two)]);
        let (state, moves) = (&state, &[]);
        let prune =
            PruneRequest { state, key: &key, moves, record: &record, target, jobs: 2 }.prepare();
        assert!(!prune.is_certain());
        let told = prune.failures[0].to_string();
        assert!(told.contains("which is no tag in site.local"), "{told}");
        let report = prune.run(&|_| false);
        assert!(report.removed.is_empty() && report.gone.is_empty());
        assert_eq!(tags(&far).len(), 3);
    }
}
