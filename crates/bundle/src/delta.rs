//! Deltas: bundles that take content for granted at their site, and are read by their record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    whole: Box<dyn Source + 'a>,
    /// What is taken for granted, or lies in a volume that need not be there, with its size in bytes.
    assumed: HashMap<&'a Digest, u64>,
    /// What refers to something, by that.
    referrers: HashMap<&'a Digest, BTreeSet<&'a Digest>>,
}

impl<'a> Delta<'a> {
    /// Returns all of a delta.
    pub fn whole(layout: &'a dyn Layout, record: &'a Record) -> Self {
        Self::new(layout, record, None)
    }

    /// Returns the repository of a delta that a layout would call `repository`; all of it without one.
    pub(crate) fn new(
        layout: &'a dyn Layout,
        record: &'a Record,
        repository: Option<&str>,
    ) -> Self {
        let is_here = |reference: &str| {
            let Some(repository) = repository else { return true };
            let reference = reference.parse::<Reference>();
            reference.is_ok_and(|reference| repository_key(&reference) == repository)
        };
        let here = record.roots.iter().filter(|root| is_here(&root.reference));
        let here: HashSet<&Digest> = here.flat_map(|root| &root.referrers).collect();
        let mut referrers: HashMap<&Digest, BTreeSet<&Digest>> = HashMap::new();
        for referrer in &record.referrers {
            if here.contains(&referrer.digest) {
                referrers.entry(&referrer.subject).or_default().insert(&referrer.digest);
            }
        }
        // What lies in a volume may not be there either.
        let in_volumes = record.blobs.iter().filter(|blob| blob.volumes().next().is_some());
        let assumed = record.assumed().iter().chain(in_volumes);
        let assumed = assumed.map(|blob| (&blob.digest, blob.size)).collect();
        Self { whole: layout.whole(), assumed, referrers }
    }

    /// Returns the error of content that is taken for granted, and was not found where it goes.
    fn absent(&self, digest: &Digest) -> Error {
        Error::not_found(digest, format!("{:?}, which takes it for granted", self.whole))
    }
}

impl Source for Delta<'_> {
    fn head(&self, selector: &Selector) -> Result<Descriptor> {
        self.whole.head(selector)
    }

    fn manifest(&self, selector: &Selector) -> Result<Manifest> {
        self.whole.manifest(selector)
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
        self.whole.names()
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
