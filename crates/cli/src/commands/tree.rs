//! `tree`: what artifacts consist of.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use longshore_spec::{Descriptor, Digest, ManifestContent, Role, Size, keys, printable_line};
use longshore_store::{Error, KnownRoots, MAX_DEPTH, Name, describe};

use super::artifact::{self, ManifestResult, Referrer, ReferrerFinder, try_manifest};
use super::{delta, volumes};
use crate::args::{Global, Tree};
use crate::documents::TreeNode as Node;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;
use crate::report;

pub(crate) fn run(args: &Tree, global: &Global, output: &Output) -> Result<Exit, Problem> {
    let registries = Registries::reading(&args.reading);
    let (place, layout) =
        volumes::one_or_volumes(&args.places, &args.reading, &registries, global)?;
    let delta = delta::record(&layout);
    let view = delta::view(&layout, delta.as_ref());
    let assumed = delta::assumed(delta.as_ref());
    let KnownRoots { roots, unknown } = open::selected_in(&*view, &layout, &place)?;
    let attached = ReferrerFinder::of(&*view);
    // What refers to something else is shown below it, unless it has a name of its own.
    let is_selected = place.selector.is_some();
    let stands_alone = |root: &longshore_store::Root| match try_manifest(&*view, &root.descriptor) {
        _ if !is_selected && attached.is_attached(root) => false,
        ManifestResult::Manifest(manifest) if root.names.is_empty() && !is_selected => {
            let subject = manifest.subject().map(|subject| subject.digest.clone());
            subject.is_none_or(|subject| view.head(&subject.into()).is_err())
        }
        _ => true,
    };
    let nodes: Vec<Node> = roots
        .iter()
        .filter(|root| stands_alone(root))
        .map(|root| {
            let name = root.names.first();
            let mut way = Way::new(&assumed);
            let node = node(&attached, Role::Manifest, &root.descriptor, name, &mut way);
            Node { role: "root", ..node }
        })
        .chain(unknown.iter().map(|(name, error)| Node::lost(name, error)))
        .collect();
    output.result(&nodes, || {
        let mut text = String::new();
        for node in &nodes {
            let _ = writeln!(text, "{}", label(node));
            branches(node, "", &mut text);
        }
        text
    })?;
    delta::tell(&place, delta.as_ref(), output);
    Ok(if nodes.iter().any(is_broken) { Exit::Failed } else { Exit::Done })
}

impl Node {
    /// Returns the node of a name of which nobody knows what it stands for.
    fn lost(name: &Name, error: &Error) -> Self {
        Self {
            name: Some(name.to_string()),
            role: "root",
            digest: None,
            size: 0,
            media_type: None,
            artifact_type: None,
            platforms: Vec::new(),
            title: None,
            absent: false,
            assumed: false,
            problem: Some(error.to_string()),
            children: Vec::new(),
        }
    }
}

/// The way from a root to a node.
struct Way<'a> {
    above: Vec<Digest>,
    /// What a delta takes for granted.
    assumed: &'a HashMap<&'a Digest, u64>,
    /// What was listed below this root as a referrer, and does not say of what: it is shown once, since a
    /// place may list it for whatever is asked.
    unsaid: HashSet<Digest>,
}

impl<'a> Way<'a> {
    fn new(assumed: &'a HashMap<&'a Digest, u64>) -> Self {
        Self { above: Vec::new(), assumed, unsaid: HashSet::new() }
    }
}

/// Looks at a node and all below it.
fn node(
    attached: &ReferrerFinder<'_>,
    role: Role,
    descriptor: &Descriptor,
    name: Option<&Name>,
    way: &mut Way<'_>,
) -> Node {
    let mut node = bare(role, descriptor, name);
    if role != Role::Manifest && way.assumed.contains_key(&descriptor.digest) {
        node.assumed = true;
        return node;
    }
    if role != Role::Manifest {
        node.problem = attached.view().open(descriptor, 0).err().map(|error| error.to_string());
        return node;
    }
    let found = try_manifest(attached.view(), descriptor);
    fill(&mut node, attached, descriptor, name, found, way);
    node
}

/// Returns a node of which only its descriptor is known.
fn bare(role: Role, descriptor: &Descriptor, name: Option<&Name>) -> Node {
    Node {
        name: name.map(ToString::to_string),
        role: match role {
            Role::Manifest => "manifest",
            Role::Config => "config",
            Role::Layer => "layer",
        },
        digest: Some(descriptor.digest.to_string()),
        size: descriptor.size,
        media_type: Some(descriptor.media_type.to_string()),
        artifact_type: None,
        platforms: report::platform(descriptor).into_iter().collect(),
        title: descriptor.annotations.get(keys::TITLE).cloned(),
        absent: false,
        assumed: false,
        problem: None,
        children: Vec::new(),
    }
}

