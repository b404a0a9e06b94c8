//! What names stand for at one moment, by whatever says so; and how two moments differ.

mod contents;

use std::collections::BTreeMap;

use longshore_spec::{Digest, Reference};

pub use self::contents::{Amount, Contents};
use crate::{Lock, Mapping, Receipt, Record};

/// What names stand for, and the content behind them, as a lock, a bundle, a receipt or a place says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// What each name stands for: full references, or `REPOSITORY:TAG` where no registry is known.
    pub names: BTreeMap<String, Digest>,
    /// All content; `None` where nothing says how long it is, as in a lock.
    pub contents: Option<Contents>,
}

/// How one snapshot differs from an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotDifference {
    /// Names that are new.
    pub added: Vec<NameDifference>,
    /// Names that stand for something else.
    pub moved: Vec<NameDifference>,
    /// Names that are gone.
    pub removed: Vec<NameDifference>,
    /// The content that is new, if both say what they hold.
    pub new_content: Option<Amount>,
    /// The content that is gone, likewise.
    pub old_content: Option<Amount>,
}

/// A name that does not stand for what it stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameDifference {
    /// The name.
    pub name: String,
    /// What it stood for; `None` for one that is new, or if only the name is known.
    pub from: Option<Digest>,
    /// What it stands for; `None` for one that is gone.
    pub to: Option<Digest>,
    /// The bytes that it needs and that were not there, what other names need, too, among them. `None` for a name that
    /// is gone, and if that is not known.
    pub bytes: Option<u64>,
}

impl Snapshot {
    /// Returns what a lock says. It does not say how long content is.
    pub fn of_lock(lock: &Lock) -> Self {
        let names = lock.artifacts().map(|(name, locked)| (name.to_owned(), locked.digest.clone()));
        Self { names: names.collect(), contents: None }
    }

    /// Returns what a bundle brings by its record: what it carries, and what it takes for granted.
    pub fn of_record(record: &Record) -> Self {
        let roots = record.roots.iter().map(|root| (root.reference.clone(), root.digest.clone()));
        let referrers = record
            .referrers
            .iter()
            .filter_map(|referrer| Some((referrer.reference.clone()?, referrer.digest.clone())));
        let blobs = record.blobs.iter().chain(record.assumed());
        let blobs = blobs.map(|blob| (&blob.digest, blob.size));
        Self { names: roots.chain(referrers).collect(), contents: Some(blobs.collect()) }
    }

    /// Returns what a site holds by its receipt. Names are without a registry.
    pub fn of_receipt(receipt: &Receipt) -> Self {
        let mut names = BTreeMap::new();
        for repository in &receipt.repositories {
            for manifest in &repository.manifests {
                for tag in &manifest.tags {
                    let name = match &repository.name {
                        Some(repository) => format!("{repository}:{tag}"),
                        None => tag.to_string(),
                    };
                    names.insert(name, manifest.digest.clone());
                }
            }
        }
        Self { names, contents: Some(receipt.contents().into_iter().collect()) }
    }

    /// Returns the snapshot with the names that `mapping` makes of its full references. A name that is
    /// none stays as it is.
    ///
    /// # Errors
    ///
    /// What the mapping makes of a name is no reference; in words.
    pub fn mapped(self, mapping: &Mapping) -> Result<Self, String> {
        let names = self.names.into_iter().map(|(name, digest)| match name.parse::<Reference>() {
            Ok(reference) => Ok((mapping.map(&reference)?.to_string(), digest)),
            Err(_) => Ok((name, digest)),
        });
        let names = names.collect::<Result<_, String>>()?;
        Ok(Self { names, ..self })
    }

    /// Returns the snapshot with names without their registries, as receipts have them.
    #[must_use]
    pub fn without_registries(self) -> Self {
        let names = self.names.into_iter().map(|(name, digest)| {
            let short = name.parse::<Reference>().ok().and_then(|reference| {
                let rest = name.strip_prefix(reference.registry())?.strip_prefix('/')?;
                Some(rest.to_owned())
            });
            (short.unwrap_or(name), digest)
        });
        Self { names: names.collect(), ..self }
    }

