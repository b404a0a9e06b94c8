//! What a repository needs.

use std::collections::BTreeSet;

use longshore_fixture::{Content, Draft, artifacts};
use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest};
use longshore_sync::reachable;
use tempfile::TempDir;

use crate::support::closure;

fn layout(content: &Content) -> (TempDir, Directory) {
    let directory = tempfile::tempdir().unwrap();
    content.write_directory(directory.path()).unwrap();
    let layout = Directory::open(directory.path()).unwrap();
    (directory, layout)
}

fn needed(content: &Content) -> BTreeSet<Digest> {
    let (_directory, layout) = layout(content);
    reachable(&layout.whole(), 2).unwrap().unwrap().into_iter().collect()
}

#[test]
fn a_referrer_lives_as_long_as_its_subject() {
    let mut content = Content::new();
    let kept = artifacts::image(&mut content, 1);
    content.tag(&kept, "kept");
    // It lost its name, but its referrers are still listed.
    let dropped = artifacts::image(&mut content, 2);
    let mut listed = Vec::new();
    for subject in [&kept, &dropped] {
        let sbom = artifacts::spdx(&mut content, subject, subject.size);
        let signature = artifacts::notation_signature(&mut content, &sbom, subject.size);
        content.untagged(&sbom);
        content.untagged(&signature);
        listed.push([sbom, signature]);
    }
    let needed = needed(&content);
    let has = |root: &Descriptor| closure(&content, root).is_subset(&needed);
    assert!(has(&kept) && listed[0].iter().all(has));
    assert!(!needed.contains(&dropped.digest));
    assert!(listed[1].iter().all(|gone| !needed.contains(&gone.digest)));
}

#[test]
fn a_root_without_name_and_subject_is_needed() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    content.untagged(&image);
    let xml = content.blob("application/xml", &b"<x/>"[..]);
    content.untagged(&xml);
    let needed = needed(&content);
    assert!(closure(&content, &image).is_subset(&needed) && needed.contains(&xml.digest));
}

#[test]
fn entries_of_an_index_are_needed_and_so_is_what_refers_to_them() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let sbom = artifacts::spdx(&mut content, &image, 1);
    content.untagged(&sbom);
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    content.tag(&index, "app");
    let needed = needed(&content);
    assert!(closure(&content, &index).is_subset(&needed));
    assert!(closure(&content, &sbom).is_subset(&needed));
}

#[test]
fn a_damaged_manifest_leaves_nothing_known() {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    let index = content.manifest(&Draft::index(std::slice::from_ref(&image)));
    content.tag(&index, "app");
    let whole = artifacts::image(&mut content, 2);
    content.tag(&whole, "whole");
    for damaged in [&image, &index] {
        let mut content = content.clone();
        let mut raw = content.blobs[&damaged.digest].to_vec();
        raw[0] ^= 1;
        content.blobs.insert(damaged.digest.clone(), raw.into());
        let (_directory, layout) = layout(&content);
        // A repository that cannot even list its referrers fails as a whole.
        if let Ok(found) = reachable(&layout.whole(), 2) {
            let failures = found.unwrap_err();
            let text = damaged.digest.to_string();
            assert!(failures.iter().any(|failure| failure.to_string().contains(&text)));
        }
    }
}
