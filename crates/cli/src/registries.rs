//! How registries are reached: flags and the environment become the client's config.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::sync::Arc;

use longshore::location::{InRegistry, Location};
use longshore_remote::credentials::{Credential, Credentials, Files};
use longshore_remote::{
    Certificates, Client, Config, ForeignUrls, PlainHttp, Proxies, Registry, RemoteRepository,
    Secret,
};

use crate::args::{Reach, Reading, UserPassword};
use crate::input;
use crate::problem::{Exit, Problem};

/// The registries of a command; nothing is read or connected to before the first is asked for.
#[derive(Debug)]
pub(crate) struct Registries<'a> {
    reach: &'a Reach,
    credential: Option<Credential>,
    foreign_urls: ForeignUrls,
    client: OnceCell<Client>,
}

impl<'a> Registries<'a> {
    /// Registries of which no content is read.
    pub(crate) fn new(reach: &'a Reach) -> Self {
        let foreign_urls = ForeignUrls::Refused;
        Self { reach, credential: None, foreign_urls, client: OnceCell::new() }
    }

    /// Registries whose content is read.
    pub(crate) fn reading(reading: &'a Reading) -> Self {
        let foreign_urls =
            if reading.no_foreign_urls { ForeignUrls::Refused } else { ForeignUrls::Public };
        Self { foreign_urls, ..Self::new(&reading.reach) }
    }

    /// Shows registries this, instead of what files know.
    pub(crate) fn with(self, credential: impl Into<Option<Credential>>) -> Self {
        Self { credential: credential.into(), ..self }
    }

    /// Returns a registry.
    pub(crate) fn registry(&self, host: &str) -> Result<Registry, Problem> {
        self.client()?.registry(host).map_err(Problem::of)
    }

    /// Returns a repository.
    pub(crate) fn remote(&self, place: &InRegistry) -> Result<RemoteRepository, Problem> {
        Ok(self.registry(&place.host)?.remote_repository(&place.repository))
    }

    fn client(&self) -> Result<&Client, Problem> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let config = self.config()?;
        self.tell(&config);
        let client = Client::new(&config).map_err(Problem::of)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Tells how registries are reached, without anything secret.
    fn tell(&self, config: &Config) {
        if self.credential.is_some() || self.reach.creds.is_some() {
            tracing::debug!("registries are shown the name and password that were given");
        } else {
            for file in known_files(self.reach).iter().filter(|file| file.exists()) {
                tracing::debug!("names and passwords are looked for in {}", file.display());
            }
        }
        for file in &self.reach.tls_ca {
            tracing::debug!("authorities in {} are trusted, too", file.display());
        }
        let Proxies { http, https, no_proxy } = &config.proxies;
        if http.is_some() || https.is_some() {
            let but = no_proxy.as_deref().unwrap_or("none");
            tracing::debug!("requests go through a proxy, but to these hosts: {but}");
        }
    }

    fn config(&self) -> Result<Config, Problem> {
        let read = |path: &PathBuf| input::bytes(path, input::MAX_TRUST).map_err(Problem::of);
        let typed =
            self.credential.clone().or_else(|| self.reach.creds.clone().map(|UserPassword(of)| of));
        let credentials: Arc<dyn Credentials> = match typed {
            Some(credential) => Arc::new(credential),
            None => Arc::new(files(known_files(self.reach))),
        };
        let defaults = Config::default();
        Ok(Config {
            credentials,
            foreign_urls: self.foreign_urls,
            proxies: proxies(),
            extra_authorities: self.reach.tls_ca.iter().map(read).collect::<Result<_, _>>()?,
            certificates: if self.reach.insecure {
                Certificates::Any
            } else {
                Certificates::Verified
            },
            plain_http: match self.reach {
                Reach { plain_http: true, .. } => PlainHttp::Always,
                // Whoever says how TLS is to be done wants it done.
                Reach { insecure: true, .. } => PlainHttp::Never,
                Reach { tls_ca, .. } if !tls_ca.is_empty() => PlainHttp::Never,
                _ => PlainHttp::Loopback,
            },
            byte_rate: self.reach.limit_rate,
            request_rate: self.reach.limit_requests,
            retries: self.reach.retries.unwrap_or(defaults.retries),
            idle_timeout: self.reach.timeout.unwrap_or(defaults.idle_timeout),
            ..defaults
        })
    }
}

/// Looks into files for what to show.
pub(crate) fn files(paths: impl IntoIterator<Item = PathBuf>) -> Files {
    Files::new(paths)
}

/// Returns the files that may know who the user is, in the order of the tools that write them:
/// the one that is named, else those of Podman and its family, then that of Docker.
fn known_files(reach: &Reach) -> Vec<PathBuf> {
    if let Some(file) = &reach.authfile {
        return vec![file.clone()];
    }
    let home = path_in("HOME");
    let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
    // Where Podman keeps it for who has no session: root, and services.
    let of_user = || {
        let user = rustix::process::getuid().as_raw();
        PathBuf::from(format!("/run/containers/{user}"))
    };
    let run = path_in("XDG_RUNTIME_DIR").map(|path| path.join("containers"));
    let run = run.map(|path| path.join("auth.json")).or_else(|| {
        // On some machines only root may look there.
        Some(of_user().join("auth.json")).filter(|path| path.try_exists().is_ok())
    });
    let config = path_in("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let config = config.map(|path| path.join("containers/auth.json"));
    // Where Docker kept it before that.
    let before = below_home(".dockercfg");
    run.into_iter().chain(config).chain(docker_file()).chain(before).collect()
}

/// Returns the file that `login` writes: the one that is named, else Docker's, which most tools read
/// and which outlives a restart.
pub(crate) fn login_file(reach: &Reach) -> Result<PathBuf, Problem> {
    reach.authfile.clone().or_else(docker_file).ok_or_else(|| {
        let text = "there is no file to keep a password in: HOME is not set";
        Problem::new(Exit::Usage, text).hint("name one with --authfile")
    })
}

fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn docker_file() -> Option<PathBuf> {
    let directory = path_in("DOCKER_CONFIG").or_else(|| Some(path_in("HOME")?.join(".docker")))?;
    Some(directory.join("config.json"))
}

/// Reads the well-known variables, in either case. Where a request in a CGI program may have set
/// `HTTP_PROXY`, that is not believed.
fn proxies() -> Proxies {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let in_capitals = || set("HTTP_PROXY").filter(|_| set("REQUEST_METHOD").is_none());
    Proxies {
        http: set("http_proxy").or_else(in_capitals).map(Secret::new),
        https: set("HTTPS_PROXY").or_else(|| set("https_proxy")).map(Secret::new),
        no_proxy: set("NO_PROXY").or_else(|| set("no_proxy")),
    }
}

/// Refuses a destination whose host was left away: content would go to Docker Hub by accident.
pub(crate) fn refuse_short(place: &InRegistry, typed: &Location) -> Result<(), Problem> {
    if !place.is_short {
        return Ok(());
    }
    // With the tag and the digest, as it was typed.
    let full = typed.to_string();
    let path = full.split_once('/').map_or(&*full, |(_, path)| path);
    let short = path.strip_prefix("library/").unwrap_or(path);
    let text = format!("`{short}` names no registry to write to");
    let hint = format!("write `HOST/{short}`, or `{full}` if Docker Hub is meant");
    Err(Problem::new(Exit::Usage, text).hint(hint))
}
