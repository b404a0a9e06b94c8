//! How registries behave that are not as the specification has them, and what clients make of it.
//!
//! A proxy before Debian's registry behaves in each way of [`list::QUIRKS`]. The same work is given to
//! the program, to skopeo and to oras, each with a repository or layout of its own; the outcomes are
//! printed as a table. The check fails where the program's is not the one that the list says.

mod list;

use std::collections::BTreeSet;
use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::proxy::{Faults, Proxy};
use longshore_fixture::{Content, Draft, Random, gzip};
use longshore_spec::{Descriptor, Digest, MediaType};
use serde_json::Value;

use self::list::{QUIRKS, Quirk};
use super::Outcome;
use super::ground::Ground;
use crate::server::Server;

/// The repository that the registry has from the start.
const REPOSITORY: &str = "team/app";

/// The tags in it, all of one image.
const TAGS: [&str; 7] = ["v1", "v2", "v3", "v4", "v5", "v6", "v7"];

/// What a registry asks for in [`Work::PullAs`].
const USER: &str = "ada";
const PASSWORD: &str = "lovelace";

/// What a client says then.
const BASIC: &str = "Basic YWRhOmxvdmVsYWNl";

/// How many seconds a client has, as `timeout` takes them.
const PATIENCE: &str = "60";

/// So many bytes of what a client said are shown.
const MOST_SAID: usize = 150;

/// What a client is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Copies an image from the registry into a layout.
    Pull,
    /// The same with a name and password.
    PullAs,
    /// The same with what refers to the image, for which skopeo has no words.
    PullAll,
    /// Copies an image from a layout into the registry.
    Push,
    /// Lists the tags, which are these.
    List(&'static [&'static str]),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Came {
    Works,
    /// It ended with an error, and said so.
    Fails(String),
    /// It ended well, and what is there is not what should be.
    Wrong(String),
    /// The client has no command for it.
    None,
}

/// What is known of the content.
struct Known {
    content: Content,
    manifest: Descriptor,
    layers: Vec<Descriptor>,
}

/// Goes through the list and prints the table.
pub(super) fn check(ground: &Ground<'_>) -> Result<Outcome> {
    let known = Known::new();
    ground.layout("content", &known.content)?;
    let server = ground.distribution()?;
    let place = server.place(REPOSITORY);
    for tag in TAGS {
        ground.ours(&["copy", "-q", "oci:content:v1", &format!("{place}:{tag}")])?;
    }
    let mut lines = Vec::new();
    for (number, quirk) in QUIRKS.iter().enumerate() {
        let came = CLIENTS.map(|client| {
            let rules = (quirk.rules)(&known);
            let proxy = Proxy::start(server.address().parse()?, Faults::http(rules))?;
            let run = Run { ground, known: &known, server: &server, proxy: &proxy, number };
            run.came(client, quirk.work)
        });
        let came: Vec<Came> = came.into_iter().collect::<Result<_>>()?;
        lines.push((quirk, came));
    }
    tell(&lines);
    let wrong: Vec<_> = lines
        .iter()
        .filter(|(quirk, came)| matches!(came[0], Came::Works) != quirk.works || is_wrong(&came[0]))
        .map(|(quirk, came)| format!("{}: {:?}", quirk.name, came[0]))
        .collect();
    ensure!(wrong.is_empty(), "ours does not do as it should:\n{}", wrong.join("\n"));
    let works = |client: usize| {
        lines
            .iter()
            .filter(|(quirk, came)| matches!(came[client], Came::Works) == quirk.works)
            .count()
    };
    Ok(Outcome::Passed(format!(
        "{} behaviours; as it should be with ours {}, skopeo {}, oras {}",
        QUIRKS.len(),
        works(0),
        works(1),
        works(2)
    )))
}

fn is_wrong(came: &Came) -> bool {
    matches!(came, Came::Wrong(_))
}

