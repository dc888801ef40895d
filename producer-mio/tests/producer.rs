//! The blocking API; everything else is in the conformance kit, see the crate `adapter-tests`.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::thread;
use std::time::Duration;

use common::{cluster, order, values};
use producer_mio::{Config, Producer, Record, RecordError, SendErrorKind};
use producer_sim::{ApiKey, Rule};

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
fn a_close_may_be_repeated_and_comes_from_several_threads() {
    let net = cluster(1);
    let producer = Producer::spawn(Config::new(net.bootstrap())).unwrap();
    producer.send_sync(order("x")).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| producer.close(None));
        }
    });
    producer.close(Duration::ZERO);
    assert_eq!(*producer.send(order("x")).unwrap_err().kind(), SendErrorKind::Closed);
}
