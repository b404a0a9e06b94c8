//! Every fixture is read as a whole, or refused with an error that names the problem.

use longshore_fixture::{Form, catalog};

use crate::common::read_all;

/// The error for each faulty archive; `PATH` stands for its path.
const TARS: &[(&str, &str)] = &[
    (
        "tar-truncated-in-blob",
        "PATH is malformed: its member `blobs/sha256/d5991443776b7b20305020e7ad7294d51f92236ed6bb14de48f235b88f1681ca` \
         is cut off: it has 2071 bytes, and the file ends after 1035 of them",
    ),
    (
        "tar-truncated-at-member",
        "sha256:d5991443776b7b20305020e7ad7294d51f92236ed6bb14de48f235b88f1681ca is not in PATH",
    ),
    (
        "tar-dot-dot-name",
        "PATH is malformed: its member `../evil` has `..` in its name, which would lead out of the archive",
    ),
    (
        "tar-dot-dot-inside",
        "PATH is malformed: its member `blobs/../../evil` has `..` in its name, which would lead out of the archive",
    ),
    (
        "tar-absolute-name",
        "PATH is malformed: its member `/tmp/evil` has an absolute name, which would lead out of the archive",
    ),
    (
        "tar-symlink-out",
        "PATH is malformed: its member `blobs/sha256/61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084` \
         is a link, where the layout must have a file",
    ),
    (
        "tar-symlink-blob",
        "PATH is malformed: its member `blobs/sha256/61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084` \
         is a link, where the layout must have a file",
    ),
    (
        "tar-symlink-directory",
        "PATH is malformed: its member `blobs/sha256` is a link, where the layout must have a file",
    ),
    (
        "tar-hardlink-out",
        "PATH is malformed: its member `blobs/sha256/61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084` \
         is a link that leads out of the archive",
    ),
    (
        "tar-duplicate-other-bytes",
        "PATH is malformed: its member `blobs/sha256/61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084` \
         is there twice, with different content",
    ),
    (
        "tar-duplicate-index",
        "PATH is malformed: its member `index.json` is there twice, with different content",
    ),
    (
        "tar-lying-size",
        "sha256:61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084 is corrupt: its size is 2071 bytes, \
         but its content has more than 2071",
    ),
    (
        "tar-huge-size",
        "PATH is malformed: its member `blobs/sha256/61a213d0d52b608c6639f34e57e872273769db117d9e091b4b7364274af39084` \
         is cut off: it has 4611686018427387904 bytes, and the file ends after 9216 of them",
    ),
    (
        "tar-bad-checksum",
        "PATH is malformed: the header of member 3 cannot be read: archive header checksum mismatch",
    ),
    ("tar-empty-file", "PATH is empty"),
    ("tar-not-a-tar", "PATH is not a tar archive"),
    ("tar-no-index", "PATH has no `index.json`"),
    ("tar-no-oci-layout", "PATH has no `oci-layout`, so it holds no image layout"),
    (
        "tar-missing-blob",
        "sha256:d5991443776b7b20305020e7ad7294d51f92236ed6bb14de48f235b88f1681ca is not in PATH",
    ),
    (
        "tar-docker-save",
        "PATH has no `oci-layout`, but a `manifest.json`: it is a Docker archive, not an OCI one",
    ),
];

#[test]
fn what_is_right_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in catalog().iter().filter(|fixture| !fixture.fault) {
        let path = fixture.write(directory.path()).unwrap();
        let found = read_all(&path).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        if let Form::Content(content) = &fixture.form {
            let differs = found.iter().find(|(digest, bytes)| content.blobs[*digest] != **bytes);
            assert_eq!(differs, None, "{}", fixture.name);
        }
    }
}

#[test]
fn what_is_wrong_is_refused_in_words_that_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut tars = TARS.iter();
    for fixture in catalog().iter().filter(|fixture| fixture.fault) {
        let path = fixture.write(directory.path()).unwrap();
        let Err(error) = read_all(&path) else { panic!("{} was read", fixture.name) };
        let error = error.to_string().replace(&path.display().to_string(), "PATH");
        if let Form::Tar(_) = fixture.form {
            assert_eq!(Some(&(fixture.name, error.as_str())), tars.next());
        } else {
            let named = ["PATH/", "PATH is", "PATH has", "sha256:", "blake3:"];
            assert!(named.iter().any(|part| error.contains(part)), "{}: {error}", fixture.name);
        }
    }
    assert_eq!(tars.next(), None);
}

#[test]
fn a26_an_ambiguous_name_lists_what_it_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = catalog()
        .into_iter()
        .find(|fixture| fixture.name == "layout-two-entries-one-name")
        .unwrap();
    let error = read_all(&fixture.write(directory.path()).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("`app` is ambiguous in "), "{error}");
    assert_eq!(error.matches("sha256:").count(), 2, "{error}");
}
