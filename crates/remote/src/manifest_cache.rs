//! Manifests that were read to check what HEAD said, for whoever asks for them next.

use std::collections::HashMap;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, RepositoryName};

/// So many bytes are kept. Manifests beyond that are fetched again.
const MOST_BYTES: usize = 16 << 20;

/// Registry, repository and digest of a manifest.
pub(crate) type Key = (String, RepositoryName, Digest);

/// The cached manifests.
#[derive(Debug, Default)]
pub(crate) struct ManifestCache {
    manifests: HashMap<Key, Manifest>,
    /// How many bytes they have together, and how many of those were handed out.
    bytes: usize,
    bytes_given: usize,
}

#[derive(Debug)]
struct Manifest {
    descriptor: Descriptor,
    raw: Bytes,
    /// Whether it was handed out. Such manifests make room for others.
    is_given: bool,
}

impl ManifestCache {
    /// Keeps a manifest, if there is room.
    pub(crate) fn keep(&mut self, key: Key, descriptor: Descriptor, raw: Bytes) {
        // Half of the cache is dropped at once, so that this loop is rare.
        if self.bytes + raw.len() > MOST_BYTES && self.bytes_given >= MOST_BYTES / 2 {
            self.manifests.retain(|_, kept| !kept.is_given);
            (self.bytes, self.bytes_given) = (self.bytes - self.bytes_given, 0);
        }
        if self.bytes + raw.len() <= MOST_BYTES && !self.manifests.contains_key(&key) {
            self.bytes += raw.len();
            self.manifests.insert(key, Manifest { descriptor, raw, is_given: false });
        }
    }

    /// Returns the descriptor of a cached manifest.
    pub(crate) fn descriptor(&self, key: &Key) -> Option<&Descriptor> {
        self.manifests.get(key).map(|kept| &kept.descriptor)
    }

    /// Returns the bytes of a manifest.
    pub(crate) fn raw(&mut self, key: &Key) -> Option<Bytes> {
        let kept = self.manifests.get_mut(key)?;
        if !std::mem::replace(&mut kept.is_given, true) {
            self.bytes_given += kept.raw.len();
        }
        Some(kept.raw.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut kept = ManifestCache::default();
        let name: RepositoryName = "library/app".parse().unwrap();
        let key = |text: &str| ("r".to_owned(), name.clone(), Digest::sha256(text));
        let descriptor = Descriptor::of("application/json", b"x");
        let half = Bytes::from(vec![0; MOST_BYTES / 2]);
        for text in ["a", "a", "b", "c"] {
            kept.keep(key(text), descriptor.clone(), half.clone());
        }
        assert!(kept.descriptor(&key("b")).is_some() && kept.descriptor(&key("c")).is_none());
        // A manifest that was handed out makes room.
        assert!(kept.raw(&key("a")).is_some() && kept.raw(&key("a")).is_some());
        kept.keep(key("c"), descriptor, half);
        assert!(kept.raw(&key("a")).is_none());
        assert!(kept.raw(&key("b")).is_some() && kept.raw(&key("c")).is_some());
        assert_eq!((kept.bytes, kept.bytes_given), (MOST_BYTES, MOST_BYTES));
    }
}
