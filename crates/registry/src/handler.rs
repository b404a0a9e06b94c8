//! The handler: requests to responses.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http::header::HeaderName;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use longshore_spec::{RepositoryName, host_as_path};
use longshore_store::{Place, Repository};

use crate::body::Body;
use crate::context::Context;
use crate::error::{Code, ErrorResponse};
use crate::manifest_memory::ManifestMemory;
use crate::options::{Access, RegistryOptions};
use crate::query::Query;
use crate::response;
use crate::route::Route;
use crate::uploads::Uploads;

/// Headers of every response. Old Docker clients look for the first before they believe that this is a
/// registry, and the second keeps browsers from guessing the type of content.
const ALWAYS: [(&str, &str); 2] =
    [("docker-distribution-api-version", "registry/2.0"), ("x-content-type-options", "nosniff")];

const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// A registry: answers requests of the distribution spec for a place.
///
/// Requests may come from any number of threads at once. Each is served on the thread that calls
/// [`Handler::handle`].
#[derive(Debug)]
pub struct Handler {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) options: RegistryOptions,
    pub(crate) uploads: Uploads,
    pub(crate) manifest_memory: ManifestMemory,
    /// Held while the list of referrers in a fallback tag is rewritten.
    pub(crate) lists: Mutex<()>,
}

impl Handler {
    /// Returns a handler that serves `place`.
    pub fn new(place: Arc<dyn Place>, options: RegistryOptions) -> Self {
        let uploads = Uploads::new(options.max_uploads);
        Self {
            place,
            options,
            uploads,
            manifest_memory: ManifestMemory::default(),
            lists: Mutex::default(),
        }
    }

    /// Answers a request. Reads no more of its body than is needed.
    ///
    /// The answer to `HEAD` has the length of the answer to `GET`, and no body.
    pub fn handle(&self, request: Request<impl Read>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let response = self
            .answer(&parts, &mut body)
            .unwrap_or_else(|error| error.into_response(&parts.method));
        let Parts { method, uri, .. } = &parts;
        tracing::info!(%method, path = uri.path(), status = response.status().as_u16(), "answered");
        finish_response(response, &parts.method)
    }

    /// Returns how many uploads are open.
    pub fn open_uploads(&self) -> usize {
        self.uploads.count()
    }

    /// Drops uploads that nobody has touched for [`RegistryOptions::upload_idle`] as of `now` (row F-17).
    /// Every new upload does this, too.
    pub fn expire_uploads(&self, now: Instant) {
        self.uploads.expire(now, self.options.upload_idle);
    }

    /// Brings pushed content into the form that other programs read.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.place.settle() {
            tracing::warn!(%error, "other programs do not see yet what was pushed last");
        }
    }

    fn answer(&self, parts: &Parts, body: &mut dyn Read) -> Result<Response<Body>, ErrorResponse> {
        let route = Route::parse(parts.uri.path())?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        // The host is in the URI for HTTP/2 (RFC 9113 8.3.1), and in a header for HTTP/1.1.
        let header = || parts.headers.get(header::HOST)?.to_str().ok();
        let host = parts.uri.authority().map(Authority::as_str).or_else(header);
        let site = parts.extensions.get().copied();
        let context = Context { host, query, headers: &parts.headers, site, body };
        let method = &parts.method;
        if !matches!(*method, Method::GET | Method::HEAD) {
            self.check_writable(method, &route)?;
            return self.dispatch(method, route, context);
        }
        let (route, namespace) = self.in_namespace(route, &context.query)?;
        let mut response = self.dispatch(method, route, context)?;
        if let Some(namespace) = namespace {
            response::insert(response.headers_mut(), NAMESPACE, namespace);
        }
        Ok(response)
    }

    fn dispatch(
        &self,
        method: &Method,
        route: Route,
        context: Context<'_>,
    ) -> Result<Response<Body>, ErrorResponse> {
        match (method.as_str(), route) {
            ("GET" | "HEAD", Route::Home) => self.page(&context),
            ("GET" | "HEAD", Route::Base) => Ok(response::json(&serde_json::json!({}))),
            ("GET" | "HEAD", Route::Catalog) => self.catalog(&context),
            ("GET" | "HEAD", Route::Tags(name)) => self.tags(&name, &context),
            ("GET" | "HEAD", Route::Referrers(name, subject)) => {
                self.referrers(&name, &subject, &context)
            }

            ("GET" | "HEAD", Route::Manifest(name, selector)) => {
                self.pull_manifest(method, &name, &selector, &context)
            }
            ("PUT", Route::Manifest(name, selector)) => self.put_manifest(&name, selector, context),
            ("DELETE", Route::Manifest(name, selector)) => self.delete_manifest(&name, selector),

            ("GET" | "HEAD", Route::Blob(name, digest)) => {
                self.pull_blob(method, &name, &digest, &context)
            }
            ("DELETE", Route::Blob(name, digest)) => self.delete_blob(&name, &digest),

            ("POST", Route::Uploads(name)) => self.begin_upload(&name, context),
            ("GET" | "HEAD", Route::Upload(name, id)) => self.upload_status(&name, &id),
            ("PATCH", Route::Upload(name, id)) => self.append(&name, &id, context),
            ("PUT", Route::Upload(name, id)) => self.finish_upload(&name, &id, context),
            ("DELETE", Route::Upload(name, id)) => self.cancel_upload(&name, &id),

            (_, route) => Err(not_allowed(method, route.methods())),
        }
    }

    /// Returns the route in the repository that the parameter `ns` selects, and the namespace (row F-50).
    /// Content of `HOST:PORT/PATH` is in the repository `HOST_PORT/PATH`, and clients of a mirror ask for
    /// `PATH?ns=HOST:PORT`. If only a repository `PATH` exists, it is used; content of another host under
    /// the same path is not.
    fn in_namespace(
        &self,
        route: Route,
        query: &Query,
    ) -> Result<(Route, Option<String>), ErrorResponse> {
        let namespace = query.first("ns");
        let (Some(namespace), Some(name)) = (namespace, route.pull_repository()) else {
            return Ok((route, None));
        };
        let scoped: Result<RepositoryName, _> =
            format!("{}/{name}", host_as_path(namespace)).parse();
        let Ok(scoped) = scoped else { return Ok((route, None)) };
        if !self.place.has_repository(&scoped)? && self.place.has_repository(name)? {
            return Ok((route, None));
        }
        Ok((route.with_repository(scoped), Some(namespace.to_owned())))
    }

    fn check_writable(&self, method: &Method, route: &Route) -> Result<(), ErrorResponse> {
        let allowed = match self.options.access {
            Access::ReadWrite => return Ok(()),
            Access::ReadOnly => route.read_only_methods(),
        };
        Err(not_allowed(method, allowed))
    }

    pub(crate) fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Box<dyn Repository + '_>, ErrorResponse> {
        Ok(self.place.repository(name)?)
    }
}

/// Completes the response to a request of this method.
pub(crate) fn finish_response(mut response: Response<Body>, method: &Method) -> Response<Body> {
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if *method == Method::HEAD { response.map(|_| Body::empty()) } else { response }
}

fn not_allowed(method: &Method, allowed: &'static str) -> ErrorResponse {
    ErrorResponse::new(Code::Unsupported, format!("{method} is not allowed here"))
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .header(header::ALLOW, HeaderValue::from_static(allowed))
}
