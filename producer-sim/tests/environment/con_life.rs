//! CON: whom connections lead to, and how their bytes are read.

use crate::common::*;
use crate::lockstep::Lockstep;
use producer_proto::{DisconnectReason, Input};
use producer_sim::{ApiKey, ResponseError, Rule, World};

#[test]
fn con_13_any_cut_of_the_byte_stream() {
    let session = |cut: usize, piece: usize, write: usize| {
        let mut cluster = cluster(1, 2);
        let rule = Rule::on(ApiKey::Produce);
        cluster.inject(rule.clone().partition("t", 1).error(ResponseError::NotLeaderOrFollower));
        cluster.inject(rule.nth(3).close_before());
        let mut session = Lockstep::new(cluster, config());
        (session.cut, session.piece, session.write) = (cut, piece, write);
        session.learn();
        for i in 0..4 {
            session.push(i % 2, format!("value {i}").as_bytes());
        }
        session.run_for(500);
        assert!(session.cluster.violations().is_empty(), "{:?}", session.cluster.violations());
        assert_eq!(session.producer.stats().records_outstanding, 0);
        session
    };
    let whole = session(usize::MAX, usize::MAX, usize::MAX);
    assert!(whole.received() > 300, "{} bytes", whole.received());
    assert!(whole.events.len() > 4, "{:?}", whole.events);
    let same = |other: Lockstep, what: &str| {
        assert_eq!(other.events, whole.events, "{what}");
        assert_eq!(other.sent, whole.sent, "{what}");
    };
    for cut in 1..whole.received() {
        same(session(cut, usize::MAX, usize::MAX), &format!("cut at {cut}"));
    }
    for size in [1, 2, 3, 5, 100] {
        same(session(usize::MAX, size, usize::MAX), &format!("read {size} at a time"));
        same(session(usize::MAX, usize::MAX, size), &format!("written {size} at a time"));
    }
    same(session(usize::MAX, 1, 1), "byte by byte");
}

/// Takes broker `id` out of every Metadata answer.
fn without_broker(id: i32) -> Rule {
    edit_metadata(move |response| response.brokers.retain(|broker| broker.node_id.0 != id)).always()
}

#[test]
fn con_17_broker_removed() {
    let mut config = config();
    config.metadata_max_age = secs(60);
    let mut world = warm(3, 3, config);
    assert_eq!(world.links(3).len(), 1);
    let gone = world.cluster.inject(without_broker(3));
    world.cluster.move_leader("t", 2, Some(1));
    world.run_for(secs(65));
    assert!(world.links(3).is_empty(), "nothing was in flight");
    let accepted = world.cluster.accepted(3);
    let receipt = world.send_to("t", 2, b"v");
    world.run_for(secs(300));
    assert_delivered(&world, receipt);
    assert_eq!(world.cluster.accepted(3), accepted);
    assert!(connection_failures(&world).is_empty());

    world.cluster.remove_rule(gone);
    world.cluster.move_leader("t", 2, Some(3));
    world.run_for(secs(65));
    let back = world.send_to("t", 2, b"w");
    assert!(world.settle());
    assert_delivered(&world, back);
    assert_eq!(world.links(3).len(), 1);
    assert_eq!(world.producer.stats().batches_retried, 0);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn con_18_same_host_and_port_different_ids() {
    let mut cluster = cluster(3, 3);
    for broker in 1..=3 {
        cluster.set_address(broker, "proxy", 9092);
    }
    let mut config = config();
    config.bootstrap_servers = vec!["proxy:9092".to_owned()];
    let mut world = World::new(cluster, config).unwrap();
    let receipts: Vec<_> = (0..6).map(|i| world.send_to("t", i % 3, b"v")).collect();
    assert!(world.settle());
    for receipt in receipts {
        assert_delivered(&world, receipt);
    }
    let mut meant: Vec<_> = world.open_connections().filter_map(|dial| dial.broker).collect();
    meant.sort_unstable();
    assert_eq!(meant, [1, 2, 3]);
    for request in world.cluster.requests_of(ApiKey::Produce) {
        let leaders = request.batches().iter().map(|batch| leader(&world, batch.partition));
        assert!(leaders.into_iter().all(|leader| leader == request.broker));
    }
    assert_eq!(world.producer.stats().batches_retried, 0);
    world.assert_clean();
}

#[test]
fn con_21_full_duplex() {
    let mut config = config();
    config.batch_size = 1_000_000;
    let mut world = warm(1, 2, config);
    world.set_latency(ms(10));
    world.set_write_window(100_000);
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).hold());
    let early = world.send_to("t", 0, b"v");
    world.run_for(ms(30));
    let large = world.send_to("t", 1, &vec![7; 900_000]);
    world.run_for(ms(25));
    let so_far = world.cluster.requests_of(ApiKey::Produce).len();
    world.cluster.release(world.now(), held);
    world.run_for(ms(11));
    assert_delivered(&world, early);
    assert_eq!(world.cluster.requests_of(ApiKey::Produce).len(), so_far, "half written");
    assert!(world.settle());
    assert_delivered(&world, large);
    assert_eq!(world.producer.stats().batches_retried, 0);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn con_22_late_transport_events() {
    let mut session = Lockstep::new(cluster(1, 1), config());
    session.learn();
    session.push(0, b"first");
    session.run_for(1);
    let (old, _) = session.sent.last_key_value().unwrap();
    let old = *old;
    // It is closed from our side over a frame that nobody asked for.
    session.push(0, b"second");
    let stalled = session.take().unwrap();
    assert_eq!(stalled.0, old);
    session.input(Input::Received { conn: old, bytes: &[0, 0, 0, 4, 9, 9, 9, 9] });
    assert!(session.take().is_none(), "closed, and in backoff");
    session.run_for(500);
    let (new, _) = session.sent.last_key_value().unwrap();
    let new = *new;
    assert_ne!(new, old);
    session.push(0, b"third");
    let (conn, bytes) = session.take().unwrap();
    assert_eq!(conn, new);
    let (events, stale) = (session.events.len(), session.producer.stats().stale_inputs);
    let failed = session.producer.stats().connections_failed;
    let late = |session: &mut Lockstep, conn| {
        session.input(Input::Connected { conn });
        session.input(Input::Received { conn, bytes: &[0, 0, 0, 4, 0, 0, 0, 1] });
        session.input(Input::Written { conn, bytes: 1_000 });
        let kind = producer_proto::ConnectErrorKind::Refused;
        session.input(Input::ConnectFailed { conn, kind });
        let reason = DisconnectReason::Reset;
        session.input(Input::Disconnected { conn, reason });
    };
    late(&mut session, old);
    late(&mut session, producer_proto::ConnectionId(u64::MAX));
    assert!(session.take().is_none());
    assert_eq!(session.events.len(), events);
    assert_eq!(session.producer.stats().stale_inputs, stale + 10);
    assert_eq!(session.producer.stats().connections_failed, failed);
    session.deliver(conn, &bytes);
    session.run_for(1);
    assert_eq!(session.producer.stats().records_delivered, 3);
    assert_eq!(session.cluster.log_end("t", 0), 3);
}
