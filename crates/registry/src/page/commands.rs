//! The commands to pull an artifact.

use std::net::IpAddr;

use longshore_spec::RepositoryName;
use longshore_spec::artifact_type::{ArtifactType, Family};

use crate::options::Scheme;

/// Returns the commands to pull an artifact from the registry at `host`, that of the best tool first.
/// `selector` is `:TAG` or `@DIGEST`.
pub fn commands(
    (scheme, host): (Scheme, &str),
    repository: &RepositoryName,
    selector: &str,
    artifact_type: &ArtifactType,
) -> Vec<String> {
    let place = format!("{host}/{repository}");
    let plain = |flag: &'static str| if scheme == Scheme::Http { flag } else { "" };
    let native = match (artifact_type.family(), artifact_type.name()) {
        // Docker has no such flag: it is a setting of its daemon.
        (Some(Family::Image), _) => vec![
            format!("docker pull {place}{selector}"),
            format!("podman pull{} {place}{selector}", plain(" --tls-verify=false")),
        ],
        (_, "helm-chart") => {
            let plain = plain(" --plain-http");
            vec![match selector.strip_prefix(':') {
                // A version may have a `+`, which a tag cannot have.
                Some(tag) => {
                    let version = tag.replacen('_', "+", 1);
                    format!("helm pull{plain} oci://{place} --version {version}")
                }
                None => format!("helm pull{plain} oci://{place}{selector}"),
            }]
        }
        (_, "singularity-sif") => {
            vec![format!("singularity pull{} oras://{place}{selector}", plain(" --no-https"))]
        }
        _ => vec![format!("oras pull{} {place}{selector}", plain(" --plain-http"))],
    };
    let flag = if is_loopback(host) { "" } else { plain(" --plain-http") };
    native.into_iter().chain([format!("longshore copy{flag} {place}{selector} oci:DIR")]).collect()
}

/// Tells whether a host is this machine, which clients reach without TLS by default.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use longshore_spec::MediaType;

    use super::*;

    #[test]
    fn each_type_has_the_tool_that_it_is_made_for() {
        let first = |scheme: Scheme, media_type: &str, selector: &str| {
            let of = ArtifactType::declared_as(&MediaType::new(media_type));
            let name = "acme/shop".parse().unwrap();
            commands((scheme, "reg.local"), &name, selector, &of).swap_remove(0)
        };
        for (media_type, selector, clear, encrypted) in [
            (
                MediaType::IMAGE_CONFIG,
                ":v1",
                "docker pull reg.local/acme/shop:v1",
                "docker pull reg.local/acme/shop:v1",
            ),
            (
                "application/vnd.cncf.helm.config.v1+json",
                ":1.2.3_build",
                "helm pull --plain-http oci://reg.local/acme/shop --version 1.2.3+build",
                "helm pull oci://reg.local/acme/shop --version 1.2.3+build",
            ),
            (
                "application/vnd.sylabs.sif.config.v1+json",
                ":v1",
                "singularity pull --no-https oras://reg.local/acme/shop:v1",
                "singularity pull oras://reg.local/acme/shop:v1",
            ),
            (
                "application/x-new",
                "@sha256:00",
                "oras pull --plain-http reg.local/acme/shop@sha256:00",
                "oras pull reg.local/acme/shop@sha256:00",
            ),
        ] {
            assert_eq!(first(Scheme::Http, media_type, selector), clear);
            assert_eq!(first(Scheme::Https, media_type, selector), encrypted);
        }
    }

    #[test]
    fn this_machine_is_known() {
        for host in ["localhost:5000", "localhost", "127.0.0.1:5000", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["reg.local", "10.0.0.1:5000", "[fe80::1]:5000", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
