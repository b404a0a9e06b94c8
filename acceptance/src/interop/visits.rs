//! The second visit to a site: what receipts say, what deltas carry, and what is found out before anything
//! is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use longshore_fixture::proxy::{Answer, Faults, Proxy, Request, Rules};
use longshore_fixture::{Content, Draft, Random, Tree};
use longshore_spec::{Digest, MediaType};
use serde_json::{Value, json};

use super::Outcome;
use super::ground::{Ground, failed};
use crate::client::Client;
use crate::peers;
use crate::run::capture;
use crate::server::{ANY_PORT, Server};

/// How many images a site has.
const IMAGES: usize = 50;
/// How many layers they share, and how long each is, in bytes.
const SHARED: u64 = 5;
const SHARED_SIZE: usize = 256 << 10;
/// How long the layer of its own is that each image has, in bytes.
const OWN_SIZE: usize = 32 << 10;
/// How many sites get one delta.
const SITES: usize = 10;

/// A registry of a site, by the program that it is.
struct Maker {
    program: PathBuf,
    start: fn(&Path, &Path) -> Result<Server>,
}

/// A near registry, the far one of a site that has imported the first bundle, and what that says it holds.
struct Visit<'a> {
    ground: &'a Ground<'a>,
    maker: Maker,
    near: Server,
    far: Server,
}

/// Makes the second visit to sites of Debian's registry.
pub(super) fn second(ground: &Ground<'_>) -> Result<Outcome> {
    let start = |_: &Path, directory: &Path| Server::distribution(directory, ANY_PORT, true);
    visit(ground, Maker { program: "docker-registry".into(), start })
}

/// Does the same with version 3 of that registry.
pub(super) fn second_3(ground: &Ground<'_>) -> Result<Outcome> {
    let program = peers::find("registry")?.context("it was there before")?;
    visit(ground, Maker { program, start: Server::distribution_3 })
}

fn visit(ground: &Ground<'_>, maker: Maker) -> Result<Outcome> {
    ground.layout("here", &images(None))?;
    ground.layout("moved", &images(Some(4242)))?;
    let near = ground.serve("near", ANY_PORT, &["--writable"])?;
    ground.copied("oci:here", &near.place("fleet"))?;
    let wanted = format!("artifacts:\n  - repository: {}\n", near.place("fleet"));
    fs::write(ground.path("bundle.yaml"), wanted)?;
    ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "first.tar"])?;
    let far = (maker.start)(&maker.program, &ground.path("far"))?;
    ground.ours(&["import", "-q", "first.tar", &far.place("site")])?;
    ground.ours(&["receipt", "-q", &far.place("site"), "-o", "far.receipt"])?;
    let visit = Visit { ground, maker, near, far };
    let lines = visit.receipts_are_equal()?;
    visit.ten_sites_have_imported()?;
    ground.copied("oci:moved", &visit.near.place("fleet"))?;
    let [whole, delta] = visit.one_layer_changes()?;
    visit.one_delta_for_all()?;
    visit.lost_content_is_named()?;
    visit.collected_content_is_named()?;
    visit.other_repositories()?;
    visit.lies_and_orders()?;
    Ok(Outcome::Passed(format!(
        "{IMAGES} images of which one layer changes: {whole} bytes as a whole, {delta} as a delta; {lines} \
         lines of receipts equal in 3 places; {SITES} sites, one delta; storage removed under a warm \
         cache and collected, and repaired, mounts allowed and refused, receipts that lie, deltas twice and in the \
         wrong order"
    )))
}

