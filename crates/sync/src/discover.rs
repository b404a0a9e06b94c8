//! The walk that makes a plan.

mod duplicates;
mod inspect;
mod node_index;
mod referrers;
mod signatures;
mod sizes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use longshore_spec::artifact_type::ArtifactType;
use longshore_spec::{
    Descriptor, Digest, Manifest, ManifestContent, MediaType, More, Platform, Role,
};
use longshore_store::{Error, MAX_DEPTH, Name, Result, Selector, Target, TooDeep, walk};

pub(crate) use self::duplicates::differ_by_name_only;
use self::duplicates::separate;
use self::inspect::{Inspection, Resolved, inspect, no_platform};
use self::node_index::{NodeIndex, NodeKey};
use self::referrers::Referrer;
use self::signatures::repository_of;
pub use self::signatures::{SignatureTags, subject_of};
use crate::plan::{LeftOut, Node, PlannedRoot, State};
use crate::{
    Action, CopyItem, Failure, Filter, FoundRoot, Observer, Plan, Platforms, Referring,
    RootRequest, Side, Silent, Unchanged,
};

/// So many bytes of manifests are kept from discovery to copying; the rest is fetched again.
const KEPT_MANIFESTS: u64 = 16 << 20;

/// What one that is kept takes beside its bytes.
const KEPT_BESIDE: u64 = 128;

/// So many bytes of addresses and of embedded content are kept of all descriptors; what is beyond that is read
/// from its source alone.
const KEPT_MORE: usize = 4 << 20;

/// So many addresses are kept of one descriptor, and none that is longer than programs take.
const MOST_URLS: usize = 8;
const LONGEST_URL: usize = 2048;

/// Embedded content is kept up to this length, in base64: it is meant for what is not worth a request.
const LONGEST_DATA: usize = 8 << 10;

/// A plan of more nodes than this is refused: it bounds the memory that a plan takes.
const MAX_NODES: usize = 5_000_000;

impl<'a> Plan<'a> {
    /// Finds out everything that is wanted, a level of the graph at a time, with up to `jobs`
    /// requests at once.
    ///
    /// `filter` says what is taken of everything that does not say so itself. Content that is wanted
    /// under several filters is looked into once for each: what one leaves out another may take.
    ///
    /// What cannot be found out fails its root and no other; see [`Plan::failures`].
    pub fn discover(wanted: Vec<CopyItem<'a>>, filter: &Filter, jobs: usize) -> Self {
        Self::discover_for(wanted, filter, jobs, &Silent)
    }

