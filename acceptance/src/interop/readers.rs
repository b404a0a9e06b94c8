//! skopeo, oras and regctl read a bundle as what it is, an image layout.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use longshore_spec::Digest;
use serde_json::Value;

use super::Outcome;
use super::bundles::Exported;
use super::ground::{Ground, refused};
use super::sides::Tally;
use super::stock::{Stock, digests};
use super::{oras, sides};
use crate::server::{ANY_PORT, Server};

/// What skopeo 1.9.3 does not see in `index.json`: it passes over entries that are Docker's.
const UNSEEN: &str = "legacy/base";
/// What it sees and is not able to copy, an index in an index; with what it says.
const NOT_COPIED: (&str, &str) =
    ("nested/release", "received a manifest list instead of a manifest for a single image");

/// skopeo finds everything by the full name, and copies it from the archive to a registry.
pub(super) fn skopeo(ground: &Ground<'_>) -> Result<Outcome> {
    let exported = Exported::new(ground)?;
    let far = ground.far()?;
    let host = exported.near.address();
    let map = format!("{host}/=docker.io/");
    ground.ours(&["import", "-q", "bundle.tar", "oci:mapped", "--map", &map])?;
    let (mut read, mut copied) = (0, 0);
    for stock in &exported.stock {
        for (name, digest) in stock.names() {
            let archive = format!("oci-archive:bundle.tar:{host}/{}{name}", stock.name);
            let mapped = format!("oci:mapped:docker.io/{}{name}", stock.name);
            if stock.name == UNSEEN {
                let mut inspect = ground.peer_command("skopeo", &["inspect", "--raw", &archive]);
                refused(&mut inspect, "no descriptor found")?;
                continue;
            }
            for place in [&archive, &mapped] {
                let raw = ground.client("skopeo", &["inspect", "--raw", place])?;
                same(stock, &digest, &format!("what skopeo reads of {place}"), &raw)?;
            }
            read += 1;
            // It pushes nothing without a tag to this registry.
            let tag = name.strip_prefix(':').unwrap_or("untagged");
            let to = format!("docker://{}:{tag}", far.place(stock.name));
            let args = ["copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false"];
            let args = [&args[..], &[&archive, &to]].concat();
            if stock.name == NOT_COPIED.0 {
                refused(&mut ground.peer_command("skopeo", &args), NOT_COPIED.1)?;
                continue;
            }
            ground.client("skopeo", &args)?;
            sides::carried(stock, &digest, &far, stock.name, tag)?;
            copied += 1;
        }
    }
    Ok(Outcome::Passed(format!(
        "{read} names read in the archive and, as names of docker.io, in a directory; {copied} copied to a registry"
    )))
}

/// oras finds everything by its digest in the archive and in the directory that tar makes of it, with
/// what refers to it, and copies it to a registry, from which it crosses another gap.
pub(super) fn oras(ground: &Ground<'_>) -> Result<Outcome> {
    let exported = Exported::new(ground)?;
    unpack(ground)?;
    let far = ground.far()?;
    let index: Value = serde_json::from_slice(&fs::read(ground.path("unpacked/index.json"))?)?;
    let listed: BTreeSet<_> = digests(&index, "manifests").collect();
    let (mut read, mut referrers, mut copied) = (0, 0, 0);
    for stock in &exported.stock {
        let crossing = stock.crossing();
        for digest in crossing.keys() {
            for layout in ["bundle.tar", "unpacked"] {
                let one = format!("{layout}@{digest}");
                let raw = ground.client("oras", &["manifest", "fetch", "--oci-layout", &one])?;
                same(stock, digest, &format!("what oras reads of {one}"), &raw)?;
            }
            read += 1;
        }
        // Of what an index lists alone it does not know that it is a manifest.
        for digest in crossing.keys().filter(|digest| listed.contains(digest)) {
            let one = format!("unpacked@{digest}");
            let discover = ["discover", "--format", "json", "--oci-layout", &one];
            let printed = ground.client("oras", &discover)?;
            let mut found = BTreeSet::new();
            oras::gather(&serde_json::from_str(&printed)?, &mut found)
                .with_context(|| format!("`oras discover {one}` printed {printed}"))?;
            let made = referring(digest, &crossing);
            ensure!(found == made, "oras finds {found:?} to refer to {one}, not {made:?}");
            referrers += made.len();
        }
        for (name, digest) in stock.names() {
            let tag = name.strip_prefix(':').unwrap_or("untagged");
            let [from, to] =
                [format!("bundle.tar@{digest}"), format!("{}:{tag}", far.place(stock.name))];
            let flags = ["cp", "--no-tty", "-r", "--from-oci-layout", "--to-plain-http"];
            ground.client("oras", &[&flags[..], &[&from, &to]].concat())?;
            sides::carried(stock, &digest, &far, stock.name, tag)?;
            copied += 1;
        }
    }
    let Tally { manifests, referrers: carried, .. } = further(ground, &exported, &far)?;
    Ok(Outcome::Passed(format!(
        "{read} manifests read by digest in the archive and unpacked, with {referrers} referrers; {copied} copied \
         to a registry, and of these {manifests} manifests with {carried} referrers exported and imported again"
    )))
}

