//! The words of `import`: the files of a bundle, and where it goes.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use longshore::location::{Location, layout};
use longshore_bundle::{LayoutKind, LayoutPlace, RECORD};

use super::ImportDestination;
use super::values::bundle;
use crate::documents::Typed;
use crate::problem::{Mistake, Problem};
use crate::shell;

/// A file of a bundle, or where it goes: which of them depends on the words beside it.
#[derive(Debug, Clone)]
pub(crate) struct ImportWord(String);

impl FromStr for ImportWord {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Tells the files of a bundle from where it goes: that is the last word of several, unless that is a file of
/// the bundle itself, or `to` says it.
pub(super) fn apart(
    mut words: Vec<ImportWord>,
    to: Option<ImportDestination>,
) -> Result<(Vec<Location>, Option<ImportDestination>), Problem> {
    let is_target = |word: &mut ImportWord| !is_bundle(&word.0);
    let last = if to.is_none() && words.len() > 1 { words.pop_if(is_target) } else { None };
    let to = match last {
        Some(ImportWord(last)) => {
            Some(target(&last).map_err(|mistake| about("DST", last, &mistake))?)
        }
        None => to,
    };
    let read = |ImportWord(text): ImportWord| {
        bundle(&text).map_err(|mistake| about("BUNDLE", text, &mistake))
    };
    let bundles: Vec<Location> = words.into_iter().map(read).collect::<Result<_, _>>()?;
    if let Some(pipe) = bundles.iter().find(|bundle| bundle.is_pipe())
        && bundles.len() > 1
    {
        let mistake = Mistake::new(
            "a bundle from stdin cannot have other files beside it",
            "save it to a file first",
        );
        return Err(about("BUNDLE", pipe.to_string(), &mistake));
    }
    Ok((bundles, to))
}

/// Says which argument a mistake is about, as the parser of the command line does.
fn about(argument: &str, value: String, mistake: &Mistake) -> Problem {
    let typed = Typed { arguments: vec![argument.to_owned()], value: Some(value) };
    Problem { typed: Some(Box::new(typed)), ..Problem::from(mistake) }
}

/// Tells whether the last of several words is a file of the bundle: nothing is imported to a file.
fn is_bundle(text: &str) -> bool {
    let is_archive = |layout: LayoutPlace| layout.kind == LayoutKind::Archive;
    let is_file = || Path::new(text).is_file();
    match layout(text) {
        Some(Ok(layout)) => is_archive(layout.clone()) && Path::new(&layout.path).exists(),
        Some(Err(_)) => false,
        None => text == "-" || is_file(),
    }
}

/// Reads where a bundle goes. A directory that is a bundle itself may be meant as another part of the one before.
fn target(text: &str) -> Result<ImportDestination, Mistake> {
    let target = text.parse()?;
    if let ImportDestination::Layout(path) = &target
        && path.join(RECORD).is_file()
    {
        let word = shell::word(text);
        return Err(Mistake::new(
            format!("`{text}` may be a part of the bundle, or where it goes"),
            format!("write `--to {word}` if it goes there, and `--to DST` if not"),
        ));
    }
    Ok(target)
}
