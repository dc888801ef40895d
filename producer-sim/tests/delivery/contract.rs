//! The contract of the core, rule by rule: each test breaks when its rule is broken.

use crate::direct::{Direct, Pending, Poll};
use crate::rig::*;
use producer_proto::Persistence::{NotPersisted, PossiblyPersisted};
use producer_proto::{
    Cancel, ConnectionId, DisconnectReason, ErrorCode, Event, Input, Instant, ProduceErrorKind,
};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Cut, Fate, ReceivedRequest, ResponseError, Rule, TopicConfig,
    World,
};
use std::time::Duration;

const ORDERS: [[Poll; 3]; 6] = [
    [Poll::Transmit, Poll::Action, Poll::Event],
    [Poll::Transmit, Poll::Event, Poll::Action],
    [Poll::Action, Poll::Transmit, Poll::Event],
    [Poll::Action, Poll::Event, Poll::Transmit],
    [Poll::Event, Poll::Transmit, Poll::Action],
    [Poll::Event, Poll::Action, Poll::Transmit],
];

#[test]
fn contract_01_bad_bytes_close_that_connection_and_others_go_on() {
    let bad: [&[u8]; 4] =
        [b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0xff; 20], &[0; 8], &[0, 0, 0, 1, 7]];
    for bytes in bad {
        let mut world = warm(2, 2, config());
        let rule = Rule::on(ApiKey::Produce).partition("t", 0);
        world.cluster.inject(rule.edit_bytes(move |frame| *frame = bytes.to_vec()));
        let (old, other) = (world.links(leader(&world, 0)), leader(&world, 1));
        let elsewhere = world.links(other);
        let first = batch(&mut world, 0, &["a"])[0];
        let second = batch(&mut world, 1, &["b"])[0];
        world.run_for(ms(2));
        assert!(is_delivered(&world, second), "the other broker is not concerned");
        assert!(settle(&mut world));
        assert!(is_delivered(&world, first));
        assert_eq!(world.links(other), elsewhere);
        assert_ne!(world.links(leader(&world, 0)), old);
        assert_eq!(world.values("t", 0), ["warm", "a"]);
        world.assert_clean();
    }
}

#[test]
fn contract_02_an_earlier_now_counts_as_the_last_one() {
    let mut world = warm(1, 1, config());
    world.cluster.set_up(1, false);
    world.run_for(Duration::from_secs(60));
    let early = Instant::from_millis(5);
    batch(&mut world, 0, &["first"]);
    let before = (world.producer.poll_timeout(), world.trace_hash());
    world.producer.handle_input(early, Input::Timeout);
    assert!(world.producer.poll_transmit(early).is_none());
    world.producer.flush(early);
    world.drain();
    assert_eq!((world.producer.poll_timeout(), world.trace_hash()), before);
    // A record pushed with an early clock is as old as one that was pushed with the last one.
    assert!(settle(&mut world));
    let late = world.now();
    let topic = world.topic("t");
    let record = producer_proto::Record {
        topic,
        partition: Some(0),
        timestamp: 0,
        key: None,
        value: Some(b"second"),
        headers: &[],
    };
    world.producer.push(early, &record).unwrap();
    assert_eq!(world.producer.stats().batches_expired, 1);
    world.producer.handle_input(late + Duration::from_secs(119), Input::Timeout);
    assert_eq!(world.producer.stats().batches_expired, 1);
    world.producer.handle_input(late + Duration::from_secs(120), Input::Timeout);
    assert_eq!(world.producer.stats().batches_expired, 2);
    // Any jump forward is a normal input.
    world.producer.handle_input(late + Duration::from_secs(1 << 40), Input::Timeout);
    world.producer.handle_input(Instant::MAX, Input::Timeout);
}

