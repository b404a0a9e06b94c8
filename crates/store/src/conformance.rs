//! What every place must do, as checks that any implementation can run.
//!
//! Each check panics with what it expected. [`place`] is for those that a server can serve,
//! [`repository`] for others that are read and written at once, and [`archive`] for those that are
//! written as a whole and then read.

#![expect(clippy::missing_panics_doc, reason = "to panic is what a check is for")]
#![expect(clippy::print_stderr, reason = "a test that fails shows the check that it failed in")]

use std::io::Read as _;
use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, Hasher, Manifest, MediaType, RepositoryName, Role};

use crate::{
    Blob, Entry, Error, Held, Name, Outline, OutlineNode, Place, Pushed, Repository, Result, Root,
    Selector, Source, SourcePlace, Target, TargetPlace, Verifying, manifest_from,
};

/// Runs every check of a repository against places that `make` returns, a fresh and empty one for each
/// check.
pub fn repository<P: SourcePlace + TargetPlace>(make: impl Fn() -> P, one: OneOf<P>) {
    for (what, check) in CHECKS {
        eprintln!("conformance: {what}");
        let place = make();
        check(&*one(&place, &app()));
    }
    several_repositories(&make(), one);
}

/// Runs the checks of [`repository`], and those of what only a server asks for.
pub fn place<P: Place>(make: impl Fn() -> P) {
    repository(&make, |place, name| place.repository(name).expect("a repository"));
    for (what, check) in SERVER_CHECKS {
        eprintln!("conformance: {what}");
        check(&make());
    }
}

fn app() -> RepositoryName {
    "library/app".parse().expect("a name of the grammar")
}

/// How a check gets at one repository of a place.
pub type OneOf<P> = for<'a> fn(&'a P, &RepositoryName) -> Box<dyn Repository + 'a>;

/// How a check gets at all of an archive that is read.
pub type WholeSource<P> = for<'a> fn(&'a P) -> Box<dyn Source + 'a>;

/// How a check gets at all of an archive that is written.
pub type WholeTarget<P> = for<'a> fn(&'a P) -> Box<dyn Target + 'a>;

/// Writes a small graph into the place that `make` returns and checks what `reopen` then finds.
pub fn archive<W: TargetPlace, R: SourcePlace>(
    (make, target): (impl Fn() -> W, WholeTarget<W>),
    (reopen, source): (impl Fn() -> R, WholeSource<R>),
) {
    let [config, layer, empty] = [Piece::new(b"{}"), Piece::new(b"layer"), Piece::new(b"")];
    let manifest = image(&[&config, &layer, &empty], None);
    let signature = image(&[&config], Some(manifest.descriptor()));
    let pieces = [&config, &layer, &empty].map(|piece| (Role::Layer, &piece.descriptor));
    let manifests = [&manifest, &signature].map(|manifest| (Role::Manifest, manifest.descriptor()));
    let node = |(role, of): (Role, &Descriptor)| OutlineNode {
        role,
        digest: of.digest.clone(),
        size: of.size,
    };
    let names = [Name::from("v1"), Name::from("latest")];
    let roots = vec![
        Root { descriptor: manifest.descriptor().clone(), names: names.to_vec() },
        Root { descriptor: signature.descriptor().clone(), names: Vec::new() },
    ];
    let outline =
        Outline::new(pieces.into_iter().chain(manifests).map(node).collect(), roots, Vec::new());

    let place = make();
    place.prepare(&outline).expect("room for a small graph");
    let target = target(&place);
    assert_eq!(target.held(&layer.descriptor, Role::Layer).expect("an answer"), Held::Nothing);
    for piece in [&layer, &empty, &config] {
        target.push_blob(piece).expect("a blob of the outline is taken");
        assert_eq!(target.held(&piece.descriptor, Role::Layer).expect("an answer"), Held::Whole);
    }
    let stranger = Piece::new(b"not in the outline");
    assert!(target.push_blob(&stranger).is_err(), "content that was not announced has no room");
    target
        .push_manifest(&manifest, Entry::Root(&names))
        .expect("a manifest of the outline is taken");
    target.push_manifest(&signature, Entry::Root(&[])).expect("a referrer is taken");
    drop(target);
    place.commit().expect("a complete place is published");
    drop(place);

    let place = reopen();
    let source = source(&place);
    assert_eq!(source.names().expect("names"), [Name::from("latest"), Name::from("v1")]);
    for name in names {
        let found = source.manifest(&Selector::Name(name)).expect("what was named");
        assert_eq!(found.raw(), manifest.raw());
    }
    for piece in [&config, &layer, &empty] {
        assert_eq!(content(&*source, &piece.descriptor, 0), piece.content);
    }
    assert_eq!(content(&*source, &layer.descriptor, 2), &layer.content[2..]);
    let referrers = source.referrers(&manifest.descriptor().digest).expect("referrers");
    assert_eq!(referrers.entries, [signature.as_referrer()]);
}

