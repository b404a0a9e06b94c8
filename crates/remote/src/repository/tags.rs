//! The tags of a repository, and what each stands for.

use std::collections::BTreeMap;

use longshore_spec::{Descriptor, Digest};
use longshore_store::{Error, KnownRoots, Name, Result, Root, Selector, Source as _, in_parallel};

use super::RemoteRepository;
use super::manifest_pull::HeadResult;
use crate::registry::Feature;

/// How many tags are looked up at once.
const LOOKUPS: usize = 8;

/// So many tags are looked up in the same way; what they stand for decides about the next.
const GROUP: usize = 100;

/// Each descriptor with its tags.
type Groups = BTreeMap<(Digest, u64, String), (Descriptor, Vec<Name>)>;

/// What is known of the tags so far.
#[derive(Default)]
struct Tags {
    groups: Groups,
    unknown: Vec<(Name, Error)>,
}

impl RemoteRepository {
    /// Asks by HEAD, which registries do not count as a pull, and by GET for each manifest, since HEAD may
    /// be wrong. As long as every tag has a manifest of its own, HEAD saves nothing, and GET is enough.
    ///
    /// Fails if the registry answers for none of its tags: then the problem is not a tag.
    pub(super) fn tagged_roots(&self) -> Result<KnownRoots> {
        let names = self.names()?;
        let names: Vec<_> =
            names.into_iter().filter(|name| !Digest::is_referrers_tag(name.as_str())).collect();
        let mut tags = Tags::default();
        let mut each_has_its_own = false;
        for some in names.chunks(GROUP) {
            let known = tags.groups.len();
            let rest =
                if each_has_its_own { self.look_up_by_get(some, &mut tags) } else { some.to_vec() };
            // What GET does not answer, HEAD may.
            self.look_up_by_head(&rest, &mut tags);
            each_has_its_own = tags.groups.len() - known == some.len();
        }
        let Tags { groups, mut unknown } = tags;
        let is_of_host = |(_, error): &(Name, Error)| {
            matches!(error, Error::Connection { .. } | Error::Throttled { .. })
        };
        if groups.is_empty() && unknown.iter().all(is_of_host) && !unknown.is_empty() {
            return Err(unknown.swap_remove(0).1);
        }
        let root = |(descriptor, mut names): (Descriptor, Vec<Name>)| {
            names.sort_unstable();
            Root { descriptor, names }
        };
        unknown.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(KnownRoots { roots: groups.into_values().map(root).collect(), unknown })
    }

    /// Looks tags up with one request for each, and returns those that it does not answer.
    fn look_up_by_get(&self, names: &[Name], tags: &mut Tags) -> Vec<Name> {
        let found = in_parallel(names, LOOKUPS, |name| self.get_once(&name.clone().into()));
        let mut rest = Vec::new();
        for (name, found) in names.iter().zip(found) {
            match found {
                Some(descriptor) => add(&mut tags.groups, descriptor, name.clone()),
                None => rest.push(name.clone()),
            }
        }
        rest
    }

    /// Looks tags up by HEAD, and confirms once what it says of several.
    fn look_up_by_head(&self, names: &[Name], tags: &mut Tags) {
        let head_result = in_parallel(names, LOOKUPS, |name| self.head_first(name));
        let (mut by_head, mut by_content) = (Groups::new(), Vec::new());
        for (name, head_result) in names.iter().zip(head_result) {
            match head_result {
                Ok(TagTarget::Said(descriptor)) => add(&mut by_head, descriptor, name.clone()),
                Ok(TagTarget::Is(descriptor)) => by_content.push((name.clone(), descriptor)),
                Err(error) => tags.unknown.push((name.clone(), error)),
            }
        }
        let said: Vec<_> = by_head.into_iter().collect();
        let proven = in_parallel(&said, LOOKUPS, |(key, (descriptor, names))| {
            tags.groups.contains_key(key) || self.is_confirmed(&names[0].clone().into(), descriptor)
        });
        let mut doubtful = Vec::new();
        for ((_, (descriptor, names)), is_confirmed) in said.into_iter().zip(proven) {
            for name in names {
                if is_confirmed {
                    add(&mut tags.groups, descriptor.clone(), name);
                } else {
                    doubtful.push(name);
                }
            }
        }
        let found =
            in_parallel(&doubtful, LOOKUPS, |name| self.head_by_content(&name.clone().into()));
        for (name, found) in doubtful.into_iter().zip(found) {
            match found {
                Ok(descriptor) => by_content.push((name, descriptor)),
                Err(error) => tags.unknown.push((name, error)),
            }
        }
        for (name, descriptor) in by_content {
            add(&mut tags.groups, descriptor, name);
        }
    }

    /// Asks by HEAD what a tag stands for, and by GET if the answer is not clear.
    fn head_first(&self, name: &Name) -> Result<TagTarget> {
        let selector = Selector::Name(name.clone());
        let head_result = self.head_result(&selector)?;
        if let HeadResult::There(said) = head_result {
            return Ok(TagTarget::Said(said));
        }
        let found = self.head_by_content(&selector)?;
        if matches!(head_result, HeadResult::Unknown) {
            self.registry.set_unsupported(Feature::HeadManifest);
        }
        Ok(TagTarget::Is(found))
    }
}

/// What a tag stands for.
enum TagTarget {
    /// By HEAD, which may be wrong.
    Said(Descriptor),
    /// By its content.
    Is(Descriptor),
}

/// Adds a name to the descriptor that it stands for.
fn add(groups: &mut Groups, descriptor: Descriptor, name: Name) {
    let Descriptor { digest, size, media_type, .. } = &descriptor;
    let key = (digest.clone(), *size, media_type.as_str().to_owned());
    groups.entry(key).or_insert_with(|| (descriptor, Vec::new())).1.push(name);
}
