//! A small model, complete: one partition, two batches in flight together, and every fate that
//! each attempt of each may meet, with and without a leader that moves meanwhile. What random
//! runs find with luck in the shallow end is found here with certainty.
//!
//! A batch's story is a row of fates; it ends with the first attempt that is acknowledged, or with
//! the last attempt there is. Stories of up to two attempts are told in every run of this test;
//! with `EXHAUSTIVE_ATTEMPTS=3` those of up to three, which for three classes of errors are 259
//! for each batch and 67,081 for both:
//!
//! ```text
//! EXHAUSTIVE_ATTEMPTS=3 cargo test --release -p producer-sim --test exhaustive
//! ```
#![allow(clippy::unwrap_used)]

use producer_proto::{Config, Event, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, NewRecord, ReceivedRequest, ResponseError, Rule, TopicConfig,
    World,
};
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const REQUEST_TIMEOUT: Duration = ms(100);
const DELIVERY_TIMEOUT: Duration = ms(1_000);
/// Later than the answer to a retry.
const AFTER_RETRY: Duration = ms(150);
/// Later than every record's outcome.
const AFTER_EXPIRY: Duration = ms(3_000);

/// What happens to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Appended and acknowledged: the broker does what brokers do.
    Acked,
    /// Appended, and the answer never comes.
    AnswerLost,
    /// Not appended, and answered with an error.
    Refused(ResponseError),
    /// Taken up when the retry has been answered.
    GhostAfterRetry,
    /// Taken up when the record has long had its outcome.
    GhostAfterExpiry,
}

type Story = Vec<Fate>;

/// All stories of up to so many attempts.
fn stories(errors: &[ResponseError], attempts: usize) -> Vec<Story> {
    let mut fates = vec![Fate::Acked, Fate::AnswerLost];
    fates.extend(errors.iter().copied().map(Fate::Refused));
    fates.extend([Fate::GhostAfterRetry, Fate::GhostAfterExpiry]);
    let mut open: Vec<Story> = vec![Vec::new()];
    let mut ended = Vec::new();
    for attempt in 1..=attempts {
        for story in std::mem::take(&mut open) {
            for &fate in &fates {
                let longer = [&story[..], &[fate]].concat();
                if fate == Fate::Acked || attempt == attempts {
                    ended.push(longer);
                } else {
                    open.push(longer);
                }
            }
        }
    }
    ended
}

/// A broker's part in one attempt of the batch with so many records: batches are told apart by
/// their number of records.
fn rule(records: i32, attempt: usize, fate: Fate) -> Option<Rule> {
    let is_meant = move |request: &ReceivedRequest| {
        let headers = request.batches().iter().filter_map(|batch| batch.header.as_ref());
        headers.into_iter().any(|header| header.count == records)
    };
    let rule = Rule::on(ApiKey::Produce).matching(is_meant).nth(attempt as u64);
    Some(match fate {
        Fate::Acked => return None,
        Fate::AnswerLost => rule.drop_answer(),
        Fate::Refused(error) => rule.error(error),
        Fate::GhostAfterRetry => rule.stall(AFTER_RETRY),
        Fate::GhostAfterExpiry => rule.stall(AFTER_EXPIRY),
    })
}

fn world() -> World {
    let mut config = Config::default();
    config.linger = ms(1);
    config.request_timeout = REQUEST_TIMEOUT;
    config.delivery_timeout = Some(DELIVERY_TIMEOUT);
    config.retries = 2;
    config.retry_backoff = Some(ms(10));
    config.retry_backoff_max = Some(ms(20));
    config.reconnect_backoff = Some(ms(5));
    config.reconnect_backoff_max = Some(ms(20));
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(1));
    World::new(cluster, config).unwrap()
}

fn push(world: &mut World, value: &str) -> Receipt {
    let record = NewRecord { topic: "t", value: Some(value.as_bytes()), ..NewRecord::default() };
    world.try_push(&record).unwrap()
}

