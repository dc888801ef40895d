//! What goes wrong in a run, and when.

mod upheaval;

use super::entropy::{Dice, Entropy, Stream};
use super::expand::Size;
use super::script::{Act, Api, Fault, Late, Profile, Script, Step, Trouble, Way};
use crate::Micros;

/// Error codes that say that the batch was not appended, and are checked before the append.
const REFUSALS: [i16; 8] = [
    19, // NOT_ENOUGH_REPLICAS
    6,  // NOT_LEADER_OR_FOLLOWER
    2,  // CORRUPT_MESSAGE
    87, // INVALID_RECORD
    29, // TOPIC_AUTHORIZATION_FAILED
    56, // KAFKA_STORAGE_ERROR
    -1, // UNKNOWN_SERVER_ERROR
    3,  // UNKNOWN_TOPIC_OR_PARTITION
];

/// Error codes of brokers that may have appended all the same.
const DOUBTS: [i16; 5] = [
    7,  // REQUEST_TIMED_OUT
    20, // NOT_ENOUGH_REPLICAS_AFTER_APPEND
    6,  // NOT_LEADER_OR_FOLLOWER
    56, // KAFKA_STORAGE_ERROR
    -1, // UNKNOWN_SERVER_ERROR
];

/// Kinds of faults. In each run each is off with one half.
const CLASSES: u64 = 26;

pub(super) fn faults(
    entropy: &mut dyn Entropy,
    script: &Script,
    size: Size,
    end: u64,
) -> Vec<Step> {
    let mut steps = Vec::new();
    // Faults go on for a while when the application has fallen silent.
    let span = end + end / 4 + 1_000_000;
    for class in 0..CLASSES {
        let mut dice = Dice::new(entropy, Stream::Faults, class);
        if !dice.one_in(2) {
            continue;
        }
        let times = dice.log_uniform(1, size.faults());
        for n in 0..times {
            let mut dice = Dice::new(entropy, Stream::Faults, (class + 1) << 32 | n);
            // Often close together, where one fault meets the consequences of another.
            let at = match dice.one_in(3) {
                true => dice.log_uniform(1, span),
                false => dice.below(span),
            };
            fault(&mut dice, script, class, at, &mut steps);
        }
    }
    upheaval::upheavals(entropy, script, size, span, &mut steps);
    steps
}

fn late(dice: &mut Dice<'_>) -> Late {
    match dice.below(4) {
        0 => Late::Never,
        1 => Late::No,
        2 => Late::By(Micros(dice.log_uniform(100, 3_000_000))),
        _ => Late::By(Micros(dice.log_uniform(1_000_000, 300_000_000))),
    }
}

