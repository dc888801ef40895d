//! Clusters, settings and logs for the scenarios.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use producer_proto::Config;

use super::adapter::{Adapter, Producer};
use super::wait::wait;
use crate::{ClusterConfig, NetCluster, TopicConfig};

pub(super) const TOPIC: &str = "orders";
pub(super) const PARTITIONS: i32 = 4;

/// Producers need no randomness of their own here.
pub(super) const SEED: [u8; 32] = [7; 32];

/// So much later than its deadline something may be on a machine with other things to do.
pub(super) const SLACK: Duration = Duration::from_secs(2);

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cluster with the topic [`TOPIC`] and no other.
pub(super) fn cluster(brokers: i32) -> NetCluster {
    let net = bare_cluster(brokers);
    net.with(|cluster| cluster.create_topic(TOPIC, TopicConfig::new(PARTITIONS)));
    net
}

/// A cluster without topics.
pub(super) fn bare_cluster(brokers: i32) -> NetCluster {
    let mut config = ClusterConfig::new(brokers);
    config.auto_create_topics = false;
    NetCluster::start(config).expect("loopback has free ports")
}

/// Settings for a cluster, with short pauses.
pub(super) fn config(net: &NetCluster) -> Config {
    patient(Config::new(net.bootstrap()))
}

/// An address where nobody listens, and settings for it, with short pauses.
pub(super) fn nowhere() -> (SocketAddr, Config) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    (address, patient(Config::new(address.to_string())))
}

fn patient(mut config: Config) -> Config {
    config.retry_backoff = Some(millis(1));
    config.retry_backoff_max = Some(millis(1));
    config.reconnect_backoff = Some(millis(1));
    config.reconnect_backoff_max = Some(millis(1));
    config
}

/// The values in a partition's log.
pub(super) fn values(net: &NetCluster, partition: i32) -> Vec<String> {
    let log = net.with(|cluster| cluster.log(TOPIC, partition));
    let text = |record: &crate::records::LogRecord| {
        String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
    };
    log.iter().map(text).collect()
}

/// Runs `test` with a producer, which is closed behind it.
pub(super) fn with_producer<A: Adapter>(
    adapter: &A,
    config: &Config,
    test: impl FnOnce(&A::Producer),
) {
    let host = adapter.host();
    let producer = adapter.start(&host, config, SEED);
    test(&producer);
    wait(producer.close(Duration::from_secs(10)));
}

/// Nothing that no client may do, and in each partition what belongs there.
#[track_caller]
pub(super) fn assert_logs(net: &NetCluster, expected: impl Fn(i32) -> Vec<String>) {
    for partition in 0..PARTITIONS {
        assert_eq!(values(net, partition), expected(partition), "partition {partition}");
    }
    net.with(|cluster| assert_eq!(cluster.violations(), []));
}

/// Values of some length that tell their number.
pub(super) fn numbered(number: usize, length: usize) -> Vec<u8> {
    let mut value = format!("{number:06}").into_bytes();
    value.resize(length.max(value.len()), b'x');
    value
}
