//! From a script that fails to a small one that fails in the same way.

use super::report::run_within;
use super::script::{Act, Call, Script, Step, To};
use super::verdict::Failure;
use crate::{Conditions, Driver};

/// Leaves out of a failing script whatever the failure does not need: steps first, then what the
/// network and the driver do, settings, topics and brokers. Runs at most `budget` scripts, of which
/// those with many events count for several and none goes on when that is used up; gives the
/// smallest that still breaks the same promise.
pub fn shrink(script: &Script, failure: &Failure, budget: usize) -> Script {
    let mut shrinker = Shrinker { best: script.clone(), kind: kind(failure), budget };
    loop {
        let before = shrinker.best.clone();
        shrinker.steps();
        shrinker.surroundings();
        shrinker.calls();
        if shrinker.best == before || shrinker.budget == 0 {
            return shrinker.best;
        }
    }
}

/// What makes two failures the same: the promise, and for a panic its text but for numbers.
fn kind(failure: &Failure) -> (super::Oracle, String) {
    let is_panic = failure.oracle == super::Oracle::NoPanic;
    let text = failure.what.chars().filter(|c| is_panic && !c.is_ascii_digit()).take(40).collect();
    (failure.oracle, text)
}

/// A run with so many events counts for two, with twice as many for three.
const EVENTS: u64 = 20_000;

struct Shrinker {
    best: Script,
    kind: (super::Oracle, String),
    budget: usize,
}

impl Shrinker {
    /// Takes the candidate if it fails in the same way.
    fn try_it(&mut self, candidate: Script) -> bool {
        if self.budget == 0 || candidate == self.best {
            return false;
        }
        let left = EVENTS.saturating_mul(self.budget as u64);
        let report = run_within(&candidate, left).ok();
        let events = report.as_ref().map_or(0, |report| report.events);
        let cost = 1 + usize::try_from(events / EVENTS).unwrap_or(usize::MAX - 1);
        self.budget = self.budget.saturating_sub(cost);
        let failure = report.and_then(|report| report.failure);
        let same = failure.is_some_and(|failure| kind(&failure) == self.kind);
        if same {
            self.best = candidate;
        }
        same
    }

    fn change(&mut self, change: impl FnOnce(&mut Script)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.try_it(candidate)
    }

    /// Leaves out halves, then quarters, down to single steps.
    fn steps(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let mut begin = 0;
            while begin < self.best.steps.len() {
                let end = (begin + size).min(self.best.steps.len());
                if !self.change(|script| drop(script.steps.drain(begin..end))) {
                    begin = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn surroundings(&mut self) {
        self.change(|script| script.warm_up = false);
        self.change(|script| script.first_sequence = 0);
        self.change(|script| script.controller = None);
        self.change(|script| script.network = Conditions::default());
        self.change(|script| script.driver = Driver::default());
        let plain = Conditions::default();
        self.change(|script| script.network.cut = plain.cut);
        self.change(|script| script.network.shuffle = false);
        self.change(|script| script.network.window = plain.window);
        self.change(|script| script.network.bandwidth = 0);
        self.change(|script| script.network.jitter = plain.jitter);
        self.change(|script| script.network.tail_per_mille = 0);
        self.change(|script| script.network.tail = plain.tail);
        self.change(|script| script.network.forget_idle = plain.forget_idle);
        self.change(|script| script.network.ghosts = plain.ghosts);
        self.change(|script| script.network.latency = plain.latency);
        let exact = Driver::default();
        self.change(|script| script.driver.tick = exact.tick);
        self.change(|script| script.driver.late = exact.late);
        self.change(|script| script.driver.spurious_per_mille = 0);
        self.change(|script| script.driver.write_size = exact.write_size);
        self.change(|script| script.driver.written_late = exact.written_late);
        self.change(|script| script.driver.events_late = exact.events_late);
        self.change(|script| script.driver.close_late = exact.close_late);
        self.change(|script| script.driver.jobs_late = exact.jobs_late);
        self.change(|script| script.driver.jobs_lost_per_mille = 0);
        for name in self.best.settings.keys().cloned().collect::<Vec<_>>() {
            self.change(|script| drop(script.settings.remove(&name)));
        }
        while self.best.topics.len() > 1 && self.change(|s| s.topics.truncate(s.topics.len() - 1)) {
        }
        for topic in 0..self.best.topics.len() {
            self.change(|script| script.topics[topic] = Default::default());
            for fewer in [1, 2, 3, 6] {
                if fewer < self.best.topics[topic].partitions {
                    self.change(|script| script.topics[topic].partitions = fewer);
                }
            }
        }
        for fewer in 1..self.best.brokers {
            if self.change(|script| script.brokers = fewer) {
                break;
            }
        }
    }

    /// Fewer and smaller records.
    fn calls(&mut self) {
        for index in 0..self.best.steps.len() {
            for smaller in 0..5 {
                self.change(|script| {
                    if let Step(_, Act::Do(Call::Push { size, headers, count, to, .. })) =
                        &mut script.steps[index]
                    {
                        match smaller {
                            0 => *count = 1,
                            1 => *count = count.div_ceil(2),
                            2 => *size = 12,
                            3 => *headers = 0,
                            _ => *to = To::Any,
                        }
                    }
                });
            }
        }
    }
}