    /// Does the like for an observer, who may end it: what was not looked into by then fails.
    pub fn discover_for(
        wanted: Vec<CopyItem<'a>>,
        filter: &Filter,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Self {
        let mut discovery = Discovery::new(filter);
        let begun = wanted.into_iter().map(|wanted| discovery.begin(wanted)).collect();
        let mut steps = discovery.merge_duplicates(begun, jobs);
        let tags = discovery.signature_tags(&steps, jobs);
        let (sources, targets) = (discovery.plan.sources.clone(), discovery.plan.targets.clone());
        let filters = discovery.filters.clone();
        let look_into = |step: &Step| {
            if observer.is_cancelled() {
                return Inspection::failed(Error::Cancelled);
            }
            let at = step.route.source as usize;
            let filter = &filters[step.route.filter as usize];
            inspect(sources[at], targets[step.route.target as usize], &tags[at], step, filter)
        };
        // Referrers come when everything else is known, and theirs when they are: which of them
        // need an entry of their own does not depend on the order of what is wanted.
        for _ in 0..MAX_DEPTH {
            if walk(steps, jobs, look_into, |step, seen| discovery.record(step, seen))
                == Err(TooDeep)
            {
                discovery.give_up("the nesting of manifests", format!("{MAX_DEPTH} levels"));
            }
            steps = discovery.begin_referrers();
            if steps.is_empty() {
                return discovery.finish(jobs);
            }
        }
        discovery.give_up("the number of referrers of referrers", MAX_DEPTH.to_string());
        discovery.finish(jobs)
    }
}

/// A manifest that is looked into next.
struct Step {
    route: Route,
    request: RootRequest,
    origin: Origin,
    trust: Trust,
    /// Roots that are the same content under other names, and by which descriptors they are listed.
    duplicates: Vec<(usize, Descriptor)>,
}

/// Whether a target is trusted to have what it would be asked for (see [`Unchanged`]).
#[derive(Clone)]
enum Trust {
    /// It is asked for everything.
    No,
    /// It is, if it lists a root under these names.
    IfListed(Vec<Name>),
    /// It is.
    Yes,
}

/// From where to where something goes, and what of it.
#[derive(Clone)]
struct Route {
    source: u32,
    target: u32,
    /// What is taken of it, by number.
    filter: u32,
    /// The repository in the name of its root, if that is a full name.
    repository: Option<Arc<str>>,
}

/// How a manifest was come upon.
#[derive(Clone, Copy)]
enum Origin {
    /// It is wanted: the number of its root.
    Root(usize),
    /// It refers to something that is wanted: the number of its root.
    Referrer(usize),
    /// An index lists it: the number of its node.
    Child(u32),
}

/// A plan that is being made.
struct Discovery<'a> {
    plan: Plan<'a>,
    /// That of the plan first.
    filters: Vec<Arc<Filter>>,
    numbers_of_filters: HashMap<Arc<Filter>, u32>,
    sources: HashMap<usize, u32>,
    targets: HashMap<Option<usize>, u32>,
    index: NodeIndex,
    /// Referrers that were met, by target and filter.
    seen_referrers: HashSet<(u32, u32, Digest)>,
    /// Names that were wanted, by target.
    wanted_names: HashSet<(u32, Name)>,
    /// Names of what cosign attached, by target and filter.
    seen_tags: HashSet<(u32, u32, Name)>,
    /// Referrers that were met on this round.
    referrers: Vec<Referrer>,
    /// Those that refer to something else than their list said, by what that is.
    misplaced: Vec<(Descriptor, Referrer)>,
    /// Indexes, and their entries that have to be there.
    required: Vec<(u32, u32)>,
    /// Entries of indexes that are not there, with what was asked for and what was answered.
    absent: BTreeMap<u32, (Descriptor, Error)>,
    /// Media types are few and stand in every node.
    media_types: HashSet<MediaType>,
    /// So are the names of artifact types, and repositories.
    texts: HashSet<Arc<str>>,
    kept: u64,
    kept_more: usize,
}

impl<'a> Discovery<'a> {
    fn new(filter: &Filter) -> Self {
        let filter = Arc::new(filter.clone());
        let plan = Plan {
            sources: Vec::new(),
            targets: Vec::new(),
            nodes: Vec::new(),
            manifests: HashMap::new(),
            edges: Vec::new(),
            roots: Vec::new(),
            failures: Vec::new(),
            left_out: Vec::new(),
            referrers_seen: 0,
            unfit: Vec::new(),
            sparse: HashMap::new(),
            lacking: HashMap::new(),
            more: HashMap::new(),
            allow_unverified: filter.allow_unverified,
        };
        Self {
            plan,
            filters: vec![Arc::clone(&filter)],
            numbers_of_filters: HashMap::from([(filter, 0)]),
            sources: HashMap::new(),
            targets: HashMap::new(),
            index: NodeIndex::default(),
            seen_referrers: HashSet::new(),
            wanted_names: HashSet::new(),
            seen_tags: HashSet::new(),
            referrers: Vec::new(),
            misplaced: Vec::new(),
            required: Vec::new(),
            absent: BTreeMap::new(),
            media_types: HashSet::new(),
            texts: HashSet::new(),
            kept: 0,
            kept_more: 0,
        }
    }

