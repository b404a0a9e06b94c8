//! What a record says of volumes, and what a volume says of itself.

use longshore_spec::Digest;
use longshore_store::ExtraFile;
use serde::{Deserialize, Serialize};

use super::{Record, RecordedBlob};

/// The name of the file in a volume that says which it is.
pub const VOLUME: &str = "volume.json";

/// The most bytes of a `volume.json`.
pub const MAX_VOLUME_FILE: u64 = 4096;

/// A bundle has at most so many volumes, and a blob so many parts: the number of a part has four digits.
pub const MAX_VOLUMES: u32 = 9999;

/// A part of a blob that lies in parts.
// Fields are in the order of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedPart {
    /// What it is.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The volume that it lies in, from 1.
    pub volume: u32,
}

/// What a volume says of itself: the content of `volume.json`.
// Fields are in the order of canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// The id of the bundle.
    pub bundle: Digest,
    /// Which of its volumes it is, from 1.
    pub number: u32,
}

impl VolumeFile {
    /// Returns the file as it lies in a volume.
    pub fn file(&self) -> ExtraFile {
        let content = serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("a digest and a number are written as JSON"));
        ExtraFile { name: VOLUME.to_owned(), content: content.into() }
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// It is not in the form that it must have; in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("`{VOLUME}` is malformed: {error}"))
    }
}

impl RecordedBlob {
    /// Returns the volumes that it lies in; none if it lies in each.
    pub fn volumes(&self) -> impl Iterator<Item = u32> {
        self.volume.into_iter().chain(self.parts.iter().map(|part| part.volume))
    }
}

/// Checks what a record says of volumes, which may be anything; says what is wrong in words.
pub(super) fn check(record: &Record) -> Result<(), String> {
    let volumes = record.volumes.unwrap_or_default();
    if record.volumes.is_some() && !(2..=MAX_VOLUMES).contains(&volumes) {
        return Err(format!("it has {volumes} volumes, and a bundle has 2 to {MAX_VOLUMES}"));
    }
    let is_one = |volume: u32| (1..=volumes).contains(&volume);
    for blob in record.blobs.iter().chain(record.assumed()) {
        let digest = &blob.digest;
        if blob.volume.is_some_and(|volume| !is_one(volume)) {
            return Err(format!("{digest} lies in a volume that there is not"));
        }
        if blob.parts.is_empty() {
            continue;
        }
        let size = blob.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
        let fits = size == Some(blob.size)
            && blob.volume.is_none()
            && blob.parts.iter().all(|part| part.size > 0 && is_one(part.volume))
            && blob.parts.is_sorted_by(|one, next| one.volume < next.volume);
        if !fits {
            return Err(format!("the parts of {digest} do not make a blob of its size"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(blob: &Value, volumes: Option<u32>) -> Record {
        let mut record = json!({
            "blobs": [blob], "formatVersion": 3, "leftOut": [], "referrers": [], "roots": [],
            "selection": [],
        });
        if let Some(volumes) = volumes {
            record["volumes"] = json!(volumes);
        }
        serde_json::from_str(&record.to_string()).unwrap()
    }

    #[test]
    fn what_a_record_says_of_volumes_is_checked() {
        let digest = Digest::sha256("");
        let part =
            |size: u64, volume: u32| json!({ "digest": digest, "size": size, "volume": volume });
        let blob = |beside: Value| {
            let mut blob = json!({ "digest": digest, "role": "layer", "size": 10 });
            blob.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
            blob
        };
        let whole = blob(json!({}));
        for right in [
            whole.clone(),
            blob(json!({ "volume": 5 })),
            blob(json!({ "parts": [part(4, 1), part(6, 5)] })),
        ] {
            assert_eq!(check(&record(&right, Some(5))), Ok(()), "{right}");
        }
        for wrong in [
            blob(json!({ "volume": 0 })),
            blob(json!({ "volume": 6 })),
            blob(json!({ "parts": [part(4, 1), part(7, 2)] })),
            blob(json!({ "parts": [part(4, 2), part(6, 2)] })),
            blob(json!({ "parts": [part(4, 3), part(6, 2)] })),
            blob(json!({ "parts": [part(10, 1), part(0, 2)] })),
            blob(json!({ "parts": [part(4, 1), part(6, 6)] })),
            blob(json!({ "parts": [part(u64::MAX, 1), part(11, 2)] })),
            blob(json!({ "parts": [part(4, 1), part(6, 2)], "volume": 1 })),
        ] {
            assert!(check(&record(&wrong, Some(5))).is_err(), "{wrong}");
        }
        for count in [0, 1, MAX_VOLUMES + 1] {
            assert!(check(&record(&whole, Some(count))).is_err(), "{count}");
        }
        assert!(check(&record(&blob(json!({ "volume": 1 })), None)).is_err());
        for text in ["", "{}", r#"{"bundle":"x","number":1}"#] {
            assert!(VolumeFile::parse(text.as_bytes()).is_err(), "{text}");
        }
        let file = VolumeFile { bundle: digest, number: 7 };
        assert_eq!(VolumeFile::parse(&file.file().content), Ok(file));
    }
}