/// Prints the table, and below it what was said where something failed.
fn tell(lines: &[(&Quirk, Vec<Came>)]) {
    println!("{:<66} {:<10} {:<10} oras", "a registry …", "longshore", "skopeo");
    for (Quirk { name, works, .. }, came) in lines {
        let name = if *works { (*name).to_owned() } else { format!("{name} (to be an error)") };
        println!("{name:<66} {:<10} {:<10} {}", came[0], came[1], came[2]);
    }
    println!();
    for (Quirk { name, .. }, came) in lines {
        for (client, came) in CLIENTS.iter().zip(came) {
            if let Came::Fails(said) | Came::Wrong(said) = came {
                println!("{name}: {client:?}: {said}");
            }
        }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Works => "works",
            Self::Fails(_) => "fails",
            Self::Wrong(_) => "WRONG",
            Self::None => "-",
        })
    }
}

impl Known {
    fn new() -> Self {
        let mut content = Content::new();
        // skopeo compresses what is not, and changes digests then.
        let mut random = Random::new(1);
        let layers: Vec<_> = [100, 200_000]
            .map(|length| {
                let mut bytes = vec![0; length];
                random.fill(&mut bytes);
                content.blob(MediaType::LAYER_GZIP, gzip(&bytes))
            })
            .into();
        let config = serde_json::json!({"architecture": "amd64", "os": "linux"});
        let config = content.json(MediaType::IMAGE_CONFIG, &config);
        let manifest = content.manifest(&Draft::image(&config, &layers));
        content.tag(&manifest, "v1");
        Self { content, manifest, layers }
    }

    fn bytes(&self, digest: &Digest) -> Vec<u8> {
        self.content.blobs.get(digest).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Longshore,
    Skopeo,
    Oras,
}

const CLIENTS: [Who; 3] = [Who::Longshore, Who::Skopeo, Who::Oras];

/// One piece of work for one client.
struct Run<'a> {
    ground: &'a Ground<'a>,
    known: &'a Known,
    server: &'a Server,
    proxy: &'a Proxy,
    number: usize,
}

