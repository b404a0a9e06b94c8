//! How registries are reached: flags and the environment become the client's config.

use std::cell::OnceCell;
use std::path::PathBuf;

use longshore_remote::{Certificates, Client, Config, PlainHttp, Proxies, Remote, Secret};
use longshore_store::Error;

use crate::args::Reach;
use crate::location::InRegistry;
use crate::problem::{Exit, Problem};

/// The registries of a command; nothing is read or connected to before the first is asked for.
#[derive(Debug)]
pub(crate) struct Registries<'a> {
    reach: &'a Reach,
    client: OnceCell<Client>,
}

impl<'a> Registries<'a> {
    pub(crate) fn new(reach: &'a Reach) -> Self {
        Self { reach, client: OnceCell::new() }
    }

    /// Returns a repository.
    pub(crate) fn remote(&self, place: &InRegistry) -> Result<Remote, Problem> {
        let registry = self.client()?.registry(&place.host).map_err(Problem::of)?;
        Ok(registry.remote(&place.repository))
    }

    fn client(&self) -> Result<&Client, Problem> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.config()?).map_err(Problem::of)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn config(&self) -> Result<Config, Problem> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| Problem::of(Error::io("read", path.display())(error)))
        };
        Ok(Config {
            proxies: proxies(),
            extra_authorities: self.reach.tls_ca.iter().map(read).collect::<Result<_, _>>()?,
            certificates: if self.reach.insecure {
                Certificates::Any
            } else {
                Certificates::Verified
            },
            plain_http: if self.reach.plain_http { PlainHttp::Always } else { PlainHttp::Loopback },
            ..Config::default()
        })
    }
}

/// Reads the well-known variables. The one for plain HTTP counts in lower case only: the other
/// spelling may come from a request in a CGI program.
fn proxies() -> Proxies {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Proxies {
        http: set("http_proxy").map(Secret::new),
        https: set("HTTPS_PROXY").or_else(|| set("https_proxy")).map(Secret::new),
        no_proxy: set("NO_PROXY").or_else(|| set("no_proxy")),
    }
}

/// Refuses a destination whose host was left away: content would go to Docker Hub by accident.
pub(crate) fn refuse_short(
    place: &InRegistry,
    typed: impl std::fmt::Display,
) -> Result<(), Problem> {
    if !place.is_short {
        return Ok(());
    }
    let text = format!("`{typed}` names no registry to write to");
    let hint = format!("write `HOST/{0}`, or `docker.io/{0}` if that is meant", place.repository);
    Err(Problem::new(Exit::Usage, text).hint(hint))
}
