//! CON: connections that end.

use crate::common::*;
use producer_proto::{BrokerState, Event, Persistence, TimerKind};
use producer_sim::{ApiKey, Fate, Rule, World};
use std::collections::BTreeSet;

/// Without idempotence and without retries: what is lost shows at once.
fn bare() -> producer_proto::Config {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.retries = 0;
    config
}

#[test]
fn con_10_idle_close_is_not_an_error() {
    let mut world = warm(3, 3, config());
    world.run_for(secs(60));
    let since = world.now();
    let dials = world.dials().len();
    world.cluster.close_connections(1);
    world.run_for(secs(60));
    assert!(world.links(1).is_empty());
    assert_eq!(world.dials().len(), dials, "nobody needs it");
    assert!(times(&world, ApiKey::Metadata, since).is_empty(), "no metadata storm");
    assert!(connection_failures(&world).is_empty(), "pain 50: no noise");
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(world.dials().len(), dials + 1);
    assert!(outcome(&world, receipt).at() - since < secs(60) + ms(10), "without a backoff");
    world.assert_clean();
}

#[test]
fn con_10_a_connection_idle_beyond_our_own_limit_is_not_used_again() {
    let mut config = config();
    config.connections_max_idle = secs(30);
    let mut world = warm(1, 1, config);
    let old = world.links(1);
    let since = world.now();
    world.run_for(secs(35));
    assert!(world.links(1).is_empty());
    let closed = world.events().filter(|(at, event)| {
        *at >= since && matches!(event, Event::Broker { state: BrokerState::Closed, .. })
    });
    assert_eq!(closed.count(), 1);
    assert!(connection_failures(&world).is_empty());
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_ne!(world.links(1), old);
    world.assert_clean();
}

/// Its idle time begins when the answer has come, so before then there is little to look for.
#[test]
fn con_10_a_connection_with_a_request_under_way_is_looked_at_once_per_idle_time() {
    let mut config = config();
    config.connections_max_idle = ms(100);
    config.request_timeout = secs(10);
    let mut world = warm(1, 1, config);
    world.cluster.inject(Rule::on(ApiKey::Produce).drop_answer());
    world.send_to("t", 0, b"v");
    let end = world.now() + secs(2);
    let mut looks = BTreeSet::new();
    loop {
        if world.producer.timeout_reason() == Some(TimerKind::ConnectionIdle) {
            looks.extend(world.producer.poll_timeout().filter(|at| *at <= end));
        }
        if !world.step(end) {
            break;
        }
    }
    assert!((10..=21).contains(&looks.len()), "{} in 20 idle times", looks.len());
    assert_eq!(world.links(1).len(), 1);
}

