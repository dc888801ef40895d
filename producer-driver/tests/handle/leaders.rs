//! Leaders: brought up before they are needed, and given up on when they cannot be found.

use std::time::{Duration, Instant};

use producer_driver::{CircuitBreaker, Record, SendErrorKind, WaitingFor};
use producer_sim::{ApiKey, TopicConfig};

use crate::rig::{Rig, is_ready};

fn record(value: &str) -> Record<'_> {
    Record::to("orders").partition(0).value(value)
}

#[test]
fn a_warm_topic_takes_its_first_record_without_waiting() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| cluster.create_topic("more", TopicConfig::new(3)));
    let warm_up = rig.handle.warm_up(&["orders", "more"]);
    rig.run(warm_up).unwrap();
    let requests = |rig: &Rig| rig.net.with(|cluster| cluster.requests_of(ApiKey::Metadata).len());
    let before = requests(&rig);
    assert_eq!(rig.handle.stats().connections_ready, 1, "the leader's, not the bootstrap's");
    for topic in ["orders", "more"] {
        let delivery = rig.handle.try_send(Record::to(topic).value("x")).unwrap();
        rig.run(delivery).unwrap();
    }
    assert_eq!(requests(&rig), before);
    assert_eq!(rig.handle.stats().connections_opened, 2);
    // What is up is up; nothing is no work.
    for topics in [&["orders"][..], &[]] {
        let mut again = rig.handle.warm_up(topics);
        rig.turn();
        assert!(is_ready(&mut again));
    }
}

#[test]
fn a_warm_up_waits_for_a_leader_that_comes_late() {
    let mut rig = Rig::new(|config| config.retry_backoff = Some(Duration::from_millis(5)));
    rig.net.with(|cluster| cluster.move_leader("orders", 1, None));
    let mut warm_up = rig.handle.warm_up(&["orders"]);
    for _ in 0..20 {
        rig.turn();
        assert!(!is_ready(&mut warm_up), "partition 1 has no leader");
    }
    let warm_up = rig.handle.warm_up(&["orders"]);
    rig.net.with(|cluster| cluster.move_leader("orders", 1, Some(1)));
    rig.run(warm_up).unwrap();
}

#[test]
fn a_warm_up_that_cannot_be_says_why() {
    let mut rig = Rig::new(|config| config.max_block = Duration::from_millis(40));
    let invalid = rig.handle.warm_up(&["orders", "or ders"]);
    assert!(matches!(rig.run(invalid).unwrap_err().kind(), SendErrorKind::InvalidTopic(_)));
    rig.net.with(|cluster| cluster.move_leader("orders", 1, None));
    let leaderless = rig.handle.warm_up(&["orders"]);
    let error = rig.run(leaderless).unwrap_err();
    let SendErrorKind::Timeout { waiting_for, .. } = error.kind() else { panic!("{error}") };
    assert_eq!(*waiting_for, WaitingFor::Leaders);
    let unknown = rig.handle.warm_up(&["unknown"]);
    let error = rig.run(unknown).unwrap_err();
    assert!(error.to_string().contains("unknown"), "{error}");

    let waiting = rig.handle.warm_up(&["orders"]);
    let close = rig.handle.close(None);
    assert_eq!(*rig.run(waiting).unwrap_err().kind(), SendErrorKind::Closed);
    rig.run(close);
    let late = rig.handle.warm_up(&["orders"]);
    assert_eq!(*rig.run(late).unwrap_err().kind(), SendErrorKind::Closed);
}

#[test]
fn a_circuit_opens_after_failures_in_a_row_and_one_probe_closes_it() {
    let mut rig = Rig::new(|config| config.max_block = Duration::from_millis(20));
    let open_for = Duration::from_millis(200);
    rig.handle.set_circuit_breaker(Some(CircuitBreaker { failures: 2, open_for }));
    rig.net.with(|cluster| cluster.set_hidden("orders", true));
    for _ in 0..2 {
        let admission = rig.handle.send(record("x"));
        let error = rig.run(admission).unwrap_err();
        assert!(!matches!(error.kind(), SendErrorKind::CircuitOpen { .. }), "{error}");
    }
    let start = Instant::now();
    let mut refused = rig.handle.send(record("x"));
    let error = rig.run(&mut refused).unwrap_err();
    let SendErrorKind::CircuitOpen { failures, cause, .. } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(*failures, 2);
    assert!(cause.contains("orders"), "the last cause is told: {cause}");
    let error = rig.handle.try_send(record("x")).unwrap_err();
    assert_eq!(error.name(), "CIRCUIT_OPEN");
    // Another topic is not touched.
    rig.net.with(|cluster| cluster.create_topic("healthy", TopicConfig::new(1)));
    let warm_up = rig.handle.warm_up(&["healthy"]);
    rig.run(warm_up).unwrap();
    let delivery = rig.handle.try_send(Record::to("healthy").value("x")).unwrap();
    rig.run(delivery).unwrap();

    rig.net.with(|cluster| cluster.set_hidden("orders", false));
    let give_up = start + Duration::from_secs(5);
    let probe = loop {
        assert!(Instant::now() < give_up, "no probe was let through");
        let admission = rig.handle.send(record("probe"));
        match rig.run(admission) {
            Ok(delivery) => break delivery,
            Err(_) => rig.turn(),
        }
    };
    rig.run(probe).unwrap();
    for _ in 0..3 {
        let delivery = rig.handle.try_send(record("after")).unwrap();
        rig.run(delivery).unwrap();
    }
}

#[test]
fn batches_that_expire_without_a_leader_open_the_circuit() {
    let mut rig = Rig::new(|config| {
        config.delivery_timeout = Some(Duration::from_millis(30));
        config.request_timeout = Duration::from_millis(20);
    });
    let open_for = Duration::from_secs(60);
    rig.handle.set_circuit_breaker(Some(CircuitBreaker { failures: 1, open_for }));
    let count = rig.handle.partitions_for("orders");
    rig.net.with(|cluster| cluster.move_leader("orders", 0, None));
    rig.run(count).unwrap();
    let delivery = rig.handle.try_send(record("x")).unwrap();
    rig.run(delivery).unwrap_err();
    let error = rig.handle.try_send(record("x")).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::CircuitOpen { .. }), "{error}");
}

#[test]
fn a_lone_record_lingers_if_that_is_asked_for() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_millis(40));
    rig.handle.set_expedite(false);
    let warm_up = rig.handle.warm_up(&["orders"]);
    rig.run(warm_up).unwrap();
    let start = Instant::now();
    let delivery = rig.handle.try_send(record("x")).unwrap();
    rig.run(delivery).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(40));
}
