use std::collections::BTreeSet;
use std::time::Duration;

use clap::CommandFactory as _;
use longshore_spec::Digest;
use longshore_store::Name;

use super::*;
use crate::args::Args;

fn digest() -> Digest {
    Digest::sha256("")
}

fn said(status: u16) -> Refusal {
    Refusal::of_status(status).saying("no")
}

fn saying(status: u16, code: ErrorCode) -> Refusal {
    Refusal { codes: vec![code], ..said(status) }
}

fn flaws() -> Vec<Flaw> {
    let text = String::new;
    vec![
        Flaw::NotALayout,
        Flaw::NotEmpty,
        Flaw::NoLayoutInside,
        Flaw::DockerArchive,
        Flaw::NoIndex,
        Flaw::NotADirectory,
        Flaw::Directory,
        Flaw::Pipe,
        Flaw::NotAFile,
        Flaw::Empty,
        Flaw::NotATar,
        Flaw::CutOff(text()),
        Flaw::Version { found: text(), known: "1" },
        Flaw::WebPage,
        Flaw::Answer(text()),
        Flaw::Unencrypted { to: text() },
        Flaw::Address(text()),
        Flaw::Authority(text()),
        Flaw::Identity(text()),
        Flaw::Credentials(text()),
        Flaw::Proxy(text()),
        Flaw::Damaged(text()),
        Flaw::Link { to: text() },
        Flaw::NotOurs(text()),
        Flaw::NotText,
        Flaw::Compressed { with: "xz" },
        Flaw::Trailing(text()),
        Flaw::HardLink { member: text() },
        Flaw::Journal(text()),
    ]
}

/// Counts what [`flaws`] has to have. Whoever adds a flaw is stopped here.
fn flaw_number(flaw: &Flaw) -> usize {
    match flaw {
        Flaw::NotALayout => 0,
        Flaw::NotEmpty => 1,
        Flaw::NoLayoutInside => 2,
        Flaw::DockerArchive => 3,
        Flaw::NoIndex => 4,
        Flaw::NotADirectory => 5,
        Flaw::Directory => 6,
        Flaw::Pipe => 7,
        Flaw::NotAFile => 8,
        Flaw::Empty => 9,
        Flaw::NotATar => 10,
        Flaw::CutOff(_) => 11,
        Flaw::Version { .. } => 12,
        Flaw::WebPage => 13,
        Flaw::Answer(_) => 14,
        Flaw::Unencrypted { .. } => 15,
        Flaw::Address(_) => 16,
        Flaw::Authority(_) => 17,
        Flaw::Identity(_) => 18,
        Flaw::Credentials(_) => 19,
        Flaw::Proxy(_) => 20,
        Flaw::Damaged(_) => 21,
        Flaw::Link { .. } => 22,
        Flaw::NotOurs(_) => 23,
        Flaw::NotText => 24,
        Flaw::Compressed { .. } => 25,
        Flaw::Trailing(_) => 26,
        Flaw::HardLink { .. } => 27,
        Flaw::Journal(_) => 28,
    }
}

fn inabilities() -> Vec<Inability> {
    vec![
        Inability::ReadOnly,
        Inability::Unannounced(String::new()),
        Inability::NoFullReference,
        Inability::TagDelete { said: said(405).into() },
        Inability::TagDelete { said: said(400).into() },
        Inability::ManifestDelete { said: said(405).into() },
        Inability::NoRegistry { said: Some(said(404).into()) },
        Inability::Catalog { said: None },
        Inability::NotATag(Name::new("a/b")),
        Inability::ReferrersTag(Name::new("sha256-1")),
        Inability::Needed(digest()),
        Inability::Elsewhere(digest().into()),
        Inability::NoCredentials,
        Inability::ManifestsOnly(digest()),
        Inability::Other(String::new()),
    ]
}

