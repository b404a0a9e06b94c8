//! A bundle from one side to the other, without the program.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use longshore_bundle::{
    ApartReason, Base, BundleFile, BundleFiles, DockerList, ExportRequest, ExportTarget, Gone,
    ImportRefusal, ImportRequest, ImportTarget, Incomplete, LayoutPlace, Lock, LockRequest,
    Mapping, MissingContent, OpenBundle, OpenError, Opener, Record, Routes, SelectedPlaces,
    Selection, ServedDelta, SparseIndex, TargetKind, VerifyRequest,
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
    export_part(near, lock, (None, None), to)
}

/// Does so without what a site holds, or with nothing but what it asked for.
fn export_part(
    near: &Directory,
    lock: Option<&Lock>,
    (base, only): (Option<&Base>, Option<&MissingContent>),
    to: &Path,
) -> (Record, Report, bool) {
    let selection = Selection::from_list("list.txt", WANTED).unwrap();
    let places = SelectedPlaces::open(&selection, &Near(near)).unwrap();
    let archive = ArchiveWriter::new(to).unwrap();
    let request = ExportRequest {
        places: &places,
        locked: lock,
        target: Some(ExportTarget { place: &archive, whole: &archive.whole() }),
        base,
        only,
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
fn what_a_site_lacks_of_a_delta_comes_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (near, layer) = near(&path("near"));
    let (whole, ..) = export(&near, None, &path("whole.tar"));
    let base = Base::of_record(&whole);
    let (record, ..) = export_part(&near, None, (Some(&base), None), &path("delta.tar"));
    let delta = open(&path("delta.tar"));
    let far = Directory::create(path("far")).unwrap();
    import(&open(&path("whole.tar")), &far).unwrap();
    std::fs::remove_file(far.path().join(blob_path(&layer))).unwrap();
    let refused = import(&delta, &far).unwrap_err();
    assert_eq!(refused.missing(), std::slice::from_ref(&layer));
    let other = Digest::sha256("other");
    assert_eq!(MissingContent::of(&record, [&other]), None);
    let missing = MissingContent::of(&record, &refused.missing()).unwrap();
    assert_eq!(missing.bundle, record.id());
    let only = (None, Some(&missing));
    let (repair, report, _) = export_part(&near, None, only, &path("repair.tar"));
    assert!(report.is_complete() && repair.roots.is_empty());
    let repair = open(&path("repair.tar"));
    assert_eq!(repair.blob_digests().unwrap(), std::slice::from_ref(&layer));
    assert_eq!(repair.whole().roots().unwrap().len(), 0);
    let alone = OpenBundle::read(&repair).unwrap_err();
    assert!(matches!(alone, OpenError::Repair(of) if of == record.id()));
    // Served, the repair holds what the delta takes for granted, and nothing else does.
    let bases = |bases: Vec<Arc<dyn Layout>>| {
        let delta: Arc<dyn Layout> = Arc::new(open(&path("delta.tar")));
        ServedDelta::open("delta", delta, &record, bases, 2).unwrap()
    };
    let served = bases(vec![Arc::new(open(&path("repair.tar")))]);
    assert_eq!(served.not_whole, ["a.io/app:1", "a.io/app:2"]);
    assert_eq!(served.lacking.len(), record.assumed().len() - 1);
    let served = bases(vec![Arc::new(open(&path("whole.tar")))]);
    assert!(served.not_whole.is_empty() && served.lacking.is_empty());
    assert_eq!(served.layout.whole().names().unwrap(), near.whole().names().unwrap());
    // Together they are the bundle, in any order, and with no other.
    let [delta, repair] =
        [("delta", &delta), ("repair", &repair)].map(|(name, layout)| BundleFile { name, layout });
    let apart = |one, other| *BundleFiles::open(one, &[other]).unwrap_err().reason;
    assert!(matches!(apart(repair, repair), ApartReason::NothingToRepair(_)));
    let whole = open(&path("whole.tar"));
    let whole = BundleFile { name: "whole", layout: &whole };
    assert!(matches!(apart(whole, repair), ApartReason::OtherRepair { .. }));
    assert!(matches!(apart(whole, delta), ApartReason::OtherBundle { .. }));
    let near = BundleFile { name: "near", layout: &near };
    assert!(matches!(apart(delta, near), ApartReason::NoRecord));
    for (one, other) in [(delta, repair), (repair, delta)] {
        let files = BundleFiles::open(one, &[other]).unwrap();
        assert!(import(files.layout(), &far).unwrap().is_complete());
        std::fs::remove_file(far.path().join(blob_path(&layer))).unwrap();
    }
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
