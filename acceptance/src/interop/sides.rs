//! Both sides of the gap, asked by plain HTTP and compared to the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use anyhow::{Context, Result, bail, ensure};
use longshore_spec::{Digest, keys};
use serde_json::Value;

use super::cargo::is_fallback;
use super::stock::{Stock, digests};
use crate::server::{Answer, Server};

/// How much was compared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) manifests: usize,
    pub(super) tags: usize,
    pub(super) referrers: usize,
    pub(super) blobs: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        let Self { manifests, tags, referrers, blobs } = other;
        self.manifests += manifests;
        self.tags += tags;
        self.referrers += referrers;
        self.blobs += blobs;
    }
}

impl Stock {
    /// Fails unless a registry that it was pushed to lists every tag and every referrer.
    pub(super) fn is_all_there(&self, near: &Server) -> Result<()> {
        let tags = self.content.entries.iter().filter_map(|entry| {
            Some((entry.annotations.get(keys::REF_NAME)?.clone(), entry.digest.clone()))
        });
        let side = Side { stock: self, server: near, repository: self.name.to_owned() };
        side.tags(&tags.collect())?;
        let manifests = self.manifests();
        manifests.keys().try_for_each(|digest| side.referrers(digest, &manifests).map(drop))
    }

    /// Fails unless `far` has in `repository` all that was to cross, the same to the byte as `near` has
    /// it, and nothing else.
    pub(super) fn arrived(&self, near: &Server, far: &Server, repository: &str) -> Result<Tally> {
        let side = Side { stock: self, server: far, repository: repository.to_owned() };
        side.compared(near).with_context(|| format!("{repository} of {}", far.address()))
    }
}

/// Fails unless `tag` of a registry stands for a manifest that was made, and all that is in it is there.
pub(super) fn carried(
    stock: &Stock,
    root: &Digest,
    far: &Server,
    repository: &str,
    tag: &str,
) -> Result<()> {
    let there = far.manifest(repository, tag)?;
    ensure!(there.body == stock.bytes(root), "{repository}:{tag} is not {root}");
    let side = Side { stock, server: far, repository: repository.to_owned() };
    for (digest, manifest) in stock.below(vec![root.clone()]) {
        let there = far.manifest(repository, &digest.to_string())?;
        ensure!(there.body == stock.bytes(&digest), "{digest} of {repository} has other bytes");
        blobs_of(&manifest).try_for_each(|blob| side.blob(&blob))?;
    }
    Ok(())
}

/// A repository of a registry, asked by plain HTTP.
struct Side<'a> {
    stock: &'a Stock,
    server: &'a Server,
    repository: String,
}

impl Side<'_> {
    fn compared(&self, near: &Server) -> Result<Tally> {
        let Stock { name, content, tags, left } = self.stock;
        let crossing = self.stock.crossing();
        self.tags(tags)?;
        let mut blobs = BTreeSet::new();
        let mut referrers = 0;
        for (digest, manifest) in &crossing {
            let [theirs, there] = [(near, *name), (self.server, &*self.repository)]
                .map(|(server, repository)| server.manifest(repository, &digest.to_string()));
            let (theirs, there) = (theirs?, there?);
            ensure!(
                there.body == content.blobs[digest] && there.body == theirs.body,
                "{digest} has other bytes than it was made with"
            );
            for header in ["content-type", "docker-content-digest"] {
                let [theirs, there] = [&theirs, &there].map(|answer| answer.header(header));
                ensure!(theirs == there, "{digest} has the {header} {there:?}, not {theirs:?}");
            }
            referrers += self.referrers(digest, &crossing)?;
            blobs.extend(blobs_of(manifest));
        }
        for digest in &blobs {
            self.blob(digest)?;
        }
        for digest in left {
            self.is_not_there("manifests", digest)?;
        }
        let all = self.stock.manifests();
        for digest in left.iter().flat_map(|digest| blobs_of(&all[digest])) {
            if !blobs.contains(&digest) {
                self.is_not_there("blobs", &digest)?;
            }
        }
        let (manifests, tags) = (crossing.len(), tags.len());
        Ok(Tally { manifests, tags, referrers, blobs: blobs.len() })
    }

    fn get(&self, what: &str, digest: &Digest) -> Result<Answer> {
        self.server.get(&format!("/v2/{}/{what}/{digest}", self.repository))
    }

    /// Fails unless a blob is there, as it was made.
    fn blob(&self, digest: &Digest) -> Result<()> {
        let answer = self.get("blobs", digest)?;
        ensure!(answer.status == 200, "GET of the blob {digest} gave {}", answer.status);
        ensure!(answer.body == self.stock.bytes(digest), "{digest} has other bytes");
        Ok(())
    }

    fn is_not_there(&self, what: &str, digest: &Digest) -> Result<()> {
        let status = self.get(what, digest)?.status;
        ensure!(status == 404, "{digest} was to stay behind, and GET gave {status}");
        Ok(())
    }

    /// Fails unless exactly these tags are there, and each stands for what it should.
    fn tags(&self, tags: &BTreeMap<String, Digest>) -> Result<()> {
        let mut listed = self.server.tags(&self.repository)?;
        // A registry that has no list of referrers is given one by tags of this form.
        listed.retain(|tag| !is_fallback(tag));
        ensure!(listed.iter().eq(tags.keys()), "the tags are {listed:?}, not {:?}", tags.keys());
        for (tag, digest) in tags {
            let there = self.server.manifest(&self.repository, tag)?;
            ensure!(there.body == self.stock.bytes(digest), "{tag} does not stand for {digest}");
        }
        Ok(())
    }

    /// Fails unless those of `manifests` that refer to `subject` are listed, as what they are, and no
    /// others; returns how many they are.
    fn referrers(&self, subject: &Digest, manifests: &BTreeMap<Digest, Value>) -> Result<usize> {
        let is_referrer =
            |manifest: &Value| manifest["subject"]["digest"].as_str() == Some(&subject.to_string());
        let referrers = manifests.iter().filter(|(_, manifest)| is_referrer(manifest));
        let made: BTreeSet<_> = referrers.map(|(digest, _)| digest.clone()).collect();
        let mut answer = self.get("referrers", subject)?;
        if answer.status == 404 {
            let tag = subject.referrers_tag();
            answer = self.server.get(&format!("/v2/{}/manifests/{tag}", self.repository))?;
        }
        let index: Value = match answer.status {
            404 => Value::Null,
            200 => serde_json::from_slice(&answer.body)?,
            status => bail!("the referrers of {subject} were answered with {status}"),
        };
        let listed: BTreeSet<_> = digests(&index, "manifests").collect();
        ensure!(listed == made, "{listed:?} refer to {subject}, and {made:?} should");
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let digest: Digest = serde_json::from_value(entry["digest"].clone())?;
            let is_so = entry["size"] == self.stock.bytes(&digest).len()
                && ["mediaType", "artifactType"]
                    .iter()
                    .all(|member| entry[member] == manifests[&digest][member]);
            ensure!(is_so, "{subject} lists {entry}, of which not all is so");
        }
        Ok(made.len())
    }
}

/// Returns the blobs of a manifest.
fn blobs_of(manifest: &Value) -> impl Iterator<Item = Digest> + '_ {
    let config = manifest["config"]["digest"].as_str().and_then(|digest| digest.parse().ok());
    config.into_iter().chain(digests(manifest, "layers"))
}
