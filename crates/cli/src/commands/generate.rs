//! `completions` and `man`.

use clap::CommandFactory as _;
use longshore_store::Error;

use crate::args::{Args, Completions, Man};
use crate::documents::{ManPages as Pages, Script};
use crate::output::Output;
use crate::problem::{Exit, Problem};

pub(crate) fn completions(args: &Completions, output: &Output) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "longshore", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let document = Script { shell: args.shell.to_string(), script };
    output.result(&document, || document.script.clone())?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &Man, output: &Output) -> Result<Exit, Problem> {
    let directory = &args.directory;
    let unwritable = |error| {
        Problem::of(Error::io("write manual pages into", directory.display())(error))
            .hint("give a directory that is there and can be written to")
    };
    clap_mangen::generate_to(Args::command(), directory).map_err(unwritable)?;
    let document = Pages { directory: directory.display().to_string() };
    output.summary(&document, || format!("manual pages are in {}\n", document.directory))?;
    Ok(Exit::Done)
}