#[test]
fn contract_03_neither_the_order_of_polls_nor_their_number_changes_outcomes() {
    let run = |order, drain_each| {
        let mut direct = Direct::new(3, config(), order);
        let errors = [ResponseError::NotEnoughReplicas, ResponseError::NotLeaderOrFollower];
        for (partition, error) in (0..3).zip(errors.into_iter().cycle()) {
            let rule = Rule::on(ApiKey::Produce).partition("t", partition).nth(2);
            direct.cluster.inject(rule.error(error));
        }
        let rule = Rule::on(ApiKey::Produce).partition("t", 1);
        direct.cluster.inject(rule.nth(4).error(ResponseError::InvalidRecord));
        for i in 0..60 {
            direct.push(i % 3, i.to_string().as_bytes());
            if i % 6 == 5 {
                direct.run_for(ms(5), drain_each);
            }
        }
        direct.run_for(Duration::from_secs(10), drain_each);
        let mut outcomes = Vec::new();
        for event in &direct.events {
            match event {
                Event::Delivered { partition, records, base_offset, .. } => {
                    let base = base_offset.unwrap();
                    let records = records.clone().zip(0_i64..);
                    outcomes.extend(records.map(|(_, i)| (*partition, Some(base + i))));
                }
                Event::Failed { partition, records, .. } => {
                    outcomes.extend(records.clone().map(|_| (*partition, None)));
                }
                _ => {}
            }
        }
        assert_eq!(outcomes.len(), 60);
        outcomes.sort_unstable();
        let values =
            |p| direct.cluster.log("t", p).into_iter().map(|r| r.value).collect::<Vec<_>>();
        (outcomes, [0, 1, 2].map(values))
    };
    let first = run(ORDERS[0], true);
    assert!(first.0.iter().any(|(_, offset)| offset.is_none()), "one batch was refused");
    for order in ORDERS {
        for drain_each in [true, false] {
            assert_eq!(run(order, drain_each), first, "{order:?}, after each input: {drain_each}");
        }
    }
}

#[test]
fn contract_04_a_timeout_is_used_up() {
    // The world asserts at every timeout that the next one lies in the future; here every delay
    // is as short as it may be.
    let troubles: [fn(&mut World); 5] = [
        |world| world.cluster.set_up(1, false),
        |world| world.deafen(1, true, true),
        |world| world.cluster.move_leader("t", 0, None),
        |world| refuse_always(world, ResponseError::NotEnoughReplicas),
        |world| refuse_always(world, ResponseError::NotLeaderOrFollower),
    ];
    for (i, trouble) in troubles.into_iter().enumerate() {
        let mut config = config();
        config.linger = Duration::ZERO;
        config.request_timeout = ms(100);
        config.delivery_timeout = Some(ms(300));
        config.retry_backoff = Some(Duration::ZERO);
        config.retry_backoff_max = Some(Duration::ZERO);
        config.reconnect_backoff = Some(ms(1));
        config.reconnect_backoff_max = Some(ms(1));
        let mut world = warm(1, 1, config);
        trouble(&mut world);
        batch(&mut world, 0, &["v"]);
        let end = world.now() + ms(1_000);
        let mut steps = 0;
        while world.step(end) {
            steps += 1;
            assert!(steps < 5_000, "trouble {i}: too many steps in a second");
        }
        assert_eq!(world.open_records(), 0, "trouble {i}");
    }
}

fn refuse_always(world: &mut World, error: ResponseError) {
    world.cluster.inject(Rule::on(ApiKey::Produce).always().error(error));
}

