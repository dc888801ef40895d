//! From random choices to a script: first the shape of the run, then what the application does,
//! then what goes wrong.

use super::entropy::{Dice, Entropy, Stream};
use super::plan::faults;
use super::script::{Act, Call, Controller, Profile, Script, Step, To, TopicShape};
use crate::{Conditions, Cut, Driver, Micros};
use std::collections::BTreeMap;

/// How much happens in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// Up to 60 calls of the application: about 1,400 events in the median. A producer that looks
    /// at its metadata every second has many more in the hour of rest: 8,000 on average.
    #[default]
    Short,
    /// Up to 2,000 calls of the application.
    Medium,
    /// Up to 60,000 calls of the application.
    Long,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Short, Self::Medium, Self::Long];

    /// How many things the application does, at most.
    fn calls(self) -> u64 {
        match self {
            Self::Short => 60,
            Self::Medium => 2_000,
            Self::Long => 60_000,
        }
    }

    /// How often each kind of fault comes, at most.
    pub(super) fn faults(self) -> u64 {
        match self {
            Self::Short => 6,
            Self::Medium => 100,
            Self::Long => 2_000,
        }
    }
}

impl Script {
    /// The script that random choices lead to.
    pub fn draw(entropy: &mut dyn Entropy, profile: Profile, size: Size) -> Self {
        let mut script = shape(entropy, profile);
        let end = workload(entropy, &mut script, size);
        let faults = faults(entropy, &script, size, end);
        script.steps.extend(faults);
        script.steps.sort_by_key(|step| step.0);
        script
    }
}

fn shape(entropy: &mut dyn Entropy, profile: Profile) -> Script {
    let mut dice = Dice::new(entropy, Stream::Shape, 0);
    let noise = dice.below(u64::MAX);
    let brokers = dice.pick(&[1, 2, 2, 3, 3, 3, 5, 7]);
    let topics = dice.pick(&[1, 1, 1, 2, 2, 4]);
    let warm_up = dice.below(10) < 3;
    let patient = !dice.one_in(4);
    let mut script = Script {
        profile,
        noise,
        brokers,
        warm_up,
        patient,
        topics: Vec::new(),
        ..Script::default()
    };
    for topic in 0..topics {
        script.topics.push(topic_shape(entropy, topic, brokers));
    }
    script.network = network(entropy);
    // An answer that takes longer than anybody waits would never do.
    let round_trip = 2 * (script.network.latency.0 + 4 * script.network.jitter.0) / 1_000 + 1;
    script.settings = settings(entropy, profile, round_trip);
    script.driver = driver(entropy);
    script.first_sequence = first_sequence(entropy, profile);
    script.controller = controller(entropy, profile);
    script
}

/// Near the end where sequences wrap, in some runs: no run is long enough to get there.
fn first_sequence(entropy: &mut dyn Entropy, profile: Profile) -> i32 {
    let mut dice = Dice::new(entropy, Stream::Shape, 5);
    match profile == Profile::Honest && dice.one_in(6) {
        true => i32::MAX - dice.log_uniform(0, 100) as i32,
        false => 0,
    }
}

fn controller(entropy: &mut dyn Entropy, profile: Profile) -> Option<Controller> {
    let mut dice = Dice::new(entropy, Stream::Shape, 6);
    dice.one_in(3).then(|| Controller {
        session: Micros::millis(dice.log_uniform(100, 20_000)),
        lag: Micros::millis(dice.log_uniform(100, 60_000)),
        unclean: profile == Profile::Unclean && dice.one_in(2),
    })
}

fn topic_shape(entropy: &mut dyn Entropy, topic: u64, brokers: i32) -> TopicShape {
    let mut dice = Dice::new(entropy, Stream::Shape, 100 + topic);
    let replication = dice.between(1, 3).min(brokers.unsigned_abs().into()) as usize;
    TopicShape {
        partitions: dice.pick(&[1, 1, 2, 3, 4, 6, 12, 64]),
        replication,
        min_insync: if dice.one_in(2) { replication.max(2) - 1 } else { 1 },
        max_message_bytes: if dice.one_in(6) {
            dice.log_uniform(200, 20_000) as usize
        } else {
            1_048_588
        },
        append_time: dice.one_in(5),
        exists: !dice.one_in(6),
    }
}

