//! The forms in which people write what is wanted: ours, and those of other tools.

mod bundle_yaml;
mod foreign_file;
mod hauler;
mod kubernetes;
mod list;
mod mirror_yaml;
mod regsync;
mod skopeo;
mod yaml;

use serde_json::Value;

use self::bundle_yaml::Document;
pub use self::bundle_yaml::{EXAMPLE, SCHEMA};
use self::foreign_file::ForeignFile;
pub use self::kubernetes::{Found, FoundImage, UnrecognisedImage, find_images};
pub use self::mirror_yaml::{MIRROR_EXAMPLE, MirrorFile, mirror_schema};
use crate::{ConfigError, LayoutPlace, ReadLayout, Selection};

/// What a file says, whoever's form it has.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What is wanted.
    pub selection: Selection,
    /// What the file says beside and that has no meaning here, each by its line and field.
    pub ignored: Vec<ConfigError>,
}

impl Selection {
    /// Reads what is wanted from a file, in whichever form it has: `bundle.yaml`, a list of
    /// references, or the YAML of `skopeo sync`, of regsync, or of hauler's `Images`. `name` is what
    /// errors call the file.
    ///
    /// # Errors
    ///
    /// The file is of no such form, or something in it is wrong: named by line and field.
    pub fn parse(name: &str, text: &str) -> Result<Parsed, ConfigError> {
        Self::parse_where(name, text, &LayoutPlace::parse)
    }

    /// Does the like where `layout` knows more texts that mean a layout, such as plain paths.
    ///
    /// # Errors
    ///
    /// The file is of no such form, or something in it is wrong: named by line and field.
    pub fn parse_where(
        name: &str,
        text: &str,
        layout: ReadLayout<'_>,
    ) -> Result<Parsed, ConfigError> {
        let ours = |selection| Parsed { selection, ignored: Vec::new() };
        if list::is_list(text) {
            return list::parse(name, text, layout).map(ours);
        }
        match parse_foreign(name, text)? {
            Some(parsed) => Ok(parsed),
            None => Document::read(name, text)?.selection(name, layout).map(ours),
        }
    }

    /// Reads `bundle.yaml`: `artifacts`, each with a `ref` or a `repository` and its `tags`, and
    /// `defaults` for what they do not say themselves. See the README for an example.
    ///
    /// # Errors
    ///
    /// An unknown key, or a value that means nothing, named by line and field.
    pub fn from_yaml(name: &str, text: &str) -> Result<Self, ConfigError> {
        Document::read(name, text)?.selection(name, &LayoutPlace::parse)
    }

    /// Reads a list of references and layouts, one a line; `#` begins a comment. Docker's short names are
    /// understood; without tag or digest `latest` is meant.
    ///
    /// # Errors
    ///
    /// The first line that is neither.
    pub fn from_list(name: &str, text: &str) -> Result<Self, ConfigError> {
        list::parse(name, text, &LayoutPlace::parse)
    }
}

/// Reads a file of another tool; `None` if it is none.
fn parse_foreign(name: &str, text: &str) -> Result<Option<Parsed>, ConfigError> {
    let documents: Vec<Value> = yaml::several(name, text)?;
    let mut found = ForeignFile::new(name, text);
    if hauler::is_its(&documents) {
        hauler::read(&documents, &mut found)?;
    } else if let [Value::Object(document)] = &documents[..] {
        if regsync::is_its(document) {
            regsync::read(document, text, &mut found)?;
        } else if skopeo::is_its(document) {
            skopeo::read(document, text, &mut found)?;
        } else {
            return Ok(None);
        }
    } else {
        return Ok(None);
    }
    let selection = Selection { items: found.items };
    Ok(Some(Parsed { selection, ignored: found.ignored }))
}
