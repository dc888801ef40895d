//! CON: from the dial to the first request, and in which versions.

use crate::common::*;
use producer_proto::Persistence;
use producer_sim::{
    ApiKey, ConnId, Instant, ReceivedRequest, ResponseError, ResponseKind, Rule, World,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// The requests of each connection, in order.
fn by_connection(world: &World) -> BTreeMap<ConnId, Vec<&ReceivedRequest>> {
    let mut connections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for request in world.cluster.requests() {
        connections.entry(request.conn).or_default().push(request);
    }
    connections
}

fn first_versions(world: &World) -> Vec<i16> {
    let connections = by_connection(world);
    let first = connections.values().next().unwrap();
    let handshake = first.iter().filter(|request| request.api == ApiKey::ApiVersions);
    handshake.map(|request| request.version).collect()
}

#[test]
fn con_01_order_of_the_handshake() {
    let mut world = world(3, 3, config());
    world.cluster.inject(Rule::on(ApiKey::ApiVersions).always().delay(ms(70)));
    for partition in 0..3 {
        world.send_to("t", partition, b"v");
    }
    assert!(world.settle());
    let connections = by_connection(&world);
    assert!(connections.len() >= 3);
    for requests in connections.values() {
        assert_eq!(requests[0].api, ApiKey::ApiVersions);
        let others = &requests[1..];
        assert!(others.iter().all(|request| request.api != ApiKey::ApiVersions));
        assert!(others.iter().all(|request| request.at >= requests[0].at + ms(70)));
    }
    world.assert_clean();
}

#[test]
fn con_02_api_versions_downgrade() {
    // A broker that speaks 0 to 2 says so in its refusal.
    let mut old = cluster(1, 1);
    old.set_versions(1, ApiKey::ApiVersions, 0, 2);
    let mut old = World::new(old, config()).unwrap();
    // Another gives no list at all.
    let mut silent = world(1, 1, config());
    silent.cluster.set_versions(1, ApiKey::ApiVersions, 0, 2);
    silent.cluster.inject(Rule::on(ApiKey::ApiVersions).always().edit_response(|response| {
        let ResponseKind::ApiVersions(response) = response else { return };
        if response.error_code != 0 {
            response.api_keys.clear();
        }
    }));
    for (world, versions) in [(&mut old, [4, 2]), (&mut silent, [4, 0])] {
        let receipt = world.send("t", b"v");
        assert!(world.settle());
        assert_delivered(world, receipt);
        assert_eq!(first_versions(world), versions, "on one connection");
        assert_eq!(world.producer.stats().connections_failed, 0);
        world.assert_clean();
    }
}

#[test]
fn con_03_api_versions_downgrade_must_end() {
    for (hint, asked) in [(4, vec![4]), (3, vec![4, 3]), (-1, vec![4, 0])] {
        let mut world = world(1, 1, config());
        let refuse = Rule::on(ApiKey::ApiVersions).always();
        let refuse = refuse.error(ResponseError::UnsupportedVersion);
        world.cluster.inject(refuse.edit_response(move |response| {
            let ResponseKind::ApiVersions(response) = response else { return };
            let mut key = kafka_protocol::messages::api_versions_response::ApiVersion::default();
            key.api_key = ApiKey::ApiVersions as i16;
            key.max_version = hint;
            response.api_keys = vec![key];
        }));
        world.topic("t");
        world.run_for(ms(40));
        assert_eq!(first_versions(&world), asked, "hint {hint}");
        assert_eq!(world.producer.stats().connections_failed, 1);
        assert!(world.open_connections().next().is_none());
        world.run_for(secs(3));
        let dials: Vec<Instant> = world.dials().iter().map(|dial| dial.at).collect();
        assert_spaced(&dials, &[50, 100, 200, 400, 800]);
    }
}

#[test]
fn con_04_api_versions_other_error() {
    let mut world = world(1, 1, config());
    let invalid = Rule::on(ApiKey::ApiVersions).times(2).error(ResponseError::InvalidRequest);
    world.cluster.inject(invalid);
    world.topic("t");
    world.run_for(ms(30));
    let (_, text) = &connection_failures(&world)[0];
    assert!(text.contains("bootstrap server broker-1:9092"), "{text}");
    assert!(text.contains("ApiVersions") && text.contains("INVALID_REQUEST"), "{text}");
    assert_eq!(world.cluster.requests().count(), 1, "nothing else goes out");
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let dials: Vec<Instant> = world.dials().iter().map(|dial| dial.at).collect();
    assert_spaced(&dials, &[50, 100]);
    world.assert_clean();
}

#[test]
fn con_05_version_choice() {
    let mut capped = cluster(1, 1);
    capped.set_versions(1, ApiKey::Produce, 3, 7);
    let mut capped = World::new(capped, config()).unwrap();
    let receipt = capped.send("t", b"v");
    assert!(capped.settle());
    assert_delivered(&capped, receipt);
    assert_eq!(capped.cluster.requests_of(ApiKey::Produce)[0].version, 7);
    capped.assert_clean();
}

#[test]
fn con_05_a_broker_without_a_common_version_gets_nothing_and_is_named() {
    let none: &[&str] = &["does not announce it"];
    for (range, theirs) in
        [(Some((0, 2)), &["0 to 2"][..]), (Some((14, 20)), &["14 to 20"]), (None, none)]
    {
        let mut cluster = cluster(2, 2);
        match range {
            Some((min, max)) => cluster.set_versions(1, ApiKey::Produce, min, max),
            None => cluster.remove_api(1, ApiKey::Produce),
        }
        let mut world = World::new(cluster, config()).unwrap();
        let receipt = world.send_to("t", 0, b"v");
        let other = world.send_to("t", 1, b"v");
        assert!(world.settle());
        assert_delivered(&world, other);
        let outcome = outcome(&world, receipt);
        assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
        assert_eq!(outcome.error().unwrap().name(), "UNSUPPORTED_VERSION");
        assert!(outcome.at() < Instant::from_millis(1_000), "no loop until the deadline");
        let text = error_text(&world, receipt);
        for part in ["broker 1 at broker-1:9092", "Produce", "3 to 13"].iter().chain(theirs) {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        let produced = world.cluster.requests_of(ApiKey::Produce);
        assert!(produced.iter().all(|request| request.broker == 2));
        world.assert_clean();
    }
}

#[test]
fn con_05_metadata_and_producer_id_are_named_alike() {
    let mut cluster = cluster(1, 1);
    cluster.set_versions(1, ApiKey::InitProducerId, 9, 12);
    let mut world = World::new(cluster, config()).unwrap();
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    let text = error_text(&world, receipt);
    for part in ["broker-1:9092", "InitProducerId", "0 to 5", "9 to 12", "UNSUPPORTED_VERSION"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let mut cluster = crate::common::cluster(1, 1);
    cluster.set_versions(1, ApiKey::Metadata, 20, 21);
    let mut world = World::new(cluster, config()).unwrap();
    world.topic("t");
    world.run_for(ms(100));
    let text = world.producer.connection_trouble().unwrap().to_string();
    for part in ["broker-1:9092", "Metadata", "0 to 13", "20 to 21"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn con_06_mixed_versions_in_a_rolling_upgrade() {
    let mut cluster = cluster(2, 1);
    cluster.set_versions(1, ApiKey::Produce, 3, 11);
    cluster.set_versions(2, ApiKey::Produce, 3, 7);
    let mut world = World::new(cluster, config()).unwrap();
    world.send_to("t", 0, b"first");
    assert!(world.settle());
    world.cluster.inject(Rule::on(ApiKey::Produce).error(ResponseError::NotEnoughReplicas));
    let receipt = world.send_to("t", 0, b"second");
    world.run_for(ms(20));
    world.cluster.move_leader("t", 0, Some(2));
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let sent = world.cluster.requests_of(ApiKey::Produce);
    let (before, after) = (sent[1], sent.last().unwrap());
    assert_eq!((before.version, after.version), (11, 7));
    let ids = |request: &ReceivedRequest| {
        let batch = &request.batches()[0];
        let header = batch.header.clone().unwrap();
        (batch.digest, header.producer_id, header.producer_epoch, header.base_sequence, header.crc)
    };
    assert_eq!(ids(before), ids(after));
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn con_07_reconnect_backoff_grows_until_really_ready() {
    let mut world = world(1, 1, config());
    world.set_latency(Duration::ZERO);
    world.cluster.inject(Rule::on(ApiKey::ApiVersions).times(6).close_before());
    world.topic("t");
    world.run_for(secs(5));
    let to_seed = |world: &World| -> Vec<Instant> {
        let dials = world.dials().iter().filter(|dial| dial.broker.is_none());
        dials.map(|dial| dial.at).collect()
    };
    let dials = to_seed(&world);
    assert_eq!(dials.len(), 7);
    assert_spaced(&dials, &[50, 100, 200, 400, 800, 1000]);
}

#[test]
fn con_07_refused_dials_are_counted_as_failed() {
    let mut world = world(1, 1, config());
    world.cluster.set_up(1, false);
    world.topic("t");
    world.run_for(secs(2));
    let stats = world.producer.stats();
    assert!(stats.connections_opened > 3);
    assert_eq!(stats.connections_failed, stats.connections_opened);
}

#[test]
fn con_07_it_is_reset_when_the_connection_is_ready() {
    let mut world = warm(2, 4, config());
    world.set_latency(Duration::ZERO);
    let to_leader = |world: &World, since: Instant| -> Vec<Instant> {
        let dials = world.dials().iter().filter(|dial| dial.broker == Some(1));
        dials.map(|dial| dial.at).filter(|at| *at > since).collect()
    };
    for _ in 0..2 {
        world.run_for(secs(10));
        world.cluster.inject(Rule::on(ApiKey::ApiVersions).broker(1).times(4).close_before());
        let lost = world.now();
        // Not an idle one, which may be opened anew at once.
        world.send_to("t", 2, b"v");
        world.drain();
        world.reset(1, producer_sim::Fate::Lost);
        world.run_for(Duration::ZERO);
        // Fresh, so that no backoff of its own holds it back.
        let receipt = world.send_to("t", 0, b"v");
        assert!(world.settle());
        assert_delivered(&world, receipt);
        let mut times = vec![lost];
        times.extend(to_leader(&world, lost));
        assert_spaced(&times, &[50, 100, 200, 400, 800]);
    }
    world.assert_clean();
}

#[test]
fn con_08_setup_timeout_covers_the_whole_setup() {
    let mut world = world(1, 1, config());
    world.set_latency(Duration::ZERO);
    world.cluster.inject(Rule::on(ApiKey::ApiVersions).times(4).drop_answer());
    world.topic("t");
    world.run_for(secs(150));
    let failures = connection_failures(&world);
    let setups: Vec<_> = world.dials().iter().zip(&failures).collect();
    for ((dial, (failed, text)), seconds) in setups.iter().zip([10, 20, 30, 30]) {
        let took = *failed - dial.at;
        assert!(took >= secs(seconds) * 8 / 10 && took <= secs(seconds) * 12 / 10, "{took:?}");
        assert!(text.contains("took too long to set up"), "{text}");
    }
    assert_eq!(failures.len(), 4);
    let ready = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, ready);
    world.assert_clean();
}

#[test]
fn a_broker_that_closes_when_asked_for_its_versions_names_the_setting_for_old_brokers() {
    let mut cluster = cluster(1, 1);
    cluster.remove_api(1, ApiKey::ApiVersions);
    cluster.inject(Rule::on(ApiKey::ApiVersions).close_before().always());
    let mut world = World::new(cluster, config()).unwrap();
    world.topic("t");
    world.run_for(ms(500));
    let text = world.producer.connection_trouble().unwrap().to_string();
    for part in ["broker-1:9092", "versions", "assume.broker.version"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}
