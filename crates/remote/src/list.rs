//! Lists that come in pages (rows E-93, E-100 to E-103).

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use http::header::ACCEPT;
use http::{Method, StatusCode};
use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Error, Flaw, Result, Subject};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use crate::auth::Scope;
use crate::http::{AttemptError, Request, is_page, next_page};
use crate::text::{BYTE_ORDER_MARK, one_line};
use crate::url::{Url, with_query, without_secrets};
use crate::{Limits, Registry};

/// The sizes of pages to ask for. If a registry refuses one, the next is tried; with the last, the
/// registry chooses.
const PAGES: [Option<usize>; 3] = [Some(1000), Some(100), None];

/// How many empty pages in a row are accepted: a registry that filters a list may send some.
const MOST_EMPTY: usize = 16;

impl Registry {
    /// Returns the entries of `member` in all pages, without duplicates and sorted (rows E-100 to E-102).
    /// Errors call the list `what`.
    pub(crate) fn fetch_list(
        &self,
        path: &str,
        what: &str,
        member: &str,
        repository: Option<&RepositoryName>,
        scope: &Scope,
    ) -> Result<ListEntries, ListError> {
        let limits = self.http().limits();
        let mut found = Entries::new(limits);
        let mut pages = Pages::new(what.to_owned(), limits.list_pages);
        let mut sizes = PAGES.into_iter();
        let mut size = sizes.next().flatten();
        let first = |size: Option<usize>| match size {
            Some(size) => with_query(self.url(path), "n", &size.to_string()),
            None => self.url(path),
        };
        let mut url = first(size);
        let mut has_links = false;
        loop {
            let is_first = found.pages == 0;
            pages.begin(&url)?;
            let request = Request::new(Method::GET, url.clone(), "read", what)
                .header(ACCEPT, "application/json")
                .whole(limits.list_page_bytes);
            let is_sized = is_first && size.is_some();
            // Some registries fail for a size that they do not support, however often they are asked.
            let answer =
                self.http().persist(|| match self.read_attempt(&request, repository, scope) {
                    Err(AttemptError { error, .. }) if is_sized && is_server_error(&error) => {
                        Ok(None)
                    }
                    result => result.map(Some),
                })?;
            let Some(answer) = answer else {
                tracing::debug!(what, ?size, "it fails: asking for no size");
                (size, url) = (None, first(None));
                continue;
            };
            if !answer.status().is_success() {
                if is_sized && may_refuse_size(answer.status()) {
                    // A registry that denies or does not find the list does so for any size.
                    let hides = matches!(answer.status().as_u16(), 403 | 404);
                    let smaller = sizes.next().flatten().filter(|_| !hides);
                    tracing::debug!(what, ?size, status = %answer.status(), "asking for less");
                    (size, url) = (smaller, first(smaller));
                    continue;
                }
                let error = answer.into_error(request.action, &request.what);
                return Err(if is_first {
                    ListError::Refused(error)
                } else {
                    incomplete(error).into()
                });
            }
            let link = next_page(answer.headers());
            let next =
                link.map(|link| answer.url().follow_page(&link, &request.url)).transpose()?;
            let body = answer.into_bytes(what, limits.list_page_bytes)?;
            let page = found.read_page(&body, what, member)?;
            url = match (next, page.last) {
                // While there is a link, the number of entries does not matter.
                (Some(next), _) => {
                    pages.end(page.length, page.fresh)?;
                    has_links = true;
                    next
                }
                // A registry without links may have more entries. One that repeats itself has none.
                (None, Some(last))
                    if !has_links
                        && size.is_some_and(|size| page.length >= size)
                        && page.fresh > 0 =>
                {
                    with_query(first(size), "last", &last)
                }
                _ => break,
            };
        }
        Ok(ListEntries { strings: found.all, non_strings: found.others })
    }
}

/// The entries of a list.
#[derive(Debug)]
pub(crate) struct ListEntries {
    pub(crate) strings: BTreeSet<String>,
    /// Entries that are not strings, as JSON.
    pub(crate) non_strings: BTreeSet<String>,
}

/// Tells whether a registry answered that it failed.
fn is_server_error(error: &Error) -> bool {
    matches!(error, Error::Refused { said, .. } if said.status == 500)
}

/// Tells whether a status may mean that the page size is refused. Some registries answer that there is no
/// such list, or that it is denied.
fn may_refuse_size(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 401 | 429)
}

