//! `list`: what is there, by type.

use std::collections::HashMap;

use longshore::OpenPlace;
use longshore::location::{Listable, Location};
use longshore_bundle::Record;
use longshore_remote::RegistryCatalog;
use longshore_spec::artifact_type::{ArtifactType, Family, TypeFilter};
use longshore_spec::{Descriptor, Manifest, Size};
use longshore_store::{Error, KnownRoots, Root, Source, describe};

use super::artifact::{self, ManifestResult, ReferrerFinder, try_manifest};
use super::{delta, volumes};
use crate::args::{Global, List};
use crate::documents::{
    ListLine as Line, ListedContent as ContentOfLine, ListedRepository as Listed,
};
use crate::human;
use crate::open;
use crate::output::{Output, table};
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

/// Returns what there is to say of a name of which nobody knows what it stands for.
fn lost(error: &Error) -> ContentOfLine {
    ContentOfLine { problem: Some(error.to_string()), ..ContentOfLine::default() }
}

pub(crate) fn run(args: &List, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let registries = Registries::reading(&args.reading);
    if let [Listable::Registry(host)] = &args.places[..] {
        return repositories(host, &registries, output);
    }
    let place = |listable: &Listable| match listable {
        Listable::Place(place) => Ok(place.clone()),
        Listable::Registry(host) => {
            let text = format!("{host} is a registry, and is listed alone");
            Err(Problem::new(Exit::Usage, text).hint("run the command once for each"))
        }
    };
    let places: Vec<_> = args.places.iter().map(place).collect::<Result<_, _>>()?;
    let (place, opened) = volumes::one_or_volumes(&places, &args.reading, &registries, global)?;
    artifacts(&place, &opened, args, global, output)
}

