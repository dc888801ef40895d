//! Faults of the network do what they say.

use crate::runs::world;
use producer_proto::{Config, ConnectErrorKind, Persistence};
use producer_sim::{ApiKey, Fate, Reach, ResponseError, Rule};
use std::time::Duration;

/// A world whose producer has delivered one record to partition 0, so that everything is up.
fn warm(config: Config) -> producer_sim::World {
    let mut world = world(config);
    let receipt = world.send_to("t", 0, b"warm");
    assert!(world.settle());
    assert!(world.outcome(receipt).unwrap().is_delivered());
    world
}

#[test]
fn a_reset_connection_loses_no_record_and_doubles_none() {
    let ghost = Fate::ArriveAfter(Duration::from_millis(40));
    // With the one for the first record, and the retry.
    for (fate, requests) in [(Fate::Lost, 2), (Fate::Arrive, 3), (ghost, 3)] {
        let mut world = warm(Config::default());
        let receipt = world.send_to("t", 0, b"v");
        // Long enough for linger, too short for the request to arrive.
        world.set_latency(Duration::from_millis(50));
        world.run_for(Duration::from_millis(10));
        let leader = world.cluster.partition("t", 0).unwrap().leader.unwrap();
        assert_eq!(world.links(leader).len(), 1);
        world.reset(leader, fate);
        assert!(world.settle(), "{fate:?}");
        assert!(world.outcome(receipt).unwrap().is_delivered());
        assert_eq!(world.values("t", 0), ["warm", "v"], "{fate:?}");
        assert_eq!(world.cluster.requests_of(ApiKey::Produce).len(), requests, "{fate:?}");
        world.assert_clean();
    }
}

#[test]
fn a_deaf_connection_is_noticed_by_its_timeout() {
    let mut world = warm(Config::default());
    let leader = world.cluster.partition("t", 0).unwrap().leader.unwrap();
    world.deafen(leader, false, true);
    let sent = world.now();
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    let outcome = world.outcome(receipt).unwrap();
    assert!(outcome.is_delivered());
    let waited = outcome.at() - sent;
    assert!(waited >= Duration::from_secs(30), "the request times out first, not after {waited:?}");
    assert_eq!(world.values("t", 0), ["warm", "v"]);
    world.assert_clean();
}

#[test]
fn a_broker_that_cannot_be_reached_takes_nothing() {
    let unreachable = [
        Reach::Fails(ConnectErrorKind::Refused),
        Reach::Fails(ConnectErrorKind::Dns),
        Reach::BlackHole,
    ];
    for reach in unreachable {
        let mut world = world(Config::default());
        let leader = world.cluster.partition("t", 0).unwrap().leader.unwrap();
        world.set_broker_reach(leader, reach);
        let receipt = world.send_to("t", 0, b"v");
        assert!(world.settle(), "{reach:?}");
        let outcome = world.outcome(receipt).unwrap();
        assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted), "{reach:?}");
        assert_eq!(world.values("t", 0), Vec::<String>::new());
        world.assert_clean();
    }
}

#[test]
fn a_leader_that_moves_takes_its_records_along() {
    let mut world = warm(Config::default());
    let old = world.cluster.partition("t", 0).unwrap().leader.unwrap();
    let new = if old == 1 { 2 } else { 1 };
    world.cluster.move_leader("t", 0, Some(new));
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert!(world.outcome(receipt).unwrap().is_delivered());
    assert_eq!(world.values("t", 0), ["warm", "v"]);
    world.assert_clean();
}

#[test]
fn an_answer_that_never_comes_ends_as_possibly_persisted() {
    let mut world = warm(Config::default());
    let after = Rule::on(ApiKey::Produce).always().error_after(ResponseError::RequestTimedOut);
    world.cluster.inject(after);
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    let outcome = world.outcome(receipt).unwrap();
    assert_eq!(outcome.persistence(), Some(Persistence::PossiblyPersisted));
    assert_eq!(world.values("t", 0), ["warm", "v"], "it was appended, once");
    world.assert_clean();
}