    fn begin(&mut self, wanted: CopyItem<'a>) -> Step {
        let CopyItem { source, request, target, names, filter } = wanted;
        let label = match &request {
            RootRequest::Listed(_) if !names.is_empty() => names[0].clone(),
            RootRequest::Selector(Selector::Name(name)) => name.clone(),
            request => Name::new(request.to_string()),
        };
        let source = number(&mut self.plan.sources, &mut self.sources, source, address(source));
        let address = target.map(address::<dyn Target>);
        let target = number(&mut self.plan.targets, &mut self.targets, target, address);
        self.wanted_names.extend(names.iter().map(|name| (target, name.clone())));
        let repository =
            names.first().and_then(repository_of).map(|repository| self.text(repository));
        let filter = filter.map_or(0, |filter| self.filter_number(filter));
        let route = Route { source, target, filter, repository };
        let trust = self.trust_if_listed(&route, &names);
        let origin = Origin::Root(self.add_root(Some(label), names, None));
        Step { route, request, origin, trust, duplicates: Vec::new() }
    }

    /// Returns the same text, shared with all that have it.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// Returns the number of a filter; equal ones are one.
    fn filter_number(&mut self, filter: Arc<Filter>) -> u32 {
        number(&mut self.filters, &mut self.numbers_of_filters, Arc::clone(&filter), filter)
    }

    fn filter(&self, route: &Route) -> Arc<Filter> {
        Arc::clone(&self.filters[route.filter as usize])
    }

    fn trust_if_listed(&self, route: &Route, names: &[Name]) -> Trust {
        match self.filter(route).unchanged {
            Unchanged::Closure => Trust::No,
            Unchanged::Digest => Trust::IfListed(names.to_vec()),
        }
    }

    fn add_root(
        &mut self,
        wanted: Option<Name>,
        mut names: Vec<Name>,
        subject: Option<Digest>,
    ) -> usize {
        names.shrink_to_fit();
        let found = Arc::new(FoundRoot {
            wanted,
            names,
            descriptor: None,
            artifact_type: None,
            subject: subject.map(Box::new),
            platforms: Box::default(),
            origin: None,
        });
        push(&mut self.plan.roots, PlannedRoot { found, node: None, skipped: false });
        self.plan.roots.len() - 1
    }

    /// Takes in what a look found; returns what is looked into next.
    fn record(&mut self, mut step: Step, seen: Inspection) -> Vec<Step> {
        if self.plan.nodes.len() > MAX_NODES {
            return Vec::new();
        }
        if let (Origin::Root(root) | Origin::Referrer(root), Some(origin)) =
            (step.origin, seen.origin)
        {
            self.plan.roots[root].origin = Some(Box::new(origin));
        }
        if let Some((index, attached)) = seen.left_behind {
            self.leave_behind(&step.route, &index, attached);
        }
        let mut next = Vec::new();
        let taken = match seen.found {
            Ok(Resolved::Manifest(manifest)) if self.is_misplaced(&step, &manifest) => Ok(()),
            Ok(Resolved::Manifest(manifest)) => {
                let digest = manifest.descriptor().digest.clone();
                let taken =
                    self.record_manifest(&step, *manifest, &seen.absent, seen.trusted, &mut next);
                taken.map(|taken| {
                    if taken == digest {
                        self.record_attached(&step.route, &digest, seen.attached);
                    } else {
                        // What was written anew has nothing attached; that of the old stays with it.
                        self.leave_behind(&step.route, &digest, seen.attached);
                    }
                })
            }
            Ok(Resolved::Unchanged(descriptor)) => {
                self.record_unchanged(&step, &descriptor);
                self.record_attached(&step.route, &descriptor.digest, seen.attached);
                Ok(())
            }
            Ok(Resolved::Opaque(descriptor)) => {
                let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
                let node = self.link_root(&step, &descriptor, Role::Layer, false, &artifact_type);
                let node = &mut self.plan.nodes[node as usize];
                (node.state, node.role) = (State::Blob, Role::Layer);
                Ok(())
            }
            Ok(Resolved::Unwanted(descriptor, artifact_type)) => {
                if let Origin::Root(root) | Origin::Referrer(root) = step.origin {
                    let artifact_type = self.text(&artifact_type);
                    self.plan.roots[root].skipped = true;
                    self.tell_root(root, descriptor, artifact_type);
                }
                Ok(())
            }
            Err(error) => Err(error),
        };
        let duplicates = std::mem::take(&mut step.duplicates);
        match taken {
            Ok(()) => self.record_duplicates(&step, duplicates),
            Err(error) => {
                self.record_failure(&step, error);
                // Each is told on its own why it cannot be had.
                next.extend(separate(&step, duplicates));
            }
        }
        if self.plan.nodes.len() > MAX_NODES {
            self.give_up("the number of pieces of content", MAX_NODES.to_string());
        }
        next
    }