type Check = fn(&dyn Repository);

type ServerCheck = fn(&dyn Place);

const CHECKS: [(&str, Check); 12] = [
    ("an empty repository answers", empty_repository),
    ("a blob goes round", blob_round_trip),
    ("an empty blob goes round", empty_blob),
    ("sha512 content goes round (A-33)", sha512),
    ("wrong content leaves nothing (A-10, B-05)", wrong_content),
    ("a descriptor of another size is of nothing here (B-05)", other_sizes),
    ("one blob pushed twice and at once is kept once (F-52)", concurrent_pushes),
    ("a manifest goes round, byte for byte (A-40)", manifest_round_trip),
    ("names move and go (A-25)", names_move),
    ("referrers are found (A-29)", referrers),
    ("content under an unknown algorithm is refused (A-38)", unverifiable),
    ("a manifest is removed with its names (F-41)", remove),
];

const SERVER_CHECKS: [(&str, ServerCheck); 4] = [
    ("a blob comes in pieces (F-13, F-19)", upload),
    ("a wrong or abandoned upload leaves nothing (F-11)", bad_upload),
    ("a blob is forgotten unless a manifest needs it (F-42)", forget),
    ("a blob belongs to another repository once that adopts it (F-21, F-42)", adopt),
];

/// Content in hand.
struct Piece {
    descriptor: Descriptor,
    content: Bytes,
}

impl Piece {
    fn new(content: &'static [u8]) -> Self {
        Self {
            descriptor: Descriptor::of("application/octet-stream", content),
            content: content.into(),
        }
    }
}

impl Blob for Piece {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn open(&self, prefix: Option<Hasher>) -> Result<Verifying<'_>> {
        let at = |hasher: &Hasher| {
            usize::try_from(hasher.count()).unwrap_or(usize::MAX).min(self.content.len())
        };
        Ok(match prefix {
            Some(hasher) => {
                let rest = self.content.slice(at(&hasher)..);
                Verifying::resume(Box::new(std::io::Cursor::new(rest)), &self.descriptor, hasher)
            }
            None => Verifying::new(Box::new(&self.content[..]), &self.descriptor)?,
        })
    }
}

/// An image manifest that lists `pieces`, the first of them as its config.
fn image(pieces: &[&Piece], subject: Option<&Descriptor>) -> Manifest {
    let list = |descriptor: &Descriptor| {
        let Descriptor { media_type, digest, size, .. } = descriptor;
        format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<_> = pieces[1..].iter().map(|piece| list(&piece.descriptor)).collect();
    let subject =
        subject.map(|subject| format!(",\n \"subject\": {}", list(subject))).unwrap_or_default();
    // White space and an unknown member: they must survive.
    let raw = format!(
        "{{\"schemaVersion\": 2, \"x\":  1,\n \"mediaType\": \"{}\",\n \"config\": {},\n \"layers\": [{}]{subject}}}\n",
        MediaType::IMAGE_MANIFEST,
        list(&pieces[0].descriptor),
        layers.join(", "),
    );
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, raw.as_bytes());
    manifest_from(raw.into(), descriptor).expect("a manifest made here is one")
}

