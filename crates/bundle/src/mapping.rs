//! What artifacts are called where they go.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use longshore_spec::{Digest, Reference, RepositoryName};

/// Rules for what artifacts are called where they go.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    rules: Vec<Rule>,
    /// What takes the place of a host that no rule knows: a host, and what stands before paths there.
    elsewhere: Option<String>,
    /// What stands before every path, after all that.
    prefix: Option<RepositoryName>,
}

/// One rule: what begins with `from` begins with `to` instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    from: String,
    to: String,
}

/// Two artifacts that would be called the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` would stand for {} ({}) and for {} ({})", .both[0].0, .both[0].1, .both[1].0, .both[1].1)]
pub struct NameConflict {
    /// What they would be called.
    pub name: String,
    /// What they are called now, and what they are.
    pub both: Box<[(String, Digest); 2]>,
}

impl Mapping {
    /// Returns the mapping that applies the longest of `rules` that fits, and where none does moves
    /// everything to `elsewhere`, a host with or without the beginning of a path: `HOST/PATH` goes to
    /// `ELSEWHERE/PATH`. Without it, names that no rule knows stay as they are.
    pub fn new(rules: Vec<Rule>, elsewhere: Option<String>) -> Self {
        Self { rules, elsewhere, prefix: None }
    }

    /// Lets every path begin with `prefix`, whatever a rule has made of it: behind `elsewhere` if it
    /// begins so, else behind its host.
    #[must_use]
    pub fn under(self, prefix: Option<RepositoryName>) -> Self {
        Self { prefix, ..self }
    }

    /// Returns what an artifact is called where it goes.
    ///
    /// # Errors
    ///
    /// What a rule makes of it is no reference; in words.
    pub fn map(&self, from: &Reference) -> Result<Reference, String> {
        let text = from.to_string();
        let fitting = self.rules.iter().filter_map(|rule| Some((rule, rule.rest(&text)?)));
        let longest = fitting.max_by_key(|(rule, _)| rule.from.len());
        let mapped = match (longest, &self.elsewhere) {
            (Some((rule, rest)), _) => format!("{}{rest}", rule.to),
            (None, Some(elsewhere)) => {
                let path = text.strip_prefix(from.registry()).unwrap_or(&text);
                format!("{elsewhere}{path}")
            }
            (None, None) => text,
        };
        let mapped = self.prefixed(mapped);
        mapped.parse().map_err(|error| format!("{from} would become `{mapped}`: {error}"))
    }

    /// Returns the rules that fit none of these names.
    pub fn idle(&self, names: &[Reference]) -> impl Iterator<Item = &Rule> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let fits = move |rule: &&Rule| names.iter().any(|name| rule.rest(name).is_some());
        self.rules.iter().filter(move |rule| !fits(rule))
    }

    fn prefixed(&self, mapped: String) -> String {
        let Some(prefix) = &self.prefix else { return mapped };
        let behind = |place: &str| {
            let path = mapped.strip_prefix(place)?.strip_prefix('/')?;
            Some(format!("{place}/{prefix}/{path}"))
        };
        let host = mapped.split('/').next().unwrap_or_default();
        self.elsewhere.as_deref().and_then(behind).or_else(|| behind(host)).unwrap_or(mapped)
    }

    /// Finds two of different content that would be called the same; `roots` are names as they are
    /// and as they will be, with what they stand for.
    ///
    /// # Errors
    ///
    /// The first such pair.
    pub fn check<'r>(
        roots: impl IntoIterator<Item = (&'r Reference, &'r Reference, &'r Digest)>,
    ) -> Result<(), NameConflict> {
        let mut meant: BTreeMap<String, (&Reference, &Digest)> = BTreeMap::new();
        for (from, to, digest) in roots {
            // Under a tag the digest beside it decides nothing.
            let name = match to.tag() {
                Some(_) => to.clone().with_digest(None),
                None => to.clone(),
            };
            let first = *meant.entry(name.to_string()).or_insert((from, digest));
            if first.1 != digest {
                let both = [first, (from, digest)];
                let both = Box::new(both.map(|(from, digest)| (from.to_string(), digest.clone())));
                return Err(NameConflict { name: name.to_string(), both });
            }
        }
        Ok(())
    }
}

impl Rule {
    /// Returns what stands behind the rule's beginning, if `text` begins so: as far as a part of a
    /// reference goes, so that `acme/app` is no beginning of `acme/apps`.
    fn rest<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(&self.from)?;
        // Behind a host alone a `:` begins its port, and that is another host.
        let is_host = !self.from.contains('/');
        if is_host && !rest.starts_with('/') {
            return None;
        }
        (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(rest)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

impl FromStr for Rule {
    type Err = String;

    /// Reads `FROM=TO`. A `/` at the end of either says nothing.
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` has no `=`; write `FROM=TO`, such as `docker.io/=site.local/mirror/`")
        })?;
        let [from, to] = [from, to].map(|part| part.trim_end_matches('/').to_owned());
        if from.is_empty() || to.is_empty() {
            return Err(format!("`{text}` has nothing on one side of its `=`; write `FROM=TO`"));
        }
        Ok(Self { from, to })
    }
}
