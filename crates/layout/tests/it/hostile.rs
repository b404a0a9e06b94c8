//! Layouts that are made to harm their readers or writers: at every path that is opened there is
//! something else than expected.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use longshore_fixture::{Content, artifacts};
use longshore_layout::{
    Archive, ArchiveOptions, ArchiveWriter, Directory, GcMode, Layout as _, Links, write_file,
};
use longshore_spec::{Descriptor, Digest, Hasher, MediaType, RepositoryName};
use longshore_store::{
    Entry, Error, Held, Place as _, Pushed, Selector, Source as _, SourcePlace as _, Target as _,
    TargetPlace as _,
};

use crate::common::{Parcel, Piece, created, names_in, push_all, read_all};

/// The content of files outside, which must never be seen inside.
const CANARY: &str = "sweet and precious";

/// What an attacker puts in place of a file or directory.
#[derive(Debug, Clone, Copy)]
enum Kind {
    LinkToFile,
    LinkToDirectory,
    RelativeLink,
    LinkToLink,
    LinkOutAndBack,
    LinkToNothing,
    LinkToItself,
    HardLink,
    Pipe,
    Socket,
    Directory,
    Device,
}

const KINDS: [Kind; 12] = [
    Kind::LinkToFile,
    Kind::LinkToDirectory,
    Kind::RelativeLink,
    Kind::LinkToLink,
    Kind::LinkOutAndBack,
    Kind::LinkToNothing,
    Kind::LinkToItself,
    Kind::HardLink,
    Kind::Pipe,
    Kind::Socket,
    Kind::Directory,
    Kind::Device,
];

/// A layout with one image, and a directory beside it that must not be touched.
struct Scene {
    directory: tempfile::TempDir,
    content: Content,
    /// What is pushed to the layout.
    piece: Piece,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = Content::tagged("app", |content| artifacts::image(content, 1));
        content.write_directory(&directory.path().join("layout")).unwrap();
        let scene = Self { directory, content, piece: Piece::random(7, 1000) };
        // These names are removed or written inside.
        for name in
            ["canary", "upload-0", "uploads/upload-0", "sha256/x", "partial/uploads/upload-0"]
        {
            let path = scene.outside().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, CANARY).unwrap();
        }
        for digest in scene.digests() {
            fs::write(scene.outside().join("sha256").join(digest.encoded()), CANARY).unwrap();
            fs::write(scene.outside().join(digest.encoded()), CANARY).unwrap();
        }
        scene
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("layout")
    }

    fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    /// Returns the digests of the content that is there, will be pushed, and was pushed.
    fn digests(&self) -> Vec<Digest> {
        let there = self.content.blobs.keys().cloned();
        there.chain([self.piece.digest().clone(), Digest::sha256("upload")]).collect()
    }

    /// Returns every path that is opened, with a name for each.
    fn paths(&self) -> Vec<String> {
        let layer = self.content.blobs.keys().next().unwrap().encoded();
        let part = self.piece.digest().encoded();
        let marks = ".longshore/repositories/team/app/_blobs";
        [
            "oci-layout",
            "index.json",
            "bundle.json",
            "blobs",
            "blobs/sha256",
            &format!("blobs/sha256/{layer}"),
            &format!("blobs/sha256/{part}"),
            ".longshore",
            ".longshore/lock",
            ".longshore/index.lock",
            ".longshore/index.json.new",
            ".longshore/partial",
            ".longshore/partial/sha256",
            &format!(".longshore/partial/sha256/{part}"),
            ".longshore/partial/uploads",
            ".longshore/partial/uploads/upload-0",
            ".longshore/repositories",
            ".longshore/repositories/team",
            ".longshore/repositories/team/app",
            marks,
            &format!("{marks}/sha256"),
            &format!("{marks}/sha256/{layer}"),
            &format!(".longshore/repositories/team/app/_manifests/sha256/{layer}"),
        ]
        .map(ToOwned::to_owned)
        .to_vec()
    }

    /// Puts something at a path. Returns false if that is not possible here.
    fn plant(&self, path: &str, kind: Kind) -> bool {
        let (at, outside) = (self.root().join(path), self.outside());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        let old = self.directory.path().join("old");
        if at.symlink_metadata().is_ok() {
            fs::rename(&at, &old).unwrap();
        }
        let up = "../".repeat(path.split('/').count());
        match kind {
            Kind::LinkToFile => symlink(outside.join("canary"), &at).unwrap(),
            Kind::LinkToDirectory => symlink(&outside, &at).unwrap(),
            Kind::RelativeLink => symlink(format!("{up}outside/canary"), &at).unwrap(),
            Kind::LinkToLink => {
                symlink(format!("{up}outside/canary"), self.root().join("stepping-stone")).unwrap();
                symlink(self.root().join("stepping-stone"), &at).unwrap();
            }
            Kind::LinkOutAndBack => symlink(format!("{up}layout/index.json"), &at).unwrap(),
            Kind::LinkToNothing => symlink(outside.join("new"), &at).unwrap(),
            Kind::LinkToItself => symlink(at.file_name().unwrap(), &at).unwrap(),
            Kind::HardLink => fs::hard_link(outside.join("canary"), &at).unwrap(),
            Kind::Pipe => {
                let made = Command::new("mkfifo").arg(&at).status();
                return made.is_ok_and(|status| status.success());
            }
            Kind::Socket => {
                // The paths of sockets must be short.
                let short = self.directory.path().join("s");
                drop(UnixListener::bind(&short).unwrap());
                fs::rename(short, &at).unwrap();
            }
            Kind::Directory => {
                fs::create_dir(&at).unwrap();
                fs::write(at.join("file"), CANARY).unwrap();
            }
            Kind::Device => symlink("/dev/zero", &at).unwrap(),
        }
        true
    }

    /// Returns the names, content and times of everything outside.
    fn around(&self) -> Vec<(PathBuf, String, i64, u64)> {
        let files = walkdir::WalkDir::new(self.outside()).sort_by_file_name().into_iter();
        let described = files.map(|entry| {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            let text = if entry.file_type().is_file() {
                String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned()
            } else {
                String::new()
            };
            (entry.into_path(), text, found.mtime_nsec(), found.mtime().unsigned_abs())
        });
        described.collect()
    }
}

