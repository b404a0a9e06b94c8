//! Authentication by password.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Passwords;
use super::client::site_of;
use crate::error::{Code, ErrorResponse};
use crate::route::Route;

/// The challenge for clients without a password. All clients understand this scheme.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"longshore\"");

/// How many passwords are checked at once: one check takes a core for a good part of a second.
pub(super) const CHECKS: usize = 2;

/// How many passwords may wait to be checked.
const MAX_WAITING: usize = 512;

/// How many right passwords are remembered. Beyond that, all are forgotten.
const MAX_REMEMBERED: usize = 1 << 12;

/// A client with so many wrong passwords within [`FAILURE_WINDOW`] is refused for the rest of it, unless
/// it sends a password that is known to be right.
const MAX_FAILURES: u32 = 30;

const FAILURE_WINDOW: Duration = Duration::from_mins(1);

/// Failures are counted for so many clients. Beyond that, old ones are forgotten, and if there are none,
/// all.
const MAX_CLIENTS: usize = 1 << 14;

/// Decides whether a request is admitted.
pub(super) struct Authenticator {
    /// `None` admits everybody.
    passwords: Option<RwLock<Arc<Passwords>>>,
    anonymous_pull: bool,
    /// Tags of right passwords under `key`. The memory reveals no password, and the time of a look-up
    /// says nothing about one.
    remembered: Mutex<HashSet<[u8; 32]>>,
    key: hmac::Key,
    checks: Semaphore,
    waiting: AtomicUsize,
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

/// A password that is not known to be right.
struct PasswordCheck {
    /// The tag of the password, if there is such a user.
    tag: Option<[u8; 32]>,
    password: Vec<u8>,
    /// The bcrypt hash to check it against.
    hash: String,
    client: IpAddr,
}

impl Authenticator {
    /// Returns an authenticator for `passwords`; without any, it admits everybody. Fails if the system
    /// has no random numbers.
    pub(super) fn new(passwords: Option<Passwords>, anonymous_pull: bool) -> std::io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| std::io::Error::other("the system gives no random numbers"))?;
        Ok(Self {
            passwords: passwords.map(|passwords| RwLock::new(Arc::new(passwords))),
            anonymous_pull,
            remembered: Mutex::default(),
            key,
            checks: Semaphore::new(CHECKS),
            waiting: AtomicUsize::new(0),
            failures: Mutex::default(),
        })
    }

    /// Accepts these passwords from now on, if passwords are asked for.
    pub(super) fn replace(&self, passwords: Passwords) {
        if let Some(lock) = &self.passwords {
            *lock.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(passwords);
        }
    }

    /// Returns the user of a request, or `None` if none is needed. The error says why the request is
    /// refused.
    pub(super) async fn authenticate<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        client: IpAddr,
    ) -> Result<Option<Arc<str>>, ErrorResponse> {
        let Some(lock) = &self.passwords else { return Ok(None) };
        let passwords = Arc::clone(&lock.read().unwrap_or_else(PoisonError::into_inner));
        let shown =
            match request.headers().get(AUTHORIZATION) {
                Some(shown) => Some(parse(shown).ok_or_else(|| {
                    unauthorized("this is not understood; show `Basic` credentials")
                })?),
                None => None,
            };
        match shown.filter(|(name, password)| !name.is_empty() || !password.is_empty()) {
            Some((name, password)) => {
                let name: Arc<str> = name.into();
                self.check(&passwords, &name, password, client).await?;
                Ok(Some(name))
            }
            // skopeo sends an empty name and password if it has none.
            None if self.anonymous_pull && is_open(request) => Ok(None),
            None => Err(unauthorized("a name and a password are asked for here")),
        }
    }

    async fn check(
        self: &Arc<Self>,
        passwords: &Passwords,
        name: &Arc<str>,
        password: Vec<u8>,
        client: IpAddr,
    ) -> Result<(), ErrorResponse> {
        let known = passwords.hash_of(name);
        let tag = known.map(|hash| self.tag(name, &password, hash));
        if self.remembers(tag) {
            return Ok(());
        }
        self.refuse_guesses(client)?;
        // If there is no such user, another user's hash is checked, so that it takes the same time.
        let Some(hash) = known.or(passwords.any_hash()) else {
            return Err(unauthorized("nobody has a password here"));
        };
        let (authenticator, name, hash) = (Arc::clone(self), Arc::clone(name), hash.to_owned());
        // The check is completed even if the client is gone: otherwise, clients that hang up could have
        // any number of guesses checked at once, and none would be counted.
        let checked = tokio::spawn(async move {
            let guess = PasswordCheck { tag, password, hash, client };
            authenticator.check_slowly(guess, &name).await
        });
        checked.await.unwrap_or_else(|_| Err(unauthorized("the password could not be checked")))
    }

    /// Checks a password that is not known to be right.
    async fn check_slowly(&self, guess: PasswordCheck, name: &str) -> Result<(), ErrorResponse> {
        let PasswordCheck { tag, password, hash, client } = guess;
        let _waiting = Waiting::begin(&self.waiting)?;
        let _permit = self.checks.acquire().await;
        // Many clients of one user may arrive at once, and the first one's password has been checked by
        // now.
        if self.remembers(tag) {
            return Ok(());
        }
        // So may many guesses.
        self.refuse_guesses(client)?;
        let check = spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let is_right = check.await.unwrap_or(false);
        let Some(tag) = tag.filter(|_| is_right) else {
            self.note_failure(client);
            tracing::warn!(%client, user = ?name, "a wrong name or password");
            return Err(unauthorized("the name or the password is wrong"));
        };
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(tag);
        Ok(())
    }

    fn remembers(&self, tag: Option<[u8; 32]>) -> bool {
        tag.is_some_and(|tag| lock(&self.remembered).contains(&tag))
    }

    /// Returns the tag of a password. It changes with the hash.
    fn tag(&self, name: &str, password: &[u8], hash: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [name.as_bytes(), password, hash.as_bytes()] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Fails if a client sent too many wrong passwords.
    fn refuse_guesses(&self, client: IpAddr) -> Result<(), ErrorResponse> {
        let Some(failures) = lock(&self.failures).get(&site_of(client)).copied() else {
            return Ok(());
        };
        match FAILURE_WINDOW.checked_sub(failures.since.elapsed()) {
            Some(left) if failures.count >= MAX_FAILURES => {
                let error = too_many("too many wrong passwords came from you");
                Err(error.header(RETRY_AFTER, HeaderValue::from(left.as_secs() + 1)))
            }
            _ => Ok(()),
        }
    }

    fn note_failure(&self, client: IpAddr) {
        let mut failures = lock(&self.failures);
        let is_over = |of: &Failures| of.since.elapsed() >= FAILURE_WINDOW;
        if failures.len() >= MAX_CLIENTS {
            failures.retain(|_, of| !is_over(of));
            if failures.len() >= MAX_CLIENTS {
                failures.clear();
            }
        }
        let begun = Failures { since: Instant::now(), count: 0 };
        let of = failures.entry(site_of(client)).or_insert(begun);
        if is_over(of) {
            *of = begun;
        }
        of.count += 1;
    }
}

