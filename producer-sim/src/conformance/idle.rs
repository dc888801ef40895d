//! What a producer costs when there is nothing to do.

use std::time::Duration;

use super::adapter::{Adapter, Message, Producer};
use super::rig::{PARTITIONS, SEED, TOPIC, bare_cluster, cluster, config, millis, nowhere};
use super::threads::{Threads, assert_quiet};
use super::wait::{LONG, now, wait};
use crate::{Shape, TopicConfig};

/// How often threads may be woken while nothing happens that concerns them.
pub(super) const QUIET: u64 = 25;

pub(super) fn a_hundred_brokers_take_no_thread_and_none_is_left<A: Adapter>(adapter: &A) {
    const BROKERS: i32 = 100;
    let net = bare_cluster(BROKERS);
    net.with(|cluster| cluster.create_topic(TOPIC, TopicConfig::new(BROKERS)));
    let host = adapter.host();
    let before = Threads::now();
    let producer = adapter.start(&host, &config(&net), SEED);
    let send = |partition| producer.send(&Message::order(partition, b"x"));
    let sent: Vec<_> = (0..BROKERS).map(send).collect();
    for sent in sent {
        let delivery = wait(sent).expect("it is accepted");
        assert_eq!(wait(delivery).expect("it is delivered").offset, Some(0));
    }
    assert_eq!(producer.stats().connections_ready, 100);
    before.assert_new(adapter.threads_per_producer(), "a hundred brokers connected");
    assert_quiet(millis(300), QUIET, "with a hundred brokers");
    wait(producer.close(LONG));
    before.assert_new(0, "closed");
    net.with(|cluster| assert_eq!(cluster.violations(), []));
}

pub(super) fn an_idle_producer_sleeps<A: Adapter>(adapter: &A) {
    let net = cluster(3);
    let host = adapter.host();
    let producer = adapter.start(&host, &config(&net), SEED);
    assert_quiet(millis(200), QUIET, "before the first record");
    assert_eq!(net.with(|cluster| cluster.request_count()), 0);
    for partition in 0..PARTITIONS {
        producer.send_sync(&Message::order(partition, b"x")).expect("it is delivered");
    }
    assert_quiet(millis(500), QUIET, "behind the last record");
    wait(producer.close(LONG));
    assert_quiet(millis(200), QUIET, "closed");
}

pub(super) fn half_a_frame_wakes_nobody<A: Adapter>(adapter: &A) {
    let net = cluster(1);
    let host = adapter.host();
    let producer = adapter.start(&host, &config(&net), SEED);
    net.record_traffic();
    producer.send_sync(&Message::order(0, b"x")).expect("it is delivered");
    wait(producer.close(LONG));
    let traffic = net.traffic();
    let (_, last) = traffic.last_key_value().expect("there were connections");
    // In the middle of the answer to the record, on the same connection.
    let stall = Shape::stall_after_answers(last.answers.len() as u64 - 20);
    let mut good = 1..traffic.len();
    net.set_shape(move |_| if good.next().is_some() { Shape::default() } else { stall });
    let producer = adapter.start(&host, &config(&net), SEED);
    let mut delivery = wait(producer.send(&Message::order(0, b"x"))).expect("it is accepted");
    assert_quiet(millis(400), 2 * QUIET, "in the middle of a frame");
    assert!(now(&mut delivery).is_none(), "the answer is not whole");
    net.release_stalls();
    wait(delivery).expect("it is delivered");
    wait(producer.close(LONG));
}

pub(super) fn a_broker_that_refuses_is_tried_with_pauses<A: Adapter>(adapter: &A) {
    const PAUSE: Duration = Duration::from_millis(50);
    let (_, mut config) = nowhere();
    config.reconnect_backoff = Some(PAUSE);
    config.reconnect_backoff_max = Some(PAUSE);
    let host = adapter.host();
    let producer = adapter.start(&host, &config, SEED);
    let mut sent = producer.send(&Message::order(0, b"x"));
    assert_quiet(millis(600), 200, "nobody there");
    assert!(now(&mut sent).is_none());
    let attempts = producer.stats().connections_failed;
    assert!((3..=16).contains(&attempts), "{attempts} attempts in 600 ms");
    wait(producer.close(Duration::ZERO));

    // The same for a broker that was there once.
    let net = cluster(1);
    config.bootstrap_servers = vec![net.bootstrap()];
    let producer = adapter.start(&host, &config, SEED);
    producer.send_sync(&Message::order(0, b"x")).expect("it is delivered");
    drop(net);
    let _delivery = wait(producer.send(&Message::order(0, b"x"))).expect("it is accepted");
    assert_quiet(millis(600), 400, "nobody there any more");
    wait(producer.close(Duration::ZERO));
}
