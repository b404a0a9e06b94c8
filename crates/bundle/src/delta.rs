//! Deltas: bundles that take content for granted at their site, and are read by their record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use longshore_layout::Layout;
use longshore_spec::{Descriptor, Digest, Manifest, MediaType, Reference, host_as_path};
use longshore_store::{AnsweredBy, Error, Name, Reader, Referrers, Result, Root, Selector, Source};

use crate::{Receipt, Record, RecordedBlob};

/// What a bundle takes for granted at its site: what all of some receipts and earlier bundles hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The ids of the bundles and the checksums of the receipts, sorted.
    pub(crate) ids: Vec<Digest>,
    contents: HashSet<Digest>,
}

impl Base {
    /// Returns what a site holds that has imported a bundle: what that carried, and what it took for granted.
    pub fn of_record(record: &Record) -> Self {
        let contents = record.blobs.iter().chain(record.assumed()).map(|blob| blob.digest.clone());
        Self { ids: vec![record.id()], contents: contents.collect() }
    }

    /// Returns what a receipt says.
    pub fn of_receipt(receipt: &Receipt) -> Self {
        let contents = receipt.contents().into_keys().cloned().collect();
        Self { ids: vec![receipt.checksum()], contents }
    }

    /// Returns what a site holds at this moment, by no file that could be named.
    pub(crate) fn of_digests<'d>(digests: impl Iterator<Item = &'d Digest>) -> Self {
        Self { ids: Vec::new(), contents: digests.cloned().collect() }
    }

    /// Returns what all of these hold: one bundle for several sites. `None` if there are none.
    pub fn common(bases: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut common = bases.into_iter().reduce(|mut common, other| {
            common.contents.retain(|digest| other.contents.contains(digest));
            common.ids.extend(other.ids);
            common
        })?;
        common.ids.sort_unstable();
        common.ids.dedup();
        Some(common)
    }

    /// Returns what a bundle takes for granted and this does not hold.
    pub fn lacks<'r>(&self, record: &'r Record) -> impl Iterator<Item = &'r RecordedBlob> {
        record.assumed().iter().filter(|blob| !self.holds(&blob.digest))
    }

    /// Tells whether the site holds this.
    pub fn holds(&self, digest: &Digest) -> bool {
        self.contents.contains(digest)
    }
}

impl Record {
    /// Returns what a delta in `layout` brings, as a layout would list it: `index.json` lists only what is
    /// whole there.
    ///
    /// # Errors
    ///
    /// A manifest of the delta cannot be read.
    pub fn listed_in(&self, layout: &dyn Layout) -> Result<Vec<Root>> {
        let sizes: HashMap<&Digest, u64> =
            self.blobs.iter().map(|blob| (&blob.digest, blob.size)).collect();
        let size = |digest: &Digest| sizes.get(digest).copied().unwrap_or_default();
        let mut names: BTreeMap<(&Digest, &str), BTreeSet<Name>> = BTreeMap::new();
        for root in &self.roots {
            let key = (&root.digest, root.media_type.as_str());
            names.entry(key).or_default().insert(Name::new(root.reference.clone()));
        }
        let root = |((digest, media_type), names): ((&Digest, &str), BTreeSet<Name>)| Root {
            descriptor: Descriptor::new(MediaType::new(media_type), digest.clone(), size(digest)),
            names: names.into_iter().collect(),
        };
        let mut listed: Vec<Root> = names.into_iter().map(root).collect();
        let whole = layout.whole();
        for referrer in &self.referrers {
            let descriptor = whole.head(&Selector::Digest(referrer.digest.clone()))?;
            let names = referrer.reference.clone().map(Name::new);
            listed.push(Root { descriptor, names: names.into_iter().collect() });
        }
        // As `index.json` has them: by name, and those without one last.
        listed.sort_by(|a, b| (a.names.is_empty(), &a.names).cmp(&(b.names.is_empty(), &b.names)));
        Ok(listed)
    }
}

/// A delta, or a repository of it, as its record says it: its layout lists only what is whole in it.
#[derive(Debug)]
pub struct Delta<'a> {
    layout: &'a dyn Layout,
    whole: Box<dyn Source + 'a>,
    record: &'a Record,
    /// Whether all of the delta is meant, and not one of its repositories.
    is_whole: bool,
    /// What is taken for granted, or lies in a volume that need not be there, with its size in bytes; shared by all
    /// repositories.
    assumed: Arc<HashMap<&'a Digest, u64>>,
    /// What refers to something, by that.
    referrers: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
}

