//! The sum of many runs.

use std::collections::BTreeMap;
use std::time::Duration;

use producer_sim::run::Report;

/// The sum of many runs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) seeds: u64,
    pub(super) failed: u64,
    events: u64,
    records: u64,
    delivered: u64,
    absent: u64,
    in_doubt: u64,
    time: Duration,
    /// CPU time of the threads that ran.
    pub(super) cpu: Duration,
    faults: BTreeMap<&'static str, u64>,
    marks: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.failed += u64::from(report.failure.is_some());
        self.events += report.events;
        self.records += report.records;
        self.delivered += report.delivered;
        self.absent += report.absent;
        self.in_doubt += report.in_doubt;
        self.time += report.time;
        add(&mut self.faults, &report.faults);
        add(&mut self.marks, &report.marks);
    }

    /// Speed and contents, in a line.
    pub(super) fn speed(&self) -> String {
        let cpu = self.cpu.as_secs_f64().max(1e-9);
        let hours = self.time.as_secs_f64() / 3_600.0;
        format!(
            "{:.0} seeds/s, {:.0} k events/s, {:.0} simulated h/min per core",
            self.seeds as f64 / cpu,
            self.events as f64 / cpu / 1e3,
            hours / (cpu / 60.0),
        )
    }

    /// Everything, over several lines.
    pub(super) fn summary(&self) -> String {
        let hours = self.time.as_secs_f64() / 3_600.0;
        let mut text = format!(
            "{} seeds, {} failed; {} events in {hours:.1} simulated hours and {:.1} s of CPU\n{}\n",
            self.seeds,
            self.failed,
            self.events,
            self.cpu.as_secs_f64(),
            self.speed(),
        );
        text += &format!(
            "{} records: {} delivered, {} certainly not, {} in doubt\n",
            self.records, self.delivered, self.absent, self.in_doubt,
        );
        text += "faults:\n";
        text += &table(self.faults.iter());
        let (hit, never): (Vec<_>, Vec<_>) = self.marks.iter().partition(|(_, hits)| **hits > 0);
        text += &format!("coverage marks hit, {} of {}:\n", hit.len(), self.marks.len());
        text += &table(hit.into_iter());
        text += "never hit:";
        let names = never.iter().map(|(name, _)| format!(" {name}"));
        text += &names.collect::<Vec<_>>().join(",");
        text
    }
}

fn add(sum: &mut BTreeMap<&'static str, u64>, more: &BTreeMap<&'static str, u64>) {
    for (name, times) in more {
        *sum.entry(name).or_default() += times;
    }
}

/// Names and numbers, two pairs to a line.
fn table<'a>(counts: impl Iterator<Item = (&'a &'static str, &'a u64)>) -> String {
    let cells: Vec<_> = counts.map(|(name, times)| format!("  {times:>9}  {name:<42}")).collect();
    let lines = cells.chunks(2).map(|pair| pair.concat().trim_end().to_owned() + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_was_hit_and_what_was_not() {
        let script: producer_sim::run::Script = "(brokers: 1, topics: [()])".parse().unwrap();
        let mut report = producer_sim::run::run(&script).unwrap();
        report.marks = BTreeMap::from([("split", 2), ("duplicate", 0)]);
        report.faults = BTreeMap::from([("reset", 3)]);
        let mut tally = Tally::default();
        tally.add(&report);
        tally.add(&report);
        let text = tally.summary();
        assert!(text.starts_with("2 seeds, 0 failed"), "{text}");
        for line in [
            "          6  reset",
            "marks hit, 1 of 2:",
            "          4  split",
            "never hit: duplicate",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }
}
