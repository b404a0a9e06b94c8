//! `find-images`: the images that Kubernetes manifests name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use longshore_store::Error;

use crate::args::FindImages;
use crate::documents::FoundImage as Found;
use crate::input;
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// No more files are read: a cluster has some thousand.
const MAX_FILES: usize = 100_000;

/// So deep directories are looked into.
const MAX_DEPTH: usize = 64;

/// So many bytes are read of all files together.
const MAX_BYTES: u64 = 1 << 30;

pub(crate) fn run(args: &FindImages, output: &Output) -> Result<Exit, Problem> {
    let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut left = MAX_BYTES;
    for path in files(&args.files)? {
        let name = input::name(&path);
        let text = input::text(&path, input::MAX_MANIFESTS).map_err(Problem::of)?;
        left = left
            .checked_sub(text.len() as u64)
            .ok_or_else(|| too_much("what is read", format!("{MAX_BYTES} bytes")))?;
        let found = longshore_bundle::find_images(&name, &text).map_err(|error| {
            Problem::new(Exit::Usage, error.to_string())
                .hint("give it Kubernetes manifests; render a chart with `helm template` first")
        })?;
        let named_by = |by: String| if by.is_empty() { name.clone() } else { by };
        for image in found.unrecognised {
            let (by, text) = (named_by(image.named_by), image.text);
            output.warning(&format!("{by}: `{text}` is not a reference, so it is not in the list"));
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

fn too_much(what: impl ToString, limit: String) -> Problem {
    Problem::of(Error::Limit { what: what.to_string(), limit })
        .hint("give it fewer files at a time")
}

/// Returns the files that are meant: those in a directory by the names that YAML has.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let within = walkdir::WalkDir::new(path).max_depth(MAX_DEPTH + 1).sort_by_file_name();
        for entry in within {
            let entry = entry
                .map_err(|error| Problem::of(Error::io("list", path.display())(error.into())))?;
            if entry.depth() > MAX_DEPTH {
                let what = entry.path().display().to_string();
                return Err(too_much(what, format!("{MAX_DEPTH} levels")));
            }
            if files.len() >= MAX_FILES {
                return Err(too_much(path.display(), format!("{MAX_FILES} files")));
            }
            let extension = entry.path().extension().and_then(|extension| extension.to_str());
            // A link to a file is one: so it is where a cluster shows what it was configured with.
            if entry.path().is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}
