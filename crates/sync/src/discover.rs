//! The walk that makes a plan.

use std::collections::{HashMap, HashSet};

use longshore_spec::artifact_type::{ArtifactType, TypeFilter, cosign_tag, cosign_tags};
use longshore_spec::{Content, Descriptor, Digest, Kind, Manifest, MediaType, Role};
use longshore_store::{Error, Name, Referrers, Result, Selector, Source, Target, walk};

use crate::plan::{LeftOut, Node, PlannedRoot, State};
use crate::{Action, Failure, Filter, Plan, Platforms, Referring, Side, Wanted, Wish};

/// So many bytes of manifests are kept from discovery to copying; the rest is fetched again.
const KEPT_MANIFESTS: u64 = 16 << 20;

/// A plan of more nodes than this is refused: it bounds the memory that a plan takes.
const MAX_NODES: usize = 5_000_000;

impl<'a> Plan<'a> {
    /// Finds out everything that is wanted, a level of the graph at a time, with up to `jobs`
    /// requests at once.
    ///
    /// What cannot be found out fails its root and no other; see [`Plan::failures`].
    pub fn discover(wanted: Vec<Wanted<'a>>, filter: &Filter, jobs: usize) -> Self {
        let mut discovery = Discovery::new(filter);
        let steps = wanted.into_iter().map(|wanted| discovery.begin(wanted)).collect();
        let sources = discovery.plan.sources.clone();
        let tags = discovery.signature_tags();
        let look = |step: &Step| {
            let at = step.source as usize;
            look(sources[at], &tags[at], step, filter)
        };
        let walked = walk(steps, jobs, look, |step, seen| discovery.take(step, seen));
        if let Err(error) = walked {
            discovery.give_up(&error.to_string());
        }
        discovery.plan
    }
}

/// A manifest that is looked into next.
struct Step {
    source: u32,
    target: u32,
    wish: Wish,
    via: Via,
}

/// How a manifest was come upon.
#[derive(Clone, Copy)]
enum Via {
    /// It is wanted: the number of its root.
    Root(usize),
    /// It refers to something that is wanted: the number of its root.
    Referrer(usize),
    /// An index lists it: the number of its node. One that has a platform `may_lack`.
    Child { node: u32, may_lack: bool },
}

/// What a look at a manifest found.
struct Seen {
    found: Result<Found>,
    referrers: Option<Result<Referrers>>,
    /// Tags by which cosign names signatures of it.
    signatures: Vec<Name>,
}

enum Found {
    Manifest(Box<Manifest>),
    /// Content of a type that is not known, and that is no manifest (rows A-15, C-22).
    Opaque(Descriptor),
    /// The filter does not take it.
    Unwanted(Descriptor, String),
}

/// Looks into one manifest; runs beside others.
fn look(source: &dyn Source, tags: &SignatureTags, step: &Step, filter: &Filter) -> Seen {
    let found = fetch(source, &step.wish).and_then(|found| match (step.via, &filter.referrers) {
        (Via::Root(_), _) => choose(source, found, &filter.types, &filter.platforms),
        (Via::Referrer(_), Referring::Taken(types)) => {
            choose(source, found, types, &Platforms::All)
        }
        _ => Ok(found),
    });
    let mut seen = Seen { found, referrers: None, signatures: Vec::new() };
    if let Ok(Found::Manifest(manifest)) = &seen.found {
        let digest = &manifest.descriptor().digest;
        seen.referrers = match filter.referrers {
            Referring::Ignored => None,
            // Nobody asked for them, so nobody is told that they cannot be listed.
            Referring::Counted => source.referrers(digest).ok().map(Ok),
            Referring::Taken(_) => Some(source.referrers(digest)),
        };
        let signatures = cosign_tags(digest);
        seen.signatures =
            signatures.iter().filter_map(|tag| tags.get(tag.as_str()).cloned()).collect();
    }
    seen
}

fn fetch(source: &dyn Source, wish: &Wish) -> Result<Found> {
    let manifest = match wish {
        Wish::Selector(selector) => source.manifest(selector),
        Wish::Listed(descriptor) => source.child(descriptor),
    };
    let error = match manifest {
        Ok(manifest) => return Ok(Found::Manifest(Box::new(manifest))),
        Err(
            error @ (Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. }),
        ) => error,
        Err(error) => return Err(error),
    };
    let descriptor = match wish {
        Wish::Selector(selector) => source.head(selector)?,
        Wish::Listed(descriptor) => descriptor.clone(),
    };
    // What claims to be a manifest has to be one.
    if Kind::of(&descriptor.media_type).is_some() || is_schema1(&error) {
        Err(error)
    } else {
        Ok(Found::Opaque(descriptor))
    }
}

