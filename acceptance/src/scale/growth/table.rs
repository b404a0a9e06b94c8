//! Rows of what was measured, and which of them are over a bound.

use std::fmt;

use anyhow::Result;

use super::{Kind, Run};
use crate::measure::{Usage, mib};

/// How much more CPU ten times as much may take.
const MOST_GROWTH: f64 = 12.0;
/// The same at a tenth of the sizes: a job of milliseconds is mostly what it takes to begin, or what the
/// file system was left to do by the one before.
const MOST_GROWTH_QUICK: f64 = 20.0;
/// The bound on memory.
const MEMORY: u64 = 64 << 20;
/// The bound on memory where there are so many tags or blobs at once.
const MEMORY_OF_MANY: u64 = 128 << 20;
/// What a name of one manifest may take beside [`MEMORY`]: it stands in what is listed, in what is planned,
/// and where it is copied in what changes.
const MEMORY_OF_A_NAME: u64 = 4 << 10;
const MANY_TAGS: usize = 20_000;
const MANY_BLOBS: usize = 100_000;
/// How often a row is measured that is over its bounds by less than [`CHANCE`].
const TRIES: usize = 2;
/// By so much, at most, may other programs on the machine have disturbed.
const CHANCE: f64 = 1.5;

/// What a job, or a request, took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// Seconds of CPU, of the process that is measured.
    pub(super) cpu: f64,
    /// Seconds that went by.
    pub(super) wall: f64,
    /// The most memory that the process ever had, in bytes.
    pub(super) memory: u64,
}

impl From<Usage> for Spent {
    fn from(usage: Usage) -> Self {
        Self { cpu: usage.cpu, wall: usage.wall, memory: usage.memory }
    }
}

/// Something measured at n and at 10 n.
struct Row {
    name: String,
    kind: Kind,
    sizes: [usize; 2],
    /// `None` where it failed.
    spent: Option<[Spent; 2]>,
    /// How much more CPU it may take at 10 n.
    most_growth: f64,
    /// How long it may take at 10 n.
    most_wall: Option<f64>,
    /// Why it is over a bound, or what failed.
    faults: Vec<String>,
}

impl Row {
    fn growth(&self) -> Option<f64> {
        let [few, many] = self.spent?;
        Some(many.cpu / few.cpu)
    }

    /// Compares with the bounds. Returns by how much the worst is over, as a factor; 1 is none.
    fn judge(&mut self) -> f64 {
        let (Some(spent), Some(growth)) = (self.spent, self.growth()) else { return 1.0 };
        let most = self.most_growth;
        let mut worst = growth / most;
        if growth > most {
            self.faults.push(format!("{growth:.1} times the CPU, not {most}"));
        }
        for (size, spent) in self.sizes.into_iter().zip(spent) {
            let most = memory(self.kind, size);
            worst = worst.max(mib(spent.memory) / mib(most));
            if spent.memory > most {
                let [has, most] = [mib(spent.memory), mib(most)];
                self.faults.push(format!("{has:.1} MiB at {size}, not {most:.0}"));
            }
        }
        if let Some(most) = self.most_wall {
            let wall = spent[1].wall;
            worst = worst.max(wall / most);
            if wall > most {
                self.faults.push(format!("{wall:.2} s, not {most:.2}"));
            }
        }
        worst.max(1.0)
    }
}

/// Returns how much memory may be taken where there are `count` of something.
fn memory(kind: Kind, count: usize) -> u64 {
    let many = match kind {
        Kind::Names => return MEMORY + count as u64 * MEMORY_OF_A_NAME,
        Kind::Blobs => MANY_BLOBS,
        _ => MANY_TAGS,
    };
    if count < many { MEMORY } else { MEMORY_OF_MANY }
}

/// All rows.
pub(super) struct Table {
    rows: Vec<Row>,
    /// What the names of rows contain that are wanted.
    only: String,
}

impl Table {
    /// Returns a table of rows whose names contain `only`.
    pub(super) fn new(only: &str) -> Self {
        Self { rows: Vec::new(), only: only.to_owned() }
    }

    /// Tells whether a row is wanted.
    pub(super) fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns each row that is over a bound, and why.
    pub(super) fn over(&self) -> Vec<String> {
        let over = self.rows.iter().filter(|row| !row.faults.is_empty());
        over.map(|row| format!("{}: {}", row.name, row.faults.join("; "))).collect()
    }
}

impl Run<'_> {
    /// Measures `job` at n and at 10 n: a row for each process that it tells of. What fails is a
    /// row, too, so that the others are measured.
    pub(super) fn rows<const N: usize>(
        &mut self,
        names: [&str; N],
        kind: Kind,
        job: impl FnMut(&Self, usize) -> Result<[Spent; N]>,
    ) {
        self.rows_within(names, kind, None, job);
    }

    /// The like for a job of which the first process may take so many seconds at 10 n.
    pub(super) fn rows_within<const N: usize>(
        &mut self,
        names: [&str; N],
        kind: Kind,
        most_wall: Option<f64>,
        mut job: impl FnMut(&Self, usize) -> Result<[Spent; N]>,
    ) {
        if !names.iter().any(|name| self.table.wants(name)) {
            return;
        }
        let sizes = self.sizes(kind);
        let most_growth = if self.is_quick() { MOST_GROWTH_QUICK } else { MOST_GROWTH };
        let mut rows = Vec::new();
        for attempt in 1..=TRIES {
            println!("\n-- {}: {} and {} {}", names[0], sizes[0], sizes[1], kind.plural());
            let measured = job(self, sizes[0]).and_then(|few| Ok([few, job(self, sizes[1])?]));
            rows = names
                .iter()
                .enumerate()
                .map(|(number, name)| {
                    let spent = measured.as_ref().ok().map(|both| both.map(|each| each[number]));
                    let failed = measured.as_ref().err().map(|error| format!("{error:#}"));
                    let (name, faults) = ((*name).to_owned(), failed.into_iter().collect());
                    // Seconds say something of many of them, on a machine with nothing else to do.
                    let most_wall = most_wall.filter(|_| number == 0 && !self.is_quick());
                    Row { name, kind, sizes, spent, most_growth, most_wall, faults }
                })
                .collect::<Vec<_>>();
            let worst = rows.iter_mut().map(Row::judge).fold(1.0, f64::max);
            for row in &rows {
                print!("{row}");
            }
            if worst <= 1.0 || worst > CHANCE || attempt == TRIES {
                break;
            }
        }
        self.table.rows.extend(rows);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sizes, cpu, memory) = ("n … 10 n", "CPU", "memory in MiB");
        writeln!(f, "{:52}{sizes:>28}{cpu:>24}  growth{memory:>16}{:>12}", "", "wall")?;
        self.rows.iter().try_for_each(|row| row.fmt(f))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [few, many] = self.sizes;
        let sizes = format!("{few} … {many} {}", self.kind.plural());
        write!(f, "{:52}{sizes:>28}", self.name)?;
        if let (Some([few, many]), Some(growth)) = (self.spent, self.growth()) {
            let cpu = format!("{} … {}", seconds(few.cpu), seconds(many.cpu));
            let memory = format!("{:.1} … {:.1}", mib(few.memory), mib(many.memory));
            write!(f, "{cpu:>24}{growth:>8.1}{memory:>16}{:>12}", seconds(many.wall))?;
        }
        let verdict = if self.faults.is_empty() { "" } else { "  OVER" };
        writeln!(f, "{verdict}")
    }
}

/// Returns seconds as they are read easily.
fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.2} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
