//! Taking a bundle to its place.

mod changes;
mod moves;
mod stream_guard;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use longshore_layout::{Layout, StreamStats};
use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Descriptor, Digest, Reference, RepositoryName};
use longshore_store::{
    Error, Name, Outline, Result, Root, Source, SourcePlace, Target, TargetPlace, in_parallel,
};
use longshore_sync::{
    CopyItem, Failure, Filter, Observer, Plan, Platforms, Referring, Report, RootRequest,
    SealedPlan,
};

pub use self::changes::TargetChanges;
pub use self::moves::{Move, MoveError, TargetKind};
pub use self::stream_guard::StreamGuard;
use super::verify::layout_differences;
use crate::delta::{Delta, repository_key};
use crate::{
    BundleFiles, Difference, Mapping, OpenError, OpenVolumes, Receipt, Record, SparseIndex,
};

/// For so many blobs is looked before their answers are taken in: descriptors take much more than nodes do.
const ASKED_AT_ONCE: usize = 4096;

/// A bundle that is there: what its record says, and what it lists.
#[derive(Debug)]
pub struct OpenBundle<'a> {
    layout: &'a dyn Layout,
    /// The volumes that it lies in, if some of them are missing.
    volumes: Option<&'a OpenVolumes<'a>>,
    /// Its record; a layout may have none.
    pub record: Option<Record>,
    /// All that it lists.
    pub listed: Vec<Root>,
}

/// Where a bundle goes.
#[derive(Debug, Clone, Copy)]
pub enum ImportTarget<'a> {
    /// A registry, in which every artifact goes to the repository that it is called by.
    Registry {
        /// The registry.
        place: &'a dyn TargetPlace,
        /// The same, read.
        content: &'a dyn SourcePlace,
        /// Its host, as names have it.
        host: &'a str,
    },
    /// A layout, in which artifacts keep their full names.
    Layout {
        /// The layout.
        place: &'a dyn TargetPlace,
        /// All of it.
        whole: &'a dyn Target,
        /// The same, read.
        content: &'a dyn Source,
    },
}

/// Where every artifact of a bundle comes from and goes to, opened.
#[derive(Debug)]
pub struct Routes<'a> {
    moves: &'a [Move],
    target: ImportTarget<'a>,
    /// The repositories of the bundle, each as a source: what refers to what in one of them is no
    /// business of the others.
    sources: BTreeMap<String, Box<dyn Source + 'a>>,
    /// The repositories of a registry.
    targets: BTreeMap<RepositoryName, Box<dyn Target + 'a>>,
    /// The same, read, if the bundle takes content for granted there, and others that may hold that.
    contents: BTreeMap<RepositoryName, Box<dyn Source + 'a>>,
}

/// What is to be taken to its place.
#[derive(Debug, Clone, Copy)]
pub struct ImportRequest<'a> {
    /// The bundle.
    pub bundle: &'a OpenBundle<'a>,
    /// Where its artifacts go.
    pub routes: &'a Routes<'a>,
    /// What becomes of indexes of which the bundle lacks entries.
    pub sparse_index: SparseIndex,
    /// Whether content whose digest cannot be computed is taken, too (row A-38).
    pub allow_unverified: bool,
    /// How much is done at once.
    pub jobs: usize,
}

/// What a bundle brings, known before the first byte moves.
#[derive(Debug)]
pub struct Import<'a> {
    request: ImportRequest<'a>,
    plan: SealedPlan<'a>,
    /// What comes with volumes that are missing, and is not where it goes.
    waiting: HashSet<Digest>,
}

/// Why a bundle is not taken.
#[derive(Debug)]
pub enum ImportRefusal {
    /// It cannot be read.
    Store(Error),
    /// It is not what its record says: in so many ways, at least one.
    Different(Vec<Difference>),
    /// It lacks content, at least one piece.
    Incomplete(Vec<Digest>),
    /// It takes content for granted that is not where it goes, at least one piece.
    BaseAbsent(Vec<BaseGap>),
}

