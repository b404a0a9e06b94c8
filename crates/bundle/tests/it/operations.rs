//! A bundle from one side to the other, without the program.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use longshore_bundle::{
    DockerList, ExportRequest, ExportTarget, Gone, ImportRefusal, ImportRequest, ImportTarget,
    Incomplete, LayoutPlace, Lock, LockRequest, Mapping, OpenBundle, Opener, Record, Routes,
    SelectedPlaces, Selection, SparseIndex, TargetKind, VerifyRequest,
};
use longshore_fixture::{Content, artifacts, blob_path};
use longshore_layout::{Archive, ArchiveOptions, ArchiveWriter, Directory, Layout};
use longshore_spec::{Digest, Reference};
use longshore_store::{Error, KnownRoots, Repository as _, Result, Source};
use longshore_sync::{Report, Silent};

const WANTED: &str = "a.io/app:1\na.io/app:2\n";

/// Registries are all this one layout.
struct Near<'n>(&'n Directory);

impl<'n> Opener<'n> for Near<'n> {
    type Error = Error;

    fn repository(&self, reference: &Reference) -> Result<Box<dyn Source + 'n>> {
        let name = format!("{}/{}", reference.registry(), reference.repository());
        Ok(longshore_store::Place::repository(self.0, &name.parse().unwrap())?)
    }

    fn layout(&self, _: &LayoutPlace) -> Result<Box<dyn Source + 'n>> {
        Ok(Box::new(self.0.whole()))
    }
}

/// Returns a layout of two images, and the digest of a layer of the second.
fn near(path: &Path) -> (Directory, Digest) {
    let mut content = Content::new();
    let [one, two] = [1, 2].map(|seed| artifacts::image(&mut content, seed));
    content.tag(&one, "a.io/app:1");
    content.tag(&two, "a.io/app:2");
    content.write_directory(path).unwrap();
    let near = Directory::open(path).unwrap();
    let manifest = near.whole().child(&two).unwrap();
    let layer = manifest.children().last().unwrap().1.digest.clone();
    (near, layer)
}

fn lock(near: &Directory, selection: &Selection, before: Option<&Lock>) -> (Lock, bool) {
    let request = LockRequest { selection, before, update: &[], gone: Gone::Kept, jobs: 2 };
    let asked = request.asked();
    let places = SelectedPlaces::open(&asked, &Near(near)).unwrap();
    let resolved = request.prepare(&places, &Silent).resolve().unwrap();
    (resolved.lock, resolved.is_whole)
}

/// Exports what is wanted into an archive; returns the record, what came of it, and whether all is in it.
fn export(near: &Directory, lock: Option<&Lock>, to: &Path) -> (Record, Report, bool) {
    let selection = Selection::from_list("list.txt", WANTED).unwrap();
    let places = SelectedPlaces::open(&selection, &Near(near)).unwrap();
    let archive = ArchiveWriter::new(to).unwrap();
    let request = ExportRequest {
        places: &places,
        locked: lock,
        target: Some(ExportTarget { place: &archive, whole: &archive.whole() }),
        base: None,
        sequence: None,
        docker: DockerList::None,
        incomplete: Incomplete::Made,
        allow_unverified: false,
        jobs: 2,
    };
    let mut bundle = request.prepare(&Silent).unwrap();
    assert!(bundle.changes().is_empty());
    let report = bundle.write(&Silent).unwrap();
    (bundle.record().clone(), report, bundle.is_whole())
}

fn import(bundle: &dyn Layout, to: &Directory) -> Result<Report, ImportRefusal> {
    let bundle = OpenBundle::read(bundle).unwrap();
    let moves = bundle.moves(&Mapping::default(), TargetKind::Layout).unwrap();
    let whole = to.whole();
    let target = ImportTarget::Layout { place: to, whole: &whole, content: &whole };
    let routes = Routes::open(&bundle, &moves, target, None).unwrap();
    let request = ImportRequest {
        bundle: &bundle,
        routes: &routes,
        sparse_index: SparseIndex::Keep,
        allow_unverified: false,
        jobs: 2,
    };
    Ok(request.prepare(&Silent).check(&Silent)?.run(&Silent).unwrap())
}

fn open(path: &Path) -> Archive {
    Archive::open(path, &ArchiveOptions::default()).unwrap()
}

#[test]
fn a_bundle_is_locked_exported_verified_and_imported() {
    let directory = tempfile::tempdir().unwrap();
    let (near, _) = near(&directory.path().join("near"));
    let selection = Selection::from_list("list.txt", WANTED).unwrap();
    let (lock, is_whole) = lock(&near, &selection, None);
    assert!(is_whole && lock.len() == 2);
    let path = directory.path().join("a.tar");
    let (record, report, is_whole) = export(&near, Some(&lock), &path);
    assert!(report.is_complete() && is_whole);
    let archive = open(&path);
    let view = archive.whole();
    let read = Record::read(&archive).unwrap();
    assert_eq!(read.as_ref(), Some(&record));
    let request = VerifyRequest {
        view: &view,
        layout: Some(&archive),
        record: read.as_ref(),
        allow_unverified: false,
        jobs: 2,
    };
    let roots = KnownRoots { roots: view.roots().unwrap(), unknown: Vec::new() };
    let verified = request.prepare(roots, &Silent).run(2, &Silent);
    assert!(verified.report.is_complete());
    let orphans = verified.orphans().unwrap();
    assert!(orphans.is_empty() && verified.differences(&orphans).unwrap().is_empty());
    let far = Directory::create(directory.path().join("far")).unwrap();
    assert!(import(&archive, &far).unwrap().is_complete());
    assert_eq!(far.whole().names().unwrap(), near.whole().names().unwrap());
}

#[test]
fn what_cannot_be_had_is_left_out_and_stays_locked() {
    let directory = tempfile::tempdir().unwrap();
    let (near, layer) = near(&directory.path().join("near"));
    let selection = Selection::from_list("list.txt", WANTED).unwrap();
    let (before, _) = lock(&near, &selection, None);
    let blob = File::options().write(true).open(near.path().join(blob_path(&layer))).unwrap();
    blob.write_all_at(b"damaged", 0).unwrap();
    let path = directory.path().join("a.tar");
    let (record, report, is_whole) = export(&near, None, &path);
    assert!(report.is_complete() && !is_whole);
    let [root] = &record.roots[..] else { panic!("{:?}", record.roots) };
    assert_eq!(root.reference, "a.io/app:1");
    assert_eq!(record.left_out[0].reference.as_deref(), Some("a.io/app:2"));
    let far = Directory::create(directory.path().join("far")).unwrap();
    assert!(import(&open(&path), &far).unwrap().is_complete());
    drop(near);
    let near = Directory::create(directory.path().join("near")).unwrap();
    near.whole().untag(&"a.io/app:2".into()).unwrap();
    longshore_store::TargetPlace::commit(&near).unwrap();
    let (after, is_whole) = lock(&near, &selection, Some(&before));
    assert_eq!((after, is_whole), (before, false));
}
