//! Bundles that are not what they should be, and wishes that cannot be met: what is said, and that
//! nothing is touched.

use std::fmt::Write as _;

use longshore_fixture::{Content, TarOptions, Tree, artifacts};
use longshore_spec::Digest;
use serde_json::{Value, json};

use crate::bundles::{bytes, record, registry};
use crate::common::Site;
use crate::servers::Served;

/// Runs commands that must leave everything as it was; returns what is said, with `HOST` for the
/// registry and `NEAR` for the one that the bundle came from.
fn refused(site: &Site, far: &Served, near: &Served, lines: &[&str]) -> String {
    let before = site.files();
    let text = far.errors(site, lines).replace(near.host(), "NEAR");
    let after = site.files();
    let all = before.keys().chain(after.keys());
    let changed: Vec<_> = all.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{lines:?} changed {changed:?}");
    text
}

#[test]
fn a_bundle_that_is_cut_off_is_told() {
    let (site, near) = registry();
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("export -q {}/acme/app:v1 -o whole.tar", near.host()));
    let whole = bytes(&site, "whole.tar");
    for (name, length) in [("none", 0), ("head", 700), ("blob", whole.len() / 2)] {
        site.file(&format!("{name}.tar"), &whole[..length]);
    }
    // At the end of a member, so that nothing in the file itself says that more should come.
    let members =
        whole.chunks(512).enumerate().filter(|(_, block)| block[257..].starts_with(b"ustar"));
    let last = members.map(|(number, _)| number * 512).next_back().unwrap();
    site.file("member.tar", &whole[..last]);
    insta::assert_snapshot!(refused(&site, &far, &near, &[
        "verify -q oci-archive:none.tar",
        "import none.tar HOST",
        "import head.tar HOST",
        "verify -q oci-archive:blob.tar",
        "import blob.tar HOST",
        "serve oci-archive:blob.tar",
        "verify -q oci-archive:member.tar",
        "import member.tar HOST",
    ]), @r"
    $ longshore verify -q oci-archive:none.tar
    error: none.tar is empty
      hint: the file is incomplete; copy it again from its source
    [exit 3]

    $ longshore import none.tar HOST
    error: none.tar is empty
      hint: the file is incomplete; copy it again from its source
    [exit 2]

    $ longshore import head.tar HOST
    error: head.tar has no `index.json`
      hint: the layout is incomplete; fetch it again from its source
    [exit 2]

    $ longshore verify -q oci-archive:blob.tar
    error: blob.tar is malformed: its member `blobs/sha256/44136fa3…` is cut off: it has 2 bytes, and the file ends after 0 of them
      hint: the file is incomplete; copy it again from its source
    [exit 3]

    $ longshore import blob.tar HOST
    error: blob.tar is malformed: its member `blobs/sha256/44136fa3…` is cut off: it has 2 bytes, and the file ends after 0 of them
      hint: the file is incomplete; copy it again from its source
    [exit 2]

    $ longshore serve oci-archive:blob.tar
    error: blob.tar is malformed: its member `blobs/sha256/44136fa3…` is cut off: it has 2 bytes, and the file ends after 0 of them
      hint: the file is incomplete; copy it again from its source
    [exit 2]

    $ longshore verify -q oci-archive:member.tar
    error: sha256:d74ea4d2… is not in member.tar
      hint: this copy is incomplete; fetch it again from its source
    error: `sha256:ff344c22…` is not complete
    [exit 3]

    $ longshore import member.tar HOST
    error: the bundle is not complete: sha256:d74ea4d2… is not in it
      hint: fetch it again from its source; nothing was written
    [exit 1]
    ");
}

