//! Clients and registries.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};
use longshore_spec::{Digest, RepositoryName};
use longshore_store::{Error, Flaw, Inability, Refusal, Result, Subject};

use crate::auth::{Access, Auth, Challenge, Scope, challenge, may_ask_for_credentials};
use crate::http::{Answer, AttemptError, Http, Reach, Request, Retry, is_page};
use crate::manifest_cache::ManifestCache;
use crate::url::{Url, with_query, without_secrets};
use crate::{Config, Mirror, PlainHttp, PushMode};

/// A repository that nobody has: a registry that protects its repositories protects this one, too.
const PROBE_REPOSITORY: &str = "longshore/nobodys";

/// The result of checking a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialCheck {
    /// The registry accepts it.
    Taken,
    /// The registry needs no credential, as far as it was asked.
    NotAsked,
}

/// What all registries share: connections, tokens, and the throttle of each host.
///
/// Cloning is cheap, and clones share everything. Its calls block, so they belong on threads, never in
/// the tasks of an asynchronous runtime.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: Http,
    auth: Auth,
    plain_http: PlainHttp,
    mirrors: Vec<Mirror>,
    push: PushMode,
    chunk_size: u64,
    /// The chunk size of registries that refuse longer chunks.
    chunks: Mutex<HashMap<Arc<str>, u64>>,
    lists: Mutex<HashMap<ListKey, Arc<Mutex<()>>>>,
    lacking: Mutex<HashSet<(Arc<str>, Feature)>>,
    proven: Mutex<HashSet<(Arc<str>, Feature)>>,
    /// Registries whose HEAD was checked.
    tried: Mutex<HashSet<Arc<str>>>,
    manifest_cache: Mutex<ManifestCache>,
    /// How many lists of referrers of each registry were checked.
    referrer_lists_checked: Mutex<HashMap<Arc<str>, Arc<Mutex<usize>>>>,
}

/// An optional feature. A registry shows whether it has it when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Feature {
    /// Uploads in the first POST (row E-45).
    SinglePost,
    /// Mounts from a repository that is named (row E-60).
    Mount,
    /// HEAD of blobs.
    HeadBlob,
    /// HEAD of manifests with the same result as GET.
    HeadManifest,
    /// Content in the PUT that ends an upload.
    Put,
    /// Lists of referrers that have only referrers of the subject.
    OwnReferrers,
    /// Mounts without a source repository (row E-62).
    Discovery,
}

/// A list of referrers: registry, repository, subject.
type ListKey = (String, RepositoryName, Digest);

/// One registry.
///
/// It is a [`SourcePlace`](longshore_store::SourcePlace) and a [`TargetPlace`](longshore_store::TargetPlace);
/// its repositories are [`RemoteRepository`](crate::RemoteRepository)s.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    /// The host as its users name it.
    host: Arc<str>,
    base: Url,
    /// The registry that this one mirrors, if it is a mirror.
    mirrors: Option<Arc<str>>,
}

impl Client {
    /// Creates a client. No connection is made. Fails if a certificate, key or proxy of `config` cannot
    /// be used.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            http: Http::new(config)?,
            auth: Auth::new(Arc::clone(&config.credentials), config.plain_http),
            plain_http: config.plain_http,
            mirrors: config.mirrors.clone(),
            push: config.push,
            chunk_size: config.chunk_size.max(1),
            chunks: Mutex::default(),
            lists: Mutex::default(),
            lacking: Mutex::default(),
            proven: Mutex::default(),
            tried: Mutex::default(),
            manifest_cache: Mutex::default(),
            referrer_lists_checked: Mutex::default(),
        })))
    }

    /// Returns the registry `host`, with a port or without: `localhost:5000`. No request is made.
    pub fn registry(&self, host: &str) -> Result<Registry> {
        let malformed =
            |reason: String| Error::malformed(format!("`{host}`"), Flaw::Address(reason));
        // Docker Hub has one name for its users and another on the network.
        let served_by = if host == "docker.io" { "registry-1.docker.io" } else { host };
        if host.is_empty() || host.contains(['/', '?', '#', '@', '\\']) {
            return Err(malformed("it is not a registry".to_owned()));
        }
        let address = |scheme| Url::parse(&format!("{scheme}://{served_by}/v2/"));
        let base = address("https").map_err(malformed)?;
        let is_plain = self.0.plain_http.allows(&base);
        let base = if is_plain { address("http").map_err(malformed)? } else { base };
        let mirror = self.0.mirrors.iter().find(|mirror| mirror.host == host);
        let mirrors = mirror.map(|mirror| mirror.of.as_str().into());
        Ok(Registry { client: self.clone(), host: host.into(), base, mirrors })
    }
}