fn content(source: &(impl Source + ?Sized), descriptor: &Descriptor, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    source
        .open(descriptor, offset)
        .expect("what was pushed opens")
        .read_to_end(&mut bytes)
        .expect("and reads");
    bytes
}

fn push_image(repository: &dyn Repository, pieces: &[&Piece], names: &[Name]) -> Manifest {
    for piece in pieces {
        repository.push_blob(*piece).expect("a blob is taken");
    }
    let manifest = image(pieces, None);
    repository.push_manifest(&manifest, Entry::Root(names)).expect("a manifest is taken");
    manifest
}

fn empty_repository(repository: &dyn Repository) {
    assert!(repository.names().expect("an empty list").is_empty());
    assert!(repository.roots().expect("an empty list").is_empty());
    let absent = Piece::new(b"absent").descriptor;
    assert_eq!(repository.held(&absent, Role::Layer).expect("an answer"), Held::Nothing);
    assert!(repository.head(&Selector::Name("v1".into())).is_err_and(|error| error.is_not_found()));
    assert!(
        repository.head(&absent.digest.clone().into()).is_err_and(|error| error.is_not_found())
    );
    assert!(repository.open(&absent, 0).is_err_and(|error| error.is_not_found()));
    assert!(repository.referrers(&absent.digest).expect("an empty list").entries.is_empty());
    assert!(repository.untag(&"v1".into()).is_err_and(|error| error.is_not_found()));
}

fn blob_round_trip(repository: &dyn Repository) {
    let piece = Piece::new(b"some content");
    assert_eq!(repository.push_blob(&piece).expect("a blob is taken"), Pushed::Written(12));
    assert_eq!(repository.held(&piece.descriptor, Role::Layer).expect("an answer"), Held::Whole);
    for offset in [0, 5, 12] {
        assert_eq!(content(repository, &piece.descriptor, offset as u64), &piece.content[offset..]);
    }
}

fn empty_blob(repository: &dyn Repository) {
    let piece = Piece::new(b"");
    repository.push_blob(&piece).expect("an empty blob is taken");
    assert_eq!(repository.held(&piece.descriptor, Role::Layer).expect("an answer"), Held::Whole);
    assert_eq!(content(repository, &piece.descriptor, 0), b"");
}

fn sha512(repository: &dyn Repository) {
    let mut piece = Piece::new(b"long digest");
    piece.descriptor.digest = Digest::sha512(&piece.content);
    repository.push_blob(&piece).expect("sha512 content is taken");
    assert_eq!(content(repository, &piece.descriptor, 0), piece.content);
    piece.content = Bytes::from_static(b"LONG digest");
    piece.descriptor.digest = Digest::sha512(b"other");
    assert!(repository.push_blob(&piece).is_err_and(|error| error.is_corruption()));
}

fn wrong_content(repository: &dyn Repository) {
    let right = Piece::new(b"right content");
    for wrong in [&b"wrong content"[..], b"right", b"right content and more", b""] {
        let piece = Piece { descriptor: right.descriptor.clone(), content: wrong.into() };
        let error = repository.push_blob(&piece).expect_err("wrong content is refused");
        assert!(error.is_corruption(), "{error}");
        assert!(
            error.to_string().contains(&right.descriptor.digest.to_string()),
            "it names the digest: {error}"
        );
        assert_ne!(
            repository.held(&right.descriptor, Role::Layer).expect("an answer"),
            Held::Whole
        );
        assert!(repository.open(&right.descriptor, 0).is_err());
    }
    repository.push_blob(&right).expect("the right content is still taken");
    assert_eq!(content(repository, &right.descriptor, 0), right.content);
}

