//! The producer with its own thread, against simulated brokers on loopback sockets.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{cluster, nowhere, order, values};
use producer_mio::{Codec, Config, Persistence, Producer, Record, RecordError, SendErrorKind};
use producer_sim::{ApiKey, NetCluster, Rule};

fn spawn(net: &NetCluster) -> Producer {
    Producer::spawn(Config::new(net.bootstrap())).unwrap()
}

#[test]
fn records_reach_all_brokers() {
    for codec in [Codec::None, Codec::Zstd] {
        let net = cluster(3);
        let mut config = Config::new(net.bootstrap());
        config.compression_type = codec;
        let producer = Producer::spawn(config).unwrap();
        let numbers: Vec<_> = (0..2_000).map(|i| i.to_string()).collect();
        let records = numbers.iter().zip(0..);
        let results = producer
            .send_all(records.map(|(value, i)| Record::to("orders").partition(i % 4).value(value)));
        for (result, i) in results.into_iter().zip(0..) {
            let metadata = result.unwrap();
            assert_eq!((metadata.partition, metadata.offset), (i % 4, Some(i64::from(i / 4))));
        }
        producer.close(Duration::from_secs(10));
        for partition in 0..4 {
            let expected: Vec<_> = (0..500).map(|i| (i * 4 + partition).to_string()).collect();
            assert_eq!(values(&net, partition), expected);
        }
        net.with(|cluster| assert!(cluster.violations().is_empty()));
    }
}

#[test]
fn threads_share_a_producer_and_each_keeps_its_order() {
    let net = cluster(1);
    let producer = spawn(&net);
    thread::scope(|scope| {
        for partition in 0..4 {
            let producer = producer.clone();
            scope.spawn(move || {
                for i in 0..300 {
                    let value = i.to_string();
                    let record = Record::to("orders").partition(partition).value(&value);
                    assert_eq!(producer.send_sync(record).unwrap().offset, Some(i));
                }
            });
        }
    });
    let expected: Vec<_> = (0..300).map(|i| i.to_string()).collect();
    for partition in 0..4 {
        assert_eq!(values(&net, partition), expected);
    }
}

#[test]
fn a_result_can_be_asked_for_waited_for_or_left() {
    let net = cluster(1);
    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).hold()));
    let mut config = Config::new(net.bootstrap());
    config.request_timeout = Duration::from_millis(100);
    config.retry_backoff = Some(Duration::from_millis(1));
    config.retry_backoff_max = Some(Duration::from_millis(1));
    let producer = Producer::spawn(config).unwrap();
    assert_eq!(producer.partitions_for("orders"), Ok(4));
    let mut delivery = producer.try_send(order("x")).unwrap();
    assert!(!delivery.is_done());
    assert_eq!(delivery.wait_timeout(Duration::from_millis(5)), None);
    assert!(!producer.flush(Duration::from_millis(5)), "the broker is silent");
    assert!(producer.flush(None));
    assert!(delivery.is_done());
    delivery.wait().unwrap();
    assert_eq!(values(&net, 0), ["x"]);
}

#[test]
fn a_topic_that_does_not_exist_is_named_and_fails_alone() {
    let net = cluster(1);
    let mut config = Config::new(net.bootstrap());
    config.max_block = Duration::from_millis(40);
    let producer = Producer::spawn(config).unwrap();
    let results = producer.send_all([order("a"), Record::to("nothing").value("x"), order("b")]);
    let [Ok(first), Err(RecordError::Send(error)), Ok(last)] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!((first.offset, last.offset), (Some(0), Some(1)));
    let text = error.to_string();
    assert!(text.contains("nothing") && text.contains("UNKNOWN_TOPIC"), "{text}");
}

#[test]
fn cls_05_close_meets_its_deadline_with_a_silent_broker() {
    let net = cluster(1);
    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).always().hold()));
    let producer = spawn(&net);
    let delivery = producer.send(order("x")).unwrap();
    while values(&net, 0).is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    let start = Instant::now();
    producer.close(Duration::from_millis(40));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(1), "{took:?}");
    assert_eq!(delivery.wait().unwrap_err().persistence, Persistence::PossiblyPersisted);
    // Again, from several at once, and for sends there is no more room.
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| producer.close(None));
        }
    });
    assert_eq!(*producer.send(order("x")).unwrap_err().kind(), SendErrorKind::Closed);
}

#[test]
fn a_producer_of_an_unreachable_cluster_is_dropped_and_closed_at_once() {
    let producer = Producer::spawn(nowhere()).unwrap();
    let waiting: Vec<_> = (0..100).map(|_| producer.handle().send(order("x"))).collect();
    let clone = producer.clone();
    let start = Instant::now();
    drop(producer);
    clone.close(Duration::ZERO);
    drop(clone);
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
    for admission in waiting {
        assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    }
}

#[test]
fn what_was_accepted_is_sent_after_the_last_producer_is_dropped() {
    let net = cluster(1);
    let producer = spawn(&net);
    let delivery = producer.send(order("x")).unwrap();
    drop(producer);
    delivery.wait().unwrap();
    assert_eq!(values(&net, 0), ["x"]);
}

#[test]
fn con_a_broker_that_goes_away_is_found_again() {
    let net = cluster(1);
    let producer = spawn(&net);
    for i in 0..10 {
        producer.send_sync(order(&i.to_string())).unwrap();
        if i % 3 == 0 {
            net.with(|cluster| cluster.close_connections(1));
        }
    }
    assert_eq!(values(&net, 0), (0..10).map(|i| i.to_string()).collect::<Vec<_>>());
}