impl Visit<'_> {
    /// Compares receipts of the registry, of ours and of a layout that have imported the same; returns how
    /// many lines they have.
    fn receipts_are_equal(&self) -> Result<usize> {
        let Self { ground, far, .. } = self;
        let ours = ground.serve("ours", ANY_PORT, &["--writable"])?;
        ground.ours(&["import", "-q", "first.tar", &ours.place("site")])?;
        ground.ours(&["import", "-q", "first.tar", "oci:imported"])?;
        let listed = |place: &str| -> Result<Vec<String>> {
            let receipt = ground.ours(&["receipt", "--digests-only", "--site", "x", place])?;
            let mut lines: Vec<_> = receipt
                .lines()
                .filter(|line| line.starts_with("  "))
                .map(|line| line.trim().to_owned())
                .collect();
            lines.sort();
            lines.dedup();
            Ok(lines)
        };
        let theirs = listed(&far.place("site"))?;
        for place in [ours.place("site"), "oci:imported".to_owned()] {
            ensure!(listed(&place)? == theirs, "the receipt of {place} lists other content");
        }
        Ok(theirs.len())
    }

    /// Lets ten sites of the far registry import the first bundle, each without an image of its own.
    fn ten_sites_have_imported(&self) -> Result<()> {
        let Self { ground, near, far, .. } = self;
        fs::create_dir(ground.path("receipts"))?;
        for site in 0..SITES {
            let images = (0..IMAGES).filter(|image| *image != site + 1);
            let list: Vec<_> = images
                .map(|image| format!("{}\n", near.place(&format!("fleet:app-{image}"))))
                .collect();
            let list_name = format!("list-{site}.txt");
            fs::write(ground.path(&list_name), list.concat())?;
            let bundle = format!("site-{site}.tar");
            ground.ours(&["export", "-q", "-f", &list_name, "-o", &bundle])?;
            let place = far.place(&format!("site-{site}"));
            ground.ours(&["import", "-q", &bundle, &place])?;
            let receipt = format!("receipts/site-{site}");
            ground.ours(&["receipt", "-q", &place, "-o", &receipt])?;
        }
        Ok(())
    }

    /// Exports a delta of which only one layer, its config and the manifests may be there; returns how long
    /// the whole bundle is, and the delta.
    fn one_layer_changes(&self) -> Result<[u64; 2]> {
        let Self { ground, .. } = self;
        ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "whole.tar"])?;
        let export = ["export", "-q", "-f", "bundle.yaml", "--base", "far.receipt", "-o"];
        ground.ours(&[&export[..], &["delta.tar"]].concat())?;
        let (before, after) = (images(None), images(Some(4242)));
        let new = after.blobs.keys().filter(|digest| !before.blobs.contains_key(digest));
        let manifests = after.entries.iter().map(|entry| &entry.digest);
        let expected: BTreeSet<String> = new.chain(manifests).map(Digest::to_string).collect();
        let carried = carried(ground, "delta.tar")?;
        ensure!(carried == expected, "the delta carries {carried:?}, not {expected:?}");
        let [whole, delta] = ["whole.tar", "delta.tar"].map(|name| ground.path(name).metadata());
        Ok([whole?.len(), delta?.len()])
    }

    /// Lets one delta with the receipts of ten sites as its base be imported by each of them.
    fn one_delta_for_all(&self) -> Result<()> {
        let Self { ground, far, .. } = self;
        let export = ["export", "-q", "-f", "bundle.yaml", "--base", "receipts", "-o", "all.tar"];
        ground.ours(&export)?;
        for site in 0..SITES {
            let (place, receipt) = (format!("site-{site}"), format!("receipts/site-{site}"));
            let place = far.place(&place);
            ground.ours(&["import", "-q", "all.tar", &place, "--receipt", &receipt])?;
            self.is_the_same("all.tar", &place)?;
        }
        Ok(())
    }

    /// Fails unless a place has all that a bundle says, under the same names.
    fn is_the_same(&self, bundle: &str, place: &str) -> Result<()> {
        let Self { ground, near, .. } = self;
        let map = format!("{}/={place}/", near.address());
        ground.ours(&["diff", place, bundle, "--map", &map]).map(drop)
    }

    /// Takes content out of the storage of a registry that has just answered for it. That is named, nothing
    /// is written, and once it is there again the delta is imported.
    fn lost_content_is_named(&self) -> Result<()> {
        let Self { ground, far, .. } = self;
        let place = far.place("site");
        let lost = images(None).blobs.into_iter().find(|(_, bytes)| bytes.len() == SHARED_SIZE);
        let (lost, _) = lost.context("no layer is shared")?;
        let encoded = lost.encoded();
        let storage = ground.path("far/store/docker/registry/v2");
        let data = storage.join("blobs/sha256").join(&encoded[..2]).join(&*encoded).join("data");
        let kept = ground.path("kept");
        fs::rename(&data, &kept).context("the registry keeps blobs elsewhere")?;
        let head = Client::connect(far.address())?.ask(
            "HEAD",
            &format!("/v2/site/fleet/blobs/{lost}"),
            "",
            b"",
        )?;
        ensure!(head.status == 200, "HEAD is answered with {}: its cache is cold", head.status);
        let before = Tree::read(&storage)?;
        failed(&mut ground.command(&["import", "delta.tar", &place]), 1, &lost.to_string())?;
        ensure!(
            Tree::read(&storage)? == before,
            "an import that was refused has changed the target"
        );
        let verify = ["verify", "delta.tar", "--against", &place];
        failed(&mut ground.command(&verify), 3, &lost.to_string())?;
        self.repair("delta.tar", &place)?;
        ensure!(fs::read(&data)? == fs::read(&kept)?, "the blob is not where it was");
        ground.ours(&["verify", "-q", &far.place("site/fleet")])?;
        // A second time there is nothing to do.
        let again = ground.ours(&["import", "--json", "delta.tar", &place])?;
        let again: Value = serde_json::from_str(&again)?;
        ensure!(
            again["moved"] == json!([]) || again["moved"] == Value::Null,
            "moved twice: {again}"
        );
        self.is_the_same("whole.tar", &place)
    }

    /// Deletes a manifest by the API and collects garbage under a registry that runs.
    fn collected_content_is_named(&self) -> Result<()> {
        let Self { ground, maker, .. } = self;
        let far = (maker.start)(&maker.program, &ground.path("collected"))?;
        let place = far.place("site");
        ground.ours(&["import", "-q", "first.tar", &place])?;
        ground.ours(&["receipt", "-q", &place, "-o", "collected.receipt"])?;
        let image = format!("{place}/fleet:app-7");
        let digest = ground.ours(&["digest", &image])?;
        ground.ours(&["delete", "-q", &format!("{place}/fleet@{}", digest.trim())])?;
        let mut collect = Command::new(&maker.program);
        collect.args(["garbage-collect", "config.yml"]).current_dir(ground.path("collected"));
        capture(&mut collect)?;
        let export =
            ["export", "-q", "-f", "bundle.yaml", "--base", "collected.receipt", "-o", "late.tar"];
        ground.ours(&export)?;
        let storage = ground.path("collected/store");
        let before = Tree::read(&storage)?;
        let own =
            images(None).blobs.into_iter().find(|(_, bytes)| bytes[..] == own_layer(7, 0)[..]);
        let (own, _) = own.context("an image has no layer of its own")?;
        failed(&mut ground.command(&["import", "late.tar", &place]), 1, &own.to_string())?;
        ensure!(
            Tree::read(&storage)? == before,
            "an import that was refused has changed the target"
        );
        // Version 2 takes manifests for stored that were collected under it, until it is started again.
        drop(far);
        let far = (maker.start)(&maker.program, &ground.path("collected"))?;
        self.repair("late.tar", &far.place("site"))?;
        ground.ours(&["verify", "-q", &far.place("site/fleet")]).map(drop)
    }

    /// Asks for exactly what a site lacks of a delta, which has just been refused, and imports both.
    fn repair(&self, delta: &str, place: &str) -> Result<()> {
        let Self { ground, .. } = self;
        let import = ["import", delta, place, "--missing", "missing.txt"];
        failed(&mut ground.command(&import), 1, "wrote missing.txt")?;
        let list = fs::read_to_string(ground.path("missing.txt"))?;
        let asked = list.lines().filter_map(|line| line.strip_prefix("blob "));
        let asked: BTreeSet<String> =
            asked.filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
        ground.ours(&[
            "export",
            "-q",
            "-f",
            "bundle.yaml",
            "--only",
            "missing.txt",
            "-o",
            "repair.tar",
            "--force",
        ])?;
        let carried = carried(ground, "repair.tar")?;
        ensure!(carried == asked, "the repair carries {carried:?}, not {asked:?}");
        failed(&mut ground.command(&["import", "repair.tar", place]), 2, "only repairs another")?;
        let import = ["import", "-q", delta, "repair.tar", place, "--missing", "missing.txt"];
        ground.ours(&import)?;
        ensure!(!ground.path("missing.txt").exists(), "the list is still there");
        self.is_the_same(delta, place)
    }

    /// Imports a delta whose base lies in another repository of the target, from which it is mounted, and
    /// where the registry does not mount, read.
    fn other_repositories(&self) -> Result<()> {
        let Self { ground, near, far, .. } = self;
        let (from, to) = (near.place("fleet:app-3"), near.place("copy:app-3"));
        ground.ours(&["copy", "-q", &from, &to])?;
        let export = ["export", "-q", &to, "--base", "far.receipt", "-o", "copy.tar"];
        ground.ours(&export)?;
        ensure!(carried(ground, "copy.tar")?.len() == 1, "only the manifest was to be carried");
        // Its own repository has nothing, and nobody says where to look.
        failed(&mut ground.command(&["import", "copy.tar", &far.place("site")]), 1, "sha256:")?;
        let refuse = |request: &Request| request.target.contains("mount=");
        let refusing = Rules::default().answer_every(1, refuse, Answer::status(405));
        for (number, rules) in [Rules::default(), refusing].into_iter().enumerate() {
            let proxy = Proxy::start(far.address().parse()?, Faults::http(rules))?;
            let place = format!("{}/site", proxy.address());
            fs::copy(ground.path("far.receipt"), ground.path("used.receipt"))?;
            let map = format!("{}/copy={place}/copy-{number}", near.address());
            let import = ["import", "-q", "copy.tar", &place, "--receipt", "used.receipt"];
            ground.ours(&[&import[..], &["--map", &map]].concat())?;
            let log = proxy.log();
            let mounts = log.iter().filter(|exchange| exchange.target.contains("mount="));
            ensure!(mounts.count() > 0, "no mount was tried");
            let image = far.place(&format!("site/copy-{number}:app-3"));
            ground.ours(&["verify", "-q", &image])?;
            ensure!(ground.ours(&["digest", &image])? == ground.ours(&["digest", &to])?);
        }
        Ok(())
    }

    /// Imports deltas that were made by a receipt that lies, for another site, and in the wrong order.
    fn lies_and_orders(&self) -> Result<()> {
        let Self { ground, near, far, maker } = self;
        let place = far.place("empty");
        failed(&mut ground.command(&["import", "delta.tar", &place]), 1, "nothing was written")?;
        // A receipt that has what the site does not.
        ground.layout("latest", &images(Some(4243)))?;
        ground.copied("oci:latest", &near.place("fleet"))?;
        let receipt = fs::read_to_string(ground.path("far.receipt"))?;
        let (content, _) =
            receipt.rsplit_once("checksum ").context("a receipt without checksum")?;
        let layer = Digest::sha256(own_layer(0, 4243));
        let lie = format!("{content}  blob {layer} {OWN_SIZE}\n");
        let lie = format!("{lie}checksum {}\n", Digest::sha256(&lie));
        fs::write(ground.path("lie.receipt"), lie)?;
        let export = |base: &str, to: &str| {
            ground.ours(&["export", "-q", "-f", "bundle.yaml", "--base", base, "-o", to]).map(drop)
        };
        export("lie.receipt", "lie.tar")?;
        let place = far.place("site");
        failed(&mut ground.command(&["import", "lie.tar", &place]), 1, &layer.to_string())?;
        // Without a way back, each delta has the one before it as its base.
        let [second, third] =
            [4244, 4245].map(|seed| (format!("layout-{seed}"), images(Some(seed))));
        for (name, content) in [&second, &third] {
            ground.layout(name, content)?;
        }
        ground.copied("oci:layout-4244", &near.place("fleet"))?;
        export("first.tar", "second.tar")?;
        ground.copied("oci:layout-4245", &near.place("fleet"))?;
        // The third still needs the layer that the second brings.
        let kept = format!("{}:kept", near.place("fleet"));
        ground.ours(&["copy", "-q", "oci:layout-4244:app-0", &kept])?;
        export("second.tar", "third.tar")?;
        let other = (maker.start)(&maker.program, &ground.path("other"))?;
        let place = other.place("site");
        ground.ours(&["import", "-q", "first.tar", &place])?;
        let needed = Digest::sha256(own_layer(0, 4244));
        failed(&mut ground.command(&["import", "third.tar", &place]), 1, &needed.to_string())?;
        for delta in ["second.tar", "third.tar"] {
            ground.ours(&["import", "-q", delta, &place])?;
        }
        self.is_the_same("third.tar", &place)
    }
}

