//! What stands before a trap is set, made once by the program itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Content, Tree, artifacts, blob_path};
use longshore_spec::{Descriptor, Digest, MediaType};

use super::scene::Scene;
use super::watch::{Ended, Launch};

/// The artifact in the layout, and the repository that a server has it in.
pub(super) const APP: &str = "reg.example/app";

/// What every scene begins with, made once.
pub(super) struct Template {
    layout: Tree,
    output: Tree,
    /// The artifact in the layout.
    pub(super) app: Content,
    /// What refers to what in it: its manifest.
    pub(super) manifest: Descriptor,
    /// An artifact that is not in the layout, as a layout.
    other: PathBuf,
    /// The same, as an archive.
    pub(super) archive: PathBuf,
    /// The largest blob of the other artifact, of which the layout has a part.
    pub(super) unfinished: Digest,
}

impl Template {
    /// Makes layouts by the program, and adds what processes leave that were killed.
    pub(super) fn write(launch: &Launch<'_>, work: &Path) -> Result<Self> {
        let honest = work.join("honest");
        let scene = Scene::new(&honest);
        for directory in [scene.output(), scene.home(), scene.temporary()] {
            fs::create_dir_all(directory)?;
        }
        let mut app = Content::new();
        let manifest = artifacts::image(&mut app, 1);
        app.tag(&manifest, &format!("{APP}:1"));
        let referrer = artifacts::spdx(&mut app, &manifest, 2);
        app.untagged(&referrer);
        app.write_directory(&honest.join("app"))?;
        let [other, archive] = ["other", "other.tar"].map(|name| honest.join(name));
        let content =
            Content::tagged("reg.example/other:1", |content| artifacts::image(content, 9));
        content.write_directory(&other)?;
        let output = scene.output();
        let wanted = format!("artifacts:\n  - ref: oci:{}:reg.example/other:1\n", other.display());
        fs::write(output.join("bundle.yaml"), wanted)?;
        for words in [
            format!("copy --all oci:{} oci-archive:{}", other.display(), archive.display()),
            format!("lock -f {}/bundle.yaml", output.display()),
            format!(
                "export oci:{}/app:{APP}:1 -o oci:{} --docker-manifest",
                honest.display(),
                scene.layout().display()
            ),
        ] {
            let mut command = launch.command(&scene);
            command.args(words.split(' '));
            let ended = Ended::of(command, None)?;
            ensure!(ended.code == Some(0), "`{words}` failed: {}", ended.text());
        }
        let largest = content.blobs.iter().max_by_key(|(_, bytes)| bytes.len());
        let (unfinished, bytes) = largest.context("an image has blobs")?;
        let mut template = Self {
            layout: Tree::read(&scene.layout())?,
            output: Tree::read(&output)?,
            app,
            manifest,
            other,
            archive,
            unfinished: unfinished.clone(),
        };
        template.leave(&bytes[..bytes.len() / 2])?;
        Ok(template)
    }

    /// Adds what servers and killed processes leave in a layout.
    fn leave(&mut self, part: &[u8]) -> Result<()> {
        let Self { layout, app, manifest, unfinished, .. } = self;
        let layer = app.blobs.keys().find(|digest| **digest != manifest.digest);
        let layer = layer.context("an image has more than a manifest")?;
        let own = format!(".longshore/repositories/{APP}");
        layout.file(&format!("{own}/_blobs/sha256/{}", layer.encoded()), "");
        let mark = format!("{own}/_manifests/sha256/{}", manifest.digest.encoded());
        layout.file(&mark, MediaType::IMAGE_MANIFEST);
        layout.file(&format!(".longshore/partial/sha256/{}", unfinished.encoded()), part.to_vec());
        layout.file(".longshore/partial/uploads/upload-dead", part.to_vec());
        layout.file(&blob_path(&Digest::sha256("nobody needs it")), "nobody needs it");
        Ok(())
    }

    /// Returns the paths of all that is in the layout, directories too.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        for path in self.layout.nodes().keys() {
            let ends = path.match_indices('/').map(|(slash, _)| slash).chain([path.len()]);
            found.extend(ends.map(|end| path[..end].to_owned()));
        }
        found
    }

    /// Makes a scene in a directory, in place of the one that was there.
    pub(super) fn set(&self, root: &Path) -> Result<Scene> {
        if root.exists() {
            fs::remove_dir_all(root).with_context(|| root.display().to_string())?;
        }
        let scene = Scene::new(root);
        self.layout.write(&scene.layout())?;
        self.output.write(&scene.output())?;
        for directory in [scene.home(), scene.temporary(), scene.outside()] {
            fs::create_dir_all(directory)?;
        }
        Ok(scene)
    }

    /// Returns a word of a command with directories for what stands for them.
    pub(super) fn resolve(&self, word: &str, scene: &Scene) -> String {
        let directories =
            [("LAY", scene.layout()), ("OUT", scene.output()), ("OTHER", self.other.clone())];
        directories.iter().fold(word.to_owned(), |word, (name, path)| {
            word.replace(name, &path.display().to_string())
        })
    }
}
