//! `completions` and `man`.

use clap::{CommandFactory as _, ValueEnum as _};
use longshore_store::Error;

use crate::args::{Args, Completions, Man, Shell};
use crate::complete::SCRIPTS;
use crate::documents::{ManPages as Pages, Script};
use crate::output::Output;
use crate::problem::{Exit, Problem};

pub(crate) fn completions(args: &Completions, output: &Output) -> Result<Exit, Problem> {
    tracing::debug!("what it needs it asks `longshore complete`, where the shell can");
    let script = match args.shell {
        Shell::Elvish => generated(clap_complete::Shell::Elvish),
        Shell::Powershell => generated(clap_complete::Shell::PowerShell),
        // What these know they ask the program for.
        Shell::Bash | Shell::Fish | Shell::Zsh => {
            let known = SCRIPTS.iter().find(|(shell, _)| *shell == args.shell);
            known.map(|(_, script)| (*script).to_owned()).unwrap_or_default()
        }
    };
    let shell = args.shell.to_possible_value();
    let shell = shell.map(|value| value.get_name().to_owned()).unwrap_or_default();
    let document = Script { shell, script };
    output.result(&document, || document.script.clone())?;
    Ok(Exit::Done)
}

/// Returns a script that knows commands and flags, and no values.
fn generated(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "longshore", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

pub(crate) fn man(args: &Man, output: &Output) -> Result<Exit, Problem> {
    let directory = &args.directory;
    let unwritable = |error: std::io::Error| {
        Problem::of(Error::io("write manual pages into", directory.display())(error))
            .hint("give a directory that can be made and written to")
    };
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    tracing::debug!("writing a page for each command into {}", directory.display());
    clap_mangen::generate_to(Args::command(), directory).map_err(unwritable)?;
    let document = Pages { directory: directory.display().to_string() };
    output.summary(&document, || format!("manual pages are in {}\n", document.directory))?;
    Ok(Exit::Done)
}
