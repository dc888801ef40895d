//! RET: retries and timeouts.

use crate::rig::*;
use producer_proto::Persistence::{NotPersisted, PossiblyPersisted};
use producer_proto::{Cancel, ErrorCode, Event, Input, ProduceErrorKind, TimerKind};
use producer_sim::{ApiKey, Instant, NewRecord, ResponseError, Rule, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn kafka(code: ErrorCode) -> ProduceErrorKind {
    ProduceErrorKind::Kafka(code)
}

/// Times between the arrivals of Produce requests, less the time on the way.
fn gaps(world: &World) -> Vec<u128> {
    let times: Vec<Instant> = produces(world).into_iter().map(|request| request.at).collect();
    times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis() - 2).collect()
}

#[test]
fn ret_02_backoff_schedule() {
    let mut world = world(1, 1, config());
    let rule = Rule::on(ApiKey::Produce).always().error(ResponseError::NotEnoughReplicas);
    world.cluster.inject(rule);
    world.send_to("t", 0, b"v");
    world.run_for(ms(6_000));
    for (gap, nominal) in gaps(&world).into_iter().zip([100, 200, 400, 800, 1000, 1000]) {
        assert!((nominal * 8 / 10..=nominal * 12 / 10).contains(&gap), "{gap} for {nominal} ms");
    }
    assert!(gaps(&world).len() >= 6);
}

#[test]
fn ret_02_two_that_are_refused_one_after_the_other_wait_from_the_later_refusal() {
    let mut world = warm(1, 1, config());
    let refusal = || Rule::on(ApiKey::Produce).error(ResponseError::NotEnoughReplicas);
    world.cluster.inject(refusal());
    world.cluster.inject(refusal().delay(ms(60)));
    let since = world.now();
    let first = batch(&mut world, 0, &["a"]);
    let second = batch(&mut world, 0, &["b"]);
    assert!(settle(&mut world));
    assert!(is_delivered(&world, first[0]) && is_delivered(&world, second[0]));
    let requests = produces(&world).into_iter().filter(|request| request.at >= since);
    let times: Vec<_> = requests.map(|request| request.at - since).collect();
    assert_eq!(times.len(), 4);
    // Jitter takes off a fifth at most.
    assert!(times[3] >= ms(60) + ms(80), "{times:?}");
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn ret_04_delivery_timeout_never_sent() {
    let mut world = world(1, 1, config());
    world.topic("t");
    world.run_for(ms(100));
    world.cluster.move_leader("t", 0, None);
    // So that the producer hears of it: the first batch is refused and waits for a leader.
    let first = batch(&mut world, 0, &["a"])[0];
    world.run_for(ms(500));
    let sent = produces(&world).len();
    let created = world.now();
    let rest = batch(&mut world, 0, &["b", "c"]);
    assert!(settle(&mut world));
    let (kind, persistence) = failure(&world, rest[0]);
    assert!(matches!(kind, ProduceErrorKind::DeliveryTimeout(_)), "{kind:?}");
    assert_eq!(persistence, NotPersisted);
    for receipt in &rest {
        assert_eq!(world.outcome(*receipt).unwrap().at() - created, Duration::from_secs(120));
    }
    assert!(matches!(failure(&world, first).0, ProduceErrorKind::DeliveryTimeout(_)));
    assert_eq!(produces(&world).len(), sent, "nothing goes out without a leader");
    assert_empty(&world);
}

#[test]
fn ret_04_what_was_never_sent_costs_no_sequence() {
    let mut world = warm(1, 1, config());
    world.cluster.set_up(1, false);
    world.run_for(ms(10));
    let lost = batch(&mut world, 0, &["a", "b"]);
    assert!(settle(&mut world));
    assert!(lost.iter().all(|r| failure(&world, *r).1 == NotPersisted));
    world.cluster.set_up(1, true);
    let next = batch(&mut world, 0, &["c"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, next));
    assert_eq!(stamps(&world, 0), [(0, 0, 1), (0, 1, 1)], "no gap and no new epoch");
    assert_eq!(world.producer.stats().epoch_bumps, 0);
    world.assert_clean();
}

#[test]
fn ret_05_delivery_timeout_while_in_flight() {
    let mut world = warm(1, 1, one_second());
    let start = world.now();
    let (receipt, held) = unanswered(&mut world);
    assert!(world.settle());
    let outcome = world.outcome(receipt).unwrap().clone();
    assert_eq!(outcome.at() - start, ms(1_000));
    assert_eq!(failure(&world, receipt).1, PossiblyPersisted);
    assert!(world.producer.stats().lent_bytes > 0, "the request still has the bytes");
    release(&mut world, held);
    assert_eq!(world.outcome(receipt), Some(&outcome), "the late success changes nothing");
    assert_eq!(world.values("t", 0), ["warm", "unanswered"]);
    assert_empty(&world);
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, next));
    assert_eq!(world.producer.stats().epoch_bumps, 0, "the answer has settled the stamp");
    world.assert_clean();
}