fn is_schema1(error: &Error) -> bool {
    matches!(error, Error::Manifest { source: longshore_spec::ManifestError::Schema1, .. })
}

/// Applies the filter to a root: by type, and by platform where one takes the place of an index.
fn choose(
    source: &dyn Source,
    found: Found,
    types: &TypeFilter,
    platforms: &Platforms,
) -> Result<Found> {
    let manifest = match found {
        Found::Manifest(manifest) => manifest,
        Found::Opaque(descriptor) => {
            let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
            return Ok(if types.admits(&artifact_type) {
                Found::Opaque(descriptor)
            } else {
                Found::Unwanted(descriptor, artifact_type.name().to_owned())
            });
        }
        Found::Unwanted(..) => return Ok(found),
    };
    if !admits(source, &manifest, types)? {
        let name = ArtifactType::of(&manifest).name().to_owned();
        return Ok(Found::Unwanted(manifest.descriptor().clone(), name));
    }
    let Platforms::One(wanted) = platforms else { return Ok(Found::Manifest(manifest)) };
    let mut manifest = manifest;
    for _ in 0..longshore_store::MAX_DEPTH {
        let Content::Index(index) = manifest.content() else { break };
        let offered = |entry: &&Descriptor| {
            entry.platform.as_deref().is_some_and(|platform| wanted.accepts(platform))
        };
        // An index within an index has no platform of its own.
        let nested = |entry: &&Descriptor| {
            entry.platform.is_none() && Kind::of(&entry.media_type) == Some(Kind::Index)
        };
        let entry =
            index.manifests.iter().find(offered).or_else(|| index.manifests.iter().find(nested));
        let entry = entry.ok_or_else(|| no_platform(&manifest, platforms))?;
        manifest = Box::new(source.child(entry)?);
    }
    Ok(Found::Manifest(manifest))
}

