//! The handle and the driver against simulated brokers: order, waiting, closing, waking.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod behind;
mod callbacks;
mod cancelling;
mod closing;
mod describing;
mod helping;
mod interceptors;
mod leaders;
mod memory;
mod rig;
mod turns;
mod typed;
mod waiting;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use producer_driver::proto::{Event, Partitioner, PartitionerError, Persistence, ProduceErrorKind};
use producer_driver::{Next, Record, SendErrorKind};
use producer_sim::{ApiKey, ResponseError, Rule, TopicConfig};
use rig::Rig;

#[test]
fn a_record_is_delivered_with_its_place_and_time() {
    let mut rig = Rig::new(|_| ());
    let mut admitted = Vec::new();
    for value in ["a", "b", "c"] {
        let record = Record::to("orders").partition(1).timestamp(4_711).value(value);
        admitted.push(rig.handle.send(record));
    }
    for (offset, admission) in admitted.into_iter().enumerate() {
        let delivery = rig.run(admission).unwrap();
        assert_eq!(&**delivery.topic(), "orders");
        let metadata = rig.run(delivery).unwrap();
        assert_eq!(metadata.partition, 1);
        assert_eq!((metadata.offset, metadata.timestamp), (Some(offset as i64), 4_711));
    }
    assert_eq!(rig.net.values("orders", 1), ["a", "b", "c"]);
    rig.net.with(|cluster| assert!(cluster.violations().is_empty()));
}

#[test]
fn the_timestamp_is_the_time_of_the_send_or_the_brokers_append_time() {
    let mut rig = Rig::new(|_| ());
    let stamped = TopicConfig::new(1).append_time();
    rig.net.with(|cluster| cluster.create_topic("stamped", stamped));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let own = rig.handle.send(Record::to("orders").value("x"));
    let theirs = rig.handle.send(Record::to("stamped").timestamp(1).value("x"));
    let own = rig.run(own).unwrap();
    let own = rig.run(own).unwrap();
    assert!((before - 1..before + 5_000).contains(&own.timestamp), "{}", own.timestamp);
    let theirs = rig.run(theirs).unwrap();
    assert!(rig.run(theirs).unwrap().timestamp >= before - 1);
}

#[test]
fn a_failure_tells_its_error_and_what_may_be_in_the_log() {
    let mut rig = Rig::new(|config| config.retries = 0);
    rig.net.with(|cluster| {
        cluster.inject(Rule::on(ApiKey::Produce).error(ResponseError::TopicAuthorizationFailed));
    });
    let admission = rig.handle.send(Record::to("orders").partition(0).value("x"));
    let mut delivery = rig.run(admission).unwrap();
    let error = rig.run(&mut delivery).unwrap_err();
    assert!(matches!(error.error.kind(), ProduceErrorKind::Kafka(_)));
    assert_eq!(error.persistence, Persistence::NotPersisted);
    assert!(error.to_string().contains("TOPIC_AUTHORIZATION_FAILED"), "{error}");
    // The result stays.
    assert!(delivery.is_done());
    assert_eq!(delivery.try_result(), Some(Err(error)));
}

#[test]
fn records_of_a_batch_keep_their_timestamps_however_far_apart_they_are() {
    let mut rig = Rig::new(|_| ());
    let timestamps = [1_700_000_000_000, 0, 1_700_000_000_001, 1_000, 1_699_000_000_000];
    let sent: Vec<_> = timestamps
        .iter()
        .map(|&at| rig.handle.send(Record::to("orders").partition(0).timestamp(at).value("x")))
        .collect();
    let mut offsets = Vec::new();
    for (admission, timestamp) in sent.into_iter().zip(timestamps) {
        let delivery = rig.run(admission).unwrap();
        let metadata = rig.run(delivery).unwrap();
        assert_eq!(metadata.timestamp, timestamp);
        offsets.extend(metadata.offset);
    }
    assert_eq!(offsets, [0, 1, 2, 3, 4]);
    let stats = rig.handle.stats();
    assert_eq!((stats.batches_sealed, stats.records_delivered), (1, 5));
}

#[test]
fn a_topic_handle_saves_the_look_up_and_is_a_name_to_another_producer() {
    let mut rig = Rig::new(|_| ());
    let mut other = Rig::new(|_| ());
    // Its ids are in another order.
    other.handle.topic("first").unwrap();
    let topic = rig.handle.topic("orders").unwrap();
    assert_eq!(topic.name(), "orders");
    for rig in [&mut rig, &mut other] {
        let admission = rig.handle.send(Record::to(&topic).value("x"));
        let delivery = rig.run(admission).unwrap();
        assert_eq!(&**delivery.topic(), "orders");
        rig.run(delivery).unwrap();
    }
}

#[test]
fn partitions_are_counted_asked_for_and_refused() {
    let mut rig = Rig::new(|config| config.max_block = Duration::from_secs(5));
    let count = rig.handle.partitions_for("orders");
    assert_eq!(rig.run(count).unwrap(), 2);
    let mut known = rig.handle.partitions_for("orders");
    assert!(rig::is_ready(&mut known));

    let invalid = rig.handle.partitions_for("or ders");
    assert!(rig.run(invalid).unwrap_err().to_string().contains("or ders"));
}