    /// Takes in a root that the target is trusted to have, and of which no more is known than what it is.
    fn record_unchanged(&mut self, step: &Step, descriptor: &Descriptor) {
        let (Origin::Root(root) | Origin::Referrer(root)) = step.origin else { return };
        let (node, _) = self.node(&step.route, descriptor, Role::Manifest, true);
        self.plan.roots[root].node = Some(node);
        let mut descriptor = descriptor.clone();
        descriptor.media_type = self.media_type(&descriptor.media_type);
        self.plan.roots[root].descriptor = Some(descriptor);
        let known = &mut self.plan.nodes[node as usize];
        if matches!(known.state, State::Unseen | State::Absent) {
            (known.state, known.source) = (State::Trusted, step.route.source);
            self.absent.remove(&node);
        }
    }

    fn record_failure(&mut self, step: &Step, error: Error) {
        let subject = match step.origin {
            Origin::Root(root) => self.plan.roots[root].wanted.as_ref().map(ToString::to_string),
            Origin::Referrer(_) => None,
            Origin::Child(node) => {
                let state = &mut self.plan.nodes[node as usize].state;
                if *state != State::Unseen {
                    // It came as a root of another source meanwhile.
                    return;
                }
                if let (Error::NotFound { .. }, RootRequest::Listed(descriptor)) =
                    (&error, &step.request)
                {
                    // Whether that is a failure depends on every index that lists it.
                    *state = State::Absent;
                    self.absent.insert(node, (descriptor.clone(), error));
                    return;
                }
                *state = State::Broken;
                None
            }
        };
        self.fail(Action::Resolve, subject.unwrap_or_else(|| step.request.to_string()), error);
    }