#[test]
fn ret_06_expired_batch_is_not_retried_or_split() {
    for error in [ResponseError::NotLeaderOrFollower, ResponseError::MessageTooLarge] {
        let mut world = warm(1, 1, one_second());
        let rule = Rule::on(ApiKey::Produce).error(error);
        // One millisecond each way: it arrives at the very moment of the expiry.
        world.cluster.inject(rule.delay(ms(998)));
        let sent = produces(&world).len();
        let start = world.now();
        let receipts = batch(&mut world, 0, &["a", "b"]);
        assert!(settle(&mut world));
        for receipt in receipts {
            assert!(!is_delivered(&world, receipt), "{error:?}");
            assert_eq!(world.outcome(receipt).unwrap().at() - start, ms(1_000));
        }
        world.run_for(Duration::from_secs(10));
        assert_eq!(produces(&world).len(), sent + 1, "{error:?}");
        assert_empty(&world);
        world.assert_clean();
    }
}

#[test]
fn ret_07_expiry_drives_the_timer() {
    let mut world = warm(1, 1, one_second());
    let start = world.now();
    unanswered(&mut world);
    world.drain();
    assert_eq!(world.producer.poll_timeout(), Some(start + ms(1_000)));
    assert_eq!(world.producer.timeout_reason(), Some(TimerKind::Delivery));

    let mut world = warm(1, 1, config());
    world.cluster.inject(Rule::on(ApiKey::Produce).hold());
    let start = world.now();
    batch(&mut world, 0, &["v"]);
    world.run_for(ms(10));
    assert_eq!(world.producer.poll_timeout(), Some(start + Duration::from_secs(30)));
    assert_eq!(world.producer.timeout_reason(), Some(TimerKind::RequestTimeout));
}

#[test]
fn ret_08_many_expiries_at_once() {
    let mut world = world(1, 500, config());
    world.topic("t");
    world.run_for(ms(100));
    world.cluster.set_up(1, false);
    world.run_for(ms(100));
    let receipts: Vec<_> = (0..500).flat_map(|p| batch(&mut world, p, &["a", "b"])).collect();
    let due = world.now() + Duration::from_secs(120);
    world.run_for(Duration::from_secs(120));
    for receipt in receipts {
        assert_eq!(world.outcome(receipt).unwrap().at(), due);
        assert_eq!(failure(&world, receipt).1, NotPersisted);
    }
    assert_empty(&world);
}

#[test]
fn ret_09_attempt_count() {
    let mut config = config();
    config.retries = 1;
    let mut world = warm(1, 1, config);
    world.cluster.inject(Rule::on(ApiKey::Produce).always().close_before());
    let sent = produces(&world).len();
    let receipt = batch(&mut world, 0, &["v"])[0];
    assert!(settle(&mut world));
    assert_eq!(produces(&world).len(), sent + 2);
    assert_eq!(failure(&world, receipt), (kafka(ErrorCode::NETWORK_EXCEPTION), PossiblyPersisted));
    assert_eq!(world.outcome(receipt).unwrap().error().unwrap().attempts(), 2);
    world.assert_clean();
}

#[test]
fn ret_10_per_record_errors() {
    let mut world = warm(1, 1, config());
    let rule = Rule::on(ApiKey::Produce).error(ResponseError::InvalidRecord);
    let rule = rule.record_error(0, Some("0")).record_error(2, Some("2")).record_error(3, None);
    world.cluster.inject(rule);
    let receipts = batch(&mut world, 0, &["a", "b", "c", "d", "e"]);
    assert!(settle(&mut world));
    let text = |i: usize| {
        let receipt = receipts[i];
        assert_eq!(failure(&world, receipt), (kafka(ErrorCode::INVALID_RECORD), NotPersisted));
        world.outcome(receipt).unwrap().error().unwrap().to_string()
    };
    assert!(text(0).contains(": 0"), "{}", text(0));
    assert!(text(2).contains(": 2"), "{}", text(2));
    assert!(text(3).contains(ErrorCode::INVALID_RECORD.description()), "{}", text(3));
    for i in [1, 4] {
        assert!(text(i).contains("another record in the batch was invalid"), "{}", text(i));
    }
    world.assert_clean();
}