/// Content that a bundle takes for granted, and that is not where it goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseGap {
    /// What it is.
    pub digest: Digest,
    /// How long it is, in bytes.
    pub size: u64,
    /// The repository that it was looked for in; `None` for a layout.
    pub repository: Option<RepositoryName>,
}

impl ImportRefusal {
    /// Returns what is missing, if that is why the bundle is not taken.
    pub fn missing(&self) -> Vec<Digest> {
        match self {
            Self::Store(_) | Self::Different(_) => Vec::new(),
            Self::Incomplete(digests) => digests.clone(),
            Self::BaseAbsent(gaps) => gaps.iter().map(|gap| gap.digest.clone()).collect(),
        }
    }
}

impl From<Error> for ImportRefusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl<'a> OpenBundle<'a> {
    /// Reads the record of a bundle, and what it lists.
    ///
    /// # Errors
    ///
    /// It cannot be read, its record cannot be believed, or it only repairs another.
    pub fn read(layout: &'a dyn Layout) -> Result<Self, OpenError> {
        let record = Record::read(layout)?;
        if let Some(bundle) = record.as_ref().and_then(|record| record.repairs.clone()) {
            return Err(OpenError::Repair(bundle));
        }
        let listed = match &record {
            Some(record) if record.base.is_some() => record.listed_in(layout)?,
            _ => layout.whole().roots()?,
        };
        Ok(Self { layout, volumes: None, record, listed })
    }

    /// Reads the record of volumes, and what they list. If some are missing, what lies in those comes another
    /// time.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn of_volumes(volumes: &'a OpenVolumes<'a>) -> Result<Self, OpenError> {
        let layout = volumes.layout();
        let volumes = Some(volumes).filter(|volumes| !volumes.missing().is_empty());
        Ok(Self { volumes, ..Self::read(layout)? })
    }

    /// Reads the bundle that lies in files, of which volumes may be missing.
    ///
    /// # Errors
    ///
    /// It cannot be read, or its record cannot be believed.
    pub fn of_files(files: &'a BundleFiles<'a>) -> Result<Self, OpenError> {
        files.volumes().map_or_else(|| Self::read(files.layout()), Self::of_volumes)
    }

    /// Tells whether something of it need not be there: it is read by its record then.
    fn by_record(&self) -> Option<&Record> {
        let record = self.record.as_ref()?;
        (record.base.is_some() || self.volumes.is_some()).then_some(record)
    }

    /// Returns where every root with a name goes. Two that meet are refused.
    ///
    /// # Errors
    ///
    /// Something can go nowhere, or two things would be called the same.
    pub fn moves(&self, mapping: &Mapping, kind: TargetKind) -> Result<Vec<Move>, MoveError> {
        moves::moves(&self.listed, mapping, kind)
    }
}

impl<'a> ImportTarget<'a> {
    /// Returns the place that all of it goes to.
    pub fn place(&self) -> &'a dyn TargetPlace {
        match self {
            Self::Registry { place, .. } | Self::Layout { place, .. } => *place,
        }
    }
}

