//! One look at a manifest: what it is, and whether the filter takes it.

use std::collections::{HashSet, VecDeque};

use longshore_spec::artifact_type::{ArtifactType, Family, TypeFilter};
use longshore_spec::{
    Descriptor, Digest, Kind, Manifest, ManifestContent, ManifestError, MediaType, Platform,
};
use longshore_store::{
    Error, MAX_DEPTH, Name, Result, Selector, Source, Subject, Target, describe,
};

use super::referrers::Attached;
use super::signatures::SignatureTags;
use super::{Origin, Step, Trust};
use crate::{Filter, Platforms, Referring, RootRequest};

/// What a look at a manifest found.
pub(super) struct Inspection {
    pub(super) found: Result<Resolved>,
    pub(super) attached: Attached,
    /// An index in whose place one of its entries is taken, and what refers to it: that stays behind.
    pub(super) left_behind: Option<(Digest, Attached)>,
    /// Entries of an index that the source does not have, if that is asked for.
    pub(super) absent: HashSet<Digest>,
    /// What was there before the filter chose within it.
    pub(super) origin: Option<Digest>,
    /// Whether the target is trusted to have it, and all that it refers to.
    pub(super) trusted: bool,
}

impl Inspection {
    /// Says why nothing could be seen.
    pub(super) fn failed(error: Error) -> Self {
        Self {
            found: Err(error),
            attached: Attached::default(),
            left_behind: None,
            absent: HashSet::new(),
            origin: None,
            trusted: false,
        }
    }
}

pub(super) enum Resolved {
    Manifest(Box<Manifest>),
    /// A manifest that the target has under the same names, and that need not be looked into.
    Unchanged(Descriptor),
    /// Content of a type that is not known, and that is no manifest (rows A-15, C-22).
    Opaque(Descriptor),
    /// The filter does not take it; what it is in a word.
    Unwanted(Descriptor, String),
}

impl Resolved {
    fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Manifest(manifest) => manifest.descriptor(),
            Self::Unchanged(descriptor)
            | Self::Opaque(descriptor)
            | Self::Unwanted(descriptor, _) => descriptor,
        }
    }
}

/// Looks into one manifest; runs beside others.
pub(super) fn inspect(
    source: &dyn Source,
    target: Option<&dyn Target>,
    tags: &SignatureTags,
    step: &Step,
    filter: &Filter,
) -> Inspection {
    let said = by_heads(source, target, step, filter);
    let fetched = match &said {
        Said::Unchanged(descriptor) => Ok(Resolved::Unchanged(descriptor.clone())),
        Said::Changed | Said::Nothing => fetch(source, &step.request),
    };
    let origin = fetched.as_ref().ok().map(|found| found.descriptor().digest.clone());
    let found = fetched.and_then(|found| match (step.origin, &filter.referrers) {
        (Origin::Root(_), _) => choose(source, found, &filter.types, &filter.platforms),
        (Origin::Referrer(_), Referring::Taken(types)) => {
            choose(source, found, types, &Platforms::All)
        }
        _ => Ok(found),
    });
    let mut seen = Inspection {
        found,
        attached: Attached::default(),
        left_behind: None,
        absent: HashSet::new(),
        origin,
        trusted: false,
    };
    if let Ok(Resolved::Unchanged(descriptor)) = &seen.found {
        seen.trusted = true;
        seen.attached = attached(source, tags, step, filter, &descriptor.digest, true);
    }
    if let Ok(Resolved::Manifest(manifest)) = &seen.found {
        if let (Origin::Root(_), Platforms::Present | Platforms::Stripped(_)) =
            (step.origin, &filter.platforms)
        {
            seen.absent = absent(source, manifest, &filter.platforms);
        }
        let Descriptor { digest, .. } = manifest.descriptor();
        seen.trusted = match (&step.trust, said) {
            (Trust::No, _) | (Trust::IfListed(_), Said::Changed) => false,
            (Trust::Yes, _) => true,
            // One that does not answer is asked again for everything, and then it is told.
            (Trust::IfListed(names), _) => target
                .is_some_and(|target| target.lists(manifest.descriptor(), names).unwrap_or(false)),
        };
        seen.attached = attached(source, tags, step, filter, digest, seen.trusted);
        let repository = step.route.repository.as_deref();
        if let (Referring::Counted | Referring::Taken(_), Some(index)) =
            (&filter.referrers, seen.origin.as_ref().filter(|origin| *origin != digest))
        {
            let referrers = source.referrers(index).ok().map(Ok);
            let signatures = tags.of_repository(source, index, repository);
            seen.left_behind = Some((index.clone(), Attached { referrers, signatures }));
        }
    }
    seen
}

