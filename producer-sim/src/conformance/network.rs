//! Peers and networks that behave badly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::adapter::{Adapter, Message, Producer};
use super::idle::QUIET;
use super::rig::{
    PARTITIONS, SEED, SLACK, TOPIC, assert_logs, cluster, config, millis, nowhere, numbered,
    values, with_producer,
};
use super::threads::assert_quiet;
use super::wait::{LONG, now, until, wait};
use crate::{ApiKey, ClusterConfig, NetCluster, Rule, Shape, TopicConfig, Traffic};

pub(super) fn refused_connects_end_by_max_block_and_a_late_broker_is_found<A: Adapter>(
    adapter: &A,
) {
    let (address, mut config) = nowhere();
    config.max_block = millis(100);
    with_producer(adapter, &config, |producer| {
        let begin = Instant::now();
        let failure = producer.send_sync(&Message::order(0, b"x")).expect_err("nobody is there");
        let took = begin.elapsed();
        assert!(took >= config.max_block && took < config.max_block + SLACK, "{took:?}");
        assert_eq!(failure.persistence, None, "it was never accepted");
        let text = failure.text;
        assert!(text.contains(TOPIC) && text.contains(&address.to_string()), "{text}");
    });
    config.max_block = LONG;
    with_producer(adapter, &config, |producer| {
        let mut sent = producer.send(&Message::order(0, b"x"));
        assert!(now(&mut sent).is_none());
        let net = NetCluster::start_at(ClusterConfig::new(1), address.port())
            .expect("the port is still free");
        net.with(|cluster| cluster.create_topic(TOPIC, TopicConfig::new(PARTITIONS)));
        wait(wait(sent).expect("it is accepted")).expect("it is delivered");
        assert_eq!(values(&net, 0), ["x"]);
        wait(producer.close(SLACK));
    });
}

pub(super) fn every_address_of_a_name_is_tried<A: Adapter>(adapter: &A) {
    // "localhost" is ::1 and 127.0.0.1 on most systems, and only one of them answers here.
    let net = cluster(1);
    let mut config = config(&net);
    config.bootstrap_servers = vec![format!("localhost:{}", net.addresses()[0].port())];
    with_producer(adapter, &config, |producer| {
        producer.send_sync(&Message::order(0, b"x")).expect("it is delivered");
    });
}

pub(super) fn frames_that_come_byte_by_byte_are_read<A: Adapter>(adapter: &A) {
    let net = cluster(3);
    net.set_shape(|_| Shape { piece: 1, ..Shape::default() });
    with_producer(adapter, &config(&net), |producer| {
        for i in 0..40 {
            let place = producer
                .send_sync(&Message::order(i % PARTITIONS, i.to_string().as_bytes()))
                .expect("it is delivered");
            assert_eq!(place.offset, Some(i64::from(i / PARTITIONS)));
        }
    });
    assert_logs(&net, |partition| {
        (0..10).map(|i| (i * PARTITIONS + partition).to_string()).collect()
    });
}

pub(super) fn a_reset_at_each_byte_of_the_answers_loses_and_doubles_nothing<A: Adapter>(
    adapter: &A,
) {
    reset_at_each_byte(adapter, |traffic| traffic.answers.len(), Shape::reset_after_answers);
}

pub(super) fn a_reset_at_each_byte_of_the_requests_loses_and_doubles_nothing<A: Adapter>(
    adapter: &A,
) {
    reset_at_each_byte(adapter, |traffic| traffic.requests.len(), Shape::reset_after_requests);
}

/// One producer for each byte of each connection that it takes to deliver a record: that
/// connection is reset there, and those after it are good.
fn reset_at_each_byte<A: Adapter>(
    adapter: &A,
    length: fn(&Traffic) -> usize,
    reset: fn(u64) -> Shape,
) {
    let net = cluster(1);
    let host = adapter.host();
    let deliver = |value: &str| {
        let producer = adapter.start(&host, &config(&net), SEED);
        let outcome = producer.send_sync(&Message::order(0, value.as_bytes()));
        outcome.unwrap_or_else(|failure| panic!("{value}: {failure:?}"));
        wait(producer.close(LONG));
    };
    let mut expected = Vec::new();
    let mut deliver_and_note = |value: String| {
        deliver(&value);
        expected.push(value);
    };
    net.record_traffic();
    deliver_and_note("0-0000".to_owned());
    let lengths: Vec<usize> = net.traffic().values().map(length).collect();
    assert!(lengths.len() > 1 && lengths.iter().all(|&length| length > 40), "{lengths:?}");
    for (target, length) in lengths.into_iter().enumerate() {
        for bytes in 0..length {
            let mut connections = 0..;
            net.set_shape(move |_| {
                let is_target = connections.next() == Some(target);
                if is_target { reset(bytes as u64) } else { Shape::default() }
            });
            deliver_and_note(format!("{target}-{bytes:04}"));
        }
    }
    assert_eq!(values(&net, 0), expected);
    net.with(|cluster| assert_eq!(cluster.violations(), []));
}

pub(super) fn a_broker_that_does_not_read_holds_up_nothing_else<A: Adapter>(adapter: &A) {
    const COUNT: usize = 160;
    const SIZE: usize = 64 << 10;
    /// Five batches may be on their way: together they must be more than the system takes.
    const BATCH: usize = 14 * SIZE;
    let net = cluster(3);
    let mut config = config(&net);
    config.batch_size = BATCH;
    with_producer(adapter, &config, |producer| {
        for partition in 0..PARTITIONS {
            producer.send_sync(&Message::order(partition, b"first")).expect("it is delivered");
        }
        net.set_reading(1, false);
        let send = |i| wait(producer.send(&Message::order(0, &numbered(i, SIZE))));
        let sent: Vec<_> = (0..COUNT).map(|i| send(i).expect("it is accepted")).collect();
        // Other brokers' records are delivered, and nothing spins at the full socket.
        producer.send_sync(&Message::order(1, b"second")).expect("it is delivered");
        assert_quiet(millis(300), QUIET, "with a full socket");
        assert!(producer.stats().requests_in_flight > 0);
        assert!(values(&net, 0).len() < COUNT, "the broker must have missed some");
        net.set_reading(1, true);
        for (i, delivery) in (1..).zip(sent) {
            assert_eq!(wait(delivery).expect("it is delivered").offset, Some(i));
        }
    });
    net.with(|cluster| assert_eq!(cluster.violations(), []));
}

pub(super) fn a_busy_connection_hides_no_deadline<A: Adapter>(adapter: &A) {
    const WINDOW: usize = 200;
    let net = cluster(2);
    net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).broker(2).always().hold()));
    let mut config = config(&net);
    config.linger = Duration::ZERO;
    config.request_timeout = millis(150);
    config.delivery_timeout = Some(millis(200));
    let is_over = AtomicBool::new(false);
    with_producer(adapter, &config, |producer| {
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let send = || wait(producer.send(&Message::order(0, b"x")));
                    let sent: Vec<_> = (0..WINDOW).map(|_| send()).collect();
                    for result in sent {
                        // What becomes of these is of no interest.
                        let _outcome = result.map(wait);
                    }
                }
            });
            until("traffic", || values(&net, 0).len() > WINDOW);
            for _ in 0..3 {
                let begin = Instant::now();
                let failure = producer.send_sync(&Message::order(1, b"x"));
                let took = begin.elapsed();
                failure.expect_err("there is no answer");
                assert!(took >= millis(200) && took < millis(200) + SLACK, "{took:?}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    });
}
