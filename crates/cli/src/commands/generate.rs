//! `completions` and `man`.

use clap::CommandFactory as _;

use crate::args::{Args, Completions, Man};
use crate::output::Output;
use crate::problem::{Exit, Problem};

pub(crate) fn completions(args: &Completions, _: &Output) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "longshore", &mut script);
    Output::bytes(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(args: &Man, output: &Output) -> Result<Exit, Problem> {
    let directory = &args.directory;
    let unwritable = |error| {
        let text = format!("cannot write manual pages into {}: {error}", directory.display());
        Problem::new(Exit::Usage, text).hint("give a directory that is there")
    };
    clap_mangen::generate_to(Args::command(), directory).map_err(unwritable)?;
    output.note(&format!("manual pages are in {}", directory.display()));
    Ok(Exit::Done)
}
