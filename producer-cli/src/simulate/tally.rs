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
        for (name, times) in &report.faults {
            *self.faults.entry(name).or_default() += times;
        }
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
        text += "faults:";
        for (name, times) in &self.faults {
            text += &format!("  {name} {times}");
        }
        text
    }
}
