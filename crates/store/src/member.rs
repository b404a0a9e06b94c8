//! What belongs to a repository, where the place keeps no account of it.

use std::collections::HashSet;

use longshore_spec::{Descriptor, Digest, Manifest, Role};

use crate::{Error, Repository, Result, walk};

/// How many manifests are read at once.
const JOBS: usize = 4;

/// Looks for a blob in every manifest that can be reached from what `repository` lists, and checks
/// that its content is there.
pub fn find_blob(repository: &(impl Repository + ?Sized), digest: &Digest) -> Result<Descriptor> {
    let not_found = || Error::not_found(digest, format!("{repository:?}"));
    let roots: Vec<_> = repository.roots()?.into_iter().map(|root| root.descriptor).collect();
    let mut seen: HashSet<_> = roots.iter().map(|root| root.digest.clone()).collect();
    let (mut found, mut failure) = (None, None);
    let look = |descriptor: &Descriptor| match repository.child(descriptor) {
        Ok(manifest) => Ok(Some(manifest)),
        // It is absent (row A-13) or no manifest (row A-15): it lists nothing.
        Err(Error::NotFound { .. } | Error::Manifest { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let walked = walk(roots, JOBS, look, |_, manifest| match manifest {
        _ if found.is_some() => Vec::new(),
        Ok(manifest) => manifest.as_ref().map_or_else(Vec::new, |manifest| {
            found = listed(manifest, digest);
            let nested = manifest.children().filter(|(role, _)| *role == Role::Manifest);
            nested
                .map(|(_, child)| child.clone())
                .filter(|child| seen.insert(child.digest.clone()))
                .collect()
        }),
        Err(error) => {
            failure.get_or_insert(error);
            Vec::new()
        }
    });
    if let Some(found) = found {
        repository.open(&found, 0)?;
        return Ok(found);
    }
    if let Some(error) = failure {
        return Err(error);
    }
    walked.map_err(|error| Error::Limit {
        what: format!("{repository:?}"),
        limit: error.to_string(),
    })?;
    Err(not_found())
}

/// Returns what `manifest` says of a blob, if it lists it.
pub(crate) fn listed(manifest: &Manifest, digest: &Digest) -> Option<Descriptor> {
    let mut children = manifest.children().map(|(_, child)| child);
    children.find(|child| child.digest == *digest).cloned()
}
