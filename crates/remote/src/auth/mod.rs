//! Authentication (row E-15).

mod challenge;
mod token;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use http::{HeaderValue, Method, StatusCode};
use longshore_spec::RepositoryName;
use longshore_store::{Error, Flaw, Result};

pub(crate) use self::challenge::{Challenge, challenge};
use self::token::{Token, TokenRequest};
use crate::credentials::{Credential, Credentials};
use crate::http::{Answer, AttemptError, Http, Reach, Request};
use crate::url::Url;
use crate::{PlainHttp, Secret};

/// What a request wants to do, as authorization services see it: `repository:library/app:pull`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Scope(String);

/// What a request accesses.
#[derive(Debug, Clone)]
pub(crate) struct Access<'a> {
    /// The registry as its user names it. Credentials are kept under that name.
    pub(crate) registry: &'a str,
    /// The root of the registry, `/v2/`. Some registries send a challenge only from there.
    pub(crate) base: &'a Url,
    pub(crate) repository: Option<&'a RepositoryName>,
    pub(crate) scopes: BTreeSet<Scope>,
}

/// Authenticates requests, and remembers challenges, credentials and tokens.
#[derive(Debug)]
pub(crate) struct Auth {
    credentials: Arc<dyn Credentials>,
    /// Which hosts may get a secret without encryption.
    plain_http: PlainHttp,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The last challenge of each registry, and the hosts that it may name.
    challenges: HashMap<String, (Challenge, Reach)>,
    /// The registries whose root was asked for a challenge.
    asked: HashSet<String>,
    /// The credentials that were found. Running a helper program again takes time.
    credentials: HashMap<(String, Option<RepositoryName>), Option<Credential>>,
    tokens: HashMap<TokenKey, Slot>,
}

/// What a token is for: registry, credential and scopes.
type TokenKey = (String, Option<Secret>, BTreeSet<Scope>);

/// A place for one token. It is locked while the token is fetched, so that all who need it wait for one
/// fetch.
type Slot = Arc<Mutex<Option<Token>>>;

impl Scope {
    pub(crate) fn pull(repository: &RepositoryName) -> Self {
        Self(format!("repository:{repository}:pull"))
    }

    pub(crate) fn push(repository: &RepositoryName) -> Self {
        Self(format!("repository:{repository}:pull,push"))
    }

    pub(crate) fn delete(repository: &RepositoryName) -> Self {
        Self(format!("repository:{repository}:delete,pull,push"))
    }

    pub(crate) fn catalog() -> Self {
        Self("registry:catalog:*".to_owned())
    }
}

impl Auth {
    pub(crate) fn new(credentials: Arc<dyn Credentials>, plain_http: PlainHttp) -> Self {
        Self { credentials, plain_http, known: Mutex::default() }
    }

    /// Returns the last challenge of a registry, if there was one.
    pub(crate) fn challenge_of(&self, registry: &str) -> Option<Challenge> {
        self.known().challenges.get(registry).map(|(challenge, _)| challenge.clone())
    }