/// Tells whether a root is of a type that is wanted (rows D-02, I-03).
fn admits(source: &dyn Source, manifest: &Manifest, types: &TypeFilter) -> Result<bool> {
    if types.admits(&ArtifactType::of(manifest)) {
        return Ok(true);
    }
    let Content::Index(index) = manifest.content() else { return Ok(false) };
    if manifest.artifact_type().is_some() {
        return Ok(false);
    }
    for entry in &index.manifests {
        match source.child(entry) {
            Ok(child) if types.admits(&ArtifactType::of(&child)) => return Ok(true),
            Ok(_) | Err(Error::NotFound { .. } | Error::Manifest { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Says which platforms there are in place of the ones that are wanted.
fn no_platform(manifest: &Manifest, platforms: &Platforms) -> Error {
    let Content::Index(index) = manifest.content() else {
        return Error::not_found("the platform", &manifest.descriptor().digest);
    };
    let list = |platforms: Vec<String>| {
        if platforms.is_empty() { "none".to_owned() } else { platforms.join(", ") }
    };
    let offered = index.manifests.iter().filter_map(|entry| entry.platform.as_deref());
    let offered =
        list(offered.filter(|platform| !platform.is_unknown()).map(ToString::to_string).collect());
    let wanted = list(platforms.wanted().iter().map(ToString::to_string).collect());
    let digest = &manifest.descriptor().digest;
    Error::not_found(
        format!("the platform {wanted}"),
        format!("the index {digest}, which has {offered}"),
    )
}

/// Tags by which cosign names signatures, with the names that they are part of.
type SignatureTags = HashMap<String, Name>;

/// A plan that is being made.
struct Discovery<'a, 'f> {
    plan: Plan<'a>,
    filter: &'f Filter,
    known: HashMap<(u32, Digest), u32>,
    /// Referrers that were met, by target.
    referrers: HashSet<(u32, Digest)>,
    /// Media types are few and stand in every node.
    media_types: HashSet<MediaType>,
    kept: u64,
}

impl<'a, 'f> Discovery<'a, 'f> {
    fn new(filter: &'f Filter) -> Self {
        let plan = Plan {
            sources: Vec::new(),
            targets: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            roots: Vec::new(),
            failures: Vec::new(),
            left_out: Vec::new(),
            referrers_seen: 0,
            allow_unverified: filter.allow_unverified,
        };
        Self {
            plan,
            filter,
            known: HashMap::new(),
            referrers: HashSet::new(),
            media_types: HashSet::new(),
            kept: 0,
        }
    }

    fn begin(&mut self, wanted: Wanted<'a>) -> Step {
        let Wanted { source, wish, target, names } = wanted;
        let label = match &wish {
            Wish::Listed(_) if !names.is_empty() => names[0].to_string(),
            wish => wish.to_string(),
        };
        let source = number(&mut self.plan.sources, source, |a, b| std::ptr::addr_eq(*a, *b));
        let target = number(&mut self.plan.targets, target, |a, b| same_target(*a, *b));
        Step { source, target, wish, via: Via::Root(self.add_root(Some(label), names)) }
    }

    fn add_root(&mut self, wanted: Option<String>, names: Vec<Name>) -> usize {
        self.plan.roots.push(PlannedRoot {
            wanted,
            names,
            node: None,
            descriptor: None,
            artifact_type: None,
            skipped: false,
        });
        self.plan.roots.len() - 1
    }

    /// Returns, for each source, every tag by which cosign names a signature, with the name that it
    /// is part of there.
    fn signature_tags(&mut self) -> Vec<SignatureTags> {
        let Referring::Taken(_) = self.filter.referrers else {
            return self.plan.sources.iter().map(|_| SignatureTags::new()).collect();
        };
        let tag_of = |name: &Name| {
            let text = name.as_str();
            let tag = text.rsplit_once(':').map_or(text, |(_, tag)| tag);
            cosign_tag(tag).map(|_| tag.to_owned())
        };
        let mut all = Vec::new();
        for source in self.plan.sources.clone() {
            let names = source.names().unwrap_or_else(|error| {
                self.fail(Action::ListReferrers, format!("{source:?}"), error);
                Vec::new()
            });
            all.push(names.into_iter().filter_map(|name| Some((tag_of(&name)?, name))).collect());
        }
        all
    }

    /// Takes in what a look found; returns what is looked into next.
    fn take(&mut self, step: Step, seen: Seen) -> Vec<Step> {
        let mut next = Vec::new();
        if self.plan.nodes.len() > MAX_NODES {
            return next;
        }
        match seen.found {
            Ok(Found::Manifest(manifest)) => {
                self.take_referrers(&step, &manifest, seen.referrers, seen.signatures, &mut next);
                self.take_manifest(&step, *manifest, &mut next);
            }
            Ok(Found::Opaque(descriptor)) => {
                let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
                let node = self.settle(&step, &descriptor, &artifact_type);
                self.plan.nodes[node as usize].state = State::Blob;
            }
            Ok(Found::Unwanted(descriptor, artifact_type)) => {
                if let Via::Root(root) | Via::Referrer(root) = step.via {
                    let root = &mut self.plan.roots[root];
                    root.skipped = true;
                    root.descriptor = Some(descriptor);
                    root.artifact_type = Some(artifact_type);
                }
            }
            Err(error) => self.take_failure(&step, error),
        }
        if self.plan.nodes.len() > MAX_NODES {
            self.give_up(&format!("{MAX_NODES} pieces of content"));
        }
        next
    }

    fn take_failure(&mut self, step: &Step, error: Error) {
        let subject = match step.via {
            Via::Root(root) => self.plan.roots[root].wanted.clone(),
            Via::Referrer(_) => None,
            Via::Child { node, may_lack } => {
                let node = &mut self.plan.nodes[node as usize];
                if may_lack && error.is_not_found() {
                    node.state = State::Absent;
                    if let Wish::Listed(descriptor) = &step.wish {
                        self.plan.left_out.push(LeftOut::Absent(descriptor.clone()));
                    }
                    return;
                }
                node.state = State::Broken;
                None
            }
        };
        self.fail(Action::Resolve, subject.unwrap_or_else(|| step.wish.to_string()), error);
    }

    fn take_manifest(&mut self, step: &Step, manifest: Manifest, next: &mut Vec<Step>) {
        match self.strip(manifest, step.via) {
            Ok(manifest) => {
                let node = self.settle(step, manifest.descriptor(), &ArtifactType::of(&manifest));
                if self.plan.nodes[node as usize].state == State::Unseen {
                    self.take_children(step, node, manifest, next);
                }
            }
            Err(error) => self.take_failure(step, error),
        }
    }

    /// Returns the node of what was looked into, and tells its root about it.
    fn settle(
        &mut self,
        step: &Step,
        descriptor: &Descriptor,
        artifact_type: &ArtifactType,
    ) -> u32 {
        let root = match step.via {
            Via::Child { node, .. } => return node,
            Via::Root(root) | Via::Referrer(root) => root,
        };
        let (node, _) = self.node(step, descriptor, Role::Manifest);
        let known = &mut self.plan.nodes[node as usize];
        if known.role != Role::Manifest {
            // It came as a layer before; as a root it has children.
            (known.state, known.role) = (State::Unseen, Role::Manifest);
        }
        let root = &mut self.plan.roots[root];
        root.artifact_type = Some(artifact_type.name().to_owned());
        (root.node, root.descriptor) = (Some(node), Some(descriptor.clone()));
        node
    }

    /// Takes entries out of a root index where that was asked for.
    fn strip(&mut self, manifest: Manifest, via: Via) -> Result<Manifest> {
        let (Content::Index(index), Via::Root(_)) = (manifest.content(), via) else {
            return Ok(manifest);
        };
        let chosen = self.filter.platforms.choose(index, true);
        let has_platform = |entry: &&Descriptor| entry.platform.is_some();
        if !self.filter.platforms.wanted().is_empty()
            && index.manifests.iter().any(|entry| has_platform(&entry))
            && !chosen.iter().any(has_platform)
        {
            return Err(no_platform(&manifest, &self.filter.platforms));
        }
        if !matches!(self.filter.platforms, Platforms::Stripped(_))
            || chosen.len() == index.manifests.len()
        {
            return Ok(manifest);
        }
        let chosen: HashSet<Digest> =
            chosen.into_iter().map(|entry| entry.digest.clone()).collect();
        let gone = index.manifests.iter().filter(|entry| !chosen.contains(&entry.digest)).cloned();
        self.plan.left_out.extend(gone.map(LeftOut::Filtered));
        let digest = manifest.descriptor().digest.clone();
        manifest
            .retain_entries(|entry| chosen.contains(&entry.digest))
            .map_err(|source| Error::Manifest { digest, source })
    }

    fn take_children(&mut self, step: &Step, node: u32, manifest: Manifest, next: &mut Vec<Step>) {
        let chosen: Option<HashSet<Digest>> = match manifest.content() {
            Content::Index(index) => {
                let is_root = matches!(step.via, Via::Root(_));
                let chosen = self.filter.platforms.choose(index, is_root);
                Some(chosen.into_iter().map(|entry| entry.digest.clone()).collect())
            }
            _ => None,
        };
        let mut children = Vec::new();
        for (role, child) in manifest.children() {
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&child.digest)) {
                self.plan.left_out.push(LeftOut::Filtered(child.clone()));
                continue;
            }
            let may_lack = role == Role::Manifest && child.platform.is_some();
            let (number, is_new) = self.node(step, child, role);
            let known = &mut self.plan.nodes[number as usize];
            if known.size != child.size {
                let error = Error::Size {
                    digest: child.digest.clone(),
                    expected: child.size,
                    actual: known.size,
                    more: false,
                };
                known.state = State::Broken;
                self.fail(Action::Resolve, child.digest.to_string(), error);
            } else if role == Role::Manifest
                && (is_new || known.role != role || known.state == State::Absent)
            {
                // Also what came as a layer before: as an entry it has children. And what another
                // index may lack, but perhaps not this one.
                (known.state, known.role) = (State::Unseen, role);
                let (wish, via) =
                    (Wish::Listed(child.clone()), Via::Child { node: number, may_lack });
                next.push(Step { source: step.source, target: step.target, wish, via });
            }
            children.push(number);
        }
        let first_child = u32::try_from(self.plan.edges.len()).unwrap_or(u32::MAX);
        let child_count = u32::try_from(children.len()).unwrap_or(u32::MAX);
        self.plan.edges.extend(children);
        // Nobody else has an index that was written anew.
        let authored = matches!(self.filter.platforms, Platforms::Stripped(_))
            && matches!(step.via, Via::Root(_));
        let size = manifest.raw().len() as u64;
        let node = &mut self.plan.nodes[node as usize];
        (node.state, node.first_child, node.child_count) =
            (State::Manifest, first_child, child_count);
        if authored || self.kept + size <= KEPT_MANIFESTS {
            self.kept += size;
            node.manifest = Some(manifest.raw().clone());
        }
    }

    fn take_referrers(
        &mut self,
        step: &Step,
        manifest: &Manifest,
        referrers: Option<Result<Referrers>>,
        signatures: Vec<Name>,
        next: &mut Vec<Step>,
    ) {
        let entries = match referrers {
            None => return,
            Some(Ok(referrers)) => referrers.entries,
            Some(Err(error)) => {
                let digest = manifest.descriptor().digest.to_string();
                return self.fail(Action::ListReferrers, digest, error);
            }
        };
        let Referring::Taken(_) = self.filter.referrers else {
            self.plan.referrers_seen += entries.len() as u64;
            return;
        };
        for entry in entries {
            let key = (step.target, entry.digest.clone());
            // An index may list what refers to another of its entries (row E-98).
            let listed = self
                .known
                .get(&key)
                .is_some_and(|node| self.plan.nodes[*node as usize].role == Role::Manifest);
            if !listed && self.referrers.insert(key) {
                self.add_referrer(step, Wish::Listed(entry), Vec::new(), next);
            }
        }
        for tag in signatures {
            let names = vec![self.beside(step, &tag)];
            self.add_referrer(step, Wish::Selector(Selector::Name(tag)), names, next);
        }
    }

    fn add_referrer(&mut self, step: &Step, wish: Wish, names: Vec<Name>, next: &mut Vec<Step>) {
        let via = Via::Referrer(self.add_root(None, names));
        next.push(Step { source: step.source, target: step.target, wish, via });
    }

    /// Returns what a signature's tag is called in the target: in the repository of what it signs.
    fn beside(&self, step: &Step, tag: &Name) -> Name {
        let (Via::Root(root) | Via::Referrer(root)) = step.via else { return tag.clone() };
        let full =
            self.plan.roots[root].names.first().and_then(|name| name.as_str().rsplit_once(':'));
        match full {
            Some((repository, of)) if !of.contains('/') && tag.tag().is_some() => {
                Name::new(format!("{repository}:{tag}"))
            }
            _ => tag.clone(),
        }
    }

    /// Returns the node of some content, and whether it is new.
    fn node(&mut self, step: &Step, descriptor: &Descriptor, role: Role) -> (u32, bool) {
        let key = (step.target, descriptor.digest.clone());
        if let Some(node) = self.known.get(&key) {
            return (*node, false);
        }
        let number = u32::try_from(self.plan.nodes.len()).unwrap_or(u32::MAX);
        let media_type = match self.media_types.get(&descriptor.media_type) {
            Some(known) if known.as_str() == descriptor.media_type.as_str() => known.clone(),
            _ => {
                self.media_types.insert(descriptor.media_type.clone());
                descriptor.media_type.clone()
            }
        };
        self.plan.nodes.push(Node {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            media_type,
            role,
            source: step.source,
            target: step.target,
            first_child: 0,
            child_count: 0,
            state: if role == Role::Manifest { State::Unseen } else { State::Blob },
            manifest: None,
        });
        self.known.insert(key, number);
        (number, true)
    }

    /// Fails every manifest that was not looked into: a bound was passed.
    fn give_up(&mut self, limit: &str) {
        for node in &mut self.plan.nodes {
            if node.state == State::Unseen {
                node.state = State::Broken;
            }
        }
        let what = "what can be reached from the roots".to_owned();
        let error = Error::Limit { what: what.clone(), limit: limit.to_owned() };
        self.fail(Action::Resolve, what, error);
    }

    fn fail(&mut self, action: Action, subject: String, error: Error) {
        self.plan.failures.push(Failure {
            side: Side::Source,
            action,
            subject,
            error: Box::new(error),
        });
    }
}

/// Returns the number of `item` in `items`, where it is added unless it is there.
fn number<T>(items: &mut Vec<T>, item: T, same: impl Fn(&T, &T) -> bool) -> u32 {
    let at = items.iter().position(|known| same(known, &item)).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn same_target(a: Option<&dyn Target>, b: Option<&dyn Target>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::addr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
