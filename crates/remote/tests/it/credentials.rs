//! Credential files and helper programs.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use longshore_remote::Secret;
use longshore_remote::credentials::{Credential, Credentials as _, Files};
use longshore_store::Error;
use tempfile::TempDir;

/// Stores credentials in a file beside itself, for all registries together.
const HELPER: &str = r#"#!/bin/sh
dir=$(dirname "$0")
if [ -f "$dir/words" ]; then
    cat > /dev/null
    case $(cat "$dir/words") in
    '>&2 '*) cut -c5- "$dir/words" >&2 ;;
    *) cat "$dir/words" ;;
    esac
    exit 1
fi
case $1 in
get) read -r key; [ "$key" = "silent.example" ] && exec sleep 60
     [ "$key" = "done.example" ] && exec sleep 60 >&-
     [ -f "$dir/kept" ] || { echo "credentials not found in native keychain"; exit 1; }
     cat "$dir/kept" ;;
store) [ -f "$dir/deaf" ] && exec sleep 60
       cat > "$dir/kept" ;;
erase) rm "$dir/kept" ;;
esac
"#;

/// Returns the helper program. It is written once, before any program runs: a program that is open for
/// writing in a process that was just forked cannot be run.
fn helper() -> PathBuf {
    static HELPER_DIRECTORY: OnceLock<TempDir> = OnceLock::new();
    let directory = HELPER_DIRECTORY.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("helper");
        fs::write(&path, HELPER).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        directory
    });
    directory.path().join("helper")
}

struct Home(TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let home = Self(TempDir::new().unwrap());
        fs::write(home.config(), config).unwrap();
        std::os::unix::fs::symlink(helper(), home.0.path().join("docker-credential-fake")).unwrap();
        home
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config.json")
    }

    fn files(&self) -> Files {
        Files::new([self.config()]).with_helpers_in(self.0.path())
    }
}

fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: Secret::new(password) }
}