impl Registry {
    /// Checks that this is a registry that admits the client (row E-01). Fails with [`Error::Denied`] if
    /// the registry wants another credential.
    pub fn ping(&self) -> Result<()> {
        let request = Request::new(Method::GET, self.base.clone(), "use", self.whole());
        let mut answer = self.send(&request, None, [])?;
        match answer.status().as_u16() {
            // A web server may have a page for every address.
            200..=299 if is_page(&answer.beginning()) => Err(self.not_a_registry(None)),
            200..=299 => Ok(()),
            401 | 403 => Err(self.access_denied(answer)),
            _ if may_ask_for_credentials(answer.status())
                && challenge(answer.headers()).is_some() =>
            {
                Err(self.access_denied(answer))
            }
            404 => Err(self.not_a_registry(Some(answer.into_refusal().into()))),
            _ => Err(answer.into_error(request.action, &request.what)),
        }
    }

    fn access_denied(&self, answer: Answer<'_>) -> Error {
        Error::Denied {
            action: "log in to",
            what: Subject::Registry(self.host.to_string()),
            place: answer.host(),
            said: answer.into_refusal().into(),
        }
    }

    /// Checks whether the registry accepts the client's credential for it. Fails with [`Error::Denied`]
    /// if it does not.
    ///
    /// If the root of the registry is open, requests are made that may need authentication: for the
    /// catalog, for a repository that nobody has, and to cancel an upload that does not exist. At last,
    /// the root is requested again with the name and password, although it did not ask for them.
    pub fn try_credential(&self) -> Result<CredentialCheck> {
        self.ping()?;
        if self.last_challenge().is_some() {
            return Ok(CredentialCheck::Taken);
        }
        let mut probes =
            vec![(Method::GET, with_query(self.url("_catalog"), "n", "1"), Scope::catalog())];
        if let Ok(probe) = PROBE_REPOSITORY.parse() {
            let (tags, upload) = ("tags/list", "blobs/uploads/none");
            let [tags, upload] =
                [tags, upload].map(|path| self.url(&format!("{PROBE_REPOSITORY}/{path}")));
            probes.push((Method::GET, tags, Scope::pull(&probe)));
            probes.push((Method::DELETE, upload, Scope::push(&probe)));
        }
        let mut refusal = None;
        for (method, url, scope) in probes {
            let request = Request::new(method, url, "use", self.whole());
            match (self.send(&request, None, [scope]), self.last_challenge()) {
                // With another status, the token service may know the name and still have no token for
                // this.
                (Err(error @ Error::Denied { .. }), _)
                    if error.said().is_some_and(|said| said.status == 401) =>
                {
                    return Err(error);
                }
                // The service gave a token for the password. What the token allows does not matter here.
                (Ok(_), Some(Challenge::Bearer { .. })) => return Ok(CredentialCheck::Taken),
                (Ok(answer), Some(Challenge::Basic)) => {
                    let asks_again = may_ask_for_credentials(answer.status())
                        && challenge(answer.headers()).is_some();
                    if answer.status() != StatusCode::UNAUTHORIZED && !asks_again {
                        return Ok(CredentialCheck::Taken);
                    }
                    refusal = Some(self.access_denied(answer));
                }
                _ => {}
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let request = Request::new(Method::GET, self.base.clone(), "use", self.whole());
        let access = self.access(None, BTreeSet::new());
        let answer = self
            .http()
            .persist(|| self.client.0.auth.attempt_with_password(self.http(), &request, &access))?;
        match answer {
            Some(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
                Err(self.access_denied(answer))
            }
            _ => Ok(CredentialCheck::NotAsked),
        }
    }

    /// Returns the last challenge of the registry.
    fn last_challenge(&self) -> Option<Challenge> {
        self.client.0.auth.challenge_of(&self.host)
    }

    fn whole(&self) -> String {
        format!("{} as a registry", self.host)
    }

    fn access<'a>(
        &'a self,
        repository: Option<&'a RepositoryName>,
        scopes: BTreeSet<Scope>,
    ) -> Access<'a> {
        Access { registry: &self.host, base: &self.base, repository, scopes }
    }