    /// Takes in a manifest and all that it refers to; returns its digest, which is another one if
    /// entries were taken out.
    fn record_manifest(
        &mut self,
        step: &Step,
        manifest: Manifest,
        absent: &HashSet<Digest>,
        is_trusted: bool,
        next: &mut Vec<Step>,
    ) -> Result<Digest> {
        let filter = self.filter(&step.route);
        let chosen = choose(&filter, &manifest, step.origin)?;
        let is_gone = |child: &Descriptor| {
            absent.contains(&child.digest)
                || chosen.as_ref().is_some_and(|it| !it.contains(&child.digest))
        };
        let gone = manifest.children().map(|(_, child)| child).filter(|child| is_gone(child));
        let left_out = |child: &Descriptor| {
            let is_absent = absent.contains(&child.digest);
            let left_out = if is_absent { LeftOut::Absent } else { LeftOut::Filtered };
            left_out(child.clone())
        };
        let gone: Vec<&Descriptor> = gone.collect();
        let gone_platforms: Vec<Platform> =
            gone.iter().filter_map(|entry| platform_of(entry)).collect();
        let gone: Vec<LeftOut> = gone.into_iter().map(left_out).collect();
        let is_root = matches!(step.origin, Origin::Root(_));
        let may_author = matches!(filter.platforms, Platforms::Stripped(_) | Platforms::Present);
        let is_authored = is_root && may_author && !gone.is_empty();
        let manifest = if is_authored {
            // Nobody wants an index of nothing.
            if manifest.children().all(|(_, child)| is_gone(child)) {
                return Err(no_platform(&manifest, &[], &gone_platforms));
            }
            let digest = manifest.descriptor().digest.clone();
            let stripped = manifest.retain_entries(|entry| !is_gone(entry));
            stripped.map_err(|source| Error::Manifest { digest, source })?
        } else {
            manifest
        };
        let digest = manifest.descriptor().digest.clone();
        let artifact_type = ArtifactType::of(&manifest);
        // The target cannot have what is written anew only now.
        let is_trusted = is_trusted && !is_authored;
        let node =
            self.link_root(step, manifest.descriptor(), Role::Manifest, is_trusted, &artifact_type);
        if let Origin::Root(root) = step.origin {
            self.plan.roots[root].platforms = platforms(&manifest, is_gone);
        }
        // What was absent as an entry is not as a root of another source.
        if !matches!(self.plan.nodes[node as usize].state, State::Unseen | State::Absent) {
            return Ok(digest);
        }
        self.absent.remove(&node);
        if !gone.is_empty() && !is_authored {
            self.plan.sparse.insert(node, gone_platforms);
        }
        self.plan.left_out.extend(gone);
        // Of what is trusted only manifests matter, and those only for what refers to them.
        let looks_within = matches!(filter.referrers, Referring::Taken(_));
        let matters = |role: &Role| !is_trusted || (looks_within && *role == Role::Manifest);
        let children = manifest.children().filter(|(role, child)| matters(role) && !is_gone(child));
        let trust = if is_trusted { Trust::Yes } else { Trust::No };
        let children: Vec<u32> = children
            .map(|(role, child)| self.record_child(&step.route, &trust, node, role, child, next))
            .collect();
        let first_child = count(self.plan.edges.len());
        reserve(&mut self.plan.edges, children.len());
        self.plan.edges.extend(&children);
        let size = manifest.raw().len() as u64 + KEPT_BESIDE;
        let known = &mut self.plan.nodes[node as usize];
        known.state = if is_trusted { State::Trusted } else { State::Manifest };
        known.source = step.route.source;
        (known.first_child, known.child_count) = (first_child, count(children.len()));
        // Nobody else has what was written anew.
        if is_authored || self.kept + size <= KEPT_MANIFESTS {
            self.kept += size;
            // What it came in may be much larger.
            self.plan.manifests.insert(node, Bytes::copy_from_slice(manifest.raw()));
        }
        Ok(digest)
    }

    fn record_child(
        &mut self,
        route: &Route,
        trust: &Trust,
        parent: u32,
        role: Role,
        child: &Descriptor,
        next: &mut Vec<Step>,
    ) -> u32 {
        let (node, is_new) = self.node(route, child, role, matches!(trust, Trust::Yes));
        if role != Role::Manifest {
            return node;
        }
        // One that says what it is for may be left out (row A-13).
        if child.platform.is_none() {
            push(&mut self.required, (parent, node));
        }
        if is_new {
            let (route, request) = (route.clone(), RootRequest::Listed(child.clone()));
            let (origin, trust) = (Origin::Child(node), trust.clone());
            next.push(Step { route, request, origin, trust, duplicates: Vec::new() });
        }
        node
    }

    /// Returns the node of what was looked into, and tells its root about it.
    fn link_root(
        &mut self,
        step: &Step,
        descriptor: &Descriptor,
        role: Role,
        is_trusted: bool,
        artifact_type: &ArtifactType,
    ) -> u32 {
        let root = match step.origin {
            Origin::Child(node) => return node,
            Origin::Root(root) | Origin::Referrer(root) => root,
        };
        let (node, _) = self.node(&step.route, descriptor, role, is_trusted);
        let artifact_type = self.text(artifact_type.name());
        self.plan.roots[root].node = Some(node);
        self.tell_root(root, descriptor.clone(), artifact_type);
        node
    }

    /// Tells a root what it is.
    fn tell_root(&mut self, root: usize, mut descriptor: Descriptor, artifact_type: Arc<str>) {
        descriptor.media_type = self.media_type(&descriptor.media_type);
        let root: &mut FoundRoot = &mut self.plan.roots[root];
        root.origin.take_if(|origin| **origin == descriptor.digest);
        root.artifact_type = Some(artifact_type);
        root.descriptor = Some(descriptor);
    }

