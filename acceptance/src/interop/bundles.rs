//! Bundles of twelve repositories cross from one registry of Debian's to another, and to ours.

use anyhow::{Context, Result, ensure};

use super::Outcome;
use super::ground::Ground;
use super::sides::Tally;
use super::stock::{Stock, stocked};
use crate::server::{ANY_PORT, Server};

/// The repositories in a registry of Debian's, and a bundle of what is wanted of them in `bundle.tar`.
pub(super) struct Exported {
    pub(super) near: Server,
    pub(super) stock: Vec<Stock>,
}

impl Exported {
    pub(super) fn new(ground: &Ground<'_>) -> Result<Self> {
        let near = ground.distribution()?;
        let stock = stocked(ground, &near)?;
        ground.ours(&["export", "-q", "-f", "bundle.yaml", "-o", "bundle.tar"])?;
        Ok(Self { near, stock })
    }

    /// Fails unless all that is wanted lies in a registry, behind `prefix`.
    pub(super) fn arrived(&self, far: &Server, prefix: &str) -> Result<Tally> {
        let mut sum = Tally::default();
        for stock in &self.stock {
            sum += stock.arrived(&self.near, far, &format!("{prefix}{}", stock.name))?;
        }
        Ok(sum)
    }
}

impl Ground<'_> {
    /// Starts an empty registry of Debian's, that bundles go to.
    pub(super) fn far(&self) -> Result<Server> {
        Server::distribution(&self.path("far"), ANY_PORT, false)
    }
}

/// Exports, verifies and imports them, and serves the bundle as it is.
pub(super) fn crossing(ground: &Ground<'_>) -> Result<Outcome> {
    let exported = Exported::new(ground)?;
    let count = exported.stock.len();
    ensure!(count == 12, "{count} repositories were made");
    let verified = ground.verified("oci-archive:bundle.tar")?;
    let far = ground.far()?;
    ground.ours(&["import", "-q", "bundle.tar", &far.place("site")])?;
    let imported = exported.arrived(&far, "site/").context("import")?;
    let mut serve = ground.command(&["serve", "--json", "--listen", ANY_PORT]);
    let served = Server::ours(serve.arg("oci-archive:bundle.tar"), &ground.path("served.log"))?;
    // By the path alone, and by host and path.
    let host = exported.near.address().replace(':', "_");
    for prefix in [String::new(), format!("{host}/")] {
        let answered = exported.arrived(&served, &prefix).context("serve")?;
        ensure!(answered == imported, "{imported:?} were imported, and {answered:?} are served");
    }
    let Tally { manifests, tags, referrers, blobs } = imported;
    Ok(Outcome::Passed(format!(
        "{count} repositories, {manifests} manifests, {tags} tags, {referrers} referrers and {blobs} blobs, \
         equal to the byte behind `import` and in `serve` of the bundle; {verified} blobs verified"
    )))
}