#[test]
fn a_login_goes_round_and_leaves_the_rest_of_the_file() {
    let home = Home::new(r#"{"auths": {"other.example": {"auth": "YTpi"}}, "psFormat": "table"}"#);
    let files = home.files();
    assert_eq!(files.find("r.example", None).unwrap(), None);
    files.store("r.example", &password("me", "p:w")).unwrap();
    files.store("docker.io", &Credential::Identity(Secret::new("token"))).unwrap();
    files.store("r.example/team", &password("team", "pw")).unwrap();
    assert_eq!(files.find("r.example", None).unwrap(), Some(password("me", "p:w")));
    let repository = "team/app".parse().unwrap();
    let found = files.find("r.example", Some(&repository)).unwrap();
    assert_eq!(found, Some(password("team", "pw")));
    let found = files.find("docker.io", None).unwrap();
    assert_eq!(found, Some(Credential::Identity(Secret::new("token"))));
    assert_eq!(files.find("other.example", None).unwrap(), Some(password("a", "b")));

    let text = fs::read_to_string(home.config()).unwrap();
    assert!(text.contains("psFormat") && text.contains("https://index.docker.io/v1/"), "{text}");
    let mode = fs::metadata(home.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert!(files.erase("r.example").unwrap());
    assert!(!files.erase("r.example").unwrap());
    assert_eq!(files.find("r.example", None).unwrap(), None);
    assert!(files.find("r.example", Some(&repository)).unwrap().is_some(), "another key");
}

#[test]
fn a_file_that_does_not_exist_is_made() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("new/config.json");
    let files = Files::new([path.clone()]);
    assert_eq!(files.find("r.example", None).unwrap(), None);
    files.store("r.example", &password("me", "pw")).unwrap();
    assert_eq!(files.find("r.example", None).unwrap(), Some(password("me", "pw")));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_first_file_that_knows_a_registry_decides() {
    let first = Home::new(r#"{"auths": {"a.example": {"auth": "b25lOng="}}}"#);
    let second = Home::new(
        r#"{"auths": {"a.example": {"auth": "dHdvOng="}, "b.example": {"auth": "dHdvOng="}}}"#,
    );
    let files = Files::new([first.config(), second.config()]);
    assert_eq!(files.find("a.example", None).unwrap(), Some(password("one", "x")));
    assert_eq!(files.find("b.example", None).unwrap(), Some(password("two", "x")));
}

#[test]
fn a_helper_keeps_what_the_file_does_not() {
    let home = Home::new(r#"{"credHelpers": {"r.example": "fake"}, "auths": {"r.example": {}}}"#);
    let files = home.files();
    assert_eq!(files.find("r.example", None).unwrap(), None, "credentials not found is no error");
    files.store("r.example", &password("me", "pw")).unwrap();
    assert!(!fs::read_to_string(home.config()).unwrap().contains("me"));
    assert_eq!(files.find("r.example", None).unwrap(), Some(password("me", "pw")));
    files.store("r.example", &Credential::Identity(Secret::new("token"))).unwrap();
    let found = files.find("r.example", None).unwrap();
    assert_eq!(found, Some(Credential::Identity(Secret::new("token"))));
    assert!(files.erase("r.example").unwrap());
    assert_eq!(files.find("r.example", None).unwrap(), None);
}

#[test]
fn a_helper_that_has_nothing_says_so_in_any_words() {
    let said = [
        "credentials not found in native keychain",
        "No stored credential for https://r.example",
        "The specified item could not be found in the keychain.",
        ">&2 ERROR: no account is selected",
        "",
    ];
    for words in said {
        for config in [
            r#"{"credsStore": "fake"}"#,
            r#"{"credHelpers": {"r.example": "fake"}}"#,
            r#"{"credHelpers": {"https://r.example/v2/": "fake"}}"#,
        ] {
            let home = Home::new(config);
            fs::write(home.0.path().join("words"), words).unwrap();
            assert_eq!(home.files().find("r.example", None).unwrap(), None, "{words}");
        }
        // The entry in the file itself is used then.
        let home =
            Home::new(r#"{"credsStore": "fake", "auths": {"r.example": {"auth": "bWU6cHc="}}}"#);
        fs::write(home.0.path().join("words"), words).unwrap();
        let found = home.files().find("r.example", None).unwrap();
        assert_eq!(found, Some(password("me", "pw")), "{words}");
    }
    // If storing or removing fails, the error has the words of the helper.
    let home = Home::new(r#"{"credsStore": "fake"}"#);
    fs::write(home.0.path().join("words"), ">&2 the keychain is locked").unwrap();
    for error in [
        home.files().store("r.example", &password("me", "pw")).unwrap_err(),
        home.files().erase("r.example").unwrap_err(),
    ] {
        assert!(error.to_string().contains("the keychain is locked"), "{error}");
    }
}

#[test]
fn a_helper_is_asked_once_for_all_repositories() {
    let home = Home::new(r#"{"credsStore": "fake"}"#);
    let files = home.files();
    files.store("r.example", &password("me", "pw")).unwrap();
    for repository in ["a/b", "c/d"] {
        let found = files.find("r.example", Some(&repository.parse().unwrap())).unwrap();
        assert_eq!(found, Some(password("me", "pw")));
        fs::remove_file(home.0.path().join("kept")).ok();
    }
}

#[test]
fn a_file_may_be_written_in_many_ways() {
    let long = "p".repeat(70);
    for (entry, repository, expected) in [
        // Line breaks as in mail, spaces, no padding, a padded password.
        (r#""r.example": {"auth": "bWU6\npw==\n"}"#, "x", None),
        (r#""r.example": {"auth": "bWU6cHc=\n"}"#, "x", Some(("me", "pw"))),
        (r#""r.example": {"auth": " bWU6\r\n cHc= "}"#, "x", Some(("me", "pw"))),
        (r#""r.example": {"auth": "bWU6cHc"}"#, "x", Some(("me", "pw"))),
        (r#""r.example": {"auth": "bWU6cHcA"}"#, "x", Some(("me", "pw"))),
        (
            r#""r.example": {"auth": "cm9ib3Q6cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw\ncHBwcHBwcHBwcHBwcHBwcHBwcA==\n"}"#,
            "x",
            Some(("robot", long.as_str())),
        ),
        (r#""r.example": {"username": "me", "password": "pw"}"#, "x", Some(("me", "pw"))),
        (r#""R.Example": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        // URLs, whose paths may mean anything.
        (r#""https://r.example": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        (r#""http://r.example/": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        (r#""https://r.example/v1/": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        (r#""https://r.example/v2": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        (r#""https://r.example/api/v2": {"auth": "bWU6cHc="}"#, "x", Some(("me", "pw"))),
        (r#""http://r.example/v2/team/": {"auth": "bWU6cHc="}"#, "team/x", Some(("me", "pw"))),
        (r#""https://r.example/team": {"auth": "bWU6cHc="}"#, "other/x", Some(("me", "pw"))),
        (
            r#""https://r.example/other": {"auth": "eDp5"}, "https://r.example/team": {"auth": "bWU6cHc="}"#,
            "team/x",
            Some(("me", "pw")),
        ),
        (
            r#""https://r.example/team": {"auth": "eDp5"}, "r.example": {"auth": "bWU6cHc="}"#,
            "other/x",
            Some(("me", "pw")),
        ),
        // Without a scheme, the path is part of the key.
        (r#""r.example/team": {"auth": "bWU6cHc="}"#, "team/x", Some(("me", "pw"))),
        (r#""r.example/team/": {"auth": "bWU6cHc="}"#, "team/x", Some(("me", "pw"))),
        (r#""docker://r.example": {"auth": "bWU6cHc="}"#, "team/x", Some(("me", "pw"))),
        (r#"" oci://r.example/team ": {"auth": "bWU6cHc="}"#, "team/x", Some(("me", "pw"))),
        (r#""docker://r.example.org": {"auth": "bWU6cHc="}"#, "team/x", None),
        (r#""r.example/team": {"auth": "bWU6cHc="}"#, "other/x", None),
        (r#""https://r.example:5000/team": {"auth": "bWU6cHc="}"#, "team/x", None),
        (r#""https://not-r.example": {"auth": "bWU6cHc="}"#, "x", None),
    ] {
        let home = Home::new(&format!("{{\"auths\": {{{entry}}}}}"));
        let found = home.files().find("r.example", Some(&repository.parse().unwrap()));
        let expected = expected.map(|(name, secret)| password(name, secret));
        match (&expected, found) {
            (None, Err(_)) => {}
            (_, found) => assert_eq!(found.unwrap(), expected, "{entry}"),
        }
    }
}

#[test]
fn a_file_may_be_nothing_but_entries() {
    let repository = "team/app".parse().unwrap();
    let home = Home::new("\u{feff}{\"auths\": {\"r.example\": {\"auth\": \"bWU6cHc=\"}}}");
    assert_eq!(home.files().find("r.example", None).unwrap(), Some(password("me", "pw")));
    let home = Home::new(r#"{"https://r.example/v1/": {"auth": "bWU6cHc=", "email": "me"}}"#);
    let found = home.files().find("r.example", Some(&repository)).unwrap();
    assert_eq!(found, Some(password("me", "pw")));
    for nothing in ["", "{}", r#"{"psFormat": "table"}"#, r#"{"proxies": {"default": {}}}"#] {
        assert_eq!(Home::new(nothing).files().find("r.example", None).unwrap(), None);
    }
    for nobody in ["Og==", " ", ""] {
        let home = Home::new(&format!(r#"{{"auths": {{"r.example": {{"auth": "{nobody}"}}}}}}"#));
        assert_eq!(home.files().find("r.example", None).unwrap(), None);
    }
}

#[test]
fn a_helper_that_is_not_here_is_passed_over() {
    for named in [r#""credsStore": "absent""#, r#""credHelpers": {"r.example": "absent"}"#] {
        let entry = r#""auths": {"r.example": {"auth": "bWU6cHc="}}"#;
        let home = Home::new(&format!("{{{named}, {entry}}}"));
        let found = home.files().find("r.example", None).unwrap();
        assert_eq!(found, Some(password("me", "pw")));
        let home = Home::new(&format!("{{{named}}}"));
        assert_eq!(home.files().find("r.example", None).unwrap(), None);
    }
    let home = Home::new(r#"{"credsStore": "../../bin/sh"}"#);
    assert!(matches!(home.files().find("r.example", None), Err(Error::Malformed { .. })));
}

#[test]
fn a_helper_that_hangs_is_ended() {
    let home = Home::new(r#"{"credsStore": "fake"}"#);
    let files = home.files().with_helper_timeout(Duration::from_millis(50));
    // The second one has closed its stdout, as a program does after its last output.
    for host in ["silent.example", "done.example"] {
        let error = files.find(host, None).unwrap_err();
        let is_over = |error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut;
        assert!(matches!(&error, Error::Io { source, .. } if is_over(source)), "{error}");
        assert!(error.to_string().contains("docker-credential-fake"), "{error}");
    }
}

#[test]
fn a_helper_that_takes_no_input_is_ended() {
    let home = Home::new(r#"{"credsStore": "fake"}"#);
    let files = home.files().with_helper_timeout(Duration::from_millis(50));
    fs::write(home.0.path().join("deaf"), "").unwrap();
    // More than the buffer of a pipe holds.
    let error = files.store("r.example", &password("me", &"x".repeat(1 << 20))).unwrap_err();
    assert!(error.to_string().contains("docker-credential-fake"), "{error}");
}

#[test]
fn errors_and_debug_output_hold_no_secret() {
    let home = Home::new(r#"{"auths": {"r.example": {"auth": "aHVudGVyMg=="}, hunter2"#);
    let error = home.files().find("r.example", None).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let home = Home::new(r#"{"auths": {"r.example": {"auth": "aHVudGVyMg=="}}}"#);
    let error = home.files().find("r.example", None).unwrap_err();
    assert!(!format!("{error:?}").contains("aHVudGVy"), "{error:?}");
    let shown = format!("{:?}", password("me", "hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