/// What HEAD says of a root, on either side.
enum Said {
    /// Nothing that would do.
    Nothing,
    /// The target does not have it under its names, whatever it is.
    Changed,
    /// The target has it under all of its names.
    Unchanged(Descriptor),
}

/// Finds out by HEAD alone whether the target has a root under the same names already, where it may be trusted
/// then. Registries do not count HEAD as a pull. Both sides are asked at once: where nothing has changed, that is
/// all there is to do, and most of it is waiting.
///
/// What is chosen by what is in it has to be looked into, and so has an index if what refers to its entries is
/// wanted.
fn by_heads(
    source: &dyn Source,
    target: Option<&dyn Target>,
    step: &Step,
    filter: &Filter,
) -> Said {
    let (
        Trust::IfListed(names),
        RootRequest::Selector(selector @ Selector::Name(_)),
        Platforms::All | Platforms::Sparse(_),
    ) = (&step.trust, &step.request, &filter.platforms)
    else {
        return Said::Nothing;
    };
    let Some((first, others)) = names.split_first() else { return Said::Nothing };
    let Some(target) = target.filter(|_| filter.types == TypeFilter::default()) else {
        return Said::Nothing;
    };
    let (there, found) = std::thread::scope(|scope| {
        let found = scope.spawn(|| source.unconfirmed_head(selector));
        (target.stands_for(first), found.join())
    });
    let there = match there {
        Ok(Some(digest)) => digest,
        Ok(None) => return Said::Changed,
        Err(_) => return Said::Nothing,
    };
    let is_there = |name: &Name| {
        target.stands_for(name).is_ok_and(|other| other.is_some_and(|other| other == there))
    };
    let Ok(Ok(found)) = found else { return Said::Nothing };
    if found.digest != there || !others.iter().all(is_there) {
        return Said::Changed;
    }
    let looks_within = matches!(filter.referrers, Referring::Taken(_));
    match Kind::of(&found.media_type) {
        Some(Kind::Image) => Said::Unchanged(found),
        Some(Kind::Index) if !looks_within => Said::Unchanged(found),
        _ => Said::Nothing,
    }
}

/// Returns what is attached to a manifest, as far as that is wanted.
fn attached(
    source: &dyn Source,
    tags: &SignatureTags,
    step: &Step,
    filter: &Filter,
    digest: &Digest,
    is_trusted: bool,
) -> Attached {
    let referrers = match filter.referrers {
        Referring::Ignored => None,
        Referring::Counted if is_trusted => None,
        // Nobody asked for them, so nobody is told that they cannot be listed.
        Referring::Counted => source.referrers(digest).ok().map(Ok),
        Referring::Taken(_) => Some(source.referrers(digest)),
    };
    let signatures = tags.of_repository(source, digest, step.route.repository.as_deref());
    let signatures = match filter.referrers {
        Referring::Taken(_) => signatures,
        // As above.
        Referring::Ignored | Referring::Counted => Ok(signatures.unwrap_or_default()),
    };
    Attached { referrers, signatures }
}

/// Returns those entries of an index that would be taken, that a source does not have, and that say what
/// they are for, so that they may be missing (row A-13).
fn absent(source: &dyn Source, manifest: &Manifest, platforms: &Platforms) -> HashSet<Digest> {
    let ManifestContent::Index(index) = manifest.content() else { return HashSet::new() };
    let is_absent = |entry: &&Descriptor| {
        let head = || source.head(&Selector::Digest(entry.digest.clone()));
        entry.platform.is_some() && head().is_err_and(|error| error.is_not_found())
    };
    let chosen = platforms.choose(index, true).into_iter();
    chosen.filter(is_absent).map(|entry| entry.digest.clone()).collect()
}

