//! `list`: what is there, by type.

use longshore_spec::artifact_type::{ArtifactType, Family, TypeFilter};
use longshore_spec::{Manifest, Size};
use longshore_store::{Place as _, Repository, Root, about};
use longshore_sync::{Filter, Plan, Wanted, Wish};
use serde::Serialize;

use super::look::{self, Look, look};
use crate::args::{Global, List};
use crate::human;
use crate::location::{Listable, Location};
use crate::opened::Opened;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// A line of `list`, and what `list --json` prints of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    digest: String,
    media_type: String,
    #[serde(rename = "type")]
    artifact_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<String>,
    platforms: Vec<String>,
    /// With all that it refers to.
    size: u64,
    /// How many manifests refer to it.
    referrers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(crate) fn run(args: &List, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let registries = Registries::reading(&args.reading);
    match &args.place {
        Listable::Place(place) => artifacts(place, args, &registries, global, output),
        Listable::Registry(host) => repositories(host, &registries, output),
    }
}

/// What `list HOST --json` prints of a repository.
#[derive(Debug, Serialize)]
struct Listed {
    repository: String,
}

/// Lists what a registry holds, as far as it tells.
fn repositories(host: &str, registries: &Registries<'_>, output: &Output) -> Result<Exit, Problem> {
    let found = registries.registry(host)?.repositories().map_err(Problem::of)?;
    let repository = |name| Listed { repository: format!("{host}/{name}") };
    let found: Vec<Listed> = found.into_iter().map(repository).collect();
    output
        .result(&found, || found.iter().map(|found| format!("{}\n", found.repository)).collect())?;
    Ok(Exit::Done)
}

/// Lists the artifacts of a layout or a repository.
fn artifacts(
    place: &Location,
    args: &List,
    registries: &Registries<'_>,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let opened = Opened::open(place, &args.reading, registries)?;
    let view = opened.whole();
    let types = look::types(&args.types)?;
    let mut roots = match &place.selector {
        Some(_) => vec![opened.select(place)?],
        None => opened.roots(place)?,
    };
    let listed = roots.len();
    if !args.all && place.selector.is_none() {
        roots.retain(|root| !root.names.is_empty());
    }
    let hidden = listed - roots.len();
    let wanted = roots.iter().map(|root| Wanted {
        source: &*view,
        wish: Wish::Listed(root.descriptor.clone()),
        target: None,
        names: root.names.clone(),
        filter: None,
    });
    let plan = Plan::discover(wanted.collect(), &Filter::default(), global.jobs());
    let lines =
        longshore_store::in_parallel(&(0..roots.len()).collect::<Vec<_>>(), global.jobs(), |at| {
            line(&*view, &roots[*at], plan.closure_size(*at), &types)
        });
    // A line for each name: a repository may have several for one manifest.
    let named = |(line, root): (Option<Line>, &Root)| {
        let others = root.names.iter().skip(1).map(ToString::to_string);
        let others: Vec<_> = line
            .iter()
            .flat_map(|line| others.clone().map(|name| Line { name: Some(name), ..line.clone() }))
            .collect();
        line.into_iter().chain(others)
    };
    let mut lines: Vec<Line> = lines.into_iter().zip(&roots).flat_map(named).collect();
    lines.sort_by(|a, b| {
        (a.name.is_none(), &a.name, &a.digest).cmp(&(b.name.is_none(), &b.name, &b.digest))
    });
    output.result(&lines, || text(&lines))?;
    if hidden > 0 {
        output.note(&format!("{} without a name; --all lists them", human::entries(hidden)));
    }
    let broken = lines.iter().any(|line| line.problem.is_some());
    Ok(if broken { Exit::Failed } else { Exit::Done })
}

/// Describes one root, unless its type is not wanted.
fn line(view: &dyn Repository, root: &Root, size: u64, types: &TypeFilter) -> Option<Line> {
    let Root { descriptor, names } = root;
    let plain = |artifact_type: &ArtifactType, problem: Option<String>| Line {
        name: names.first().map(ToString::to_string),
        digest: descriptor.digest.to_string(),
        media_type: descriptor.media_type.to_string(),
        artifact_type: artifact_type.name().to_owned(),
        family: artifact_type.family().map(Family::as_str),
        declared: artifact_type.declared().map(ToString::to_string),
        platforms: Vec::new(),
        size,
        referrers: 0,
        subject: None,
        problem,
    };
    match look(view, descriptor) {
        Look::Manifest(manifest) => {
            let artifact_type = about::artifact_type(view, &manifest);
            let wanted = types.admits(&artifact_type) || nested(view, &manifest, types);
            let referrers =
                view.referrers(&descriptor.digest).map_or(0, |referrers| referrers.entries.len());
            wanted.then(|| Line {
                platforms: look::platforms(view, &manifest),
                referrers,
                subject: manifest.subject().map(|subject| subject.digest.to_string()),
                ..plain(&artifact_type, None)
            })
        }
        Look::Opaque => {
            let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
            types.admits(&artifact_type).then(|| plain(&artifact_type, None))
        }
        Look::Broken(error) => {
            Some(plain(&ArtifactType::declared_as(&descriptor.media_type), Some(error.to_string())))
        }
    }
}

/// Tells whether an index without a type has an entry that is wanted (row I-03).
fn nested(view: &dyn Repository, manifest: &Manifest, types: &TypeFilter) -> bool {
    let longshore_spec::Content::Index(index) = manifest.content() else { return false };
    let wanted = |child: Manifest| types.admits(&about::artifact_type(view, &child));
    manifest.artifact_type().is_none()
        && index.manifests.iter().any(|entry| view.child(entry).is_ok_and(wanted))
}

fn text(lines: &[Line]) -> String {
    const SHOWN: usize = 3;
    let mut rows = vec![
        ["NAME", "TYPE", "PLATFORM", "SIZE", "REFERRERS", "DIGEST"].map(ToOwned::to_owned).to_vec(),
    ];
    for line in lines {
        let more = line.platforms.len().saturating_sub(SHOWN);
        let mut platforms: Vec<_> = line.platforms.iter().take(SHOWN).cloned().collect();
        if more > 0 {
            platforms.push(format!("+{more}"));
        }
        let referrers =
            if line.referrers == 0 { String::new() } else { line.referrers.to_string() };
        let mut row = vec![
            line.name.clone().unwrap_or_else(|| "-".to_owned()),
            line.artifact_type.clone(),
            platforms.join(","),
            Size(line.size).to_string(),
            referrers,
            line.digest.clone(),
        ];
        row.extend(line.problem.as_ref().map(|problem| format!("! {problem}")));
        rows.push(row);
    }
    table(&rows)
}