#[test]
fn ret_11_one_record_error_keeps_the_type() {
    let mut world = warm(1, 1, config());
    let rule = Rule::on(ApiKey::Produce).error(ResponseError::InvalidTimestamp);
    world.cluster.inject(rule.record_error(1, Some("too old")));
    let receipts = batch(&mut world, 0, &["a", "b"]);
    assert!(settle(&mut world));
    assert_eq!(failure(&world, receipts[1]).0, kafka(ErrorCode::INVALID_TIMESTAMP));
    let error = world.outcome(receipts[1]).unwrap().error().unwrap();
    assert_eq!(error.broker_message(), Some("too old"));
}

#[test]
fn ret_12_broker_text_is_passed_on() {
    let mut world = warm(1, 1, config());
    let rule = || Rule::on(ApiKey::Produce).error(ResponseError::InvalidRequest);
    world.cluster.inject(rule().message("the broker's own words"));
    world.cluster.inject(rule());
    let told = batch(&mut world, 0, &["a"])[0];
    assert!(settle(&mut world));
    let untold = batch(&mut world, 0, &["b"])[0];
    assert!(settle(&mut world));
    let error = |receipt| world.outcome(receipt).unwrap().error().unwrap();
    assert_eq!(error(told).broker_message(), Some("the broker's own words"));
    assert!(error(told).to_string().contains("the broker's own words"));
    assert!(error(untold).to_string().contains(ErrorCode::INVALID_REQUEST.description()));
}

#[test]
fn ret_13_alternating_errors_cannot_dodge_the_bound() {
    let mut config = one_second();
    config.delivery_timeout = Some(ms(5_000));
    let mut world = warm(1, 1, config);
    for _ in 0..50 {
        for error in [ResponseError::UnknownTopicOrPartition, ResponseError::NotEnoughReplicas] {
            refuse(&mut world, error);
        }
    }
    let start = world.now();
    let receipt = batch(&mut world, 0, &["v"])[0];
    assert!(settle(&mut world));
    let outcome = world.outcome(receipt).unwrap();
    assert_eq!(outcome.at() - start, ms(5_000));
    let error = outcome.error().unwrap();
    assert!(matches!(error.kind(), ProduceErrorKind::DeliveryTimeout(_)));
    let codes = [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::NOT_ENOUGH_REPLICAS];
    let cause = error.cause().unwrap();
    assert!(codes.iter().any(|code| cause.contains(&code.to_string())), "{cause}");
}