/// Why there is no list.
#[derive(Debug)]
pub(crate) enum ListError {
    /// The registry refused to send it.
    Refused(Error),
    /// Something failed before the list was complete, so its entries mean nothing.
    Failed(Error),
}

impl From<Error> for ListError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ListError> for Error {
    fn from(unlisted: ListError) -> Self {
        let (ListError::Refused(error) | ListError::Failed(error)) = unlisted;
        error
    }
}

/// Returns the error of a refused page that is not the first: the list exists, but is not complete.
pub(crate) fn incomplete(error: Error) -> Error {
    let rest = |what| Subject::from(format!("the rest of {what}"));
    match error {
        Error::NotFound { what, place, said: Some(said) }
        | Error::Refused { what, place, said, .. } => {
            Error::Refused { action: "read", what: rest(what), place, said }
        }
        Error::Denied { action, what, place, said } => {
            Error::Denied { action, what: rest(what), place, said }
        }
        error => error,
    }
}

/// Makes sure that the pages of a list end.
pub(crate) struct Pages {
    /// What errors call the list.
    what: String,
    most: usize,
    /// The digests of the addresses of all pages so far. The addresses may be long.
    seen: HashSet<Digest>,
    /// How many pages in a row were empty.
    empty: usize,
    /// The last address, without secrets.
    last_address: String,
}

impl Pages {
    pub(crate) fn new(what: String, most: usize) -> Self {
        Self { what, most, seen: HashSet::new(), empty: 0, last_address: String::new() }
    }

    /// Tells whether no page was requested yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Records that a page is requested. Fails if it was requested before: the same pages would follow
    /// forever.
    pub(crate) fn begin(&mut self, url: &Url) -> Result<()> {
        if self.seen.len() >= self.most {
            let limit = format!("{} pages", self.most);
            return Err(Error::Limit { what: self.what.clone(), limit });
        }
        self.last_address = without_secrets(url);
        if !self.seen.insert(Digest::sha256(url.as_str())) {
            return Err(self.endless("leads back to one that was there before"));
        }
        Ok(())
    }

    /// Records the number of entries of a page that has a successor. Fails if the page only repeats
    /// others.
    pub(crate) fn end(&mut self, length: usize, fresh: usize) -> Result<()> {
        if fresh > 0 {
            self.empty = 0;
            return Ok(());
        }
        if length > 0 {
            return Err(self.endless("brings nothing that is new, and leads to another"));
        }
        self.empty += 1;
        if self.empty > MOST_EMPTY {
            return Err(self.endless("is empty like those before it, and leads to another"));
        }
        Ok(())
    }

    fn endless(&self, what_it_does: &str) -> Error {
        let reason = format!("its page {}, {}, {what_it_does}", self.seen.len(), self.last_address);
        Error::malformed(&self.what, Flaw::Answer(reason))
    }
}

/// The entries of all pages.
struct Entries<'l> {
    limits: &'l Limits,
    all: BTreeSet<String>,
    /// How many bytes they have together.
    bytes: usize,
    /// How many pages have been read.
    pages: usize,
    /// The bound that was exceeded.
    over: Option<String>,
    /// Entries that are not strings.
    others: BTreeSet<String>,
}

/// The result of reading one page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    length: usize,
    /// How many entries are new.
    fresh: usize,
    last: Option<String>,
}

impl<'l> Entries<'l> {
    fn new(limits: &'l Limits) -> Self {
        let (all, others) = (BTreeSet::new(), BTreeSet::new());
        Self { limits, all, bytes: 0, pages: 0, over: None, others }
    }

    /// Adds the entries of a page. Go writes an empty list as `null`.
    fn read_page(&mut self, body: &[u8], what: &str, member: &str) -> Result<Page> {
        if is_page(body) {
            return Err(Error::malformed(what, Flaw::WebPage));
        }
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let mut reader = serde_json::Deserializer::from_slice(body);
        self.pages += 1;
        let read = Document { member, entries: self }.deserialize(&mut reader);
        match read.and_then(|page| reader.end().map(|()| page)) {
            Ok(page) => Ok(page),
            Err(error) => Err(match self.over.take() {
                Some(limit) => Error::Limit { what: what.to_owned(), limit },
                None => Error::malformed(what, Flaw::Answer(error.to_string())),
            }),
        }
    }

