//! What may stand next on a command line: `longshore complete`, which the scripts of `completions` ask.
//!
//! The scripts are few lines and know nothing; what there is to know is found here, from the flags as they
//! are parsed: a value's type says whether it is a place, a file or a platform. This is done by hand, and not
//! by the engine of `clap_complete`, since places have a `:` in them: bash takes words apart there and replaces
//! only what comes behind, which that engine does not know of. Nothing here reaches for a network.
//!
//! Where nothing is typed yet no flag is offered: all of them begin with `-`, and a shell would insert what
//! all have in common.

mod bash;
mod place;

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Arg, Command, CommandFactory as _};
use longshore::location::{Listable, Location};
use longshore_bundle::Choice;
use longshore_spec::Platform;
use longshore_spec::artifact_type::TABLE;

use crate::args::{
    Args, BaseInput, Complete, DiffInput, ImportDestination, ImportWord, Shell, SitePlace,
};
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// More than this is not offered: nobody reads it.
const MOST: usize = 1000;

/// Platforms that images are made for, the most frequent first.
const PLATFORMS: [&str; 8] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

/// The scripts, by shell.
pub(crate) const SCRIPTS: [(Shell, &str); 3] = [
    (Shell::Bash, include_str!("complete/longshore.bash")),
    (Shell::Fish, include_str!("complete/longshore.fish")),
    (Shell::Zsh, include_str!("complete/longshore.zsh")),
];

/// What may stand for the word that is being typed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// All of the word.
    value: String,
    /// What it is.
    about: Option<String>,
}

impl Candidate {
    fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), about: None }
    }

    fn with(value: impl Into<String>, about: impl Into<String>) -> Self {
        Self { value: value.into(), about: Some(about.into()) }
    }
}