/// Settings other than the defaults; half of the knobs stay where they are.
fn settings(
    entropy: &mut dyn Entropy,
    profile: Profile,
    round_trip: u64,
) -> BTreeMap<String, String> {
    let mut dice = Dice::new(entropy, Stream::Shape, 1);
    let mut settings = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(settings.insert(name.to_owned(), value));
    let linger = dice.pick(&[5, 5, 0, 0, 1, 20, 100, 1_000]);
    set("linger.ms", linger.to_string());
    let request = if dice.one_in(3) { 30_000 } else { dice.log_uniform(100, 30_000) };
    let request = request.max(2 * round_trip);
    set("request.timeout.ms", request.to_string());
    let least = linger + request;
    let delivery = match dice.below(4) {
        0 => least,
        1 => 120_000.max(least),
        _ => dice.log_uniform(1_000, 120_000).max(least),
    };
    set("delivery.timeout.ms", delivery.to_string());
    let batch = match dice.below(6) {
        0 => 16_384,
        1 => 0,
        2 => dice.log_uniform(64, 1 << 20),
        _ => dice.log_uniform(64, 4_096),
    };
    set("batch.size", batch.to_string());
    if dice.one_in(4) {
        set("max.request.size", dice.log_uniform(200, 100_000).to_string());
    }
    if dice.one_in(3) {
        set("buffer.memory", dice.log_uniform(300, 1 << 20).to_string());
    }
    if dice.one_in(2) {
        let least = dice.log_uniform(1, 1_000);
        set("retry.backoff.ms", least.to_string());
        set("retry.backoff.max.ms", (least * dice.pick(&[1, 2, 10])).to_string());
    }
    if dice.one_in(2) {
        let least = dice.log_uniform(1, 1_000);
        set("reconnect.backoff.ms", least.to_string());
        set("reconnect.backoff.max.ms", (least * dice.pick(&[1, 2, 10])).to_string());
    }
    if dice.one_in(3) {
        let least = dice.log_uniform(50, 10_000).max(3 * round_trip);
        set("socket.connection.setup.timeout.ms", least.to_string());
        set("socket.connection.setup.timeout.max.ms", (least * dice.pick(&[1, 3])).to_string());
    }
    if dice.one_in(4) {
        set("metadata.max.age.ms", dice.log_uniform(1_000, 600_000).to_string());
    }
    if dice.one_in(4) {
        set("connections.max.idle.ms", dice.log_uniform(100, 600_000).to_string());
    }
    if dice.one_in(4) {
        set("metadata.recovery.rebootstrap.trigger.ms", dice.log_uniform(1, 60_000).to_string());
    }
    let codec = dice.pick(&["none", "none", "none", "none", "lz4", "snappy", "gzip", "zstd"]);
    if codec != "none" {
        set("compression.type", codec.to_owned());
    }
    if dice.one_in(8) {
        set("retries", dice.pick(&[1, 2, 5]).to_string());
    }
    if dice.one_in(4) {
        set("partitioner.availability.timeout.ms", dice.log_uniform(1, 5_000).to_string());
    }
    if dice.one_in(4) {
        set("partitioner.adaptive.partitioning.enable", "false".to_owned());
        set("partitioner.availability.timeout.ms", "0".to_owned());
    }
    let in_flight = dice.pick(&[5, 5, 5, 1, 2, 3, 4]);
    set("max.in.flight.requests.per.connection", in_flight.to_string());
    if profile == Profile::Plain {
        set("enable.idempotence", "false".to_owned());
        set("acks", dice.pick(&["all", "all", "1", "1", "0"]).to_owned());
        set("max.in.flight.requests.per.connection", dice.pick(&[1, 5, 5, 50]).to_string());
        set("allow.reordering.on.retry", dice.pick(&["false", "true"]).to_owned());
    }
    if profile == Profile::Legacy && dice.one_in(2) {
        set("enable.idempotence", "false".to_owned());
    }
    settings
}

fn network(entropy: &mut dyn Entropy) -> Conditions {
    let mut dice = Dice::new(entropy, Stream::Shape, 2);
    let mut network = Conditions {
        latency: Micros(dice.pick(&[0, 50, 500, 1_000, 5_000, 50_000])),
        cut: if dice.one_in(10) { Cut::Every(1) } else { Cut::Drawn },
        shuffle: dice.one_in(2),
        ..Conditions::default()
    };
    if dice.one_in(2) {
        network.jitter = Micros(dice.log_uniform(1, 100_000));
    }
    if dice.one_in(4) {
        network.tail_per_mille = dice.between(1, 10);
        network.tail = Micros(dice.log_uniform(1_000_000, 30_000_000));
    }
    if dice.one_in(4) {
        let least = if network.latency.0 > 500 { 1_000 } else { 1 };
        network.window = dice.log_uniform(least, 1 << 20) as usize;
    }
    if dice.one_in(4) {
        network.bandwidth = dice.log_uniform(10_000, 100_000_000);
    }
    if dice.one_in(5) {
        network.forget_idle = Micros::millis(dice.pick(&[1_000, 30_000, 240_000]));
    }
    if dice.one_in(2) {
        network.ghosts = Micros::millis(dice.log_uniform(10, 120_000));
    }
    network
}

