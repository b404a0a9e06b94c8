//! Layouts of any size, written as they are made: the program would take too long.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use longshore_fixture::{Content, Draft, blob_path, with_annotation};
use longshore_spec::{Descriptor, Digest, MediaType, keys};

use super::Kind;

/// The host in all names.
pub(super) const HOST: &str = "harbour.example";
/// The repository of all tags and names.
pub(super) const REPOSITORY: &str = "team/app";
/// What all repositories have in common.
pub(super) const BASE: &[u8] = b"what every artifact is built upon\n";

const ARTIFACT: &str = "application/vnd.example.growth.v1";

/// Where layouts lie, each of which is written when it is first asked for.
pub(super) struct Layouts(PathBuf);

impl Layouts {
    pub(super) fn new(work: &Path) -> Self {
        Self(work.to_owned())
    }

    /// Returns a path at which nothing lies.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.exists() {
            fs::remove_file(&path)?;
        }
        Ok(path)
    }

    /// Returns a layout with `count` of something, which is only read.
    pub(super) fn of(&self, kind: Kind, count: usize) -> Result<PathBuf> {
        let path = self.0.join(format!("{count}-{}", kind.plural()));
        if !path.exists() {
            println!("  writing a layout with {count} {}", kind.plural());
            write(kind, count, &path)?;
        }
        Ok(path)
    }

    /// Returns a layout with `count` of something, which may be changed.
    pub(super) fn own(&self, kind: Kind, count: usize) -> Result<PathBuf> {
        let path = self.fresh(&format!("own-{count}-{}", kind.plural()))?;
        write(kind, count, &path)?;
        Ok(path)
    }
}

/// Returns the path of a repository.
pub(super) fn repository(number: usize) -> String {
    /// How many repositories a team has.
    const TEAM: usize = 100;
    format!("team-{}/app-{number}", number / TEAM)
}

/// A small artifact with a manifest of its own, upon a layer that all have.
pub(super) struct Artifact {
    content: Content,
    manifest: Descriptor,
}

impl Artifact {
    /// Returns the artifact of a number, as the layouts of a kind have it.
    pub(super) fn new(kind: Kind, number: usize) -> Self {
        let own = matches!(kind, Kind::Repositories | Kind::Artifacts | Kind::Entries);
        Self::made(&number.to_string(), own.then(|| format!("layer {number}\n")))
    }

    /// Returns one that no layout has, with a layer of its own.
    pub(super) fn pushed(number: usize) -> Self {
        Self::made(&format!("pushed {number}"), Some(format!("pushed layer {number}\n")))
    }

    fn made(number: &str, own: Option<String>) -> Self {
        let mut content = Content::new();
        let mut layers = vec![content.blob(MediaType::LAYER_TAR, BASE)];
        layers.extend(own.map(|own| content.blob(MediaType::LAYER_TAR, own)));
        content.empty();
        let draft = Draft::artifact(ARTIFACT, &layers).annotation("number", number);
        let manifest = content.manifest(&draft);
        Self { content, manifest }
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// Returns the manifest.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.content.blobs[self.digest()]
    }

    /// Returns all that the manifest refers to.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        let blobs = self.content.blobs.iter().filter(|(digest, _)| *digest != self.digest());
        blobs.map(|(digest, bytes)| (digest, &bytes[..]))
    }

    /// Writes it into a layout, and returns its entry of `index.json`.
    fn write(&self, layout: &Path, name: &str) -> Result<Descriptor> {
        for (digest, bytes) in &self.content.blobs {
            let path = layout.join(blob_path(digest));
            // What all have in common is there from the second on.
            if !path.exists() {
                fs::write(path, bytes)?;
            }
        }
        Ok(named(&self.manifest, name))
    }

    /// Marks its blobs as pushed to a repository.
    fn mark(&self, layout: &Path, repository: &str) -> Result<()> {
        let marks = layout.join(".longshore/repositories").join(repository).join("_blobs/sha256");
        fs::create_dir_all(&marks)?;
        for (digest, _) in self.blobs() {
            fs::write(marks.join(digest.encoded()), "")?;
        }
        Ok(())
    }
}

fn write(kind: Kind, count: usize, path: &Path) -> Result<()> {
    if kind == Kind::Blobs {
        longshore_fixture::many(path, count)?;
        return Ok(());
    }
    fs::create_dir_all(path.join("blobs/sha256"))?;
    let tag = |number| format!("{HOST}/{REPOSITORY}:v{number}");
    let first = Artifact::new(kind, 0).write(path, &tag(0))?;
    let entry = |number| match kind {
        Kind::Names => Ok(named(&first, &tag(number))),
        Kind::Repositories => {
            let (repository, artifact) = (repository(number), Artifact::new(kind, number));
            artifact.mark(path, &repository)?;
            artifact.write(path, &format!("{repository}:v1"))
        }
        Kind::Artifacts | Kind::Entries => {
            let name = format!("{HOST}/{}:v1", repository(number));
            Artifact::new(kind, number).write(path, &name)
        }
        _ => Artifact::new(kind, number).write(path, &tag(number)),
    };
    write_index(path, &(0..count).map(entry).collect::<Result<Vec<_>>>()?)
}

/// Returns an entry of `index.json` as the program writes it; full references stand twice in it.
fn named(entry: &Descriptor, name: &str) -> Descriptor {
    let named = with_annotation(entry.clone(), keys::REF_NAME, name);
    if !name.starts_with(HOST) {
        return named;
    }
    with_annotation(named, keys::CONTAINERD_IMAGE_NAME, name)
}

/// Writes the entries one by one: 159,000 of them as one value would take a gigabyte.
fn write_index(path: &Path, entries: &[Descriptor]) -> Result<()> {
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut file = BufWriter::new(File::create(path.join("index.json"))?);
    let index = MediaType::IMAGE_INDEX;
    write!(file, r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":["#)?;
    for (number, entry) in entries.iter().enumerate() {
        if number > 0 {
            file.write_all(b",")?;
        }
        serde_json::to_writer(&mut file, entry)?;
    }
    file.write_all(b"]}")?;
    Ok(file.flush()?)
}
