//! `cargo acceptance conformance`: the suite of the distribution specification, run against `serve`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::peers;
use crate::program::Program;
use crate::run::{self, shown};
use crate::server::{ANY_PORT, Server};

/// What may be asked of this task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the files where they are, and say where that is
    #[arg(long)]
    keep: bool,
}

/// What the suite is told, and what it must leave out then.
struct Run {
    name: &'static str,
    version: &'static str,
    /// What is given to `serve`.
    flags: &'static [&'static str],
    /// Whether indexes are pushed some of whose entries are not there: only who says so takes them.
    sparse: &'static str,
    disabled: &'static [&'static str],
}

const RUNS: [Run; 4] = [
    Run {
        name: "1.1",
        version: "1.1",
        flags: &[],
        sparse: "false",
        disabled: &[
            "Blob upload cancel",
            "Manifest put with tag params",
            "Sparse Manifests",
            "Tag Param",
            "Tag Param sha512",
        ],
    },
    Run {
        name: "1.1-allow-missing",
        version: "1.1",
        flags: &["--allow-missing"],
        sparse: "true",
        disabled: &[
            "Blob upload cancel",
            "Manifest put with tag params",
            "Tag Param",
            "Tag Param sha512",
        ],
    },
    Run {
        name: "dev",
        version: "dev",
        flags: &[],
        sparse: "false",
        disabled: &["Sparse Manifests"],
    },
    Run {
        name: "dev-allow-missing",
        version: "dev",
        flags: &["--allow-missing"],
        sparse: "true",
        disabled: &[],
    },
];

/// The name of the suite, with which those of its tests begin.
const SUITE: &str = "OCI Conformance Test";

/// Runs the suite in each way, each time against an empty directory.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(suite) = peers::required("conformance")? else { return Ok(()) };
    let program = Program::build()?;
    let mut workdir = tempfile::Builder::new().prefix("longshore-conformance-").tempdir()?;
    workdir.disable_cleanup(args.keep);
    if args.keep {
        println!("what is made stays in {}", workdir.path().display());
    }
    let mut failures = Vec::new();
    for run in RUNS {
        let directory = workdir.path().join(run.name);
        fs::create_dir(&directory)?;
        let (result, time) = run::timed(|| run.check(&suite, &program, &directory));
        let (name, time) = (run.name, time.as_secs_f64());
        match result {
            Ok(count) => println!("{name}: {count} tests passed in {time:.1} s"),
            Err(error) => {
                println!("{name}: FAILED after {time:.1} s\n{error:#}\n");
                failures.push(name);
            }
        }
    }
    ensure!(failures.is_empty(), "these failed: {}", failures.join(", "));
    Ok(())
}

