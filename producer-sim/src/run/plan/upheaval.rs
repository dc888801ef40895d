//! What brokers and the controller do to each other, and when: crashes, elections, replication.

use super::{any, late};
use crate::Micros;
use crate::run::entropy::{Dice, Entropy, Stream};
use crate::run::expand::Size;
use crate::run::script::{Act, Fault, Late, Lie, Profile, Release, Script, Step, Trouble, Way};

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
    Release,
    WrongPeer,
    Move,
    Lie,
}

/// Each has a number of its own for its draws.
const ALL: [(u64, Upheaval); 12] = [
    (1_000, Upheaval::Crash),
    (1_001, Upheaval::Pause),
    (1_002, Upheaval::Replication),
    (1_003, Upheaval::InSync),
    (1_004, Upheaval::Elect),
    (1_005, Upheaval::MetadataDelay),
    (1_006, Upheaval::ByteRate),
    (1_007, Upheaval::Unclean),
    (1_008, Upheaval::Release),
    (1_009, Upheaval::WrongPeer),
    (1_010, Upheaval::Move),
    (1_011, Upheaval::Lie),
];

impl Upheaval {
    /// Whether it leaves the promises of a profile alone.
    fn belongs_to(self, profile: Profile) -> bool {
        match self {
            Self::Unclean => profile == Profile::Unclean,
            Self::Lie => profile == Profile::Hostile,
            _ => true,
        }
    }

    /// In one of how many runs it is on.
    fn rarity(self) -> u64 {
        if matches!(self, Self::Lie) { 1 } else { 4 }
    }
}

pub(super) fn upheavals(
    entropy: &mut dyn Entropy,
    script: &Script,
    size: Size,
    span: u64,
    steps: &mut Vec<Step>,
) {
    if script.profile == Profile::Legacy {
        for broker in 1..=script.brokers {
            let number = 2_000 + broker.unsigned_abs() as u64;
            let dice = Dice::new(entropy, Stream::Faults, number);
            let mut plan = Plan { dice, script, at: 0, steps: &mut *steps };
            let release = plan.release();
            plan.add(0, Fault::Release(broker, release));
        }
    }
    for (number, kind) in ALL {
        if !kind.belongs_to(script.profile) {
            continue;
        }
        let mut dice = Dice::new(entropy, Stream::Faults, number);
        if !dice.one_in(kind.rarity()) {
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
            Upheaval::Lie => {
                let how = self.lie();
                let times = self.dice.log_uniform(1, 20);
                let api = any(&mut self.dice);
                self.add(0, Fault::Trouble { broker, api, how, times });
            }
            Upheaval::Release => {
                let release = self.release();
                self.add(0, Fault::Release(broker, release));
            }
            Upheaval::WrongPeer => {
                let other = self.broker();
                let fate = late(&mut self.dice);
                self.add(0, Fault::Reach(broker, Way::Broker(other)));
                self.add(1, Fault::Reset { broker, fate, eof: false });
                self.add(duration, Fault::Reach(broker, Way::Normal));
                self.add(duration + 1, Fault::Reset { broker: other, fate: Late::No, eof: false });
            }
            // The first broker stays where it is, so that some bootstrap address leads somewhere.
            Upheaval::Move if broker == 1 => {}
            Upheaval::Move => {
                let other = self.broker();
                let port = 10_000 + self.dice.below(1_000) as u16;
                if other != broker && other != 1 && self.dice.one_in(2) {
                    self.add(0, Fault::SwapAddresses(broker, other));
                    return;
                }
                self.add(0, Fault::Down(broker));
                self.add(duration / 2, Fault::Address(broker, port));
                self.add(duration, Fault::Up(broker));
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

    /// Damage anywhere in an answer, more often near its end, or a wrong number at its place.
    fn lie(&mut self) -> Trouble {
        let dice = &mut self.dice;
        match dice.below(4) {
            0 => Trouble::Corrupt(dice.log_uniform(0, 1_000) as u16, dice.below(256) as u8),
            1 => Trouble::Shorten(dice.log_uniform(1, 100) as u16),
            _ => {
                let what = dice.pick(&Lie::ALL);
                let value = match dice.below(4) {
                    0 => dice.pick(&[-1, 0, 1, i64::MIN, i64::MAX]),
                    1 => dice.pick(&[i64::from(i32::MAX), i64::from(i16::MAX), -2]),
                    2 => dice.below(130) as i64 - 2,
                    _ => dice.log_uniform(1, 1 << 40) as i64,
                };
                Trouble::Lie(what, value)
            }
        }
    }

    fn release(&mut self) -> Release {
        match self.script.profile {
            Profile::Legacy => self.dice.pick(&Release::ALL),
            _ => self.dice.pick(&Release::MODERN),
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
