//! What cosign attached by tags, which say nothing but the digest that it is about (row E-97).

use std::collections::HashMap;

use longshore_spec::Digest;
use longshore_spec::artifact_type::{cosign_tag, cosign_tags};
use longshore_store::{Error, Name, Result, Selector, Source};

/// What a source has under tags that cosign gives, or full references with one: they attach a manifest to
/// another by its digest.
#[derive(Debug)]
pub enum SignatureTags {
    /// The names that are or end in such a tag, by tag.
    Listed(HashMap<String, Vec<Name>>),
    /// It lists no names, and is asked for each.
    Asked,
}

impl Default for SignatureTags {
    fn default() -> Self {
        Self::Listed(HashMap::new())
    }
}

impl SignatureTags {
    /// Finds out what a source lists. One that does not list what it has may say that there is nothing.
    pub fn find(source: &dyn Source) -> Result<Self> {
        match source.names() {
            Ok(names) if names.is_empty() => Ok(Self::Asked),
            Ok(names) => Ok(Self::new(names)),
            Err(error) if lists_nothing(&error) => Ok(Self::Asked),
            Err(error) => Err(error),
        }
    }

    fn new(names: Vec<Name>) -> Self {
        let mut tags: HashMap<String, Vec<Name>> = HashMap::new();
        for name in names {
            let (_, tag) = take_apart(&name);
            if cosign_tag(tag).is_some() {
                tags.entry(tag.to_owned()).or_default().push(name);
            }
        }
        Self::Listed(tags)
    }

    /// Returns the names in `source` of what is attached to a digest, one for each kind. Where several
    /// repositories share a source, that of `beside` is preferred, a name of what has the digest.
    pub fn of(
        &self,
        source: &dyn Source,
        digest: &Digest,
        beside: Option<&Name>,
    ) -> Result<Vec<Name>> {
        self.of_repository(source, digest, beside.and_then(repository_of))
    }

    pub(super) fn of_repository(
        &self,
        source: &dyn Source,
        digest: &Digest,
        repository: Option<&str>,
    ) -> Result<Vec<Name>> {
        let Self::Listed(tags) = self else { return ask(source, digest) };
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let best = |tag: &String| {
            let names = tags.get(tag)?;
            let is_beside = |name: &&Name| repository_of(name) == repository;
            names.iter().find(is_beside).or_else(|| names.first()).cloned()
        };
        Ok(cosign_tags(digest).iter().filter_map(best).collect())
    }
}

/// Asks for each tag under which something may be attached.
fn ask(source: &dyn Source, digest: &Digest) -> Result<Vec<Name>> {
    let mut found = Vec::new();
    for tag in cosign_tags(digest).iter().filter(|tag| cosign_tag(tag).is_some()) {
        let name = Name::from(tag.as_str());
        match source.head(&Selector::Name(name.clone())) {
            Ok(_) => found.push(name),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Tells whether a place that answers so may still say of a name whether it is there.
fn lists_nothing(error: &Error) -> bool {
    use Error::{Denied, NotFound, Refused, Unsupported};
    matches!(error, Denied { .. } | NotFound { .. } | Refused { .. } | Unsupported { .. })
}

/// Returns the digest of what a name attaches something to, if it is a tag of cosign's.
pub fn subject_of(name: &Name) -> Option<Digest> {
    cosign_tag(take_apart(name).1).map(|(subject, _)| subject)
}

/// Returns what the tag in `name` is called in `repository`, or where there is none on its own.
pub(super) fn tag_beside(name: &Name, repository: Option<&str>) -> Name {
    let (_, tag) = take_apart(name);
    match repository {
        Some(repository) => Name::new(format!("{repository}:{tag}")),
        None => Name::from(tag),
    }
}

/// Returns the repository in a name, if the name is more than a tag.
pub(super) fn repository_of(name: &Name) -> Option<&str> {
    take_apart(name).0
}

/// Takes `REPOSITORY:TAG`, either of them alone, or any of it with a digest behind it apart. What
/// has a `/` is no tag.
fn take_apart(name: &Name) -> (Option<&str>, &str) {
    let text = name.as_str();
    let before_digest =
        text.rsplit_once('@').filter(|(_, digest)| digest.parse::<Digest>().is_ok());
    let text = before_digest.map_or(text, |(before, _)| before);
    match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (Some(repository), tag),
        _ if before_digest.is_some() || text.contains('/') => (Some(text), ""),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let digest = Digest::sha256("x");
        for (name, repository, tag) in [
            ("v1", None, "v1"),
            ("app:v1", Some("app"), "v1"),
            ("localhost:5000/team/app:v1", Some("localhost:5000/team/app"), "v1"),
            ("localhost:5000/team/app", Some("localhost:5000/team/app"), ""),
            (&format!("team/app@{digest}"), Some("team/app"), ""),
            (&format!("app@{digest}"), Some("app"), ""),
            (&format!("team/app:v1@{digest}"), Some("team/app"), "v1"),
        ] {
            assert_eq!(take_apart(&name.into()), (repository, tag), "{name}");
        }
    }
}