/// Fetches a manifest, or finds that it is none although it is listed as if it were one (rows A-15,
/// C-22).
fn fetch(source: &dyn Source, request: &RootRequest) -> Result<Resolved> {
    let manifest = match request {
        RootRequest::Selector(selector) => source.manifest(selector),
        RootRequest::Listed(descriptor) => source.child(descriptor),
    };
    let error = match manifest {
        Ok(manifest) => return Ok(Resolved::Manifest(Box::new(manifest))),
        Err(error) => error,
    };
    // Some places keep manifests and other content apart, and do not find the other.
    let is_no_manifest = match &error {
        Error::Manifest { source, .. } => *source != ManifestError::Schema1,
        Error::Limit { .. } | Error::Unverifiable { .. } => true,
        Error::NotFound { .. } => matches!(request, RootRequest::Listed(_)),
        _ => false,
    };
    if !is_no_manifest {
        return Err(error);
    }
    let descriptor = match request {
        RootRequest::Selector(selector) => source.head(selector)?,
        RootRequest::Listed(descriptor) => descriptor.clone(),
    };
    // What claims to be a manifest has to be one.
    if claims_to_be_manifest(&descriptor.media_type)
        || (error.is_not_found() && source.open(&descriptor, 0).is_err())
    {
        return Err(error);
    }
    Ok(Resolved::Opaque(descriptor))
}

fn claims_to_be_manifest(media_type: &MediaType) -> bool {
    let schema1 = [MediaType::DOCKER_SCHEMA1, MediaType::DOCKER_SCHEMA1_SIGNED];
    Kind::of(media_type).is_some() || schema1.iter().any(|text| media_type.is(text))
}

/// Applies the filter to a root: by type, and by platform where one takes the place of an index.
fn choose(
    source: &dyn Source,
    found: Resolved,
    types: &TypeFilter,
    platforms: &Platforms,
) -> Result<Resolved> {
    let manifest = match found {
        Resolved::Manifest(manifest) => manifest,
        Resolved::Opaque(descriptor) => {
            let artifact_type = ArtifactType::declared_as(&descriptor.media_type);
            return Ok(if types.admits(&artifact_type) {
                Resolved::Opaque(descriptor)
            } else {
                Resolved::Unwanted(descriptor, artifact_type.name().to_owned())
            });
        }
        Resolved::Unchanged(_) | Resolved::Unwanted(..) => return Ok(found),
    };
    if !admits(source, &manifest, types)? {
        let name = ArtifactType::of(&manifest).name().to_owned();
        return Ok(Resolved::Unwanted(manifest.descriptor().clone(), name));
    }
    check_platform(source, &manifest, platforms.wanted())?;
    Ok(Resolved::Manifest(match platforms {
        Platforms::One(platform) => pick(source, manifest, platform)?,
        _ => manifest,
    }))
}

/// Fails for a container image without an index that is for none of the platforms that are wanted. What
/// does not say what it is for, and what is no container image, is taken as it is.
fn check_platform(source: &dyn Source, manifest: &Manifest, wanted: &[Platform]) -> Result<()> {
    let is_image = || describe::artifact_type(source, manifest).family() == Some(Family::Image);
    if wanted.is_empty() || !matches!(manifest.content(), ManifestContent::Image(_)) || !is_image()
    {
        return Ok(());
    }
    let offered = describe::platforms(source, manifest);
    let is_wanted = |offered: &Platform| wanted.iter().any(|wanted| wanted.accepts(offered));
    if offered.is_empty() || offered.iter().any(is_wanted) {
        return Ok(());
    }
    let digest = &manifest.descriptor().digest;
    let place = format!("the image {digest}, which is for {}", listed(&offered));
    Err(Error::not_found(Subject::Platforms(wanted.to_vec()), place))
}

