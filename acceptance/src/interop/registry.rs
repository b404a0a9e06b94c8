//! Registries: Debian's, and ours with other programs.

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Form, good};
use longshore_spec::Digest;
use serde_json::Value;

use super::Outcome;
use super::cargo::{Cargo, typed_by_sha256};
use super::ground::{Ground, failed, same_digest};
use super::refusals::REFUSED;
use crate::peers;
use crate::server::{ANY_PORT, Server};

impl Ground<'_> {
    /// Starts a registry of Debian's that deletes.
    pub(super) fn distribution(&self) -> Result<Server> {
        Server::distribution(&self.path("distribution"), ANY_PORT, true)
    }

    /// Starts a registry of ours for the directory `name`, with what is given after it.
    pub(super) fn serve(&self, name: &str, listen: &str, more: &[&str]) -> Result<Server> {
        let place = format!("oci:{name}");
        let mut command = self.command(&["serve", "--json", "--listen", listen, &place]);
        Server::ours(command.args(more), &self.path(&format!("{name}.log")))
    }
}

/// Carries all that Debian's registry takes from it to an archive and to a directory, and back.
pub(super) fn round_trip(ground: &Ground<'_>) -> Result<Outcome> {
    rounds(ground, &ground.distribution()?)
}

/// Does the same with version 3 of that registry.
pub(super) fn round_trip_3(ground: &Ground<'_>) -> Result<Outcome> {
    let program = peers::find("registry")?.context("it was there before")?;
    rounds(ground, &Server::distribution_3(&program, &ground.path("distribution"))?)
}