/// Lists what a registry holds, as far as it tells.
fn repositories(host: &str, registries: &Registries<'_>, output: &Output) -> Result<Exit, Problem> {
    let RegistryCatalog { repositories, others } =
        registries.registry(host)?.catalog().map_err(Problem::of)?;
    let repository = |name| Listed { repository: format!("{host}/{name}") };
    let found: Vec<Listed> = repositories.into_iter().map(repository).collect();
    output
        .result(&found, || found.iter().map(|found| format!("{}\n", found.repository)).collect())?;
    for other in &others {
        let text = format!("{host} lists what is no repository: {other}");
        Output::problem(&Problem::new(Exit::Failed, text));
    }
    Ok(if others.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Lists the artifacts of a layout or a repository.
fn artifacts(
    place: &Location,
    opened: &OpenPlace,
    args: &List,
    global: &Global,
    output: &Output,
) -> Result<Exit, Problem> {
    let delta = delta::record(opened);
    let view = delta::view(opened, delta.as_ref());
    let types = artifact::type_filter(&args.types)?;
    let KnownRoots { mut roots, unknown } = open::selected_in(&*view, opened, place)?;
    let listed = roots.len();
    if !args.all && place.selector.is_none() {
        roots.retain(|root| !root.names.is_empty());
    }
    let hidden = listed - roots.len();
    let plan = longshore_sync::survey(&*view, &roots, global.jobs());
    let (contents, of_root) = contents(&roots);
    let attached = ReferrerFinder::of(&*view);
    let assumed = delta::assumed(delta.as_ref());
    let assumed_of = |root| {
        let sizes = plan.closure(root).filter_map(|digest| assumed.get(digest));
        sizes.fold(0, |sum: u64, size| sum.saturating_add(*size))
    };
    let platforms = delta::platforms(delta.as_ref());
    let found = longshore_store::in_parallel(&contents, global.jobs(), |at| {
        let mut content = content(&attached, &roots[*at], plan.closure_size(*at), &types)?;
        if let (true, Some(known)) =
            (content.platforms.is_empty(), platforms.get(&roots[*at].descriptor.digest))
        {
            content.platforms = known.to_vec();
        }
        let assumed_bytes = (!assumed.is_empty()).then(|| assumed_of(*at));
        Some(ContentOfLine { assumed_bytes, ..content })
    });
    drop(plan);
    let lost: Vec<_> = unknown.iter().map(|(_, error)| lost(error)).collect();
    // A line for each name: a repository may have several for one manifest.
    let named = |(root, content): (&Root, &usize)| {
        let names: Vec<_> = root.names.iter().cloned().map(Some).collect();
        let names = if names.is_empty() { vec![None] } else { names };
        let content = found[*content].as_ref();
        names.into_iter().filter_map(move |name| Some(Line { name, content: content? }))
    };
    let lost = unknown.iter().zip(&lost);
    let lost = lost.map(|((name, _), content)| Line { name: Some(name.clone()), content });
    let mut lines: Vec<Line<'_>> = roots.iter().zip(&of_root).flat_map(named).chain(lost).collect();
    lines.sort_by(|a, b| {
        let (of_a, of_b) = (&a.content.digest, &b.content.digest);
        (a.name.is_none(), &a.name, of_a).cmp(&(b.name.is_none(), &b.name, of_b))
    });
    output.result(&lines, || text(&lines))?;
    delta::tell(place, delta.as_ref(), output);
    if hidden > 0 {
        output.note(&format!("{} without a name; --all lists them", human::entries(hidden)));
    }
    if let (true, Some(layout)) = (listed == 0 && place.selector.is_none(), opened.layout())
        && let Ok(Some(Record { repairs: Some(bundle), blobs, .. })) = Record::read(layout)
    {
        let count = human::count(blobs.len() as u64, "blob");
        output.note(&format!(
            "it holds what was missing for the bundle {bundle}, {count}: import both together"
        ));
    }
    let broken = lines.iter().any(|line| line.content.problem.is_some());
    Ok(if broken { Exit::Failed } else { Exit::Done })
}

/// Returns the first root of each content, by number, and for each root which of these it is: what has
/// many names is looked at once.
fn contents(roots: &[Root]) -> (Vec<usize>, Vec<usize>) {
    let mut firsts = Vec::new();
    let mut known = HashMap::new();
    let of_root = roots.iter().enumerate().map(|(number, Root { descriptor, .. })| {
        let Descriptor { digest, size, media_type, platform, annotations, .. } = descriptor;
        let said: Vec<_> = annotations.beside_names().collect();
        *known.entry((digest, size, media_type.as_str(), platform, said)).or_insert_with(|| {
            firsts.push(number);
            firsts.len() - 1
        })
    });
    let of_root = of_root.collect();
    (firsts, of_root)
}

/// Describes what a root is, unless its type is not wanted.
fn content(
    attached: &ReferrerFinder<'_>,
    root: &Root,
    size: u64,
    types: &TypeFilter,
) -> Option<ContentOfLine> {
    let (view, descriptor) = (attached.view(), &root.descriptor);
    let plain = |artifact_type: &ArtifactType, problem: Option<String>| ContentOfLine {
        digest: Some(descriptor.digest.to_string()),
        media_type: Some(descriptor.media_type.to_string()),
        artifact_type: Some(artifact_type.name().to_owned()),
        family: artifact_type.family().map(Family::as_str),
        declared: artifact_type.declared().map(ToString::to_string),
        platforms: Vec::new(),
        size,
        referrers: Vec::new(),
        subject: None,
        assumed_bytes: None,
        problem,
    };
    match try_manifest(view, descriptor) {
        ManifestResult::Manifest(manifest) => {
            let artifact_type = describe::artifact_type(view, &manifest);
            let wanted = types.admits(&artifact_type) || nested(view, &manifest, types);
            if !wanted {
                return None;
            }
            let listed = attached.parts(&descriptor.digest, root.names.first());
            let (referrers, problem) = match listed {
                Ok(referrers) => (referrers, None),
                Err(error) => {
                    (Vec::new(), Some(format!("its referrers cannot be listed: {error}")))
                }
            };
            Some(ContentOfLine {
                platforms: artifact::platforms(view, &manifest),
                referrers,
                subject: manifest.subject().map(|subject| subject.digest.to_string()),
                ..plain(&artifact_type, problem)
            })
        }
        ManifestResult::Opaque => {
            let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
            // Some places keep manifests and other content apart, and have it as neither.
            let problem = || view.open(descriptor, 0).err().map(|error| error.to_string());
            types.admits(&artifact_type).then(|| plain(&artifact_type, problem()))
        }
        ManifestResult::Broken(error) => {
            Some(plain(&ArtifactType::declared_as(&descriptor.media_type), Some(error.to_string())))
        }
    }
}

/// Tells whether an index without a type has an entry that is wanted (row I-03).
fn nested(view: &dyn Source, manifest: &Manifest, types: &TypeFilter) -> bool {
    let longshore_spec::ManifestContent::Index(index) = manifest.content() else { return false };
    let wanted = |child: Manifest| types.admits(&describe::artifact_type(view, &child));
    manifest.artifact_type().is_none()
        && index.manifests.iter().any(|entry| view.child(entry).is_ok_and(wanted))
}

fn text(lines: &[Line<'_>]) -> String {
    const SHOWN: usize = 3;
    let unknown = || "?".to_owned();
    let mut rows = vec![
        ["NAME", "TYPE", "PLATFORM", "SIZE", "REFERRERS", "DIGEST"].map(ToOwned::to_owned).to_vec(),
    ];
    for Line { name, content: line } in lines {
        let more = line.platforms.len().saturating_sub(SHOWN);
        let mut platforms: Vec<_> = line.platforms.iter().take(SHOWN).cloned().collect();
        if more > 0 {
            platforms.push(format!("+{more}"));
        }
        let referrers = match line.referrers.len() {
            0 => String::new(),
            count => count.to_string(),
        };
        let mut row = vec![
            name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            line.artifact_type.clone().unwrap_or_else(unknown),
            platforms.join(","),
            line.digest.as_ref().map_or_else(unknown, |_| Size(line.size).to_string()),
            referrers,
            line.digest.clone().unwrap_or_else(unknown),
        ];
        let assumed = line.assumed_bytes.filter(|bytes| *bytes > 0);
        row.extend(assumed.map(|bytes| format!("{} of it not carried", Size(bytes))));
        row.extend(line.problem.as_ref().map(|problem| format!("! {problem}")));
        rows.push(row);
    }
    table(&rows)
}