fn fault(dice: &mut Dice<'_>, script: &Script, class: u64, at: u64, steps: &mut Vec<Step>) {
    let broker = 1 + dice.below(script.brokers.unsigned_abs().into()) as i32;
    let topic = dice.below(script.topics.len() as u64) as usize;
    let shape = &script.topics[topic];
    let partition = dice.below(shape.partitions.unsigned_abs().into()) as i32;
    let other = 1 + dice.below(script.brokers.unsigned_abs().into()) as i32;
    let duration = dice.log_uniform(1_000, 60_000_000);
    let mut add = |after: u64, fault: Fault| {
        steps.push(Step(Micros(at.saturating_add(after)), Act::Fault(fault)));
    };
    let troubled = |api, how, times| Fault::Trouble { broker, api, how, times };
    let times = 1 + dice.below(3);
    let answer_time = Micros(dice.log_uniform(1_000, 40_000_000));
    match class {
        0 => add(0, Fault::Reset { broker, fate: late(dice), eof: false }),
        1 => add(0, Fault::Reset { broker, fate: late(dice), eof: true }),
        2 => {
            let (up, down) = dice.pick(&[(true, false), (false, true), (true, true)]);
            add(0, Fault::Deafen { broker, up, down });
        }
        3 => {
            let (up, down) = dice.pick(&[(true, false), (false, true), (true, true)]);
            let time = Micros(dice.exponential(2_000_000));
            add(0, Fault::Clog { broker, up, down, time });
        }
        4 => {
            let ways = [Way::Refused, Way::Unresolved, Way::BlackHole, Way::Closed, Way::Mute];
            add(0, Fault::Reach(broker, dice.pick(&ways)));
            add(duration, Fault::Reach(broker, Way::Normal));
        }
        5 => {
            // A partition of the network: nothing comes through, and nothing new comes up.
            let time = Micros(duration);
            add(0, Fault::Clog { broker, up: true, down: true, time });
            add(0, Fault::Reach(broker, Way::BlackHole));
            add(duration, Fault::Reach(broker, Way::Normal));
        }
        6 => swizzle(dice, script, at, steps),
        7 => add(0, Fault::Leader { topic, partition, to: Some(other) }),
        8 => {
            add(0, Fault::Leader { topic, partition, to: None });
            add(duration, Fault::Leader { topic, partition, to: Some(other) });
        }
        9 => {
            let code = dice.pick(&REFUSALS);
            add(0, Fault::Refuse { topic, partition, code, after: false, times });
        }
        10 => {
            let code = dice.pick(&DOUBTS);
            add(0, Fault::Refuse { topic, partition, code, after: true, times });
        }
        11 => add(0, troubled(Api::Produce, Trouble::Delay(answer_time), times)),
        12 => add(0, troubled(Api::Produce, Trouble::Stall(answer_time), times)),
        13 => add(0, troubled(any(dice), Trouble::Mute, 1)),
        14 => add(0, troubled(any(dice), Trouble::CloseBefore, times)),
        15 => add(0, troubled(any(dice), Trouble::CloseAfter, times)),
        16 => add(0, troubled(Api::Produce, Trouble::Omit, 1)),
        17 => {
            let time = Micros::millis(dice.log_uniform(1, 20_000));
            add(0, troubled(any(dice), Trouble::Throttle(time), times));
        }
        18 => {
            add(0, Fault::Down(broker));
            add(duration, Fault::Up(broker));
        }
        19 => {
            // A rolling restart: each broker hands its partitions over before it stops.
            rolling(script, at, duration / 4 + 1_000, steps);
        }
        20 => {
            add(0, Fault::Stale(broker, true));
            add(duration, Fault::Stale(broker, false));
        }
        21 => {
            add(0, Fault::Hide(topic, true));
            add(duration, Fault::Hide(topic, false));
        }
        22 => {
            let time = Micros(dice.log_uniform(1_000, 3_600_000_000));
            add(0, Fault::Suspend(time));
        }
        23 => {
            let (api, code) = match dice.below(4) {
                0 => (Api::InitProducerId, dice.pick(&[14, 15, 16, 7])),
                1 => (Api::ApiVersions, -1),
                2 => (Api::InitProducerId, 41),
                _ => (Api::Metadata, dice.pick(&[5, 3, -1])),
            };
            add(0, troubled(api, Trouble::Error(code), times));
        }
        24 => match dice.below(3) {
            0 => add(0, Fault::Grow(topic, shape.partitions + dice.between(1, 5) as i32)),
            1 => {
                add(0, Fault::MaxMessageBytes(topic, dice.log_uniform(100, 2_000) as usize));
                add(duration, Fault::MaxMessageBytes(topic, 1_048_588));
            }
            _ => {
                // A hint to a leader of the past or the present.
                let epoch = dice.below(3) as i32 - 1;
                add(0, troubled(Api::Produce, Trouble::Hint(other, epoch), 1));
                add(0, Fault::Leader { topic, partition, to: Some(other) });
            }
        },
        _ => match script.profile {
            Profile::Unclean => add(0, Fault::Forget(topic, partition)),
            _ => add(0, Fault::Spurious),
        },
    }
}

fn any(dice: &mut Dice<'_>) -> Api {
    dice.pick(&[Api::Produce, Api::Produce, Api::Metadata, Api::InitProducerId, Api::ApiVersions])
}

/// Stops connections one after the other, and lets them go on in another order.
fn swizzle(dice: &mut Dice<'_>, script: &Script, at: u64, steps: &mut Vec<Step>) {
    let span = dice.log_uniform(10_000, 5_000_000);
    for broker in 1..=script.brokers {
        if dice.one_in(3) {
            continue;
        }
        let begin = dice.below(span);
        let time = Micros(span - begin + dice.below(span));
        let fault = Fault::Clog { broker, up: true, down: true, time };
        steps.push(Step(Micros(at + begin), Act::Fault(fault)));
    }
}

fn rolling(script: &Script, at: u64, each: u64, steps: &mut Vec<Step>) {
    if script.brokers < 2 {
        return;
    }
    for broker in 1..=script.brokers {
        let begin = at + broker.unsigned_abs() as u64 * each;
        let next = 1 + broker % script.brokers;
        for (topic, shape) in script.topics.iter().enumerate() {
            for partition in 0..shape.partitions.min(12) {
                let fault = Fault::Leader { topic, partition, to: Some(next) };
                steps.push(Step(Micros(begin), Act::Fault(fault)));
            }
        }
        steps.push(Step(Micros(begin + each / 4), Act::Fault(Fault::Down(broker))));
        steps.push(Step(Micros(begin + each / 2), Act::Fault(Fault::Up(broker))));
    }
}