/// Fills in what a look at a manifest found, and all below it.
fn fill(
    node: &mut Node,
    attached: &ReferrerFinder<'_>,
    descriptor: &Descriptor,
    name: Option<&Name>,
    found: ManifestResult,
    way: &mut Way<'_>,
) {
    let view = attached.view();
    if way.above.len() >= MAX_DEPTH {
        node.problem = Some(format!("nested more than {MAX_DEPTH} levels deep"));
        return;
    }
    let manifest = match found {
        ManifestResult::Manifest(manifest) => manifest,
        ManifestResult::Opaque => {
            node.problem = view.open(descriptor, 0).err().map(|error| error.to_string());
            return;
        }
        ManifestResult::Broken(error) if error.is_not_found() && descriptor.platform.is_some() => {
            node.absent = true;
            return;
        }
        ManifestResult::Broken(error) => {
            node.problem = Some(error.to_string());
            return;
        }
    };
    node.artifact_type = Some(describe::artifact_type(view, &manifest).name().to_owned());
    if !matches!(manifest.content(), ManifestContent::Index(_)) && node.platforms.is_empty() {
        node.platforms = artifact::platforms(view, &manifest);
    }
    way.above.push(descriptor.digest.clone());
    let child = |(role, child): (Role, &Descriptor)| self::node(attached, role, child, None, way);
    node.children = manifest.children().map(child).collect();
    let listed: Vec<_> = manifest.children().map(|(_, child)| &child.digest).collect();
    match attached.referrers(&descriptor.digest, name) {
        Err(error) => node.problem = Some(format!("its referrers cannot be listed: {error}")),
        Ok(referrers) => {
            for referrer in referrers {
                let digest = &referrer.descriptor.digest;
                // What is above cannot refer to what is below, whatever a place says.
                if !listed.contains(&digest) && !way.above.contains(digest) {
                    node.children.extend(self::referrer(attached, &referrer, way));
                }
            }
        }
    }
    way.above.pop();
}

/// Looks at what refers to the last of the way; `None` if it refers to something else.
fn referrer(attached: &ReferrerFinder<'_>, referrer: &Referrer, way: &mut Way<'_>) -> Option<Node> {
    let Referrer { name, descriptor } = referrer;
    let found = try_manifest(attached.view(), descriptor);
    // What has a name is attached by that.
    if let (None, ManifestResult::Manifest(manifest), Some(listed)) =
        (name, &found, way.above.last())
    {
        let digest = &descriptor.digest;
        match manifest.subject().map(|subject| &subject.digest) {
            None if !way.unsaid.insert(digest.clone()) => return None,
            Some(own) if own != listed => {
                tracing::warn!("{digest} is listed as a referrer of {listed}, but refers to {own}");
                return None;
            }
            _ => {}
        }
    }
    let mut node = Node { role: "referrer", ..bare(Role::Manifest, descriptor, name.as_ref()) };
    fill(&mut node, attached, descriptor, name.as_ref(), found, way);
    Some(node)
}

fn is_broken(node: &Node) -> bool {
    node.problem.is_some() || node.children.iter().any(is_broken)
}

fn label(node: &Node) -> String {
    let mut parts = Vec::new();
    parts.extend(node.name.clone());
    if node.role != "root" {
        parts.push(node.role.to_owned());
    }
    parts.extend(node.artifact_type.clone().or_else(|| node.media_type.clone()));
    parts.extend(node.platforms.iter().cloned());
    if let Some(digest) = &node.digest {
        parts.push(Size(node.size).to_string());
        parts.push(short(digest));
    }
    parts.extend(node.title.as_ref().map(|title| format!("({title})")));
    parts.extend(node.absent.then(|| "(left out)".to_owned()));
    parts.extend(node.assumed.then(|| "(not carried)".to_owned()));
    parts.extend(node.problem.as_ref().map(|problem| format!("! {problem}")));
    printable_line(&parts.join("  ")).into_owned()
}

/// The beginning of a digest is enough for people.
fn short(digest: &str) -> String {
    digest.parse::<Digest>().map_or_else(
        |_| digest.to_owned(),
        |digest| format!("{}:{}", digest.algorithm(), digest.short()),
    )
}

fn branches(node: &Node, indent: &str, text: &mut String) {
    for (number, child) in node.children.iter().enumerate() {
        let is_last = number + 1 == node.children.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let _ = writeln!(text, "{indent}{branch}{}", label(child));
        branches(child, &format!("{indent}{below}"), text);
    }
}
