//! What a person types next.

use longshore_spec::RepositoryName;
use longshore_spec::artifact_type::{ArtifactType, Family};

/// Returns what a person types to get an artifact from a registry, the tool that it is made for
/// first. `selector` is `:TAG` or `@DIGEST`.
pub fn commands(
    host: &str,
    repository: &RepositoryName,
    selector: &str,
    artifact_type: &ArtifactType,
) -> Vec<String> {
    let place = format!("{host}/{repository}");
    let native = match (artifact_type.family(), artifact_type.name()) {
        (Some(Family::Image), _) => {
            vec![format!("docker pull {place}{selector}"), format!("podman pull {place}{selector}")]
        }
        (_, "helm-chart") => vec![match selector.strip_prefix(':') {
            // A version may have a `+`, which no tag may.
            Some(tag) => format!("helm pull oci://{place} --version {}", tag.replacen('_', "+", 1)),
            None => format!("helm pull oci://{place}{selector}"),
        }],
        (_, "singularity-sif") => vec![format!("singularity pull oras://{place}{selector}")],
        _ => vec![format!("oras pull {place}{selector}")],
    };
    let ours = format!("longshore copy {place}{selector} oci:DIR");
    native.into_iter().chain([ours]).collect()
}

#[cfg(test)]
mod tests {
    use longshore_spec::MediaType;

    use super::*;

    #[test]
    fn each_type_has_the_tool_that_it_is_made_for() {
        let first = |media_type: &str, selector: &str| {
            let of = ArtifactType::declared_as(&MediaType::new(media_type));
            let name = "acme/shop".parse().unwrap();
            commands("localhost:5000", &name, selector, &of).swap_remove(0)
        };
        for (media_type, selector, command) in [
            (MediaType::IMAGE_CONFIG, ":v1", "docker pull localhost:5000/acme/shop:v1"),
            (
                "application/vnd.cncf.helm.config.v1+json",
                ":1.2.3_build",
                "helm pull oci://localhost:5000/acme/shop --version 1.2.3+build",
            ),
            (
                "application/vnd.sylabs.sif.config.v1+json",
                ":v1",
                "singularity pull oras://localhost:5000/acme/shop:v1",
            ),
            ("application/x-new", "@sha256:00", "oras pull localhost:5000/acme/shop@sha256:00"),
        ] {
            assert_eq!(first(media_type, selector), command);
        }
    }
}
