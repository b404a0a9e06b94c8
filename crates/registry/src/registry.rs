//! Requests to responses.

use std::io::Read;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::header::HeaderName;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use longshore_spec::{RepositoryName, host_as_path};
use longshore_store::{Place, Repository};

use crate::body::Body;
use crate::fault::{Code, Fault};
use crate::intake::Intake;
use crate::page::Scheme;
use crate::query::Query;
use crate::reply;
use crate::route::Route;
use crate::uploads::Uploads;

/// What every answer says: old Docker clients look for the first before they believe that they talk
/// to a registry, and no browser should take content for anything else than what it is said to be.
const ALWAYS: [(&str, &str); 2] =
    [("docker-distribution-api-version", "registry/2.0"), ("x-content-type-options", "nosniff")];

const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// A registry: the distribution spec, spoken on behalf of a place.
///
/// Requests may come from any number of threads at once. Each is served on the thread that calls
/// [`Registry::handle`].
#[derive(Debug)]
pub struct Registry {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) options: RegistryOptions,
    pub(crate) uploads: Uploads,
    pub(crate) intake: Intake,
    /// Held while a list of referrers is rewritten that a client keeps under a tag.
    pub(crate) lists: Mutex<()>,
}

/// What a registry allows, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Whether content may be pushed and deleted.
    pub access: Access,
    /// What becomes of a manifest that refers to content that is not there.
    pub missing: Missing,
    /// An upload that nobody touches for so long is forgotten.
    pub upload_idle: Duration,
    /// So many uploads may be open at once; each may hold a file.
    pub max_uploads: usize,
    /// A blob of more bytes than this is refused.
    pub max_blob: u64,
    /// How clients reach the registry, as far as it is for people to know.
    pub scheme: Scheme,
}

/// Whether content may be pushed and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Content can only be pulled.
    ReadOnly,
    /// Content can be pulled, pushed and deleted.
    ReadWrite,
}

/// What becomes of a manifest that refers to content that is not there (row F-25). Subjects and
/// layers that are not to be distributed may always be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is refused.
    Refuse,
    /// It is taken: a sparse repository.
    Accept,
}

impl Default for RegistryOptions {
    /// Read-only and strict.
    fn default() -> Self {
        Self {
            access: Access::ReadOnly,
            missing: Missing::Refuse,
            upload_idle: Duration::from_hours(1),
            max_uploads: 1 << 10,
            max_blob: 1 << 40,
            scheme: Scheme::Http,
        }
    }
}

/// Whom a request is from, as far as shares go. Without it among the extensions of a request, all are
/// from one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin(pub(crate) IpAddr);

/// What a request brings besides method and path.
pub(crate) struct Call<'a> {
    /// Where the client found the registry, as far as it says so.
    pub host: Option<&'a str>,
    pub query: Query,
    pub headers: &'a HeaderMap,
    pub origin: Option<Origin>,
    pub body: &'a mut dyn Read,
}

impl Registry {
    /// Returns a registry that serves `place`.
    pub fn new(place: Arc<dyn Place>, options: RegistryOptions) -> Self {
        let uploads = Uploads::new(options.max_uploads);
        Self { place, options, uploads, intake: Intake::default(), lists: Mutex::default() }
    }