fn driver(entropy: &mut dyn Entropy) -> Driver {
    let mut dice = Dice::new(entropy, Stream::Shape, 3);
    let mut driver = Driver::default();
    if dice.one_in(2) {
        return driver;
    }
    if dice.one_in(4) {
        driver.tick = Micros(dice.pick(&[1_000, 15_000]));
    }
    if dice.one_in(3) {
        driver.late = Micros(dice.log_uniform(10, 50_000));
    }
    if dice.one_in(3) {
        driver.spurious_per_mille = dice.log_uniform(1, 500);
    }
    if dice.one_in(6) {
        driver.write_size = dice.pick(&[1, 7, 100, 1_000]);
    }
    if dice.one_in(4) {
        driver.written_late = Micros(dice.log_uniform(10, 100_000));
    }
    if dice.one_in(4) {
        driver.events_late = Micros(dice.log_uniform(10, 1_000_000));
    }
    if dice.one_in(4) {
        driver.close_late = Micros(dice.log_uniform(10, 1_000_000));
    }
    if dice.one_in(3) {
        driver.jobs_late = Micros(dice.log_uniform(10, 100_000));
    }
    if dice.one_in(8) {
        driver.jobs_lost_per_mille = dice.log_uniform(1, 300);
    }
    driver
}

/// What the application does; gives the time of the last call.
fn workload(entropy: &mut dyn Entropy, script: &mut Script, size: Size) -> u64 {
    let mut dice = Dice::new(entropy, Stream::Shape, 4);
    let most = size.calls();
    let calls = dice.between(most / 6, most);
    let gap = dice.log_uniform(50, 200_000);
    // A random part of what an application can do, and of the ways to address a record.
    let uses: [bool; 10] = std::array::from_fn(|_| dice.one_in(2));
    let silences = dice.one_in(3);
    let batch: u64 = script.settings["batch.size"].parse().unwrap_or(16_384);
    let small = dice.pick(&[12, 30, 100, 300]);
    let mut at = 0;
    for n in 0..calls {
        let mut dice = Dice::new(entropy, Stream::Workload, n);
        at += match dice.below(12) {
            0 if silences && dice.one_in(10) => dice.log_uniform(1_000_000, 700_000_000),
            0..4 => 0,
            _ => dice.exponential(gap),
        };
        let call = match dice.below(100) {
            0..2 if uses[0] => Call::AbortQueued,
            2..6 if uses[1] => Call::Flush,
            6..10 if uses[2] => Call::Cancel(dice.log_uniform(0, 30) as usize),
            10..14 if uses[3] => Call::Expedite(dice.log_uniform(0, 10) as usize),
            14..18 if uses[4] => Call::PushOnOutcome(dice.between(1, 3) as u32),
            18 if uses[5] => Call::Restart,
            19 if uses[6] && dice.one_in(3) => {
                let deadline = dice.log_uniform(1, 60_000_000);
                Call::Close((!dice.one_in(4)).then_some(Micros(deadline)))
            }
            _ => push(&mut dice, script, [uses[7], uses[8], uses[9]], small, batch),
        };
        let is_end = matches!(call, Call::Close(_));
        script.steps.push(Step(Micros(at), Act::Do(call)));
        if is_end && n + 1 < calls {
            at += dice.log_uniform(1, 30_000_000);
            script.steps.push(Step(Micros(at), Act::Do(Call::Restart)));
        }
    }
    at
}

fn push(dice: &mut Dice<'_>, script: &Script, uses: [bool; 3], small: u64, batch: u64) -> Call {
    let topic = dice.below(script.topics.len() as u64) as usize;
    let partitions = script.topics[topic].partitions.unsigned_abs();
    let to = match dice.below(3) {
        0 if uses[0] => To::Key(dice.below(20) as u16),
        1 if uses[1] => To::Partition(dice.below(partitions.into()) as i32),
        _ => To::Any,
    };
    let size = match dice.below(30) {
        // About as large as a batch: a record costs 7 bytes and a batch 61.
        0 => (batch.clamp(100, 20_000) + dice.below(5)).saturating_sub(70),
        1 => dice.log_uniform(12, 3_000),
        _ => dice.between(12, small),
    };
    let headers = if uses[2] && dice.one_in(4) { dice.between(1, 4) as usize } else { 0 };
    let count = if dice.one_in(6) { dice.log_uniform(2, 40) as u32 } else { 1 };
    Call::Push { topic, to, size: size as usize, headers, count }
}
