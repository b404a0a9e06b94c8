//! One content is one file: whatever the jobs, the day, the user and the directory.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use longshore_fixture::{artifacts, large, typed};
use longshore_spec::Digest;

use super::Outcome;
use super::ground::{Ground, same_digest};
use crate::run::capture;

/// Longer than the second in which tar counts time.
const PAUSE: Duration = Duration::from_millis(1100);

/// Archives one content with several numbers of jobs, at different times.
pub(super) fn jobs_and_days(ground: &Ground<'_>) -> Result<Outcome> {
    write(ground)?;
    let mut found = Vec::new();
    for jobs in ["1", "2", "16"] {
        if !found.is_empty() {
            thread::sleep(PAUSE);
        }
        let name = format!("jobs-{jobs}.tar");
        let to = format!("oci-archive:{name}");
        ground.ours(&["copy", "--quiet", "--jobs", jobs, "--all", "oci:content", &to])?;
        found.push((format!("--jobs {jobs}"), ground.sha256(&name)?));
    }
    // The same content, written to another directory later on, has other times and inodes.
    thread::sleep(PAUSE);
    ground.copied("oci-archive:jobs-16.tar", "oci:again")?;
    ground.copied("oci:again", "oci-archive:again.tar")?;
    found.push(("copied there and back".to_owned(), ground.sha256("again.tar")?));
    one(&found)
}

/// Archives one content in several surroundings.
pub(super) fn surroundings(ground: &Ground<'_>) -> Result<Outcome> {
    write(ground)?;
    fs::create_dir(ground.path("elsewhere"))?;
    let plain = |command: Command| command;
    let elsewhere = |mut command: Command| {
        command.current_dir(ground.path("elsewhere"));
        command
    };
    let variations: [(&str, &dyn Fn(Command) -> Command); 7] = [
        ("as it is", &plain),
        ("TZ=Pacific/Kiritimati", &|command| set(command, &[("TZ", "Pacific/Kiritimati")])),
        ("LC_ALL=tr_TR.UTF-8", &|command| set(command, &[("LC_ALL", "tr_TR.UTF-8")])),
        ("USER=somebody", &|command| {
            set(command, &[("USER", "somebody"), ("LOGNAME", "somebody")])
        }),
        ("umask 077", &masked),
        ("no HOME", &|mut command: Command| {
            command.env_remove("HOME");
            command
        }),
        ("another working directory", &elsewhere),
    ];
    let from = format!("oci:{}", ground.path("content").display());
    let mut found = Vec::new();
    for (number, (name, change)) in variations.into_iter().enumerate() {
        let file = format!("{number}.tar");
        let to = format!("oci-archive:{}", ground.path(&file).display());
        let command = ground.command(&["copy", "--quiet", "--all", &from, &to]);
        capture(&mut change(command))?;
        found.push((name.to_owned(), ground.sha256(&file)?));
    }
    one(&found)
}

/// Writes artifacts of many types and some layers that take a while.
fn write(ground: &Ground<'_>) -> Result<()> {
    const LAYERS: usize = 8;
    const SIZE: u64 = (4 << 20) + 7;
    let mut content = typed();
    let image = artifacts::image(&mut content, 100);
    content.tag(&image, "docker.io/library/app:1");
    ground.layout("small", &content)?;
    large(&ground.path("large"), LAYERS, SIZE)?;
    ground.copied("oci:small", "oci:content")?;
    ground.copied("oci:large", "oci:content")
}

fn set(mut command: Command, settings: &[(&str, &str)]) -> Command {
    command.envs(settings.iter().copied());
    command
}

/// Returns a command that takes all rights from others before it runs `command`.
fn masked(command: Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"umask 077; exec "$0" "$@""#]).arg(command.get_program());
    shell.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    shell
}

/// Fails unless all are one digest.
fn one(found: &[(String, Digest)]) -> Result<Outcome> {
    let first = same_digest(found)?;
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Outcome::Passed(format!("{first} for {}", names.join(", "))))
}
