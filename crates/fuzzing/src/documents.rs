//! Files: `index.json`, manifests, `bundle.json`, `bundle.lock`, receipts and lists of missing content.

use bytes::Bytes;
use longshore_bundle::{Lock, MissingContent, Receipt, Record, RecordError};
use longshore_layout::IndexJson;
use longshore_spec::{Descriptor, Digest, Manifest, Platform};

/// What is read as `index.json` is written as what is read as the same.
pub fn index(input: &[u8]) {
    let Ok(index) = IndexJson::parse(input, "it") else { return };
    let again = IndexJson::parse(&index.to_bytes(), "it").expect("what is written is read");
    assert_eq!(again, index);
}

/// A manifest keeps its bytes, and all that is asked of it is answered.
pub fn manifest(input: &[u8]) {
    _ = Platform::of_config(input);
    let Ok(media_type) = Manifest::media_type_of(input) else { return };
    let descriptor = Descriptor::new(media_type, Digest::sha256(input), input.len() as u64);
    let Ok(manifest) = Manifest::parse(Bytes::copy_from_slice(input), descriptor.clone()) else {
        return;
    };
    assert_eq!(manifest.raw(), input);
    assert_eq!(*manifest.descriptor(), descriptor);
    let children: Vec<_> = manifest.children().map(|(_, child)| child.clone()).collect();
    _ = (manifest.annotations(), manifest.artifact_type(), manifest.as_referrer());
    if let Ok(all) = manifest.clone().retain_entries(|_| true) {
        let kept: Vec<_> = all.children().map(|(_, child)| child.clone()).collect();
        assert_eq!(kept, children);
    }
    if let Ok(none) = manifest.retain_entries(|_| false) {
        let descriptor = none.descriptor();
        assert_eq!(descriptor.digest.recompute(none.raw()), Some(descriptor.digest.clone()));
        assert_eq!(descriptor.size, none.raw().len() as u64);
    }
}

/// What is read as a record or a lock is written as what is read as the same.
///
/// The id of a record is set right before: finding a hash is no use of anybody's time.
pub fn record(input: &[u8]) {
    let mut parsed = Record::parse(input);
    if let (Err(RecordError::Changed { said, found }), Ok(text)) = (&parsed, str::from_utf8(input))
        && !said.is_empty()
    {
        parsed = Record::parse(text.replace(said.as_str(), &found.to_string()).as_bytes());
    }
    if let Ok(record) = parsed {
        let bytes = record.to_bytes();
        let again = Record::parse(&bytes).expect("what is written is read");
        assert_eq!(again, record);
        assert_eq!(again.to_bytes(), bytes);
    }
    if let Ok(lock) = Lock::parse(input) {
        let again = Lock::parse(&lock.to_bytes()).expect("what is written is read");
        assert_eq!(again, lock);
    }
}

/// What is read as a receipt is written as what is read as the same.
///
/// The checksum is set right before, as the id of a record is.
pub fn receipt(input: &[u8]) {
    _ = Receipt::read(input);
    let Ok(text) = str::from_utf8(input) else { return };
    let end = text.rfind("checksum").unwrap_or(text.len());
    let text = &text[..end];
    let whole = format!("{text}checksum {}\n", Digest::sha256(text));
    let Ok(receipt) = Receipt::read(whole.as_bytes()) else { return };
    let written = |receipt: &Receipt| {
        let mut text = Vec::new();
        receipt.write(&mut text).expect("memory takes all");
        text
    };
    let again = Receipt::read(&written(&receipt)[..]).expect("what is written is read");
    assert_eq!(again, receipt);
    let bare = receipt.clone().digests_only();
    assert!(bare.contents().keys().eq(receipt.contents().keys()));
}

/// What is read as a list of missing content is written as what is read as the same.
///
/// The checksum is set right before, as that of a receipt is.
pub fn missing(input: &[u8]) {
    _ = MissingContent::parse(input);
    let Ok(text) = str::from_utf8(input) else { return };
    let end = text.rfind("checksum").unwrap_or(text.len());
    let text = &text[..end];
    let whole = format!("{text}checksum {}\n", Digest::sha256(text));
    let Ok(missing) = MissingContent::parse(whole.as_bytes()) else { return };
    let again = MissingContent::parse(missing.to_string().as_bytes());
    assert_eq!(again.expect("what is written is read"), missing);
}
