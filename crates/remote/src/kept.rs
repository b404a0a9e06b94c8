//! Manifests that were read to find out whether HEAD is right, until they are asked for.

use std::collections::HashMap;

use bytes::Bytes;
use longshore_spec::{Descriptor, Digest, RepositoryName};

/// So many bytes are kept; what comes after is fetched again.
const MOST_BYTES: usize = 16 << 20;

/// Whose manifest it is: registry, repository, digest.
pub(crate) type Key = (String, RepositoryName, Digest);

/// Manifests by what they are asked for, each handed out once.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    manifests: HashMap<Key, (Descriptor, Bytes)>,
    bytes: usize,
}

impl Kept {
    /// Keeps a manifest, if there is room.
    pub(crate) fn keep(&mut self, key: Key, descriptor: Descriptor, raw: Bytes) {
        if self.bytes + raw.len() <= MOST_BYTES {
            self.bytes += raw.len();
            let before = self.manifests.insert(key, (descriptor, raw));
            self.bytes -= before.map_or(0, |(_, raw)| raw.len());
        }
    }

    /// Returns what is known of a manifest that is kept.
    pub(crate) fn descriptor(&self, key: &Key) -> Option<&Descriptor> {
        self.manifests.get(key).map(|(descriptor, _)| descriptor)
    }

    /// Hands out the bytes of a manifest.
    pub(crate) fn take(&mut self, key: &Key) -> Option<Bytes> {
        let (_, raw) = self.manifests.remove(key)?;
        self.bytes -= raw.len();
        Some(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut kept = Kept::default();
        let name: RepositoryName = "library/app".parse().unwrap();
        let key = |text: &str| ("r".to_owned(), name.clone(), Digest::sha256(text));
        let descriptor = Descriptor::of("application/json", b"x");
        let half = Bytes::from(vec![0; MOST_BYTES / 2]);
        for text in ["a", "a", "b", "c"] {
            kept.keep(key(text), descriptor.clone(), half.clone());
        }
        assert!(kept.descriptor(&key("b")).is_some() && kept.descriptor(&key("c")).is_none());
        assert!(kept.take(&key("a")).is_some() && kept.take(&key("a")).is_none());
        kept.keep(key("c"), descriptor, half);
        assert!(kept.take(&key("c")).is_some());
        assert_eq!(kept.bytes, MOST_BYTES / 2);
    }
}
