//! Whole commands, and what they cost the server that they speak with.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::content::{self, HOST, REPOSITORY};
use super::table::Spent;
use super::{Kind, Run};
use crate::client::Client;
use crate::measure::measured;
use crate::scale::{JOBS, dir, sha256_alone, tar};
use crate::server::{ANY_PORT, Server};

/// So many seconds may [`Kind::most`] tags take into a directory, where a core hashes
/// [`HASHED`] MB/s.
const INTO_DIRECTORY: f64 = 8.0;
const HASHED: f64 = 1400.0;
/// A MiB in MB.
const MEBI: f64 = 1.048_576;

pub(super) fn measure(run: &mut Run<'_>) {
    tags(run);
    artifacts(run);
    pushes(run);
    names(run);
    blobs(run);
    entries(run);
}

/// Tags of one repository, from a registry to everywhere.
fn tags(run: &mut Run<'_>) {
    let speed = sha256_alone(1) * MEBI;
    let most = INTO_DIRECTORY * HASHED / speed;
    println!("a core hashes {speed:.0} MB/s: {most:.2} s for tags into a directory");
    let names = ["copy of tags to a directory", "copy of tags to a directory: its source"];
    run.rows_within(names, Kind::Tags, Some(most), |run, count| {
        let target = run.layouts.fresh("tags-copied")?;
        copy_tags(run, count, &dir(&target))
    });
    run.rows(
        ["copy of tags to an archive", "copy of tags to an archive: its source"],
        Kind::Tags,
        |run, count| {
            let target = run.layouts.fresh("tags-copied.tar")?;
            copy_tags(run, count, &tar(&target))
        },
    );
    let names = [
        "copy of tags to `serve`",
        "copy of tags to `serve`: its source",
        "copy of tags to `serve`: `serve`",
    ];
    run.rows(names, Kind::Tags, |run, count| {
        let target = serve(run.program, &run.layouts.fresh("tags-served")?, &["--writable"])?;
        let [client, source] = copy_tags(run, count, &target.place(REPOSITORY))?;
        let tags = target.tags(REPOSITORY)?.len();
        ensure!(tags == count, "{tags} tags arrived, not {count}");
        Ok([client, source, of(&target, client.wall)?])
    });
}

fn copy_tags(run: &Run<'_>, count: usize, to: &str) -> Result<[Spent; 2]> {
    let server = serve(run.program, &run.layouts.of(Kind::Tags, count)?, &[])?;
    let client = longshore(run, &["copy", "--all-tags", &server.place(REPOSITORY), to])?;
    Ok([client, of(&server, client.wall)?])
}

/// A bundle of many repositories into a registry.
fn artifacts(run: &mut Run<'_>) {
    run.rows(
        ["import into `serve`", "import into `serve`: `serve`"],
        Kind::Artifacts,
        |run, count| {
            let source = run.layouts.of(Kind::Artifacts, count)?;
            let server = serve(run.program, &run.layouts.fresh("imported")?, &["--writable"])?;
            let client = longshore(run, &["import", &dir(&source), server.address()])?;
            let last = content::repository(count - 1);
            ensure!(server.tags(&last)? == ["v1"], "{last} did not arrive");
            Ok([client, of(&server, client.wall)?])
        },
    );
}

/// Names of one manifest, pushed one after the other.
fn pushes(run: &mut Run<'_>) {
    run.rows(["names of one manifest, pushed"], Kind::Pushes, |run, count| {
        let server = serve(run.program, &run.layouts.fresh("pushed")?, &["--writable"])?;
        let mut client = Client::connect(server.address())?;
        let artifact = content::Artifact::new(Kind::Tags, 0);
        let begun = Instant::now();
        artifact.push_blobs(&mut client, REPOSITORY)?;
        for number in 0..count {
            client.push_manifest(REPOSITORY, &format!("v{number}"), artifact.bytes())?;
        }
        Ok([of(&server, begun.elapsed().as_secs_f64())?])
    });
}