    /// Returns the node of some content, and whether it is new.
    fn node(
        &mut self,
        route: &Route,
        descriptor: &Descriptor,
        role: Role,
        is_trusted: bool,
    ) -> (u32, bool) {
        let key = NodeKey::new(route, descriptor, role, is_trusted);
        if let Some(node) = self.index.get(&key, &self.plan.nodes) {
            self.keep_more(node, descriptor, role);
            let known = &mut self.plan.nodes[node as usize];
            if role != Role::Manifest {
                // Whichever manifest came first, it stands at the same place of an outline.
                known.role = known.role.min(role);
            }
            return (node, false);
        }
        let media_type = self.media_type(&descriptor.media_type);
        let number = count(self.plan.nodes.len());
        self.index.insert(&key, number);
        let node = Node {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            media_type,
            role,
            source: route.source,
            target: route.target,
            first_child: 0,
            child_count: 0,
            filter: (role == Role::Manifest).then_some(route.filter),
            is_trusted,
            state: if role == Role::Manifest { State::Unseen } else { State::Blob },
        };
        push(&mut self.plan.nodes, node);
        self.keep_more(number, descriptor, role);
        (number, true)
    }

    /// Keeps what a descriptor says of where its content is, or what it is, within bounds: the first that
    /// says anything counts.
    fn keep_more(&mut self, number: u32, descriptor: &Descriptor, role: Role) {
        let Some(more) = descriptor.more.as_ref().filter(|_| role != Role::Manifest) else {
            return;
        };
        if self.plan.more.contains_key(&number) {
            return;
        }
        let is_short = |url: &&String| url.len() <= LONGEST_URL;
        let urls: Vec<String> =
            more.urls.iter().filter(is_short).take(MOST_URLS).cloned().collect();
        let data = more.data.clone().filter(|data| data.len() <= LONGEST_DATA);
        let kept = More { urls, data, ..More::default() };
        let size = kept.urls.iter().map(String::len).sum::<usize>()
            + kept.data.as_ref().map_or(0, String::len);
        if size > 0 && self.kept_more + size <= KEPT_MORE {
            self.kept_more += size;
            self.plan.more.insert(number, Box::new(kept));
        }
    }

    /// Returns the same media type, shared with all nodes that have it.
    fn media_type(&mut self, media_type: &MediaType) -> MediaType {
        match self.media_types.get(media_type) {
            Some(known) if known.as_str() == media_type.as_str() => known.clone(),
            _ => {
                self.media_types.replace(media_type.clone());
                media_type.clone()
            }
        }
    }

    /// Fails every manifest that was not looked into: a bound was passed.
    fn give_up(&mut self, what: &str, limit: String) {
        let mut first = None;
        for node in self.plan.nodes.iter_mut().filter(|node| node.state == State::Unseen) {
            node.state = State::Broken;
            first.get_or_insert_with(|| node.digest.to_string());
        }
        let error = Error::Limit { what: what.to_owned(), limit };
        self.fail(Action::Resolve, first.unwrap_or_else(|| what.to_owned()), error);
    }