fn inability_number(what: &Inability) -> usize {
    match what {
        Inability::ReadOnly => 0,
        Inability::Unannounced(_) => 1,
        Inability::NoFullReference => 2,
        Inability::TagDelete { .. } => 3,
        Inability::ManifestDelete { .. } => 4,
        Inability::NoRegistry { .. } => 5,
        Inability::Catalog { .. } => 6,
        Inability::NotATag(_) => 7,
        Inability::ReferrersTag(_) => 8,
        Inability::Needed(_) => 9,
        Inability::Elsewhere(_) => 10,
        Inability::NoCredentials => 11,
        Inability::ManifestsOnly(_) => 12,
        Inability::Other(_) => 13,
    }
}

fn failures() -> Vec<ConnectionFailure> {
    let text = String::new;
    vec![
        ConnectionFailure::NoAddress(text()),
        ConnectionFailure::Refused { port: Some(5000) },
        ConnectionFailure::Refused { port: None },
        ConnectionFailure::NoRoute,
        ConnectionFailure::ConnectTimeout,
        ConnectionFailure::Silent(Duration::from_secs(1)),
        ConnectionFailure::Cut(text()),
        ConnectionFailure::OtherName { names: Vec::new(), wanted: None },
        ConnectionFailure::Expired,
        ConnectionFailure::NotYetValid,
        ConnectionFailure::UnknownAuthority,
        ConnectionFailure::AuthorityItself,
        ConnectionFailure::BadCertificate(text()),
        ConnectionFailure::Handshake(text()),
        ConnectionFailure::NoTls,
        ConnectionFailure::SpeaksTls,
        ConnectionFailure::NoHttp,
        ConnectionFailure::Other(text()),
        ConnectionFailure::Slow,
        ConnectionFailure::NotPublic,
    ]
}

fn failure_number(why: &ConnectionFailure) -> usize {
    match why {
        ConnectionFailure::NoAddress(_) => 0,
        ConnectionFailure::Refused { .. } => 1,
        ConnectionFailure::NoRoute => 2,
        ConnectionFailure::ConnectTimeout => 3,
        ConnectionFailure::Silent(_) => 4,
        ConnectionFailure::Cut(_) => 5,
        ConnectionFailure::OtherName { .. } => 6,
        ConnectionFailure::Expired => 7,
        ConnectionFailure::NotYetValid => 8,
        ConnectionFailure::UnknownAuthority => 9,
        ConnectionFailure::AuthorityItself => 10,
        ConnectionFailure::BadCertificate(_) => 11,
        ConnectionFailure::Handshake(_) => 12,
        ConnectionFailure::NoTls => 13,
        ConnectionFailure::SpeaksTls => 14,
        ConnectionFailure::NoHttp => 15,
        ConnectionFailure::Other(_) => 16,
        ConnectionFailure::Slow => 17,
        ConnectionFailure::NotPublic => 18,
    }
}

fn subjects() -> Vec<Subject> {
    let repository: longshore_spec::RepositoryName = "a/b".parse().unwrap();
    vec![
        Subject::Digest(digest()),
        Subject::Name(Name::new("v1")),
        Subject::Repository(repository),
        Subject::Tagged { repository: "r.example/app".to_owned(), tag: Name::new("v1") },
        Subject::Registry("r.example".to_owned()),
        Subject::Platforms(Vec::new()),
        Subject::Other(String::new()),
    ]
}

fn subject_number(what: &Subject) -> usize {
    match what {
        Subject::Digest(_) => 0,
        Subject::Name(_) => 1,
        Subject::Repository(_) => 2,
        Subject::Registry(_) => 3,
        Subject::Platforms(_) => 4,
        Subject::Other(_) => 5,
        Subject::Tagged { .. } => 6,
    }
}

