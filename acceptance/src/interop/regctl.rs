//! regctl copies between our layouts and our registry, and reads and writes archives.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::Outcome;
use super::carry::carry;
use super::clients::{OURS, Scene};
use super::ground::Ground;

/// Copies every artifact on every way that regctl has.
pub(super) fn copies(ground: &Ground<'_>) -> Result<Outcome> {
    let scene = Scene::new(ground)?;
    let host = format!("reg={},tls=disabled", scene.server.address());
    let regctl =
        |args: &[&str]| scene.client("regctl", &[&["--host", host.as_str()][..], args].concat());
    let place = |repository: &str, name: &str| format!("{}:{name}", scene.server.place(repository));
    for (name, digest) in scene.artifacts() {
        let [ours, theirs, again] =
            [OURS, "theirs", "again"].map(|repository| place(repository, name));
        let local = |directory: &str| format!("ocidir://{directory}:{name}");
        for (from, to, arrived) in [
            (&local("ours"), &theirs, theirs.clone()),
            (&local("ours"), &local("copied"), format!("oci:copied:{name}")),
            (&ours, &local("pulled"), format!("oci:pulled:{name}")),
            (&ours, &again, again.clone()),
        ] {
            regctl(&["image", "copy", "--referrers", "--digest-tags", from, to])?;
            scene.arrived(digest, &arrived)?;
        }
        for from in [&local("ours"), &ours] {
            let found = regctl(&["image", "digest", from])?;
            ensure!(found.trim() == digest.to_string(), "`regctl image digest {from}`: {found}");
            let raw = regctl(&["manifest", "get", "--format", "raw-body", from])?;
            scene.same(digest, "what `regctl manifest get` printed", &raw)?;
        }
        // Archives of both, read by the other.
        let exported = format!("exported-{name}.tar");
        regctl(&["image", "export", &ours, &exported])?;
        scene.arrived(digest, &format!("oci-archive:{exported}"))?;
        ground.verified(&format!("oci-archive:{exported}"))?;
        let imported = place("imported", name);
        regctl(&["image", "import", "--name", name, &imported, "ours.tar"])?;
        scene.arrived(digest, &imported)?;
    }
    for repository in ["theirs", "again", "imported"] {
        scene.tagged(repository)?;
    }
    let listed = regctl(&["tag", "ls", &scene.server.place("theirs")])?;
    ensure!(
        scene.artifacts().all(|(name, _)| listed.lines().any(|line| line == name)),
        "regctl lists {listed}"
    );
    // In layouts it finds them by their tags alone, which it writes; so not in those of others.
    let referrers = |place: &str| {
        let format = "{{range .Descriptors}}{{.Digest}} {{end}}";
        let said = regctl(&["artifact", "list", "--format", format, place])?;
        anyhow::Ok(said.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    let [there, pulled] = [&place(OURS, "app"), "ocidir://pulled:app"].map(referrers);
    let (there, pulled) = (there?, pulled?);
    ensure!(
        !there.is_empty() && there == pulled,
        "regctl finds the referrers {there:?} in our registry, and {pulled:?} in what it pulled"
    );
    let mut told = Vec::new();
    for layout in ["copied", "pulled"] {
        let carried = carry(ground, &format!("oci:{layout}"), &format!("{layout}-carried"))?;
        told.push(format!("{layout}: {} entries, {} blobs", carried.roots, carried.blobs));
    }
    let (count, blobs) = (scene.artifacts().count(), scene.close()?);
    Ok(Outcome::Passed(format!(
        "{count} names between layouts, archives and our registry; layouts of regctl carried on \
         ({}); {blobs} blobs in our registry",
        told.join("; ")
    )))
}
