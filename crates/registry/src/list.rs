//! Lists of tags, referrers and repositories (rows F-30 to F-38).

use http::Response;
use http::header::{HeaderName, HeaderValue};
use longshore_spec::{Descriptor, Digest, MediaType, RepositoryName};
use longshore_store::Error;

use crate::body::Body;
use crate::context::Context;
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::query::encode;
use crate::{range, response, route};

/// A list of referrers is split if it would have more bytes than this (row F-36).
const MAX_REFERRERS: usize = 4 << 20;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Handler {
    pub(crate) fn tags(
        &self,
        name: &RepositoryName,
        context: &Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let names = self.repository(name)?.names()?;
        if names.is_empty() && !self.place.has_repository(name)? {
            return Err(ErrorResponse::new(
                Code::NameUnknown,
                format!("there is no repository {name}"),
            ));
        }
        // A layout may have names that are not tags (row F-53).
        let mut tags: Vec<_> =
            names.iter().filter_map(|name| Some(name.tag()?.as_str().to_owned())).collect();
        tags.sort_unstable();
        let page = Page::of(tags, context)?;
        let body = serde_json::json!({ "name": name, "tags": page.items });
        Ok(page.response(&body, &format!("/v2/{name}/tags/list")))
    }

    pub(crate) fn catalog(&self, context: &Context<'_>) -> Result<Response<Body>, ErrorResponse> {
        let names = self.place.repositories()?;
        let mut names: Vec<_> = names.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        let page = Page::of(names, context)?;
        let body = serde_json::json!({ "repositories": page.items });
        Ok(page.response(&body, "/v2/_catalog"))
    }

    /// Lists the referrers of a manifest. A subject that does not exist is no error (row F-33).
    pub(crate) fn referrers(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        context: &Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        let types: Vec<_> = context.query.all("artifactType").map(MediaType::from).collect();
        let after = context.query.first("last").map(route::digest).transpose()?;
        let listed = match self.repository(name)?.referrers(subject) {
            Ok(referrers) => referrers.entries,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let is_wanted = |entry: &Descriptor| {
            let of_type =
                || entry.artifact_type.as_ref().is_some_and(|found| types.contains(found));
            (types.is_empty() || of_type())
                && after.as_ref().is_none_or(|after| entry.digest > *after)
        };
        let mut entries: Vec<_> = listed.into_iter().filter(is_wanted).collect();
        entries.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
        entries.dedup_by(|a, b| a.digest == b.digest);

        let (entries, more_after) = fill(&entries);
        let media_type = MediaType::IMAGE_INDEX;
        let text =
            format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{entries}]}}"#);
        let body = Body::from(text.into_bytes());
        let mut response = response::with_body(body, HeaderValue::from_static(media_type));
        if !types.is_empty() {
            let filters = HeaderValue::from_static("artifactType");
            response.headers_mut().insert(FILTERS_APPLIED, filters);
        }
        if let Some(last) = more_after {
            let filter: String = types
                .iter()
                .map(|wanted| format!("&artifactType={}", encode(wanted.as_str())))
                .collect();
            let last = encode(&last.to_string());
            response::next_page(
                &mut response,
                &format!("/v2/{name}/referrers/{subject}?last={last}{filter}"),
            );
        }
        Ok(response)
    }
}

/// Returns as many entries as fit into one list, at least one, and the digest of the last one if more
/// follow.
fn fill(entries: &[Descriptor]) -> (String, Option<&Digest>) {
    let mut text = String::new();
    let mut last = None;
    for entry in entries {
        // The keys of a descriptor are strings, so this cannot fail.
        let next = serde_json::to_string(entry).unwrap_or_default();
        if last.is_some() && text.len() + next.len() > MAX_REFERRERS {
            return (text, last);
        }
        if last.is_some() {
            text.push(',');
        }
        text.push_str(&next);
        last = Some(&entry.digest);
    }
    (text, None)
}

/// A page of a sorted list (row F-31).
struct Page {
    items: Vec<String>,
    /// The page size, if more follow.
    more: Option<usize>,
}

impl Page {
    /// Returns the page that `n` and `last` select. Without `n`, that is everything.
    fn of(items: Vec<String>, context: &Context<'_>) -> Result<Self, ErrorResponse> {
        let n = context.query.first("n").map(|text| {
            let message = format!("`n` must be a number, and `{text}` is none");
            range::number(text).ok_or_else(|| ErrorResponse::new(Code::Unsupported, message))
        });
        let n = usize::try_from(n.transpose()?.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let last = context.query.first("last");
        let mut items: Vec<_> =
            items.into_iter().filter(|item| last.is_none_or(|last| item.as_str() > last)).collect();
        let more = (items.len() > n && n > 0).then_some(n);
        items.truncate(n);
        Ok(Self { items, more })
    }

    fn response(&self, body: &serde_json::Value, path: &str) -> Response<Body> {
        let mut response = response::json(body);
        if let (Some(n), Some(last)) = (self.more, self.items.last()) {
            let last = encode(last);
            response::next_page(&mut response, &format!("{path}?n={n}&last={last}"));
        }
        response
    }
}
