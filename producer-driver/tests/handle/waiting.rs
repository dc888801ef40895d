//! Tickets: order, bounds, deadlines, and callers who go away.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use producer_driver::proto::ProduceErrorKind;
use producer_driver::{Admission, Record, SendErrorKind, WaitingFor};
use producer_sim::{ApiKey, Rule, TopicConfig};

use crate::rig::{Rig, is_ready, poll_once};

fn send(rig: &Rig, topic: &str, value: &str) -> Admission {
    rig.handle.send(Record::to(topic).partition(0).value(value))
}

#[test]
fn cls_01_a_flush_covers_records_that_wait_for_their_topic() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let mut admitted: Vec<_> = (0..20).map(|i| send(&rig, "orders", &format!("{i:02}"))).collect();
    assert!(!is_ready(&mut admitted[0]), "nothing is known about the topic yet");
    let flush = rig.handle.flush();
    rig.run(flush);
    for admission in admitted {
        assert!(rig.run(admission).unwrap().is_done());
    }
    let expected: Vec<_> = (0..20).map(|i| format!("{i:02}")).collect();
    assert_eq!(rig.net.values("orders", 0), expected);
}

#[test]
fn a_flush_of_nothing_is_done_at_once() {
    let mut rig = Rig::new(|_| ());
    let flush = rig.handle.flush();
    rig.turn();
    assert!(is_ready(&mut { flush }));
}

#[test]
fn mem_sends_that_wait_for_memory_are_admitted_in_the_order_of_the_calls() {
    let mut rig = Rig::new(|config| {
        config.buffer_memory = 64 * 1024;
        config.batch_size = 4 * 1024;
    });
    // One record in a hundred and fifty is big: it must not be overtaken by the small ones.
    let padding = |i: usize| if i.is_multiple_of(150) { 9_000 } else { 100 };
    let value = |i: usize| format!("{i:05}{}", "x".repeat(padding(i)));
    let total = 600;
    let mut admitted: Vec<_> = (0..total).map(|i| Some(send(&rig, "orders", &value(i)))).collect();
    let refused = rig.handle.try_send(Record::to("orders").partition(0).value("late"));
    assert!(matches!(refused.unwrap_err().kind(), SendErrorKind::NotReady));
    // Callers go away in between.
    for place in (0..total).step_by(7) {
        admitted[place] = None;
    }

    let mut expected = Vec::new();
    for (i, admission) in admitted.into_iter().enumerate() {
        let Some(admission) = admission else { continue };
        match rig.run(admission) {
            Ok(_) => expected.push(value(i)),
            Err(error) => {
                assert!(matches!(error.kind(), SendErrorKind::TooManyWaiting { .. }), "{error}");
            }
        }
    }
    assert!(expected.len() > 100, "the queue holds about as much as the buffer memory");
    let flush = rig.handle.flush();
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0), expected);
}

#[test]
fn some_records_are_sent_up_to_the_first_that_waits_and_then_the_rest() {
    let mut rig = Rig::new(|config| {
        config.buffer_memory = 64 * 1024;
        config.batch_size = 4 * 1024;
    });
    let values: Vec<_> = (0..2_000).map(|i| format!("{i:05}{}", "x".repeat(100))).collect();
    let mut records: Vec<_> =
        values.iter().map(|value| Record::to("orders").partition(0).value(value)).collect();
    // Refused at once, and in nobody's way.
    records.insert(1_000, Record::to("orders").partition(-1).value("never"));
    assert!(rig.handle.send_some(&[]).is_empty());

    let (mut left, mut calls, mut results) = (&records[..], 0, Vec::new());
    while !left.is_empty() {
        let mut sent = rig.handle.send_some(left);
        left = &left[sent.len()..];
        let last = sent.pop().expect("one at least");
        assert!(calls > 0 || sent.is_empty(), "nothing is known about the topic yet");
        calls += 1;
        let ready = sent.into_iter().map(|admission| match poll_once(pin!(admission)) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("only the last may wait"),
        });
        results.extend(ready);
        results.push(rig.run(last));
    }
    assert!(calls > 3, "2,000 records do not fit into the memory at once");
    let refused: Vec<_> = results.iter().map(Result::is_err).collect();
    assert_eq!(refused.iter().position(|is_err| *is_err), Some(1_000));
    assert_eq!(refused.iter().filter(|is_err| **is_err).count(), 1);
    let flush = rig.handle.flush();
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0), values);
}

#[test]
fn max_block_ends_the_wait_with_the_topic_and_the_cause() {
    let mut rig = Rig::new(|config| config.max_block = Duration::from_millis(30));
    rig.net.with(|cluster| cluster.set_up(1, false));
    let start = Instant::now();
    let admission = send(&rig, "orders", "x");
    let count = rig.handle.partitions_for("orders");
    let error = rig.run(admission).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(error.topic(), "orders");
    let SendErrorKind::Timeout { waiting_for, cause, .. } = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(*waiting_for, WaitingFor::Metadata);
    let cause = cause.as_deref().expect("connecting has failed");
    assert!(cause.contains("broker-1:9092"), "{cause}");
    assert!(error.to_string().contains("orders") && error.to_string().contains("max.block.ms"));
    let error = rig.run(count).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Timeout { .. }));
}

