//! Files of other tools: what they want is read, what has no meaning here is named.

mod hauler;
mod regsync;
mod skopeo;

use std::cell::OnceCell;

use serde_json::{Map, Value};

use crate::yaml::Places;
use crate::{ConfigError, Item, Parsed, Selection, yaml};

/// Reads a file of another tool; `None` if it is none.
pub(crate) fn parse(name: &str, text: &str) -> Result<Option<Parsed>, ConfigError> {
    let documents: Vec<Value> = yaml::several(name, text)?;
    let places = OnceCell::new();
    let mut found = Found { name, text, places, items: Vec::new(), ignored: Vec::new() };
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

/// What is said of a key without a meaning here.
const NOT_READ: &str = "this key is ignored";

/// What was found so far.
struct Found<'n> {
    name: &'n str,
    text: &'n str,
    /// Found out when something is wrong.
    places: OnceCell<Places>,
    items: Vec<Item>,
    ignored: Vec<ConfigError>,
}

impl Found<'_> {
    /// Takes note of a value of the document of this number, counted from 0, that is not read, and says what
    /// that means.
    fn ignore_in(&mut self, document: usize, path: impl Into<String>, message: &str) {
        let ignored = self.wrong_in(document, path, message);
        self.ignored.push(ignored);
    }

    /// Takes note of every key of `of` that is not one of `known`.
    fn ignore_others_in(
        &mut self,
        document: usize,
        path: &str,
        of: &Map<String, Value>,
        known: &[&str],
    ) {
        for key in of.keys().filter(|key| !known.contains(&key.as_str())) {
            self.ignore_in(document, format!("{path}{key}"), NOT_READ);
        }
    }

    /// Does the like for the only document.
    fn ignore_others(&mut self, path: &str, of: &Map<String, Value>, known: &[&str]) {
        self.ignore_others_in(0, path, of, known);
    }

    /// Says what is wrong with a value of the only document.
    fn wrong(&self, path: impl Into<String>, message: impl Into<String>) -> ConfigError {
        self.wrong_in(0, path, message)
    }

    /// Says what is wrong with a value of the document of this number, counted from 0.
    fn wrong_in(
        &self,
        document: usize,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> ConfigError {
        let path = path.into();
        let places = self.places.get_or_init(|| Places::of(self.name, self.text));
        let at = places.find(&format!("{document}.{}", path.trim_end_matches('.')));
        let error = ConfigError::new(self.name, message);
        let error = if path.is_empty() { error } else { error.field(path) };
        match at {
            Some((line, column)) => error.at(line, column),
            None => error,
        }
    }
}

/// Returns the texts of a list.
fn texts(of: Option<&Value>) -> impl Iterator<Item = &str> {
    of.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
