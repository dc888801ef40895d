//! The adapter against simulated brokers on loopback sockets, on both kinds of runtime.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use producer_sim::{ApiKey, ClusterConfig, NetCluster, Rule, TopicConfig};
use producer_tokio::{
    Config, Delivery, Handle, Persistence, Producer, Record, SendErrorKind, StartError,
};
use tokio::runtime::{Builder, Runtime};

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A cluster with the topic "orders" of four partitions.
fn cluster(brokers: i32) -> NetCluster {
    let net = NetCluster::start(ClusterConfig::new(brokers)).unwrap();
    net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(4)));
    net
}

fn config(net: &NetCluster) -> Config {
    Config::new(net.bootstrap())
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

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// 5,000 records over three brokers, results checked, then a close.
async fn produce_everywhere(net: &NetCluster, change: impl FnOnce(&mut Config)) {
    let mut config = config(net);
    change(&mut config);
    let producer = Producer::new(config).unwrap();
    let mut deliveries = Vec::new();
    for i in 0..5_000 {
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
        let expected: Vec<_> = (0..1_250).map(|i| (i * 4 + partition).to_string()).collect();
        assert_eq!(values(net, partition), expected);
    }
    net.with(|cluster| assert!(cluster.violations().is_empty()));
}

#[test]
fn records_reach_all_brokers_on_a_current_thread_runtime() {
    let net = cluster(3);
    current_thread().block_on(produce_everywhere(&net, |_| ()));
}

#[test]
fn records_reach_all_brokers_on_a_multi_thread_runtime_with_jobs_on_other_threads() {
    let net = cluster(3);
    multi_thread().block_on(produce_everywhere(&net, |config| {
        config.compression_type = producer_tokio::Codec::Zstd;
    }));
}

#[test]
fn many_tasks_share_a_producer() {
    let net = cluster(1);
    multi_thread().block_on(async {
        let producer = Producer::new(config(&net)).unwrap();
        let tasks: Vec<_> = (0..4)
            .map(|partition| {
                let producer = producer.clone();
                tokio::spawn(async move {
                    for i in 0..300 {
                        let value = i.to_string();
                        let record = Record::to("orders").partition(partition).value(&value);
                        producer.send(record).await.unwrap().await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let expected: Vec<_> = (0..300).map(|i| i.to_string()).collect();
    for partition in 0..4 {
        assert_eq!(values(&net, partition), expected);
    }
}

#[test]
fn mem_senders_that_wait_for_memory_keep_their_order_and_all_get_in() {
    let net = cluster(1);
    current_thread().block_on(async {
        let mut config = config(&net);
        config.buffer_memory = 128 * 1024;
        config.batch_size = 8 * 1024;
        let producer = Producer::new(config).unwrap();
        let padding = "x".repeat(1_000);
        // Each takes its place when its task first runs; tasks run in the order of spawning.
        let mut tasks = Vec::new();
        for i in 0..1_000 {
            let value = format!("{i:04}{padding}");
            let sender = producer.clone();
            tasks.push(tokio::spawn(async move {
                let record = Record::to("orders").partition(0).value(&value);
                sender.send(record).await.unwrap().await.unwrap().offset
            }));
            // Not all at once: as many as may wait are bounded, too.
            if i % 50 == 49 {
                producer.flush().await;
            }
        }
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Some(i as i64));
        }
    });
}

/// Polls a future `polls` times, with the runtime at work in between, and drops it if it is not
/// ready by then.
async fn abandon_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    None
}

#[test]
fn dropping_a_future_at_any_await_loses_nothing_that_was_promised() {
    let net = cluster(1);
    current_thread().block_on(async {
        let mut promised = Vec::new();
        for polls in 0..12 {
            // Each round with a new producer, so that every wait occurs.
            let producer = Producer::new(config(&net)).unwrap();
            let mut deliveries: Vec<(String, Delivery)> = Vec::new();
            for i in 0..20 {
                let value = format!("{polls}-{i}");
                let record = Record::to("orders").partition(0).value(&value);
                if let Some(result) = abandon_after(polls * (i % 3), producer.send(record)).await {
                    deliveries.push((value, result.unwrap()));
                }
            }
            abandon_after(polls, producer.flush()).await;
            for (value, mut delivery) in deliveries {
                // Abandoned and taken up again.
                abandon_after(1, &mut delivery).await;
                delivery.await.unwrap();
                promised.push(value);
            }
            abandon_after(polls, producer.close(None)).await;
            producer.close(None).await;
        }
        let log = values(&net, 0);
        assert!(promised.len() > 50, "{}", promised.len());
        // In order, once each; between them only records whose callers went away.
        let mut rest = log.iter();
        for value in &promised {
            assert!(rest.any(|it| it == value), "{value} is missing or out of order");
        }
        let unique: std::collections::BTreeSet<_> = log.iter().collect();
        assert_eq!(unique.len(), log.len());
    });
}

#[test]
fn a_producer_without_a_runtime_is_a_clear_error_and_spawn_on_works_from_anywhere() {
    let error = Producer::new(nowhere()).unwrap_err();
    assert_eq!(error, StartError::NoRuntime);
    assert!(error.to_string().contains("spawn_on"));
    let runtime = multi_thread();
    let wrong = Producer::spawn_on(runtime.handle(), Config::new(""));
    assert!(matches!(wrong, Err(StartError::Config(_))));

    let net = cluster(1);
    let producer = Producer::spawn_on(runtime.handle(), config(&net)).unwrap();
    // Used on a plain thread.
    let delivery = producer.send(Record::to("orders").value("x")).wait().unwrap();
    delivery.wait().unwrap();
    producer.close(None).wait();
}

/// Sends `count` records to a cluster that cannot be reached; none of them gets anywhere.
fn send_in_vain(producer: &Handle, count: usize) -> Vec<producer_tokio::Admission> {
    (0..count).map(|_| producer.send(Record::to("orders").value("x"))).collect()
}

#[test]
fn dropping_a_producer_of_an_unreachable_cluster_neither_blocks_nor_panics() {
    for runtime in [current_thread(), multi_thread()] {
        let waiting = runtime.block_on(async {
            let producer = Producer::new(nowhere()).unwrap();
            let waiting = send_in_vain(&producer, 100);
            tokio::time::sleep(Duration::from_millis(5)).await;
            let start = Instant::now();
            drop(producer);
            assert!(start.elapsed() < Duration::from_millis(50));
            waiting
        });
        // The records wait on: the close is graceful. The end of the runtime is its end.
        let start = Instant::now();
        drop(runtime);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        for admission in waiting {
            assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
        }
    }
}

#[test]
fn a_producer_may_outlive_its_runtime() {
    let runtime = multi_thread();
    let producer = Producer::spawn_on(runtime.handle(), nowhere()).unwrap();
    let waiting = send_in_vain(&producer, 10);
    let flush = producer.flush();
    drop(runtime);
    flush.wait();
    for admission in waiting {
        assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    }
    let late = producer.send(Record::to("orders").value("x")).wait();
    assert_eq!(*late.unwrap_err().kind(), SendErrorKind::Closed);
    producer.close(None).wait();
    let start = Instant::now();
    drop(producer);
    assert!(start.elapsed() < Duration::from_millis(50));
}

#[test]
fn what_was_accepted_is_sent_after_the_last_producer_is_dropped() {
    let net = cluster(1);
    current_thread().block_on(async {
        let producer = Producer::new(config(&net)).unwrap();
        let delivery = producer.send(Record::to("orders").partition(0).value("x")).await.unwrap();
        drop(producer);
        delivery.await.unwrap();
    });
    assert_eq!(values(&net, 0), ["x"]);
}

#[test]
fn cls_05_close_meets_its_deadline_with_a_silent_broker() {
    let net = cluster(1);
    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).always().hold()));
    current_thread().block_on(async {
        let producer = Producer::new(config(&net)).unwrap();
        let delivery = producer.send(Record::to("orders").partition(0).value("x")).await.unwrap();
        while values(&net, 0).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
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
fn max_block_names_the_topic_and_what_went_wrong() {
    current_thread().block_on(async {
        let mut config = nowhere();
        config.max_block = Duration::from_millis(40);
        let address = config.bootstrap_servers[0].clone();
        let producer = Producer::new(config).unwrap();
        let error = producer.send(Record::to("orders").value("x")).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("orders") && text.contains("max.block.ms"), "{text}");
        assert!(text.contains(&address), "{text}");
        let error = producer.partitions_for("orders").await.unwrap_err();
        assert_eq!(error.topic(), "orders");
    });
}

#[test]
fn an_idle_producer_sleeps() {
    let net = cluster(3);
    let runtime = current_thread();
    runtime.block_on(async {
        let producer = Producer::new(config(&net)).unwrap();
        assert_eq!(producer.partitions_for("orders").await.unwrap(), 4);
        for partition in 0..4 {
            let record = Record::to("orders").partition(partition).value("x");
            producer.send(record).await.unwrap().await.unwrap();
        }
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.worker_park_unpark_count(0);
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The test's own sleep parks the thread once or twice.
        let parks = (metrics.worker_park_unpark_count(0) - before) / 2;
        assert!(parks < 8, "the thread was woken {parks} times in 50 ms");
        assert_eq!(producer.stats().connections_ready, 3);
    });
}

#[test]
fn con_a_broker_that_goes_away_is_found_again() {
    let net = cluster(1);
    current_thread().block_on(async {
        let producer = Producer::new(config(&net)).unwrap();
        for i in 0..10 {
            let value = i.to_string();
            let record = Record::to("orders").partition(0).value(&value);
            producer.send(record).await.unwrap().await.unwrap();
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
    current_thread().block_on(async {
        let producer = Producer::new(config).unwrap();
        producer.send(Record::to("orders").value("x")).await.unwrap().await.unwrap();
    });
}