#[test]
fn what_is_not_finished_is_not_called_damaged() {
    let (site, near) = registry();
    let far = Served::start(&site, "oci:far --writable");
    // One layer goes before it comes.
    let shop = site.json("inspect oci:site:chart");
    let layer = shop["layers"][0]["digest"].as_str().unwrap();
    let blob = format!("near/blobs/sha256/{}", &layer["sha256:".len()..]);
    let content = bytes(&site, &blob);
    std::fs::remove_file(site.path(&blob)).unwrap();
    let line = format!("export {0}/acme/app:v1 {0}/charts/shop:1.4.0 -o b.tar", near.host());
    let said = near.errors(&site, &[&line]);
    let said: Vec<_> = said.lines().filter(|line| !line.ends_with(" are free")).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    $ longshore export HOST/acme/app:v1 HOST/charts/shop:1.4.0 -o b.tar
    error: sha256:f31c622a… is not in HOST/charts/shop: it answered 404: BLOB_UNKNOWN: sha256:f31c622a… is not here
      hint: check the digest; if something there refers to it, that is incomplete and must be pushed again
    error: `HOST/charts/shop:1.4.0` is not complete
    what has arrived is kept in b.tar.partial; the same command continues from there
    [exit 1]
    ");
    insta::assert_snapshot!(refused(&site, &far, &near, &[
        "verify oci-archive:b.tar",
        "verify oci-archive:b.tar.partial",
        "import b.tar HOST",
        "serve oci-archive:b.tar",
        "serve oci-archive:b.tar.partial",
        "copy --all oci-archive:b.tar.partial oci:copied",
        "list oci-archive:b.tar",
    ]), @r"
    $ longshore verify oci-archive:b.tar
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore verify oci-archive:b.tar.partial
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore import b.tar HOST
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore serve oci-archive:b.tar
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore serve oci-archive:b.tar.partial
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore copy --all oci-archive:b.tar.partial oci:copied
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]

    $ longshore list oci-archive:b.tar
    error: b.tar.partial is not finished: the command that wrote it was interrupted
      hint: run the same command again: it continues from there
    [exit 2]
    ");
    site.file(&blob, content);
    site.ok(&line);
    site.ok("verify -q oci-archive:b.tar");
    assert!(!site.path("b.tar.partial").exists() && !site.path("b.tar.partial.journal").exists());
}

/// Changes a record.
type Lie<'a> = &'a dyn Fn(&mut Value);

