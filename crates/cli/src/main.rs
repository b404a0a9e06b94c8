//! The `longshore` program: flags to configs, progress to the terminal, errors to exit codes.
//!
//! This is the only crate that prints, reads the environment or exits.

mod args;
mod commands;
mod human;
mod interrupt;
mod location;
mod opened;
mod output;
mod problem;
mod progress;
mod registries;
mod report;
mod store;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::{Args, Command, Global};
use crate::output::{Output, Traces};
use crate::problem::{Exit, Problem};

fn main() -> ExitCode {
    let Args { command, global } = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error).into(),
    };
    trace(&global);
    let output = Output::new(&global);
    let exit = run(command, &global, &output).unwrap_or_else(|problem| {
        Output::problem(&problem);
        problem.exit
    });
    exit.into()
}

/// Says what is wrong with what was typed, or gives the help that was asked for.
fn refuse(error: &clap::Error) -> Exit {
    use std::error::Error as _;
    if let (ErrorKind::ValueValidation, Some(source)) = (error.kind(), error.source()) {
        // What our own types say of a value needs no introduction: what is wrong; what to do.
        let text = source.to_string();
        let problem = match text.split_once("; ") {
            Some((message, hint)) => Problem::new(Exit::Usage, message).hint(hint),
            None => Problem::new(Exit::Usage, text),
        };
        Output::problem(&problem);
        return problem.exit;
    }
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(ours) = args::command_for(word)
    {
        let problem = Problem::new(Exit::Usage, format!("there is no command `{word}`"));
        Output::problem(&problem.hint(format!("`longshore {ours}` does that")));
        return Exit::Usage;
    }
    // Clap prints help to stdout and errors to stderr; a closed pipe is no reason to fail.
    if error.use_stderr() {
        Output::usage(&error.render().to_string());
        return Exit::Usage;
    }
    let _ = error.print();
    Exit::Done
}

fn run(command: Command, global: &Global, output: &Output) -> Result<Exit, Problem> {
    match command {
        Command::Completions(args) => commands::generate::completions(&args, output),
        Command::Copy(args) => commands::copy::run(&args, global, output),
        Command::Delete(args) => commands::delete::run(&args, output),
        Command::Digest(args) => commands::digest::run(&args, output),
        Command::Export(args) => commands::export::run(&args, global, output),
        Command::FindImages(args) => commands::find_images::run(&args, output),
        Command::Gc(args) => commands::gc::run(&args, global, output),
        Command::Import(args) => commands::import::run(&args, global, output),
        Command::Init(args) => commands::init::run(&args, output),
        Command::Inspect(args) => commands::inspect::run(&args, output),
        Command::List(args) => commands::list::run(&args, global, output),
        Command::Lock(args) => commands::lock::run(&args, global, output),
        Command::Login(args) => commands::login::login(&args, output),
        Command::Logout(args) => commands::login::logout(&args, output),
        Command::Man(args) => commands::generate::man(&args, output),
        Command::Serve(args) => commands::serve::run(&args, output),
        Command::Tag(args) => commands::tag::tag(&args, output),
        Command::Tree(args) => commands::tree::run(&args, global, output),
        Command::Types => commands::types::run(output),
        Command::Untag(args) => commands::tag::untag(&args, output),
        Command::Verify(args) => commands::verify::run(&args, global, output),
    }
}

/// Sends traces to stderr: warnings always, more with each `-v`.
fn trace(global: &Global) {
    use std::io::IsTerminal as _;

    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    // What libraries trace is about their insides, and may hold what is secret.
    let ours = tracing_subscriber::filter::Targets::new().with_target("longshore", level);
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Traces)
        .with_ansi(is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .without_time();
    tracing_subscriber::registry().with(lines).with(ours).init();
}
