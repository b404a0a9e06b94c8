//! The page for browsers: the content, and the commands to pull it.

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

/// How many artifacts one page shows. A link leads to the next page.
const SHOWN: usize = 50;

/// The page may load nothing but its own style: names and annotations come from whoever pushed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The header by which a proxy says that the client used TLS.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Handler {
    /// Shows all repositories or only the one in `repository`, after the artifact `last`.
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
        // The commands name the host that the client used.
        let host = (self.scheme(context.headers), context.host.unwrap_or("HOST"));
        let text = html::page(host, &inventory).into_string();
        // Text from others must not look like something else.
        let text = printable(&text).into_owned();
        let media_type = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = response::with_body(Body::from(text.into_bytes()), media_type);
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    /// Returns the scheme that the client used: a proxy may have ended TLS.
    fn scheme(&self, headers: &HeaderMap) -> Scheme {
        let outside = headers.get(FORWARDED).is_some_and(|scheme| scheme == "https");
        if outside { Scheme::Https } else { self.options.scheme }
    }
}
