//! Requests for tokens, and how long tokens last.

use std::time::{Duration, Instant};

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};
use longshore_store::{Error, Flaw, Refusal};
use serde::Deserialize;

use super::{basic, header};
use crate::credentials::Credential;
use crate::http::{AttemptError, Body, Http, Reach, Request};
use crate::url::{Url, field, with_query};
use crate::{PlainHttp, Secret};

/// How long a token lasts, in seconds, if the service does not say (token specification, `expires_in`).
const DEFAULT_LIFE: u64 = 60;

/// No token is used for longer, in seconds: some services forget their tokens earlier than they say.
const LONGEST_LIFE: u64 = 3600;

/// A token is not used for so long before its end: a request takes time to arrive.
const MARGIN: Duration = Duration::from_secs(10);

/// An answer of more bytes is refused.
const MOST_BYTES: u64 = 256 << 10;

/// The `client_id` that is sent to authorization services.
const CLIENT_ID: &str = "longshore";

/// A token that was fetched.
#[derive(Debug)]
pub(super) struct Token {
    value: Secret,
    expires: Instant,
}

impl Token {
    pub(super) fn value(&self) -> &Secret {
        &self.value
    }

    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// A request for a token.
pub(super) struct TokenRequest<'a> {
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: Vec<String>,
    pub(super) credential: Option<&'a Credential>,
    pub(super) registry: &'a str,
    /// The address whose answer had the challenge.
    pub(super) asked_at: &'a Url,
    /// The hosts that the registry may name.
    pub(super) may_name: Reach,
    /// Which hosts may get a secret without encryption.
    pub(super) plain_http: PlainHttp,
}

impl TokenRequest<'_> {
    /// Fetches a token from the service that the challenge names.
    pub(super) fn fetch(&self, http: &Http) -> Result<Token, AttemptError> {
        let asked = Instant::now();
        let (request, authorization) = self.request()?;
        let request = request.whole(MOST_BYTES);
        let answer = http.attempt(&request, authorization.as_ref())?;
        if !answer.status().is_success() {
            let error = match answer.into_error(request.action, &request.what) {
                // The user did not ask for this address, so a 404 from it would not help.
                Error::NotFound { what, place, said } => Error::Denied {
                    action: request.action,
                    what,
                    place,
                    said: Box::new(no_service(said)),
                },
                error => error,
            };
            return Err(error.into());
        }
        let body = answer.into_bytes("the answer with a token", MOST_BYTES)?;
        let malformed =
            |reason: &str| Error::malformed(&request.what, Flaw::Answer(reason.to_owned()));
        // The parser's error may quote a secret.
        let reply: Reply = serde_json::from_slice(&body)
            .map_err(|_| malformed("what came is not of the form it must have"))?;
        let value = [reply.token, reply.access_token]
            .into_iter()
            .flatten()
            .map(|token| token.trim().to_owned())
            .find(|token| !token.is_empty());
        let value = value.ok_or_else(|| malformed("none came"))?;
        let life = reply
            .expires_in
            .and_then(|life| life.as_u64())
            .filter(|life| *life > 0)
            .unwrap_or(DEFAULT_LIFE);
        let life = Duration::from_secs(life.min(LONGEST_LIFE));
        // A token that lasts no longer than the margin is used for half of its time.
        let used = life.saturating_sub(MARGIN).max(life / 2);
        Ok(Token { value: Secret::new(value), expires: asked + used })
    }

    fn request(&self) -> Result<(Request<'static>, Option<http::HeaderValue>), Error> {
        let what = format!("a token for {}", self.registry);
        let malformed = |flaw: Flaw| {
            Error::malformed(format!("the address for tokens that {} gave", self.registry), flaw)
        };
        if self.realm.contains("://") {
            Url::parse(self.realm).map_err(|reason| malformed(Flaw::Answer(reason)))?;
        }
        // The realm may be relative, as other addresses may be (RFC 9110 4.1).
        let mut url = self.asked_at.follow(self.realm).map_err(|error| match error {
            Error::Malformed { reason, .. } => malformed(reason),
            error => error,
        })?;
        let is_open = !url.is_encrypted() && !self.plain_http.allows(&url);
        if is_open && self.credential.is_some() {
            let reason = "nothing is encrypted there, and it would be shown a secret";
            return Err(malformed(Flaw::Answer(reason.to_owned())));
        }
        if let Some(Credential::Identity(token)) = self.credential {
            let scopes = self.scopes.join(" ");
            let fields = [
                ("grant_type", Some("refresh_token")),
                ("refresh_token", Some(token.expose())),
                ("service", self.service),
                ("scope", Some(scopes.as_str()).filter(|scopes| !scopes.is_empty())),
                ("client_id", Some(CLIENT_ID)),
            ];
            let fields = fields.into_iter().filter_map(|(key, value)| Some(field(key, value?)));
            let body = fields.collect::<Vec<_>>().join("&");
            let request = Request::new(Method::POST, url, "get", what)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(ACCEPT, "application/json")
                .body(Body::Secret(body.into()))
                .reach(self.may_name);
            return Ok((request, None));
        }
        if let Some(service) = self.service {
            url = with_query(url, "service", service);
        }
        for scope in &self.scopes {
            url = with_query(url, "scope", scope);
        }
        let authorization = match self.credential {
            Some(Credential::Password { username, password }) => {
                url = with_query(url, "account", username);
                Some(header("Basic", &basic(username, password))?)
            }
            _ => None,
        };
        let request = Request::new(Method::GET, url, "get", what)
            .header(ACCEPT, "application/json")
            .reach(self.may_name);
        Ok((request, authorization))
    }
}

/// Returns the refusal of an address where there is no token service, with what the host said there.
fn no_service(said: Option<Box<Refusal>>) -> Refusal {
    let nobody = "nobody hands out tokens there";
    let said = said.map_or_else(|| Refusal::of_status(404), |said| *said);
    let detail = match &said.detail {
        Some(detail) => format!("{nobody}: {detail}"),
        None => nobody.to_owned(),
    };
    said.saying(detail)
}

/// The answer of an authorization service. `token` and `access_token` mean the same.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}