/// One leaf.
fn tell(stories: [&Story; 2], leader_moves: bool) {
    let mut world = world();
    world.send("t", b"0 warm");
    assert!(world.settle());
    for (story, records) in stories.into_iter().zip([2, 3]) {
        for (&fate, attempt) in story.iter().zip(1..) {
            rule(records, attempt, fate).map(|rule| world.cluster.inject(rule));
        }
    }
    for values in [&["1 a", "1 b"][..], &["2 a", "2 b", "2 c"]] {
        for value in values {
            push(&mut world, value);
        }
        let now = world.now();
        world.producer.flush(now);
        world.drain();
    }
    if leader_moves {
        world.run_for(ms(40));
        let leader = world.cluster.partition("t", 0).unwrap().leader.unwrap();
        world.cluster.move_leader("t", 0, Some(3 - leader));
    }
    assert!(world.settle(), "{} records open", world.open_records());
    world.cluster.clear_rules();
    // The partition goes on, before the last ghosts come and after.
    probe(&mut world, "3 probe");
    world.run_for(AFTER_EXPIRY * 2);
    probe(&mut world, "4 probe");
    world.run_for(AFTER_EXPIRY);
    check(&world);
}

fn probe(world: &mut World, value: &str) {
    if world.producer.fatal().is_some() {
        return;
    }
    let receipt = push(world, value);
    assert!(world.settle());
    let outcome = world.outcome(receipt).unwrap();
    assert!(outcome.is_delivered(), "{value}: {outcome:?}");
}

fn check(world: &World) {
    world.assert_clean();
    world.assert_exactly_once();
    let values = world.values("t", 0);
    assert!(values.is_sorted_by(|a, b| a < b), "{values:?}");
    let delivered = world.events().filter_map(|(_, event)| match event {
        Event::Delivered { batch, records, .. } => Some((*batch, records.start)),
        _ => None,
    });
    let delivered: Vec<_> = delivered.collect();
    assert!(delivered.is_sorted_by(|a, b| a < b), "told in the order {delivered:?}");
    let stats = world.producer.stats();
    assert_eq!((stats.records_outstanding, stats.batches_outstanding), (0, 0));
    assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0));
}

fn tell_all(errors: &[ResponseError], leader_moves: bool) {
    let attempts = std::env::var("EXHAUSTIVE_ATTEMPTS");
    let attempts = attempts.map_or(2, |text| text.parse().unwrap());
    let stories = stories(errors, attempts);
    let mut leaves = 0;
    for first in &stories {
        for second in &stories {
            let leaf = || tell([first, second], leader_moves);
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(leaf));
            assert!(told.is_ok(), "first batch {first:?}, second {second:?}");
            leaves += 1;
        }
    }
    let k = errors.len() + 4;
    let expected = match attempts {
        2 => 1 + (k - 1) * k,
        3 => 1 + (k - 1) + (k - 1).pow(2) * k,
        _ => stories.len(),
    };
    assert_eq!(leaves, expected * expected);
    println!("{leaves} leaves");
}

/// Errors after which a batch is tried again: one that proves that it was not appended, one that
/// names no leader, and one that proves nothing.
const RETRIED: [ResponseError; 3] = [
    ResponseError::NotEnoughReplicas,
    ResponseError::NotLeaderOrFollower,
    ResponseError::RequestTimedOut,
];

/// Errors that end a batch: its own fault, nobody knows whose, and one that ends the producer.
const FINAL: [ResponseError; 3] = [
    ResponseError::InvalidRecord,
    ResponseError::UnknownServerError,
    ResponseError::ClusterAuthorizationFailed,
];

#[test]
fn every_story_with_errors_that_are_retried() {
    tell_all(&RETRIED, false);
}

#[test]
fn every_story_with_errors_that_are_retried_and_a_leader_that_moves() {
    tell_all(&RETRIED, true);
}

#[test]
fn every_story_with_final_errors() {
    tell_all(&FINAL, false);
}

#[test]
fn every_story_with_final_errors_and_a_leader_that_moves() {
    tell_all(&FINAL, true);
}
