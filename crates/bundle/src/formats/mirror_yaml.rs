//! `mirror.yaml`: a `bundle.yaml` that also says where its artifacts go.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::bundle_yaml::{Document, SCHEMA, Taken, Text, WrittenItem};
use super::yaml;
use crate::{ConfigError, ReadLayout, Rule, Schedule, Selection};

/// A `mirror.yaml` with everything that one can say in it, and comments.
pub const MIRROR_EXAMPLE: &str = include_str!("../mirror.example.yaml");

/// Returns the JSON Schema of `mirror.yaml`: that of `bundle.yaml`, and what stands there beside.
pub fn mirror_schema() -> Value {
    // It is ours, and a test reads it.
    let mut schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    schema["title"] = json!("mirror.yaml");
    schema["description"] = json!("What longshore keeps equal, and where.");
    schema["required"] = json!(["target", "artifacts"]);
    schema["properties"]["target"] = json!({
        "description": "Where artifacts go: HOST, HOST/PREFIX or oci:DIR. In a registry, HOST/PATH:TAG becomes \
                        TARGET/PATH:TAG; in a layout, names stay the same.",
        "type": "string",
    });
    schema["properties"]["map"] = json!({
        "description": "Names that begin with a key begin with its value instead; the longest key wins.",
        "type": "object",
        "additionalProperties": { "type": "string" },
    });
    schema["properties"]["schedule"] = json!({
        "description": "When passes are made: an interval such as 15m, or a cron expression of five fields in the \
                        time of the machine.",
        "type": "string",
    });
    schema
}

/// What a mirror keeps equal, and where.
#[derive(Debug, Clone)]
pub struct MirrorFile<T> {
    /// Where artifacts go.
    pub target: T,
    /// What they are called there where that is not what their own names say.
    pub map: Vec<Rule>,
    /// When passes are made; `None` if that is somebody else's business.
    pub schedule: Option<Schedule>,
    /// Which artifacts are wanted.
    pub selection: Selection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    target: Text,
    #[serde(default)]
    map: BTreeMap<String, Text>,
    schedule: Option<Text>,
    #[serde(default)]
    defaults: Taken,
    artifacts: Vec<WrittenItem>,
}

impl<T> MirrorFile<T> {
    /// Reads `mirror.yaml`. `name` is what errors call the file, `layout` reads texts that mean a layout, and
    /// `target` reads where artifacts go.
    ///
    /// # Errors
    ///
    /// An unknown key, or a value that means nothing, named by line and field.
    pub fn parse(
        name: &str,
        text: &str,
        layout: ReadLayout<'_>,
        target: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Self, ConfigError> {
        let Written { target: to, map, schedule, defaults, artifacts } = yaml::one(name, text)?;
        let wrong = |field: &'static str, text: &Text, message: String| {
            let at = text.referenced;
            ConfigError::new(name, message).at(at.line(), at.column()).field(field)
        };
        let rule = |(from, to): (String, Text)| {
            let rule = format!("{from}={}", to.value).parse();
            rule.map_err(|message| wrong("map", &to, message))
        };
        let due = |text: Text| {
            let schedule = text.value.parse();
            schedule.map_err(|message| wrong("schedule", &text, message))
        };
        Ok(Self {
            schedule: schedule.map(due).transpose()?,
            target: target(&to.value).map_err(|message| wrong("target", &to, message))?,
            map: map.into_iter().map(rule).collect::<Result<_, _>>()?,
            selection: Document { defaults, artifacts }.selection(name, layout)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayoutPlace;

    fn read(text: &str) -> Result<MirrorFile<String>, String> {
        let target = |text: &str| match text.contains(' ') {
            false => Ok(text.to_owned()),
            true => Err(format!("`{text}` is no place")),
        };
        let read = MirrorFile::parse("mirror.yaml", text, &LayoutPlace::parse, target);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn it_says_what_bundle_yaml_says_and_where_that_goes() {
        let file = read(
            "target: site.local/mirror\n\
             map:\n  docker.io/: site.local/hub/\n\
             defaults: { referrers: none }\n\
             artifacts:\n- ref: alpine:3.20\n",
        )
        .unwrap();
        assert_eq!(file.target, "site.local/mirror");
        assert_eq!(file.map, ["docker.io/=site.local/hub/".parse().unwrap()]);
        assert_eq!(file.selection.items.len(), 1);
        assert!(file.selection.items[0].explicit.referrers);
    }

    #[test]
    fn what_is_wrong_is_named_by_line() {
        let artifacts = "artifacts:\n- ref: alpine:3.20\n";
        for (text, expected) in [
            (format!("{artifacts}target: a b\n"), "mirror.yaml:3:9: target: `a b` is no place"),
            (artifacts.to_owned(), "target"),
            (
                format!("target: a\nmap: {{ x: '' }}\n{artifacts}"),
                "mirror.yaml:2:11: map: `x=` has nothing",
            ),
            (format!("target: a\nevery: day\n{artifacts}"), "every"),
            ("target: a\n".to_owned(), "artifacts"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn the_example_is_one() {
        assert!(!read(MIRROR_EXAMPLE).unwrap().selection.items.is_empty());
    }
}
