//! `cargo acceptance bench`: how fast and how frugal the program is, beside others, in one run.
//!
//! Machines differ and are busy, so only the ratios within one run say much. A goal that is missed
//! is told and is not a failure.

mod corpus;
mod course;
mod figures;
mod mirror;
mod place;
mod serve;
mod small;
mod tool;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use course::{Best, Course, Route};
use figures::{Figures, Goal, Unit};
use tool::Tool;

use crate::measure::program;
use crate::peers;

/// How much is done at once, where a program can be told.
const JOBS: u32 = 16;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Smaller content and fewer tries: a few minutes
    #[arg(long)]
    quick: bool,
    /// Where to work; needs 8 GB, quick: 3 GB [default: the directory for temporary files]
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Measure only this
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Measure this build of longshore [default: a release build of this tree]
    #[arg(long)]
    program: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// One artifact of large layers, on four routes
    Large,
    /// Many small artifacts over a slow wire
    Small,
    /// Our registry beside docker-registry
    Serve,
    /// A registry kept equal to another, beside regsync
    Mirror,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if peers::required("docker-registry")?.is_none() {
        println!("bench: there is no registry to measure with");
        return Ok(());
    }
    let longshore = args.program.clone().map_or_else(program, Ok)?;
    let tools = Tool::all(longshore)?;
    let work = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let mut figures = Figures::default();
    let wanted = |part| args.only.is_none_or(|only| only == part);
    if wanted(Part::Large) {
        large(args, &tools, work.path().join("large"), &mut figures)?;
    }
    if wanted(Part::Small) {
        small::run(args, &tools, &work.path().join("small"), &mut figures)?;
    }
    if wanted(Part::Serve) {
        let ours = tools.first().context("ours is always there")?;
        serve::run(args, ours, &work.path().join("serve"), &mut figures)?;
    }
    if wanted(Part::Mirror) {
        let ours = tools.first().context("ours is always there")?;
        mirror::run(args, ours, &work.path().join("mirror"), &mut figures)?;
    }
    println!();
    for tool in &tools {
        println!("{}: {}", tool.name(), tool.version());
    }
    print!("\n{figures}");
    Ok(())
}

/// One artifact of five large layers, on four routes.
fn large(args: &Args, tools: &[Tool], work: PathBuf, figures: &mut Figures) -> Result<()> {
    let (layer, tries) = if args.quick { (100_000_000, 1) } else { (300_000_000, 3) };
    let course = Course::prepare(work, layer, tries)?;
    let all = |route| course.run(route, tools);

    let best = all(Route::Pull)?;
    let mut add = |name, unit, value: fn(&Best) -> f64, goal, best: &[Best]| {
        figures.compare(name, unit, best.iter().map(|best| (best.tool, value(best))), goal);
    };
    let ratio = Goal::OfBest;
    add("large, registry → directory: CPU", Unit::Seconds, Best::cpu, ratio(0.85), &best);
    add("the same: wall", Unit::Seconds, Best::wall, Goal::None, &best);
    add("the same: memory", Unit::Mebibytes, Best::memory, Goal::AtMost(64.0), &best);
    let best = all(Route::Archive)?;
    add("large, registry → archive: wall", Unit::Seconds, Best::wall, ratio(0.85), &best);
    add("the same: CPU", Unit::Seconds, Best::cpu, Goal::None, &best);
    add("the same: peak disk", Unit::Times, Best::disk, Goal::AtMost(1.005), &best);
    let best = all(Route::Push)?;
    add("large, directory → registry: wall", Unit::Seconds, Best::wall, ratio(1.0), &best);
    add("the same: CPU", Unit::Seconds, Best::cpu, Goal::None, &best);
    let best = all(Route::Across)?;
    add("large, registry → registry: wall", Unit::Seconds, Best::wall, ratio(0.9), &best);
    add("the same: CPU", Unit::Seconds, Best::cpu, Goal::None, &best);
    Ok(())
}
