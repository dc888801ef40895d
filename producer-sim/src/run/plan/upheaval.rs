//! What brokers and the controller do to each other, and when: crashes, elections, replication.

use crate::Micros;
use crate::run::entropy::{Dice, Entropy, Stream};
use crate::run::expand::Size;
use crate::run::script::{Act, Fault, Profile, Script, Step};

/// Kinds of upheaval. They are rarer than the other kinds of faults, which they would drown: in
/// each run each is on with one quarter.
#[derive(Clone, Copy)]
enum Upheaval {
    Crash,
    Pause,
    Replication,
    InSync,
    Elect,
    MetadataDelay,
    ByteRate,
    Unclean,
}

/// Each has a number of its own for its draws.
const ALL: [(u64, Upheaval); 8] = [
    (1_000, Upheaval::Crash),
    (1_001, Upheaval::Pause),
    (1_002, Upheaval::Replication),
    (1_003, Upheaval::InSync),
    (1_004, Upheaval::Elect),
    (1_005, Upheaval::MetadataDelay),
    (1_006, Upheaval::ByteRate),
    (1_007, Upheaval::Unclean),
];

impl Upheaval {
    /// Whether it leaves the promises of a profile alone.
    fn belongs_to(self, profile: Profile) -> bool {
        !matches!(self, Self::Unclean) || profile == Profile::Unclean
    }
}

pub(super) fn upheavals(
    entropy: &mut dyn Entropy,
    script: &Script,
    size: Size,
    span: u64,
    steps: &mut Vec<Step>,
) {
    for (number, kind) in ALL {
        if !kind.belongs_to(script.profile) {
            continue;
        }
        let mut dice = Dice::new(entropy, Stream::Faults, number);
        if !dice.one_in(4) {
            continue;
        }
        let times = dice.log_uniform(1, size.faults());
        for n in 0..times {
            let mut dice = Dice::new(entropy, Stream::Faults, (number + 1) << 32 | n);
            let at = match dice.one_in(3) {
                true => dice.log_uniform(1, span),
                false => dice.below(span),
            };
            let mut plan = Plan { dice, script, at, steps: &mut *steps };
            plan.draw(kind);
        }
    }
}

/// One upheaval in the making.
struct Plan<'a> {
    dice: Dice<'a>,
    script: &'a Script,
    at: u64,
    steps: &'a mut Vec<Step>,
}

impl Plan<'_> {
    fn add(&mut self, after: u64, fault: Fault) {
        let at = Micros(self.at.saturating_add(after));
        self.steps.push(Step(at, Act::Fault(fault)));
    }

    fn broker(&mut self) -> i32 {
        1 + self.dice.below(self.script.brokers.unsigned_abs().into()) as i32
    }

    fn partition(&mut self) -> (usize, i32) {
        let topic = self.dice.below(self.script.topics.len() as u64) as usize;
        let partitions = self.script.topics[topic].partitions.unsigned_abs();
        (topic, self.dice.below(partitions.into()) as i32)
    }

    fn draw(&mut self, kind: Upheaval) {
        let broker = self.broker();
        let (topic, partition) = self.partition();
        let duration = self.dice.log_uniform(1_000, 60_000_000);
        match kind {
            Upheaval::Crash => {
                let lost = if self.dice.one_in(4) { self.dice.between(1, 3) as usize } else { 0 };
                self.add(0, Fault::Crash(broker, lost));
                if self.dice.one_in(2) {
                    self.elect_others(broker, duration);
                }
                self.add(duration, Fault::Restart(broker));
            }
            Upheaval::Pause => {
                self.add(0, Fault::Pause(broker));
                if self.dice.one_in(4) {
                    self.elect_others(broker, duration);
                }
                self.add(duration, Fault::Resume(broker));
            }
            Upheaval::Replication => {
                let delay = Micros(self.dice.log_uniform(100, 10_000_000));
                let delay = (!self.dice.one_in(4)).then_some(delay);
                self.add(0, Fault::Replication(broker, delay));
                self.add(duration, Fault::Replication(broker, Some(Micros(0))));
            }
            Upheaval::InSync => {
                let member = |member| Fault::InSync { topic, partition, broker, member };
                self.add(0, member(false));
                self.add(duration, member(true));
            }
            Upheaval::Elect => {
                self.add(0, Fault::Elect { topic, partition, to: Some(broker) });
                if self.dice.one_in(2) {
                    self.add(duration, Fault::Elect { topic, partition, to: None });
                }
            }
            Upheaval::Unclean => {
                // A follower that lags, or was out of sync for a while, takes over.
                self.add(0, Fault::Replication(broker, None));
                self.add(duration, Fault::ElectUnclean { topic, partition, to: broker });
                let after = duration.saturating_add(self.dice.log_uniform(1, 1_000_000));
                self.add(after, Fault::Replication(broker, Some(Micros(0))));
            }
            Upheaval::MetadataDelay => {
                let delay = Micros(self.dice.log_uniform(1_000, 5_000_000));
                self.add(0, Fault::MetadataDelay(broker, delay));
                self.add(duration, Fault::MetadataDelay(broker, Micros(0)));
            }
            Upheaval::ByteRate => {
                let rate = self.dice.log_uniform(100, 1_000_000);
                self.add(0, Fault::ByteRate(broker, rate));
                self.add(duration, Fault::ByteRate(broker, 0));
            }
        }
    }

    /// The controller moves what a broker leads, as far as others are in sync.
    fn elect_others(&mut self, broker: i32, within: u64) {
        let after = self.dice.below(within);
        let shapes: Vec<i32> = self.script.topics.iter().map(|t| t.partitions.min(12)).collect();
        for (topic, partitions) in shapes.into_iter().enumerate() {
            for partition in 0..partitions {
                let to = self.broker();
                if to != broker {
                    self.add(after, Fault::Elect { topic, partition, to: Some(to) });
                }
            }
        }
    }
}
