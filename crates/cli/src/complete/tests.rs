//! What is offered where.

use super::*;

/// Returns what is offered behind a line, of which the last word is being typed.
fn offered(line: &str) -> Vec<String> {
    let words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
    let (current, words) = words.split_last().unwrap();
    candidates(words, current).into_iter().map(|candidate| candidate.value).collect()
}

#[test]
fn commands_flags_and_words_are_offered_where_they_may_stand() {
    for (line, some, none) in [
        ("", "copy", "complete"),
        ("ver", "verify", "copy"),
        ("help ", "copy", "-h"),
        ("copy --all", "--all-tags", "--all-references"),
        ("copy -", "--platform", "-"),
        ("copy --sparse-index ", "keep", "--force"),
        ("copy --sparse-index=s", "--sparse-index=strip", "strip"),
        ("copy --type im", "image", "signature"),
        ("copy --type image,si", "image,signature", "signature"),
        ("copy --type !ima", "!image", "image"),
        ("copy --referrers=sb", "--referrers=sbom", "sbom"),
        ("export --referrers n", "none", "notation"),
        ("copy --platform linux/am", "linux/amd64", "linux/arm64"),
        ("copy --platform linux/amd64,linux/arm6", "linux/amd64,linux/arm64", "linux/arm64"),
        ("completions z", "zsh", "bash"),
        ("ls --jso", "--json", "--yaml"),
        ("copy -qf Cargo", "Cargo.toml", "oci:"),
        ("copy -fCargo.toml o", "oci:", "Cargo.toml"),
        ("copy -- ", "oci:", "--all"),
        ("copy oci:a o", "oci-archive:", "--all"),
        ("man s", "src/", "Cargo.toml"),
        ("--json list s", "src/", "serve"),
        ("schema bundle", "bundle.yaml", "copy"),
        ("schema c", "copy", "--json"),
    ] {
        let found = offered(line);
        assert!(found.iter().any(|value| value == some), "{line}: {found:?}");
        assert!(!found.iter().any(|value| value == none), "{line}: {found:?}");
    }
}

#[test]
fn where_nothing_is_typed_no_flag_is_offered() {
    let program = Args::command();
    let names = program.get_subcommands().map(|command| command.get_name().to_owned());
    for name in
        names.chain(["copy x y".to_owned(), "types x".to_owned(), "lock --update".to_owned()])
    {
        let found = offered(&format!("{name} "));
        assert!(found.iter().all(|value| !value.starts_with('-')), "{name}: {found:?}");
    }
    assert_eq!(offered("types "), [""; 0]);
    assert_eq!(offered("login "), [""; 0]);
}

#[test]
fn every_flag_that_takes_a_value_is_known() {
    // A new one is looked at: it may be a place or a file of another type.
    let nothing = [
        "jobs",
        "creds",
        "src-creds",
        "dst-creds",
        "older-than",
        "listen",
        "repository",
        "grace",
        "max-connections",
        "max-requests",
        "username",
        "update",
        "map",
        "prefix",
        "docker-manifest",
        "site",
        "limit-rate",
        "limit-requests",
        "retries",
        "timeout",
    ];
    let mut program = Args::command();
    program.build();
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        let typed = Typed { command, position: 0, waiting: None, only_values: false };
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let Some(long) = arg.get_long() else { continue };
            let is_empty = typed.one_value(arg, "").is_empty();
            let is_known = nothing.contains(&long);
            assert!(is_known || !is_empty, "{} --{long}", command.get_name());
        }
    }
}