/// Names of one manifest in a layout, where `index.json` is nearly all that there is.
fn names(run: &mut Run<'_>) {
    let first = |layout: &Path| format!("{}:{HOST}/{REPOSITORY}:v0", dir(layout));
    let mut of_layout = |name: &str, words: for<'a> fn(&'a str, &'a str) -> Vec<&'a str>| {
        run.rows([name], Kind::Names, |run, count| {
            let layout = run.layouts.own(Kind::Names, count)?;
            Ok([longshore(run, &words(&dir(&layout), &first(&layout)))?])
        });
    };
    of_layout("`gc` of names", |layout, _| vec!["gc", "--older-than", "0", layout]);
    of_layout("`list` of names", |layout, _| vec!["list", layout]);
    of_layout("`verify` of names", |layout, _| vec!["verify", layout]);
    of_layout("`digest` of names", |_, first| vec!["digest", first]);
    of_layout("`tag` of names", |_, first| vec!["tag", first, "new"]);
    of_layout("`untag` of names", |_, first| vec!["untag", first]);
    run.rows(["copy of names to a directory"], Kind::Names, |run, count| {
        let source = run.layouts.of(Kind::Names, count)?;
        let target = run.layouts.fresh("names-copied")?;
        Ok([longshore(run, &["copy", "--all-tags", &dir(&source), &dir(&target)])?])
    });
    run.rows(["copy of names to an archive"], Kind::Names, |run, count| {
        let source = run.layouts.of(Kind::Names, count)?;
        let target = run.layouts.fresh("names-copied.tar")?;
        Ok([longshore(run, &["copy", "--all-tags", &dir(&source), &tar(&target)])?])
    });
}

/// A plan of many blobs.
fn blobs(run: &mut Run<'_>) {
    run.rows(["`copy --dry-run` of blobs"], Kind::Blobs, |run, count| {
        let source = run.layouts.of(Kind::Blobs, count)?;
        let target = run.layouts.fresh("blobs-copied")?;
        let places = [dir(&source), dir(&target)];
        Ok([longshore(run, &["copy", "--all-tags", "--dry-run", &places[0], &places[1]])?])
    });
    run.rows(["`verify` of blobs"], Kind::Blobs, |run, count| {
        let source = run.layouts.of(Kind::Blobs, count)?;
        Ok([longshore(run, &["verify", &dir(&source)])?])
    });
}

/// A `bundle.yaml` of many entries, against a server that has them.
fn entries(run: &mut Run<'_>) {
    run.rows(["`lock`", "`lock`: its source"], Kind::Entries, |run, count| {
        wanted(run, count, |list| vec!["lock", "-f", list])
    });
    run.rows(["`lock --update`"], Kind::Entries, |run, count| {
        let (server, list) = stocked(run, count)?;
        longshore(run, &["lock", "-f", &list])?;
        let one = server.place(&content::repository(0));
        Ok([longshore(run, &["lock", "-f", &list, "--update", &one])?])
    });
    run.rows(
        ["`export --dry-run`", "`export --dry-run`: its source"],
        Kind::Entries,
        |run, count| {
            wanted(run, count, |list| vec!["export", "--dry-run", "-o", "bundle.tar", "-f", list])
        },
    );
}

fn wanted(
    run: &Run<'_>,
    count: usize,
    words: for<'a> fn(&'a str) -> Vec<&'a str>,
) -> Result<[Spent; 2]> {
    let (server, list) = stocked(run, count)?;
    let client = longshore(run, &words(&list))?;
    Ok([client, of(&server, client.wall)?])
}

/// Starts a registry, and writes a list of what is wanted of it.
fn stocked(run: &Run<'_>, count: usize) -> Result<(Server, String)> {
    let server = serve(run.program, &run.layouts.of(Kind::Entries, count)?, &[])?;
    let mut text = "artifacts:\n".to_owned();
    for number in 0..count {
        let place = server.place(&content::repository(number));
        let _ = writeln!(text, "  - ref: {place}:v1");
    }
    let list = run.layouts.fresh("bundle.yaml")?;
    fs::write(&list, text)?;
    Ok((server, list.display().to_string()))
}

/// Runs a command of the program.
fn longshore(run: &Run<'_>, words: &[&str]) -> Result<Spent> {
    let mut command = Command::new(run.program);
    let usage = measured(command.args(words).args(["--jobs", JOBS]))?;
    Ok(usage.into())
}

/// Starts a registry for a directory.
pub(super) fn serve(program: &Path, layout: &Path, more: &[&str]) -> Result<Server> {
    let mut command = Command::new(program);
    command.args(["serve", "--json", "--listen", ANY_PORT]).args(more).arg(dir(layout));
    Server::ours(&mut command, &layout.with_extension("log"))
}

/// Returns what a server took from its start, in the `wall` seconds of the job.
fn of(server: &Server, wall: f64) -> Result<Spent> {
    Ok(Spent { cpu: server.processor()?, wall, memory: server.peak_memory()? })
}
