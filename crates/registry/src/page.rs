//! The page for people: what is here, and how to get it.

mod commands;
mod html;
mod inventory;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use longshore_spec::{RepositoryName, printable};

pub use self::commands::commands;
use self::inventory::Inventory;
use crate::body::Body;
use crate::context::Context;
use crate::error::{Code, ErrorResponse};
use crate::handler::Handler;
use crate::options::Scheme;
use crate::response;

/// So many artifacts are shown at once; the rest is a link away.
const SHOWN: usize = 50;

/// What a browser may load for the page: nothing but the style in it. Names and annotations come
/// from whoever pushed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// By this, a proxy that ends TLS says that there was some.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Handler {
    /// Shows what is here: all of it, or the one `repository`; behind the artifact `last`.
    pub(crate) fn page(&self, context: &Context<'_>) -> Result<Response<Body>, ErrorResponse> {
        let only = context.query.first("repository").map(str::parse::<RepositoryName>).transpose();
        let only =
            only.map_err(|error| ErrorResponse::new(Code::NameInvalid, error.to_string()))?;
        let last = context.query.first("last").unwrap_or_default();
        let all = self.place.repositories()?;
        if let Some(name) = only.as_ref().filter(|name| !all.contains(name)) {
            return Err(ErrorResponse::new(
                Code::NameUnknown,
                format!("there is no repository {name}"),
            ));
        }
        let inventory = Inventory::take(&*self.place, &all, only.as_ref(), last, SHOWN)?;
        // Where the client found us is where others will.
        let host = (self.scheme(context.headers), context.host.unwrap_or("HOST"));
        let text = html::page(host, &inventory).into_string();
        // What others wrote must not look like something else.
        let text = printable(&text).into_owned();
        let media_type = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = response::with_body(Body::from(text.into_bytes()), media_type);
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    /// Returns how the client has reached us: perhaps by TLS that ends before us.
    fn scheme(&self, headers: &HeaderMap) -> Scheme {
        let outside = headers.get(FORWARDED).is_some_and(|scheme| scheme == "https");
        if outside { Scheme::Https } else { self.options.scheme }
    }
}