#[test]
fn ret_14_ambiguous_once_ambiguous_for_ever() {
    for first in [ResponseError::RequestTimedOut, ResponseError::NotEnoughReplicasAfterAppend] {
        let mut config = config();
        config.retries = 1;
        let mut world = warm(1, 1, config);
        world.cluster.inject(Rule::on(ApiKey::Produce).partition("t", 0).error_after(first));
        refuse(&mut world, ResponseError::NotLeaderOrFollower);
        let receipt = batch(&mut world, 0, &["v"])[0];
        world.run_for(ms(3));
        let now = world.now();
        assert_eq!(world.producer.cancel(now, receipt), Cancel::TooLate);
        assert!(settle(&mut world));
        assert_eq!(failure(&world, receipt).1, PossiblyPersisted, "{first:?}");
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn ret_15_corrupt_message_is_retried() {
    let mut world = warm(1, 1, config());
    refuse(&mut world, ResponseError::CorruptMessage);
    let receipt = batch(&mut world, 0, &["v"])[0];
    assert!(settle(&mut world));
    assert!(is_delivered(&world, receipt));
    let sent = batches(&world, 0);
    assert_eq!(sent.len(), 3, "one to warm up, and two attempts");
    assert_eq!(sent[1].digest, sent[2].digest, "the same bytes");
}

#[test]
fn ret_16_wall_clock_jumps() {
    let mut world = warm(1, 1, config());
    world.cluster.configure_topic("t", |topic| topic.timestamp_after_max = None);
    world.cluster.inject(Rule::on(ApiKey::Produce).hold_request());
    batch(&mut world, 0, &["first"]);
    world.run_for(ms(10));
    let now = 1_700_000_000_000;
    let hour = 3_600_000;
    let timeouts = [now, now + hour, now - 2 * hour].map(|timestamp| {
        world.try_push(&NewRecord { timestamp: Some(timestamp), ..to(0, b"v") }).unwrap();
        world.producer.poll_timeout()
    });
    assert_eq!(timeouts[1..], [timeouts[0]; 2]);
    world.run_for(ms(10));
    assert_eq!(world.open_records(), 4, "nothing expired");
    world.cluster.clear_rules();
    world.reset(1, producer_sim::Fate::Lost);
    assert!(settle(&mut world));
    let log = world.cluster.log("t", 0);
    let times: Vec<i64> = log[2..].iter().map(|record| record.timestamp).collect();
    assert_eq!(times, [now, now + hour, now - 2 * hour]);
    world.assert_clean();
}

#[test]
fn ret_17_long_suspend() {
    let mut world = warm(1, 1, config());
    world.cluster.inject(Rule::on(ApiKey::Produce).always().hold());
    let receipts: Vec<_> =
        ["a", "b", "c", "d", "e"].iter().map(|v| batch(&mut world, 0, &[v])[0]).collect();
    world.run_for(ms(10));
    let late = world.now() + Duration::from_secs(600);
    world.producer.handle_input(late, Input::Timeout);
    world.drain();
    assert!(receipts.iter().all(|r| failure(&world, *r).1 == PossiblyPersisted));
    assert_eq!(world.producer.stats().batches_expired, 5);
    assert!(world.producer.poll_timeout().is_none_or(|at| at > late));
    world.run_for(Duration::from_secs(700));
    assert_eq!(world.producer.stats().batches_expired, 5);
    assert_empty(&world);
}

#[test]
fn ret_18_jitter_comes_from_the_seed() {
    let run = |seed| {
        let mut cluster = producer_sim::Cluster::new(producer_sim::ClusterConfig::new(1));
        cluster.create_topic("t", producer_sim::TopicConfig::new(1));
        let mut world = World::with_seed(cluster, config(), [seed; 32]).unwrap();
        let rule = Rule::on(ApiKey::Produce).times(5).error(ResponseError::NotEnoughReplicas);
        world.cluster.inject(rule);
        world.send_to("t", 0, b"v");
        assert!(settle(&mut world));
        (gaps(&world), world.trace_hash())
    };
    assert_ne!(run(1).0, run(2).0, "another seed, another schedule");
    assert_eq!(run(1), run(1));
}

#[test]
fn ret_19_slow_drip() {
    let mut world = warm(1, 1, config());
    let rest: Arc<Mutex<Vec<u8>>> = Arc::default();
    let keep = rest.clone();
    let rule = Rule::on(ApiKey::Produce).edit_bytes(move |frame| {
        *keep.lock().unwrap() = frame.split_off(1);
    });
    world.cluster.inject(rule);
    let sent = world.now();
    let receipt = batch(&mut world, 0, &["v"])[0];
    let mut byte = 0;
    while world.now() - sent < Duration::from_secs(40) {
        world.run_for(ms(5_000));
        let now = world.now();
        if let ([conn], 2) = (&world.cluster.connections(1)[..], produces(&world).len()) {
            let next = rest.lock().unwrap()[byte];
            byte += 1;
            world.cluster.send_raw(now, *conn, vec![next]);
        }
    }
    assert!(byte > 4, "{byte} bytes of the answer came in time");
    let failed = world.events().find_map(|(at, event)| {
        matches!(event, Event::Broker { state: producer_proto::BrokerState::Failed(_), .. })
            .then_some(at)
    });
    assert_eq!(failed.unwrap() - sent, Duration::from_secs(30), "counted from the request");
    assert!(is_delivered(&world, receipt), "by the next connection");
    assert_eq!(world.values("t", 0), ["warm", "v"]);
}

#[test]
fn ret_20_too_few_retries() {
    for (retries, succeeds) in [(1, false), (10, true)] {
        let mut config = config();
        config.retries = retries;
        let mut world = warm(1, 1, config);
        for _ in 0..3 {
            refuse(&mut world, ResponseError::KafkaStorageError);
        }
        let receipt = batch(&mut world, 0, &["v"])[0];
        assert!(settle(&mut world));
        assert_eq!(is_delivered(&world, receipt), succeeds, "{retries} retries");
        if !succeeds {
            assert_eq!(failure(&world, receipt).0, kafka(ErrorCode::KAFKA_STORAGE_ERROR));
        }
        world.assert_clean();
    }
}
