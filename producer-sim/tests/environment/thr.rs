//! THR: throttling (KIP-219).

use crate::common::*;
use kafka_protocol::messages::ProduceResponse;
use producer_proto::{Config, Event, Persistence};
use producer_sim::{ApiKey, Instant, NewRecord, ResponseKind, Rule, World};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A rule that puts a throttle time into one Produce answer; the broker does not go quiet itself.
fn throttle(millis: i32) -> Rule {
    edit_produce(move |response: &mut ProduceResponse| response.throttle_time_ms = millis)
}

/// A producer that has been throttled by broker 1 for so long; when it heard of it.
fn throttled(config: Config, rule: Rule) -> (World, Instant) {
    let mut world = warm(2, 4, config);
    world.run_for(secs(1));
    world.cluster.inject(rule);
    world.send_to("t", 0, b"first");
    let heard = |world: &World| -> Option<Instant> {
        let is_throttled = |event: &Event| matches!(event, Event::Throttled { .. });
        world.events().find(|(_, event)| is_throttled(event)).map(|(at, _)| at)
    };
    assert!(world.run_until(|world| heard(world).is_some()));
    let at = heard(&world).unwrap();
    (world, at)
}

/// When the last Produce request reached broker 1.
fn last_produce(world: &World) -> Instant {
    let sent = world.cluster.requests_of(ApiKey::Produce);
    sent.iter().rfind(|request| request.broker == 1).unwrap().at
}

#[test]
fn thr_01_client_waits() {
    let (mut world, at) = throttled(config(), Rule::on(ApiKey::Produce).throttle(ms(100)));
    let waits = world.send_to("t", 2, b"waits");
    let flows = world.send_to("t", 1, b"flows");
    let timeout = world.producer.poll_timeout().unwrap();
    assert!(timeout <= at + ms(100), "{timeout:?}");
    world.run_for(ms(99));
    assert_delivered(&world, flows);
    assert!(outcome(&world, flows).at() - at < ms(10), "other brokers flow");
    assert!(world.outcome(waits).is_none());
    assert!(last_produce(&world) < at);
    assert!(world.settle());
    assert_eq!(last_produce(&world), at + ms(101), "100 ms later, and 1 ms on the way");
    assert_delivered(&world, waits);
    world.assert_clean();
}

#[test]
fn thr_02_old_version_the_broker_already_waited() {
    for (version, waits) in [(5, false), (6, true)] {
        let mut cluster = cluster(1, 2);
        cluster.set_versions(1, ApiKey::Produce, 3, version);
        let mut world = World::new(cluster, config()).unwrap();
        world.cluster.inject(throttle(100));
        world.send_to("t", 0, b"first");
        assert!(world.settle());
        let since = world.now();
        let next = world.send_to("t", 1, b"next");
        assert!(world.settle());
        let took = outcome(&world, next).at() - since;
        assert_eq!(took >= ms(100), waits, "Produce {version}: {took:?}");
        world.assert_clean();
    }
}

/// Its idle time begins when the throttle is over: what waits for that needs it.
#[test]
fn thr_01_a_connection_that_records_wait_for_is_not_idle() {
    let mut config = config();
    config.connections_max_idle = ms(100);
    let (mut world, _) = throttled(config, Rule::on(ApiKey::Produce).throttle(secs(10)));
    let dials = world.dials().len();
    let waits = world.send_to("t", 2, b"waits");
    assert!(world.settle());
    assert_delivered(&world, waits);
    assert_eq!(world.dials().len(), dials, "no connection was opened in place of another");
    world.assert_clean();
}

#[test]
fn thr_03_throttle_and_timeouts() {
    let mut config = config();
    config.request_timeout = secs(1);
    config.delivery_timeout = Some(secs(2));
    config.max_in_flight_requests_per_connection = 2;
    let mut world = warm(1, 3, config);
    world.set_latency(Duration::ZERO);
    world.run_for(secs(10));
    world.cluster.inject(throttle(2_000).delay(ms(500)));
    world.cluster.inject(Rule::on(ApiKey::Produce).delay(ms(1_900)));
    let since = world.now();
    let first = world.send_to("t", 0, b"throttles");
    world.drain();
    let second = world.send_to("t", 1, b"late");
    world.drain();
    // It never gets a turn: the throttle lasts until 2.5 s.
    let third = world.send_to("t", 2, b"expires");
    assert!(world.settle());
    assert_delivered(&world, first);
    assert_delivered(&world, second);
    assert_eq!(outcome(&world, second).at() - since, ms(1_900), "not timed out after 1 s");
    assert!(connection_failures(&world).is_empty());
    let third = outcome(&world, third);
    assert_eq!(third.persistence(), Some(Persistence::NotPersisted));
    assert_eq!(third.at() - since, secs(2), "the delivery timeout is what it was");
    world.assert_clean();
}