impl Run<'_> {
    fn came(&self, who: Who, work: Work) -> Result<Came> {
        let layout = format!("{who:?}-{}", self.number).to_lowercase();
        let repository = format!("new/{layout}");
        let registry = self.proxy.address();
        let from = format!("{registry}/{REPOSITORY}");
        let Some(words) = words(who, work, &from, &format!("{registry}/{repository}"), &layout)
        else {
            return Ok(Came::None);
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.command(who, &words).output().context("cannot run `timeout`")?;
        if !output.status.success() {
            return Ok(Came::Fails(shortened(&String::from_utf8_lossy(&output.stderr))));
        }
        let right = match work {
            Work::Pull | Work::PullAs | Work::PullAll => self.pulled(&layout),
            Work::Push => self.pushed(&repository),
            Work::List(tags) => listed(who, &String::from_utf8(output.stdout)?, tags),
        };
        Ok(right.map_or_else(|error| Came::Wrong(shortened(&error.to_string())), |()| Came::Works))
    }

    /// Returns a client that sees no settings and passwords of the user.
    fn command(&self, who: Who, words: &[&str]) -> Command {
        let command = match who {
            Who::Longshore => self.ground.command(words),
            Who::Skopeo => self.ground.peer_command("skopeo", words),
            Who::Oras => self.ground.peer_command("oras", words),
        };
        let mut limited = self.ground.peer_command("timeout", &[PATIENCE]);
        limited.arg(command.get_program()).args(command.get_args());
        let home = self.ground.path("home");
        limited.env("HOME", &home).env("DOCKER_CONFIG", home.join("docker"));
        limited
    }

    /// Fails unless the image lies in a layout, whole.
    fn pulled(&self, layout: &str) -> Result<()> {
        let place = format!("oci:{layout}");
        let found = self.ground.ours(&["digest", &format!("{place}:v1")])?;
        ensure!(found.trim() == self.known.manifest.digest.to_string(), "v1 is {}", found.trim());
        self.ground.verified(&place).map(drop)
    }

    /// Fails unless the image lies in the registry, which takes no manifest without its blobs.
    fn pushed(&self, repository: &str) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/v1");
        let body = self.server.get(&path)?.body;
        let digest = &self.known.manifest.digest;
        ensure!(Digest::sha256(&body) == *digest, "v1 is {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

/// Returns the arguments by which a client does some work.
fn words(who: Who, work: Work, from: &str, to: &str, layout: &str) -> Option<Vec<String>> {
    let creds = format!("{USER}:{PASSWORD}");
    let line = match (who, work) {
        (Who::Longshore, Work::Pull) => format!("copy -q {from}:v1 oci:{layout}:v1"),
        (Who::Longshore, Work::PullAs) => {
            format!("copy -q --src-creds {creds} {from}:v1 oci:{layout}:v1")
        }
        (Who::Longshore, Work::PullAll) => format!("copy -q --referrers {from}:v1 oci:{layout}:v1"),
        (Who::Longshore, Work::Push) => format!("copy -q oci:content:v1 {to}:v1"),
        (Who::Longshore, Work::List(_)) => format!("list --json {from}"),
        (Who::Skopeo, Work::Pull) => {
            format!("copy -q --src-tls-verify=false docker://{from}:v1 oci:{layout}:v1")
        }
        (Who::Skopeo, Work::PullAs) => format!(
            "copy -q --src-tls-verify=false --src-creds {creds} docker://{from}:v1 oci:{layout}:v1"
        ),
        (Who::Skopeo, Work::PullAll) => return None,
        (Who::Skopeo, Work::Push) => {
            format!("copy -q --dest-tls-verify=false oci:content:v1 docker://{to}:v1")
        }
        (Who::Skopeo, Work::List(_)) => format!("list-tags --tls-verify=false docker://{from}"),
        (Who::Oras, Work::Pull) => {
            format!("cp --no-tty --from-plain-http --to-oci-layout {from}:v1 {layout}:v1")
        }
        (Who::Oras, Work::PullAs) => format!(
            "cp --no-tty --from-plain-http --from-username {USER} --from-password {PASSWORD} \
             --to-oci-layout {from}:v1 {layout}:v1"
        ),
        (Who::Oras, Work::PullAll) => {
            format!("cp --no-tty -r --from-plain-http --to-oci-layout {from}:v1 {layout}:v1")
        }
        (Who::Oras, Work::Push) => {
            format!("cp --no-tty --from-oci-layout --to-plain-http content:v1 {to}:v1")
        }
        (Who::Oras, Work::List(_)) => format!("repo tags --plain-http {from}"),
    };
    Some(line.split(' ').map(str::to_owned).collect())
}

/// Fails unless a client has printed these tags and no other.
fn listed(who: Who, printed: &str, expected: &[&str]) -> Result<()> {
    let tags: BTreeSet<String> = match who {
        Who::Oras => printed.lines().map(str::to_owned).collect(),
        Who::Skopeo => names(&serde_json::from_str::<Value>(printed)?["Tags"], |tag| tag),
        Who::Longshore => names(&serde_json::from_str(printed)?, |line| &line["name"]),
    };
    if tags.iter().map(String::as_str).ne(expected.iter().copied()) {
        bail!("it lists {tags:?}");
    }
    Ok(())
}

fn names(list: &Value, name: impl Fn(&Value) -> &Value) -> BTreeSet<String> {
    let lines = list.as_array().into_iter().flatten();
    lines.filter_map(|line| name(line).as_str().map(str::to_owned)).collect()
}

/// Returns the first line of what was said, or its beginning.
fn shortened(said: &str) -> String {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing was said");
    line.chars().take(MOST_SAID).collect()
}
