//! The bytes on the wire, step by step.
//!
//! Between two steps nothing is on its way and no timer is due; record timestamps, client id and
//! seed are fixed. What then goes to the brokers is a matter of the core alone, and so the same to
//! the byte with every adapter, per broker and connection.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use producer_proto::Config;

use super::adapter::{Adapter, Message, Producer};
use super::rig::{PARTITIONS, SEED, TOPIC, cluster};
use super::wait::{until, wait};
use crate::{Line, NetCluster};

/// All that each connection carried to its broker.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trace(pub BTreeMap<Line, Vec<u8>>);

impl Trace {
    /// Where two traces differ first: the connection, and the byte.
    pub fn difference(&self, other: &Self) -> Option<(Line, usize)> {
        let lines: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        lines.into_iter().find_map(|line| {
            let empty = Vec::new();
            let own = self.0.get(line).unwrap_or(&empty);
            let others = other.0.get(line).unwrap_or(&empty);
            let common = own.iter().zip(others).take_while(|(a, b)| a == b).count();
            (own != others || self.0.contains_key(line) != other.0.contains_key(line))
                .then_some((*line, common))
        })
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(line, bytes)| (line, bytes.len()))).finish()
    }
}

/// Goes through the steps with a new producer of this seed, and gives what the brokers got.
///
/// # Panics
/// When something is not delivered.
pub fn trace<A: Adapter>(adapter: &A, seed: [u8; 32]) -> Trace {
    let net = cluster(3);
    net.record_traffic();
    let host = adapter.host();
    let producer = adapter.start(&host, &config(&net), seed);
    let script = Script { net: &net, producer: &producer, clock: std::cell::Cell::new(0) };

    // The bootstrap connection, and what there is to know.
    wait(producer.look_up(TOPIC)).expect("there is this topic");
    script.settle(1);
    // One leader after the other: a producer id, then a connection to each.
    for (partition, connections) in (0..PARTITIONS - 1).zip(1..) {
        script.send(Some(partition), b"key", 10);
        wait(producer.flush());
        script.settle(connections);
    }
    // Batches for all partitions at once, and then with the partitioner's choice.
    for i in 0..60 {
        script.send(Some(i % PARTITIONS), b"some key", 100);
    }
    wait(producer.flush());
    script.settle(3);
    for round in 0..6 {
        for _ in 0..20 {
            script.send(None, &[], 200 + round);
        }
        wait(producer.flush());
        script.settle(3);
    }
    for i in 0..10_u8 {
        script.send(None, &[i], 20);
    }
    wait(producer.flush());
    script.settle(3);
    // A batch that is beyond the batch size by its one record.
    script.send(Some(2), b"key", 40_000);
    wait(producer.flush());
    script.settle(3);
    // A broker that goes away, and comes back under the next ordinal.
    net.with(|cluster| cluster.close_connections(2));
    until("the loss", || producer.stats().connections_ready == 2);
    script.send(Some(1), b"key", 10);
    wait(producer.flush());
    script.settle(3);

    wait(producer.close(Duration::from_secs(10)));
    net.with(|cluster| assert_eq!(cluster.violations(), []));
    Trace(net.traffic().into_iter().map(|(line, traffic)| (line, traffic.requests)).collect())
}

fn config(net: &NetCluster) -> Config {
    let mut config = Config::new(net.bootstrap());
    config.client_id = "lockstep".to_owned();
    // Nothing is sent before the flush.
    config.linger = Duration::from_secs(60);
    config.delivery_timeout = Some(Duration::from_secs(120));
    config
}

struct Script<'a, P> {
    net: &'a NetCluster,
    producer: &'a P,
    /// Of the records, in milliseconds.
    clock: std::cell::Cell<i64>,
}

impl<P: Producer> Script<'_, P> {
    fn send(&self, partition: Option<i32>, key: &[u8], size: usize) {
        let timestamp = 1_700_000_000_000 + self.clock.get();
        self.clock.set(self.clock.get() + 1);
        let key = (!key.is_empty()).then_some(key);
        let value = super::rig::numbered(self.clock.get() as usize, size);
        let message =
            Message { topic: TOPIC, partition, timestamp: Some(timestamp), key, value: &value };
        let _delivery = wait(self.producer.send(&message)).expect("it is accepted");
    }

    /// Waits until so many connections are there, and nothing is on its way on any.
    fn settle(&self, connections: u64) {
        until("a quiet moment", || {
            let stats = self.producer.stats();
            let open: usize = (1..=3)
                .map(|broker| self.net.with(|cluster| cluster.connections(broker).len()))
                .sum();
            stats.requests_in_flight == 0
                && stats.connections_ready == connections
                && open as u64 == connections
        });
    }
}

/// The same steps again give the same bytes, and another seed gives others: the trace depends on
/// what it should depend on, and on nothing else.
pub(super) fn the_same_steps_give_the_same_bytes<A: Adapter>(adapter: &A) {
    let first = trace(adapter, SEED);
    for _ in 0..3 {
        let again = trace(adapter, SEED);
        assert_eq!(first.difference(&again), None, "{first:?} {again:?}");
    }
    let other = trace(adapter, [8; 32]);
    assert!(first.difference(&other).is_some(), "the seed changes nothing");
}