/// Tells whether a root is of a type that is wanted.
///
/// An index that declares no type is what it holds (rows D-02, I-03): it is wanted if anything in
/// it is, and it is not if everything in it is excluded. Attestations do not count, they say
/// something about the rest (row B-17).
fn admits(source: &dyn Source, manifest: &Manifest, types: &TypeFilter) -> Result<bool> {
    let own = ArtifactType::of(manifest);
    if own.name() != ArtifactType::INDEX || *types == TypeFilter::default() || types.excludes(&own)
    {
        return Ok(types.admits(&own));
    }
    let mut left = Entries::of(manifest);
    let (mut any, mut all_excluded) = (false, true);
    while let Some(entry) = left.next()? {
        if entry.platform.as_deref().is_some_and(Platform::is_unknown) {
            continue;
        }
        let artifact_type = match fetch(source, &RootRequest::Listed(entry)) {
            Ok(Resolved::Manifest(child))
                if ArtifactType::of(&child).name() == ArtifactType::INDEX =>
            {
                left.enter(&child);
                continue;
            }
            Ok(Resolved::Manifest(child)) => ArtifactType::of(&child),
            Ok(
                Resolved::Unchanged(entry) | Resolved::Opaque(entry) | Resolved::Unwanted(entry, _),
            ) => ArtifactType::declared_as(&entry.media_type),
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        if types.admits(&artifact_type) {
            return Ok(true);
        }
        any = true;
        all_excluded &= types.excludes(&artifact_type);
    }
    Ok(types.admits(&own) && !(any && all_excluded))
}

/// Returns what is for `wanted` in place of an index: the first entry for it (row B-16), or that of
/// an index within. What is no index, and an index in which nothing says what it is for, is taken
/// as it is.
fn pick(source: &dyn Source, manifest: Box<Manifest>, wanted: &Platform) -> Result<Box<Manifest>> {
    let mut left = Entries::default();
    let mut offered = Vec::new();
    let mut current = manifest.clone();
    loop {
        let ManifestContent::Index(index) = current.content() else { return Ok(current) };
        let platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_deref());
        offered.extend(platforms.filter(|platform| !platform.is_unknown()).cloned());
        let is_offered = |entry: &&Descriptor| {
            entry.platform.as_deref().is_some_and(|platform| wanted.accepts(platform))
        };
        // An index within an index has no platform of its own.
        let is_nested = |entry: &&Descriptor| {
            entry.platform.is_none() && Kind::of(&entry.media_type) == Some(Kind::Index)
        };
        match index.manifests.iter().find(is_offered) {
            Some(entry) => left.only(entry),
            None => left.add(index.manifests.iter().filter(is_nested)),
        }
        match left.next()? {
            Some(entry) => current = Box::new(source.child(&entry)?),
            None if offered.is_empty() => return Ok(manifest),
            None => return Err(no_platform(&manifest, &offered, std::slice::from_ref(wanted))),
        }
    }
}

/// Says which platforms there are in place of the ones that are wanted.
pub(super) fn no_platform(manifest: &Manifest, offered: &[Platform], wanted: &[Platform]) -> Error {
    let digest = &manifest.descriptor().digest;
    Error::not_found(
        Subject::Platforms(wanted.to_vec()),
        format!("the index {digest}, which has {}", listed(offered)),
    )
}

fn listed(platforms: &[Platform]) -> String {
    let texts: Vec<_> = platforms.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

/// Entries of an index and of those within it that are still to be looked at, each once.
#[derive(Default)]
struct Entries {
    left: VecDeque<(Descriptor, usize)>,
    seen_referrers: HashSet<Digest>,
    depth: usize,
}

impl Entries {
    fn of(manifest: &Manifest) -> Self {
        let mut entries = Self::default();
        entries.enter(manifest);
        entries
    }

    /// Adds the entries of an index.
    fn enter(&mut self, manifest: &Manifest) {
        if let ManifestContent::Index(index) = manifest.content() {
            self.add(index.manifests.iter());
        }
    }

    /// Adds entries of the one that came last.
    fn add<'e>(&mut self, entries: impl Iterator<Item = &'e Descriptor>) {
        for entry in entries {
            if self.seen_referrers.insert(entry.digest.clone()) {
                self.left.push_back((entry.clone(), self.depth + 1));
            }
        }
    }

    /// Forgets all others.
    fn only(&mut self, entry: &Descriptor) {
        self.left.clear();
        self.left.push_back((entry.clone(), self.depth + 1));
    }

    fn next(&mut self) -> Result<Option<Descriptor>> {
        let Some((entry, depth)) = self.left.pop_front() else { return Ok(None) };
        if depth > MAX_DEPTH {
            let what = format!("the nesting of {}", entry.digest);
            return Err(Error::Limit { what, limit: format!("{MAX_DEPTH} levels") });
        }
        self.depth = depth;
        Ok(Some(entry))
    }
}
