//! Referrers (rows E-80 to E-97).

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use longshore_spec::{Descriptor, Digest, Index, Manifest, ManifestContent, MediaType};
use longshore_store::{
    AnsweredBy, Error, Flaw, Inability, Name, Referrers, Result, Selector, Source as _,
    in_parallel, manifest_from,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::RemoteRepository;
use crate::auth::challenge;
use crate::http::{Answer, Request, is_page, next_page};
use crate::list::{Pages, incomplete};
use crate::registry::Feature;
use crate::url::Url;

/// A list of more pages is refused. Some registries send ten entries a page.
const MOST_PAGES: usize = 10_000;

/// How often a list is rewritten that another client has overwritten (row E-86).
const REWRITES: usize = 3;

/// So many lists of a registry are checked against the subjects of their entries. A registry that sends
/// the same list for any subject is found out with the second.
const LISTS_TRIED: usize = 2;

/// How many entries of these lists are checked.
const ENTRIES_TRIED: usize = 32;

/// How many of them at once.
const LOOKUPS: usize = 8;

impl RemoteRepository {
    pub(super) fn list_referrers(&self, subject: &Digest) -> Result<Referrers> {
        let listed = self.listed_by_api(subject)?;
        let (answered_by, found) = match listed {
            Some(found) => (AnsweredBy::Place, found),
            None => (AnsweredBy::FallbackTag, self.listed_by_tag(subject)?),
        };
        let entries: BTreeMap<_, _> =
            found.into_iter().map(|entry| (entry.digest.clone(), entry)).collect();
        let entries = self.without_foreign_entries(subject, entries);
        Ok(Referrers { entries: entries.into_values().collect(), answered_by })
    }

    /// Returns the list of the referrers API, or `None` if the registry does not have the API.
    fn listed_by_api(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>> {
        let what = format!("the referrers of {subject}");
        let limits = self.registry.http().limits();
        let over = |limit: String| Error::Limit { what: what.clone(), limit };
        let (mut found, mut known, mut bytes) = (Vec::new(), HashSet::new(), 0);
        let mut pages = Pages::new(what.clone(), MOST_PAGES);
        let mut request = self.referrers_request(subject);
        loop {
            let is_first = pages.is_empty();
            pages.begin(&request.url)?;
            let answer = self.read(&request)?;
            if is_first && lacks_referrers_api(&answer) {
                let status = answer.status();
                tracing::debug!(place = %self, %status, "no referrers API: asking for the tag");
                return Ok(None);
            }
            if !answer.status().is_success() {
                let error = self.refused(&request, answer);
                return Err(if is_first { error } else { incomplete(error) });
            }
            let next = next_page(answer.headers());
            let next =
                next.map(|link| answer.url().follow_page(&link, &request.url)).transpose()?;
            let is_index = is_index(&answer);
            let raw = answer.into_bytes(&what, Manifest::MAX_SIZE)?;
            bytes += raw.len();
            if bytes > limits.referrers_bytes {
                return Err(over(format!("{} bytes", limits.referrers_bytes)));
            }
            let entries = match Page::of(raw, is_index) {
                Page::List(entries) => entries,
                Page::NoList if is_first => {
                    tracing::debug!(
                        place = %self,
                        "what its referrers API answers is no list: asking for the tag"
                    );
                    return Ok(None);
                }
                Page::NoList | Page::Damaged => {
                    let reason = Flaw::Answer("it is no image index".to_owned());
                    return Err(Error::malformed(what, reason));
                }
            };
            let (before, length) = (found.len(), entries.len());
            found.extend(entries.into_iter().filter(|entry| known.insert(entry.digest.clone())));
            if found.len() > limits.referrers {
                return Err(over(format!("{} entries", limits.referrers)));
            }
            let Some(next) = next else { return Ok(Some(found)) };
            pages.end(length, found.len() - before)?;
            request = page_request(next, subject);
        }
    }

    /// Returns the entries whose own subject is the requested one, as far as the entries are checked.
    /// Some registries send the same list for any subject.
    fn without_foreign_entries(
        &self,
        subject: &Digest,
        mut entries: BTreeMap<Digest, Descriptor>,
    ) -> BTreeMap<Digest, Descriptor> {
        // A manifest cannot contain its own digest.
        if entries.remove(subject).is_some() {
            self.warn_of_foreign_entry(subject, subject, subject);
        }
        let lists = self.registry.referrer_lists_checked();
        let mut tried = lists.lock().unwrap_or_else(PoisonError::into_inner);
        let is_tried = *tried >= LISTS_TRIED;
        if entries.is_empty() || is_tried && self.registry.may_support(Feature::OwnReferrers) {
            return entries;
        }
        *tried += 1;
        let most = if is_tried { entries.len() } else { ENTRIES_TRIED };
        let asked: Vec<_> = entries.values().take(most).cloned().collect();
        let found = in_parallel(&asked, LOOKUPS, |entry| self.subject_of(entry));
        for (entry, found) in asked.into_iter().zip(found) {
            if let Some(found) = found.filter(|found| found != subject) {
                self.warn_of_foreign_entry(&entry.digest, subject, &found);
                entries.remove(&entry.digest);
            }
        }
        entries
    }

    /// Returns the subject of an entry. Returns `None` if the entry cannot be read, which is reported
    /// when it is needed, or if it names no subject: some registries list what cosign attached by its
    /// tag, too.
    fn subject_of(&self, entry: &Descriptor) -> Option<Digest> {
        let found = self.get_child(entry).ok()?;
        self.keep(&found);
        Some(found.subject()?.digest.clone())
    }

    /// Warns of an entry with another subject. From now on, all entries of this registry are checked.
    fn warn_of_foreign_entry(&self, entry: &Digest, listed: &Digest, found: &Digest) {
        self.registry.set_unsupported(Feature::OwnReferrers);
        self.warn_once(&if entry == listed {
            format!("{self} lists {entry} as a referrer of itself; it is left out")
        } else {
            format!(
                "{self} lists {entry} as a referrer of {listed}, but it refers to {found}; it is left out"
            )
        });
    }

    fn referrers_request(&self, subject: &Digest) -> Request<'static> {
        page_request(self.registry.url(&format!("{}/referrers/{subject}", self.name)), subject)
    }

    /// Returns the list in the fallback tag (rows E-90, E-91).
    fn listed_by_tag(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let tag = subject.referrers_tag();
        let list = match self.get_manifest(&Selector::Name(Name::new(tag.as_str()))) {
            Ok(list) if is_subject(&list, subject) => return Ok(Vec::new()),
            Ok(list) => list,
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            // An HTML page, as some web servers have for every address, is no list either.
            Err(
                error @ (Error::Manifest { .. } | Error::Malformed { reason: Flaw::WebPage, .. }),
            ) => {
                tracing::warn!("{self}:{tag} is no list of referrers: {error}");
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        let ManifestContent::Index(index) = list.content() else {
            tracing::warn!("{self}:{tag} is no list of referrers");
            return Ok(Vec::new());
        };
        let mut kept = Vec::new();
        for entry in &index.manifests {
            if self.refers(entry, subject)? {
                kept.push(entry.clone());
            }
        }
        if kept.is_empty() && !index.manifests.is_empty() {
            tracing::warn!("{self}:{tag} lists nothing that refers to {subject}");
        }
        Ok(kept)
    }

    /// Tells whether an entry refers to a subject. In doubt, the entry itself is read: a fallback tag
    /// that was shortened may list referrers of other subjects (row E-87), and an entry for a platform is
    /// part of an image.
    fn refers(&self, entry: &Descriptor, subject: &Digest) -> Result<bool> {
        let is_image = entry.platform.as_deref().is_some_and(|platform| !platform.is_unknown());
        if subject.encoded().len() <= Digest::REFERRERS_TAG_ENCODED && !is_image {
            return Ok(true);
        }
        match self.get_child(entry) {
            Ok(found) => Ok(found.subject().is_some_and(|found| found.digest == *subject)),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds a manifest to the list in the fallback tag of its subject (rows E-81 to E-86).
    pub(super) fn add_referrer(&self, subject: &Digest, manifest: &Manifest) -> Result<()> {
        let entry = manifest.as_referrer();
        self.rewrite(subject, |entries| {
            if entries.iter().any(|each| has_digest(each, &entry.digest)) {
                return false;
            }
            entries.push(json!(entry));
            true
        })
    }

    /// Removes a manifest from the list in the fallback tag of its subject (row E-95).
    pub(super) fn remove_referrer(&self, subject: &Digest, digest: &Digest) -> Result<()> {
        self.rewrite(subject, |entries| {
            let before = entries.len();
            entries.retain(|each| !has_digest(each, digest));
            entries.len() != before
        })
    }

    /// Tells whether the referrers of `subject` are listed in its fallback tag.
    pub(super) fn uses_fallback_tag(&self, subject: &Digest) -> Result<bool> {
        match self.listed_by_api(subject) {
            Ok(listed) => Ok(listed.is_none()),
            // The registry has the API, which refused this request.
            Err(
                Error::Denied { .. }
                | Error::NotFound { .. }
                | Error::Refused { .. }
                | Error::Malformed { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the list in a fallback tag until `change` finds nothing to change. Other clients may
    /// overwrite the list at the same time, unless the registry supports `If-Match` (row E-86).
    fn rewrite(&self, subject: &Digest, change: impl Fn(&mut Vec<Value>) -> bool) -> Result<()> {
        let lock = self.registry.referrers_lock(&self.name, subject);
        let _locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = subject.referrers_tag();
        for _ in 0..=REWRITES {
            let List { mut document, mut entries, etag } = self.list_document(&tag, subject)?;
            if !change(&mut entries) {
                return Ok(());
            }
            document.insert("manifests".to_owned(), Value::Array(entries));
            let raw = Value::Object(document).to_string();
            let descriptor = Descriptor::of(MediaType::IMAGE_INDEX, raw.as_bytes());
            self.replace(&manifest_from(raw.into(), descriptor)?, &tag, etag.as_deref())?;
        }
        let what = format!("the list of referrers {self}:{tag}, which others keep changing,");
        Err(Error::Busy { what })
    }

    /// Tells whether an index is a list of referrers, or empty.
    fn is_list(&self, index: &Index, subject: &Digest) -> Result<bool> {
        for entry in &index.manifests {
            if self.refers(entry, subject)? {
                return Ok(true);
            }
        }
        Ok(index.manifests.is_empty())
    }

    /// Returns the list in a fallback tag, with unknown members and the entries of other clients. Content
    /// that is not a list is not touched (row E-82).
    fn list_document(&self, tag: &str, subject: &Digest) -> Result<List> {
        let found = match self.get_version(&Selector::Name(Name::new(tag))) {
            Ok((list, _)) if is_subject(&list, subject) => {
                // If the tag does exist, it hides a list, or belongs to somebody.
                if self.names()?.iter().any(|name| name.as_str() == tag) {
                    return Err(self.unsupported(Inability::ReferrersTag(Name::new(tag))));
                }
                None
            }
            Ok(list) => Some(list),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some((list, etag)) = found else {
            let list = [
                ("schemaVersion".to_owned(), json!(2)),
                ("mediaType".to_owned(), json!(MediaType::IMAGE_INDEX)),
            ];
            let document = list.into_iter().collect();
            return Ok(List { document, entries: Vec::new(), etag: None });
        };
        let document = match list.content() {
            ManifestContent::Index(index) if self.is_list(index, subject)? => {
                serde_json::from_slice(list.raw()).ok()
            }
            _ => None,
        };
        let taken = || self.unsupported(Inability::ReferrersTag(Name::new(tag)));
        let mut document: serde_json::Map<String, Value> = document.ok_or_else(taken)?;
        let entries = match document.remove("manifests") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        Ok(List { document, entries, etag })
    }
}

/// Tells whether the fallback tag shows the subject itself: GitLab takes `sha256-HEX` for the digest if
/// there is no such tag.
fn is_subject(list: &Manifest, subject: &Digest) -> bool {
    list.descriptor().digest == *subject
}

/// The list of referrers in a fallback tag.
struct List {
    /// All members but the entries.
    document: serde_json::Map<String, Value>,
    entries: Vec<Value>,
    /// The entity tag of this state.
    etag: Option<String>,
}

fn page_request(url: Url, subject: &Digest) -> Request<'static> {
    let what = format!("the referrers of {subject}");
    Request::new(Method::GET, url, "list", what)
        .header(ACCEPT, MediaType::IMAGE_INDEX)
        .whole(Manifest::MAX_SIZE)
}

/// Tells whether an answer says that it is an image index.
fn is_index(answer: &Answer<'_>) -> bool {
    answer.header(CONTENT_TYPE).is_some_and(|sent| MediaType::new(sent).is(MediaType::IMAGE_INDEX))
}

/// The body of an answer of the referrers API.
enum Page {
    List(Vec<Descriptor>),
    /// Nothing, an HTML page, or another document: the registry does not have the API.
    NoList,
    Damaged,
}

impl Page {
    fn of(raw: Bytes, is_index: bool) -> Self {
        if raw.trim_ascii().is_empty() || is_page(&raw) {
            return Self::NoList;
        }
        // If it were parsed as an index, any document without entries would be an empty list.
        match serde_json::from_slice(&raw) {
            Ok(Members { manifests: true }) => {
                entries(raw, is_index).map_or(Self::Damaged, Self::List)
            }
            Ok(Members { manifests: false }) => Self::NoList,
            Err(error) if error.is_data() => Self::NoList,
            Err(_) => Self::Damaged,
        }
    }
}

/// Whether a document has the member that makes it a list. Go writes an empty list as `null`.
#[derive(Deserialize)]
struct Members {
    #[serde(default, deserialize_with = "is_there")]
    manifests: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Returns the entries of a page. Returns `None` if the page is not an index.
fn entries(raw: Bytes, is_index: bool) -> Option<Vec<Descriptor>> {
    let named = match Manifest::media_type_of(&raw) {
        Ok(named) => named,
        Err(_) if is_index => MediaType::from(MediaType::IMAGE_INDEX),
        Err(_) => return None,
    };
    match Manifest::parse(raw.clone(), Descriptor::of(named, &raw)).ok()?.content() {
        ManifestContent::Index(index) => Some(index.manifests.clone()),
        _ => None,
    }
}

fn has_digest(entry: &Value, digest: &Digest) -> bool {
    entry.get("digest").and_then(Value::as_str).is_some_and(|text| *text == digest.to_string())
}

/// Tells whether an answer means that the registry does not have the referrers API (rows E-90, E-92). A
/// registry that wants authentication, or that failed, does not say that.
fn lacks_referrers_api(answer: &Answer<'_>) -> bool {
    match answer.status().as_u16() {
        204 | 400 | 404 | 405 | 406 | 410 | 501 => true,
        401 => challenge(answer.headers()).is_none(),
        // Some web servers send an HTML page for every unknown address.
        200 => answer.header(CONTENT_TYPE).is_some_and(|sent| MediaType::new(sent).is("text/html")),
        _ => false,
    }
}