impl<'a> Routes<'a> {
    /// Opens the repositories of a bundle and of its target; of a registry nothing is asked for it. What a delta
    /// takes for granted is also looked for in the repositories that a receipt of the target says hold it.
    ///
    /// # Errors
    ///
    /// Something goes to another registry, or the bundle cannot be read.
    pub fn open(
        bundle: &'a OpenBundle<'a>,
        moves: &'a [Move],
        target: ImportTarget<'a>,
        known: Option<&Receipt>,
    ) -> Result<Self, MoveError> {
        let delta = bundle.by_record();
        let mut targets: BTreeMap<RepositoryName, Box<dyn Target + 'a>> = BTreeMap::new();
        let mut contents: BTreeMap<RepositoryName, Box<dyn Source + 'a>> = BTreeMap::new();
        if let ImportTarget::Registry { place, content, host } = target {
            for Move { from, to, .. } in moves {
                if to.registry() != host {
                    let (from, to) = (Box::new(from.clone()), Box::new(to.clone()));
                    return Err(MoveError::OtherRegistry { from, to, host: host.to_owned() });
                }
                if !targets.contains_key(to.repository()) {
                    targets.insert(to.repository().clone(), place.target(to.repository())?);
                    if delta.is_some() {
                        contents.insert(to.repository().clone(), content.source(to.repository())?);
                    }
                }
            }
        }
        if let (ImportTarget::Registry { content, .. }, Some(record), Some(known)) =
            (target, delta, known)
        {
            let assumed: HashSet<&Digest> =
                record.assumed().iter().map(|blob| &blob.digest).collect();
            for repository in &known.repositories {
                let holds_some =
                    repository.blobs.iter().any(|(digest, _)| assumed.contains(digest));
                if let (Some(name), true) = (&repository.name, holds_some)
                    && !contents.contains_key(name)
                {
                    contents.insert(name.clone(), content.source(name)?);
                }
            }
        }
        let delta = delta.map(|record| Delta::whole(bundle.layout, record));
        let mut sources: BTreeMap<String, Box<dyn Source + 'a>> = BTreeMap::new();
        for Move { from, .. } in moves {
            let key = repository_key(from);
            if sources.contains_key(&key) {
                continue;
            }
            let source: Box<dyn Source + 'a> = match key.parse::<RepositoryName>() {
                _ if let Some(delta) = &delta => Box::new(delta.repository(&key)),
                Ok(name) => bundle.layout.source(&name)?,
                // A host that no repository can be named after, such as an IPv6 address.
                Err(_) => bundle.layout.whole(),
            };
            sources.insert(key, source);
        }
        Ok(Self { moves, target, sources, targets, contents })
    }

    fn wanted(&self) -> Vec<CopyItem<'_>> {
        let wanted = self.moves.iter().map(|moved| CopyItem {
            source: self.source(&moved.from),
            request: RootRequest::Listed(moved.root.descriptor.clone()),
            target: self.target(&moved.to),
            names: self.names(&moved.to),
            filter: None,
        });
        wanted.collect()
    }

    fn source(&self, from: &Reference) -> &dyn Source {
        &*self.sources[&repository_key(from)]
    }

    fn target(&self, to: &Reference) -> Option<&dyn Target> {
        match self.target {
            ImportTarget::Layout { whole, .. } => Some(whole),
            ImportTarget::Registry { .. } => {
                self.targets.get(to.repository()).map(|repository| &**repository as &dyn Target)
            }
        }
    }

    /// Returns the names that a root has there; a digest alone is no name in a registry.
    fn names(&self, to: &Reference) -> Vec<Name> {
        match self.target {
            ImportTarget::Registry { .. } => {
                to.tag().map(|tag| Name::new(tag.as_str())).into_iter().collect()
            }
            ImportTarget::Layout { .. } => vec![Name::new(to.to_string())],
        }
    }
}

/// Where a target holds content that is taken for granted.
enum Held<'a> {
    /// In the repository that needs it.
    There,
    /// In another of its repositories.
    In(&'a dyn Source),
    /// In none that was asked.
    Nowhere,
}

impl Routes<'_> {
    /// Returns which repository of a registry a target is; `None` for a layout.
    fn repository_of(&self, target: &dyn Target) -> Option<&RepositoryName> {
        self.targets.iter().find_map(|(name, known)| {
            let known: &dyn Target = &**known;
            std::ptr::addr_eq(known, target).then_some(name)
        })
    }

    /// Looks for a blob, first in the repository that needs it.
    fn find<'s>(
        &'s self,
        blob: &Descriptor,
        repository: Option<&RepositoryName>,
    ) -> Result<Held<'s>> {
        let own: Option<&dyn Source> = match (self.target, repository) {
            (ImportTarget::Layout { content, .. }, _) => Some(content),
            (ImportTarget::Registry { .. }, Some(name)) => {
                self.contents.get(name).map(|content| &**content as &dyn Source)
            }
            (ImportTarget::Registry { .. }, None) => None,
        };
        if let Some(own) = own
            && own.has_content(blob)?
        {
            return Ok(Held::There);
        }
        for (name, content) in &self.contents {
            // One that does not answer is no reason not to look into the next.
            let is_there = || content.has_content(blob).unwrap_or(false);
            if Some(name) != repository && is_there() {
                return Ok(Held::In(&**content));
            }
        }
        Ok(Held::Nowhere)
    }
}

