//! Wrong usage, as people who know other tools get it wrong.

use std::process::{Command, Stdio};

use crate::common::{Ran, Site, has, prepare};

#[test]
fn a_place_that_is_plainly_none_is_told_what_to_write() {
    let site = Site::image();
    std::fs::create_dir(site.path("empty")).unwrap();
    insta::assert_snapshot!(site.errors(&[
        "copy empty oci:dst",
        "copy empty:app oci:dst",
        "copy src empty",
        "copy oci:src new",
        "list ./app",
        "list oci:",
        "list oci:src:",
    ]), @r"
    $ longshore copy empty oci:dst
    error: `empty` is a directory here, but not a layout
      hint: write `./empty` if it is meant, or `docker://empty` for a registry
    [exit 2]

    $ longshore copy empty:app oci:dst
    error: `empty` is a directory here, but not a layout
      hint: write `./empty:app` if it is meant, or `docker://empty:app` for a registry
    [exit 2]

    $ longshore copy src empty
    error: `empty` is a directory here, but not a layout
      hint: write `./empty` if it is meant, or `docker://empty` for a registry
    [exit 2]

    $ longshore copy oci:src new
    error: `new` names no registry to write to
      hint: write `HOST/new`, or `docker.io/library/new` if Docker Hub is meant
    [exit 2]

    $ longshore list ./app
    error: cannot open ./app: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore list oci:
    error: `oci:` names no path; write `oci:DIR[:REF]`
    [exit 2]

    $ longshore list oci:src:
    error: `src:` names nothing behind its `:`; leave out the `:`, or add a name
    [exit 2]
    ");
}

#[test]
fn places_of_other_tools_are_told_what_to_do() {
    let site = Site::image();
    insta::assert_snapshot!(site.errors(&[
        "copy docker://localhost:1/library/alpine:3.20 oci:dst",
        "copy oci:src localhost:1/acme/app:v1",
        "copy oci:src acme/app:v1",
        "copy oci://ghcr.io/acme/chart oci:dst",
        "copy docker-archive:alpine.tar oci:dst",
        "copy docker-daemon:alpine:3.20 oci:dst",
        "copy containers-storage:alpine oci:dst",
        "copy dir:alpine oci:dst",
        "copy ocidir://src:app oci:dst",
        "copy file://src.tar oci:dst",
    ]), @r"
    $ longshore copy docker://localhost:1/library/alpine:3.20 oci:dst
    error: cannot reach localhost:1: nothing listens on port 1
      hint: check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`
    [exit 1]

    $ longshore copy oci:src localhost:1/acme/app:v1
    error: cannot reach localhost:1: nothing listens on port 1
      hint: check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`
    [exit 2]

    $ longshore copy oci:src acme/app:v1
    error: `acme/app:v1` names no registry to write to
      hint: write `HOST/acme/app:v1`, or `docker.io/acme/app:v1` if Docker Hub is meant
    [exit 2]

    $ longshore copy oci://ghcr.io/acme/chart oci:dst
    error: `oci://ghcr.io/acme/chart` is not a reference: it begins with `oci://`
      hint: write `ghcr.io/acme/chart`
    [exit 2]

    $ longshore copy docker-archive:alpine.tar oci:dst
    error: `docker-archive:` files are not OCI layouts
      hint: `docker save` of Docker 25 and newer, or `skopeo copy docker-archive:FILE oci:DIR`, makes one
    [exit 2]

    $ longshore copy docker-daemon:alpine:3.20 oci:dst
    error: `docker-daemon:` cannot be read
      hint: write `oci-archive:FILE` after `docker save -o FILE IMAGE` or `podman save --format oci-archive -o FILE IMAGE`
    [exit 2]

    $ longshore copy containers-storage:alpine oci:dst
    error: `containers-storage:` cannot be read
      hint: write `oci-archive:FILE` after `docker save -o FILE IMAGE` or `podman save --format oci-archive -o FILE IMAGE`
    [exit 2]

    $ longshore copy dir:alpine oci:dst
    error: `dir:` directories of skopeo lose names and types
      hint: copy to `oci:DIR` with skopeo first
    [exit 2]

    $ longshore copy ocidir://src:app oci:dst
    error: `ocidir:` is not a kind of place
      hint: write `oci:src:app`
    [exit 2]

    $ longshore copy file://src.tar oci:dst
    error: `file:` is not a kind of place
      hint: write `oci-archive:FILE`, or `oci:DIR` for a directory
    [exit 2]
    ");
}

#[test]
fn arguments_of_copy_that_do_not_fit_are_named() {
    let site = Site::typed();
    insta::assert_snapshot!(site.errors(&[
        "copy",
        "copy oci:site",
        "copy oci:site:app oci:dst@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "copy oci:dst oci:site",
        "copy --all-tags oci:site oci:dst:app",
        "copy --all-tags --all oci:site oci:dst",
        "copy --jobs 0 oci:site:app oci:dst",
        "copy --jobs many oci:site:app oci:dst",
        "copy --al oci:site oci:dst",
        "copy -f nolist oci:dst",
    ]), @r"
    $ longshore copy
    error: `PLACE` is missing
      hint: write `longshore copy <PLACE>...`; `--help` says more
    [exit 2]

    $ longshore copy oci:site
    error: `oci:site` is the only place that is given
      hint: write where from, then where to: `longshore copy SRC DST`
    [exit 2]

    $ longshore copy oci:site:app oci:dst@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    error: `oci:dst@sha256:e3b0c442…` says which digest to write, but that follows from the content (sha256:e3b0c442…)
      hint: write to `oci:dst`
    [exit 2]

    $ longshore copy oci:dst oci:site
    error: cannot open dst: no such file or directory
      hint: the source comes first: check its path, or turn it round: `longshore copy oci:site oci:dst`
    [exit 2]

    $ longshore copy --all-tags oci:site oci:dst:app
    oci:site: 4 entries without a tag not copied; --all copies them
    error: 17 artifacts cannot all be called `app`
      hint: write to `oci:dst`: they keep their names
    [exit 2]

    $ longshore copy --all-tags --all oci:site oci:dst
    error: the argument '--all-tags' cannot be used with '--all'

    Usage: longshore copy --all-tags <PLACE>...

    For more information, try '--help'.
    [exit 2]

    $ longshore copy --jobs 0 oci:site:app oci:dst
    error: `0` is not a number of jobs
      hint: write 1 or more
    [exit 2]

    $ longshore copy --jobs many oci:site:app oci:dst
    error: `many` is not a number of jobs
      hint: write 1 or more
    [exit 2]

    $ longshore copy --al oci:site oci:dst
    error: unexpected argument '--al' found

      tip: a similar argument exists: '--all'

    Usage: longshore copy --all <PLACE>...

    For more information, try '--help'.
    [exit 2]

    $ longshore copy -f nolist oci:dst
    error: cannot read the list nolist: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]
    ");
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let site = Site::typed();
    insta::assert_snapshot!(site.errors(&[
        "gc --older-than 1w oci:site",
        "gc oci:site:app",
        "tag oci:site:app",
        "tag oci:site:app 'two words'",
        "tag oci:site:app oci:site:other",
        "untag oci:site",
        "inspect --config oci:site:app",
        "inspect --raw --config oci:site:app",
        "lst oci:site",
    ]), @r"
    $ longshore gc --older-than 1w oci:site
    error: `1w` is not an age
      hint: write a number and s, m, h or d, such as `12h`
    [exit 2]

    $ longshore gc oci:site:app
    error: `oci:site:app` cannot be collected
      hint: give a whole layout directory: `oci:DIR`
    [exit 2]

    $ longshore tag oci:site:app
    error: `NAMES` is missing
      hint: write `longshore tag <PLACE> <NAMES>...`; `--help` says more
    [exit 2]

    $ longshore tag oci:site:app 'two words'
    error: `two words` is not a name: it is empty, or holds white space or control characters
      hint: write a tag, or a full reference
    [exit 2]

    $ longshore tag oci:site:app oci:site:other
    error: `oci:site:other` is a place, not a name
      hint: write only `other`
    [exit 2]

    $ longshore untag oci:site
    error: `oci:site` has no name to remove
      hint: write `oci:site:NAME`
    [exit 2]

    $ longshore inspect --config oci:site:app
    error: oci:site:app has no config: it is no image manifest
      hint: `longshore inspect` shows the manifests of an index; select one of them by digest
    [exit 2]

    $ longshore inspect --raw --config oci:site:app
    error: the argument '--raw' cannot be used with '--config'

    Usage: longshore inspect --raw <PLACE>

    For more information, try '--help'.
    [exit 2]

    $ longshore lst oci:site
    error: unrecognized subcommand 'lst'

      tip: some similar subcommands exist: 'ls', 'list'

    Usage: longshore [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit 2]
    ");
}

#[test]
fn commands_of_other_tools_are_told_what_to_do() {
    let site = Site::typed();
    insta::assert_snapshot!(site.errors(&[
        "pull alpine",
        "save oci:site",
        "list-tags oci:site",
        "discover oci:site:app",
        "rm oci:site:app",
        "dance",
    ]), @r#"
    $ longshore pull alpine
    error: there is no command `pull`
      hint: `longshore copy SRC… DST` does that
    [exit 2]

    $ longshore save oci:site
    error: there is no command `save`
      hint: `longshore copy SRC… DST` does that
    [exit 2]

    $ longshore list-tags oci:site
    error: there is no command `list-tags`
      hint: `longshore list PLACE` does that
    [exit 2]

    $ longshore discover oci:site:app
    error: there is no command `discover`
      hint: `longshore tree PLACE` does that
    [exit 2]

    $ longshore rm oci:site:app
    error: there is no command `rm`
      hint: `longshore untag PLACE…`, then `longshore gc PLACE` does that
    [exit 2]

    $ longshore dance
    error: unrecognized subcommand 'dance'

    Usage: longshore [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit 2]
    "#);
}

#[test]
fn a_wrong_line_of_a_list_is_named_by_its_number() {
    let site = Site::typed();
    site.file("wanted.txt", "# the charts\noci:site:chart\n\nSite:policy # no reference\n");
    insta::assert_snapshot!(site.errors(&["copy -f wanted.txt oci:dst"]), @"
    $ longshore copy -f wanted.txt oci:dst
    error: wanted.txt:4: `Site:policy` is not a reference: a repository has no upper-case letters; write `site:policy`
      hint: a list has one place a line, such as `oci:DIR:REF`
    [exit 2]
    ");
}

#[test]
fn archives_are_as_they_are() {
    let site = Site::image();
    site.ok("copy oci:src oci-archive:src.tar");
    insta::assert_snapshot!(site.errors(&[
        "tag oci-archive:src.tar:app other",
        "untag oci-archive:src.tar:app",
        "gc oci-archive:src.tar",
    ]), @r#"
    $ longshore tag oci-archive:src.tar:app other
    error: names in the archive src.tar cannot be changed
      hint: copy it under another name: `longshore copy oci-archive:FILE:REF oci-archive:NEW:NAME`
    [exit 2]

    $ longshore untag oci-archive:src.tar:app
    error: names in the archive src.tar cannot be changed
      hint: copy it under another name: `longshore copy oci-archive:FILE:REF oci-archive:NEW:NAME`
    [exit 2]

    $ longshore gc oci-archive:src.tar
    error: `oci-archive:src.tar` cannot be collected
      hint: give a whole layout directory: `oci:DIR`
    [exit 2]
    "#);
}

#[test]
fn pipes_are_for_one_thing_only() {
    let site = Site::image();
    insta::assert_snapshot!(site.errors(&[
        "copy oci-archive:- oci:dst",
        "list -",
        "copy --json oci:src oci-archive:-",
    ]), @r"
    $ longshore copy oci-archive:- oci:dst
    error: an archive cannot be read from a pipe
      hint: save it to a file first
    [exit 2]

    $ longshore list -
    error: an archive cannot be read from a pipe
      hint: save it to a file first
    [exit 2]

    $ longshore copy --json oci:src oci-archive:-
    error: stdout cannot hold both the archive and a JSON document
      hint: leave out --json, or name a file
    [exit 2]
    ");
}

#[test]
fn an_archive_is_not_written_to_a_terminal() {
    if !has("script") {
        return;
    }
    let site = Site::image();
    let program = assert_cmd::cargo::cargo_bin!("longshore");
    let line = format!("{} copy oci:src oci-archive:-", program.display());
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]);
    prepare(&mut command, site.root());
    let Ran { code, stdout, .. } = Ran::of(command.stderr(Stdio::null()).output().unwrap());
    let shown = String::from_utf8_lossy(&stdout).replace('\r', "");
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("error: an archive is not written to a terminal"), "{shown}");
    assert!(shown.contains("hint: redirect stdout, or name a file"), "{shown}");
}
