//! What to write instead of a text that names no place.

use std::path::Path;

use longshore::location::{LocationError, is_archive, layout};
use longshore_bundle::{LayoutKind, LayoutPlace};

use crate::problem::Mistake;
use crate::shell;

impl From<LocationError> for Mistake {
    fn from(error: LocationError) -> Self {
        let hint = match &error {
            LocationError::Layout(_) => return error.to_string().into(),
            LocationError::Reference(reference) => {
                let [directory, archive] =
                    [LayoutKind::Directory, LayoutKind::Archive].map(LayoutKind::example);
                let layout = || format!("for a layout write {directory} or {archive}");
                reference.instead().map_or_else(layout, |instead| format!("write `{instead}`"))
            }
            LocationError::SkopeoDirectory => "copy to `oci:DIR` with skopeo first".to_owned(),
            LocationError::DockerArchive => {
                "`docker save` of Docker 25 and newer, or `skopeo copy docker-archive:FILE oci:DIR`, makes one".to_owned()
            }
            LocationError::ImageStore { .. } => {
                "write `oci-archive:FILE` after `docker save -o FILE IMAGE` or `podman save --format oci-archive -o FILE IMAGE`".to_owned()
            }
            LocationError::DirectoryScheme { rest, .. } => {
                let path = rest.trim_start_matches('/');
                format!("write `{}`", shell::word(format!("oci:{path}")))
            }
            LocationError::ArchiveScheme { .. } => {
                "write `oci-archive:FILE`, or `oci:DIR` for a directory".to_owned()
            }
            LocationError::UrlAsHost { host, .. } => format!("write `{host}`"),
            LocationError::NotALayout { text, .. } => format!(
                "write `{}` if it is meant, or `{}` for a registry",
                shell::word(format!("./{text}")),
                shell::word(format!("docker://{text}"))
            ),
            LocationError::NotAnArchive { path, .. } if is_list(Path::new(path)) => {
                let path = shell::word(path);
                format!("`longshore export -f {path} -o bundle.tar` takes what it lists")
            }
            LocationError::NotAnArchive { text, .. } => format!(
                "an archive is a tar file, plain or compressed with gzip or zstd; write \
                 `{}` if an image of a registry is meant",
                shell::word(format!("docker://{text}"))
            ),
        };
        Self::new(error.to_string(), hint)
    }
}

/// Reads a layout as it is written in a file. There a name without a host is Docker's, whatever directory lies
/// where the command runs; only the path of a file that is no layout is no reference for sure.
pub(crate) fn layout_in_file(text: &str) -> Option<Result<LayoutPlace, String>> {
    let not_a_layout = || Path::new(text).is_file().then(|| Err(not_an_archive(text).to_string()));
    layout(text).or_else(not_a_layout)
}

/// Tells whether a file is one that lists what is wanted, by its name; its content is no archive.
pub(crate) fn is_list(path: &Path) -> bool {
    let is_list = |end: &std::ffi::OsStr| {
        ["yaml", "yml", "txt"].iter().any(|list| end.eq_ignore_ascii_case(list))
    };
    path.extension().is_some_and(is_list) && path.is_file() && !is_archive(path)
}

/// Says what the file that was typed is not, and what to write instead.
pub(crate) fn not_an_archive(path: &str) -> Mistake {
    let (path, text) = (path.to_owned(), path.to_owned());
    LocationError::NotAnArchive { path, text }.into()
}

#[cfg(test)]
mod tests {
    use longshore::location::Location;

    use super::*;

    #[test]
    fn what_is_no_place_is_told_what_to_write() {
        for (text, told) in [
            ("oci:", "names no path"),
            ("oci:dir:", "leave out the `:`"),
            ("oci:dir:a b", "white space"),
            ("dir:x", "skopeo"),
            ("docker-archive:x", "docker save"),
            ("docker-daemon:x", "docker save"),
            ("oci://ghcr.io/acme/app", "write `ghcr.io/acme/app`"),
            ("https://ghcr.io/acme/app", "write `ghcr.io/acme/app`"),
            ("ocidir://site:app", "write `oci:site:app`"),
            ("src", "write `./src` if it is meant"),
            ("src:app", "`docker://src:app` for a registry"),
            ("Upper/Case", "write `upper/case`"),
        ] {
            let error = Mistake::from(text.parse::<Location>().unwrap_err()).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
