//! A partition that starves is found, and one that has to wait is not taken for one.

use super::{NOW, answered, batch, ledger, sent};
use crate::run::oracle::{Fairness, Patience};
use crate::run::verdict::Oracle;
use crate::run::wire::{Answered, Brokers, PartitionLeader, Said, Sent, SentBatch};
use crate::{Instant, Micros};
use producer_proto::Uuid;
use std::time::Duration;

const LINGER: Duration = Duration::from_millis(10);
const BACKOFF: Duration = Duration::from_millis(100);

/// Partitions 0 and 1 are led by broker 1, and the first record in the ledger waits for partition 0.
fn world() -> Fairness {
    let (linger, backoff, lateness) = (LINGER, BACKOFF, Duration::from_millis(5));
    let (without_answers, passes) = (false, 1);
    let patience = Patience { linger, backoff, lateness, without_answers, passes };
    let mut world = Fairness::new(patience);
    world.answered(NOW, Some(1), &metadata(&[(0, 1), (1, 1)], 5));
    world.appended(NOW, ledger().entries[0].number, (0, 0));
    world
}

/// Names leaders of partitions, all of one epoch.
fn metadata(leaders: &[(i32, i32)], epoch: i32) -> Answered {
    let leader = |&(partition, leader)| {
        let topic_id = Uuid([1; 16]);
        PartitionLeader { topic: 0, topic_id, partition, leader, epoch }
    };
    let said = Said::Metadata(leaders.iter().map(leader).collect(), Vec::new());
    let addresses = [1, 2].map(|id| (id, ("a".to_owned(), 9_092))).into();
    Answered { said, brokers: Brokers { addresses, is_all: true }, ..answered(&other(), 0) }
}

/// A batch for partition 1.
fn other() -> Sent {
    sent(vec![SentBatch { partition: 1, ..batch(0, 0, 1, 9) }])
}

/// The batch with the record that waits for partition 0.
fn own() -> Sent {
    sent(vec![batch(0, 0, 1, 0)])
}

fn after(time: Duration) -> Instant {
    NOW + time
}

/// Sends batches for partition 1, one each millisecond; gives the time of the verdict, if there is
/// one in ten seconds.
fn starves(world: &mut Fairness) -> Option<Duration> {
    let times = (0..10_000).map(|ms| Micros::millis(ms).duration());
    for time in times {
        let verdict = world.sent(after(time), Some(1), &other(), &ledger());
        world.answered(after(time), Some(1), &answer_to(&other(), 0));
        if let Err(failure) = verdict {
            assert_eq!((failure.oracle, failure.place), (Oracle::Fairness, Some((0, 0))));
            return Some(time);
        }
    }
    None
}

fn answer_to(request: &Sent, code: i16) -> Answered {
    let mut answered = answered(request, code);
    if let Said::Produce(answers) = &mut answered.said {
        answers[0].partition = request.batches[0].partition;
    }
    answered
}

#[test]
fn who_is_passed_again_and_again_starves() {
    // Its linger ends at 10 ms, its timer may ring up to 15; at 16 one may still stand before it.
    assert_eq!(starves(&mut world()), Some(Duration::from_millis(17)));
}

#[test]
fn nobody_starves_while_the_process_stands_still() {
    let mut world = world();
    world.sleeps(after(Duration::from_millis(50)));
    // Its timer may ring up to 5 ms late from then on.
    assert_eq!(starves(&mut world), Some(Duration::from_millis(58)));
}

#[test]
fn who_has_to_wait_does_not_starve() {
    let mut waits_for_an_answer = world();
    waits_for_an_answer.sent(NOW, Some(1), &own(), &ledger()).unwrap();
    assert_eq!(starves(&mut waits_for_an_answer), None);

    let mut has_another_leader = world();
    has_another_leader.answered(NOW, Some(1), &metadata(&[(0, 2), (1, 1)], 6));
    assert_eq!(starves(&mut has_another_leader), None);

    let mut is_missing = world();
    is_missing.answered(NOW, Some(1), &metadata(&[(1, 1)], 6));
    assert_eq!(starves(&mut is_missing), None);

    let mut has_nothing = world();
    has_nothing.new_instance();
    has_nothing.answered(NOW, Some(1), &metadata(&[(0, 1), (1, 1)], 5));
    assert_eq!(starves(&mut has_nothing), None);

    let mut is_bootstrapping = world();
    is_bootstrapping.bootstraps();
    assert_eq!(starves(&mut is_bootstrapping), None);
}

#[test]
fn a_retry_waits_for_its_backoff_and_then_must_go() {
    let longest = BACKOFF * 121 / 100;
    for (code, goes) in [(19, true), (6, false)] {
        let mut world = world();
        world.sent(NOW, Some(1), &own(), &ledger()).unwrap();
        world.answered(NOW, Some(1), &answer_to(&own(), code));
        let starved = starves(&mut world);
        assert_eq!(starved.is_some(), goes, "after error {code}");
        assert!(starved.is_none_or(|time| time > longest), "{starved:?}");
    }
    let mut world = world();
    world.sent(NOW, Some(1), &own(), &ledger()).unwrap();
    world.unanswered(NOW, &[own()]);
    assert!(starves(&mut world).is_some_and(|time| time > longest), "its connection was lost");
}
