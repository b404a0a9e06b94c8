//! Which artifacts are wanted.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Platform, Reference};
use longshore_sync::Referring;

use crate::{BundleName, LayoutPlace, ReadLayout, TagRules};

/// Which artifacts are wanted, in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The series that bundles of it belong to, if they belong to one.
    pub name: Option<BundleName>,
    /// The parts of it.
    pub items: Vec<Item>,
}

/// One artifact, or several of one repository, and what is taken of them.
#[derive(Debug, Clone)]
pub struct Item {
    /// Which artifacts.
    pub choice: Choice,
    /// The platforms that are taken of an index; all of them if there are none here.
    pub platforms: Vec<Platform>,
    /// What becomes of an index of which several platforms are taken, but not all.
    pub sparse_index: SparseIndex,
    /// The artifact types that are taken.
    pub types: TypeFilter,
    /// What is taken of that which refers to them.
    pub referrers: Referring,
    /// Which of these the file gives itself, be it that nothing is left out.
    pub explicit: Explicit,
    /// The line that says so, counted from 1.
    pub line: u64,
}

/// Which settings of an item its file gives itself; a command may give the others.
#[expect(clippy::struct_excessive_bools, reason = "each is one key of the file")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explicit {
    /// The platforms.
    pub platforms: bool,
    /// What becomes of indexes.
    pub sparse_index: bool,
    /// The types.
    pub types: bool,
    /// The referrers.
    pub referrers: bool,
}

/// What becomes of an index of which several platforms are taken, but not all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SparseIndex {
    /// Nothing: whoever wants the bundle has to say, since either has its price.
    #[default]
    Refuse,
    /// It stays as it is and points to some that are not there.
    Keep,
    /// It is written anew without them, and gets another digest.
    Strip,
}

/// Which artifacts an item chooses.
#[derive(Debug, Clone)]
pub enum Choice {
    /// One artifact, by tag or digest.
    Reference(Reference),
    /// Those tags of a repository that the rules choose.
    Repository(Reference, TagRules),
    /// One artifact of a layout, under the full references that it has there: the one that is selected,
    /// or the only one.
    Layout(LayoutPlace),
    /// Those full references of a layout whose tags the rules choose, in each of its repositories.
    References(LayoutPlace, TagRules),
}

impl Selection {
    /// Returns every layout that something is wanted of, each once.
    pub fn layouts(&self) -> Vec<LayoutPlace> {
        let mut layouts: Vec<LayoutPlace> = Vec::new();
        for layout in self.items.iter().filter_map(|item| item.choice.layout()) {
            let whole = layout.whole();
            if !layouts.contains(&whole) {
                layouts.push(whole);
            }
        }
        layouts
    }
}

impl Choice {
    /// Returns the layout that it lies in; `None` for what lies in a registry.
    pub fn layout(&self) -> Option<&LayoutPlace> {
        match self {
            Self::Layout(layout) | Self::References(layout, _) => Some(layout),
            Self::Reference(_) | Self::Repository(..) => None,
        }
    }

    /// Reads a choice where `layout` knows more texts that mean a layout.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, in words.
    pub(crate) fn parse_where(text: &str, layout: ReadLayout<'_>) -> Result<Self, String> {
        match layout(text) {
            Some(layout) => layout.map(Self::Layout),
            None => reference(text).map(Self::Reference),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    /// Reads a choice of one artifact as people write it: a reference, which has the tag `latest` without
    /// tag and digest, or a layout and what is meant in it.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse_where(text, &LayoutPlace::parse)
    }
}

impl fmt::Display for Choice {
    /// Names the artifact, the repository or the layout.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(reference) | Self::Repository(reference, _) => reference.fmt(f),
            Self::Layout(layout) | Self::References(layout, _) => layout.fmt(f),
        }
    }
}

impl Item {
    /// Takes all of one artifact or more, and all that refers to it.
    pub fn new(choice: Choice, line: u64) -> Self {
        Self {
            choice,
            platforms: Vec::new(),
            sparse_index: SparseIndex::Refuse,
            types: TypeFilter::default(),
            referrers: Referring::Taken(TypeFilter::default()),
            explicit: Explicit::default(),
            line,
        }
    }
}

/// The references that some choices may mean: those that they are, and all of their repositories. What is in a
/// layout is not known here. Looked up by text, so that thousands of choices cost one look each.
#[derive(Debug, Clone, Default)]
pub struct ChoiceSet {
    references: HashSet<String>,
    repositories: HashSet<String>,
}

impl ChoiceSet {
    /// Tells whether any of the choices may mean what has this reference.
    pub fn has(&self, reference: &str) -> bool {
        let name = reference.split('@').next().unwrap_or_default();
        let repository = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => name,
        };
        self.references.contains(reference) || self.repositories.contains(repository)
    }
}

impl<'c> FromIterator<&'c Choice> for ChoiceSet {
    fn from_iter<I: IntoIterator<Item = &'c Choice>>(choices: I) -> Self {
        let mut set = Self::default();
        for choice in choices {
            match choice {
                Choice::Reference(reference) => {
                    set.references.insert(reference.to_string());
                }
                Choice::Repository(repository, _) => {
                    set.repositories.insert(repository.to_string());
                }
                Choice::Layout(_) | Choice::References(..) => {}
            }
        }
        set
    }
}

/// Reads a reference as people write it: one without tag and digest has the tag `latest`.
///
/// # Errors
///
/// What is wrong with the text, in words.
pub(crate) fn reference(text: &str) -> Result<Reference, String> {
    let reference = Reference::from_docker_name(text).map_err(|error| error.to_string())?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Ok(reference);
    }
    let tag = reference.tag_or_latest();
    Ok(reference.with_tag(Some(tag)))
}
