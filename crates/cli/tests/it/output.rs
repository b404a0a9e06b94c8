//! What goes to stdout and what to stderr.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::common::{Ran, Site, nobody, prepare};

#[test]
fn quiet_prints_results_and_errors_only() {
    let site = Site::typed();
    for line in [
        "copy -q oci:site:app oci:dst",
        "copy -q --all-tags oci:site oci-archive:out.tar",
        "verify -q oci:dst",
        "tag -q oci:dst:app v1",
        "untag -q oci:dst:v1",
        "gc -q oci:dst",
    ] {
        let ran = site.run(line);
        assert_eq!((ran.code, ran.text(), ran.stderr), (0, String::new(), String::new()), "{line}");
    }
    for line in [
        "list -q oci:dst",
        "digest -q oci:dst",
        "tree -q oci:dst",
        "copy -q --dry-run oci:dst oci:x",
    ] {
        let ran = site.run(line);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
        assert!(!ran.stdout.is_empty(), "{line}");
    }
    let ran = site.run("digest -q oci:dst:none");
    assert_eq!((ran.code, ran.text()), (1, String::new()));
    assert!(ran.stderr.starts_with("error: `none` is not in oci:dst"), "{}", ran.stderr);
}

#[test]
fn whoever_closes_the_pipe_has_read_enough() {
    let site = Site::typed();
    for line in ["types", "tree oci:site", "list -q oci:site --json", "--help"] {
        let mut command = site.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed before anything was read.
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
    }
    let program = assert_cmd::cargo::cargo_bin!("longshore");
    let mut command = Command::new("sh");
    command.args(["-c", "{ \"$0\" types; echo $? >&2; } | head -1"]).arg(program);
    prepare(&mut command, site.root());
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.stderr.trim(), "0");
    assert!(ran.text().starts_with("NAME"));
}

/// What takes nothing that is written to it.
fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Every command's help, and commands that print a result.
fn talkative(site: &Site) -> Vec<String> {
    let help = site.ok("--help");
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names = names.filter(|name| *name != "help");
    let mut lines: Vec<_> = names.map(|name| format!("{name} --help")).collect();
    assert!(lines.len() > 15, "{help}");
    let work = [
        "--help",
        "--version",
        "help copy",
        "types",
        "types --json",
        "list oci:site",
        "tree oci:site",
        "digest oci:site:app",
        "inspect oci:site:app",
        "inspect --raw oci:site:app",
        "verify oci:site",
        "copy --dry-run oci:site:app oci:new",
        "completions bash",
        "copy oci:site:app oci-archive:-",
    ];
    lines.extend(work.map(str::to_owned));
    lines
}

