//! helm pushes a chart to our registry, and pulls it from another after it has crossed in a file.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Outcome;
use super::ground::Ground;
use crate::run::shown;
use crate::server::ANY_PORT;

/// The chart's files.
const CHART: [(&str, &str); 3] = [
    ("Chart.yaml", "apiVersion: v2\nname: harbour\nversion: 1.2.3+build\nappVersion: \"1\"\n"),
    ("values.yaml", "greeting: ahoy\n"),
    (
        "templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  \
         greeting: {{ .Values.greeting | quote }}\n",
    ),
];
const PACKAGE: &str = "harbour-1.2.3+build.tgz";
/// The tag that helm makes of the version: tags have no `+`.
const TAG: &str = "1.2.3_build";

/// Carries a chart from helm to helm.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    for (name, text) in CHART {
        let path = ground.path("harbour").join(name);
        fs::create_dir_all(path.parent().context("a file in no directory")?)?;
        fs::write(path, text)?;
    }
    let [near, far] = ["near", "far"].map(|name| ground.serve(name, ANY_PORT, &["--writable"]));
    let (near, far) = (near?, far?);
    helm(ground, &["package", "harbour"])?;
    let charts = format!("oci://{}", near.place("charts"));
    let pushed = digest(&helm(ground, &["push", PACKAGE, &charts, "--plain-http"])?)?;

    let place = format!("{}:{TAG}", near.place("charts/harbour"));
    let listed = ground.ours(&["list", "--json", &place])?;
    let listed: Vec<Value> = serde_json::from_str(&listed)?;
    let [line] = &listed[..] else { anyhow::bail!("{place} is listed as {listed:?}") };
    ensure!(line["digest"] == pushed.as_str(), "helm pushed {pushed}, and {line} is listed");
    ensure!(line["family"] == "chart", "what helm pushed is listed as {line}");
    let arrived = format!("{}:{TAG}", far.place("site/harbour"));
    for (from, to) in
        [(place.as_str(), "oci-archive:chart.tar"), ("oci-archive:chart.tar", &arrived)]
    {
        ground.ours(&["copy", "--quiet", from, to])?;
    }
    let there = format!("oci://{}", far.place("site/harbour"));
    fs::create_dir(ground.path("pulled"))?;
    let pull = ["pull", &there, "--version", "1.2.3+build", "--plain-http", "-d", "pulled"];
    let pulled = digest(&helm(ground, &pull)?)?;
    ensure!(pulled == pushed, "helm pushed {pushed} and pulled {pulled}");
    let pulled_package = format!("pulled/{PACKAGE}");
    let [before, after] = [ground.sha256(PACKAGE)?, ground.sha256(&pulled_package)?];
    ensure!(before == after, "helm packed {before} and pulled {after}");
    let [before, after] =
        ["harbour", &pulled_package].map(|chart| helm(ground, &["template", chart]));
    let (before, after) = (before?, after?);
    ensure!(
        before == after && after.contains("greeting: \"ahoy\""),
        "of the chart helm makes\n{before}\nand of what it pulled\n{after}"
    );
    Ok(Outcome::Passed(format!("{pushed} pushed, carried in an archive, pulled and rendered")))
}

/// Runs helm without the user's settings, and returns all that it printed.
fn helm(ground: &Ground<'_>, args: &[&str]) -> Result<String> {
    let mut command = ground.peer_command("helm", args);
    for part in ["CACHE", "CONFIG", "DATA"] {
        command.env(format!("HELM_{part}_HOME"), ground.path("helm"));
    }
    command.env("HOME", ground.path("home")).env("DOCKER_CONFIG", ground.path("home"));
    let line = shown(&command);
    let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
    // It says where a chart went on the one and complains on the other, by version.
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    ensure!(output.status.success(), "`{line}` failed: {}\n{}", output.status, said.concat());
    Ok(said.concat())
}

/// Returns the digest that helm says.
fn digest(said: &str) -> Result<String> {
    let digest = said.lines().find_map(|line| line.strip_prefix("Digest: "));
    Ok(digest.with_context(|| format!("helm said no digest:\n{said}"))?.trim().to_owned())
}