/// Returns the digests of what a bundle carries, by its record.
fn carried(ground: &Ground<'_>, bundle: &str) -> Result<BTreeSet<String>> {
    let record = ground.theirs("tar", &["-xOf", bundle, "bundle.json"])?;
    let record: Value = serde_json::from_str(&record)?;
    let blobs = record["blobs"].as_array().context("a record without blobs")?;
    let digest = |blob: &Value| blob["digest"].as_str().map(str::to_owned);
    blobs.iter().map(|blob| digest(blob).context("a blob without digest")).collect()
}

/// Returns images that share layers, and of which each has one of its own. `changed` makes another layer of
/// the first.
fn images(changed: Option<u64>) -> Content {
    let mut content = Content::new();
    let shared: Vec<_> = (0..SHARED)
        .map(|seed| content.blob(MediaType::LAYER_TAR, random(seed, SHARED_SIZE)))
        .collect();
    for number in 0..IMAGES {
        let seed = if number == 0 { changed.unwrap_or_default() } else { 0 };
        let own = content.blob(MediaType::LAYER_TAR, own_layer(number, seed));
        let config = json!({ "architecture": "amd64", "os": "linux", "author": format!("{number} {seed}"),
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = content.json(MediaType::IMAGE_CONFIG, &config);
        let [one, other] = [number, number + 1].map(|at| shared[at % shared.len()].clone());
        let image = content.manifest(&Draft::image(&config, &[one, other, own]));
        content.tag(&image, &format!("app-{number}"));
    }
    content
}

fn own_layer(image: usize, seed: u64) -> Vec<u8> {
    random(1000 + image as u64 + (seed << 32), OWN_SIZE)
}

fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Random::new(seed).fill(&mut bytes);
    bytes
}
