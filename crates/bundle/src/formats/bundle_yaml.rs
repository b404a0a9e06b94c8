//! `bundle.yaml` as it is written.

use std::fmt;

use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Platform, Reference, Tag};
use longshore_sync::Referring;
use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::yaml;
use crate::{
    Choice, ConfigError, Item, LayoutPlace, ReadLayout, Selection, SparseIndex, TagRules, tags,
};

/// A `bundle.yaml` with everything that one can say in it, and comments.
pub const EXAMPLE: &str = include_str!("../example.yaml");

/// The JSON Schema of `bundle.yaml`. It is written by hand, since the same things may be written in
/// several ways; tests hold it to the reader.
pub const SCHEMA: &str = include_str!("../bundle.schema.json");

pub(super) type Text = Spanned<String>;
/// An item of the list of artifacts, as it is written.
pub(super) type WrittenItem = Spanned<Written>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) defaults: Taken,
    pub(super) artifacts: Vec<WrittenItem>,
}

/// What stands in the list: an entry, or a text of which it is not said what it is.
pub(super) enum Written {
    Entry(Box<Entry>),
    Bare(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    r#ref: Option<Text>,
    repository: Option<Text>,
    tags: Option<Tags>,
    platforms: Option<Vec<Text>>,
    #[serde(rename = "sparseIndex")]
    sparse_index: Option<Text>,
    types: Option<Vec<Text>>,
    referrers: Option<Referrers>,
}

/// What is taken of artifacts that do not say so themselves.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Taken {
    platforms: Option<Vec<Text>>,
    #[serde(rename = "sparseIndex")]
    sparse_index: Option<Text>,
    types: Option<Vec<Text>>,
    referrers: Option<Referrers>,
}

/// `[v1, v2]`, or rules.
enum Tags {
    Listed(Vec<Text>),
    Rules(Box<Rules>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    regex: Option<Text>,
    semver: Option<Text>,
    #[serde(default)]
    exclude: Vec<Text>,
    newest: Option<Spanned<u32>>,
}

/// `all`, `none`, or `{ types: [...] }`.
enum Referrers {
    All,
    None,
    Types(Vec<Text>),
}

impl Document {
    pub(super) fn read(name: &str, text: &str) -> Result<Self, ConfigError> {
        yaml::one(name, text)
    }

    /// Returns what is meant; `layout` reads texts that mean a layout.
    pub(super) fn selection(
        self,
        name: &str,
        layout: ReadLayout<'_>,
    ) -> Result<Selection, ConfigError> {
        let Self { defaults, artifacts } = self;
        let reader = Reader { name, layout };
        let items = artifacts.into_iter().map(|entry| reader.item(entry, &defaults));
        Ok(Selection { items: items.collect::<Result<_, _>>()? })
    }
}

/// Turns what is written into what is meant; errors name this file.
struct Reader<'n> {
    name: &'n str,
    layout: ReadLayout<'n>,
}

