//! Messages that people meet on their first day: each says what to write instead.

use longshore_fixture::{Content, artifacts};

use crate::common::{Ran, Site, nobody, redacted};
use crate::servers::{Served, Stub};

/// A registry with the image `team/app` under some tags.
fn tagged(site: &Site, tags: &[&str]) -> Served {
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    for tag in tags {
        content.tag(&image, tag);
    }
    site.put("src", &content);
    let served = Served::start(site, "oci:far --writable");
    for tag in tags {
        site.ok(&format!("copy -q oci:src:{tag} {}/team/app:{tag}", served.host()));
    }
    served
}

#[test]
fn a_host_that_cannot_be_reached_is_one_line() {
    let site = Site::new();
    let (one, other) = (nobody(), nobody());
    site.file("wanted.txt", format!("{one}/a:1\n{one}/a:2\n{one}/b:1\n{other}/c:1\n"));
    let [port, other_port] = [&one, &other].map(|host| host.rsplit_once(':').unwrap().1.to_owned());
    let shown = site.errors(&["export -f wanted.txt -o bundle.tar"]);
    let shown = shown.replace(&one, "ONE").replace(&other, "OTHER");
    let shown = shown.replace(&port, "PORT").replace(&other_port, "PORT");
    insta::assert_snapshot!(shown, @r"
    $ longshore export -f wanted.txt -o bundle.tar
    error: cannot reach ONE: nothing listens on port PORT; 2 artifacts need it
      hint: check its name and port, and whether it is running; a layout is written `oci:DIR` or `oci-archive:FILE`
    error: cannot reach OTHER: nothing listens on port PORT
    error: nothing was written to bundle.tar
      hint: --keep-going writes what is available
    [exit 1]
    ");
}

#[test]
fn a_proxy_that_is_not_there_is_not_taken_for_the_host() {
    let site = Site::new();
    let mut command = site.command("list --plain-http r.example/app");
    let ran = Ran::of(command.env("http_proxy", format!("http://{}", nobody())).output().unwrap());
    let told = "error: cannot reach r.example: the connection is refused, by it or by the proxy\n";
    assert!(ran.stderr.starts_with(told), "{}", ran.stderr);
}

#[test]
fn rules_that_choose_nothing_are_told_beside_what_there_is() {
    let site = Site::new();
    let served = tagged(&site, &["1.2.0", "v2.0.1", "latest"]);
    let lines = ["tags: { semver: '>=9, <10' }", "tags: { regex: 'rc-.*', newest: 2 }", "tags: []"];
    let mut shown = String::new();
    for tags in lines {
        let wanted =
            format!("artifacts:\n  - repository: {}/team/app\n    {tags}\n", served.host());
        site.file("bundle.yaml", wanted);
        shown += &served.errors(&site, &["export -f bundle.yaml -o bundle.tar"]);
        shown += "\n";
    }
    insta::assert_snapshot!(shown, @r"
    $ longshore export -f bundle.yaml -o bundle.tar
    error: no tag of HOST/team/app fits semver `>=9, <10`: it has 3 tags, of which v2.0.1 is the newest version
      hint: change the rule; `longshore list HOST/team/app` shows all tags
    error: nothing was written to bundle.tar
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export -f bundle.yaml -o bundle.tar
    error: no tag of HOST/team/app fits regex `rc-.*`: it has 3 tags, of which v2.0.1 is the newest version
      hint: change the rule; `longshore list HOST/team/app` shows all tags
    error: nothing was written to bundle.tar
      hint: --keep-going writes what is available
    [exit 1]

    $ longshore export -f bundle.yaml -o bundle.tar
    error: bundle.yaml:2:5: `tags` lists none; leave it out to take all
    [exit 2]
    ");
}

#[test]
fn what_was_locked_and_is_gone_or_is_not_wanted_so_any_more_is_told() {
    let site = Site::new();
    let served = tagged(&site, &["1", "2"]);
    let host = served.host();
    site.put("other", &Content::tagged("app", |content| artifacts::image(content, 2)));
    let wanted = |platforms: &str| {
        format!("artifacts:\n  - ref: {host}/team/app:1\n    platforms: {platforms}\n")
    };
    site.file("bundle.yaml", wanted("[linux/amd64]"));
    site.ok("lock -q");
    site.file(
        "bundle.yaml",
        wanted("[linux/amd64, linux/arm64]") + &format!("  - ref: {host}/team/app:2\n"),
    );
    let export = "export -f bundle.yaml --locked -o bundle.tar";
    let outdated = served.errors(&site, &[export, "lock --check"]);
    site.file("bundle.yaml", wanted("[linux/amd64]"));
    let digest = site.digest(&format!("{host}/team/app:1"));
    site.ok(&format!("copy -q oci:other:app {host}/team/app:1"));
    site.ok(&format!("delete -q {host}/team/app@{digest}"));
    let gone = served.errors(&site, &[export]);
    insta::assert_snapshot!(format!("{outdated}\n{gone}"), @r"
    $ longshore export -f bundle.yaml --locked -o bundle.tar
    error: bundle.lock is out of date: `platforms` of HOST/team/app:1 was `[linux/amd64]` and is `[linux/amd64, linux/arm64]`; and 1 more difference
      hint: `longshore lock -f bundle.yaml` locks what is wanted now; flags such as --platform are part of it
    [exit 2]

    $ longshore lock --check
    warning: bundle.lock is out of date: `platforms` of HOST/team/app:1 was `[linux/amd64]` and is `[linux/amd64, linux/arm64]`
    warning: bundle.lock is out of date: HOST/team/app:2 is wanted, and was not
    [exit 3]

    $ longshore export -f bundle.yaml --locked -o bundle.tar
    error: HOST/team/app:1 is locked to sha256:a368c1fe…, which is gone from HOST/team/app
      hint: `longshore lock -f bundle.yaml --update HOST/team/app:1` locks what it is now
    error: nothing was written to bundle.tar
      hint: --keep-going writes what is available
    [exit 1]
    ");
}

#[test]
fn what_is_nearly_a_reference_is_told_what_to_write() {
    let site = Site::new();
    site.file("bundle.yaml", "artifacts:\n  - alpine:3.20\n");
    site.file("scheme.yaml", "artifacts:\n  - ref: https://ghcr.io/Acme/app:V1\n");
    site.file("flat.yaml", "artifacts:\n  ref: alpine:3.20\n");
    site.file("list.txt", "alpine:3.20\nhttps://ghcr.io/acme/app\n");
    insta::assert_snapshot!(site.errors(&[
        "copy ghcr.io/Acme/App:V1 oci:dst",
        "copy https://ghcr.io/acme/app oci:dst",
        "copy http://GHCR.io/Acme/app:1/ oci:dst",
        "copy docker://ghcr.io/Acme/app oci:dst",
        "list https://ghcr.io/",
        "login https://ghcr.io -u me --password-stdin",
        "logout docker://ghcr.io/",
        "export Alpine -o bundle.tar",
        "export -f bundle.yaml -o bundle.tar",
        "export -f scheme.yaml -o bundle.tar",
        "export -f flat.yaml -o bundle.tar",
        "export -f list.txt -o bundle.tar",
    ]), @r"
    $ longshore copy ghcr.io/Acme/App:V1 oci:dst
    error: `ghcr.io/Acme/App:V1` is not a reference: a repository has no upper-case letters
      hint: write `ghcr.io/acme/app:V1`
    [exit 2]

    $ longshore copy https://ghcr.io/acme/app oci:dst
    error: `https://ghcr.io/acme/app` is not a reference: it begins with `https://`
      hint: write `ghcr.io/acme/app`
    [exit 2]

    $ longshore copy http://GHCR.io/Acme/app:1/ oci:dst
    error: `http://GHCR.io/Acme/app:1/` is not a reference: it begins with `http://`, and a repository has no upper-case letters
      hint: write `ghcr.io/acme/app:1`
    [exit 2]

    $ longshore copy docker://ghcr.io/Acme/app oci:dst
    error: `docker://ghcr.io/Acme/app` is not a reference: a repository has no upper-case letters
      hint: write `ghcr.io/acme/app`
    [exit 2]

    $ longshore list https://ghcr.io/
    error: `https://ghcr.io/` is not a host: it begins with `https://`
      hint: write `ghcr.io`
    [exit 2]

    $ longshore login https://ghcr.io -u me --password-stdin
    error: `https://ghcr.io` is not a host: it begins with `https://`
      hint: write `ghcr.io`
    [exit 2]

    $ longshore logout docker://ghcr.io/
    error: `docker://ghcr.io/` is not a host: it begins with `docker://`
      hint: write `ghcr.io`
    [exit 2]

    $ longshore export Alpine -o bundle.tar
    error: `Alpine` is not a reference: a repository has no upper-case letters
      hint: write `alpine`
    [exit 2]

    $ longshore export -f bundle.yaml -o bundle.tar
    error: bundle.yaml:2:5: `alpine:3.20` stands alone; write `- ref: alpine:3.20` for one artifact, or `- repository:` for several of one repository
    [exit 2]

    $ longshore export -f scheme.yaml -o bundle.tar
    error: scheme.yaml:2:10: ref: `https://ghcr.io/Acme/app:V1` is not a reference: it begins with `https://`, and a repository has no upper-case letters; write `ghcr.io/acme/app:V1`
    [exit 2]

    $ longshore export -f flat.yaml -o bundle.tar
    error: flat.yaml:2:3: a list is expected here: `[a, b]`, or lines that begin with `- `
    [exit 2]

    $ longshore export -f list.txt -o bundle.tar
    error: list.txt:2:1: `https://ghcr.io/acme/app` is not a reference: it begins with `https://`; write `ghcr.io/acme/app`
    [exit 2]
    ");
}

#[test]
fn a_directory_that_is_missing_above_a_file_is_told() {
    let site = Site::image();
    site.ok("copy -q oci:src:app oci:store:r.example/team/app:1");
    site.ok("export -q oci:store -o bundle.tar");
    insta::assert_snapshot!(site.errors(&[
        "copy oci:src oci-archive:nowhere/new.tar",
        "copy --dry-run oci:src oci-archive:nowhere/new.tar",
        "export oci:store -o nowhere/deep/new.tar",
        "init nowhere/bundle.yaml",
        "import -q bundle.tar oci:far --report nowhere/report.json",
    ]), @r"
    $ longshore copy oci:src oci-archive:nowhere/new.tar
    error: cannot write nowhere/new.tar: the directory nowhere is not there
      hint: `mkdir -p nowhere` makes it; or choose another path
    [exit 2]

    $ longshore copy --dry-run oci:src oci-archive:nowhere/new.tar
    error: cannot write nowhere/new.tar: the directory nowhere is not there
      hint: `mkdir -p nowhere` makes it; or choose another path
    [exit 2]

    $ longshore export oci:store -o nowhere/deep/new.tar
    error: cannot write nowhere/deep/new.tar: the directory nowhere/deep is not there
      hint: `mkdir -p nowhere/deep` makes it; or choose another path
    [exit 2]

    $ longshore init nowhere/bundle.yaml
    error: cannot write nowhere/bundle.yaml: the directory nowhere is not there
      hint: `mkdir -p nowhere` makes it; or choose another path
    [exit 2]

    $ longshore import -q bundle.tar oci:far --report nowhere/report.json
    error: cannot write nowhere/report.json: the directory nowhere is not there
      hint: `mkdir -p nowhere` makes it; or choose another path
    [exit 2]
    ");
}

#[test]
fn what_a_registry_says_holds_no_json() {
    let site = Site::new();
    site.file("auth.json", "{}");
    let stub = Stub::start(|_| {
        let head = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"site\"";
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required",
            "detail":[{"Type":"repository","Class":"","Name":"app","Action":"pull"}]}]}"#;
        (head.to_owned(), body.as_bytes().to_vec())
    });
    let shown = stub.errors(&site, "copy --authfile auth.json HOST/app:v1 oci:dst");
    insta::assert_snapshot!(shown, @r"
    $ longshore copy --authfile auth.json HOST/app:v1 oci:dst
    error: cannot read HOST/app:v1: HOST denies it: 401: UNAUTHORIZED: authentication required: Action pull, Name app, Type repository
      hint: log in with `longshore login` or --creds
    [exit 1]
    ");
}

#[test]
fn a_tag_that_cannot_be_deleted_is_told_with_the_digest_that_can() {
    let site = Site::new();
    let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let stub = Stub::start(move |request| {
        if request.starts_with("DELETE ") {
            let body =
                br#"{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}"#;
            return ("405 Method Not Allowed".to_owned(), body.to_vec());
        }
        let head = "200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json";
        (head.to_owned(), manifest.to_vec())
    });
    let lines = ["delete HOST/team/app:v1", "untag HOST/team/app:v1", "delete HOST/team/app"];
    let shown = lines.map(|line| stub.errors(&site, line)).join("\n");
    // It is shown whole, to be pasted.
    let ran = site.run(&lines[0].replace("HOST", &stub.host()));
    let command = format!(
        "`longshore delete {}/team/app@{}`",
        stub.host(),
        longshore_spec::Digest::sha256(manifest)
    );
    assert!(ran.stderr.contains(&command), "{}", ran.stderr);
    insta::assert_snapshot!(redacted(&shown), @r"
    $ longshore delete HOST/team/app:v1
    error: HOST/team/app does not delete tags: it answered 405: UNSUPPORTED: The operation is unsupported.
      hint: `longshore delete HOST/team/app@sha256:dff9de10…` deletes the manifest with every tag on it, where that is allowed
    [exit 1]

    $ longshore untag HOST/team/app:v1
    error: HOST/team/app does not delete tags: it answered 405: UNSUPPORTED: The operation is unsupported.
      hint: `longshore delete HOST/team/app@sha256:dff9de10…` deletes the manifest with every tag on it, where that is allowed
    [exit 1]

    $ longshore delete HOST/team/app
    error: `HOST/team/app` does not say what to delete
      hint: write `HOST/team/app@DIGEST`, or `HOST/team/app:NAME` for the name alone
    [exit 2]
    ");
}

#[test]
fn what_files_of_other_tools_want_beside_is_told_by_its_line() {
    let site = Site::new();
    site.file(
        "hauler.yaml",
        "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec:\n  images:\n  \
         - name: 127.0.0.1:1/app:1\n    key: cosign.pub\n",
    );
    let ran = site.run("export -f hauler.yaml -o b.tar");
    let told = "warning: hauler.yaml:6:5: spec.images[0].key: signatures are not verified";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    site.file(
        "regsync.yaml",
        "version: 1\nsync:\n- source: 127.0.0.1:1/app\n  target: b\n  type: repository\n  \
         tags: { semverRange: ['>=3'] }\n",
    );
    let ran = site.run("export -f regsync.yaml -o b.tar");
    assert_eq!(ran.code, 2);
    let told = ["regsync.yaml:6:11: sync[0].tags.semverRange: ", "`tags: { semver: RANGE }`"];
    assert!(told.iter().all(|told| ran.stderr.contains(told)), "{}", ran.stderr);
}

#[test]
fn copy_counts_what_is_attached_to_artifacts_apart() {
    let site = Site::new();
    for (name, told) in [
        ("referrers-cosign-tag", "copied 1 artifact with 1 referrer: "),
        ("referrer-notation", "copied 1 artifact with 1 referrer: "),
        ("names-full-references", "copied "),
    ] {
        site.fixture(name);
        let text = site.ok(&format!("copy --all-tags --referrers oci:{name} oci:to-{name}"));
        assert!(text.lines().any(|line| line.starts_with(told)), "{name}: {text}");
        let dry = site.ok(&format!("copy --all-tags --referrers oci:{name} oci:other --dry-run"));
        assert!(dry.contains(&told.replace("copied", "would copy")), "{name}: {dry}");
    }
    let tag = site.json("list oci:referrers-cosign-tag")[1]["name"].clone();
    let tag = tag.as_str().unwrap();
    let alone = site.ok(&format!("copy oci:referrers-cosign-tag:{tag} oci:alone"));
    assert!(alone.contains("copied 1 referrer: "), "{alone}");
}

#[test]
fn a_value_that_stands_apart_from_its_flag_is_told() {
    let site = Site::typed();
    for (line, write) in [
        ("copy oci:site:app oci:dst --referrers sbom", "--referrers=sbom"),
        ("copy --referrers sbom,signature oci:site:app oci:dst", "--referrers=sbom,signature"),
        ("-q cp --referrers spdx oci:site:app oci:dst", "--referrers=spdx"),
        ("export oci:site --docker-manifest linux/amd64 -o b.tar", "--docker-manifest=linux/amd64"),
    ] {
        let ran = site.run(line);
        assert_eq!(ran.code, 2, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(&format!("write `{write}`")), "{line}: {}", ran.stderr);
    }
    site.ok("copy --referrers oci:site:app oci:dst");
    site.ok("copy --referrers=sbom oci:site:app oci:dst");
    // What lies there is meant.
    site.ok("copy -q oci:site:app oci:sbom");
    site.ok("copy --referrers sbom oci:dst");
}

/// Returns the commands that are shown between backticks in what was told.
fn shown_commands(stderr: &str) -> Vec<String> {
    let parts = stderr.split('`').skip(1).step_by(2);
    parts.filter(|part| part.starts_with("longshore ")).map(str::to_owned).collect()
}

#[test]
fn commands_in_hints_can_be_pasted_into_a_shell() {
    let site = Site::image();
    site.ok("copy -q oci:src 'oci:it'");
    std::fs::rename(site.path("it"), site.path("it s; $HOME (a)")).unwrap();
    let place = "oci:it s; $HOME (a)";
    let program = assert_cmd::cargo::cargo_bin!("longshore").display().to_string();
    let ran = site.run(&format!("digest '{place}:nothere'"));
    let commands = shown_commands(&ran.stderr);
    assert_eq!(commands, [format!("longshore list '{place}'")]);
    let line = commands[0].replacen("longshore", &program, 1);
    let pasted = std::process::Command::new("sh")
        .args(["-c", &line])
        .current_dir(site.root())
        .output()
        .unwrap();
    assert!(pasted.status.success(), "{}", String::from_utf8_lossy(&pasted.stderr));
    insta::assert_snapshot!(site.errors(&[
        "delete 'oci:it s; $HOME (a)'",
        "copy oci:src:app 'no such dir/a.tar'",
        "copy oci:src:app 'x y.TAR.GZ'",
        "export -q oci:src -o 'a b.tar.zst'",
        "copy 'oci:not there' oci:src",
        "tag oci:src:app 'oci:src:a;b'",
        "copy oci:src:app alpine:3.20-x",
        "tag team/app:1 two",
        "init 'my list.yaml'",
    ]));
}

#[test]
fn hints_about_locks_name_the_file_that_was_given() {
    let served_from = Site::image();
    let served = Served::start(&served_from, "oci:src --repository acme/app");
    let site = Site::new();
    let list = format!("artifacts:\n- ref: {}/acme/app:app\n", served.host());
    site.file("my list.yaml", &list);
    site.file("bundle.yaml", &list);
    for (file, shown) in
        [("my list.yaml", " -f 'my list.yaml'"), ("bundle.yaml", " -f bundle.yaml")]
    {
        let ran = site.run(&format!("export -f '{file}' --locked -o x.tar"));
        assert_eq!(shown_commands(&ran.stderr), [format!("longshore lock{shown}")]);
        site.ok(&format!("lock -q -f '{file}'"));
        let ran = site.run(&format!("export -f '{file}' --locked --platform linux/s390x -o x.tar"));
        assert_eq!(shown_commands(&ran.stderr), [format!("longshore lock{shown}")]);
    }
    // What is locked is gone.
    let lock = site.path("my list.lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    let digest = served_from.digest("oci:src:app");
    let gone = format!("sha256:{}", "0".repeat(64));
    std::fs::write(&lock, text.replace(&digest, &gone)).unwrap();
    let ran = site.run("export -f 'my list.yaml' --locked -o x.tar");
    let reference = format!("{}/acme/app:app", served.host());
    let expected = format!("longshore lock -f 'my list.yaml' --update {reference}");
    assert_eq!(shown_commands(&ran.stderr), [expected], "{}", ran.stderr);
}