/// Does everything that can be done to a layout. Returns all errors and results.
fn use_up(root: &Path, content: &Content, piece: &Piece) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |result: Result<String, Error>| {
        told.push(result.unwrap_or_else(|error| error.to_string()));
    };
    tell(read_all(root).map(|blobs| format!("{:?}", blobs.values())));
    let repository: RepositoryName = "team/app".parse().unwrap();
    let layer = content.blobs.keys().next().unwrap().clone();
    for opened in [Directory::open(root), Directory::create(root)] {
        let layout = match opened {
            Ok(layout) => layout,
            Err(error) => {
                tell(Err(error));
                continue;
            }
        };
        let extra = layout.extra_file("bundle.json", 1 << 20);
        tell(extra.map(|bytes| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()));
        tell(layout.blob_digests().map(|stored| format!("{stored:?}")));
        tell(layout.repositories().map(|repositories| format!("{repositories:?}")));
        for digest in content.blobs.keys() {
            let blob = Descriptor::new(MediaType::new("a/b"), digest.clone(), 1);
            let mut text = String::new();
            tell(layout.whole().open(&blob, 0).and_then(|mut reader| {
                let read = reader.read_to_string(&mut text);
                read.map(|_| text).map_err(Error::io("read", digest))
            }));
        }
        tell(layout.whole().push_blob(piece).map(|pushed| format!("{pushed:?}")));
        let uploaded = layout.upload(&repository, Hasher::sha256()).and_then(|mut upload| {
            upload.write(b"upload")?;
            upload.finish(&Digest::sha256("upload"))
        });
        tell(uploaded.map(|uploaded| format!("{uploaded:?}")));
        let blob = Descriptor::new(MediaType::new("a/b"), layer.clone(), 1);
        let adopted = layout.adopt(&repository, &blob).and_then(|()| {
            layout.source(&repository)?.head(&Selector::Digest(layer.clone()))?;
            layout.forget(&repository, &layer)
        });
        tell(adopted.map(|()| String::new()));
        let named = layout.whole().roots().and_then(|roots| {
            let Some(root) = roots.first() else { return Ok(()) };
            let selector = Selector::Digest(root.descriptor.digest.clone());
            let manifest = layout.whole().manifest(&selector)?;
            layout.whole().push_manifest(&manifest, Entry::Root(&["again".into()])).map(drop)
        });
        tell(named.and_then(|()| layout.commit()).map(|()| String::new()));
    }
    let collected = Directory::open_alone(root)
        .and_then(|layout| layout.collect(&HashSet::new(), Duration::ZERO, GcMode::Remove));
    tell(collected.map(|collected| format!("{collected:?}")));
    told
}