fn errors() -> Vec<Error> {
    let text = String::new;
    let what = || Subject::from("it");
    let mut all = vec![
        Error::Ambiguous { name: text(), place: text(), candidates: Vec::new() },
        Error::Busy { what: text() },
        Error::Cancelled,
        Error::Conflict { name: text(), first: digest(), second: digest() },
        Error::Corrupt { expected: digest(), actual: digest() },
        Error::Denied { action: "read", what: what(), place: text(), said: said(401).into() },
        Error::Exists { what: text() },
        Error::LeadsOut { link: text(), target: text(), place: text() },
        Error::Limit { what: text(), limit: text() },
        Error::Manifest { digest: digest(), source: ManifestError::Schema1 },
        Error::NoDirectory { path: text(), directory: text() },
        Error::NoSpace { place: text(), needed: 2, available: 1 },
        Error::NothingChosen { place: text(), rules: text(), tags: 1, newest: None },
        Error::Size { digest: digest(), expected: 1, actual: 2, more: false },
        Error::Throttled { place: text(), said: said(429).into() },
        Error::Unverifiable { digest: digest() },
    ];
    for status in [400, 405, 409, 413, 500, 503, 507] {
        for (action, code) in
            [("read", ErrorCode::Unsupported), ("push", ErrorCode::ManifestBlobUnknown)]
        {
            let said = Box::new(saying(status, code));
            all.push(Error::Refused { action, what: what(), place: text(), said });
        }
    }
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::NotADirectory,
        ErrorKind::PermissionDenied,
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::FileTooLarge,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::BrokenPipe,
        ErrorKind::Other,
    ] {
        all.push(Error::Io { action: "read", what: text(), source: kind.into() });
    }
    let source = io::Error::from_raw_os_error(EIO);
    all.push(Error::Io { action: "read", what: text(), source });
    all.extend(flaws().into_iter().map(|flaw| Error::malformed("it", flaw)));
    all.extend(inabilities().into_iter().map(|what| Error::unsupported("it", what)));
    all.extend(failures().into_iter().map(|why| Error::unreachable("it", why)));
    let (why, led_by) = (ConnectionFailure::NoRoute, Some("r.example".to_owned()));
    all.push(Error::Connection { action: "reach", what: text(), why, led_by });
    for what in subjects() {
        all.push(Error::not_found(what.clone(), "it"));
        for code in [ErrorCode::NameUnknown, ErrorCode::ManifestUnknown] {
            let said = Some(saying(404, code).into());
            all.push(Error::NotFound { what: what.clone(), place: text(), said });
        }
    }
    all
}

fn error_number(error: &Error) -> usize {
    match error {
        Error::Ambiguous { .. } => 0,
        Error::Busy { .. } => 1,
        Error::Conflict { .. } => 2,
        Error::Connection { .. } => 3,
        Error::Corrupt { .. } => 4,
        Error::Denied { .. } => 5,
        Error::Exists { .. } => 6,
        Error::Io { .. } => 7,
        Error::Limit { .. } => 8,
        Error::Malformed { .. } => 9,
        Error::Manifest { .. } => 10,
        Error::NoSpace { .. } => 11,
        Error::NotFound { .. } => 12,
        Error::Refused { .. } => 13,
        Error::Size { .. } => 14,
        Error::Throttled { .. } => 15,
        Error::Unsupported { .. } => 16,
        Error::Unverifiable { .. } => 17,
        Error::LeadsOut { .. } => 18,
        Error::NoDirectory { .. } => 19,
        Error::NothingChosen { .. } => 20,
        Error::Cancelled => 21,
    }
}

/// Checks that every number below the highest is there.
fn all_are_there(numbers: impl Iterator<Item = usize>, count: usize) {
    assert_eq!(numbers.collect::<BTreeSet<_>>(), (0..count).collect());
}

#[test]
fn the_walk_below_meets_every_kind() {
    all_are_there(errors().iter().map(error_number), 22);
    all_are_there(flaws().iter().map(flaw_number), 29);
    all_are_there(inabilities().iter().map(inability_number), 14);
    all_are_there(failures().iter().map(failure_number), 19);
    all_are_there(subjects().iter().map(subject_number), 7);
}