/// Prints what may stand next, a candidate a line.
pub(crate) fn run(args: &Complete) -> Result<Exit, Problem> {
    let mut text = String::new();
    if args.shell == Shell::Bash {
        let [line, breaks] = &args.words[..] else { return Ok(Exit::Done) };
        let line = bash::Line::read(line, breaks);
        let mut found = candidates(&line.words, &line.current);
        // Within quotes bash ends the word behind what is the only one, so that what goes on must not be.
        while let [only] = &found[..]
            && line.is_quoted()
            && only.value.ends_with('/')
        {
            match candidates(&line.words, &only.value) {
                below if below.is_empty() => break,
                below => found = below,
            }
        }
        for candidate in found {
            text += &line.reply(&candidate.value);
            text.push('\n');
        }
    } else if let [words @ .., current] = &args.words[..] {
        for Candidate { value, about } in candidates(words, current) {
            text += &value;
            text.push('\t');
            text += &about.unwrap_or_default();
            text.push('\n');
        }
    }
    Output::bytes(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Returns what may stand for `current` behind some words, of which the first is behind the program.
fn candidates(words: &[String], current: &str) -> Vec<Candidate> {
    let mut program = Args::command();
    // Only then flags of every command are in each.
    program.build();
    let mut found = Typed::read(&program, words).expected(current);
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    found.retain(|candidate| candidate.value.starts_with(current) && is_plain(&candidate.value));
    found.dedup();
    found.truncate(MOST);
    found
}

/// What was typed before the word that is being typed.
struct Typed<'c> {
    command: &'c Command,
    /// How many words of the command are behind that are no flags.
    position: usize,
    /// The flag whose value comes next.
    waiting: Option<&'c Arg>,
    /// Whether nothing is a flag any more.
    only_values: bool,
}

impl<'c> Typed<'c> {
    fn read(program: &'c Command, words: &[String]) -> Self {
        let mut typed = Self { command: program, position: 0, waiting: None, only_values: false };
        for word in words {
            if typed.waiting.take().is_some() {
                continue;
            }
            match word.strip_prefix('-').filter(|rest| !rest.is_empty() && !typed.only_values) {
                Some("-") => typed.only_values = true,
                Some(flag) => typed.waiting = typed.takes_next(flag),
                None => match typed.command.find_subcommand(word) {
                    Some(command) => typed.command = command,
                    None => typed.position += 1,
                },
            }
        }
        typed
    }

    /// Returns the flag that takes the next word, of which `flag` is the text behind the first dash.
    fn takes_next(&self, flag: &str) -> Option<&'c Arg> {
        let takes = |arg: &&Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
        if let Some(long) = flag.strip_prefix('-') {
            return self.long(long).filter(takes);
        }
        // Several may stand together, and what comes behind one that takes a value is the value.
        let mut letters = flag.chars();
        let found = letters.find_map(|letter| self.short(letter).filter(takes));
        found.filter(|_| letters.next().is_none())
    }

    fn long(&self, name: &str) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn short(&self, letter: char) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| arg.get_short() == Some(letter))
    }

    /// Returns what may come, some of which does not begin as `current` does.
    fn expected(&self, current: &str) -> Vec<Candidate> {
        if let Some(arg) = self.waiting {
            return self.values(arg, "", current);
        }
        if !self.only_values && current.starts_with('-') {
            return match current.strip_prefix("--").and_then(|rest| rest.split_once('=')) {
                Some((name, value)) => self
                    .long(name)
                    .map(|arg| self.values(arg, &format!("--{name}="), value))
                    .unwrap_or_default(),
                None => self.flags(),
            };
        }
        if self.command.has_subcommands() {
            if self.position > 0 {
                return Vec::new();
            }
            let commands = self.command.get_subcommands().filter(|command| !command.is_hide_set());
            return commands.map(|of| described(of.get_name(), of.get_about())).collect();
        }
        let several = |arg: &&Arg| arg.get_num_args().is_some_and(|count| count.max_values() > 1);
        let mut positionals = self.command.get_positionals();
        let last = self.command.get_positionals().last().filter(several);
        let arg = positionals.nth(self.position).or(last);
        arg.map(|arg| self.values(arg, "", current)).unwrap_or_default()
    }

    fn flags(&self) -> Vec<Candidate> {
        let shown = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
        let flag = |arg: &Arg| {
            let equals = if arg.is_require_equals_set() && arg.get_num_args()?.min_values() > 0 {
                "="
            } else {
                ""
            };
            Some(described(format!("--{}{equals}", arg.get_long()?), arg.get_help()))
        };
        let mut flags: Vec<_> = shown.filter_map(flag).collect();
        flags.sort_unstable();
        flags
    }

    /// Returns what a value may be, of which `before` and `typed` are there already.
    fn values(&self, arg: &Arg, before: &str, typed: &str) -> Vec<Candidate> {
        // Of a list the last item is being typed.
        let (listed, typed) = match arg.get_value_delimiter() {
            Some(delimiter) => typed.rfind(delimiter).map_or(("", typed), |at| {
                let at = at + delimiter.len_utf8();
                typed.split_at(at)
            }),
            None => ("", typed),
        };
        let mut found = self.one_value(arg, typed);
        for candidate in &mut found {
            candidate.value.insert_str(0, listed);
            candidate.value.insert_str(0, before);
        }
        found
    }

    fn one_value(&self, arg: &Arg, typed: &str) -> Vec<Candidate> {
        let possible = arg.get_possible_values();
        if !possible.is_empty() {
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            return shown.map(|value| described(value.get_name(), value.get_help())).collect();
        }
        let parsed = arg.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|of| parsed == *of);
        if is(&[
            TypeId::of::<Location>(),
            TypeId::of::<Listable>(),
            TypeId::of::<ImportDestination>(),
            TypeId::of::<ImportWord>(),
            TypeId::of::<SitePlace>(),
            TypeId::of::<DiffInput>(),
            TypeId::of::<BaseInput>(),
            TypeId::of::<Choice>(),
        ]) {
            return place::places(typed, self.selects(arg));
        }
        if is(&[TypeId::of::<PathBuf>()]) {
            let is_directory = arg.get_value_names().is_some_and(|names| names == ["DIR"]);
            return place::files(typed, is_directory || arg.get_id() == "directory");
        }
        if is(&[TypeId::of::<Platform>()]) {
            return PLATFORMS.map(Candidate::new).to_vec();
        }
        match arg.get_id().as_str() {
            "types" => types(typed, &[]),
            "referrers" => types(typed, &["all", "none"]),
            _ => Vec::new(),
        }
    }

    /// Tells whether one artifact of a layout can be meant, and not only all of it.
    fn selects(&self, arg: &Arg) -> bool {
        !matches!(
            (self.command.get_name(), arg.get_id().as_str()),
            ("diff" | "gc" | "import" | "receipt" | "serve", _) | ("export", "output")
        )
    }
}

/// Returns types by name, their families, and other words; `!` stands before what is left out.
fn types(typed: &str, words: &[&str]) -> Vec<Candidate> {
    let not = if typed.starts_with('!') { "!" } else { "" };
    let named = |name: &str, about: &str| Candidate::with(format!("{not}{name}"), about);
    let mut found: Vec<_> = TABLE.iter().map(|known| named(known.name, known.title)).collect();
    let families = TABLE.iter().map(|known| known.family.as_str());
    found.extend(families.map(|family| named(family, "every type of this family")));
    found.extend(words.iter().map(|word| Candidate::new(*word)));
    found.sort_unstable();
    // A type may be called as its family is.
    found.dedup_by(|a, b| a.value == b.value);
    found
}

fn described(value: impl Into<String>, about: Option<&clap::builder::StyledStr>) -> Candidate {
    let first = |about: &clap::builder::StyledStr| {
        about.to_string().lines().next().unwrap_or_default().to_owned()
    };
    Candidate { value: value.into(), about: about.map(first) }
}

#[cfg(test)]
mod tests;