#[test]
fn con_11_fin_inside_a_frame() {
    let cut = |world: &mut World| {
        world.cluster.inject(Rule::on(ApiKey::Produce).edit_bytes(|frame| {
            assert!(frame.len() > 40);
            frame.truncate(7);
        }));
        let receipt = world.send_to("t", 0, b"v");
        world.run_for(ms(10));
        world.cluster.close_connections(1);
        receipt
    };
    let reset = |world: &mut World| {
        world.cluster.inject(Rule::on(ApiKey::Produce).drop_answer());
        let receipt = world.send_to("t", 0, b"v");
        world.run_for(ms(10));
        world.reset(1, Fate::Arrive);
        receipt
    };
    let mut ends = Vec::new();
    for lose in [cut as fn(&mut World) -> _, reset] {
        let mut world = warm(3, 3, bare());
        let receipt = lose(&mut world);
        assert!(world.settle());
        let outcome = outcome(&world, receipt);
        let error = outcome.error().unwrap();
        ends.push((error.name(), error.attempts(), outcome.persistence()));
        // With the usual settings it is retried, and there once.
        let mut world = warm(3, 3, config());
        let receipt = lose(&mut world);
        assert!(world.settle());
        assert_delivered(&world, receipt);
        assert_eq!(world.producer.stats().batches_retried, 1);
        world.assert_clean();
        world.assert_exactly_once();
    }
    assert_eq!(ends[0], ("NETWORK_EXCEPTION".into(), 1, Some(Persistence::PossiblyPersisted)));
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn con_12_disconnect_fails_all_in_flight_in_order() {
    let mut world = warm(1, 3, bare());
    world.cluster.inject(Rule::on(ApiKey::Produce).always().hold());
    let receipts: Vec<_> = [2, 0, 1]
        .map(|partition| {
            let receipt = world.send_to("t", partition, b"v");
            world.run_for(ms(3));
            receipt
        })
        .to_vec();
    assert_eq!(world.producer.stats().requests_in_flight, 3);
    world.reset(1, Fate::Lost);
    assert!(world.settle());
    assert_eq!(world.producer.stats().requests_in_flight, 0);
    let failed: Vec<_> = world
        .events()
        .filter_map(|(_, event)| match event {
            Event::Failed { batch, persistence, error, .. } => {
                assert_eq!(*persistence, Persistence::PossiblyPersisted);
                assert_eq!(error.name(), "NETWORK_EXCEPTION");
                Some(*batch)
            }
            _ => None,
        })
        .collect();
    assert_eq!(failed, receipts.iter().map(|receipt| receipt.batch).collect::<Vec<_>>());
    world.assert_clean();
}

#[test]
fn con_14_half_open_peer() {
    let mut world = warm(2, 6, config());
    world.run_for(secs(10));
    world.deafen(1, false, true);
    let since = world.now();
    let receipts: Vec<_> = [0, 2, 4]
        .map(|partition| {
            let receipt = world.send_to("t", partition, b"v");
            world.run_for(ms(100));
            receipt
        })
        .to_vec();
    let dials = world.dials().len();
    assert!(world.settle());
    let failures = connection_failures(&world);
    assert_eq!(failures.len(), 1);
    let (closed, text) = &failures[0];
    assert_eq!(*closed - since, secs(30), "the oldest request's deadline");
    assert!(text.contains("request.timeout.ms"), "{text}");
    assert_eq!(world.producer.stats().requests_timed_out, 3, "all of them together");
    let asked = times(&world, ApiKey::Metadata, since);
    assert_eq!(asked.len(), 1, "one refresh");
    let backoff = world.dials()[dials].at - *closed;
    assert!(backoff >= ms(40) && backoff <= ms(120), "{backoff:?}");
    for receipt in receipts {
        assert_delivered(&world, receipt);
    }
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn con_15_in_flight_limit() {
    let mut world = warm(1, 50, config());
    world.cluster.inject(Rule::on(ApiKey::Produce).always().drop_answer());
    let before = world.cluster.requests_of(ApiKey::Produce).len();
    for partition in 0..50 {
        world.send_to("t", partition, b"v");
        world.run_for(ms(3));
    }
    world.run_for(secs(20));
    assert_eq!(world.cluster.requests_of(ApiKey::Produce).len() - before, 5);
}

#[test]
fn con_16_bounded_connections() {
    let mut world = warm(5, 10, config());
    let mut draw = 1_u64;
    let mut below = |limit: u64| {
        draw = draw.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (draw >> 33) % limit
    };
    for flap in 0..1_000 {
        let broker = 1 + below(5) as i32;
        match below(4) {
            0 => world.reset(broker, Fate::Arrive),
            1 => world.cluster.close_connections(broker),
            2 => world.cluster.set_up(broker, false),
            _ => (1..=5).for_each(|broker| world.cluster.set_up(broker, true)),
        }
        world.send_to("t", below(10) as i32, format!("{flap}").as_bytes());
        world.run_for(ms(below(80)));
        let mut open: Vec<Option<i32>> = world.open_connections().map(|dial| dial.broker).collect();
        let count = open.len();
        open.sort_unstable();
        open.dedup_by(|a, b| a.is_some() && a == b);
        assert_eq!(open.len(), count, "two connections to one broker");
        assert!(open.iter().filter(|broker| broker.is_none()).count() <= 1);
    }
    (1..=5).for_each(|broker| world.cluster.set_up(broker, true));
    assert!(world.settle());
    assert!(world.close(None));
    world.run_for(secs(1));
    // The world itself asserts that nothing is closed twice.
    assert_eq!(world.open_connections().count(), 0);
    assert!(world.producer.stats().connections_opened > 200);
    world.assert_clean();
    world.assert_exactly_once();
}