    /// Makes the request with the stored name and password, although no challenge asked for them. Returns
    /// `None` if there are none.
    pub(crate) fn attempt_with_password<'h>(
        &self,
        http: &'h Http,
        request: &Request<'_>,
        access: &Access<'_>,
    ) -> Result<Option<Answer<'h>>, AttemptError> {
        let Some(Credential::Password { username, password }) = self.credential(access)? else {
            return Ok(None);
        };
        http.attempt(request, Some(&header("Basic", &basic(&username, &password))?)).map(Some)
    }

    /// Makes the request with the authorization that the last challenge asked for, and once more if this
    /// answer has another challenge.
    pub(crate) fn attempt<'h>(
        &self,
        http: &'h Http,
        request: &Request<'_>,
        access: &Access<'_>,
    ) -> Result<Answer<'h>, AttemptError> {
        let known = self.known().challenges.get(access.registry).cloned();
        let authorization = match known {
            Some(known) => self.authorization(http, request, &known, access, None)?,
            None => None,
        };
        let answer = http.attempt(request, authorization.as_ref())?;
        let Some(wanted) = self.wanted(http, request, &answer, authorization.is_some(), access)
        else {
            return Ok(answer);
        };
        self.known().challenges.insert(access.registry.to_owned(), wanted.clone());
        let stale = authorization.as_ref();
        let Some(fresh) = self.authorization(http, request, &wanted, access, stale)? else {
            return Ok(answer);
        };
        if Some(&fresh) == stale {
            return Ok(answer);
        }
        drop(answer);
        http.attempt(request, Some(&fresh))
    }

    /// Returns the challenge that follows from an answer, and the hosts that it may name. Returns `None`
    /// if there is nothing to authenticate for. Some registries send another status than 401, and some
    /// send a challenge only from their root.
    fn wanted(
        &self,
        http: &Http,
        request: &Request<'_>,
        answer: &Answer<'_>,
        was_shown: bool,
        access: &Access<'_>,
    ) -> Option<(Challenge, Reach)> {
        let is_unknown = answer.status() == StatusCode::UNAUTHORIZED;
        if !answer.url().is_same_origin(&request.url)
            || !(is_unknown || !was_shown && may_ask_for_credentials(answer.status()))
        {
            return None;
        }
        if let Some(wanted) = challenge(answer.headers()) {
            return Some((wanted, answer.may_name()));
        }
        // Without a credential, only a 401 is worth another question.
        let has_something = || matches!(self.credential(access), Ok(Some(_)));
        if was_shown || request.url == *access.base || !(is_unknown || has_something()) {
            return None;
        }
        if !self.known().asked.insert(access.registry.to_owned()) {
            return None;
        }
        let root = Request::new(Method::GET, access.base.clone(), "use", access.registry);
        let answer = http.attempt(&root, None).ok()?;
        let is_own = answer.url().is_same_origin(access.base);
        let wanted = challenge(answer.headers())
            .filter(|_| is_own && may_ask_for_credentials(answer.status()))?;
        Some((wanted, answer.may_name()))
    }

    /// Returns an `Authorization` other than `stale`. Returns `None` if there is no credential that fits.
    fn authorization(
        &self,
        http: &Http,
        request: &Request<'_>,
        (challenge, may_name): &(Challenge, Reach),
        access: &Access<'_>,
        stale: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, AttemptError> {
        let credential = self.credential(access)?;
        match (challenge, &credential) {
            (_, Some(Credential::Token(token))) => Ok(Some(header("Bearer", token)?)),
            (Challenge::Basic, Some(Credential::Password { username, password })) => {
                Ok(Some(header("Basic", &basic(username, password))?))
            }
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, scope }, _) => {
                let identity = credential.as_ref().map(identity);
                let key = (access.registry.to_owned(), identity, access.scopes.clone());
                if let Some(value) = self.cached_token(&key)?.filter(|value| Some(value) != stale) {
                    return Ok(Some(value));
                }
                let slot = Arc::clone(self.known().tokens.entry(key).or_default());
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(token) = slot.as_ref().filter(|token| token.is_fresh()) {
                    let value = header("Bearer", token.value())?;
                    if Some(&value) != stale {
                        return Ok(Some(value));
                    }
                }
                let token_request = TokenRequest {
                    realm,
                    service: service.as_deref(),
                    scopes: merge_scopes(&access.scopes, scope.as_deref()),
                    credential: credential.as_ref(),
                    registry: access.registry,
                    asked_at: &request.url,
                    may_name: *may_name,
                    plain_http: self.plain_http,
                };
                let token = slot.insert(token_request.fetch(http)?);
                Ok(Some(header("Bearer", token.value())?))
            }
        }
    }

    /// Returns a fresh token that was fetched for more scopes: a token to push also allows to pull.
    fn cached_token(&self, (registry, identity, scopes): &TokenKey) -> Result<Option<HeaderValue>> {
        let known = self.known();
        for ((of, by, may), slot) in &known.tokens {
            let covered = |want: &Scope| may.iter().any(|have| covers(&have.0, &want.0));
            if of != registry || by != identity || !scopes.iter().all(covered) {
                continue;
            }
            // Only those who need exactly these scopes wait for a token that is being fetched.
            let Ok(slot) = slot.try_lock() else { continue };
            if let Some(token) = slot.as_ref().filter(|token| token.is_fresh()) {
                return header("Bearer", token.value()).map(Some);
            }
        }
        Ok(None)
    }

    fn credential(&self, access: &Access<'_>) -> Result<Option<Credential>> {
        let key = (access.registry.to_owned(), access.repository.cloned());
        if let Some(found) = self.known().credentials.get(&key) {
            return Ok(found.clone());
        }
        let found = self.credentials.find(access.registry, access.repository)?;
        self.known().credentials.insert(key, found.clone());
        Ok(found)
    }

    /// Locks what is known. A panic of another thread cannot have left it half changed.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether this status may mean that authentication is needed. Some registries hide what they have,
/// and others know no better status.
pub(crate) fn may_ask_for_credentials(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 404)
}

/// Returns what distinguishes one credential from another.
fn identity(credential: &Credential) -> Secret {
    match credential {
        Credential::Password { username, password } => basic(username, password),
        Credential::Identity(token) | Credential::Token(token) => token.clone(),
    }
}

/// More scopes of a challenge are ignored: each is compared with all others.
const MOST_SCOPES: usize = 64;

/// Returns the wanted scopes, and those of the challenge that they do not cover.
fn merge_scopes(wanted: &BTreeSet<Scope>, asked: Option<&str>) -> Vec<String> {
    let mut scopes: Vec<String> = wanted.iter().map(|scope| scope.0.clone()).collect();
    for scope in asked.unwrap_or_default().split_ascii_whitespace().take(MOST_SCOPES) {
        let covered = scopes.iter().any(|have| covers(have, scope));
        if !covered {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Tells whether `have` allows all that `scope` allows.
fn covers(have: &str, scope: &str) -> bool {
    let (Some((have, may)), Some((scope, wants))) = (have.rsplit_once(':'), scope.rsplit_once(':'))
    else {
        return have == scope;
    };
    let may: Vec<_> = may.split(',').collect();
    have == scope && wants.split(',').all(|want| may.contains(&want))
}

fn basic(username: &str, password: &Secret) -> Secret {
    let text = format!("{username}:{}", password.expose());
    Secret::new(base64::engine::general_purpose::STANDARD.encode(text))
}

fn header(scheme: &str, secret: &Secret) -> Result<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("{scheme} {}", secret.expose())).map_err(|_| {
            let reason = "it holds characters that cannot be sent".to_owned();
            Error::malformed("a token or password", Flaw::Credentials(reason))
        })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_asks_for_is_added_once() {
        let name: RepositoryName = "library/app".parse().unwrap();
        let wanted = BTreeSet::from([Scope::push(&name)]);
        let asked = "repository:library/app:pull repository:other:pull";
        assert_eq!(
            merge_scopes(&wanted, Some(asked)),
            ["repository:library/app:pull,push", "repository:other:pull"]
        );
        assert_eq!(merge_scopes(&wanted, None), ["repository:library/app:pull,push"]);
    }

    #[test]
    fn what_is_sent_is_not_shown() {
        let value = header("Basic", &basic("me", &Secret::new("hunter2"))).unwrap();
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert_eq!(value.to_str().unwrap(), "Basic bWU6aHVudGVyMg==");
    }
}
