//! Clusters, records and logs for the tests.

use producer_mio::Record;
use producer_sim::{ClusterConfig, NetCluster, TopicConfig};

/// A cluster with the topic "orders" of four partitions.
pub(crate) fn cluster(brokers: i32) -> NetCluster {
    let mut config = ClusterConfig::new(brokers);
    config.auto_create_topics = false;
    let net = NetCluster::start(config).unwrap();
    net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(4)));
    net
}

pub(crate) fn order(value: &str) -> Record<'_> {
    Record::to("orders").partition(0).value(value)
}

pub(crate) fn values(net: &NetCluster, partition: i32) -> Vec<String> {
    let log = net.with(|cluster| cluster.log("orders", partition));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    log.iter().map(|record| text(record.value.as_deref().unwrap())).collect()
}