/// The repositories that oras copies as a whole: in the others something refers to an entry of an
/// index, where it does not look.
const COPIED_WHOLE: [&str; 4] =
    ["charts/shop", "modules/filter", "policies/app", "science/container"];

/// Exports what oras has put into a registry, with the referrers that it enlisted there, and imports
/// that into another.
fn further(ground: &Ground<'_>, exported: &Exported, far: &Server) -> Result<Tally> {
    let repositories = COPIED_WHOLE.map(|name| format!("  - repository: {}\n", far.place(name)));
    fs::write(ground.path("further.yaml"), format!("artifacts:\n{}", repositories.concat()))?;
    ground.ours(&["export", "-q", "-f", "further.yaml", "-o", "further.tar"])?;
    let further = Server::distribution(&ground.path("further"), ANY_PORT, false)?;
    ground.ours(&["import", "-q", "further.tar", further.address()])?;
    let mut sum = Tally::default();
    for stock in exported.stock.iter().filter(|stock| COPIED_WHOLE.contains(&stock.name)) {
        sum += stock.arrived(far, &further, stock.name)?;
    }
    Ok(sum)
}

/// regctl finds everything by its digest in the directory that tar makes of the archive, with what
/// cosign has attached, and reads the archive by full names.
pub(super) fn regctl(ground: &Ground<'_>) -> Result<Outcome> {
    let exported = Exported::new(ground)?;
    unpack(ground)?;
    let far = ground.far()?;
    let host = format!("reg={},tls=disabled", far.address());
    let regctl =
        |args: &[&str]| ground.client("regctl", &[&["--host", host.as_str()], args].concat());
    let (mut read, mut copied) = (0, 0);
    for stock in &exported.stock {
        for digest in stock.crossing().keys() {
            let one = format!("ocidir://unpacked@{digest}");
            let raw = regctl(&["manifest", "get", "--format", "raw-body", &one])?;
            same(stock, digest, &format!("what regctl reads of {one}"), &raw)?;
            read += 1;
        }
        for (name, digest) in stock.names() {
            let tag = name.strip_prefix(':').unwrap_or("untagged");
            let [copy, import] = ["copied", "imported"].map(|way| format!("{way}/{}", stock.name));
            let from = format!("ocidir://unpacked@{digest}");
            let to = format!("{}:{tag}", far.place(&copy));
            regctl(&["image", "copy", "--digest-tags", &from, &to])?;
            let full = format!("{}{name}", exported.near.place(stock.name));
            let to = format!("{}:{tag}", far.place(&import));
            regctl(&["image", "import", "--name", &full, &to, "bundle.tar"])?;
            for repository in [&copy, &import] {
                sides::carried(stock, &digest, &far, repository, tag)?;
            }
            copied += 1;
        }
        // What cosign has attached came along with what it is about.
        let tags = far.tags(&format!("copied/{}", stock.name))?;
        ensure!(
            stock.tags.keys().all(|tag| tags.contains(tag)),
            "regctl has copied {tags:?} of {}, not {:?}",
            stock.name,
            stock.tags.keys()
        );
    }
    Ok(Outcome::Passed(format!(
        "{read} manifests read by digest in the unpacked archive; {copied} names copied from it and out of the \
         archive to a registry"
    )))
}

/// Unpacks the bundle into a directory with another program.
fn unpack(ground: &Ground<'_>) -> Result<()> {
    fs::create_dir(ground.path("unpacked"))?;
    ground.theirs("tar", &["-xf", "bundle.tar", "-C", "unpacked"]).map(drop)
}

/// Fails unless a client has printed the manifest that was made.
fn same(stock: &Stock, digest: &Digest, what: &str, raw: &str) -> Result<()> {
    ensure!(raw.as_bytes() == stock.bytes(digest), "{what} is not {digest}, but\n{raw}");
    Ok(())
}

/// Returns what refers to a manifest, to those that do, and so on.
fn referring(subject: &Digest, manifests: &BTreeMap<Digest, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![subject.to_string()];
    while let Some(subject) = left.pop() {
        for (digest, manifest) in manifests {
            if manifest["subject"]["digest"].as_str() == Some(&subject)
                && found.insert(digest.to_string())
            {
                left.push(digest.to_string());
            }
        }
    }
    found
}
