//! What was measured, beside what was wanted.

use std::fmt;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Mebibytes,
    /// A multiple of the content.
    Times,
    Number,
}

/// What ours is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    /// Nothing: this is only told.
    None,
    /// At most so much of what the best peer has.
    OfBest(f64),
    /// At most so much.
    AtMost(f64),
}

/// A table, as Markdown.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<[String; 6]>);

const HEAD: [&str; 6] = ["figure", "ours", "peers", "ratio to the best", "goal", "reached"];

impl Figures {
    /// Adds a figure of ours, which comes first, and of peers.
    pub(super) fn compare(
        &mut self,
        name: &str,
        unit: Unit,
        all: impl IntoIterator<Item = (&'static str, f64)>,
        goal: Goal,
    ) {
        let mut all = all.into_iter();
        let Some((_, ours)) = all.next() else { return };
        let mut peers: Vec<_> = all.collect();
        peers.sort_by(|one, other| one.1.total_cmp(&other.1));
        let best = peers.first().map(|(_, value)| *value);
        let listed: Vec<_> =
            peers.iter().map(|(name, value)| format!("{name} {}", unit.show(*value))).collect();
        let ratio = best.filter(|best| *best > 0.0).map(|best| ours / best);
        self.0.push([
            name.to_owned(),
            unit.show(ours),
            if listed.is_empty() { "—".to_owned() } else { listed.join(", ") },
            ratio.map_or_else(|| "—".to_owned(), |ratio| format!("{ratio:.2}")),
            match goal {
                Goal::None => "—".to_owned(),
                Goal::OfBest(most) => format!("≤ {most:.2} of the best"),
                Goal::AtMost(most) => format!("≤ {}", unit.show(most)),
            },
            match goal {
                Goal::None => "—",
                Goal::OfBest(most) => said(ratio.map(|ratio| ratio <= most)),
                Goal::AtMost(most) => said(Some(ours <= most)),
            }
            .to_owned(),
        ]);
    }

    /// Adds a figure that peers have no part in.
    pub(super) fn alone(&mut self, name: &str, unit: Unit, ours: f64, goal: Goal) {
        self.compare(name, unit, [("", ours)], goal);
    }
}

fn said(reached: Option<bool>) -> &'static str {
    match reached {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "no peer",
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.2} s"),
            Self::Mebibytes => format!("{value:.0} MiB"),
            Self::Times => format!("{value:.2} ×"),
            Self::Number => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let widths: [usize; 6] = std::array::from_fn(|column| {
            let rows = [&head].into_iter().chain(&self.0);
            rows.map(|row| row[column].chars().count()).max().unwrap_or_default()
        });
        let rule = widths.map(|width| "-".repeat(width));
        for row in [&head, &rule].into_iter().chain(&self.0) {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_peer_decides() {
        let mut figures = Figures::default();
        let all = [("ours", 1.7), ("slow", 4.0), ("quick", 2.0)];
        figures.compare("wall", Unit::Seconds, all, Goal::OfBest(0.85));
        figures.alone("memory", Unit::Mebibytes, 65.0, Goal::AtMost(64.0));
        let table = figures.to_string();
        let row = table.lines().nth(2).unwrap();
        assert!(row.contains("| quick 2.00 s, slow 4.00 s | 0.85 ") && row.contains("| yes "));
        assert!(table.lines().nth(3).unwrap().contains("| NO "), "{table}");
    }
}
