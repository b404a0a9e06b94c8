//! `inspect`: everything about one artifact.

use std::fmt::Write as _;

use longshore_spec::artifact_type::{ArtifactType, Family};
use longshore_spec::{Descriptor, Manifest, ManifestContent, Size, printable_line};
use longshore_store::{Error, Root, Source, Verifying, describe};

use super::artifact::{self, ManifestResult, ReferrerFinder, try_manifest};
use super::delta;
use crate::args::Inspect;
use crate::documents::InspectDocument as Document;
use crate::open;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::Registries;

pub(crate) fn run(args: &Inspect, output: &Output) -> Result<Exit, Problem> {
    let layout = open::place(&args.place, &args.reading, &Registries::reading(&args.reading))?;
    let delta = delta::record(&layout);
    let view = delta::view(&layout, delta.as_ref());
    let root = open::select_in(&*view, &layout, &args.place)?;
    let failed = |error| Problem::of(error).because(Exit::Failed);
    let manifest = match try_manifest(&*view, &root.descriptor) {
        ManifestResult::Manifest(manifest) => manifest,
        ManifestResult::Opaque if args.raw => {
            Output::bytes(&blob(&*view, &root.descriptor).map_err(failed)?)?;
            return Ok(Exit::Done);
        }
        ManifestResult::Opaque if args.config => return Err(no_config(args)),
        ManifestResult::Opaque => {
            let artifact_type = ArtifactType::declared_as(&root.descriptor.media_type);
            let document = Document::new(&root.descriptor, &artifact_type, names(&root));
            output.result(&document, || text(&document))?;
            return Ok(Exit::Done);
        }
        ManifestResult::Broken(error) => return Err(failed(error)),
    };
    if args.raw {
        Output::bytes(manifest.raw())?;
        return Ok(Exit::Done);
    }
    if args.config {
        let ManifestContent::Image(image) = manifest.content() else {
            return Err(no_config(args));
        };
        Output::bytes(&blob(&*view, &image.config).map_err(failed)?)?;
        return Ok(Exit::Done);
    }
    let document = document(&*view, &manifest, &root).map_err(failed)?;
    output.result(&document, || text(&document))?;
    delta::tell(&args.place, delta.as_ref(), output);
    Ok(Exit::Done)
}

fn names(root: &Root) -> Vec<String> {
    root.names.iter().map(ToString::to_string).collect()
}

fn no_config(args: &Inspect) -> Problem {
    let text = format!("{} has no config: it is no image manifest", args.place);
    let hint = "`longshore inspect` shows the manifests of an index; select one of them by digest";
    Problem::new(Exit::Usage, text).hint(hint)
}

/// Reads a blob that is printed as it is.
fn blob(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
    if descriptor.size > Manifest::MAX_SIZE {
        let what = format!("{} with {} bytes", descriptor.digest, descriptor.size);
        return Err(Error::Limit {
            what,
            limit: format!("{} bytes to be printed", Manifest::MAX_SIZE),
        });
    }
    Verifying::new(source.open(descriptor, 0)?, descriptor)?.into_bytes()
}

fn document(source: &dyn Source, manifest: &Manifest, root: &Root) -> Result<Document, Error> {
    let artifact_type = describe::artifact_type(source, manifest);
    let (config, layers, manifests) = match manifest.content() {
        ManifestContent::Image(image) => {
            (Some((&image.config).into()), image.layers.as_slice(), &[][..])
        }
        ManifestContent::Index(index) => (None, &[][..], index.manifests.as_slice()),
        ManifestContent::Artifact(artifact) => (None, artifact.blobs.as_slice(), &[][..]),
    };
    let descriptor = manifest.descriptor();
    let referrers = ReferrerFinder::of(source).referrers(&descriptor.digest, root.names.first())?;
    Ok(Document {
        platforms: artifact::platforms(source, manifest),
        annotations: manifest.annotations().clone(),
        config,
        layers: layers.iter().map(Into::into).collect(),
        manifests: manifests.iter().map(Into::into).collect(),
        subject: manifest.subject().map(|subject| subject.digest.to_string()),
        referrers: referrers.iter().map(Into::into).collect(),
        ..Document::new(descriptor, &artifact_type, names(root))
    })
}

impl Document {
    /// Returns what a descriptor alone says.
    fn new(descriptor: &Descriptor, artifact_type: &ArtifactType, names: Vec<String>) -> Self {
        Self {
            names,
            digest: descriptor.digest.to_string(),
            media_type: descriptor.media_type.to_string(),
            size: descriptor.size,
            artifact_type: artifact_type.name().to_owned(),
            title: artifact_type.known().map(|known| known.title),
            family: artifact_type.family().map(Family::as_str),
            declared: artifact_type.declared().map(ToString::to_string),
            platforms: Vec::new(),
            annotations: longshore_spec::Annotations::new(),
            config: None,
            layers: Vec::new(),
            manifests: Vec::new(),
            subject: None,
            referrers: Vec::new(),
        }
    }
}

fn text(document: &Document) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<12}{}", printable_line(value));
    };
    for name in &document.names {
        line("Name", name);
    }
    line("Digest", &document.digest);
    let kind = match (document.title, document.family) {
        (Some(title), Some(family)) => format!("{} ({title}, {family})", document.artifact_type),
        _ => document.artifact_type.clone(),
    };
    line("Type", &kind);
    if let Some(declared) =
        document.declared.as_ref().filter(|declared| **declared != document.artifact_type)
    {
        line("Declared", declared);
    }
    line("Media type", &document.media_type);
    line("Size", &Size(document.size).to_string());
    if !document.platforms.is_empty() {
        line("Platform", &document.platforms.join(", "));
    }
    if let Some(subject) = &document.subject {
        line("Subject", subject);
    }
    for (key, value) in &document.annotations {
        line("Annotation", &format!("{key} = {value}"));
    }
    let config = document.config.iter().map(|part| ("Config", part));
    let layers = document.layers.iter().map(|part| ("Layer", part));
    let manifests = document.manifests.iter().map(|part| ("Manifest", part));
    let referrers = document.referrers.iter().map(|part| ("Referrer", part));
    for (label, part) in config.chain(layers).chain(manifests).chain(referrers) {
        let about =
            [&part.title, &part.name, &part.platform, &part.artifact_type].into_iter().flatten();
        let about: Vec<_> = about.map(String::as_str).collect();
        let about =
            if about.is_empty() { String::new() } else { format!("  {}", about.join(", ")) };
        line(label, &format!("{}  {}  {}{about}", part.digest, Size(part.size), part.media_type));
    }
    text
}
