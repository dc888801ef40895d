//! A test of an application in virtual time, as it would stand in that application's own crate:
//! orders go out while leaders move and connections break, and each is in the log exactly once,
//! those of a customer in order. Hours of trouble take moments, and a seed repeats them.
//!
//! In the end the engine has a turn: it draws cluster, settings, load and faults by itself, and judges
//! what the producer says. Your own settings and faults go into a script, as text.
//!
//! ```sh
//! cargo run -p producer-sim --example simulation            # ten seeds
//! cargo run -p producer-sim --example simulation -- 7       # the one that failed
//! ```

use std::collections::BTreeMap;
use std::time::Duration;
use std::{env, error};

use producer_proto::{Config, ConfigError};
use producer_sim::run::{self, Profile, Script, Seed, Size};
use producer_sim::{Cluster, ClusterConfig, Fate, NewRecord, TopicConfig, World};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 6;
const ORDERS: u32 = 1_000;

/// What is tested: the part of the application that turns orders into records.
struct Order {
    customer: String,
    number: String,
}

impl Order {
    fn new(number: u32) -> Self {
        Self { customer: format!("customer-{}", number % 17), number: number.to_string() }
    }

    /// Orders of one customer share a key, so that they stay in order.
    fn record(&self) -> NewRecord<'_> {
        let (key, value) = (Some(self.customer.as_bytes()), Some(self.number.as_bytes()));
        NewRecord { topic: "orders", key, value, ..NewRecord::default() }
    }
}

/// The same trouble for the same seed: a small generator of numbers below `limit`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, limit: i32) -> i32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) % limit.unsigned_abs() as u64) as i32
    }
}

/// Something goes wrong in the cluster or on the way to it.
fn trouble(world: &mut World, dice: &mut Dice) {
    let broker = 1 + dice.roll(BROKERS);
    match dice.roll(4) {
        0 => world.cluster.move_leader("orders", dice.roll(PARTITIONS), Some(broker)),
        // The requests under way are lost, or arrive and their answers are lost.
        1 => world.reset(broker, Fate::Lost),
        2 => world.reset(broker, Fate::Arrive),
        // Or they arrive when the producer has long sent them again.
        _ => world.reset(broker, Fate::ArriveAfter(Duration::from_millis(300))),
    }
}

/// Runs the story once, asserts what must hold, and gives the digest of all that happened.
fn orders_are_in_the_log_exactly_once(seed: u8) -> Result<u64, ConfigError> {
    let mut cluster = Cluster::new(ClusterConfig::new(BROKERS));
    cluster.create_topic("orders", TopicConfig::new(PARTITIONS));
    // No bootstrap servers: the world fills in its brokers.
    let mut world = World::with_seed(cluster, Config::default(), [seed; 32])?;
    let mut dice = Dice(seed.into());

    for number in 0..ORDERS {
        let order = Order::new(number);
        let pushed = world.push(&order.record());
        assert!(pushed.is_ok(), "order {number} with seed {seed}: {pushed:?}");
        if dice.roll(20) == 0 {
            trouble(&mut world, &mut dice);
        }
        world.run_for(Duration::from_millis(1));
    }
    assert!(world.settle(), "seed {seed}: {} orders have no result", world.open_records());

    // What the producer said is true, and no broker found fault with its bytes ...
    world.assert_clean();
    world.assert_exactly_once();
    // ... nothing failed, and the application's own promise holds: each customer's orders rise.
    assert!(world.outcomes().all(|(_, outcome)| outcome.is_some_and(|o| o.is_delivered())));
    let mut last = BTreeMap::new();
    for record in (0..PARTITIONS).flat_map(|partition| world.cluster.log("orders", partition)) {
        let number = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
        let number: u32 = number.parse().expect("every value is a number");
        let before = last.insert(record.key.clone(), number);
        assert!(before < Some(number), "{number} behind {before:?} with seed {seed}");
    }
    assert_eq!(world.cluster.total_counts().records, u64::from(ORDERS));
    Ok(world.trace_hash())
}

/// A run that is written down: what `producer simulate` prints of a failure can be kept like this.
const SCRIPT: &str = r#"(
    brokers: 3,
    topics: [(partitions: 2, replication: 3, min_insync: 2)],
    settings: { "linger.ms": "5", "delivery.timeout.ms": "40000" },
    network: (latency: 1000),
    warm_up: true,
    patient: true,
    steps: [
        (0, Do(Push(topic: 0, to: Partition(1), size: 100, count: 50))),
        (2000, Fault(Reset(broker: 2, fate: By(500000)))),
        (3000, Fault(Crash(2, 0))),
        (9000, Do(Push(topic: 0, to: Any, size: 100, count: 50))),
        (5000000, Fault(Restart(2))),
    ],
)"#;

/// A run that the engine draws from a seed, and one that is written down.
fn the_engine_finds_no_broken_promise(seed: u8) -> Result<(), Box<dyn error::Error>> {
    let drawn = Script::draw(&mut Seed(seed.into()), Profile::Honest, Size::Short);
    for script in [drawn, SCRIPT.parse()?] {
        let report = run::run(&script)?;
        if let Some(failure) = report.failure {
            // What led to it, and the smallest script that still fails.
            let (_, story) = run::run_and_tell(&script)?;
            let small = run::shrink(&script, &failure, 500);
            return Err(format!("{}\n{failure}\n{small}", story.join("\n")).into());
        }
        let (records, delivered) = (report.records, report.delivered);
        println!("engine: {delivered} of {records} records delivered, all accounted for");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn error::Error>> {
    let seeds = match env::args().nth(1) {
        Some(seed) => vec![seed.parse()?],
        None => (0..10).collect(),
    };
    for seed in seeds {
        let digest = orders_are_in_the_log_exactly_once(seed)?;
        assert_eq!(digest, orders_are_in_the_log_exactly_once(seed)?, "a seed repeats its run");
        println!("seed {seed}: {ORDERS} orders exactly once, digest {digest:016x}");
        the_engine_finds_no_broken_promise(seed)?;
    }
    Ok(())
}
