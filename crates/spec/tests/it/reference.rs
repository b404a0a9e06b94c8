//! References, tags and repository names: rows E-02, E-03 and the grammars of section 0.

use longshore_spec::{Reference, RepositoryName, Tag};

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn fault(text: &str) -> String {
    text.parse::<Reference>().expect_err(text).to_string()
}

#[test]
fn e02_tags() {
    let longest = "a".repeat(128);
    // The last four are tags that are no valid `ref.name` of a layout.
    for text in [
        "latest",
        "v1.0.0-vendor.0",
        "A",
        "0",
        "a--b",
        &longest,
        "_x",
        "a__b",
        "a..b",
        "v1-",
        "a---b",
    ] {
        assert_eq!(text.parse::<Tag>().unwrap().as_str(), text);
    }
    let referrers_tag = format!("sha256-{}", &DIGEST[7..]);
    assert!(referrers_tag.parse::<Tag>().is_ok());
    for text in [
        "",
        ".a",
        "-a",
        "a:b",
        "a/b",
        "a b",
        "ä",
        "a+b",
        "localhost:5000/x",
        "reg.io/foo/bar:1@sha256:ab",
    ] {
        assert!(text.parse::<Tag>().is_err(), "{text}");
    }
    let error = "a".repeat(129).parse::<Tag>().unwrap_err().to_string();
    assert!(error.ends_with("is not a tag: it has 129 characters; use at most 128"), "{error}");
}

#[test]
fn e02_repository_names() {
    for text in ["a", "0", "library/alpine", "a.b_c__d-e---f/g", "a/b/c/d/e/f/g"] {
        assert_eq!(text.parse::<RepositoryName>().unwrap().as_str(), text);
    }
    for text in [
        "", "/", "a/", "/a", "a//b", "a___b", "a..b", "a._b", "a-.b", ".a", "a.", "-a", "a-", "_a",
        "a_", "A", "a/B", "a b", "a:b", "ä", "..", "a/../b", "a/.", "a@b",
    ] {
        assert!(text.parse::<RepositoryName>().is_err(), "{text}");
    }
    let error = "Acme/Shop".parse::<RepositoryName>().unwrap_err().to_string();
    assert_eq!(
        error,
        "`Acme/Shop` is not a repository name: it has upper-case letters; write `acme/shop`"
    );
    let error = "a/../b".parse::<RepositoryName>().unwrap_err().to_string();
    assert_eq!(error, "`a/../b` is not a repository name: `..` is no part of a name; leave it out");
}

#[test]
fn e02_references_in_parts() {
    let text = format!("registry.example.com:5000/acme/shop:v1@{DIGEST}");
    let reference: Reference = text.parse().unwrap();
    assert_eq!(reference.registry(), "registry.example.com:5000");
    assert_eq!(reference.repository().as_str(), "acme/shop");
    assert_eq!(reference.tag().map(Tag::as_str), Some("v1"));
    assert_eq!(reference.digest().map(ToString::to_string).as_deref(), Some(DIGEST));
    assert_eq!(reference.to_string(), text);
    assert_eq!(format!("docker://{text}").parse(), Ok(reference));
}

#[test]
fn e02_references_print_as_they_were_written() {
    for text in [
        "docker.io/library/alpine",
        "docker.io/alpine",
        "localhost/a",
        "localhost:5000/a:1",
        "127.0.0.1:5000/a",
        "[::1]:5000/a/b:tag",
        "[2001:db8::1]/a",
        "a.b/c:_x",
        "a:1/c",
        "xn--bcher-kva.example/c",
    ] {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
    }
    assert_eq!(
        "LOCALHOST:5000/a:X".parse::<Reference>().unwrap().to_string(),
        "localhost:5000/a:X"
    );
    let sha512 = format!("a.b/c@sha512:{}", "0".repeat(128));
    assert_eq!(sha512.parse::<Reference>().unwrap().to_string(), sha512);
}

#[test]
fn no_tag_is_added_silently() {
    let bare = Reference::from_docker_name("alpine").unwrap();
    assert_eq!((bare.tag(), bare.digest()), (None, None));
    assert_eq!(bare.tag_or_latest(), Tag::latest());
    assert_eq!(bare.to_string(), "docker.io/library/alpine");
    let tagged = bare.with_tag(Some("3.20".parse().unwrap()));
    assert_eq!(tagged.tag_or_latest().as_str(), "3.20");
    assert_eq!(
        tagged.with_digest(Some(DIGEST.parse().unwrap())).to_string(),
        format!("docker.io/library/alpine:3.20@{DIGEST}")
    );
}