impl Run {
    /// Runs the suite once and returns how many tests have passed.
    fn check(&self, suite: &Path, program: &Program, directory: &Path) -> Result<usize> {
        let words = ["serve", "oci:served", "--writable", "--listen", ANY_PORT, "--json"];
        let mut serve = program.command(directory, words);
        let server = Server::ours(serve.args(self.flags), &directory.join("log"))?;
        let mut command = Command::new(suite);
        // It listens to many variables, of older versions too.
        command.current_dir(directory).env_clear().envs([
            ("OCI_VERSION", self.version),
            ("OCI_REGISTRY", server.address()),
            ("OCI_TLS", "disabled"),
            ("OCI_REPO1", "conformance/first"),
            ("OCI_REPO2", "conformance/second"),
            ("OCI_DATA_SPARSE", self.sparse),
            ("OCI_RESULTS_DIR", "results"),
        ]);
        let line = shown(&command);
        println!("$ {line}");
        let output = command.output().with_context(|| format!("cannot run `{line}`"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // A setting that it does not understand it only mentions.
        let results = fs::read_to_string(directory.join("results/results.yaml"))
            .with_context(|| format!("`{line}` wrote no results\n{said}"))?;
        self.judge(&results, &said)
            .and_then(|count| {
                ensure!(output.status.success(), "it ended with {}", output.status);
                Ok(count)
            })
            .with_context(|| format!("`{line}` failed"))
    }

    /// Fails unless everything was tested that this version has, and passed.
    fn judge(&self, results: &str, said: &str) -> Result<usize> {
        let verdicts = verdicts(results);
        // One test that was skipped is not seen in what is said of many.
        let tests: Vec<_> = tests(said).collect();
        let bad = |verdict: &str| !matches!(verdict, "Pass" | "Disabled");
        let tested = tests.iter().copied().filter(|(_, verdict)| bad(verdict));
        let listed = verdicts.iter().map(|(name, verdict)| (*name, *verdict));
        let failed: Vec<_> = tested.chain(listed.filter(|(_, verdict)| bad(verdict))).collect();
        if !failed.is_empty() {
            let lines: Vec<_> =
                failed.iter().map(|(name, verdict)| format!("{verdict}: {name}")).collect();
            bail!("not all passed:\n{}", lines.join("\n"));
        }
        let of = |wanted: &str| {
            let names = verdicts.iter().filter(|(_, verdict)| **verdict == wanted);
            names.map(|(name, _)| *name).collect::<BTreeSet<_>>()
        };
        let disabled = of("Disabled");
        ensure!(
            disabled.iter().eq(self.disabled.iter()),
            "{disabled:?} were not tested, and {:?} are what may be left out",
            self.disabled
        );
        let passed = tests.iter().filter(|(_, verdict)| *verdict == "Pass").count();
        ensure!(passed > 0 && !of("Pass").is_empty(), "nothing was tested");
        Ok(passed)
    }
}

/// Returns what `results.yaml` says of each interface and each kind of content: lines below `apis:`
/// and `data:`.
fn verdicts(results: &str) -> BTreeMap<&str, &str> {
    let mut verdicts = BTreeMap::new();
    let mut counts = false;
    for line in results.lines() {
        match line.strip_prefix("  ") {
            Some(entry) if counts => {
                let (name, verdict) = entry.rsplit_once(": ").unwrap_or((entry, ""));
                verdicts.insert(name, verdict);
            }
            Some(_) => {}
            None => counts = matches!(line, "apis:" | "data:"),
        }
    }
    verdicts
}

/// Returns each test that is printed, and how it ended.
fn tests(said: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = said.lines().map(str::trim_start).filter(|line| line.starts_with(SUITE));
    lines.map(|line| line.rsplit_once(": ").unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = "config:\n  apis:\n    ping: true\n  data:\n    sparse: false\napis:\n  \
                           Blob get: Pass\n  Ping: Pass\ndata:\n  Sparse Manifests: Disabled\n";
    const SAID: &str = "OCI Conformance Test: Pass\n  OCI Conformance Test/ping: Pass\n";

    fn judged(results: &str, said: &str) -> Result<usize, String> {
        let run = RUNS.into_iter().find(|run| run.name == "dev").unwrap();
        run.judge(results, said).map_err(|error| error.to_string())
    }

    #[test]
    fn what_passed_is_counted() {
        assert_eq!(judged(RESULTS, SAID), Ok(2));
    }

    #[test]
    fn what_did_not_pass_is_named() {
        let cases = [
            (RESULTS.replace("Ping: Pass", "Ping: Skip"), SAID.to_owned(), "Skip: Ping"),
            (RESULTS.replace("get: Pass", "get: FAIL"), SAID.to_owned(), "FAIL: Blob get"),
            (RESULTS.to_owned(), SAID.replace("ping: Pass", "ping: Error"), "Error: OCI"),
            (RESULTS.to_owned(), SAID.replace("ping: Pass", "ping"), ": OCI"),
            (RESULTS.replace("Blob get: Pass", "Blob get: Disabled"), SAID.to_owned(), "left out"),
            (RESULTS.replace("Disabled", "Pass"), SAID.to_owned(), "left out"),
            (RESULTS.to_owned(), String::new(), "nothing was tested"),
            (String::new(), SAID.to_owned(), "left out"),
        ];
        for (results, said, expected) in cases {
            let error = judged(&results, &said).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