/// Says what `text` names that `command` does not have: flags of its own, and in backquotes after
/// `longshore`, another command with its flags.
fn strangers(text: &str, command: &clap::Command, program: &clap::Command) -> Vec<String> {
    let mut found = Vec::new();
    for (number, part) in text.split('`').enumerate() {
        let is_code = number % 2 == 1;
        let mut words = part.split([' ', ',', ';', ')', '(']).peekable();
        let mut of = command;
        if is_code {
            match words.next() {
                Some("longshore") => {
                    let name = words.next().unwrap_or_default();
                    match program.find_subcommand(name) {
                        Some(other) => of = other,
                        None => found.push(format!("longshore {name}")),
                    }
                }
                Some(word) if !word.starts_with("--") => continue,
                _ => words = part.split([' ', ',', ';', ')', '(']).peekable(),
            }
        }
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let arg = of.get_arguments().find(|arg| arg.get_long() == Some(flag));
            let Some(arg) = arg else {
                found.push(format!("{word} of {}", of.get_name()));
                continue;
            };
            let values = arg.get_value_parser().possible_values();
            if let (true, Some(values), Some(value)) = (is_code, values, words.peek())
                && !values.into_iter().any(|known| known.matches(value, false))
            {
                found.push(format!("{word} {value} of {}", of.get_name()));
            }
        }
    }
    found
}

#[test]
fn strangers_are_found() {
    let mut program = Args::command();
    program.build();
    let copy = program.find_subcommand("copy").unwrap();
    for (text, expected) in [
        ("--force, or `--sparse-index strip`; `longshore serve --writable`", 0),
        ("--tls-key", 1),
        ("`longshore frobnicate`", 1),
        ("`longshore gc --force`", 1),
        ("`--sparse-index crumple`", 1),
        ("`skopeo copy --all`", 0),
    ] {
        assert_eq!(strangers(text, copy, &program).len(), expected, "{text}");
    }
}

#[test]
fn every_error_is_given_advice_that_its_command_can_follow() {
    let mut program = Args::command();
    program.build();
    // What clap answers itself meets no error of ours.
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let commands: Vec<_> = commands.collect();
    assert!(commands.len() > 15);
    let mut hints: Vec<_> = vec![without_referrers(), wants_all()];
    for error in errors() {
        for action in [None, Some(Action::ListReferrers), Some(Action::Copy)] {
            match advice(&error, action) {
                Advice::Do(hint) => hints.push(hint),
                Advice::Nothing(why) => assert!(why.len() > 20, "{error}: {why}"),
            }
        }
    }
    for hint in hints {
        for command in &commands {
            let text = hint.shown_by(Some(&Running::of(command)));
            let text = text.unwrap_or_else(|| panic!("{}: {hint:?}", command.get_name()));
            assert!(text.len() > 10 && !text.ends_with('.'), "{text}");
            assert_eq!(strangers(&text, command, &program), [""; 0], "{text}");
        }
        // What is known before a command is has to do without its flags.
        assert!(hint.shown_by(None).is_some());
    }
}

#[test]
fn who_refuses_is_told_by_the_flags_that_there_are() {
    let mut program = Args::command();
    program.build();
    let shown = |hint: Hint, name: &str| {
        hint.shown_by(Some(&Running::of(program.find_subcommand(name).unwrap()))).unwrap()
    };
    assert!(shown(without_referrers(), "export").contains("`--referrers none`"));
    assert!(!shown(without_referrers(), "copy").contains("none"));
    assert!(!shown(without_referrers(), "tree").contains("--"));
    assert!(shown(wants_all(), "copy").contains("`--sparse-index strip`"));
    assert!(shown(wants_all(), "import").contains("`--sparse-index strip`"));
}