#[test]
fn the_driver_is_woken_when_it_has_to_be_and_not_for_every_record() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(1));
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    assert!(matches!(rig.settle(), Next::Sleep(_)));

    // The first record moves the deadline; a hundred more in its batch change nothing.
    let before = rig.wakes.count();
    let send = || rig.handle.try_send(Record::to("orders").partition(0).value("x")).unwrap();
    let mut delivery = send();
    assert_eq!(rig.wakes.count() - before, 1);
    for _ in 0..100 {
        drop(send());
    }
    assert_eq!(rig.wakes.count() - before, 1, "nobody sleeps who must be woken");
    let Next::Sleep(Some(deadline)) = rig.settle() else { panic!("the batch lingers") };
    let left = deadline.saturating_duration_since(Instant::now());
    assert!(left > Duration::from_millis(500) && left <= Duration::from_secs(1), "{left:?}");

    let before = rig.wakes.count();
    for _ in 0..100 {
        drop(rig.handle.try_send(Record::to("orders").partition(0).value("x")).unwrap());
    }
    assert_eq!(rig.wakes.count(), before, "the batch is open and its deadline is known");
    let flush = rig.handle.flush();
    assert_eq!(rig.wakes.count() - before, 1);
    rig.run(flush);
    assert!(rig.run(&mut delivery).is_ok());
}

#[test]
fn a_full_batch_wakes_the_driver_before_its_linger_is_over() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let value = vec![b'x'; 4_000];
    let deliveries: Vec<_> = (0..5)
        .map(|_| rig.handle.try_send(Record::to("orders").partition(0).value(&value)).unwrap())
        .collect();
    let first = deliveries.into_iter().next().unwrap();
    // Not awaited, which would end the linger: only looked at.
    let give_up = Instant::now() + Duration::from_secs(5);
    while !first.is_done() {
        assert!(Instant::now() < give_up, "the full batch was not sent");
        rig.turn();
    }
}

#[test]
fn a_lone_awaited_record_does_not_wait_for_linger() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let delivery = rig.handle.try_send(Record::to("orders").partition(0).value("x")).unwrap();
    let start = Instant::now();
    rig.run(delivery).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Its job comes up when bytes are to be handed out, after all else that there was to do: before
/// the driver sleeps, it must be done.
#[test]
fn a_lone_compressed_record_is_not_left_with_its_job() {
    let mut rig = Rig::new(|config| {
        config.linger = Duration::ZERO;
        config.compression_type = producer_driver::proto::Codec::Lz4;
    });
    let send = |rig: &Rig| rig.handle.send(Record::to("orders").partition(0).value("x"));
    let first = send(&rig);
    let first = rig.run(first).unwrap();
    rig.run(first).unwrap();
    let before = rig.handle.stats().produce_requests;
    let second = send(&rig);
    rig.turn();
    assert_eq!(rig.handle.stats().produce_requests, before + 1);
    drop(second);
}

#[test]
fn an_idle_driver_sleeps_until_a_deadline_that_lies_ahead() {
    let mut rig = Rig::new(|_| ());
    let admission = rig.handle.send(Record::to("orders").value("x"));
    let delivery = rig.run(admission).unwrap();
    rig.run(delivery).unwrap();
    let before = rig.wakes.count();
    for _ in 0..3 {
        let Next::Sleep(deadline) = rig.settle() else { panic!("an idle driver is at work") };
        assert!(deadline.is_none_or(|it| it > Instant::now() + Duration::from_millis(100)));
    }
    assert_eq!(rig.wakes.count(), before);
}

#[test]
fn connections_that_break_come_back_and_are_reported() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| {
        cluster.inject(Rule::on(ApiKey::Produce).close_before());
    });
    let admission = rig.handle.send(Record::to("orders").partition(0).value("x"));
    let delivery = rig.run(admission).unwrap();
    assert_eq!(rig.run(delivery).unwrap().offset, Some(0));
    assert_eq!(rig.net.values("orders", 0), ["x"]);
    assert!(rig.host.notices.iter().any(|event| matches!(event, Event::Broker { .. })));
}

struct Digit;

impl Partitioner for Digit {
    fn partition(
        &mut self,
        _topic: &str,
        key: Option<&[u8]>,
        _value: Option<&[u8]>,
        _partitions: i32,
        _available: &dyn Fn(i32) -> bool,
    ) -> Result<i32, PartitionerError> {
        Ok(i32::from(key.expect("every record has a key")[0] - b'0'))
    }
}

#[test]
fn prt_a_partitioner_that_panics_costs_one_record() {
    let mut rig = Rig::new(|_| ());
    rig.handle.set_partitioner(Digit);
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let refused = rig.handle.try_send(Record::to("orders").value("no key")).unwrap_err();
    assert!(refused.to_string().contains("every record has a key"), "{refused}");
    let missing = rig.handle.try_send(Record::to("orders").key("7")).unwrap_err();
    assert!(matches!(missing.kind(), SendErrorKind::Refused(_)), "{missing}");
    for (key, partition) in [("1", 1), ("0", 0)] {
        let delivery = rig.handle.try_send(Record::to("orders").key(key).value("x")).unwrap();
        assert_eq!(rig.run(delivery).unwrap().partition, partition);
    }
}

#[test]
fn compressed_batches_go_through_jobs() {
    let mut rig = Rig::new(|config| config.compression_type = producer_driver::proto::Codec::Lz4);
    let value = "again and again ".repeat(500);
    let sends: Vec<_> =
        (0..50).map(|_| rig.handle.send(Record::to("orders").partition(0).value(&value))).collect();
    for admission in sends {
        let delivery = rig.run(admission).unwrap();
        rig.run(delivery).unwrap();
    }
    assert_eq!(rig.net.values("orders", 0).len(), 50);
}
