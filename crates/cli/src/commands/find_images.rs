//! `find-images`: the images that Kubernetes manifests name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use longshore_store::Error;
use serde::Serialize;

use super::wanted;
use crate::args::FindImages;
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// What `find-images --json` prints of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    reference: String,
    named_by: Vec<String>,
}

pub(crate) fn run(args: &FindImages, output: &Output) -> Result<Exit, Problem> {
    let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(&args.files)? {
        let (name, text) = wanted::text(&path)?;
        let found = longshore_bundle::find_images(&name, &text).map_err(|error| {
            Problem::new(Exit::Usage, error.to_string()).hint(
                "give it what Kubernetes would be given; a chart is rendered by `helm template`",
            )
        })?;
        let named_by = |by: String| if by.is_empty() { name.clone() } else { by };
        for image in found.unread {
            let (by, text) = (named_by(image.named_by), image.text);
            output.warning(&format!("{by}: `{text}` is no reference, so it is not in the list"));
        }
        for image in found.images {
            let by = named_by(image.named_by);
            images.entry(image.reference).or_default().insert(by);
        }
    }
    let found = |(reference, named_by): (String, BTreeSet<String>)| Found {
        reference,
        named_by: named_by.into_iter().collect(),
    };
    let images: Vec<Found> = images.into_iter().map(found).collect();
    // One a line: a list that `-f` takes.
    output.result(&images, || {
        images.iter().map(|image| format!("{}\n", image.reference)).collect()
    })?;
    Ok(Exit::Done)
}

/// Returns the files that are meant: those in a directory by the names that YAML has.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry
                .map_err(|error| Problem::of(Error::io("list", path.display())(error.into())))?;
            let extension = entry.path().extension().and_then(|extension| extension.to_str());
            // A link to a file is one: so it is where a cluster shows what it was configured with.
            if entry.path().is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}
