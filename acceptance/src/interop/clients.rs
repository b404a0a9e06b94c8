//! Content in every place of ours, for clients to read: a layout, an archive and a registry.

use anyhow::{Context, Result, ensure};
use longshore_spec::Digest;

use super::cargo::{Cargo, typed_by_sha256};
use super::ground::Ground;
use super::registry::COPIED;
use crate::server::{ANY_PORT, Server};

/// The repository of the registry that has the content from the start.
pub(super) const OURS: &str = "ours";

/// What clients are let loose on. The same content lies in `oci:ours`, `oci-archive:ours.tar`, and
/// in the repository [`OURS`] of a registry of ours.
pub(super) struct Scene<'a> {
    ground: &'a Ground<'a>,
    cargo: Cargo,
    pub(super) server: Server,
}

impl<'a> Scene<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Result<Self> {
        let cargo = Cargo::new(ground, "fixture", &typed_by_sha256())?;
        let server = ground.serve("served", ANY_PORT, &["--writable"])?;
        for place in ["oci:ours", "oci-archive:ours.tar", &server.place(OURS)] {
            ground.copied("oci:fixture", place)?;
        }
        Ok(Self { ground, cargo, server })
    }

    /// Returns the artifacts that clients copy, by their tags.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = (&'static str, &Digest)> {
        COPIED.into_iter().map(|name| (name, &self.cargo.tags[name]))
    }

    /// Runs a client and returns what it printed.
    pub(super) fn client(&self, program: &str, args: &[&str]) -> Result<String> {
        self.ground.client(program, args)
    }

    /// Fails unless the bytes of a manifest, printed by a client, are those that were made.
    pub(super) fn same(&self, digest: &Digest, what: &str, raw: &str) -> Result<()> {
        let made = self.cargo.manifests.get(digest).context("there is no such manifest")?;
        ensure!(raw.as_bytes() == made, "{what} is not the manifest {digest}, but\n{raw}");
        Ok(())
    }

    /// Fails unless a place of a client's has the manifest that was made.
    pub(super) fn arrived(&self, digest: &Digest, place: &str) -> Result<()> {
        let found = self.ground.ours(&["digest", place])?;
        ensure!(found.trim() == digest.to_string(), "{place} is {found}, not {digest}");
        self.same(digest, place, &self.ground.ours(&["inspect", "--raw", place])?)
    }

    /// Fails unless a repository of the registry has the tags of the copied artifacts.
    pub(super) fn tagged(&self, repository: &str) -> Result<()> {
        let mut tags = self.server.tags(repository)?;
        tags.retain(|tag| !tag.starts_with("sha256-"));
        ensure!(tags == COPIED, "{repository} has the tags {tags:?}, not {COPIED:?}");
        Ok(())
    }

    /// Ends the registry and returns how many blobs its layout has, all of them right.
    pub(super) fn close(self) -> Result<u64> {
        drop(self.server);
        self.ground.verified("oci:served")
    }
}
