//! Layers out of real files: packages of Debian, or what is installed here.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Draft, blob_path, with_annotation};
use longshore_spec::{Descriptor, Digest, Hasher, MediaType, keys};
use serde_json::json;

use super::ground::Ground;
use crate::run::{on_path, shown};

/// Packages with large libraries, programs and text: about 200 MB as they are downloaded.
const PACKAGES: [&str; 6] = [
    "golang-1.19-go",
    "openjdk-17-jre-headless",
    "libreoffice-core",
    "libstd-rust-dev",
    "libllvm15",
    "gcc-12",
];

/// How much of what is installed stands in where packages cannot be downloaded.
const INSTALLED: u64 = 300 << 20;

/// Writes a layout with three artifacts to the directory `name`, and returns what it is made of: an
/// image of gzip layers, one of plain tars, and the packages as they are.
pub(super) fn layout(ground: &Ground<'_>, name: &str) -> Result<&'static str> {
    let mut writer = Writer::new(&ground.path(name))?;
    let (tars, archives, what) = match downloaded(ground)? {
        Some(packages) => {
            let tars = packages.iter().map(|package| from_package(package)).collect();
            (tars, packages, "packages of Debian")
        }
        None => (vec![installed(ground)?], Vec::new(), "files that are installed here"),
    };
    let mut diff_ids = Vec::new();
    let [mut plain, mut compressed] = [Vec::new(), Vec::new()];
    for make in tars {
        let tar = writer.add(MediaType::LAYER_TAR, make)?;
        let mut gzip = Command::new("gzip");
        gzip.args(["-1", "-n", "-c"]).arg(writer.path(&tar.digest));
        compressed.push(writer.add(MediaType::LAYER_GZIP, gzip)?);
        diff_ids.push(tar.digest.to_string());
        plain.push(tar);
    }
    // Two of them plain are enough for content that compresses well.
    for tar in plain.split_off(plain.len().min(2)) {
        fs::remove_file(writer.path(&tar.digest))?;
    }
    writer.image("gzip", &compressed, &diff_ids);
    writer.image("plain", &plain, &diff_ids[..plain.len()]);
    writer.files("packages", &archives)?;
    for archive in archives {
        fs::remove_file(archive)?;
    }
    writer.finish()?;
    Ok(what)
}

/// Downloads the packages, if this is a Debian that can be reached by others.
fn downloaded(ground: &Ground<'_>) -> Result<Option<Vec<PathBuf>>> {
    if ["apt-get", "dpkg-deb"].iter().any(|program| on_path(program).is_none()) {
        return Ok(None);
    }
    let directory = ground.path("packages");
    fs::create_dir(&directory)?;
    let mut found = Vec::new();
    for package in PACKAGES {
        let mut download = ground.peer_command("apt-get", &["download", "-q", package]);
        let output = download.current_dir(&directory).output()?;
        if !output.status.success() {
            println!("`{}` failed: it is left out", shown(&download));
        }
    }
    for entry in fs::read_dir(&directory)? {
        found.push(entry?.path());
    }
    found.sort();
    Ok((!found.is_empty()).then_some(found))
}

/// Returns a command that prints a package's files as a tar.
fn from_package(package: &Path) -> Command {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(package);
    command
}

/// Returns a command that prints files of this machine as a tar.
fn installed(ground: &Ground<'_>) -> Result<Command> {
    let mut names = Vec::new();
    let mut left = INSTALLED;
    for directory in ["/usr/bin", "/usr/lib", "/usr/share"] {
        collect(Path::new(directory), &mut left, &mut names);
    }
    ensure!(!names.is_empty(), "no file under /usr can be read");
    let list = ground.path("installed");
    fs::write(&list, names.join("\n"))?;
    let mut command = Command::new("tar");
    command.args(["-cf", "-", "-P", "--files-from"]).arg(list);
    Ok(command)
}

/// Collects the names of files that can be read, until they hold enough.
fn collect(directory: &Path, left: &mut u64, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let name = path.to_string_lossy();
        if metadata.is_dir() && *left > 0 {
            collect(&path, left, names);
        } else if metadata.is_file()
            && metadata.len() < *left
            && !name.contains(['\n', '\\'])
            && File::open(&path).is_ok()
        {
            *left -= metadata.len();
            names.push(name.into_owned());
        }
    }
}

/// Writes a layout whose layers are never in memory.
struct Writer {
    directory: PathBuf,
    content: Content,
}

impl Writer {
    fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory.join("blobs/sha256"))?;
        Ok(Self { directory: directory.to_owned(), content: Content::new() })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(blob_path(digest))
    }

    /// Adds what a command prints as a blob.
    fn add(&mut self, media_type: &'static str, mut command: Command) -> Result<Descriptor> {
        let line = shown(&command);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{line}`"))?;
        let mut printed = child.stdout.take().context("no pipe")?;
        let partial = self.directory.join("partial");
        let mut file = File::create(&partial)?;
        let mut hasher = Hasher::sha256();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = printed.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count])?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        let size = hasher.count();
        let digest = hasher.finish();
        fs::rename(partial, self.path(&digest))?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Adds an image of layers that are there.
    fn image(&mut self, name: &str, layers: &[Descriptor], diff_ids: &[String]) {
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.content.json(MediaType::IMAGE_CONFIG, &config);
        let manifest = self.content.manifest(&Draft::image(&config, layers));
        self.content.tag(&manifest, name);
    }

    /// Adds an artifact of files as they are, if there are any.
    fn files(&mut self, name: &str, files: &[PathBuf]) -> Result<()> {
        let mut layers = Vec::new();
        for file in files {
            let mut cat = Command::new("cat");
            cat.arg(file);
            let layer = self.add("application/vnd.debian.binary-package", cat)?;
            let title = file.file_name().unwrap_or_default().to_string_lossy();
            layers.push(with_annotation(layer, keys::TITLE, &title));
        }
        self.content.empty();
        let draft = Draft::artifact("application/vnd.example.packages.v1", &layers);
        let manifest = self.content.manifest(&draft);
        self.content.tag(&manifest, name);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        Ok(self.content.write_directory(&self.directory)?)
    }
}