#[test]
fn a_stdout_that_cannot_be_written_to_is_a_failure() {
    let site = Site::typed();
    for line in talkative(&site) {
        let mut command = site.command(&line);
        let ran = Ran::of(command.stdout(full()).stderr(Stdio::piped()).output().unwrap());
        assert_eq!(ran.code, 1, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("error: cannot write"), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("no space left on device"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_stderr_that_cannot_be_written_to_changes_nothing() {
    let site = Site::typed();
    for (line, code) in [
        ("copy -v oci:site:app oci:dst", 0),
        ("verify oci:dst", 0),
        ("list oci:dst", 0),
        ("--help", 0),
        ("frobnicate", 2),
        ("copy", 2),
        ("copy --jobs none oci:a oci:b", 2),
        ("list oci:nowhere", 2),
        ("digest oci:dst:none", 1),
        ("gc -vv oci:dst", 0),
    ] {
        let mut command = site.command(line);
        let ran = Ran::of(command.stderr(full()).stdout(Stdio::piped()).output().unwrap());
        assert_eq!(ran.code, code, "{line}");
        // Nor do both at once.
        let status = site.command(line).stdout(full()).stderr(full()).status().unwrap();
        assert!([0, 1, 2].contains(&status.code().unwrap()), "{line}: {status}");
    }
}

#[test]
fn what_is_told_of_the_work_names_no_module() {
    let site = Site::typed();
    let mut told = String::new();
    for line in ["copy -vv oci:site:app oci:dst", "verify -v oci:dst", "gc -vv oci:dst"] {
        told += &site.run(line).stderr;
    }
    assert!(!told.is_empty());
    for word in ["longshore_", "longshore::", "TRACE", "DEBUG", "WARN"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
}

#[test]
fn every_command_says_what_it_does_when_asked() {
    let site = Site::typed();
    let host = nobody();
    site.file("bundle.yaml", format!("artifacts: [{{ ref: {host}/app:1 }}]\n"));
    site.file("pod.yaml", "kind: Pod\nspec: { containers: [{ image: nginx }] }\n");
    site.file("auth.json", "{}");
    std::fs::create_dir(site.path("man")).unwrap();
    site.ok("copy -q oci:site:app oci:full:r.example/team/app:1");
    site.ok("export -q oci:full -o b.tar");
    for (line, told) in [
        ("copy oci:site:app oci:dst", "app is there, sha256:"),
        ("list oci:dst", "opening oci:dst"),
        ("inspect oci:dst:app", "opening oci:dst"),
        ("tree oci:dst", "opening oci:dst"),
        ("digest oci:dst:app", "opening oci:dst"),
        ("verify oci:dst", "opening oci:dst"),
        ("tag oci:dst:app v1", "changing oci:dst"),
        ("untag oci:dst:v1", "changing oci:dst"),
        ("delete oci:dst:app", "changing oci:dst"),
        ("gc oci:dst", "collecting oci:dst"),
        ("types", "types are known"),
        ("find-images pod.yaml", "pod.yaml was read"),
        ("completions bash", "longshore complete"),
        ("man man", "writing a page"),
        ("init new.yaml", "writing new.yaml"),
        ("lock", "bundle.yaml was read"),
        ("export oci:full -o c.tar", "writing to oci-archive:c.tar"),
        ("import b.tar oci:far", "opening oci-archive:b.tar"),
        ("logout --authfile auth.json r.example", "taking r.example out of auth.json"),
        ("serve none", "begins `serve`"),
        ("login -u me --password-stdin 127.0.0.1:1", "asking 127.0.0.1:1"),
    ] {
        let Ran { stderr, code, .. } = site.run(&format!("{line} -v"));
        let name = line.split(' ').next().unwrap();
        assert!(stderr.contains(told), "{line}: {stderr}");
        assert!(stderr.contains(&format!("begins `{name}`")), "{line}: {stderr}");
        assert!(stderr.contains(&format!("`{name}` ends with {code} after ")), "{line}: {stderr}");
    }
    // Twice it is each step, with times and without names of modules.
    let Ran { stderr, .. } = site.run("copy -vv oci:site:chart oci:dst");
    let is_timed = |line: &str| {
        let time = line.strip_prefix('[').and_then(|rest| rest.split_once(" s] "));
        time.is_some_and(|(time, _)| time.trim().parse::<f64>().is_ok())
    };
    let steps: Vec<_> = stderr.lines().filter(|line| is_timed(line)).collect();
    assert!(steps.len() > 5, "{stderr}");
    assert!(steps.iter().any(|line| line.contains("copying sha256:")), "{stderr}");
    assert!(!stderr.contains("longshore_") && !stderr.contains("::"), "{stderr}");
}

#[test]
fn an_archive_whose_reader_goes_away_is_a_failure() {
    let site = Site::new();
    longshore_fixture::large(&site.path("src"), 1, 1 << 20).unwrap();
    let mut command = site.command("copy oci:src oci-archive:-");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 512];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write standard output: broken pipe"), "{}", ran.stderr);
}

#[test]
fn help_goes_to_stdout_and_names_everything() {
    let site = Site::new();
    let help = site.ok("--help");
    let commands = [
        "copy",
        "list",
        "inspect",
        "tree",
        "digest",
        "verify",
        "tag",
        "untag",
        "gc",
        "types",
        "completions",
        "man",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        let text = site.ok(&format!("{command} --help"));
        assert!(text.contains(&format!("Usage: longshore {command}")), "{text}");
    }
    assert!(help.contains("oci:DIR") && help.contains("Exit codes"), "{help}");
    assert!(site.ok("--version").starts_with("longshore 0."));
    // Asked for nothing, it shows how to ask.
    let ran = site.run("");
    assert_eq!((ran.code, ran.text().as_str()), (2, ""));
    assert!(ran.stderr.contains("Usage: longshore"), "{}", ran.stderr);
}

#[test]
fn shells_and_man_get_their_files() {
    let site = Site::new();
    for (shell, part) in [
        ("bash", "complete -o nosort -F _longshore longshore"),
        ("elvish", "older-than"),
        ("fish", "complete -c longshore"),
        ("powershell", "older-than"),
        ("zsh", "#compdef longshore"),
    ] {
        assert!(site.ok(&format!("completions {shell}")).contains(part), "{shell}");
    }
    assert_eq!(site.ok("man new/man"), "manual pages are in new/man\n");
    for page in ["longshore.1", "longshore-copy.1", "longshore-verify.1"] {
        assert!(site.path(&format!("new/man/{page}")).is_file(), "{page}");
    }
}
