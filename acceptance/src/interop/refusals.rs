//! What Debian's registry refuses, and ours takes (row G-09).

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, Draft, Form, blob_path, good, typed};
use longshore_spec::Digest;

use super::Outcome;
use super::cargo::Cargo;
use super::ground::{Ground, failed};
use crate::server::ANY_PORT;

/// A fixture of [`good()`] that is refused.
pub(super) struct Refused {
    pub(super) fixture: &'static str,
    /// What is said of it.
    said: &'static str,
    /// Whether our registry takes it.
    by_ours: bool,
}

const SHA512: &str = "answered 400: DIGEST_INVALID: provided digest did not match";
const INVALID: &str = "answered 400: MANIFEST_INVALID: manifest invalid";
const NO_MANIFEST: &str = "lists manifests only, and";

pub(super) const REFUSED: [Refused; 8] = [
    Refused { fixture: "sha512", said: SHA512, by_ours: false },
    Refused { fixture: "mixed-algorithms", said: SHA512, by_ours: false },
    Refused { fixture: "image-nondistributable", said: "answered 500", by_ours: false },
    Refused { fixture: "odd-annotations", said: INVALID, by_ours: false },
    Refused { fixture: "withdrawn-manifest", said: INVALID, by_ours: false },
    Refused { fixture: "oras-manifest", said: INVALID, by_ours: false },
    Refused { fixture: "entry-future-type", said: NO_MANIFEST, by_ours: true },
    Refused { fixture: "unknown-entry", said: NO_MANIFEST, by_ours: true },
];

/// Pushes each to Debian's registry, which must fail as it should, and carries it through ours.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let theirs = ground.distribution()?;
    let ours = ground.serve("ours", ANY_PORT, &["--writable"])?;
    let fixtures = good();
    let mut carried = 0;
    for Refused { fixture: name, said, by_ours } in REFUSED {
        let fixture = fixtures.iter().find(|fixture| fixture.name == name);
        let Some(Form::Content(content)) = fixture.map(|fixture| &fixture.form) else {
            bail!("there is no good fixture {name}");
        };
        ground.layout(&format!("{name}-sent"), content)?;
        let from = format!("oci:{name}-sent");
        let push = |to: &str| ground.command(&["copy", "--quiet", "--all", &from, to]);
        failed(&mut push(&theirs.place(name)), 1, said)?;
        let own = ours.place(&format!("refused/{name}"));
        if by_ours {
            failed(&mut push(&own), 1, said)?;
            continue;
        }
        let cargo = Cargo::new(ground, name, content)?;
        cargo.round(ground, &ours, &ours).with_context(|| name)?;
        carried += 1;
    }

    // A layer by sha512 in a manifest by sha256.
    let mut content = Content::new();
    content.empty();
    let layer = content.blob_sha512("application/vnd.example.layer", &b"strong"[..]);
    let app = content.manifest(&Draft::artifact("application/vnd.example.app", &[layer]));
    content.tag(&app, "app");
    // Debian's takes it, though it answers with another digest than was asked for.
    Cargo::new(ground, "sha512-layer", &content)?.round(ground, &theirs, &ours)?;

    // An index whose entries are not all there. Ours takes it if it may.
    let mut content = typed();
    content.entries.retain(|entry| entry.annotations.values().any(|name| name == "app"));
    ground.layout("whole", &content)?;
    let keep = ["--platform", "linux/amd64", "--sparse-index", "keep"];
    ground.ours(&[&["copy", "-q"][..], &keep, &["oci:whole:app", "oci:sparse:app"]].concat())?;
    let push = |to: &str| ground.command(&["copy", "--quiet", "--all", "oci:sparse", to]);
    failed(&mut push(&theirs.place("sparse")), 1, "answered 400: MANIFEST_BLOB_UNKNOWN")?;
    failed(&mut push(&ours.place("sparse")), 1, "answered 400: MANIFEST_BLOB_UNKNOWN")?;
    let lenient = ground.serve("lenient", ANY_PORT, &["--writable", "--allow-missing"])?;
    content.blobs.retain(|digest, _| ground.path(&sparse_path(digest)).is_file());
    let left = content.blobs.len();
    ensure!(left > 1 && left < typed().blobs.len(), "{left} blobs are in the sparse index");
    Cargo::new(ground, "sparse-again", &content)?.round(ground, &lenient, &lenient)?;
    carried += 1;
    Ok(Outcome::Passed(format!(
        "{} refused by name; {carried} of them carried through our registry",
        REFUSED.len() + 1
    )))
}

fn sparse_path(digest: &Digest) -> String {
    format!("sparse/{}", blob_path(digest))
}
