//! What descriptors say of where content is, beside its source.

use std::sync::Mutex;

use longshore_fixture::artifacts;
use longshore_spec::{Descriptor, Digest, Manifest};
use longshore_store::{Name, Order, Reader, Referrers, Result, Selector, Source};
use longshore_sync::{CopyItem, Filter, Plan, Silent};

use crate::support::{Fault, Shelf, Watched, copy};

/// A source that notes by which descriptors it is read.
#[derive(Debug)]
struct Noting<'s> {
    shelf: &'s Shelf,
    opened: Mutex<Vec<Descriptor>>,
}

impl Source for Noting<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        self.shelf.head(selector)
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.shelf.manifest(selector)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        self.opened.lock().unwrap().push(blob.clone());
        self.shelf.open(blob, offset)
    }

    fn names(&self) -> Result<Vec<Name>> {
        self.shelf.names()
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        self.shelf.referrers(subject)
    }
}

/// Returns the blobs of the only root, config first.
fn blobs(shelf: &Shelf) -> Vec<Descriptor> {
    let manifest = shelf.child(&shelf.content.entries[0]).unwrap();
    manifest.children().map(|(_, child)| child.clone()).collect()
}

#[test]
fn b06_addresses_reach_the_source() {
    let shelf = Shelf::of(|content| artifacts::urls(content, 1));
    let source = Noting { shelf: &shelf, opened: Mutex::default() };
    let target = Watched::new(Order::LargestFirst);
    let wanted = CopyItem { source: &source, ..shelf.wanted(Some(&target)).remove(0) };
    let plan = Plan::discover(vec![wanted], &Filter::default(), 2).seal();
    assert!(plan.execute(&target, 2, &Silent).unwrap().is_complete());
    let opened = source.opened.into_inner().unwrap();
    let urls = |of: &Descriptor| of.more.as_ref().map(|more| more.urls.clone());
    let layer = blobs(&shelf).pop().unwrap();
    let opened = opened.iter().find(|blob| blob.digest == layer.digest).unwrap();
    assert!(urls(opened).is_some_and(|found| Some(found) == urls(&layer)));
}

#[test]
fn b07_embedded_content_is_not_asked_for() {
    for order in [Order::LargestFirst, Order::Sequence] {
        let shelf = Shelf::of(|content| artifacts::embedded_data(content, 1));
        let parts = blobs(&shelf);
        let lacking = parts.iter().fold(shelf, |shelf, blob| {
            assert!(blob.more.is_some());
            shelf.with_fault(&blob.digest, Fault::Gone)
        });
        let target = Watched::new(order);
        assert!(copy(&lacking, &target, &Filter::default(), 2).is_complete());
        for blob in &parts {
            let there = target.content(&blob.digest).unwrap();
            assert_eq!(Digest::sha256(&there), blob.digest);
        }
    }
}

#[test]
fn b07_embedded_content_that_is_wrong_is_asked_for() {
    let shelf = Shelf::of(|content| {
        let mut layer = content.blob("a/b", "right");
        layer.change_more(|more| more.data = Some("d3Jvbmc=".to_owned()));
        let config = content.empty();
        content.manifest(&longshore_fixture::Draft::image(&config, &[layer]))
    });
    let target = Watched::new(Order::LargestFirst);
    assert!(copy(&shelf, &target, &Filter::default(), 2).is_complete());
    assert!(target.content(&Digest::sha256(b"right")).is_some());
}