    fn not_a_registry(&self, said: Option<Box<Refusal>>) -> Error {
        Error::unsupported(&self.host, Inability::NoRegistry { said })
    }

    /// Returns host and port, as users name the registry.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Tells whether the registry may support a feature: it has not yet shown that it does not.
    pub(crate) fn may_support(&self, feature: Feature) -> bool {
        !self.lacking().contains(&(Arc::clone(&self.host), feature))
    }

    /// Records that the registry does not support a feature.
    pub(crate) fn set_unsupported(&self, feature: Feature) {
        self.lacking().insert((Arc::clone(&self.host), feature));
    }

    /// Tells whether the registry has shown that it supports a feature.
    pub(crate) fn is_known_to_support(&self, feature: Feature) -> bool {
        self.proven().contains(&(Arc::clone(&self.host), feature))
    }

    /// Records that the registry supports a feature.
    pub(crate) fn set_supported(&self, feature: Feature) {
        self.proven().insert((Arc::clone(&self.host), feature));
    }

    fn proven(&self) -> MutexGuard<'_, HashSet<(Arc<str>, Feature)>> {
        self.client.0.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true the first time it is called for a registry, whose HEAD is then to be checked.
    pub(crate) fn should_check_head(&self) -> bool {
        let mut tried = self.client.0.tried.lock().unwrap_or_else(PoisonError::into_inner);
        tried.insert(Arc::clone(&self.host))
    }