impl Reader<'_> {
    fn item(&self, written: WrittenItem, defaults: &Taken) -> Result<Item, ConfigError> {
        let at = written.referenced;
        let wrong = |message: &str| ConfigError::new(self.name, message).at(at.line(), at.column());
        let entry = match written.value {
            Written::Entry(entry) => *entry,
            Written::Bare(text) => {
                return Err(wrong(&format!(
                    "`{text}` stands alone; write `- ref: {text}` for one artifact, or \
                     `- repository:` for several of one repository"
                )));
            }
        };
        let what = match (&entry.r#ref, &entry.repository) {
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "this has a `ref` and a `repository`; one of them says what is wanted",
                ));
            }
            (None, None) => {
                return Err(wrong(
                    "this has neither a `ref` nor a `repository`, which say what is wanted",
                ));
            }
            (Some(text), None) => {
                if entry.tags.is_some() {
                    return Err(wrong(
                        "`tags` choose among those of a `repository`, and this has a `ref`",
                    ));
                }
                self.value("ref", text, |text| Choice::parse_where(text, self.layout))?
            }
            (None, Some(text)) => {
                if matches!(&entry.tags, Some(Tags::Listed(listed)) if listed.is_empty()) {
                    return Err(wrong("`tags` lists none; leave it out to take all"));
                }
                let rules = entry.tags.as_ref().map(|tags| self.rules(tags)).transpose()?;
                let rules = rules.unwrap_or_default();
                match (self.layout)(&text.value) {
                    None => Choice::Repository(self.value("repository", text, repository)?, rules),
                    Some(layout) => {
                        let whole = |_: &str| layout.clone().and_then(whole);
                        Choice::References(self.value("repository", text, whole)?, rules)
                    }
                }
            }
        };
        let mut item = Item::new(what, at.line());
        if let Some(platforms) = entry.platforms.as_ref().or(defaults.platforms.as_ref()) {
            let read = |text: &str| text.parse::<Platform>().map_err(|error| error.to_string());
            let platforms = platforms.iter().map(|text| self.value("platforms", text, read));
            item.platforms = platforms.collect::<Result<_, _>>()?;
            item.explicit.platforms = true;
        }
        if let Some(text) = entry.sparse_index.as_ref().or(defaults.sparse_index.as_ref()) {
            item.sparse_index = self.value("sparseIndex", text, sparse_index)?;
            item.explicit.sparse_index = true;
        }
        if let Some(types) = entry.types.as_ref().or(defaults.types.as_ref()) {
            item.types = self.types("types", types)?;
            item.explicit.types = true;
        }
        let referrers = entry.referrers.as_ref().or(defaults.referrers.as_ref());
        item.explicit.referrers = referrers.is_some();
        match referrers {
            None | Some(Referrers::All) => {}
            Some(Referrers::None) => item.referrers = Referring::Ignored,
            Some(Referrers::Types(types)) => {
                item.referrers = Referring::Taken(self.types("referrers.types", types)?);
            }
        }
        Ok(item)
    }

    fn rules(&self, tags: &Tags) -> Result<TagRules, ConfigError> {
        match tags {
            Tags::Listed(listed) => {
                let tag = |text: &str| text.parse::<Tag>().map_err(|error| error.to_string());
                let listed = listed.iter().map(|text| self.value("tags", text, tag));
                Ok(TagRules {
                    listed: Some(listed.collect::<Result<_, _>>()?),
                    ..TagRules::default()
                })
            }
            Tags::Rules(rules) => self.chosen_by(rules),
        }
    }

    fn chosen_by(&self, rules: &Rules) -> Result<TagRules, ConfigError> {
        let pattern = |text: &str| tags::anchored(text).map_err(|error| tags::regex_error(&error));
        let Rules { regex, semver, exclude, newest } = rules;
        Ok(TagRules {
            listed: None,
            regex: regex
                .as_ref()
                .map(|text| self.value("tags.regex", text, pattern))
                .transpose()?,
            semver: semver
                .as_ref()
                .map(|text| self.value("tags.semver", text, tags::range))
                .transpose()?,
            exclude: exclude
                .iter()
                .map(|text| self.value("tags.exclude", text, pattern))
                .collect::<Result<_, _>>()?,
            newest: newest.as_ref().map(|newest| newest.value as usize),
        })
    }

    fn types(&self, field: &'static str, items: &[Text]) -> Result<TypeFilter, ConfigError> {
        for item in items {
            let one = |text: &str| TypeFilter::parse(&[text]).map_err(|error| error.to_string());
            self.value(field, item, one)?;
        }
        let items: Vec<_> = items.iter().map(|item| item.value.as_str()).collect();
        TypeFilter::parse(&items)
            .map_err(|error| ConfigError::new(self.name, error.to_string()).field(field))
    }

    fn value<T>(
        &self,
        field: &'static str,
        text: &Text,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let at = text.referenced;
        read(&text.value).map_err(|message| {
            ConfigError::new(self.name, message).at(at.line(), at.column()).field(field)
        })
    }
}

/// Refuses one artifact of a layout where all of it is meant.
fn whole(layout: LayoutPlace) -> Result<LayoutPlace, String> {
    match &layout.selector {
        None => Ok(layout),
        Some(_) => Err(format!("`{layout}` is one artifact; write it as `ref`")),
    }
}

fn sparse_index(text: &str) -> Result<SparseIndex, String> {
    match text {
        "keep" => Ok(SparseIndex::Keep),
        "strip" => Ok(SparseIndex::Strip),
        _ => Err(format!("`{text}` is neither `keep` nor `strip`")),
    }
}

fn repository(text: &str) -> Result<Reference, String> {
    let reference = Reference::from_docker_name(text).map_err(|error| error.to_string())?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(format!("`{text}` is one artifact; write it as `ref`"));
    }
    Ok(reference)
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`ref:` or `repository:`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written::Bare(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, items: A) -> Result<Written, A::Error> {
                let entry = Entry::deserialize(MapAccessDeserializer::new(items))?;
                Ok(Written::Entry(Box::new(entry)))
            }
        }

        deserializer.deserialize_any(Of)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tags, or `regex`, `semver`, `exclude` and `newest`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tags, A::Error> {
                let mut listed = Vec::new();
                while let Some(item) = items.next_element()? {
                    listed.push(item);
                }
                Ok(Tags::Listed(listed))
            }

            fn visit_map<A: MapAccess<'de>>(self, items: A) -> Result<Tags, A::Error> {
                let rules = Rules::deserialize(MapAccessDeserializer::new(items))?;
                Ok(Tags::Rules(Box::new(rules)))
            }
        }

        deserializer.deserialize_any(Of)
    }
}

impl<'de> Deserialize<'de> for Referrers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct OfTypes {
            types: Vec<Text>,
        }

        struct Of;

        impl<'de> Visitor<'de> for Of {
            type Value = Referrers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all`, `none`, or `types` with a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Referrers, E> {
                match text {
                    "all" => Ok(Referrers::All),
                    "none" => Ok(Referrers::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, items: A) -> Result<Referrers, A::Error> {
                let of = OfTypes::deserialize(MapAccessDeserializer::new(items))?;
                Ok(Referrers::Types(of.types))
            }
        }

        deserializer.deserialize_any(Of)
    }
}
