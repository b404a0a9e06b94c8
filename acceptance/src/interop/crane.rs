//! crane pushes our layouts to our registry, pulls from it, and copies in it.

use anyhow::{Result, ensure};

use super::Outcome;
use super::clients::{OURS, Scene};
use super::ground::Ground;

/// Copies every artifact on every way that crane has.
pub(super) fn copies(ground: &Ground<'_>) -> Result<Outcome> {
    let scene = Scene::new(ground)?;
    let crane = |args: &[&str]| scene.client("crane", args);
    let place = |repository: &str, name: &str| format!("{}:{name}", scene.server.place(repository));
    for (name, digest) in scene.artifacts() {
        let [ours, theirs, again] =
            [OURS, "theirs", "again"].map(|repository| place(repository, name));
        // It pushes only layouts with one entry.
        let one = format!("one-{name}");
        ground.ours(&["copy", "-q", &format!("oci:ours:{name}"), &format!("oci:{one}:{name}")])?;
        crane(&["push", &one, &theirs])?;
        crane(&["copy", &ours, &again])?;
        for pushed in [&ours, &theirs, &again] {
            scene.arrived(digest, pushed)?;
            let found = crane(&["digest", pushed])?;
            ensure!(found.trim() == digest.to_string(), "`crane digest {pushed}` printed {found}");
            scene.same(digest, "what `crane manifest` printed", &crane(&["manifest", pushed])?)?;
        }
        let pulled = format!("pulled-{name}");
        crane(&["pull", "--format=oci", &ours, &pulled])?;
        scene.arrived(digest, &format!("oci:{pulled}"))?;
        ground.verified(&format!("oci:{pulled}"))?;
    }
    scene.tagged("theirs")?;
    scene.tagged("again")?;
    let listed = crane(&["ls", &scene.server.place("theirs")])?;
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    ensure!(listed.iter().copied().eq(scene.artifacts().map(|(name, _)| name)), "{listed:?}");
    let (count, blobs) = (scene.artifacts().count(), scene.close()?);
    Ok(Outcome::Passed(format!(
        "{count} names pushed of layouts, copied and pulled; {blobs} blobs in our registry"
    )))
}
