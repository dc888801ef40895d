//! The adapter against simulated brokers on loopback sockets, under several executors.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use producer_sim::{ApiKey, ClusterConfig, NetCluster, Rule, TopicConfig};
use producer_smol::{Codec, Config, Driver, Persistence, Producer, Record, SendErrorKind};
use smol::Timer;

/// A cluster with the topic "orders" of four partitions.
fn cluster(brokers: i32) -> NetCluster {
    let mut config = ClusterConfig::new(brokers);
    config.auto_create_topics = false;
    let net = NetCluster::start(config).unwrap();
    net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(4)));
    net
}

/// An address where nobody listens.
fn nowhere() -> Config {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Config::new(listener.local_addr().unwrap().to_string())
}

fn values(net: &NetCluster, partition: i32) -> Vec<String> {
    let log = net.with(|cluster| cluster.log("orders", partition));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    log.iter().map(|record| text(record.value.as_deref().unwrap())).collect()
}

fn order(value: &str) -> Record<'_> {
    Record::to("orders").partition(0).value(value)
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

/// Runs a test with a producer whose driver is on this thread.
fn on_this_thread<T>(config: Config, test: impl AsyncFnOnce(Producer) -> T) -> T {
    let (producer, driver) = Producer::new(config).unwrap();
    let executor = smol::LocalExecutor::new();
    executor.spawn(driver).detach();
    smol::block_on(executor.run(test(producer)))
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
fn a_topic_that_does_not_exist_is_named() {
    let net = cluster(1);
    let mut config = Config::new(net.bootstrap());
    config.max_block = Duration::from_millis(40);
    on_this_thread(config, async |producer| {
        let error = producer.send(Record::to("nothing").value("x")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("nothing") && text.contains("UNKNOWN_TOPIC"), "{text}");
    });
}

#[test]
fn cls_05_close_meets_its_deadline_with_a_silent_broker() {
    let net = cluster(1);
    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).always().hold()));
    on_this_thread(Config::new(net.bootstrap()), async |producer| {
        let delivery = producer.send(order("x")).await.unwrap();
        while values(&net, 0).is_empty() {
            Timer::after(Duration::from_millis(1)).await;
        }
        let start = Instant::now();
        producer.close(Duration::from_millis(40)).await;
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(1), "{took:?}");
        let error = delivery.await.unwrap_err();
        assert_eq!(error.persistence, Persistence::PossiblyPersisted);
    });
}

#[test]
fn dropping_a_producer_of_an_unreachable_cluster_neither_blocks_nor_panics() {
    let (producer, driver) = Producer::new(nowhere()).unwrap();
    let waiting: Vec<_> = (0..100).map(|_| producer.send(order("x"))).collect();
    let executor = smol::LocalExecutor::new();
    executor.spawn(driver).detach();
    smol::block_on(executor.run(Timer::after(Duration::from_millis(5))));
    let start = Instant::now();
    drop(producer);
    // The records wait on: the close is graceful. The end of the executor is its end.
    drop(executor);
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    for admission in waiting {
        assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    }
}

#[test]
fn a_driver_that_is_never_polled_answers_when_it_is_dropped() {
    let (producer, driver) = Producer::new(nowhere()).unwrap();
    let (flush, admission) = (producer.flush(), producer.send(order("x")));
    drop(driver);
    flush.wait();
    assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    producer.close(None).wait();
}

#[test]
fn what_was_accepted_is_sent_after_the_last_producer_is_dropped() {
    let net = cluster(1);
    on_this_thread(Config::new(net.bootstrap()), async |producer| {
        let delivery = producer.send(order("x")).await.unwrap();
        drop(producer);
        delivery.await.unwrap();
    });
    assert_eq!(values(&net, 0), ["x"]);
}

/// A driver that counts how often it is polled.
struct Counted(Driver, Arc<AtomicU64>);

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll(context)
    }
}

#[test]
fn an_idle_producer_sleeps() {
    let net = cluster(3);
    let (producer, driver) = Producer::new(Config::new(net.bootstrap())).unwrap();
    let polls = Arc::new(AtomicU64::new(0));
    let executor = smol::LocalExecutor::new();
    executor.spawn(Counted(driver, polls.clone())).detach();
    smol::block_on(executor.run(async {
        assert_eq!(producer.partitions_for("orders").await.unwrap(), 4);
        for partition in 0..4 {
            let record = Record::to("orders").partition(partition).value("x");
            producer.send(record).await.unwrap().await.unwrap();
        }
        let before = polls.load(Ordering::Relaxed);
        Timer::after(Duration::from_millis(50)).await;
        let polls = polls.load(Ordering::Relaxed) - before;
        assert!(polls < 8, "the driver was polled {polls} times in 50 ms");
        assert_eq!(producer.stats().connections_ready, 3);
    }));
}

#[test]
fn con_a_broker_that_goes_away_is_found_again() {
    let net = cluster(1);
    on_this_thread(Config::new(net.bootstrap()), async |producer| {
        for i in 0..10 {
            let value = i.to_string();
            producer.send(order(&value)).await.unwrap().await.unwrap();
            if i % 3 == 0 {
                net.with(|cluster| cluster.close_connections(1));
            }
        }
    });
    assert_eq!(values(&net, 0), (0..10).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn con_every_address_of_a_name_is_tried() {
    // "localhost" is ::1 and 127.0.0.1 on most systems, and only one of them answers here.
    let net = cluster(1);
    let config = Config::new(format!("localhost:{}", net.addresses()[0].port()));
    on_this_thread(config, async |producer| {
        producer.send(order("x")).await.unwrap().await.unwrap();
    });
}