fn rounds(ground: &Ground<'_>, server: &Server) -> Result<Outcome> {
    let mut manifests = 0;
    let mut failures = Vec::new();
    let mut contents = vec![("typed", typed_by_sha256())];
    contents.extend(good().into_iter().filter_map(|fixture| match fixture.form {
        Form::Content(content) => Some((fixture.name, content)),
        Form::Tree(_) | Form::Tar(_) => None,
    }));
    contents.retain(|(name, _)| !REFUSED.iter().any(|refused| refused.fixture == *name));
    for (name, content) in &contents {
        let cargo = Cargo::new(ground, name, content)?;
        match cargo.round(ground, server, server) {
            Ok(()) => manifests += cargo.manifests.len(),
            Err(error) => failures.push(format!("{name}: {error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(Outcome::Passed(format!(
        "{} layouts, {manifests} manifests, each from a registry by an archive and by a directory \
         to it again",
        contents.len()
    )))
}

/// Archives one content from our registry and from Debian's at one address, as names in archives
/// say where they are from.
pub(super) fn same_archive(ground: &Ground<'_>) -> Result<Outcome> {
    const REPOSITORY: &str = "team/content";
    ground.layout("fixture", &typed_by_sha256())?;
    let server = ground.serve("ours", ANY_PORT, &["--writable"])?;
    let address = server.address().to_owned();
    let mut found = Vec::new();
    archived(ground, &server, REPOSITORY, "ours", &mut found)?;
    drop(server);
    let server = Server::distribution(&ground.path("distribution"), &address, false)?;
    archived(ground, &server, REPOSITORY, "theirs", &mut found)?;
    let first = same_digest(&found)?;
    Ok(Outcome::Passed(format!("{first} for --jobs 1, 2 and 16 from both registries")))
}

/// Copies the fixture to a registry, and from it to archives with several numbers of jobs.
fn archived(
    ground: &Ground<'_>,
    server: &Server,
    repository: &str,
    whose: &str,
    found: &mut Vec<(String, Digest)>,
) -> Result<()> {
    let place = server.place(repository);
    ground.copied("oci:fixture", &place)?;
    for jobs in ["1", "2", "16"] {
        let name = format!("{whose}-{jobs}.tar");
        let to = format!("oci-archive:{name}");
        let flags = ["copy", "--quiet", "--all-tags", "--referrers", "--jobs", jobs];
        ground.ours(&[&flags[..], &[place.as_str(), to.as_str()]].concat())?;
        found.push((name.clone(), ground.sha256(&name)?));
    }
    Ok(())
}

/// What other clients copy too, by its names in `typed()` of the fixtures.
pub(super) const COPIED: [&str; 9] =
    ["app", "bottle", "built", "bundle", "chart", "exact", "model", "module", "rules"];

/// Lets skopeo push to our registry, and pull from it what was pushed by it and by us.
pub(super) fn skopeo(ground: &Ground<'_>) -> Result<Outcome> {
    let cargo = Cargo::new(ground, "fixture", &typed_by_sha256())?;
    let server = ground.serve("served", ANY_PORT, &["--writable"])?;
    let docker = |repository: &str| format!("docker://{}", server.place(repository));
    let copy = |from: &str, to: &str| {
        let no_tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        let flags = ["copy", "--quiet", "--all", "--preserve-digests"];
        ground.theirs("skopeo", &[&flags[..], &no_tls[..], &[from, to][..]].concat()).map(drop)
    };
    for name in COPIED {
        copy(&format!("oci:fixture:{name}"), &format!("{}:{name}", docker("theirs")))?;
        let ours = server.place("ours");
        ground.ours(&["copy", "-q", &format!("oci:fixture:{name}"), &format!("{ours}:{name}")])?;
        copy(&format!("{}:{name}", docker("ours")), &format!("{}:{name}", docker("again")))?;
    }
    for repository in ["theirs", "ours", "again"] {
        let listed = ground
            .theirs("skopeo", &["list-tags", "--tls-verify=false", &docker(repository)])
            .and_then(|printed| Ok(serde_json::from_str::<Value>(&printed)?))?;
        ensure!(
            listed["Tags"] == Value::from(COPIED.to_vec()),
            "skopeo lists {listed} in {repository}"
        );
        for name in COPIED {
            let digest = &cargo.tags[name];
            let place = format!("{}:{name}", docker(repository));
            let raw = ["inspect", "--raw", "--tls-verify=false", &place];
            let raw = ground.theirs("skopeo", &raw)?;
            ensure!(raw.as_bytes() == cargo.manifests[digest], "for {place}, skopeo prints\n{raw}");
            let pulled = format!("oci:pulled-{repository}:{name}");
            copy(&place, &pulled)?;
            for place in [pulled, format!("{}:{name}", server.place(repository))] {
                let found = ground.ours(&["digest", &place])?;
                ensure!(found.trim() == digest.to_string(), "{place} is {found}, not {digest}");
            }
        }
        ground.verified(&format!("oci:pulled-{repository}"))?;
    }
    drop(server);
    let blobs = ground.verified("oci:served")?;
    Ok(Outcome::Passed(format!(
        "{} names pushed by skopeo, by us, and by skopeo from repository to repository; all pulled \
         by skopeo; {blobs} blobs in the layout",
        COPIED.len()
    )))
}

/// Takes tags and manifests away, as far as a registry lets.
pub(super) fn delete(ground: &Ground<'_>) -> Result<Outcome> {
    let content = typed_by_sha256();
    let cargo = Cargo::new(ground, "fixture", &content)?;
    let chart = &cargo.tags["chart"];

    // 2.8 has no tags that can be taken away alone.
    let theirs = ground.distribution()?;
    let place = theirs.place("content");
    ground.copied("oci:fixture", &place)?;
    let one = format!("{place}:chart");
    for command in ["untag", "delete"] {
        let said = "does not delete tags";
        failed(&mut ground.command(&[command, &one]), 1, said)?;
    }
    ensure!(theirs.tags("content")?.contains(&"chart".to_owned()), "{one} has gone all the same");
    deleted(ground, &theirs, "content", "chart", chart)?;

    // Another is not to be deleted from at all.
    let kept = Server::distribution(&ground.path("kept"), ANY_PORT, false)?;
    let place = kept.place("content");
    ground.ours(&["copy", "-q", "oci:fixture:chart", &format!("{place}:chart")])?;
    let one = format!("{place}@{chart}");
    failed(&mut ground.command(&["delete", &one]), 1, "does not delete manifests")?;
    ensure!(kept.tags("content")? == ["chart"], "{one} has gone all the same");

    // Ours does both.
    let ours = ground.serve("served", ANY_PORT, &["--writable"])?;
    let place = ours.place("content");
    ground.copied("oci:fixture", &place)?;
    let second = format!("{place}:second");
    ground.ours(&["tag", &format!("{place}:chart"), "second"])?;
    ground.ours(&["untag", &second])?;
    ensure!(!ours.tags("content")?.contains(&"second".to_owned()), "{second} is still there");
    ground.ours(&["digest", &format!("{place}@{chart}")])?;
    deleted(ground, &ours, "content", "chart", chart)?;
    drop(ours);

    // And refuses both if it was not said that it may be written to.
    let read_only = ground.serve("served", ANY_PORT, &[])?;
    let place = read_only.place("content");
    let app = format!("{place}:app");
    failed(&mut ground.command(&["untag", &app]), 1, "does not delete tags")?;
    let one = format!("{place}@{}", cargo.tags["app"]);
    failed(&mut ground.command(&["delete", &one]), 1, "does not delete manifests")?;
    ground.ours(&["digest", &app])?;
    Ok(Outcome::Passed("tags and digests, of registries that delete and that do not".to_owned()))
}

/// Deletes by digest, after which neither the digest nor the tag is there, and all others are.
fn deleted(
    ground: &Ground<'_>,
    server: &Server,
    repository: &str,
    tag: &str,
    digest: &Digest,
) -> Result<()> {
    let mut expected = server.tags(repository)?;
    expected.retain(|other| other != tag);
    let place = server.place(repository);
    let one = format!("{place}@{digest}");
    ground.ours(&["delete", &one])?;
    let tags = server.tags(repository)?;
    ensure!(tags == expected, "after `delete {one}`, the tags are {tags:?}, not {expected:?}");
    let gone = format!("is not in {place}");
    failed(&mut ground.command(&["digest", &one]), 1, &gone)?;
    failed(&mut ground.command(&["delete", &one]), 1, &gone)
}