#[test]
fn a_record_that_lies_is_found_out() {
    let (site, near) = registry();
    let far = Served::start(&site, "oci:far --writable");
    site.ok(&format!("export -q {}/acme/app:v1 -o oci:b", near.host()));
    let whole = record(&site, "b");
    let absent = Digest::sha256("what nobody has").to_string();
    let last = whole["blobs"].as_array().unwrap().len() - 1;
    let mut shown = String::new();
    let lies: [(&str, Lie<'_>); 12] = [
        ("another size", &|record| record["blobs"][last]["size"] = json!(7)),
        ("another digest", &|record| record["blobs"][last]["digest"] = json!(absent)),
        ("another role", &|record| record["blobs"][last]["role"] = json!("config")),
        ("a role that there is not", &|record| record["blobs"][last]["role"] = json!("cargo")),
        ("one blob too many", &|record| {
            let more = json!({ "digest": absent, "size": 7, "role": "layer" });
            record["blobs"].as_array_mut().unwrap().push(more);
        }),
        ("one blob too few", &|record| _ = record["blobs"].as_array_mut().unwrap().pop()),
        ("another root", &|record| record["roots"][0]["digest"] = json!(absent)),
        ("a root that is not listed", &|record| {
            let mut more = record["roots"][0].clone();
            more["reference"] = json!("registry.site/acme/more:v1");
            record["roots"].as_array_mut().unwrap().push(more);
        }),
        ("a root that is not recorded", &|record| record["roots"] = json!([])),
        ("another media type", &|record| {
            record["roots"][0]["mediaType"] = json!("application/vnd.oci.image.manifest.v1+json");
        }),
        ("a referrer that is not there", &|record| {
            record["referrers"][0]["digest"] = json!(absent);
        }),
        ("a later format", &|record| record["formatVersion"] = json!(4)),
    ];
    for (name, lie) in lies {
        let mut record = whole.clone();
        lie(&mut record);
        // Whoever lies can compute an id.
        record.as_object_mut().unwrap().remove("id");
        record["id"] = json!(Digest::sha256(record.to_string()).to_string());
        site.file("b/bundle.json", record.to_string());
        let said = refused(&site, &far, &near, &["verify -q oci:b", "import oci:b HOST/mirror"]);
        let _ = writeln!(shown, "## {name}\n\n{said}");
    }
    let text = whole.to_string();
    let id = whole["id"].as_str().unwrap();
    let unsigned = text.replace(id, &absent);
    let changed = text.replacen("\"size\":", "\"size\":1", 1);
    let garbled = &text[..100];
    for (name, text) in
        [("another id", &*unsigned), ("changed", &*changed), ("cut off", garbled), ("empty", "")]
    {
        site.file("b/bundle.json", text);
        let said = refused(&site, &far, &near, &["verify -q oci:b", "import oci:b HOST/mirror"]);
        let _ = writeln!(shown, "## {name}\n\n{said}");
    }
    // The port of the registry is in what an id is of.
    let shown = shown.lines().map(|line| match line.split_once(": its id is ") {
        Some((before, _)) => format!("{before}: its id is ID, but its content has ID"),
        None => line.to_owned(),
    });
    let shown = shown.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("a_record_that_lies_is_found_out", shown);
}

#[test]
fn what_was_put_into_a_bundle_later_is_found_out() {
    let (site, near) = registry();
    site.ok(&format!("export -q {}/acme/app:v1 -o oci:b", near.host()));
    site.file(&format!("b/blobs/sha256/{}", Digest::sha256("more").encoded()), "more");
    let archive = Tree::read(&site.path("b")).unwrap().tar(&TarOptions::default());
    site.file("b.tar", archive);
    // A directory may keep what an earlier export had begun.
    insta::assert_snapshot!(refused(&site, &near, &near, &[
        "verify -q oci:b",
        "verify -q oci-archive:b.tar",
    ]), @r"
    $ longshore verify -q oci:b
    [exit 0]

    $ longshore verify -q oci-archive:b.tar
    error: it does not match `bundle.json`: sha256:187897ce… is there, and was not recorded
      hint: fetch the bundle again from its source; `longshore copy --all` copies what is in it without this check
    [exit 3]
    ");
}

#[test]
fn damage_is_named_and_what_needs_it_gets_no_name() {
    let (site, near) = registry();
    let host = near.host();
    site.ok(&format!("export -q {host}/acme/app:v1 {host}/charts/shop:1.4.0 -o b.tar"));
    let chart = site.json("inspect oci:site:chart");
    let layer = chart["layers"][0]["digest"].as_str().unwrap();
    let name = format!("blobs/sha256/{}", &layer["sha256:".len()..]);
    let mut damaged = bytes(&site, "b.tar");
    let at = damaged.windows(name.len()).rposition(|window| window == name.as_bytes()).unwrap();
    damaged[at + 512] ^= 1;
    site.file("b.tar", damaged);
    let far = Served::start(&site, "oci:far --writable");
    insta::assert_snapshot!(far.errors(&site, &[
        "verify -q oci-archive:b.tar",
        "import -q b.tar HOST",
    ]).replace(host, "NEAR"), @r"
    $ longshore verify -q oci-archive:b.tar
    error: sha256:f31c622a… is corrupt: its content hashes to sha256:d6729a79…
      hint: this copy is damaged; fetch it again from its source
    error: `NEAR/charts/shop:1.4.0` is not complete
    [exit 3]

    $ longshore import -q b.tar HOST
    error: sha256:f31c622a… is corrupt: its content hashes to sha256:d6729a79…
      hint: this copy is damaged; fetch it again from its source
    error: `HOST/charts/shop:1.4.0` is not complete
    [exit 1]
    ");
    assert_eq!(site.digest(&format!("{}/acme/app:v1", far.host())), site.digest("oci:site:app"));
    assert_eq!(site.run(&format!("digest {}/charts/shop:1.4.0", far.host())).code, 1);
}

#[test]
fn a_key_that_is_not_known_is_named_with_its_line() {
    let (site, near) = registry();
    let wanted =
        |line: &str| format!("artifacts:\n  - ref: {}/acme/app:v1\n    {line}\n", near.host());
    for (name, line) in [
        ("key", "platfroms: [linux/amd64]"),
        ("value", "platforms: [linux]"),
        ("tags", "tags: [v1]"),
        ("types", "types: [imag]"),
        ("twice", "ref: alpine"),
    ] {
        site.file(&format!("{name}.yaml"), wanted(line));
    }
    site.file("rules.yaml", "artifacts:\n  - repository: a.io/b\n    tags: { newst: 3 }\n");
    site.file("none.yaml", "artifacts: []\n");
    site.file("list.txt", "a.io/b:v1\na.io/b:v?\n");
    insta::assert_snapshot!(refused(&site, &near, &near, &[
        "export -f key.yaml -o b.tar",
        "export -f value.yaml -o b.tar",
        "export -f tags.yaml -o b.tar",
        "export -f types.yaml -o oci:b",
        "export -f twice.yaml -o b.tar",
        "export -f rules.yaml -o -",
        "export -f none.yaml -o b.tar",
        "export -f list.txt -o b.tar",
        "lock -f key.yaml",
    ]), @r"
    $ longshore export -f key.yaml -o b.tar
    error: key.yaml:3:5: unknown field `platfroms`, expected one of ref, repository, tags, platforms, sparseIndex, types, referrers
    [exit 2]

    $ longshore export -f value.yaml -o b.tar
    error: value.yaml:3:17: platforms: `linux` is not a platform: write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64 or linux/arm/v7
    [exit 2]

    $ longshore export -f tags.yaml -o b.tar
    error: tags.yaml:2:5: `tags` choose among those of a `repository`, and this has a `ref`
    [exit 2]

    $ longshore export -f types.yaml -o oci:b
    error: types.yaml:3:13: types: `imag` is not an artifact type; did you mean `image`, `bootc-image` or `docker-image`?
    [exit 2]

    $ longshore export -f twice.yaml -o b.tar
    error: twice.yaml:3:5: duplicate mapping key: ref
    [exit 2]

    $ longshore export -f rules.yaml -o -
    error: rules.yaml:3:13: unknown field `newst`, expected one of regex, semver, exclude, newest
    [exit 2]

    $ longshore export -f none.yaml -o b.tar
    error: none.yaml names no artifact, so nothing is wanted
      hint: `longshore init` writes an example of what can be wanted
    [exit 2]

    $ longshore export -f list.txt -o b.tar
    error: list.txt:2:1: `a.io/b:v?` is not a reference: `v?` is not a tag: it has a `?`; use letters, digits, `_`, `.` and `-`
    [exit 2]

    $ longshore lock -f key.yaml
    error: key.yaml:3:5: unknown field `platfroms`, expected one of ref, repository, tags, platforms, sparseIndex, types, referrers
    [exit 2]
    ");
}

#[test]
fn two_that_would_have_one_name_are_named() {
    let (site, near) = registry();
    let mut both = Content::tagged("docker.io/acme/app:v1", |content| artifacts::image(content, 1));
    both.merge(Content::tagged("quay.io/acme/app:v1", |content| artifacts::image(content, 2)));
    site.put("both", &both);
    let far = Served::start(&site, "oci:far --writable");
    insta::assert_snapshot!(refused(&site, &far, &near, &[
        "import oci:both HOST",
        "import oci:both HOST --dry-run",
        "import oci:both oci:layout --map docker.io/=a.io/ --map quay.io/=a.io/",
    ]), @r"
    $ longshore import oci:both HOST
    error: `HOST/acme/app:v1` would stand for docker.io/acme/app:v1 (sha256:a368c1fe…) and for quay.io/acme/app:v1 (sha256:9f7c2bc4…)
      hint: give one of them another name, such as --map HOST/=SITE/PREFIX/
    [exit 2]

    $ longshore import oci:both HOST --dry-run
    error: `HOST/acme/app:v1` would stand for docker.io/acme/app:v1 (sha256:a368c1fe…) and for quay.io/acme/app:v1 (sha256:9f7c2bc4…)
      hint: give one of them another name, such as --map HOST/=SITE/PREFIX/
    [exit 2]

    $ longshore import oci:both oci:layout --map docker.io/=a.io/ --map quay.io/=a.io/
    error: `a.io/acme/app:v1` would stand for docker.io/acme/app:v1 (sha256:a368c1fe…) and for quay.io/acme/app:v1 (sha256:9f7c2bc4…)
      hint: give one of them another name, such as --map HOST/=SITE/PREFIX/
    [exit 2]
    ");
    site.ok(&format!("import -q oci:both {} --map quay.io/={0}/quay/", far.host()));
}

#[test]
fn one_tag_of_a_hundred_that_is_not_there_is_named_and_the_others_go_on() {
    let site = Site::new();
    let mut content = Content::new();
    for number in 0..99 {
        let image = artifacts::image(&mut content, number);
        content.tag(&image, &format!("v{number}"));
    }
    site.put("near", &content);
    let near = Served::start(&site, "oci:near --repository acme/app");
    let list: String =
        (0..100).map(|number| format!("{}/acme/app:v{number}\n", near.host())).collect();
    site.file("list.txt", list);
    insta::assert_snapshot!(refused(&site, &near, &near, &[
        "export -f list.txt -o b.tar",
        "export -f list.txt -o oci:b",
        "export -f list.txt -o b.tar --dry-run",
    ]), @r"
    $ longshore export -f list.txt -o b.tar
    error: v99 is not in HOST/acme/app: it answered 404: MANIFEST_UNKNOWN: v99 is not here
      hint: `longshore list` shows what is there
    error: nothing was written to b.tar
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export -f list.txt -o oci:b
    error: v99 is not in HOST/acme/app: it answered 404: MANIFEST_UNKNOWN: v99 is not here
      hint: `longshore list` shows what is there
    error: nothing was written to b
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export -f list.txt -o b.tar --dry-run
    error: v99 is not in HOST/acme/app: it answered 404: MANIFEST_UNKNOWN: v99 is not here
      hint: `longshore list` shows what is there
    [exit 1]
    ");
    insta::assert_snapshot!(near.errors(&site, &["export -q -f list.txt -o b.tar --keep-going"]), @r"
    $ longshore export -q -f list.txt -o b.tar --keep-going
    error: v99 is not in HOST/acme/app: it answered 404: MANIFEST_UNKNOWN: v99 is not here
      hint: `longshore list` shows what is there
    [exit 1]
    ");
    let kept = site.json("verify oci-archive:b.tar");
    assert_eq!(kept["roots"].as_array().unwrap().len(), 99);
    assert_eq!(kept["leftOut"].as_array().unwrap().len(), 1);
}