    /// Judges what is absent: an entry may be left out by an index that says what it is for, and
    /// breaks any other. Then judges sizes.
    fn finish(mut self, jobs: usize) -> Plan<'a> {
        self.index = NodeIndex::default();
        let mut missing = HashSet::new();
        for (index, entry) in std::mem::take(&mut self.required) {
            if self.plan.nodes[entry as usize].state == State::Absent {
                self.plan.nodes[index as usize].state = State::Broken;
                missing.insert(entry);
            }
        }
        let (mut absent, mut lacking) = (HashSet::new(), HashMap::new());
        for (node, (descriptor, error)) in std::mem::take(&mut self.absent) {
            if missing.contains(&node) {
                self.fail(Action::Resolve, descriptor.digest.to_string(), error);
            } else {
                absent.insert(descriptor.digest.clone());
                lacking.insert(node, platform_of(&descriptor));
                self.plan.left_out.push(LeftOut::Absent(descriptor));
            }
        }
        self.note_lacking(&lacking);
        self.mark_carried();
        for root in &mut self.plan.roots {
            if root.platforms.iter().any(|(digest, _)| absent.contains(digest)) {
                let platforms = std::mem::take(&mut root.platforms).into_iter();
                root.platforms = platforms.filter(|(digest, _)| !absent.contains(digest)).collect();
            }
        }
        self.judge_sizes(jobs);
        self.plan.nodes.shrink_to_fit();
        self.plan.edges.shrink_to_fit();
        self.plan.roots.shrink_to_fit();
        self.plan
    }

    /// Takes note of the indexes that list what their source lacks.
    fn note_lacking(&mut self, lacking: &HashMap<u32, Option<Platform>>) {
        if lacking.is_empty() {
            return;
        }
        for index in (0..).take(self.plan.nodes.len()) {
            let platforms: Vec<_> =
                self.plan.children(index).iter().filter_map(|child| lacking.get(child)).collect();
            if !platforms.is_empty() {
                let platforms = platforms.into_iter().flatten().cloned().collect();
                self.plan.lacking.insert(index, platforms);
            }
        }
    }

    fn fail(&mut self, action: Action, subject: String, error: Error) {
        self.plan.failures.push(Failure::new(Side::Source, action, subject, error));
    }
}

/// Returns the entries of an index that are taken; `None` if there is no choice.
fn choose(filter: &Filter, manifest: &Manifest, origin: Origin) -> Result<Option<HashSet<Digest>>> {
    let ManifestContent::Index(index) = manifest.content() else { return Ok(None) };
    let is_root = matches!(origin, Origin::Root(_));
    let chosen = filter.platforms.choose(index, is_root);
    let wanted = filter.platforms.wanted();
    let offered: Vec<Platform> = index.manifests.iter().filter_map(platform_of).collect();
    if is_root
        && !wanted.is_empty()
        && !offered.is_empty()
        && !chosen.iter().any(|entry| platform_of(entry).is_some())
    {
        return Err(no_platform(manifest, &offered, wanted));
    }
    Ok(Some(chosen.into_iter().map(|entry| entry.digest.clone()).collect()))
}

/// Returns the platforms of a manifest that is taken: those of the entries that it keeps, or that of
/// its own entry.
fn platforms(
    manifest: &Manifest,
    is_gone: impl Fn(&Descriptor) -> bool,
) -> Box<[(Digest, Platform)]> {
    let of = |entry: &Descriptor| Some((entry.digest.clone(), platform_of(entry)?));
    match manifest.content() {
        ManifestContent::Index(index) => {
            index.manifests.iter().filter(|entry| !is_gone(entry)).filter_map(of).collect()
        }
        _ => of(manifest.descriptor()).into_iter().collect(),
    }
}

/// Returns the platform of an entry, if it has one that says something.
fn platform_of(entry: &Descriptor) -> Option<Platform> {
    entry.platform.as_deref().filter(|platform| !platform.is_unknown()).cloned()
}

/// Returns the number of `item` in `items`, where it is added unless it is there by `key`.
fn number<T, K: std::hash::Hash + Eq>(
    items: &mut Vec<T>,
    numbers: &mut HashMap<K, u32>,
    item: T,
    key: K,
) -> u32 {
    *numbers.entry(key).or_insert_with(|| {
        items.push(item);
        count(items.len() - 1)
    })
}

/// Tells one source or target from another.
fn address<T: ?Sized>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

/// Adds an item, and makes room for a quarter more where there is none: twice as much room as is
/// needed would be most of what a plan takes.
fn push<T>(items: &mut Vec<T>, item: T) {
    reserve(items, 1);
    items.push(item);
}

/// Makes room for `more` items, and for a quarter more where it makes any.
fn reserve<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact(more + items.len() / 4);
    }
}

/// Nodes and edges are counted in half a word; [`MAX_NODES`] is far below what it holds.
fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