fn other_sizes(repository: &dyn Repository) {
    let right = Piece::new(b"right content");
    let other = |size| Piece {
        descriptor: Descriptor { size, ..right.descriptor.clone() },
        content: right.content.clone(),
    };
    let refuse = || {
        for size in [0, 1, right.descriptor.size - 1, right.descriptor.size + 1] {
            let piece = other(size);
            let held = repository.held(&piece.descriptor, Role::Layer).expect("an answer");
            assert_ne!(held, Held::Whole, "with {size} bytes");
            let error = repository.push_blob(&piece).expect_err("content of another size");
            assert!(error.is_corruption(), "with {size} bytes: {error}");
        }
    };
    refuse();
    repository.push_blob(&right).expect("the right content is taken");
    refuse();
    assert_eq!(content(repository, &right.descriptor, 0), right.content);
    for size in [0, 1, right.descriptor.size, right.descriptor.size + 1] {
        let found = repository.size(&other(size).descriptor).expect("what was pushed");
        assert_eq!(found, right.descriptor.size, "asked for with {size} bytes");
    }
    let absent = Piece::new(b"absent").descriptor;
    assert!(repository.size(&absent).is_err_and(|error| error.is_not_found()));
}

fn concurrent_pushes(repository: &dyn Repository) {
    const PUSHERS: usize = 8;
    let piece = Piece::new(b"pushed by all at once");
    let start = Barrier::new(PUSHERS);
    thread::scope(|scope| {
        for _ in 0..PUSHERS {
            scope.spawn(|| {
                start.wait();
                repository.push_blob(&piece).expect("each push succeeds");
            });
        }
    });
    assert_eq!(content(repository, &piece.descriptor, 0), piece.content);
}

fn manifest_round_trip(repository: &dyn Repository) {
    let pieces = [&Piece::new(b"{}"), &Piece::new(b"layer")];
    let manifest = push_image(repository, &pieces, &["v1".into()]);
    let digest = &manifest.descriptor().digest;
    for selector in [Selector::Name("v1".into()), Selector::Digest(digest.clone())] {
        let head = repository.head(&selector).expect("what was pushed");
        assert_eq!((&head.digest, head.size), (digest, manifest.descriptor().size));
        assert_eq!(head.media_type.as_str(), MediaType::IMAGE_MANIFEST);
        assert_eq!(repository.manifest(&selector).expect("what was pushed").raw(), manifest.raw());
    }
    assert_eq!(
        repository.child(manifest.descriptor()).expect("what was pushed").raw(),
        manifest.raw()
    );
    assert_eq!(
        repository.held(manifest.descriptor(), Role::Manifest).expect("an answer"),
        Held::Whole
    );
    let roots = repository.roots().expect("a list");
    let listed: Vec<_> =
        roots.iter().map(|root| (&root.descriptor.digest, root.names.as_slice())).collect();
    assert_eq!(listed, [(digest, &["v1".into()][..])]);
}

