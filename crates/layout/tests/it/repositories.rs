//! Repositories of a directory, as a server changes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use longshore_fixture::{Content, Draft, steps};
use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest, Manifest, MediaType};
use longshore_store::{
    Entry, Error, Place as _, Selector, Source as _, SourcePlace as _, Target as _,
    TargetPlace as _, manifest_from,
};

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
        // The reader has written what was recorded by then.
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
            layout.commit().unwrap();
            let parent = index(&[child.descriptor().clone()], number);
            repository.push_manifest(&parent, Entry::Root(&[])).unwrap();
            layout.commit().unwrap();
            if seen.is_finished() {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        seen.join().unwrap();
    });
}

#[test]
fn a19_what_others_have_brought_is_durable_before_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    drop(created(directory.path()));
    // As a run leaves it that was killed before it synced the directory.
    let manifest = index(&[], 1);
    let blobs = directory.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(manifest.descriptor().digest.encoded()), manifest.raw()).unwrap();
    let layout = created(directory.path());
    let steps = steps(|| {
        layout.whole().push_manifest(&manifest, Entry::Root(&["v1".into()])).unwrap();
        layout.commit().unwrap();
    });
    let at = |step: &str, path: &str| {
        steps.iter().position(|done| done.name == step && done.path.contains(path))
    };
    let synced = at("sync directory", "/blobs/sha256").expect("it is synced");
    assert!(Some(synced) < at("rename", "/index.json"), "{steps:?}");
}

#[test]
fn b05_a_repository_gives_content_out_with_its_own_size_whatever_a_manifest_says() {
    let mut content = Content::new();
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let layer = content.blob(MediaType::LAYER_TAR, &b"the layer"[..]);
    let lie = Descriptor { size: 3, ..layer.clone() };
    let wrong = content.manifest(&Draft::image(&config, &[lie]));
    let right = content.manifest(&Draft::image(&config, std::slice::from_ref(&layer)));
    // The manifest is wrong, and its entry is about itself.
    let listed = Descriptor { size: right.size + 1, ..right.clone() };
    let both = content.manifest(&Draft::index(&[wrong.clone(), right.clone()]));
    for (descriptor, name) in [(&wrong, "a:a"), (&listed, "a:b"), (&both, "a:both")] {
        content.tag(descriptor, name);
    }
    let directory = tempfile::tempdir().unwrap();
    content.tree().write(directory.path()).unwrap();
    let layout = Directory::open(directory.path()).unwrap();
    let repository = layout.repository(&"a".parse().unwrap()).unwrap();
    assert_eq!(repository.blob(&layer.digest).unwrap().size, layer.size);
    assert_eq!(repository.size(&Descriptor { size: 0, ..layer.clone() }).unwrap(), layer.size);
    let found = repository.manifest(&Selector::Digest(right.digest.clone())).unwrap();
    assert_eq!(found.descriptor().size, right.size);
    let named = repository.manifest(&Selector::Name("b".into()));
    assert!(matches!(named, Err(Error::Size { .. })), "{named:?}");
    assert!(repository.referrers(&right.digest).unwrap().entries.is_empty());
}

#[test]
fn b32_asked_by_digest_a_repository_says_what_the_bytes_are_where_entries_disagree() {
    let mut content = Content::new();
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let image = content.manifest(&Draft::image(&config, &[]));
    let of_type = |media_type: &str| Descriptor::new(media_type, image.digest.clone(), image.size);
    let octets = of_type("application/octet-stream");
    let index = of_type(MediaType::IMAGE_INDEX);
    let others = content.manifest(&Draft::index(&[octets.clone(), image.clone(), index.clone()]));
    for (descriptor, name) in
        [(&octets, "a:1"), (&index, "a:2"), (&image, "a:3"), (&others, "b:only")]
    {
        content.tag(descriptor, name);
    }
    let directory = tempfile::tempdir().unwrap();
    content.tree().write(directory.path()).unwrap();
    let layout = Directory::open(directory.path()).unwrap();
    for name in ["a", "b"] {
        let repository = layout.repository(&name.parse().unwrap()).unwrap();
        let found = repository.manifest(&Selector::Digest(image.digest.clone())).unwrap();
        assert_eq!(found.descriptor().media_type, image.media_type, "{name}");
    }
}

#[test]
fn a29_a_referrer_that_says_no_repository_is_where_its_subject_is() {
    let mut content = Content::new();
    content.empty();
    let config = content.json("application/vnd.example.config.v1+json", &serde_json::json!({}));
    let child = content.manifest(&Draft::image(&config, &[]));
    let index = content.manifest(&Draft::index(std::slice::from_ref(&child)));
    content.tag(&index, "reg.test/app:1");
    let refer = |content: &mut Content, subject: &Descriptor, said: &str| {
        let draft = Draft::artifact("application/x", &[]).subject(subject).annotation("said", said);
        let referrer = content.manifest(&draft);
        content.untagged(&referrer);
        referrer
    };
    let of_index = refer(&mut content, &index, "1");
    let of_child = refer(&mut content, &child, "2");
    let of_referrer = refer(&mut content, &of_child, "3");
    let bare = |content: &Content| {
        let directory = tempfile::tempdir().unwrap();
        content.tree().write(directory.path()).unwrap();
        let layout = Directory::open(directory.path()).unwrap();
        let layout = layout.with_bare_names_in("made-up".parse().unwrap());
        let repositories = layout.repositories().unwrap();
        let roots = layout.repository(&"made-up".parse().unwrap()).unwrap().roots().unwrap();
        for name in ["app", "reg.test/app"] {
            let repository = layout.repository(&name.parse().unwrap()).unwrap();
            for (subject, referrer) in
                [(&index, &of_index), (&child, &of_child), (&of_child, &of_referrer)]
            {
                let found = repository.referrers(&subject.digest).unwrap().entries;
                assert_eq!(found.len(), 1, "{name}");
                assert_eq!(found[0].digest, referrer.digest, "{name}");
                let by_digest = Selector::Digest(referrer.digest.clone());
                assert!(repository.manifest(&by_digest).is_ok(), "{name}");
            }
        }
        let roots: Vec<_> = roots.into_iter().map(|root| root.descriptor.digest).collect();
        (repositories.iter().map(ToString::to_string).collect::<Vec<_>>(), roots)
    };
    assert_eq!(bare(&content), (vec!["reg.test/app".to_owned()], vec![]));
    // A referrer of an absent subject belongs nowhere else, nor does what is no referrer.
    let absent = Descriptor::of(MediaType::IMAGE_MANIFEST, b"absent");
    let orphan = refer(&mut content, &absent, "4");
    let names = vec!["made-up".to_owned(), "reg.test/app".to_owned()];
    assert_eq!(bare(&content), (names, vec![orphan.digest]));
}
