//! The YAML of regsync: `sync`, a list of sources and targets.

use longshore_spec::Reference;
use longshore_spec::artifact_type::TypeFilter;
use longshore_sync::Referring;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::foreign_file::{ForeignFile, texts};
use super::yaml;
use crate::selection::reference;
use crate::{Choice, ConfigError, Item, TagRules, tags};

/// Patterns as they are written: `3.10` is one, and no number.
#[derive(Deserialize)]
struct Written {
    sync: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    tags: Option<Tags>,
}

#[derive(Deserialize, Default)]
struct Tags {
    #[serde(default)]
    allow: Option<Vec<String>>,
    #[serde(default)]
    deny: Option<Vec<String>>,
}

pub(super) fn is_its(document: &Map<String, Value>) -> bool {
    document.get("sync").is_some_and(Value::is_array)
}

pub(super) fn read(
    document: &Map<String, Value>,
    text: &str,
    found: &mut ForeignFile<'_>,
) -> Result<(), ConfigError> {
    let written: Written = yaml::one(found.name, text)?;
    found.ignore_others("", document, &["version", "sync", "defaults"]);
    // What a step does not say itself.
    let defaults = document.get("defaults").and_then(Value::as_object).cloned().unwrap_or_default();
    refuse_filters("defaults.", &defaults, &FILTERS, found)?;
    found.ignore_others("defaults.", &defaults, &["referrers", "digestTags"]);
    let steps = document.get("sync").and_then(Value::as_array).into_iter().flatten();
    for ((number, step), written) in steps.enumerate().zip(written.sync) {
        let path = format!("sync[{number}].");
        let Some(step) = step.as_object() else {
            return Err(found.wrong(&path, "a step has `source`, `target` and `type`"));
        };
        let known = [
            "source",
            "target",
            "type",
            "tags",
            "platform",
            "platforms",
            "referrers",
            "digestTags",
        ];
        refuse_filters(&path, step, &FILTERS, found)?;
        found.ignore_others(&path, step, &known);
        // Every step has one: the first says it for all.
        if number == 0 && step.contains_key("target") {
            found.ignore_in(
                0,
                format!("{path}target"),
                "targets are ignored; `import` says where to",
            );
        }
        let source = step.get("source").and_then(Value::as_str).unwrap_or_default();
        let said = |message: String| found.wrong(format!("{path}source"), message);
        let what = match step.get("type").and_then(Value::as_str).unwrap_or("image") {
            "image" => Choice::Reference(reference(source).map_err(said)?),
            "repository" => {
                let repository = Reference::from_docker_name(source);
                let repository = repository.map_err(|error| said(error.to_string()))?;
                Choice::Repository(repository, rules(step, written, &path, found)?)
            }
            other => {
                let message = format!(
                    "`{other}` is not read; write a step of type `repository` for each of its repositories"
                );
                return Err(found.wrong(format!("{path}type"), message));
            }
        };
        let mut item = Item::new(what, 0);
        let one = step.get("platform").and_then(Value::as_str);
        for platform in texts(step.get("platforms")).chain(one) {
            let platform = platform.parse();
            let platform = platform.map_err(|error: longshore_spec::PlatformError| {
                found.wrong(format!("{path}platforms"), error.to_string())
            })?;
            item.platforms.push(platform);
        }
        let flag = |key: &str| {
            step.get(key).or_else(|| defaults.get(key)).and_then(Value::as_bool).unwrap_or(false)
        };
        // Without a word they stay behind there.
        item.explicit.referrers = true;
        item.referrers = if flag("referrers") || flag("digestTags") {
            Referring::Taken(TypeFilter::default())
        } else {
            Referring::Ignored
        };
        found.items.push(item);
    }
    Ok(())
}

/// What chooses in a step, beside what is read here.
const FILTERS: [&str; 4] = ["tagSets", "repos", "mediaTypes", "referrerFilters"];

/// Fails for keys that choose something in a way that is not read here: without them everything would be
/// taken.
fn refuse_filters(
    path: &str,
    of: &Map<String, Value>,
    filters: &[&str],
    found: &ForeignFile<'_>,
) -> Result<(), ConfigError> {
    match filters.iter().find(|key| of.contains_key(**key)) {
        None => Ok(()),
        Some(key) => {
            let instead = match *key {
                "semverRange" => "`tags: { semver: RANGE }` in `bundle.yaml` does the same",
                "mediaTypes" => "`types` in `bundle.yaml` chooses by type",
                "referrerFilters" => "`referrers: { types: [TYPE] }` in `bundle.yaml` chooses them",
                "repos" => "write a step of type `repository` for each repository",
                _ => "`tags` in `bundle.yaml` chooses by list, `regex` or `semver`",
            };
            let message = format!(
                "this filter is not supported, and too much would be copied without it; {instead}"
            );
            Err(found.wrong(format!("{path}{key}"), message))
        }
    }
}

/// Reads which tags are allowed and denied, as patterns for the whole of a tag.
fn rules(
    step: &Map<String, Value>,
    written: Step,
    path: &str,
    found: &mut ForeignFile<'_>,
) -> Result<TagRules, ConfigError> {
    if let Some(rules) = step.get("tags").and_then(Value::as_object) {
        let others: Vec<_> = rules.keys().map(String::as_str).collect();
        let others: Vec<_> =
            others.into_iter().filter(|key| !["allow", "deny"].contains(key)).collect();
        refuse_filters(&format!("{path}tags."), rules, &others, found)?;
    }
    let Tags { allow, deny } = written.tags.unwrap_or_default();
    let (allow, deny) = (allow.unwrap_or_default(), deny.unwrap_or_default());
    let field = |key: &str| format!("{path}tags.{key}");
    let wrong = |key: &str, error: &regex::Error| found.wrong(field(key), tags::regex_error(error));
    let allowed: Vec<_> = allow.iter().map(|it| format!("(?:{it})")).collect();
    let regex = (!allowed.is_empty()).then(|| tags::anchored(&allowed.join("|")));
    let denied = deny.iter().map(|pattern| tags::anchored(pattern));
    Ok(TagRules {
        regex: regex.transpose().map_err(|error| wrong("allow", &error))?,
        exclude: denied.collect::<Result<_, _>>().map_err(|error| wrong("deny", &error))?,
        ..TagRules::default()
    })
}