fn names_move(repository: &dyn Repository) {
    let first = push_image(repository, &[&Piece::new(b"{}")], &["v1".into(), "latest".into()]);
    let second = push_image(repository, &[&Piece::new(b"{ }")], &["v2".into(), "latest".into()]);
    let stands_for =
        |name: &str| repository.head(&Selector::Name(name.into())).map(|head| head.digest);
    assert_eq!(repository.names().expect("names"), ["latest", "v1", "v2"].map(Name::from));
    assert_eq!(stands_for("v1").expect("v1"), first.descriptor().digest);
    assert_eq!(stands_for("latest").expect("latest"), second.descriptor().digest);
    let lists = |of: &Manifest, names: &[&str]| {
        let names: Vec<_> = names.iter().copied().map(Name::from).collect();
        repository.lists(of.descriptor(), &names).expect("an answer")
    };
    assert!(lists(&first, &["v1"]) && lists(&first, &[]) && lists(&second, &["v2", "latest"]));
    assert!(!lists(&first, &["latest"]) && !lists(&first, &["v1", "v2"]));
    assert!(!lists(&image(&[&Piece::new(b"[]")], None), &[]));
    let before = |name: &str| repository.stands_for(&name.into()).expect("an answer");
    // A registry may not say; whoever does says what the name loses.
    if before("v1").is_some() {
        assert_eq!(before("v1"), Some(first.descriptor().digest.clone()));
        assert_eq!(before("latest"), Some(second.descriptor().digest.clone()));
    }
    assert_eq!(before("v3"), None);
    repository.untag(&"latest".into()).expect("a name that is there goes");
    assert!(stands_for("latest").is_err_and(|error| error.is_not_found()));
    assert_eq!(stands_for("v2").expect("v2"), second.descriptor().digest);
    let outcomes = repository.untag_all(&["latest".into(), "v1".into(), "v2".into()]);
    let outcomes = outcomes.expect("what is there goes");
    assert!(outcomes[0].as_ref().is_err_and(Error::is_not_found), "{outcomes:?}");
    assert!(outcomes[1].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert_eq!(repository.names().expect("names"), []);
}

fn referrers(repository: &dyn Repository) {
    let config = Piece::new(b"{}");
    let subject = push_image(repository, &[&config], &["v1".into()]);
    let signature = image(&[&config], Some(subject.descriptor()));
    repository.push_manifest(&signature, Entry::Root(&[])).expect("a referrer is taken");
    let of_signature = image(&[&config], Some(signature.descriptor()));
    repository.push_manifest(&of_signature, Entry::Root(&[])).expect("a referrer is taken");
    let found = |subject: &Manifest| {
        repository.referrers(&subject.descriptor().digest).expect("a list").entries
    };
    assert_eq!(found(&subject), [signature.as_referrer()]);
    assert_eq!(found(&signature), [of_signature.as_referrer()]);
    assert!(found(&of_signature).is_empty());
}

fn unverifiable(repository: &dyn Repository) {
    let mut piece = Piece::new(b"content");
    piece.descriptor.digest = "foo+bar:Zz9=".parse().expect("a digest of the grammar");
    let refused = repository.push_blob(&piece);
    assert!(matches!(refused, Err(Error::Unverifiable { .. })), "{refused:?}");
}

/// Returns what was done; `None` if a registry does not allow it.
fn if_supported<T>(result: Result<T>) -> Option<T> {
    match result {
        Err(Error::Unsupported { .. }) => None,
        result => Some(result.expect("what the place can do succeeds")),
    }
}

fn upload(place: &dyn Place) {
    let (name, repository) = (app(), place.repository(&app()).expect("a repository"));
    let begin = |hasher| place.upload(&name, hasher).expect("an upload begins");
    let content = b"comes in pieces";
    for digest in [Digest::sha256(content), Digest::sha512(content)] {
        for hasher in [Hasher::sha256(), Hasher::sha512()] {
            let mut upload = begin(hasher);
            for (at, piece) in content.chunks(4).enumerate() {
                assert_eq!(upload.len(), at as u64 * 4);
                upload.write(piece).expect("a piece is taken");
            }
            let blob = upload.finish(&digest).expect("the right content is taken");
            assert_eq!((&blob.digest, blob.size), (&digest, content.len() as u64));
            let found = repository.blob(&digest).expect("it belongs to the repository");
            assert_eq!((&found.digest, found.size), (&digest, content.len() as u64));
            assert_eq!(self::content(&*repository, &blob, 0), content);
        }
    }
    let empty =
        begin(Hasher::sha256()).finish(&Digest::sha256(b"")).expect("a blob of no bytes is taken");
    assert_eq!(self::content(&*repository, &empty, 0), b"");
}

fn bad_upload(place: &dyn Place) {
    let (name, repository) = (app(), place.repository(&app()).expect("a repository"));
    let begin = || place.upload(&name, Hasher::sha256()).expect("an upload begins");
    let right = Piece::new(b"right").descriptor;
    let mut upload = begin();
    upload.write(b"wrong").expect("a piece is taken");
    let error = upload.finish(&right.digest).expect_err("wrong content is refused");
    assert!(error.is_corruption(), "{error}");
    let mut upload = begin();
    upload.write(b"right").expect("a piece is taken");
    let unknown: Digest = "foo:bar".parse().expect("a digest of the grammar");
    assert!(matches!(upload.finish(&unknown), Err(Error::Unverifiable { .. })));
    let mut upload = begin();
    upload.write(b"right").expect("a piece is taken");
    drop(upload);
    assert!(repository.blob(&right.digest).is_err_and(|error| error.is_not_found()));
    assert!(repository.open(&right, 0).is_err_and(|error| error.is_not_found()));
}

fn remove(repository: &dyn Repository) {
    let pieces = [&Piece::new(b"{}"), &Piece::new(b"layer")];
    let kept = push_image(repository, &pieces[..1], &["kept".into()]);
    let manifest = push_image(repository, &pieces, &["v1".into(), "latest".into()]);
    let digest = &manifest.descriptor().digest;
    if if_supported(repository.remove(digest)).is_none() {
        return;
    }
    assert!(repository.head(&digest.clone().into()).is_err_and(|error| error.is_not_found()));
    assert_eq!(repository.names().expect("names"), ["kept".into()]);
    assert!(repository.remove(digest).is_err_and(|error| error.is_not_found()));
    assert!(repository.head(&kept.descriptor().digest.clone().into()).is_ok());
    push_image(repository, &pieces, &["v1".into()]);
    assert!(repository.head(&digest.clone().into()).is_ok(), "it may be pushed again");
}

fn forget(place: &dyn Place) {
    let (name, repository) = (app(), place.repository(&app()).expect("a repository"));
    let [config, layer] = [Piece::new(b"{}"), Piece::new(b"layer")];
    let manifest = push_image(&*repository, &[&config, &layer], &["v1".into()]);
    for blob in [&config, &layer] {
        let found = repository.blob(&blob.descriptor.digest).expect("a manifest lists it");
        assert_eq!(found.size, blob.descriptor.size);
    }
    let digest = &layer.descriptor.digest;
    assert!(matches!(place.forget(&name, digest), Err(Error::Unsupported { .. })), "it is needed");
    repository.remove(&manifest.descriptor().digest).expect("it is here");
    place.forget(&name, digest).expect("no manifest needs it");
    assert!(repository.blob(digest).is_err_and(|error| error.is_not_found()));
    assert!(place.forget(&name, digest).is_err_and(|error| error.is_not_found()));
    repository.push_blob(&layer).expect("it may be pushed again");
    assert!(repository.blob(digest).is_ok());
}

fn several_repositories<P: SourcePlace + TargetPlace>(place: &P, one_of: OneOf<P>) {
    eprintln!("conformance: repositories do not see each other's names");
    let names = two_names();
    let [one, two] = names.each_ref().map(|name| one_of(place, name));
    push_image(&*one, &[&Piece::new(b"{}")], &["v1".into()]);
    push_image(&*two, &[&Piece::new(b"{ }")], &["v1".into()]);
    assert!(two.names().expect("names").contains(&"v1".into()));
    one.untag(&"v1".into()).expect("a name goes");
    assert!(two.head(&Selector::Name("v1".into())).is_ok(), "the other repository keeps its own");
    place.commit().expect("all of it is there");
    assert_eq!(place.repositories().expect("a list"), names);
}

fn two_names() -> [RepositoryName; 2] {
    ["a/one", "b/two"].map(|name| name.parse().expect("a name of the grammar"))
}

fn adopt(place: &dyn Place) {
    let [one, two] = two_names();
    let view = |name| place.repository(name).expect("a repository");
    let piece = Piece::new(b"of one of them");
    let digest = &piece.descriptor.digest;
    view(&one).push_blob(&piece).expect("a blob is taken");
    assert!(view(&two).blob(digest).is_err_and(|error| error.is_not_found()));
    place.adopt(&two, &piece.descriptor).expect("the place holds it");
    assert_eq!(content(&*view(&two), &piece.descriptor, 0), piece.content);
    place.forget(&one, digest).expect("no manifest needs it");
    assert!(view(&one).blob(digest).is_err_and(|error| error.is_not_found()));
    assert!(view(&two).blob(digest).is_ok(), "the other repository keeps it");
    let absent = Piece::new(b"nowhere").descriptor;
    assert!(place.adopt(&two, &absent).is_err_and(|error| error.is_not_found()));
}
