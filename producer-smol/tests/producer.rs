//! The adapter under several executors; everything else is in the conformance kit, see the crate
//! `adapter-tests`.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::time::Duration;

use producer_sim::{ClusterConfig, NetCluster, TopicConfig};
use producer_smol::{Codec, Config, Producer, Record, SendErrorKind};

/// A cluster with the topic "orders" of four partitions.
fn cluster(brokers: i32) -> NetCluster {
    let net = NetCluster::start(ClusterConfig::new(brokers)).unwrap();
    net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(4)));
    net
}

fn values(net: &NetCluster, partition: i32) -> Vec<String> {
    let log = net.with(|cluster| cluster.log("orders", partition));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    log.iter().map(|record| text(record.value.as_deref().unwrap())).collect()
}

/// 2,000 records over three brokers, results checked, then a close.
async fn produce_everywhere(net: &NetCluster, producer: Producer) {
    let mut deliveries = Vec::new();
    for i in 0..2_000 {
        let value = i.to_string();
        let record = Record::to("orders").partition(i % 4).value(&value);
        deliveries.push((i, producer.send(record).await.unwrap()));
    }
    producer.flush().await;
    for (i, delivery) in deliveries {
        assert!(delivery.is_done(), "a flush covers what was sent before it");
        let metadata = delivery.await.unwrap();
        assert_eq!((metadata.partition, metadata.offset), (i % 4, Some(i64::from(i / 4))));
    }
    producer.close(Duration::from_secs(10)).await;
    for partition in 0..4 {
        let expected: Vec<_> = (0..500).map(|i| (i * 4 + partition).to_string()).collect();
        assert_eq!(values(net, partition), expected);
    }
    net.with(|cluster| assert!(cluster.violations().is_empty()));
}

#[test]
fn records_reach_all_brokers_from_the_global_executor_with_jobs_on_other_threads() {
    let net = cluster(3);
    let mut config = Config::new(net.bootstrap());
    config.compression_type = Codec::Zstd;
    smol::block_on(produce_everywhere(&net, Producer::spawn(config).unwrap()));
}

#[test]
fn records_reach_all_brokers_with_block_on_alone() {
    let net = cluster(3);
    let (producer, driver) = Producer::new(Config::new(net.bootstrap())).unwrap();
    // No executor at all: two futures side by side. The driver ends with the close.
    smol::block_on(smol::future::zip(driver, produce_everywhere(&net, producer)));
}

#[test]
fn records_reach_all_brokers_on_an_async_executor() {
    let net = cluster(3);
    let executor = async_executor::Executor::new();
    let (producer, driver) = Producer::new(Config::new(net.bootstrap())).unwrap();
    executor.spawn(driver).detach();
    smol::block_on(executor.run(produce_everywhere(&net, producer)));
    assert!(executor.is_empty(), "the driver ends with the close");
}

#[test]
fn records_reach_all_brokers_on_the_executors_of_futures() {
    let net = cluster(3);
    let (producer, driver) = Producer::new(Config::new(net.bootstrap())).unwrap();
    let task = std::thread::spawn(|| futures_executor::block_on(driver));
    futures_executor::block_on(produce_everywhere(&net, producer));
    task.join().unwrap();
}

#[test]
fn a_driver_that_is_never_polled_answers_when_it_is_dropped() {
    let (producer, driver) = Producer::new(Config::new("127.0.0.1:9")).unwrap();
    let (flush, admission) = (producer.flush(), producer.send(Record::to("orders").value("x")));
    drop(driver);
    flush.wait();
    assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    producer.close(None).wait();
}