#[test]
fn thr_04_deadline_never_moves_back() {
    let mut world = warm(1, 4, config());
    world.set_latency(Duration::ZERO);
    world.cluster.inject(throttle(500));
    world.cluster.inject(throttle(100).delay(ms(100)));
    let since = world.now();
    world.send_to("t", 0, b"500");
    world.drain();
    world.send_to("t", 1, b"100");
    world.run_for(ms(50));
    world.send_to("t", 2, b"next");
    assert!(world.settle());
    assert_eq!(last_produce(&world), since + ms(500));
    world.assert_clean();
}

#[test]
fn thr_05_absurd_values() {
    for millis in [-1, i32::MIN] {
        let mut world = warm(1, 2, config());
        world.cluster.inject(throttle(millis));
        world.send_to("t", 0, b"first");
        assert!(world.settle());
        let since = world.now();
        let next = world.send_to("t", 1, b"next");
        assert!(world.settle());
        assert!(outcome(&world, next).at() - since < ms(10), "{millis}");
        assert_eq!(world.producer.stats().throttle_micros, 0);
        world.assert_clean();
    }
    let (mut world, _) = throttled(config(), throttle(i32::MAX));
    let waits = world.send_to("t", 2, b"waits");
    let since = world.now();
    let mut steps = 0;
    while world.outcome(waits).is_none() {
        assert!(world.step(since + secs(200)));
        steps += 1;
    }
    assert!(steps < 50, "{steps} steps");
    assert_eq!(outcome(&world, waits).at() - since, secs(120), "it expires as always");
    world.assert_clean();
}

#[test]
fn thr_06_metadata_avoids_the_throttled_broker() {
    let (mut world, at) = throttled(config(), throttle(60_000));
    for i in 0..10 {
        world.topic(&format!("new-{i}"));
        world.run_for(ms(500));
    }
    let asked = world.cluster.requests_of(ApiKey::Metadata);
    let asked: Vec<_> = asked.iter().filter(|request| request.at > at).collect();
    assert!(asked.len() >= 10);
    assert!(asked.iter().all(|request| request.broker == 2));
}

#[test]
fn thr_07_init_while_throttled() {
    let mut world = world(1, 1, config());
    world.cluster.inject(Rule::on(ApiKey::ApiVersions).edit_response(|response| {
        let ResponseKind::ApiVersions(response) = response else { return };
        response.throttle_time_ms = 5_000;
    }));
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let asked = times(&world, ApiKey::InitProducerId, Instant::ZERO);
    assert_eq!(asked.len(), 1);
    assert!((secs(5)..secs(5) + ms(20)).contains(&(asked[0] - Instant::ZERO)), "{asked:?}");
    world.assert_clean();
}

/// A byte rate over the last ten seconds, as brokers measure it, and how long a client that is
/// above its quota has to wait.
#[derive(Default)]
struct Quota {
    samples: Vec<(Instant, usize)>,
}

impl Quota {
    const WINDOW: Duration = Duration::from_secs(10);
    const BYTES_PER_SECOND: f64 = 100_000.0;

    fn record(&mut self, now: Instant, bytes: usize) {
        self.samples.push((now, bytes));
        self.samples.retain(|(at, _)| now.saturating_since(*at) < Self::WINDOW);
    }

    fn throttle_millis(&self) -> i32 {
        let bytes: usize = self.samples.iter().map(|(_, bytes)| bytes).sum();
        let rate = bytes as f64 / Self::WINDOW.as_secs_f64();
        let excess = (rate - Self::BYTES_PER_SECOND) / Self::BYTES_PER_SECOND;
        (excess.max(0.0) * Self::WINDOW.as_secs_f64() * 1_000.0) as i32
    }
}

#[test]
fn thr_08_quota_bandwidth() {
    let quota = Arc::new(Mutex::new(Quota::default()));
    let (meter, judge) = (quota.clone(), quota);
    let mut config = config();
    config.delivery_timeout = Some(secs(600));
    config.buffer_memory = 1 << 20;
    let mut world = warm(1, 1, config);
    let rule = Rule::on(ApiKey::Produce).always().matching(move |request| {
        meter.lock().unwrap().record(request.at, request.bytes);
        true
    });
    world.cluster.inject(rule.edit_response(move |response| {
        let ResponseKind::Produce(response) = response else { return };
        response.throttle_time_ms = judge.lock().unwrap().throttle_millis();
    }));
    // The first window fills at full speed.
    let value = vec![0; 10_000];
    let mut from = (world.now(), 0);
    let start = world.now();
    while world.now() < start + secs(80) {
        let record = NewRecord { topic: "t", value: Some(&value), ..NewRecord::default() };
        world.push(&record).unwrap();
        if world.now() < start + secs(20) {
            from = (world.now(), world.cluster.total_counts().bytes);
        }
    }
    let bytes = world.cluster.total_counts().bytes - from.1;
    let rate = bytes as f64 / (world.now() - from.0).as_secs_f64();
    assert!((90_000.0..=110_000.0).contains(&rate), "{rate} bytes per second");
    assert!(world.outcomes().flat_map(|(_, outcome)| outcome).all(|o| o.is_delivered()));
    assert!(world.settle());
    world.assert_clean();
}
