//! The repositories of a site that a selection names, where the site lists them for nobody.

use std::collections::BTreeSet;

use longshore_spec::{Reference, RepositoryName};
use longshore_store::Selector;

use crate::{Choice, LayoutPlace, Mapping, MoveError, Selection};

/// The repositories of a registry that the artifacts of a selection are imported to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SelectedRepositories {
    /// Their names, sorted.
    pub repositories: Vec<RepositoryName>,
    /// The references by which they were found.
    pub references: Vec<Reference>,
    /// Layouts of the selection of which only they say what their artifacts are called.
    pub unknown: Vec<LayoutPlace>,
}

impl SelectedRepositories {
    /// Finds the repositories of the registry `host` that a bundle of `selection` goes to by `mapping`. Nothing is
    /// asked of any place.
    ///
    /// # Errors
    ///
    /// Something goes to another registry, or what the mapping makes of its name is no reference.
    pub fn find(selection: &Selection, mapping: &Mapping, host: &str) -> Result<Self, MoveError> {
        let mut found = Self::default();
        let mut repositories = BTreeSet::new();
        for item in &selection.items {
            let references = match &item.choice {
                Choice::Reference(reference) => vec![reference.clone()],
                // A rule of the mapping may be about one of them.
                Choice::Repository(repository, rules) => match rules.listed() {
                    Some(tags) => {
                        let tagged = |tag| repository.clone().with_tag(Some(tag));
                        tags.iter().cloned().map(tagged).collect()
                    }
                    None => vec![repository.clone()],
                },
                Choice::Layout(layout) | Choice::References(layout, _) => {
                    let named = named_in(layout).map(|reference| vec![reference]);
                    named.unwrap_or_else(|| {
                        found.unknown.push(layout.clone());
                        Vec::new()
                    })
                }
            };
            for from in references {
                let to = mapping.map(&from).map_err(MoveError::NotMapped)?;
                if to.registry() != host {
                    let (from, to) = (Box::new(from), Box::new(to));
                    return Err(MoveError::OtherRegistry { from, to, host: host.to_owned() });
                }
                repositories.insert(to.repository().clone());
                found.references.push(from);
            }
        }
        found.repositories = repositories.into_iter().collect();
        Ok(found)
    }
}

/// Returns the full reference by which an artifact of a layout is selected, if it is.
fn named_in(layout: &LayoutPlace) -> Option<Reference> {
    match &layout.selector {
        Some(Selector::Name(name)) => name.as_str().parse().ok(),
        Some(Selector::Digest(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(list: &str, rules: &[&str]) -> Result<SelectedRepositories, MoveError> {
        let selection = Selection::from_list("list.txt", list).unwrap();
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let mapping = Mapping::new(rules, Some("site.local/mirror".to_owned()));
        SelectedRepositories::find(&selection, &mapping, "site.local")
    }

    #[test]
    fn repositories_are_those_that_the_mapping_makes() {
        let list = "alpine:3.20\nalpine:3.21\nghcr.io/acme/app:v1\noci:near:quay.io/acme/tool:v1\n";
        let found = found(list, &["ghcr.io/=site.local/hub/"]).unwrap();
        let names: Vec<_> = found.repositories.iter().map(RepositoryName::as_str).collect();
        assert_eq!(names, ["hub/acme/app", "mirror/acme/tool", "mirror/library/alpine"]);
        assert_eq!((found.references.len(), found.unknown.len()), (4, 0));
    }

    #[test]
    fn what_a_layout_alone_knows_is_said_and_another_registry_is_refused() {
        let layouts = found("oci:near\nalpine:3.20\n", &[]).unwrap();
        assert_eq!((layouts.repositories.len(), layouts.unknown.len()), (1, 1));
        let error = found("alpine:3.20\n", &["docker.io/=other.local/"]).unwrap_err();
        assert!(error.to_string().contains("site.local is another registry"), "{error}");
    }
}