impl<'a> ImportRequest<'a> {
    /// Finds out all that the bundle brings. Nothing is written.
    pub fn prepare(&self, observer: &dyn Observer) -> Import<'a> {
        let plan = self.discover(Platforms::All, observer);
        Import { request: *self, plan, waiting: HashSet::new() }
    }

    fn discover(&self, platforms: Platforms, observer: &dyn Observer) -> SealedPlan<'a> {
        let referrers = Referring::Taken(TypeFilter::default());
        let allow_unverified = self.allow_unverified;
        let filter = Filter { platforms, referrers, allow_unverified, ..Filter::default() };
        let routes: &'a Routes<'a> = self.routes;
        Plan::discover_for(routes.wanted(), &filter, self.jobs, observer).seal()
    }
}

impl<'a> Import<'a> {
    /// Returns the plan.
    pub fn plan(&self) -> &SealedPlan<'a> {
        &self.plan
    }

    /// Compares the bundle with its record, if it has one and all of its manifests are there: before hours
    /// have gone into the rest of it. Then entries that indexes lack are taken out, if that was asked for:
    /// what is written anew stands in no record.
    ///
    /// # Errors
    ///
    /// The bundle is not what its record says, or not complete, or it takes content for granted that is not
    /// where it goes.
    pub fn check(self, observer: &dyn Observer) -> Result<Self, ImportRefusal> {
        let Self { request, plan, waiting } = self;
        let OpenBundle { layout, record, listed, volumes } = request.bundle;
        if let (Some(record), true) = (record, plan.failures().is_empty()) {
            let outline = plan.outline();
            let differences = layout_differences(record, *layout, listed, &plan)?;
            if !differences.is_empty() {
                return Err(ImportRefusal::Different(differences));
            }
            let elsewhere = volumes.iter().flat_map(|volumes| volumes.lying_elsewhere());
            let elsewhere = elsewhere.map(|blob| &blob.digest).collect();
            let gaps = gaps(*layout, &outline, record, &elsewhere)?;
            if !gaps.is_empty() {
                return Err(ImportRefusal::Incomplete(gaps));
            }
        }
        let plan = match request.sparse_index {
            SparseIndex::Keep | SparseIndex::Refuse => plan,
            SparseIndex::Strip => request.discover(Platforms::Present, observer),
        };
        Self { request, plan, waiting }.guarded()
    }

    /// Looks for all that the bundle takes for granted, before the first byte is written: in the repository
    /// that needs it, by its first byte; what is not there is brought from what repairs the bundle, or else from
    /// the other repositories that the bundle goes to, from where it is mounted or read. So is looked for what lies
    /// in volumes that are missing; what is nowhere waits.
    fn guarded(mut self) -> Result<Self, ImportRefusal> {
        let ImportRequest { bundle, routes, jobs, .. } = self.request;
        let assumed = bundle.record.as_ref().map(Record::assumed).unwrap_or_default();
        let mut assumed: HashSet<&Digest> = assumed.iter().map(|blob| &blob.digest).collect();
        let mut in_volumes: HashSet<&Digest> = HashSet::new();
        if let Some(volumes) = bundle.volumes {
            for blob in volumes.lying_elsewhere() {
                // All parts may have come.
                if volumes.is_asked_about() || bundle.layout.blob_size(&blob.digest)?.is_none() {
                    in_volumes.insert(&blob.digest);
                }
            }
        }
        assumed.extend(&in_volumes);
        if assumed.is_empty() {
            return Ok(self);
        }
        let carried: HashSet<Digest> = bundle.layout.blob_digests()?.into_iter().collect();
        let mut needs = self.plan.needed_by_target(|digest| assumed.contains(digest));
        // What its repository lacks, and where else it is, if the bundle does not carry it.
        let mut lost: HashMap<(Digest, Option<&RepositoryName>), Option<&'a dyn Source>> =
            HashMap::new();
        let mut gaps = BTreeSet::new();
        loop {
            let asked: Vec<_> = needs.by_ref().take(ASKED_AT_ONCE).collect();
            if asked.is_empty() {
                break;
            }
            let found = in_parallel(&asked, jobs, |(blob, target)| -> Result<_> {
                let repository = routes.repository_of(*target);
                Ok((repository, routes.find(blob, repository)?))
            });
            for ((blob, _), found) in asked.into_iter().zip(found) {
                let (repository, held) = found?;
                let Descriptor { digest, size, .. } = blob;
                let source = match held {
                    Held::There => continue,
                    _ if carried.contains(&digest) && !in_volumes.contains(&digest) => None,
                    Held::In(source) => Some(source),
                    Held::Nowhere if in_volumes.contains(&digest) => {
                        self.waiting.insert(digest);
                        continue;
                    }
                    Held::Nowhere => {
                        gaps.insert(BaseGap { digest, size, repository: repository.cloned() });
                        continue;
                    }
                };
                lost.insert((digest, repository), source);
            }
        }
        drop(needs);
        if !gaps.is_empty() {
            return Err(ImportRefusal::BaseAbsent(gaps.into_iter().collect()));
        }
        let waiting = &self.waiting;
        if !waiting.is_empty() {
            self.plan.hold_back(|digest| waiting.contains(digest));
        }
        let key =
            |digest: &Digest, target: &dyn Target| (digest.clone(), routes.repository_of(target));
        self.plan.read_from(|digest, target| lost.get(&key(digest, target)).copied().flatten());
        self.plan.bring_lost(|digest, target| lost.contains_key(&key(digest, target)));
        Ok(self)
    }

    /// Brings all of it to its place.
    ///
    /// # Errors
    ///
    /// The place takes nothing of it.
    pub fn run(&self, observer: &dyn Observer) -> Result<Report, Failure> {
        let ImportRequest { bundle, routes, jobs, .. } = self.request;
        let mut report = self.plan.execute(routes.target.place(), jobs, observer)?;
        if let Some(came) = bundle.layout.stream_stats() {
            count(came, &mut report);
        }
        Ok(report)
    }
}

