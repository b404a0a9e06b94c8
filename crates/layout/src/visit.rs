//! A look at every manifest that entries of a layout lead to.

use std::collections::HashSet;

use longshore_spec::{Descriptor, Kind, Manifest, Role};
use longshore_store::{Error, Result, walk};

use crate::view::Contents;

/// How many manifests are read at once: they are small, and a cold disk likes company.
const JOBS: usize = 4;

/// Calls `see` with every manifest that can be reached from `entries`, each once. One that is absent
/// says nothing (row A-13); one that is damaged is an error, since what it said is not known.
pub(crate) fn visit<'a>(
    contents: &dyn Contents,
    entries: impl Iterator<Item = &'a Descriptor>,
    mut see: impl FnMut(&Manifest),
) -> Result<()> {
    let mut seen = HashSet::new();
    let mut failure = None;
    let roots = entries.filter(|entry| seen.insert(entry.digest.clone())).cloned().collect();
    let look = |descriptor: &Descriptor| match contents.manifest(descriptor) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Error::NotFound { .. }) => Ok(None),
        // An entry of unknown type may be anything (rows A-15, C-22).
        Err(Error::Manifest { .. } | Error::Limit { .. } | Error::Unverifiable { .. })
            if Kind::of(&descriptor.media_type).is_none() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let walked = walk(roots, JOBS, look, |_, manifest| match manifest {
        Ok(None) => Vec::new(),
        Ok(Some(manifest)) => {
            see(&manifest);
            let nested = manifest.children().filter(|(role, _)| *role == Role::Manifest);
            nested
                .map(|(_, child)| child.clone())
                .filter(|child| seen.insert(child.digest.clone()))
                .collect()
        }
        Err(error) => {
            failure.get_or_insert(error);
            Vec::new()
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    walked.map_err(|error| Error::Limit { what: contents.label(), limit: error.to_string() })
}
