//! A place of one's own, from which things are copied as from any other: `place TEXT oci:DIR` packs a text.

use std::collections::HashMap;
use std::io::Cursor;

use longshore::spec::{Descriptor, Digest, Manifest, MediaType};
use longshore::store::{AnsweredBy, Name, Reader, Referrers, Selector, Source, manifest_from};
use longshore::sync::{CopyItem, CopyRequest, RootRequest};
use longshore::{Error, Filter, PlaceError, Places, Result, Silent};

/// One artifact in memory, called `latest`.
#[derive(Debug)]
struct Shelf {
    manifest: Manifest,
    blobs: HashMap<Digest, Vec<u8>>,
}

impl Source for Shelf {
    fn head(&self, wanted: &Selector) -> Result<Descriptor> {
        let found = self.manifest.descriptor();
        let is_it = match wanted {
            Selector::Name(name) => name.as_str() == "latest",
            Selector::Digest(digest) => *digest == found.digest,
        };
        is_it.then(|| found.clone()).ok_or_else(|| Error::not_found(wanted, "the shelf"))
    }

    fn manifest(&self, wanted: &Selector) -> Result<Manifest> {
        self.head(wanted).map(|_| self.manifest.clone())
    }

    fn open(&self, blob: &Descriptor, offset: u64) -> Result<Reader<'_>> {
        let found = self.blobs.get(&blob.digest);
        let content = found.ok_or_else(|| Error::not_found(&blob.digest, "the shelf"))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        Ok(Box::new(Cursor::new(&content[from..])))
    }

    fn names(&self) -> Result<Vec<Name>> {
        Ok(vec!["latest".into()])
    }

    fn referrers(&self, _: &Digest) -> Result<Referrers> {
        Ok(Referrers { entries: Vec::new(), answered_by: AnsweredBy::Place })
    }
}

fn main() -> std::result::Result<(), PlaceError> {
    let mut words = std::env::args().skip(1);
    let (Some(text), Some(to)) = (words.next(), words.next()) else {
        return Err(PlaceError::Text("write a text, and where it goes".to_owned()));
    };
    run(&text, &to)
}

/// Packs a text into an artifact, and takes it to a place.
pub(crate) fn run(text: &str, to: &str) -> std::result::Result<(), PlaceError> {
    let contents = [b"{}".to_vec(), text.as_bytes().to_vec()];
    let describe = |media_type, of: &Vec<u8>| Descriptor::of(media_type, of);
    let config = describe("application/vnd.oci.empty.v1+json", &contents[0]);
    let layer = describe("text/plain", &contents[1]);
    let part = |of: &Descriptor| {
        format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{}}}"#,
            of.media_type, of.digest, of.size
        )
    };
    let raw = format!(
        r#"{{"schemaVersion":2,"artifactType":"text/plain","config":{},"layers":[{}]}}"#,
        part(&config),
        part(&layer)
    );
    let descriptor = Descriptor::of(MediaType::IMAGE_MANIFEST, raw.as_bytes());
    let blobs = [config.digest, layer.digest].into_iter().zip(contents).collect();
    let shelf = Shelf { manifest: manifest_from(raw.into(), descriptor)?, blobs };

    let target = Places::new(&longshore::remote::Config::default())?.target(to)?;
    let whole = target.whole();
    let wanted = CopyItem {
        source: &shelf,
        request: RootRequest::Selector(Selector::Name("latest".into())),
        target: Some(&*whole),
        names: vec![target.name.clone().unwrap_or_else(|| "latest".into())],
        filter: None,
    };
    let request = CopyRequest { items: vec![wanted], filter: Filter::default(), jobs: 8 };
    let report = request.prepare(&Silent).run(target.place(), &Silent);
    let report = report.map_err(|failure| *failure.error)?;
    if report.is_complete() { Ok(()) } else { Err(PlaceError::Text("not complete".to_owned())) }
}