impl<'a> Delta<'a> {
    /// Returns all of a delta. It lists what the record names, whole or not.
    pub fn whole(layout: &'a dyn Layout, record: &'a Record) -> Self {
        // What lies in a volume may not be there either.
        let in_volumes = record.blobs.iter().filter(|blob| blob.volumes().next().is_some());
        let assumed = record.assumed().iter().chain(in_volumes);
        let assumed = assumed.map(|blob| (&blob.digest, blob.size)).collect();
        let referrers = referrers(record, |_| true);
        Self {
            layout,
            whole: layout.whole(),
            record,
            is_whole: true,
            assumed: Arc::new(assumed),
            referrers,
        }
    }

    /// Returns the repository of a delta that a layout would call `repository`.
    pub(crate) fn repository(&self, repository: &str) -> Self {
        let is_here = |reference: &str| {
            let reference = reference.parse::<Reference>();
            reference.is_ok_and(|reference| repository_key(&reference) == repository)
        };
        Self {
            whole: self.layout.whole(),
            is_whole: false,
            assumed: Arc::clone(&self.assumed),
            referrers: referrers(self.record, is_here),
            ..*self
        }
    }

    /// Returns what the record says that a name stands for.
    fn named(&self, name: &str) -> Option<&'a Digest> {
        let roots = self.record.roots.iter().map(|root| (Some(&root.reference), &root.digest));
        let attached = self.record.referrers.iter().map(|of| (of.reference.as_ref(), &of.digest));
        let mut found =
            roots.chain(attached).filter(|(known, _)| known.is_some_and(|known| known == name));
        found.next().map(|(_, digest)| digest)
    }

    /// Returns the error of content that is taken for granted, and was not found where it goes.
    fn absent(&self, digest: &Digest) -> Error {
        Error::not_found(digest, format!("{:?}, which takes it for granted", self.whole))
    }
}

/// Returns what refers to something, by that, as far as it came along for a root that `is_here`.
fn referrers(
    record: &Record,
    is_here: impl Fn(&str) -> bool,
) -> HashMap<&Digest, BTreeSet<&Digest>> {
    let here = record.roots.iter().filter(|root| is_here(&root.reference));
    let here: HashSet<&Digest> = here.flat_map(|root| &root.referrers).collect();
    let mut referrers: HashMap<&Digest, BTreeSet<&Digest>> = HashMap::new();
    for referrer in &record.referrers {
        if here.contains(&referrer.digest) {
            referrers.entry(&referrer.subject).or_default().insert(&referrer.digest);
        }
    }
    referrers
}

impl Source for Delta<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        match selector {
            Selector::Name(name)
                if self.is_whole
                    && let Some(digest) = self.named(name.as_str()) =>
            {
                self.whole.head(&Selector::Digest(digest.clone()))
            }
            _ => self.whole.head(selector),
        }
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        match selector {
            Selector::Name(_) => {
                self.whole.manifest(&Selector::Digest(self.head(selector)?.digest))
            }
            Selector::Digest(_) => self.whole.manifest(selector),
        }
    }

    fn child(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.whole.child(descriptor)
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        match self.whole.open(blob, offset) {
            Err(error) if error.is_not_found() && self.assumed.contains_key(&blob.digest) => {
                Err(self.absent(&blob.digest))
            }
            opened => opened,
        }
    }

    fn size(&self, blob: &Descriptor) -> Result<u64> {
        match self.assumed.get(&blob.digest) {
            Some(size) => Ok(*size),
            None => self.whole.size(blob),
        }
    }

    fn names(&self) -> Result<Vec<Name>> {
        if !self.is_whole {
            return self.whole.names();
        }
        let roots = self.record.roots.iter().map(|root| &root.reference);
        let attached = self.record.referrers.iter().filter_map(|of| of.reference.as_ref());
        let names: BTreeSet<Name> = roots.chain(attached).cloned().map(Name::new).collect();
        Ok(names.into_iter().collect())
    }

    fn roots(&self) -> Result<Vec<Root>> {
        if self.is_whole { self.record.listed_in(self.layout) } else { self.whole.roots() }
    }

    fn referrers(&self, subject: &Digest) -> Result<Referrers> {
        let found = self.referrers.get(subject).into_iter().flatten();
        let entries = found.map(|digest| {
            let manifest = self.whole.manifest(&Selector::Digest((*digest).clone()))?;
            Ok(manifest.as_referrer())
        });
        Ok(Referrers { entries: entries.collect::<Result<_>>()?, answered_by: AnsweredBy::Place })
    }
}

/// Returns the name under which a layout has the repository of a reference: the port of its host stands
/// behind `_`.
pub(crate) fn repository_key(reference: &Reference) -> String {
    format!("{}/{}", host_as_path(reference.registry()), reference.repository())
}