    /// Adds an entry, and returns whether it is new. Fails with the bound that is exceeded.
    fn add(&mut self, entry: String, is_text: bool) -> Result<bool, String> {
        let known = if is_text { &self.all } else { &self.others };
        if known.contains(&entry) {
            return Ok(false);
        }
        self.bytes += entry.len();
        if self.bytes > self.limits.list_bytes {
            return Err(format!("{} bytes", self.limits.list_bytes));
        }
        if self.all.len() + self.others.len() >= self.limits.list_entries {
            return Err(format!("{} entries", self.limits.list_entries));
        }
        Ok(if is_text { &mut self.all } else { &mut self.others }.insert(entry))
    }
}

/// Reads a page entry by entry, so that only the entries take memory.
struct Document<'a, 'l> {
    member: &'a str,
    entries: &'a mut Entries<'l>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}`", self.member)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let mut page = Page::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == self.member {
                map.next_value_seed(List { entries: self.entries, page: &mut page })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(page)
    }
}

/// Reads the list of a page.
struct List<'a, 'l> {
    entries: &'a mut Entries<'l>,
    page: &'a mut Page,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Value>()? {
            let (entry, is_text) = match entry {
                Value::String(text) => (text, true),
                other => (one_line(&other.to_string()), false),
            };
            self.page.length += 1;
            self.page.last = Some(entry.clone());
            match self.entries.add(entry, is_text) {
                Ok(is_new) => self.page.fresh += usize::from(is_new),
                Err(limit) => {
                    self.entries.over = Some(limit);
                    return Err(A::Error::custom("there are too many"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e100_an_empty_list_may_be_null_or_absent() {
        for (body, expected) in [
            (r#"{"tags":null}"#, Some(0)),
            (r#"{"name":"x"}"#, Some(0)),
            (r#"{"tags":["a","b"],"x":[{"tags":["c"]}]}"#, Some(2)),
            (r#"{"tags":[1,null,"1",{"a":[2]}]}"#, Some(4)),
            ("\u{feff}{\"tags\":[\"a\"]}", Some(1)),
            (r#"{"tags":"a"}"#, None),
            (r#"{"tags":["a"]} x"#, None),
            ("[]", None),
            ("<html>", None),
        ] {
            let limits = Limits::default();
            let found = Entries::new(&limits).read_page(body.as_bytes(), "x", "tags").ok();
            assert_eq!(found.map(|page| page.length), expected, "{body}");
        }
    }

    #[test]
    fn what_pages_repeat_is_counted_once() {
        let limits = Limits { list_entries: 3, list_bytes: 5, ..Limits::default() };
        let mut entries = Entries::new(&limits);
        let page = entries.read_page(br#"{"tags":["a","b","b"]}"#, "x", "tags").unwrap();
        assert_eq!(page, Page { length: 3, fresh: 2, last: Some("b".to_owned()) });
        let page = entries.read_page(br#"{"tags":["b","ccc"]}"#, "x", "tags").unwrap();
        assert_eq!(page, Page { length: 2, fresh: 1, last: Some("ccc".to_owned()) });
        let error = entries.read_page(br#"{"tags":[""]}"#, "x", "tags").unwrap_err();
        assert_eq!(error.to_string(), "x is over the limit of 3 entries");
        let limits = Limits { list_bytes: 5, ..Limits::default() };
        let mut entries = Entries::new(&limits);
        let error = entries.read_page(br#"{"tags":["aaa","bbb"]}"#, "x", "tags").unwrap_err();
        assert_eq!(error.to_string(), "x is over the limit of 5 bytes");
    }

    #[test]
    fn pages_come_to_an_end() {
        let url = |last: usize| Url::parse(&format!("https://r.example/list?last={last}")).unwrap();
        let mut pages = Pages::new("the list x".to_owned(), 100);
        pages.begin(&url(1)).unwrap();
        pages.begin(&url(2)).unwrap();
        let error = pages.begin(&url(1)).unwrap_err().to_string();
        assert!(error.contains("https://r.example/list, leads back to one"), "{error}");
        pages.end(0, 0).unwrap();
        pages.end(3, 1).unwrap();
        assert!(pages.end(3, 0).is_err());
        for _ in 0..MOST_EMPTY {
            pages.end(0, 0).unwrap();
        }
        assert!(pages.end(0, 0).is_err());
        for number in 3..=100 {
            pages.begin(&url(number)).unwrap();
        }
        assert!(matches!(pages.begin(&url(101)), Err(Error::Limit { .. })));
    }
}