#[test]
fn nothing_outside_is_read_written_or_waited_for_whatever_lies_in_a_layout() {
    const PATIENCE: Duration = Duration::from_mins(1);
    for path in Scene::new().paths() {
        for kind in KINDS {
            let scene = Scene::new();
            if !scene.plant(&path, kind) {
                continue;
            }
            let before = scene.around();
            let (root, content) = (scene.root(), scene.content.clone());
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || {
                sender.send(use_up(&root, &content, &Piece::random(7, 1000)))
            });
            let told = receiver.recv_timeout(PATIENCE);
            let told = told.unwrap_or_else(|error| panic!("{path} as {kind:?}: {error}"));
            let seen = told.iter().find(|told| told.contains(CANARY));
            // A hard link in a layout is a file of the layout: only writing shows the difference.
            assert!(
                seen.is_none() || matches!(kind, Kind::HardLink),
                "{path} as {kind:?} shows {seen:?}"
            );
            assert_eq!(scene.around(), before, "{path} as {kind:?}: {told:#?}");
        }
    }
}

#[test]
fn a_link_that_leads_out_is_named_with_where_it_leads() {
    let scene = Scene::new();
    let layer = scene.content.blobs.keys().next().unwrap();
    let path = format!("blobs/sha256/{}", layer.encoded());
    assert!(scene.plant(&path, Kind::RelativeLink));
    let layout = Directory::open(scene.root()).unwrap();
    let blob = Descriptor::new(MediaType::new("a/b"), layer.clone(), 1);
    let error = layout.whole().open(&blob, 0).map(drop).unwrap_err();
    let Error::LeadsOut { link, target, place } = error else { panic!("{error}") };
    assert_eq!(Path::new(&link), scene.root().join(path));
    assert_eq!(target, "../../../outside/canary");
    assert_eq!(Path::new(&place), scene.root());
}

#[test]
fn a_link_is_followed_when_asked_for_to_what_proves_right_and_never_written_through() {
    let scene = Scene::new();
    let blobs = scene.root().join("blobs");
    fs::rename(&blobs, scene.outside().join("blobs")).unwrap();
    symlink("../outside/blobs", &blobs).unwrap();
    assert!(matches!(read_all(&scene.root()), Err(Error::LeadsOut { .. })));
    let layout = Directory::open_with(scene.root(), Links::Anywhere).unwrap();
    assert_eq!(layout.blob_digests().unwrap().len(), scene.content.blobs.len());
    let open = |digest: &Digest| {
        let blob = Descriptor::new(MediaType::new("a/b"), digest.clone(), 1);
        let mut bytes = Vec::new();
        layout.whole().open(&blob, 0).map(|mut reader| reader.read_to_end(&mut bytes).unwrap())?;
        Ok::<_, Error>(bytes)
    };
    for (digest, bytes) in &scene.content.blobs {
        assert_eq!(open(digest).unwrap(), bytes[..]);
    }
    let (digest, _) = scene.content.blobs.iter().next().unwrap();
    let file = scene.outside().join("blobs/sha256").join(digest.encoded());
    fs::write(&file, CANARY).unwrap();
    assert!(matches!(open(digest), Err(Error::Corrupt { .. })), "it is another file");
    fs::remove_file(&file).unwrap();
    symlink("/dev/zero", &file).unwrap();
    assert!(matches!(open(digest), Err(Error::Malformed { .. })), "it is no file");

    let before = scene.around();
    let layout = Directory::create_with(scene.root(), Links::Anywhere).unwrap();
    let pushed = layout.whole().push_blob(&scene.piece);
    assert!(matches!(pushed, Err(Error::Malformed { .. })), "{pushed:?}");
    assert_eq!(scene.around(), before);
}

