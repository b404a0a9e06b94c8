//! The `longshore` program: flags to configs, progress to the terminal, errors to exit codes.
//!
//! This is the only crate that prints, reads the environment or exits.

mod args;
mod commands;
mod complete;
mod documents;
mod hint;
mod human;
mod input;
mod interrupt;
mod location;
mod open;
mod output;
mod problem;
mod progress;
mod registries;
mod report;
mod shell;
mod signals;
mod store;
mod trace;

use std::process::ExitCode;
use std::time::Instant;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};

use longshore::location::LocationError;

use crate::args::{Args, Command, Global, detached_values};
use crate::documents::Typed;
use crate::hint::Running;
use crate::output::Output;
use crate::problem::{Exit, Mistake, Problem};

fn main() -> ExitCode {
    let words: Vec<_> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(problem) = detached_values::refuse(&words) {
        Output::problem(&problem);
        return refused(problem).into();
    }
    let parsed = Args::command().try_get_matches().and_then(|matches| {
        if let Some(name) = matches.subcommand_name() {
            Running::begin(Args::command(), name);
        }
        Args::from_arg_matches(&matches)
    });
    let Args { command, global } = match parsed {
        Ok(args) => args,
        Err(error) => return refuse(&error).into(),
    };
    trace::begin(&global);
    let begun = Instant::now();
    let name = Running::name();
    tracing::debug!("longshore {} begins `{name}`", env!("CARGO_PKG_VERSION"));
    let output = Output::new(&global);
    let exit = run(command, &global, &output).unwrap_or_else(|problem| output.end(problem));
    let seconds = begun.elapsed().as_secs_f64();
    tracing::debug!("`{name}` ends with {} after {seconds:.1} s", exit as u8);
    exit.into()
}

/// Says what is wrong with what was typed, or gives the help that was asked for.
fn refuse(error: &clap::Error) -> Exit {
    let problem = match explain(error) {
        Some(problem) => {
            Output::problem(&problem);
            Problem { typed: Some(Box::new(typed(error))), ..problem }
        }
        None if error.use_stderr() => {
            let text = error.render().to_string();
            Output::usage(&text);
            let first = text.lines().next().unwrap_or_default();
            let message = first.strip_prefix("error: ").unwrap_or(first);
            Problem { typed: Some(Box::new(typed(error))), ..Problem::new(Exit::Usage, message) }
        }
        None => match Output::help(error) {
            Ok(()) => return Exit::Done,
            Err(problem) => {
                Output::problem(&problem);
                return problem.exit;
            }
        },
    };
    refused(problem)
}

/// Says as JSON why nothing was begun, if that is wanted, and returns what it ends with.
fn refused(problem: Problem) -> Exit {
    let exit = problem.exit;
    // Nothing has read the flags.
    if std::env::args_os().any(|word| word == "--json") {
        Output::error_document(problem);
    }
    exit
}

/// Returns which arguments an error is about, and what was typed for them.
fn typed(error: &clap::Error) -> Typed {
    let texts = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.as_str()],
        Some(ContextValue::Strings(texts)) => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let arguments = texts(ContextKind::InvalidArg).into_iter().chain(texts(ContextKind::PriorArg));
    Typed {
        arguments: arguments.map(bare).collect(),
        value: [ContextKind::InvalidValue, ContextKind::InvalidSubcommand]
            .into_iter()
            .flat_map(texts)
            .find(|text| !text.is_empty())
            .map(str::to_owned),
    }
}

/// Returns an argument as it is called: `--jobs` of `--jobs <N>`, `PLACE` of `<PLACE>...`.
fn bare(argument: &str) -> String {
    let name = argument.split([' ', '=']).next().unwrap_or_default();
    let name = name.trim_end_matches("...").trim_matches(['<', '>', '[', ']']);
    name.to_owned()
}

/// Returns what is wrong with what was typed in our own words, where we have some.
fn explain(error: &clap::Error) -> Option<Problem> {
    use std::error::Error as _;
    if let (ErrorKind::ValueValidation, Some(source)) = (error.kind(), error.source()) {
        // What our own types say of a value needs no introduction.
        if let Some(error) = source.downcast_ref::<LocationError>() {
            return Some(Problem::from(&Mistake::from(error.clone())));
        }
        return Some(match source.downcast_ref::<Mistake>() {
            Some(mistake) => Problem::from(mistake),
            None => Problem::new(Exit::Usage, source.to_string()),
        });
    }
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let missing = typed(error).arguments;
        let missing: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        let are = if missing.len() == 1 { "is" } else { "are" };
        let text = format!("{} {are} missing", missing.join(" and "));
        let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
        let usage = usage.trim_start_matches("Usage: ");
        let hint = format!("write `{usage}`; `--help` says more");
        return Some(Problem::new(Exit::Usage, text).hint(hint));
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let ours = args::command_for(word)?;
    let problem = Problem::new(Exit::Usage, format!("there is no command `{word}`"));
    Some(problem.hint(format!("`longshore {ours}` does that")))
}

fn run(command: Command, global: &Global, output: &Output) -> Result<Exit, Problem> {
    match command {
        Command::Complete(args) => complete::run(&args),
        Command::Completions(args) => commands::generate::completions(&args, output),
        Command::Copy(args) => commands::copy::run(&args, global, output),
        Command::Delete(args) => commands::delete::run(&args, output),
        Command::Diff(args) => commands::diff::run(&args, global, output),
        Command::Digest(args) => commands::digest::run(&args, output),
        Command::Export(args) => commands::export::run(&args, global, output),
        Command::FindImages(args) => commands::find_images::run(&args, output),
        Command::Gc(args) => commands::gc::run(&args, global, output),
        Command::Import(args) => commands::import::run(&args.resolved()?, global, output),
        Command::Init(args) => commands::init::run(&args, output),
        Command::Inspect(args) => commands::inspect::run(&args, output),
        Command::List(args) => commands::list::run(&args, global, output),
        Command::Lock(args) => commands::lock::run(&args, global, output),
        Command::Login(args) => commands::login::login(&args, output),
        Command::Logout(args) => commands::login::logout(&args, output),
        Command::Man(args) => commands::generate::man(&args, output),
        Command::Mirror(args) => commands::mirror::run(&args, global, output),
        Command::Receipt(args) => commands::receipt::run(&args, global, output),
        Command::Schema(args) => commands::schema::run(&args, output),
        Command::Serve(args) => commands::serve::run(&args, output),
        Command::Tag(args) => commands::tag::tag(&args, output),
        Command::Tree(args) => commands::tree::run(&args, global, output),
        Command::Types => commands::types::run(output),
        Command::Untag(args) => commands::tag::untag(&args, output),
        Command::Verify(args) => commands::verify::run(&args, global, output),
    }
}