#[test]
fn contract_05_inputs_for_unknown_connections_are_counted_and_change_nothing() {
    let run = |noise: bool| {
        let mut world = warm(2, 2, config());
        let closed = world.links(1)[0];
        world.reset(1, Fate::Lost);
        world.run_for(ms(200));
        for i in 0..20 {
            batch(&mut world, i % 2, &[&i.to_string()]);
            if noise {
                let (now, before) = (world.now(), world.producer.stats().stale_inputs);
                for conn in [closed, ConnectionId(9_999), ConnectionId(u64::MAX)] {
                    let bytes = &[0, 0, 0, 4, 0, 0, 0, 1][..];
                    let kind = producer_proto::ConnectErrorKind::Refused;
                    let reason = DisconnectReason::Reset;
                    world.producer.handle_input(now, Input::Connected { conn });
                    world.producer.handle_input(now, Input::ConnectFailed { conn, kind });
                    world.producer.handle_input(now, Input::Received { conn, bytes });
                    world.producer.handle_input(now, Input::Written { conn, bytes: 7 });
                    world.producer.handle_input(now, Input::Disconnected { conn, reason });
                }
                assert_eq!(world.producer.stats().stale_inputs, before + 15);
            }
            world.run_for(ms(3));
        }
        assert!(settle(&mut world));
        world.assert_clean();
        world.trace_hash()
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn contract_05_what_a_closed_connection_holds_comes_back_with_its_end() {
    let mut direct = Direct::new(1, one_second(), ORDERS[0]);
    direct.push(0, b"warm");
    direct.run_for(ms(100), true);
    direct.cluster.inject(Rule::on(ApiKey::Produce).hold());
    direct.push(0, b"v");
    direct.run_for(ms(100), true);
    // Its delivery timeout and the request's fall on about the same moment.
    direct.now = direct.now + Duration::from_secs(2);
    direct.producer.handle_input(direct.now, Input::Timeout);
    direct.drain();
    assert!(matches!(direct.pending.front(), Some(Pending::Gone(..))), "the connection is closed");
    assert_eq!(direct.producer.stats().records_outstanding, 0, "the outcome is told");
    let stats = direct.producer.stats();
    assert!(stats.lent_bytes > 0 && stats.buffered_bytes > 0, "the transport may have the bytes");
    assert!(direct.tell());
    let stats = direct.producer.stats();
    assert_eq!((stats.lent_bytes, stats.buffered_bytes), (0, 0));
}

#[test]
fn contract_06_the_cut_of_the_inbound_stream_changes_nothing() {
    let run = |cut: Cut, drain_twice: bool| {
        let mut world = world(2, 2, config());
        world.set_cut(cut);
        let rule = Rule::on(ApiKey::Produce).nth(3).error(ResponseError::NotLeaderOrFollower);
        world.cluster.inject(rule);
        for i in 0..20 {
            world.send_to("t", i % 2, i.to_string().as_bytes());
            let end = world.now() + ms(2);
            while world.step(end) {
                if drain_twice {
                    world.drain();
                    world.drain();
                }
            }
        }
        assert!(settle(&mut world));
        world.assert_clean();
        let requests: Vec<ReceivedRequest> = world.cluster.requests().cloned().collect();
        let outcomes: Vec<_> = world.outcomes().map(|(r, o)| (r, o.cloned())).collect();
        (requests, outcomes, world.trace_hash())
    };
    let whole = run(Cut::Whole, false);
    assert_eq!(run(Cut::Whole, true), whole, "drains at drained points");
    for cut in [1, 2, 3, 4, 5, 11, 64].map(Cut::Every).into_iter().chain([-1, 0, 1].map(Cut::Edge))
    {
        let (requests, outcomes, _) = run(cut, false);
        assert_eq!(requests, whole.0, "{cut:?}: other bytes");
        assert_eq!(outcomes, whole.1, "{cut:?}");
    }
}

#[test]
fn contract_07_outcomes_are_told_at_once_and_memory_follows() {
    // The broker reads ten bytes and then nothing: most of the request is still in the outbox.
    let mut world = warm(1, 1, config());
    world.set_write_window(10);
    world.deafen(1, true, true);
    let lent = batch(&mut world, 0, &["handed out"])[0];
    world.run_for(ms(5));
    let kept = batch(&mut world, 0, &["not handed out"])[0];
    world.run_for(ms(5));
    let now = world.now();
    world.producer.close(now, Some(now + ms(50)));
    world.run_for(ms(50));
    // Handed out is what counts, not written.
    assert_eq!(failure(&world, lent).1, PossiblyPersisted);
    assert_eq!(failure(&world, kept).1, NotPersisted);
    let (at, last) = world.events().next_back().unwrap();
    assert!(matches!(last, Event::Closed));
    assert_eq!(at, now + ms(50), "at the deadline");
    world.run_for(ms(50));
    assert_empty(&world);
}

#[test]
fn contract_08_a_stamped_batch_is_frozen() {
    let mut world = warm(1, 1, config());
    for error in [ResponseError::NotEnoughReplicas, ResponseError::NotLeaderOrFollower] {
        refuse(&mut world, error);
    }
    let stamped = batch(&mut world, 0, &["a", "b"]);
    world.run_for(ms(10));
    // Neither later records nor a cancellation get into it.
    let later = batch(&mut world, 0, &["c"])[0];
    let now = world.now();
    assert_eq!(world.producer.cancel(now, stamped[0]), Cancel::TooLate);
    assert_ne!(later.batch, stamped[0].batch);
    assert!(settle(&mut world));
    let sent: Vec<_> =
        batches(&world, 0)[1..].iter().map(|b| (b.digest, b.header.clone())).collect();
    assert_eq!(sent.len(), 4);
    assert!(sent[..3].iter().all(|again| *again == sent[0]), "three times the same bytes");
    world.assert_exactly_once();
}

#[test]
fn contract_08_what_may_be_in_the_log_is_not_cut_up() {
    let mut world = warm(1, 1, config());
    let rule = || Rule::on(ApiKey::Produce).partition("t", 0);
    world.cluster.inject(rule().close_after());
    world.cluster.inject(rule().error(ResponseError::MessageTooLarge));
    let receipts = batch(&mut world, 0, &["a", "b"]);
    assert!(settle(&mut world));
    let too_large = ProduceErrorKind::Kafka(ErrorCode::MESSAGE_TOO_LARGE);
    for receipt in receipts {
        assert_eq!(failure(&world, receipt), (too_large, PossiblyPersisted));
    }
    assert_eq!(world.values("t", 0), ["warm", "a", "b"], "once");
    world.assert_exactly_once();
}

#[test]
fn contract_09_idle_polls_and_single_records_do_not_see_idle_partitions() {
    // With work per partition this would take minutes.
    let partitions = 20_000;
    let mut cluster = Cluster::new(ClusterConfig::new(3).bounded());
    cluster.create_topic("t", TopicConfig::new(partitions));
    let mut world = World::new(cluster, config()).unwrap();
    world.send_to("t", 0, b"warm");
    assert!(settle(&mut world));
    let now = world.now();
    for _ in 0..200_000 {
        assert!(world.producer.poll_transmit(now).is_none());
        assert!(world.producer.poll_action().is_none());
        assert!(world.producer.poll_event().is_none());
        assert!(world.producer.poll_timeout().is_some());
        assert!(!world.producer.has_output());
    }
    for partition in 0..2_000 {
        world.try_push(&to(partition, b"v")).unwrap();
        world.run_for(ms(3));
    }
    assert!(settle(&mut world));
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
}

#[test]
fn contract_11_successes_come_in_order_and_failures_may_come_earlier() {
    let mut world = warm(1, 1, config());
    let rule = |nth| Rule::on(ApiKey::Produce).partition("t", 0).nth(nth);
    world.cluster.inject(rule(1).error_after(ResponseError::RequestTimedOut));
    let records: Vec<_> =
        ["a", "b", "c"].map(|value| batch(&mut world, 0, &[value])[0]).into_iter().collect();
    world.run_for(ms(10));
    let unsent = batch(&mut world, 0, &["d"])[0];
    let now = world.now();
    world.producer.abort_queued(now);
    world.drain();
    assert!(world.outcome(unsent).is_some(), "a failure does not wait");
    assert!(records.iter().all(|r| world.outcome(*r).is_none()), "two wait for the first");
    assert!(settle(&mut world));
    let told = world.events().filter_map(|(_, event)| match event {
        Event::Delivered { batch, .. } => Some(*batch),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(told.len(), 4);
}

#[test]
fn contract_11_nothing_goes_to_a_broker_that_is_known_not_to_lead() {
    for hints in [true, false] {
        let mut settings = ClusterConfig::new(2);
        settings.leader_hints = hints;
        let mut cluster = Cluster::new(settings);
        cluster.create_topic("t", TopicConfig::new(2));
        let mut world = World::new(cluster, config()).unwrap();
        for partition in 0..2 {
            world.send_to("t", partition, b"warm");
            assert!(settle(&mut world));
        }
        let old = leader(&world, 0);
        world.cluster.move_leader("t", 0, Some(3 - old));
        let before = world.cluster.request_count();
        // Metadata is of no help for a while.
        world.cluster.freeze_metadata(1, true);
        world.cluster.freeze_metadata(2, true);
        for i in 0..10 {
            batch(&mut world, 0, &[&i.to_string()]);
            world.run_for(ms(100));
        }
        world.cluster.freeze_metadata(1, false);
        world.cluster.freeze_metadata(2, false);
        assert!(settle(&mut world));
        let to_old = |request: &&ReceivedRequest| {
            request.broker == old && request.batches().iter().any(|b| b.partition == 0)
        };
        let asked = world.cluster.requests().skip(before as usize).filter(to_old).count();
        assert!(asked <= 1, "hints {hints}: {asked} requests after the first refusal");
        assert_eq!(world.values("t", 0).len(), 11);
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn contract_11_what_waits_for_its_turn_at_the_old_leader_goes_to_the_new_one() {
    let mut config = config();
    config.max_in_flight_requests_per_connection = 1;
    config.metadata_max_age = ms(200);
    let mut world = warm(2, 3, config);
    let (old, new) = (leader(&world, 0), leader(&world, 1));
    assert_eq!(leader(&world, 2), old);
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 2).hold());
    batch(&mut world, 2, &["in flight"]);
    world.run_for(ms(2));
    let waiting = batch(&mut world, 0, &["waits"])[0];
    world.cluster.move_leader("t", 0, Some(new));
    world.run_for(Duration::from_secs(1));
    release(&mut world, held);
    assert!(settle(&mut world));
    assert!(is_delivered(&world, waiting));
    let asked: Vec<i32> = produces(&world)
        .iter()
        .filter(|request| request.batches().iter().any(|batch| batch.partition == 0))
        .map(|request| request.broker)
        .collect();
    assert_eq!(asked, [old, new], "the first record, and the one that waited");
    world.assert_clean();
}
