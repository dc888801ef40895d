//! What only tokio has; everything else is in the conformance kit, see the crate `adapter-tests`.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use producer_sim::{ApiKey, ClusterConfig, NetCluster, Rule, TopicConfig};
use producer_tokio::{Config, Producer, Record, StartError};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A cluster with the topic "orders" of four partitions.
fn cluster() -> NetCluster {
    let net = NetCluster::start(ClusterConfig::new(1)).unwrap();
    net.with(|cluster| cluster.create_topic("orders", TopicConfig::new(4)));
    net
}

/// An address where nobody listens.
fn nowhere() -> Config {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Config::new(listener.local_addr().unwrap().to_string())
}

#[test]
fn a_producer_without_a_runtime_is_a_clear_error_and_spawn_on_works_from_anywhere() {
    let error = Producer::new(nowhere()).unwrap_err();
    assert_eq!(error, StartError::NoRuntime);
    assert!(error.to_string().contains("spawn_on"));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let wrong = Producer::spawn_on(runtime.handle(), Config::new(""));
    assert!(matches!(wrong, Err(StartError::Config(_))));

    let net = cluster();
    let producer = Producer::spawn_on(runtime.handle(), Config::new(net.bootstrap())).unwrap();
    // Used on a plain thread.
    let delivery = producer.send(Record::to("orders").value("x")).wait().unwrap();
    delivery.wait().unwrap();
    producer.close(None).wait();
}

/// How long a drop of a producer takes that has 100 records to send: the median of many, as the
/// machine may have other things to do at the wrong moment.
fn drop_takes(config: &Config) -> Duration {
    let drop_one = || {
        let runtime = current_thread();
        let (took, waiting) = runtime.block_on(async {
            let producer = Producer::new(config.clone()).unwrap();
            let send = || producer.send(Record::to("orders").partition(0).value("x"));
            let waiting: Vec<_> = (0..100).map(|_| send()).collect();
            // So that it is at work; where nobody is, there is no answer.
            let asked = timeout(Duration::from_millis(10), producer.partitions_for("orders"));
            let _count = asked.await;
            let start = Instant::now();
            drop(producer);
            (start.elapsed(), waiting)
        });
        // The end of the runtime is the end of what waits on: all have an answer, accepted or not.
        drop(runtime);
        for admission in waiting {
            let _answer = admission.wait();
        }
        took
    };
    let mut times: Vec<Duration> = (0..21).map(|_| drop_one()).collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_drop_on_a_current_thread_runtime_takes_less_than_a_millisecond() {
    let took = drop_takes(&nowhere());
    assert!(took < Duration::from_millis(1), "nobody there: {took:?}");

    let net = cluster();
    let took = drop_takes(&Config::new(net.bootstrap()));
    assert!(took < Duration::from_millis(1), "connected: {took:?}");

    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).always().hold()));
    let took = drop_takes(&Config::new(net.bootstrap()));
    assert!(took < Duration::from_millis(1), "with a silent broker: {took:?}");
}
