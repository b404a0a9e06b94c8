//! A browser looks at the page for people.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::Outcome;
use super::clients::{OURS, Scene};
use super::ground::Ground;

/// What keeps the browser from everything but the page, and lets it run as the superuser.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A phone held upright, and a desk.
const WIDTHS: [u32; 2] = [390, 1200];

/// The first bytes of a PNG, behind which the header stands with width and height.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Lets a browser read the page, and draw it in several widths.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let scene = Scene::new(ground)?;
    let address = format!("http://{}/", scene.server.address());
    let browser = |more: &[&str]| {
        let directory = format!("--user-data-dir={}", ground.path("browser").display());
        let args = [&FLAGS[..], &[directory.as_str()], more, &[address.as_str()]].concat();
        scene.client("chromium", &args)
    };
    let document = browser(&["--dump-dom"])?;
    let articles = document.matches("<article>").count();
    // Signatures by tag stand under what they sign, and several tags of one manifest are one.
    let tags = scene.artifacts().count();
    ensure!(articles > 0 && articles <= scene.server.tags(OURS)?.len(), "{articles}:\n{document}");
    for (name, digest) in scene.artifacts() {
        let (tag, digest) = (format!("<span class=\"tag\">{name}</span>"), digest.to_string());
        ensure!(document.contains(&tag), "the page shows no {name}:\n{document}");
        ensure!(document.contains(&digest), "the page shows no {digest}:\n{document}");
    }
    for width in WIDTHS {
        let path = ground.path(&format!("page-{width}.png"));
        let (size, picture) =
            (format!("--window-size={width},900"), format!("--screenshot={}", path.display()));
        browser(&["--hide-scrollbars", &size, &picture])?;
        let drawn = fs::read(&path).with_context(|| format!("there is no {}", path.display()))?;
        ensure!(drawn.starts_with(PNG), "{} is no picture", path.display());
        ensure!(drawn.get(16..20) == Some(&width.to_be_bytes()[..]), "it is not {width} wide");
    }
    scene.close()?;
    Ok(Outcome::Passed(format!("{articles} artifacts, {tags} of them by their tags; drawn twice")))
}