    /// Locks the cache of manifests.
    pub(crate) fn manifest_cache(&self) -> MutexGuard<'_, ManifestCache> {
        self.client.0.manifest_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many lists of referrers were checked. It is locked during a check.
    pub(crate) fn referrer_lists_checked(&self) -> Arc<Mutex<usize>> {
        let mut tried =
            self.client.0.referrer_lists_checked.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tried.entry(Arc::clone(&self.host)).or_default())
    }

    fn lacking(&self) -> MutexGuard<'_, HashSet<(Arc<str>, Feature)>> {
        self.client.0.lacking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn http(&self) -> &Http {
        &self.client.0.http
    }

    pub(crate) fn push_mode(&self) -> PushMode {
        self.client.0.push
    }

    /// Returns the size of a chunk that the registry is known to accept.
    pub(crate) fn chunk_size(&self) -> u64 {
        let known = self.chunks().get(&self.host).copied();
        known.unwrap_or(u64::MAX).min(self.client.0.chunk_size)
    }

    /// Records that the registry refuses longer chunks.
    pub(crate) fn shorten_chunks(&self, to: u64) {
        self.chunks().insert(Arc::clone(&self.host), to);
    }

    fn chunks(&self) -> MutexGuard<'_, HashMap<Arc<str>, u64>> {
        self.client.0.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the address of a path below `/v2/`.
    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.with_path(&format!("/v2/{path}"))
    }

    /// Makes a request that changes nothing. A mirror is told which registry is meant (row E-14).
    pub(crate) fn read(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scope: Scope,
    ) -> Result<Answer<'_>> {
        self.send(&self.for_mirror(request), repository, [scope])
    }

    /// Makes a request that changes nothing, once.
    pub(crate) fn read_attempt(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scope: &Scope,
    ) -> Result<Answer<'_>, AttemptError> {
        self.attempt(&self.for_mirror(request), repository, &BTreeSet::from([scope.clone()]))
    }

    /// Makes a HEAD request. Returns `None` if the answer is an error, a hang-up, or a redirect to an
    /// unreachable host: many registries never test their HEAD, and a GET has to decide.
    pub(crate) fn probe(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scope: Scope,
    ) -> Result<Option<Answer<'_>>> {
        let (request, scopes) = (self.for_mirror(request), BTreeSet::from([scope]));
        self.http().persist(|| match self.attempt(&request, repository, &scopes) {
            Err(
                AttemptError {
                    error:
                        Error::Refused { .. }
                        | Error::Throttled { .. }
                        | Error::Limit { .. }
                        | Error::Malformed { .. },
                    ..
                }
                | AttemptError {
                    error: Error::Connection { .. },
                    retry: Retry::Perhaps | Retry::Once,
                },
            ) => Ok(None),
            Err(AttemptError { error, .. }) if self.is_about_another_host(&error) => Ok(None),
            result => result.map(Some),
        })
    }

    /// Tells whether the error is about another host, to which the registry redirected.
    pub(crate) fn is_about_another_host(&self, error: &Error) -> bool {
        error.lost_host().is_some_and(|(host, _)| host != self.base.host())
    }

    /// Makes a request that changes nothing, once. Returns `None` if it fails.
    pub(crate) fn read_once(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scope: Scope,
    ) -> Option<Answer<'_>> {
        self.attempt(&self.for_mirror(request), repository, &BTreeSet::from([scope])).ok()
    }

    /// Returns the request as it is sent to a mirror: with the registry that is meant.
    fn for_mirror<'c>(&self, request: &Request<'c>) -> Request<'c> {
        let of = self.mirrors.as_ref().filter(|_| self.is_own(request));
        // The link to the next page may have the parameter already.
        match of.filter(|_| !request.url.has_param("ns")) {
            Some(of) => {
                Request { url: with_query(request.url.clone(), "ns", of), ..request.clone() }
            }
            None => request.clone(),
        }
    }

    /// Makes a request, and repeats it if that may help.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Result<Answer<'_>> {
        let scopes: BTreeSet<_> = scopes.into_iter().collect();
        self.http().persist(|| self.attempt(request, repository, &scopes))
    }

    /// Makes a request once. Only the registry itself gets the credential (row E-41). If another host
    /// cannot be reached, the error says that the registry redirected to it.
    pub(crate) fn attempt(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scopes: &BTreeSet<Scope>,
    ) -> Result<Answer<'_>, AttemptError> {
        self.attempt_directly(request, repository, scopes).map_err(|mut trouble| {
            let is_led =
                request.reach != Reach::Foreign && self.is_about_another_host(&trouble.error);
            if let (true, Error::Connection { led_by, .. }) = (is_led, &mut trouble.error) {
                *led_by = Some(self.host.to_string());
            }
            trouble
        })
    }

    fn attempt_directly(
        &self,
        request: &Request<'_>,
        repository: Option<&RepositoryName>,
        scopes: &BTreeSet<Scope>,
    ) -> Result<Answer<'_>, AttemptError> {
        if !self.is_own(request) {
            return self.http().attempt(request, None);
        }
        let access = self.access(repository, scopes.clone());
        self.client.0.auth.attempt(self.http(), request, &access)
    }

    /// Tells whether a request goes to the registry itself, and not to one of the `urls` of a descriptor.
    fn is_own(&self, request: &Request<'_>) -> bool {
        request.reach != Reach::Foreign && request.url.is_same_origin(&self.base)
    }

    /// Returns the lock that is held while the list of referrers of `subject` changes (row E-86).
    pub(crate) fn referrers_lock(&self, name: &RepositoryName, subject: &Digest) -> Arc<Mutex<()>> {
        let mut lists = self.client.0.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.host.to_string(), name.clone(), subject.clone());
        Arc::clone(lists.entry(key).or_default())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", without_secrets(&self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(plain_http: PlainHttp, host: &str) -> String {
        let config = Config { plain_http, ..Config::default() };
        Client::new(&config).unwrap().registry(host).unwrap().base.as_str().to_owned()
    }

    #[test]
    fn only_this_machine_is_reached_without_tls() {
        for (host, expected) in [
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("r.example:5000", "https://r.example:5000/v2/"),
            ("localhost:5000", "http://localhost:5000/v2/"),
            ("127.3.2.1:5000", "http://127.3.2.1:5000/v2/"),
            ("[::1]:5000", "http://[::1]:5000/v2/"),
            ("10.0.0.1", "https://10.0.0.1/v2/"),
        ] {
            assert_eq!(base(PlainHttp::Loopback, host), expected);
        }
        assert_eq!(base(PlainHttp::Never, "localhost:1"), "https://localhost:1/v2/");
        assert_eq!(base(PlainHttp::Always, "r.example"), "http://r.example/v2/");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let client = Client::new(&Config::default()).unwrap();
        for host in ["", "a/b", "me:hunter2@a.example", "a b", "a:port"] {
            assert!(client.registry(host).is_err(), "{host}");
        }
    }
}
