//! A delta that is read together with what holds its base.

use std::collections::HashSet;
use std::sync::Arc;

use longshore_layout::{Layout, LayoutUnion};
use longshore_spec::Digest;
use longshore_store::{Result, SourcePlace as _};
use longshore_sync::{Outcome, survey};

use crate::Record;

/// A delta with the layouts that hold what it takes for granted, as one layout: all that the delta brings is
/// listed, and not only what is whole in it.
#[derive(Debug)]
pub struct ServedDelta<'a> {
    /// All of it.
    pub layout: LayoutUnion<'a>,
    /// What is taken for granted, and is in none of the layouts.
    pub lacking: HashSet<Digest>,
    /// The artifacts that need any of that, or cannot be read, sorted by name.
    pub not_whole: Vec<String>,
}

impl<'a> ServedDelta<'a> {
    /// Puts a delta and its record together with other layouts. Content is looked for, and not read. Up to `jobs`
    /// manifests are read at once.
    ///
    /// # Errors
    ///
    /// A manifest of the delta cannot be read.
    pub fn open(
        name: &str,
        delta: Arc<dyn Layout + 'a>,
        record: &Record,
        bases: Vec<Arc<dyn Layout + 'a>>,
        jobs: usize,
    ) -> Result<Self> {
        let roots = record.listed_in(&*delta)?;
        let layout = LayoutUnion::new(name, roots.clone(), delta, bases);
        let mut lacking = HashSet::new();
        for blob in record.assumed() {
            if layout.blob_size(&blob.digest)? != Some(blob.size) {
                lacking.insert(blob.digest.clone());
            }
        }
        let mut not_whole = Vec::new();
        if !lacking.is_empty() {
            let whole = layout.whole();
            let mut plan = survey(&whole, &roots, jobs).seal();
            plan.assume(|digest| lacking.contains(digest));
            for (number, root) in plan.roots().iter().enumerate() {
                if plan.is_partial(number) || root.outcome == Outcome::Failed {
                    not_whole.extend(root.names.iter().map(ToString::to_string));
                }
            }
            not_whole.sort_unstable();
        }
        Ok(Self { layout, lacking, not_whole })
    }
}