#[test]
fn a_part_with_another_name_is_left_alone_and_another_begun() {
    let scene = Scene::new();
    let piece = &scene.piece;
    let parts = scene.root().join(".longshore/partial/sha256");
    fs::create_dir_all(&parts).unwrap();
    let half = scene.outside().join("half");
    fs::write(&half, &piece.content[..500]).unwrap();
    fs::hard_link(&half, parts.join(piece.digest().encoded())).unwrap();
    let layout = created(scene.root());
    assert_eq!(
        layout.whole().held(&piece.descriptor, longshore_spec::Role::Layer).unwrap(),
        Held::Nothing
    );
    assert_eq!(layout.whole().push_blob(piece).unwrap(), Pushed::Written(1000));
    assert_eq!(fs::read(&half).unwrap(), piece.content[..500]);
    assert_eq!(names_in(&parts), [piece.digest().encoded()], "its own part became the blob");
}

#[test]
fn an_archive_is_not_written_into_what_is_not_ours() {
    let parcel = Parcel::sample();
    for suffix in [".partial", ".partial.journal"] {
        for kind in KINDS {
            let scene = Scene::new();
            if !scene.plant(&format!("a.tar{suffix}"), kind) {
                continue;
            }
            if suffix == ".partial.journal" {
                // Alone it is of no use, and is removed.
                fs::write(scene.root().join("a.tar.partial"), "").unwrap();
            }
            let before = scene.around();
            let writer = ArchiveWriter::new(scene.root().join("a.tar")).unwrap();
            let error = writer.prepare(&parcel.outline).unwrap_err();
            assert!(error.to_string().contains(&format!("a.tar{suffix}")), "{kind:?}: {error}");
            assert_eq!(scene.around(), before, "{kind:?}");
        }
    }
    // The partial file of a killed run is continued.
    let scene = Scene::new();
    let path = scene.root().join("a.tar");
    let writer = ArchiveWriter::new(&path).unwrap();
    writer.prepare(&parcel.outline).unwrap();
    drop(writer);
    let writer = ArchiveWriter::new(&path).unwrap();
    writer.prepare(&parcel.outline).unwrap();
    push_all(&writer, &parcel.pieces);
    writer.commit().unwrap();
    Archive::open(&path, &ArchiveOptions::default()).unwrap();
}

#[test]
fn what_is_no_file_is_no_archive() {
    for kind in [Kind::Pipe, Kind::Socket, Kind::Directory, Kind::Device, Kind::LinkToItself] {
        let scene = Scene::new();
        if scene.plant("a.tar", kind) {
            let error = Archive::open(scene.root().join("a.tar"), &ArchiveOptions::default());
            let error = error.unwrap_err().to_string();
            assert!(error.contains("a.tar"), "{kind:?}: {error}");
        }
    }
}

#[test]
fn a_file_of_the_user_s_is_written_under_a_name_that_nobody_knew() {
    for kind in KINDS {
        let scene = Scene::new();
        if !scene.plant("report.json.partial", kind) {
            continue;
        }
        let before = scene.around();
        write_file(&scene.root().join("report.json"), b"{}").unwrap();
        assert_eq!(fs::read(scene.root().join("report.json")).unwrap(), b"{}");
        assert_eq!(scene.around(), before, "{kind:?}");
        let left = names_in(&scene.root());
        assert!(!left.iter().any(|name| name.starts_with(".longshore-")), "{left:?}");
    }
}

#[test]
fn a_layout_is_where_its_path_leads_when_it_is_asked() {
    let scene = tempfile::tempdir().unwrap();
    let releases = ["one", "two"].map(|name| {
        let content = Content::tagged(name, |content| artifacts::image(content, 1));
        content.write_directory(&scene.path().join(name)).unwrap();
        name
    });
    let current = scene.path().join("current");
    symlink(releases[0], &current).unwrap();
    let layout = Directory::open(&current).unwrap();
    assert_eq!(layout.whole().names().unwrap(), ["one".into()]);
    fs::remove_file(&current).unwrap();
    symlink(releases[1], &current).unwrap();
    assert_eq!(layout.whole().names().unwrap(), ["two".into()]);
}
