//! The tags by which cosign attaches things to a digest without a subject (section I.2).

use crate::Digest;

/// What cosign attaches by tag, in the order of [`cosign_tags`].
const SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// Returns what a tag of cosign's scheme is attached to, and whether it holds the signatures
/// (`sig`), attestations (`att`) or bill of material (`sbom`); `None` for any other tag.
///
/// Only `sha256` is recognised: a longer digest does not fit in a tag.
pub fn cosign_tag(tag: &str) -> Option<(Digest, &'static str)> {
    let (stem, suffix) = tag.rsplit_once('.')?;
    let suffix = SUFFIXES.into_iter().find(|known| *known == suffix)?;
    let encoded = stem.strip_prefix("sha256-")?;
    let digest = format!("sha256:{encoded}").parse().ok()?;
    Some((digest, suffix))
}

/// Returns the three tags under which cosign keeps what it attaches to `digest`: signatures,
/// attestations, bill of material.
///
/// Those of a `sha512` digest are longer than a tag may be, so no registry holds them.
pub fn cosign_tags(digest: &Digest) -> [String; 3] {
    SUFFIXES.map(|suffix| format!("{}-{}.{suffix}", digest.algorithm(), digest.encoded()))
}