#[test]
fn docker_names() {
    for (typed, meant) in [
        ("alpine", "docker.io/library/alpine"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("user/app", "docker.io/user/app"),
        ("user/app/deep:1", "docker.io/user/app/deep:1"),
        ("docker.io/alpine", "docker.io/library/alpine"),
        ("docker.io/user/app", "docker.io/user/app"),
        ("index.docker.io/alpine", "docker.io/library/alpine"),
        ("registry-1.docker.io/user/app", "docker.io/user/app"),
        ("docker://busybox", "docker.io/library/busybox"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("library/localhost:5000", "docker.io/library/localhost:5000"),
        ("registry:2", "docker.io/library/registry:2"),
        ("a.b:v1", "docker.io/library/a.b:v1"),
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1"),
        ("[::1]:5000/app", "[::1]:5000/app"),
    ] {
        let reference = Reference::from_docker_name(typed).unwrap();
        assert_eq!(reference.to_string(), meant, "{typed}");
        assert_eq!(Reference::from_docker_name(&reference.docker_name()), Ok(reference));
    }
    let pinned = format!("alpine:3.20@{DIGEST}");
    assert_eq!(
        Reference::from_docker_name(&pinned).unwrap().to_string(),
        format!("docker.io/library/{pinned}")
    );
    for text in
        ["", ":tag", "@", "User/app", "docker.io/", "a/b c", "/etc/passwd", "./dir", &DIGEST[7..]]
    {
        assert!(Reference::from_docker_name(text).is_err(), "{text}");
    }
}

#[test]
fn strict_references_name_their_host() {
    for text in ["alpine", "alpine:3.20", "user/app", "a/b:1"] {
        assert!(fault(text).contains("does not begin with a registry"), "{text}");
    }
    assert_eq!(
        fault("user/app"),
        "`user/app` is not a reference: it does not begin with a registry, as `docker.io/user/app` does"
    );
}

#[test]
fn a_host_alone_is_no_reference() {
    let pinned = format!("localhost:5000@{DIGEST}");
    for (text, instead) in [
        ("localhost", "localhost/REPOSITORY"),
        ("localhost:5000", "localhost:5000/REPOSITORY"),
        ("docker://LOCALHOST:5000/", "localhost:5000/REPOSITORY"),
        ("registry.example.com", "registry.example.com/REPOSITORY"),
        ("127.0.0.1:5000", "127.0.0.1:5000/REPOSITORY"),
        ("[::1]:5000", "[::1]:5000/REPOSITORY"),
        ("ghcr.io/", "ghcr.io/REPOSITORY"),
        ("https://ghcr.io", "ghcr.io/REPOSITORY"),
        (&pinned, "localhost:5000/REPOSITORY"),
    ] {
        for error in
            [Reference::from_docker_name(text).unwrap_err(), text.parse::<Reference>().unwrap_err()]
        {
            assert!(error.fault().contains("a repository is missing"), "{error}");
            assert_eq!(error.instead(), Some(instead));
        }
    }
}

#[test]
fn hosts_and_ports_are_checked() {
    for (text, reason) in [
        ("localhost:/a", "write a number from 1 to 65535"),
        ("localhost:0/a", "write a number from 1 to 65535"),
        ("localhost:65536/a", "write a number from 1 to 65535"),
        ("localhost:+80/a", "write a number from 1 to 65535"),
        ("localhost:http/a", "write a number from 1 to 65535"),
        ("::1/a", "put an IPv6 address in brackets"),
        ("a:b:c/d", "put an IPv6 address in brackets"),
        ("[::1/a", "put an IPv6 address in brackets"),
        ("[::1]x:1/a", "put an IPv6 address in brackets"),
        ("[::x]:5000/a", "has no IPv6 address in its brackets"),
        ("[]:1/a", "has no IPv6 address in its brackets"),
        ("../a", "between or after its dots"),
        ("a..b/c", "between or after its dots"),
        ("a_b.example/c", "may hold only letters"),
        ("-a.example/c", "next to a dot or an end"),
        ("a.example-/c", "next to a dot or an end"),
    ] {
        assert!(fault(text).contains(reason), "{}", fault(text));
    }
    assert!("localhost:65535/a".parse::<Reference>().is_ok());
}

#[test]
fn what_is_wrong_is_said() {
    for (text, reason) in [
        ("https://ghcr.io/a/b/", "it begins with `https://`; write `ghcr.io/a/b`"),
        ("ghcr.io/Acme/app:V1", "no upper-case letters; write `ghcr.io/acme/app:V1`"),
        ("Alpine", "no upper-case letters; write `alpine`"),
        (
            "http://ghcr.io/Acme/app",
            "`http://`, and a repository has no upper-case letters; write `ghcr.io/acme/app`",
        ),
        ("https://", "it begins with `https://`"),
        ("ghcr.io/a//b", "write exactly one `/` between parts"),
        ("ghcr.io/", "a repository is missing after the host; write `ghcr.io/REPOSITORY`"),
        ("ghcr.io/a:", "it is empty; write one or leave out the `:`"),
        ("ghcr.io/a@", "it has no colon"),
        ("ghcr.io/a@sha256:abc", "sha256 takes exactly 64 lower-case hex digits"),
        ("ghcr.io/a:b:c", "must be lower-case letters and digits"),
        ("user:secret@ghcr.io/a", "is not a digest"),
        ("ghcr.io/a:b/c", "must be lower-case letters and digits"),
        ("ghcr.io/a/../b", "`..` is no part of a name"),
    ] {
        assert!(fault(text).contains(reason), "{}", fault(text));
    }
    let long = format!("ghcr.io/a:{}", "x".repeat(129));
    assert!(fault(&long).ends_with("is not a tag: it has 129 characters; use at most 128"));
}

#[test]
fn references_are_json_strings() {
    let json = "[\"a.b/c:d\",\"c\",\"d\"]";
    let read: (Reference, RepositoryName, Tag) = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    assert_eq!(format!("{read:?}"), "(a.b/c:d, c, d)");
    assert!(serde_json::from_str::<Reference>("\"alpine\"").is_err());
    assert!(serde_json::from_str::<Tag>("\"a/b\"").is_err());
    assert!(serde_json::from_str::<RepositoryName>("\"A\"").is_err());
}

#[test]
fn docker_s_short_names_are_given_where_they_mean_the_same() {
    for (reference, short) in [
        ("docker.io/library/alpine:3.20", "alpine:3.20"),
        ("docker.io/team/app:1", "team/app:1"),
        ("docker.io/library/team/app:1", "library/team/app:1"),
        ("quay.io/library/app:1", "quay.io/library/app:1"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        // These would be taken for a host, and for one of `library`.
        ("docker.io/localhost/app:1", "docker.io/localhost/app:1"),
        ("docker.io/app:1", "docker.io/app:1"),
    ] {
        assert_eq!(reference.parse::<Reference>().unwrap().docker_name(), short);
    }
}
