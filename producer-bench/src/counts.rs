//! Counted costs, how they are kept in a file, and what has changed between two of them.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// How much a count may rise before it is said to be worse.
pub const TOLERANCE_PERCENT: f64 = 2.0;

/// Instructions per unit, by the name of the case, and what they were counted with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Versions of what the counts depend on: compiler, Valgrind, C library.
    pub tools: String,
    /// Instructions per unit, and the unit.
    pub per_unit: BTreeMap<String, (f64, String)>,
}

/// A line of the file makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {text:?} is not \"instructions unit name\"")]
pub struct CountsError {
    line: usize,
    text: String,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Within the tolerance.
    Same,
    /// Cheaper by more than the tolerance.
    Better,
    /// Dearer by more than the tolerance.
    Worse,
    /// Not in the baseline.
    New,
    /// Only in the baseline.
    Gone,
}

impl Counts {
    /// Reads what [`Display`] writes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, CountsError> {
        let mut counts = Self::default();
        for (index, line) in text.lines().enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                if let Some(tools) = comment.trim().strip_prefix("with ") {
                    counts.tools = tools.to_owned();
                }
                continue;
            }
            let mut words = line.split_whitespace();
            let cost = words.next().and_then(|word| word.parse().ok());
            let (Some(cost), Some(unit), Some(name), None) =
                (cost, words.next(), words.next(), words.next())
            else {
                return Err(CountsError { line: index + 1, text: line.to_owned() });
            };
            counts.per_unit.insert(name.to_owned(), (cost, unit.to_owned()));
        }
        Ok(counts)
    }

    /// What became of each case since `baseline`, by name.
    #[must_use]
    pub fn changes_since(&self, baseline: &Self) -> BTreeMap<String, Change> {
        let mut changes: BTreeMap<_, _> =
            baseline.per_unit.keys().map(|name| (name.clone(), Change::Gone)).collect();
        for (name, (cost, _)) in &self.per_unit {
            let change = match baseline.per_unit.get(name) {
                None => Change::New,
                Some((before, _)) if *cost > before * (1.0 + TOLERANCE_PERCENT / 100.0) => {
                    Change::Worse
                }
                Some((before, _)) if *cost < before * (1.0 - TOLERANCE_PERCENT / 100.0) => {
                    Change::Better
                }
                Some(_) => Change::Same,
            };
            changes.insert(name.clone(), change);
        }
        changes
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions per unit; renewed by `cargo run --release -p producer-bench -- --renew`."
        )?;
        writeln!(f, "# with {}", self.tools)?;
        for (name, (cost, unit)) in &self.per_unit {
            writeln!(f, "{cost:>12.1} {unit:<7} {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, f64)]) -> Counts {
        let unit = || "record".to_owned();
        let per_unit = list.iter().map(|&(name, cost)| (name.to_owned(), (cost, unit())));
        Counts { tools: "rustc 1".into(), per_unit: per_unit.collect() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = counts(&[("push/100", 123.5), ("idle", 9.0)]);
        assert_eq!(Counts::parse(&written.to_string()).unwrap(), written);
        assert!(Counts::parse("12 record").is_err() && Counts::parse("x record idle").is_err());
    }

    #[test]
    fn two_percent_are_tolerated_and_a_case_that_is_gone_is_named() {
        let before = counts(&[("a", 100.0), ("b", 100.0), ("c", 100.0), ("d", 1.0)]);
        let after = counts(&[("a", 102.0), ("b", 102.1), ("c", 97.9), ("e", 1.0)]);
        let changes: Vec<_> = after.changes_since(&before).into_values().collect();
        let expected = [Change::Same, Change::Worse, Change::Better, Change::Gone, Change::New];
        assert_eq!(changes, expected);
    }
}
