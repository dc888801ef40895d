//! Records, answers and errors come through.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use producer_proto::{Codec, Config};

use super::adapter::{Adapter, Message, Producer};
use super::rig::{PARTITIONS, SEED, assert_logs, cluster, config, millis, values, with_producer};
use super::wait::{LONG, now, wait};
use crate::NetCluster;

pub(super) fn records_reach_all_brokers<A: Adapter>(adapter: &A) {
    let net = cluster(3);
    produce_everywhere(adapter, &net, &config(&net));
}

pub(super) fn compressed_records_reach_all_brokers<A: Adapter>(adapter: &A) {
    let net = cluster(3);
    let mut config = config(&net);
    config.compression_type = Codec::Zstd;
    produce_everywhere(adapter, &net, &config);
}

/// 4,000 records over all partitions, results checked.
fn produce_everywhere<A: Adapter>(adapter: &A, net: &NetCluster, config: &Config) {
    const EACH: i32 = 1_000;
    with_producer(adapter, config, |producer| {
        let mut deliveries = Vec::new();
        for i in 0..EACH * PARTITIONS {
            let value = i.to_string();
            let message = Message::order(i % PARTITIONS, value.as_bytes());
            deliveries.push((i, wait(producer.send(&message)).expect("it is accepted")));
        }
        wait(producer.flush());
        for (i, mut delivery) in deliveries {
            let outcome = now(&mut delivery).expect("a flush covers what was sent before it");
            let place = outcome.expect("it is delivered");
            let expected = (i % PARTITIONS, Some(i64::from(i / PARTITIONS)));
            assert_eq!((place.partition, place.offset), expected);
        }
    });
    assert_logs(net, |partition| {
        (0..EACH).map(|i| (i * PARTITIONS + partition).to_string()).collect()
    });
}

pub(super) fn what_was_accepted_is_sent_after_a_drop<A: Adapter>(adapter: &A) {
    let net = cluster(1);
    let host = adapter.host();
    let producer = adapter.start(&host, &config(&net), SEED);
    let delivery = wait(producer.send(&Message::order(0, b"x"))).expect("it is accepted");
    drop(producer);
    wait(delivery).expect("it is delivered");
    assert_eq!(values(&net, 0), ["x"]);
}

pub(super) fn a_broker_that_goes_away_is_found_again<A: Adapter>(adapter: &A) {
    let net = cluster(1);
    with_producer(adapter, &config(&net), |producer| {
        for i in 0..20 {
            producer.send_sync(&Message::order(0, i.to_string().as_bytes())).expect("delivered");
            if i % 3 == 0 {
                net.with(|cluster| cluster.close_connections(1));
            }
        }
    });
    assert_eq!(values(&net, 0), (0..20).map(|i| i.to_string()).collect::<Vec<_>>());
}

pub(super) fn a_topic_that_cannot_be_had_is_named<A: Adapter>(adapter: &A) {
    let net = cluster(1);
    let mut config = config(&net);
    config.max_block = millis(60);
    with_producer(adapter, &config, |producer| {
        let message = Message { topic: "nothing", ..Message::order(0, b"x") };
        let failure = producer.send_sync(&message).expect_err("there is no such topic");
        assert_eq!(failure.persistence, None, "it was never accepted");
        let text = failure.text;
        assert!(text.contains("nothing") && text.contains("UNKNOWN_TOPIC"), "{text}");
        // It fails alone.
        producer.send_sync(&Message::order(0, b"x")).expect("delivered");
        wait(producer.close(Duration::from_secs(10)));
        let failure = producer.send_sync(&Message::order(0, b"x")).expect_err("it is closed");
        assert_eq!(failure.persistence, None);
    });
}

/// Polls a future so often, with a pause in between, and drops it if it is not ready by then.
fn abandon_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| {
        let output = now(&mut future);
        if output.is_none() {
            thread::sleep(Duration::from_micros(100));
        }
        output
    })
}

pub(super) fn a_future_dropped_at_any_poll_loses_nothing_that_was_promised<A: Adapter>(
    adapter: &A,
) {
    let net = cluster(1);
    let host = adapter.host();
    let mut promised = Vec::new();
    for polls in 0..12 {
        // Each round with a new producer, so that every wait occurs.
        let producer = adapter.start(&host, &config(&net), SEED);
        let mut deliveries = Vec::new();
        for i in 0..20 {
            let value = format!("{polls}-{i}");
            let sent = producer.send(&Message::order(0, value.as_bytes()));
            if let Some(result) = abandon_after(polls * (i % 3), sent) {
                deliveries.push((value, result.expect("it is accepted")));
            }
        }
        abandon_after(polls, producer.flush());
        for (value, mut delivery) in deliveries {
            // Abandoned and taken up again.
            abandon_after(1, &mut delivery);
            wait(delivery).expect("it is delivered");
            promised.push(value);
        }
        abandon_after(polls, producer.close(LONG));
        wait(producer.close(LONG));
    }
    assert!(promised.len() > 50, "{} promises", promised.len());
    // In order, once each; between them only records whose callers went away.
    let log = values(&net, 0);
    let mut rest = log.iter();
    for value in &promised {
        assert!(rest.any(|it| it == value), "{value} is missing or out of order");
    }
    let unique: BTreeSet<_> = log.iter().collect();
    assert_eq!(unique.len(), log.len());
}