/// Counts a password that waits to be checked, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, ErrorResponse> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            return Err(too_many("too many passwords are being checked"));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells whether a request only pulls.
///
/// The request for `/v2/` is not one: most clients learn from its answer whether to send a password
/// later, and continue without one if they have none. Docker's daemon would give up, so it is told that
/// it needs no password.
fn is_open<B>(request: &Request<B>) -> bool {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return false;
    }
    match Route::parse(request.uri().path()) {
        Ok(Route::Base) => is_docker(request.headers()),
        Ok(Route::Uploads(_) | Route::Upload(..)) => false,
        _ => true,
    }
}

fn is_docker(headers: &HeaderMap) -> bool {
    headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"docker/"))
}

/// Reads `Basic` credentials (RFC 7617).
fn parse(shown: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = shown.to_str().ok()?.split_once(' ')?;
    let decoded =
        STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

fn unauthorized(message: &str) -> ErrorResponse {
    ErrorResponse::new(Code::Unauthorized, message).header(WWW_AUTHENTICATE, CHALLENGE)
}

fn too_many(message: &str) -> ErrorResponse {
    ErrorResponse::new(Code::TooManyRequests, message)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("passwords", &self.passwords)
            .field("anonymous_pull", &self.anonymous_pull)
            .finish_non_exhaustive()
    }
}