    /// Returns how this differs from what was `before`.
    pub fn difference(&self, before: &Self) -> SnapshotDifference {
        let mut difference = SnapshotDifference::default();
        let contents = self.contents.as_ref().zip(before.contents.as_ref());
        let mut costs = contents.map(|(now, was)| now.costs_beyond(was));
        let mut changed =
            |name: &String, from: Option<&Digest>, to: Option<&Digest>| NameDifference {
                name: name.clone(),
                from: from.cloned(),
                to: to.cloned(),
                bytes: to.and_then(|to| costs.as_mut()?.of(to)),
            };
        for (name, now) in &self.names {
            match before.names.get(name) {
                None => difference.added.push(changed(name, None, Some(now))),
                Some(was) if was != now => {
                    difference.moved.push(changed(name, Some(was), Some(now)));
                }
                Some(_) => {}
            }
        }
        let gone = before.names.iter().filter(|(name, _)| !self.names.contains_key(*name));
        difference.removed = gone.map(|(name, was)| changed(name, Some(was), None)).collect();
        if let Some((now, was)) = contents {
            difference.new_content = Some(now.beyond(was));
            difference.old_content = Some(was.beyond(now));
        }
        difference
    }
}

impl SnapshotDifference {
    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        let Self { added, moved, removed, new_content, old_content } = self;
        let is_nothing = |amount: &Option<Amount>| amount.is_none_or(|amount| amount.blobs == 0);
        added.is_empty()
            && moved.is_empty()
            && removed.is_empty()
            && is_nothing(new_content)
            && is_nothing(old_content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(content: &str) -> Digest {
        Digest::sha256(content.as_bytes())
    }

    fn snapshot(names: &[(&str, &str)], contents: &[&str]) -> Snapshot {
        let names = names.iter().map(|(name, content)| ((*name).to_owned(), digest(content)));
        let mut all = Contents::default();
        for content in contents {
            all.add(&digest(content), content.len() as u64);
        }
        Snapshot { names: names.collect(), contents: Some(all) }
    }

    #[test]
    fn names_are_added_moved_and_removed() {
        let before = snapshot(&[("a:1", "one"), ("a:2", "two"), ("a:3", "three")], &["one", "two"]);
        let now = snapshot(&[("a:1", "one"), ("a:2", "other"), ("a:4", "four")], &["one", "four"]);
        let difference = now.difference(&before);
        let changed = |name: &str, from: Option<&str>, to: Option<&str>| NameDifference {
            name: name.to_owned(),
            from: from.map(digest),
            to: to.map(digest),
            bytes: None,
        };
        assert_eq!(difference.added, [changed("a:4", None, Some("four"))]);
        assert_eq!(difference.moved, [changed("a:2", Some("two"), Some("other"))]);
        assert_eq!(difference.removed, [changed("a:3", Some("three"), None)]);
        assert_eq!(difference.new_content, Some(Amount { blobs: 1, bytes: 4 }));
        assert_eq!(difference.old_content, Some(Amount { blobs: 1, bytes: 3 }));
        assert!(!difference.is_empty());
        assert!(now.difference(&now).is_empty());
    }

    #[test]
    fn a_name_costs_what_it_needs_and_was_not_there() {
        let before = snapshot(&[("a:1", "image one")], &["image one", "base"]);
        let names =
            [("a:1", "image one"), ("a:2", "image two"), ("a:3", "image three"), ("a:4", "?")];
        let mut now = snapshot(&names, &["image one", "base"]);
        let contents = now.contents.as_mut().unwrap();
        for content in ["image two", "image three", "layer", "rest"] {
            contents.add(&digest(content), content.len() as u64);
        }
        contents.refer(&digest("image two"), [&digest("base"), &digest("layer")]);
        contents
            .refer(&digest("image three"), [&digest("layer"), &digest("layer"), &digest("rest")]);
        let difference = now.difference(&before);
        let costs: Vec<_> = difference.added.iter().map(|added| added.bytes).collect();
        assert_eq!(costs, [Some(9 + 5), Some(11 + 5 + 4), None]);
        assert_eq!(difference.new_content, Some(Amount { blobs: 4, bytes: 9 + 11 + 5 + 4 }));
    }

    #[test]
    fn what_says_nothing_of_content_differs_by_names_alone() {
        let before = Snapshot { contents: None, ..snapshot(&[("a:1", "one")], &[]) };
        let difference = snapshot(&[("a:1", "one")], &["one"]).difference(&before);
        assert_eq!((difference.new_content, difference.is_empty()), (None, true));
    }

    #[test]
    fn names_of_a_receipt_meet_full_ones() {
        let full = snapshot(&[("host.example:5000/a/b:1", "one"), ("no name at all", "x")], &[]);
        let names: Vec<_> = full.without_registries().names.into_keys().collect();
        assert_eq!(names, ["a/b:1", "no name at all"]);
        let rule = "docker.io/=site.local/hub/".parse().unwrap();
        let mapping = Mapping::new(vec![rule], None);
        let mapped = snapshot(&[("docker.io/library/a:1", "one")], &[]).mapped(&mapping).unwrap();
        assert_eq!(mapped.names.into_keys().collect::<Vec<_>>(), ["site.local/hub/library/a:1"]);
    }
}
