//! A file of another tool: what it wants is read, what has no meaning here is named.

use std::cell::OnceCell;

use serde_json::{Map, Value};

use super::yaml::Places;
use crate::{ConfigError, Item};

/// What is said of a key without a meaning here.
const NOT_READ: &str = "this key is ignored";

/// What was found so far.
pub(super) struct ForeignFile<'n> {
    pub(super) name: &'n str,
    text: &'n str,
    /// Found out when something is wrong.
    places: OnceCell<Places>,
    pub(super) items: Vec<Item>,
    pub(super) ignored: Vec<ConfigError>,
}

impl<'n> ForeignFile<'n> {
    pub(super) fn new(name: &'n str, text: &'n str) -> Self {
        let places = OnceCell::new();
        Self { name, text, places, items: Vec::new(), ignored: Vec::new() }
    }

    /// Takes note of a value of the document of this number, counted from 0, that is not read, and says what
    /// that means.
    pub(super) fn ignore_in(&mut self, document: usize, path: impl Into<String>, message: &str) {
        let ignored = self.wrong_in(document, path, message);
        self.ignored.push(ignored);
    }

    /// Takes note of every key of `of` that is not one of `known`.
    pub(super) fn ignore_others_in(
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
    pub(super) fn ignore_others(&mut self, path: &str, of: &Map<String, Value>, known: &[&str]) {
        self.ignore_others_in(0, path, of, known);
    }

    /// Says what is wrong with a value of the only document.
    pub(super) fn wrong(&self, path: impl Into<String>, message: impl Into<String>) -> ConfigError {
        self.wrong_in(0, path, message)
    }

    /// Says what is wrong with a value of the document of this number, counted from 0.
    pub(super) fn wrong_in(
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
pub(super) fn texts(of: Option<&Value>) -> impl Iterator<Item = &str> {
    of.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
