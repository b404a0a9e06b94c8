//! Who may come in.

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

/// What a client without a password is told to show one by. All clients understand this form.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"longshore\"");

/// So many passwords are checked at once: a check costs a core a good part of a second.
pub(super) const CHECKS: usize = 2;

/// So many wait for it.
const MAX_WAITING: usize = 512;

/// So many passwords that were right are remembered; then all are forgotten.
const MAX_REMEMBERED: usize = 1 << 12;

/// A client whose passwords were wrong so often within [`FAILURE_WINDOW`] is not listened to for the
/// rest of it, unless it shows one that is known to be right.
const MAX_FAILURES: u32 = 30;

const FAILURE_WINDOW: Duration = Duration::from_mins(1);

/// Of so many clients failures are counted; then those that are over are forgotten, and if there are
/// none, all.
const MAX_CLIENTS: usize = 1 << 14;

/// Decides who may come in.
pub(super) struct Authenticator {
    /// `None` lets everybody in.
    passwords: Option<RwLock<Arc<Passwords>>>,
    anonymous_pull: bool,
    /// What was right, as tags under `key`: a look at the memory gives no password away, and how long
    /// a look-up takes says nothing about one.
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
    /// What stands for it in memory, if there is such a user.
    tag: Option<[u8; 32]>,
    password: Vec<u8>,
    /// What it is checked against.
    hash: String,
    client: IpAddr,
}

impl Authenticator {
    /// Returns a gate that asks for one of `passwords`, if there are any. Fails if the system has no
    /// random numbers.
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

    /// Asks for other passwords from now on, if any were asked for before.
    pub(super) fn replace(&self, passwords: Passwords) {
        if let Some(lock) = &self.passwords {
            *lock.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(passwords);
        }
    }

    /// Returns the user that a request is from, `None` for one that needs none, or why it is refused.
    pub(super) async fn authenticate<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        client: IpAddr,
    ) -> Result<Option<Arc<str>>, ErrorResponse> {
        let Some(lock) = &self.passwords else { return Ok(None) };
        let passwords = Arc::clone(&lock.read().unwrap_or_else(PoisonError::into_inner));
        let shown = match request.headers().get(AUTHORIZATION) {
            Some(shown) => Some(parse(shown).ok_or_else(|| {
                unauthorized("this is not understood; set_certificate `Basic` credentials")
            })?),
            None => None,
        };
        match shown.filter(|(name, password)| !name.is_empty() || !password.is_empty()) {
            Some((name, password)) => {
                let name: Arc<str> = name.into();
                self.check(&passwords, &name, password, client).await?;
                Ok(Some(name))
            }
            // skopeo shows an empty name and password if it has none.
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
        // Somebody's, so that it takes no less time if there is no such user.
        let Some(hash) = known.or(passwords.any_hash()) else {
            return Err(unauthorized("nobody has a password here"));
        };
        let (authenticator, name, hash) = (Arc::clone(self), Arc::clone(name), hash.to_owned());
        // To its end, though the client may be gone: else who hangs up would guess for nothing, and
        // have as many guesses checked at once as it likes.
        let checked = tokio::spawn(async move {
            let guess = PasswordCheck { tag, password, hash, client };
            authenticator.check_slowly(guess, &name).await
        });
        checked.await.unwrap_or_else(|_| Err(unauthorized("the password could not be checked")))
    }

    /// Checks what is not known to be right, when it is its turn.
    async fn check_slowly(&self, guess: PasswordCheck, name: &str) -> Result<(), ErrorResponse> {
        let PasswordCheck { tag, password, hash, client } = guess;
        let _waiting = Waiting::begin(&self.waiting)?;
        let _permit = self.checks.acquire().await;
        // Many clients of one user come at once, and the first has been checked by now.
        if self.remembers(tag) {
            return Ok(());
        }
        // And many guesses do.
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

    /// Returns what stands for a password in memory. It is another one once the hash has changed.
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

    /// Fails if a client was wrong too often.
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

/// One that waits for a check, counted.
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

/// Tells whether a request is one that pulls.
///
/// The question whether this is a registry at all is not: most clients learn from its answer whether
/// they have to show a password later, and go on without one if they have none. Docker's daemon gives
/// up instead of going on, so it is told that none is needed.
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