#[test]
fn max_block_of_zero_does_not_wait() {
    let mut rig = Rig::new(|config| config.max_block = Duration::ZERO);
    let mut admission = send(&rig, "orders", "x");
    let result = rig.run(&mut admission);
    assert!(matches!(result.unwrap_err().kind(), SendErrorKind::Timeout { .. }));
}

#[test]
fn a_partition_below_zero_is_refused_at_once_whoever_waits() {
    let rig = Rig::new(|_| ());
    let mut waits = send(&rig, "orders", "x");
    assert!(!is_ready(&mut waits), "nothing is known of the topic");
    let refused = rig.handle.try_send(Record::to("orders").partition(-1).value("y"));
    assert_eq!(refused.unwrap_err().name(), "INVALID_PARTITION");
    let mut refused = rig.handle.send(Record::to("orders").partition(-1).value("y"));
    assert!(is_ready(&mut refused));
}

#[test]
fn a_partition_that_does_not_exist_holds_up_nobody_else() {
    let mut rig = Rig::new(|config| config.max_block = Duration::from_millis(40));
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let missing = rig.handle.send(Record::to("orders").partition(9).value("never"));
    let mut other = send(&rig, "orders", "x");
    assert!(is_ready(&mut other));
    let error = rig.run(missing).unwrap_err();
    let expected = WaitingFor::Partition { partition: 9, count: 2 };
    assert!(
        matches!(error.kind(), SendErrorKind::Timeout { waiting_for, .. } if *waiting_for == expected),
        "{error}"
    );

    let negative = rig.handle.send(Record::to("orders").partition(-1).value("never"));
    let error = rig.run(negative).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Refused(_)) && error.to_string().contains("-1"));
}

/// The cluster is asked again and again for as long as a record may wait, as Java's producer does.
#[test]
fn a_partition_that_comes_later_takes_the_records_that_waited_for_it() {
    let mut rig = Rig::new(|_| ());
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let asked = rig.handle.stats().metadata_requests;
    let values = ["a", "b", "c"];
    let sends = values.map(|it| rig.handle.send(Record::to("orders").partition(5).value(it)));
    // It is not there when the cluster is asked for the first time.
    let handle = rig.handle.clone();
    rig.run(poll_fn(|_| match handle.stats() {
        stats if stats.metadata_requests > asked && stats.requests_in_flight == 0 => {
            Poll::Ready(())
        }
        _ => Poll::Pending,
    }));
    rig.net.with(|cluster| cluster.set_partitions("orders", 6));
    for admission in sends {
        let delivery = rig.run(admission).unwrap();
        rig.run(delivery).unwrap();
    }
    assert_eq!(rig.net.values("orders", 5), values);
}

#[test]
fn a_caller_who_goes_away_takes_the_record_along_and_no_other() {
    let mut rig = Rig::new(|_| ());
    let mut admitted: Vec<_> =
        (0..50).map(|i| Some(send(&rig, "orders", &format!("{i:02}")))).collect();
    for place in (0..50).step_by(3) {
        admitted[place] = None;
    }
    let flush = rig.handle.flush();
    rig.run(flush);
    let expected: Vec<_> = (0..50).filter(|i| i % 3 != 0).map(|i| format!("{i:02}")).collect();
    assert_eq!(rig.net.values("orders", 0), expected);
}

#[test]
fn dropping_a_delivery_or_a_flush_changes_nothing() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let admission = send(&rig, "orders", "x");
    drop(rig.run(admission).unwrap());
    drop(rig.handle.flush());
    while rig.net.values("orders", 0).is_empty() {
        rig.turn();
    }
}

#[test]
fn too_large_records_are_refused_before_they_wait() {
    let mut rig = Rig::new(|_| ());
    let value = vec![0; 2 << 20];
    let admission = rig.handle.send(Record::to("orders").value(&value));
    let error = rig.run(admission).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Refused(_)));
    assert!(error.to_string().contains("max.request.size"), "{error}");
    let invalid = rig.handle.send(Record::to("").value("x"));
    let error = rig.run(invalid).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::InvalidTopic(_)), "{error}");
}

#[test]
fn cls_10_abort_drops_what_waits_and_what_is_queued_but_not_what_is_on_its_way() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let rule = Rule::on(ApiKey::Produce).hold();
    let rule = rig.net.with(|cluster| {
        cluster.create_topic("held", TopicConfig::new(1));
        cluster.inject(rule)
    });
    let admission = send(&rig, "orders", "on its way");
    let on_its_way = rig.run(admission).unwrap();
    let flush = rig.handle.flush();
    while rig.net.values("orders", 0).is_empty() {
        rig.turn();
    }
    let admission = send(&rig, "orders", "queued");
    let queued = rig.run(admission).unwrap();
    let waiting = send(&rig, "unknown-so-far", "waits");
    rig.handle.abort_queued();

    assert_eq!(*rig.run(waiting).unwrap_err().kind(), SendErrorKind::Aborted);
    let error = rig.run(queued).unwrap_err();
    assert_eq!(error.error.kind(), ProduceErrorKind::Aborted);
    let now = rig.net.now();
    rig.net.with(|cluster| cluster.release(now, rule));
    assert!(rig.run(on_its_way).is_ok());
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0), ["on its way"]);
}