/// Counts what came through a pipe before the plan was made, which found it there then.
fn count(came: &StreamStats, report: &mut Report) {
    let StreamStats { written, bytes, unverified, .. } = came;
    let needed = (*written).min(report.existed);
    report.existed -= needed;
    report.moved += needed;
    report.bytes += bytes;
    report.unverified.extend(unverified.iter().cloned());
}

/// Returns what is needed, and neither stored in a layout, nor taken for granted, nor `elsewhere`, sorted.
fn gaps(
    layout: &dyn Layout,
    outline: &Outline,
    record: &Record,
    elsewhere: &HashSet<&Digest>,
) -> Result<Vec<Digest>> {
    let mut stored = layout.blob_digests()?;
    stored.sort_unstable();
    let mut assumed: Vec<&Digest> = record.assumed().iter().map(|blob| &blob.digest).collect();
    assumed.sort_unstable();
    let is_there = |digest: &Digest| {
        stored.binary_search(digest).is_ok()
            || assumed.binary_search(&digest).is_ok()
            || elsewhere.contains(digest)
    };
    let needed = outline.nodes().iter().map(|node| &node.digest);
    let missing: BTreeSet<&Digest> = needed.filter(|digest| !is_there(digest)).collect();
    Ok(missing.into_iter().cloned().collect())
}