    /// Answers a request. Reads no more of its body than it needs.
    ///
    /// The answer to `HEAD` has the length of what `GET` would bring, and no body.
    pub fn handle(&self, request: Request<impl Read>) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let response = self
            .answer(&parts, &mut body)
            .unwrap_or_else(|fault| fault.into_response(&parts.method));
        let Parts { method, uri, .. } = &parts;
        tracing::info!(%method, path = uri.path(), status = response.status().as_u16(), "answered");
        finished(response, &parts.method)
    }

    /// Returns how many uploads have begun and not ended.
    pub fn open_uploads(&self) -> usize {
        self.uploads.count()
    }

    /// Forgets uploads that nobody has touched for [`RegistryOptions::upload_idle`] as of `now` (row F-17).
    /// Done on its own whenever an upload begins.
    pub fn expire_uploads(&self, now: Instant) {
        self.uploads.expire(now, self.options.upload_idle);
    }

    /// Brings what was pushed into the form that other programs read, too.
    pub(crate) fn settle(&self) {
        if let Err(error) = self.place.settle() {
            tracing::warn!(%error, "other programs do not see yet what was pushed last");
        }
    }

    fn answer(&self, parts: &Parts, body: &mut dyn Read) -> Result<Response<Body>, Fault> {
        let route = Route::parse(parts.uri.path())?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        // HTTP/2 has it in the address (RFC 9113 8.3.1), and HTTP/1.1 in a header.
        let header = || parts.headers.get(header::HOST)?.to_str().ok();
        let host = parts.uri.authority().map(Authority::as_str).or_else(header);
        let origin = parts.extensions.get().copied();
        let call = Call { host, query, headers: &parts.headers, origin, body };
        let method = &parts.method;
        if !matches!(*method, Method::GET | Method::HEAD) {
            self.check_writable(method, &route)?;
            return self.dispatch(method, route, call);
        }
        let (route, namespace) = self.in_namespace(route, &call.query)?;
        let mut response = self.dispatch(method, route, call)?;
        if let Some(namespace) = namespace {
            reply::insert(response.headers_mut(), NAMESPACE, namespace);
        }
        Ok(response)
    }

    fn dispatch(
        &self,
        method: &Method,
        route: Route,
        call: Call<'_>,
    ) -> Result<Response<Body>, Fault> {
        match (method.as_str(), route) {
            ("GET" | "HEAD", Route::Home) => self.page(&call),
            ("GET" | "HEAD", Route::Base) => Ok(reply::json(&serde_json::json!({}))),
            ("GET" | "HEAD", Route::Catalog) => self.catalog(&call),
            ("GET" | "HEAD", Route::Tags(name)) => self.tags(&name, &call),
            ("GET" | "HEAD", Route::Referrers(name, subject)) => {
                self.referrers(&name, &subject, &call)
            }

            ("GET" | "HEAD", Route::Manifest(name, selector)) => {
                self.pull_manifest(method, &name, &selector, &call)
            }
            ("PUT", Route::Manifest(name, selector)) => self.put_manifest(&name, selector, call),
            ("DELETE", Route::Manifest(name, selector)) => self.delete_manifest(&name, selector),

            ("GET" | "HEAD", Route::Blob(name, digest)) => {
                self.pull_blob(method, &name, &digest, &call)
            }
            ("DELETE", Route::Blob(name, digest)) => self.delete_blob(&name, &digest),

            ("POST", Route::Uploads(name)) => self.begin_upload(&name, call),
            ("GET" | "HEAD", Route::Upload(name, id)) => self.upload_status(&name, &id),
            ("PATCH", Route::Upload(name, id)) => self.append(&name, &id, call),
            ("PUT", Route::Upload(name, id)) => self.finish_upload(&name, &id, call),
            ("DELETE", Route::Upload(name, id)) => self.cancel_upload(&name, &id),

            (_, route) => Err(not_allowed(method, route.methods())),
        }
    }

    /// Returns the route in the repository that `ns` scopes it to, and that namespace (row F-50).
    /// What came from `HOST:PORT/PATH` lies in the repository `HOST_PORT/PATH`, and clients of a
    /// mirror ask for `PATH?ns=HOST:PORT`. Where only a repository `PATH` is, that is what is meant;
    /// what came from another host under the same path is not.
    fn in_namespace(&self, route: Route, query: &Query) -> Result<(Route, Option<String>), Fault> {
        let namespace = query.first("ns");
        let (Some(namespace), Some(name)) = (namespace, route.read_from()) else {
            return Ok((route, None));
        };
        let scoped: Result<RepositoryName, _> =
            format!("{}/{name}", host_as_path(namespace)).parse();
        let Ok(scoped) = scoped else { return Ok((route, None)) };
        if !self.place.has_repository(&scoped)? && self.place.has_repository(name)? {
            return Ok((route, None));
        }
        Ok((route.in_repository(scoped), Some(namespace.to_owned())))
    }

    fn check_writable(&self, method: &Method, route: &Route) -> Result<(), Fault> {
        let allowed = match self.options.access {
            Access::ReadWrite => return Ok(()),
            Access::ReadOnly => route.methods_to_read(),
        };
        Err(not_allowed(method, allowed))
    }

    pub(crate) fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Box<dyn Repository + '_>, Fault> {
        Ok(self.place.repository(name)?)
    }
}

/// Returns the answer to a request of this method, with what every answer says.
pub(crate) fn finished(mut response: Response<Body>, method: &Method) -> Response<Body> {
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if *method == Method::HEAD { response.map(|_| Body::empty()) } else { response }
}

fn not_allowed(method: &Method, allowed: &'static str) -> Fault {
    Fault::new(Code::Unsupported, format!("{method} is not allowed here"))
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .header(header::ALLOW, HeaderValue::from_static(allowed))
}
