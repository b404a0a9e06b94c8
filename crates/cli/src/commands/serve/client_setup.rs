//! How clients are set up to use the server.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use longshore_registry::{Scheme, commands};
use longshore_spec::{RepositoryName, host_as_path};
use longshore_store::{Name, Place, Result, describe};

use super::{Document, Listed};

/// So many artifacts are looked at to find one of each kind.
const LOOKED_AT: usize = 50;

/// What is said where other machines do not reach the server.
pub(super) const ONLY_HERE: &str =
    "only this machine reaches it; `--listen :5000` serves other machines too\n";

/// Returns what a person types next at `host`: a pull for one artifact of each kind, and how Docker, Podman,
/// containerd and k3s are told to ask here.
pub(super) fn instructions(place: &dyn Place, document: &Document, host: &str) -> String {
    let scheme = if document.tls { Scheme::Https } else { Scheme::Http };
    let mut lines = pulls(place, (scheme, host), &document.repositories);
    let base = format!("{}://{host}", if document.tls { "https" } else { "http" });
    if document.writable {
        // Registries on this machine are spoken to without TLS unasked.
        let plain = if document.tls || is_here(host) { "" } else { " --plain-http" };
        lines.push(format!("longshore copy{plain} SRC {host}/NAME:TAG"));
    }
    lines.push(format!("look at {base}/ in a browser"));
    let mut text: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    let origin = document.repositories.iter().find_map(|listed| origin(&listed.name));
    if !is_here(host) {
        text.push_str(&trust(document.tls, host));
    }
    if let Some(origin) = origin {
        text.push_str(&mirrors(&base, host, &origin, document.tls));
    }
    format!("next:\n{text}")
}

/// Tells whether a host is this machine, as far as it is no name.
fn is_here(host: &str) -> bool {
    host.parse().is_ok_and(|address: SocketAddr| address.ip().is_loopback())
}

/// Returns how Docker and Podman are told that they may speak with `host`.
fn trust(tls: bool, host: &str) -> String {
    if tls {
        return format!(
            "where the certificate's authority is not known, it goes to /etc/docker/certs.d/{host}/ca.crt\n\
             for Docker, and to /etc/containers/certs.d/{host}/ca.crt for Podman\n"
        );
    }
    format!(
        "Docker pulls without TLS with this in /etc/docker/daemon.json, after a restart:\n  \
         {{ \"insecure-registries\": [\"{host}\"] }}\n\
         Podman with this in /etc/containers/registries.conf.d/longshore.conf:\n  \
         [[registry]]\n  location = \"{host}\"\n  insecure = true\n"
    )
}

/// Returns how containerd, k3s and Podman are told to ask here first for what lies at `origin`.
fn mirrors(base: &str, host: &str, origin: &str, tls: bool) -> String {
    let insecure = if tls { "" } else { "\n  insecure = true" };
    let path = host_as_path(origin);
    format!(
        "containerd asks here first with this in /etc/containerd/certs.d/{origin}/hosts.toml:\n  \
         [host.\"{base}\"]\n    capabilities = [\"pull\", \"resolve\"]\n\
         k3s with this in /etc/rancher/k3s/registries.yaml, after a restart:\n  \
         mirrors:\n    {origin}:\n      endpoint: [\"{base}\"]\n\
         Podman with this in /etc/containers/registries.conf.d/{origin}.conf:\n  \
         [[registry]]\n  location = \"{origin}\"\n  [[registry.mirror]]\n  \
         location = \"{host}/{path}\"{insecure}\n"
    )
}

/// Returns a pull for one artifact of each kind. What cannot be read is passed over: whoever pulls
/// it is told.
fn pulls(place: &dyn Place, host: (Scheme, &str), repositories: &[Listed]) -> Vec<String> {
    let names = repositories.iter().flat_map(|Listed { name, tags }| {
        let repository = name.parse::<RepositoryName>().ok();
        tags.iter().filter_map(move |tag| Some((repository.clone()?, tag.as_str())))
    });
    let (mut lines, mut tools) = (Vec::new(), BTreeSet::new());
    for (repository, tag) in names.take(LOOKED_AT) {
        let Ok(commands) = pull(place, host, &repository, tag) else { continue };
        let Some(command) = commands.into_iter().next() else { continue };
        let tool = command.split(' ').next().unwrap_or_default().to_owned();
        if tools.insert(tool) {
            lines.push(command);
        }
    }
    lines
}

fn pull(
    place: &dyn Place,
    host: (Scheme, &str),
    name: &RepositoryName,
    tag: &str,
) -> Result<Vec<String>> {
    let repository = place.repository(name)?;
    let manifest = repository.manifest(&Name::from(tag).into())?;
    let artifact_type = describe::type_of_entries(&*repository, &manifest)
        .unwrap_or_else(|| describe::artifact_type(&*repository, &manifest));
    Ok(commands(host, name, &format!(":{tag}"), &artifact_type))
}

/// Returns the host that a repository came from, if its name begins with one; its port stands behind
/// a `_` there.
fn origin(repository: &str) -> Option<String> {
    let (host, _) = repository.split_once('/')?;
    let (name, port) = match host.rsplit_once('_') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(port)),
        _ => (host, None),
    };
    let is_host = name.contains('.') || port.is_some() || name == "localhost";
    is_host.then(|| match port {
        // As containerd names its directories.
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn a_repository_may_say_where_it_came_from() {
        for (repository, expected) in [
            ("docker.io/library/app", Some("docker.io")),
            ("localhost_5000/app", Some("localhost:5000")),
            ("registry.site.local_443/a/b", Some("registry.site.local:443")),
            ("library/app", None),
            ("my_app/web", None),
            ("app", None),
        ] {
            assert_eq!(origin(repository).as_deref(), expected, "{repository}");
        }
    }
}
