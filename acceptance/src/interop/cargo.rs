//! Content that is carried through registries and compared at every stop.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use longshore_fixture::{Content, typed};
use longshore_spec::{Digest, keys};
use serde_json::Value;

use super::ground::{Ground, text};
use crate::server::Server;

/// Content on its way through registries.
pub(super) struct Cargo {
    name: String,
    /// The manifests that can be reached from the entries, indexes among them.
    pub(super) manifests: BTreeMap<Digest, Vec<u8>>,
    pub(super) tags: BTreeMap<String, Digest>,
    /// The entries that no registry lists: without a tag and without a subject.
    hidden: Vec<Digest>,
}

impl Cargo {
    /// Writes a layout to the directory `name`.
    pub(super) fn new(ground: &Ground<'_>, name: &str, content: &Content) -> Result<Self> {
        ground.layout(name, content)?;
        let mut cargo = Self {
            name: name.to_owned(),
            manifests: BTreeMap::new(),
            tags: BTreeMap::new(),
            hidden: Vec::new(),
        };
        for entry in &content.entries {
            let manifest = cargo.reach(content, &entry.digest)?;
            let tag = entry.annotations.get(keys::REF_NAME).and_then(|name| tag(name));
            match tag {
                // Such a list of referrers is written anew where it is needed; they are what counts.
                Some(tag) if is_fallback(tag) => drop(cargo.manifests.remove(&entry.digest)),
                Some(tag) => drop(cargo.tags.insert(tag.to_owned(), entry.digest.clone())),
                None if manifest.get("subject").is_none() => {
                    cargo.hidden.push(entry.digest.clone());
                }
                None => {}
            }
        }
        Ok(cargo)
    }

    /// Adds a manifest and all below it, but those that are not there, and returns it.
    fn reach(&mut self, content: &Content, digest: &Digest) -> Result<Value> {
        let Some(bytes) = content.blobs.get(digest) else { return Ok(Value::Null) };
        let manifest: Value = serde_json::from_slice(bytes)
            .with_context(|| format!("{digest} of {} is no manifest", self.name))?;
        self.manifests.insert(digest.clone(), bytes.to_vec());
        for entry in manifest["manifests"].as_array().into_iter().flatten() {
            let digest = entry["digest"].as_str().context("an entry without a digest")?.parse()?;
            self.reach(content, &digest)?;
        }
        Ok(manifest)
    }

    /// Carries all from the layout to `server`, and from there by an archive and by a directory
    /// to `target`. At every stop every manifest must have the bytes that it was made with.
    pub(super) fn round(
        &self,
        ground: &Ground<'_>,
        server: &Server,
        target: &Server,
    ) -> Result<()> {
        let name = &self.name;
        let repository = format!("good/{name}");
        ground.copied(&format!("oci:{name}"), &server.place(&repository))?;
        self.arrived(ground, server, &repository)?;
        for (way, stop) in [
            ("archive", format!("oci-archive:{name}-stop.tar")),
            ("directory", format!("oci:{name}-stop")),
        ] {
            self.pulled(ground, server, &repository, &stop)?;
            ground.verified(&stop)?;
            let repository = format!("good/{name}/by-{way}");
            ground.copied(&stop, &target.place(&repository))?;
            self.arrived(ground, target, &repository)?;
        }
        Ok(())
    }

    /// Copies all of a repository to `stop`: what is listed, what refers to that, and by their
    /// digests those that no registry lists.
    fn pulled(
        &self,
        ground: &Ground<'_>,
        server: &Server,
        repository: &str,
        stop: &str,
    ) -> Result<()> {
        let place = server.place(repository);
        let mut places: Vec<_> =
            self.hidden.iter().map(|digest| format!("{place}@{digest}")).collect();
        if !self.tags.is_empty() {
            places.push(place);
        }
        let mut command = ground.command(&["copy", "--quiet", "--all-tags", "--referrers"]);
        crate::run::capture(command.args(places).arg(stop)).map(drop)
    }

    /// Fails unless a repository has every manifest and every tag.
    fn arrived(&self, ground: &Ground<'_>, server: &Server, repository: &str) -> Result<()> {
        let place = server.place(repository);
        for (digest, bytes) in &self.manifests {
            let one = format!("{place}@{digest}");
            let raw = ground.ours(&["inspect", "--raw", &one])?;
            ensure!(raw.as_bytes() == bytes, "`inspect --raw {one}` is not what was sent:\n{raw}");
        }
        let tags = ground.tags(server, repository)?;
        // A registry that has no list of referrers is given one by tags of this form.
        let tags: Vec<_> = tags.iter().filter(|tag| !is_fallback(tag)).collect();
        ensure!(
            tags.iter().copied().eq(self.tags.keys()),
            "{place} has the tags {tags:?}, and {:?} were sent",
            self.tags.keys()
        );
        if self.tags.is_empty() {
            // A registry lists tags: what has none is not told from what is not there.
            return Ok(());
        }
        let listed = ground.ours(&["list", "--json", &place])?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let mut names: Vec<_> = listed.iter().filter_map(|line| text(line, "name")).collect();
        names.sort_unstable();
        ensure!(
            names.iter().copied().eq(self.tags.keys()),
            "`list {place}` has the names {names:?}, and the tags are {tags:?}"
        );
        for (tag, digest) in &self.tags {
            let found = ground.ours(&["digest", &format!("{place}:{tag}")])?;
            ensure!(found.trim() == digest.to_string(), "{place}:{tag} is {found}, not {digest}");
        }
        Ok(())
    }
}

/// Returns what `typed()` holds without what a registry of 2.8 refuses.
pub(super) fn typed_by_sha256() -> Content {
    let mut content = typed();
    content.entries.retain(|entry| entry.digest.to_string().starts_with("sha256:"));
    content
}

/// Returns the tag that a name of a layout becomes in a repository.
fn tag(name: &str) -> Option<&str> {
    let name = name.split('@').next()?;
    match name.rsplit_once('/') {
        Some((_, last)) => last.split_once(':').map(|(_, tag)| tag),
        None => Some(name),
    }
}

/// Tells whether a tag is that of a list of referrers.
pub(super) fn is_fallback(tag: &str) -> bool {
    tag.strip_prefix("sha256-")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_tags() {
        assert_eq!(tag("v1.0"), Some("v1.0"));
        assert_eq!(tag("docker.io/library/app:1.0"), Some("1.0"));
        assert_eq!(tag("registry.example.invalid:5000/team/app:2.0"), Some("2.0"));
        assert_eq!(tag("registry.example.invalid:5000/team/app@sha256:aa"), None);
    }

    #[test]
    fn fallback_tags_are_told_from_others() {
        let hex = "a".repeat(64);
        assert!(is_fallback(&format!("sha256-{hex}")));
        assert!(!is_fallback(&format!("sha256-{hex}.sig")) && !is_fallback("sha256-aa"));
    }
}
