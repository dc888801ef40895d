//! Each oracle can fail: it is shown a world in which its promise is broken.

mod fairness;

use super::audit::{Log, Promises, audit};
use super::content::{self, RecordNumber, digest, write_value};
use super::ledger::{Entry, Ledger, Told, judge_time};
use super::oracle::{Backoffs, Leaders, Limits, Links, Pace, Rest, Stamps, baseline};
use super::script::To;
use super::verdict::{Failure, Oracle};
use super::wire::{
    Answered, Brokers, PartitionAnswer, PartitionLeader, Said, Sent, SentBatch, Wire,
};
use crate::Instant;
use crate::records::{BatchHeader, LogRecord};
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use producer_proto::{BatchId, ConnectionId, Event, Persistence, Receipt, Stats, TimerKind, Uuid};
use std::time::Duration;

const NOW: Instant = Instant::from_millis(1_000);

fn value(append: u32) -> Vec<u8> {
    let mut value = Vec::new();
    write_value(RecordNumber { instance: 0, append }, 20, &mut value);
    value
}

/// A ledger with three records in a batch for partition 0 of topic 0, each sent once.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(false);
    ledger.new_instance();
    for index in 0..3 {
        let number = ledger.next_number();
        let entry = Entry {
            number,
            topic: 0,
            to: To::Partition(0),
            due_partition: Some(0),
            digest: digest(None, Some(&value(index)), [].into_iter()),
            timestamp: 5,
            at: Instant::ZERO,
            receipt: Receipt { batch: BatchId(0), index },
            partition: None,
            told: None,
            attempts: 1,
        };
        ledger.accept(entry).unwrap();
    }
    ledger
}

fn delivered(ledger: &mut Ledger, range: std::ops::Range<u32>) -> Result<Vec<usize>, Failure> {
    let first = i64::from(range.start);
    ledger.tell(NOW, BatchId(0), &range, 0, |i| Told::Delivered {
        offset: Some(first + i64::from(i)),
    })
}

fn record(offset: i64, append: u32) -> LogRecord {
    let value = Some(Bytes::from(value(append)));
    LogRecord { offset, timestamp: 5, key: None, value, headers: Vec::new() }
}

fn log(records: Vec<LogRecord>) -> Vec<Log> {
    vec![Log { topic: 0, partition: 0, records }]
}

fn whole() -> Vec<LogRecord> {
    (0..3).map(|i| record(i64::from(i), i)).collect()
}

fn breaks(ledger: &Ledger, records: Vec<LogRecord>) -> Option<Oracle> {
    let promises = Promises { idempotent: true, durable: true, ..Promises::default() };
    audit(NOW, ledger, &log(records), &promises).err().map(|failure| failure.oracle)
}

#[test]
fn the_audit_finds_what_is_lost_doubled_out_of_order_foreign_or_changed() {
    let mut ledger = ledger();
    delivered(&mut ledger, 0..3).unwrap();
    assert_eq!(breaks(&ledger, whole()), None);
    assert_eq!(breaks(&ledger, whole()[..2].to_vec()), Some(Oracle::NothingLost));
    let mut doubled = whole();
    doubled.push(record(3, 2));
    assert_eq!(breaks(&ledger, doubled), Some(Oracle::NoDuplicate));
    assert_eq!(breaks(&ledger, vec![record(0, 1), record(1, 0)]), Some(Oracle::Order));
    let mut foreign = whole();
    foreign[1].value = Some(Bytes::from_static(b"nobody's"));
    assert_eq!(breaks(&ledger, foreign), Some(Oracle::NothingInvented));
    let mut changed = whole();
    changed[1].headers.push(("a".to_owned(), None));
    assert_eq!(breaks(&ledger, changed), Some(Oracle::NothingInvented));
    let mut late = whole();
    late[2].timestamp += 1;
    assert_eq!(breaks(&ledger, late), Some(Oracle::NothingInvented));
    let elsewhere = vec![Log { topic: 0, partition: 1, records: whole() }];
    let promises = Promises { idempotent: true, durable: true, ..Promises::default() };
    let failure = audit(NOW, &ledger, &elsewhere, &promises).unwrap_err();
    assert_eq!(failure.oracle, Oracle::RightPlace);
}

#[test]
fn only_what_brokers_are_known_to_have_lost_is_excused() {
    let mut ledger = ledger();
    delivered(&mut ledger, 0..3).unwrap();
    let mut promises = Promises { idempotent: true, durable: true, ..Promises::default() };
    promises.excused.insert((0, 0));
    let breaks = |promises: &Promises, records| {
        audit(NOW, &ledger, &log(records), promises).err().map(|failure| failure.oracle)
    };
    let lacks_one = || whole()[..2].to_vec();
    assert_eq!(breaks(&promises, lacks_one()), Some(Oracle::NothingLost), "brokers may forget");
    promises.lost.insert(ledger.entries[2].number);
    assert_eq!(breaks(&promises, lacks_one()), None);
    assert_eq!(breaks(&promises, whole()[..1].to_vec()), Some(Oracle::NothingLost), "another one");
}

#[test]
fn the_ledger_takes_one_outcome_each_in_order_and_at_the_right_place() {
    let mut twice = ledger();
    delivered(&mut twice, 0..1).unwrap();
    assert_eq!(delivered(&mut twice, 0..1).unwrap_err().oracle, Oracle::OneOutcome);
    assert_eq!(delivered(&mut ledger(), 3..4).unwrap_err().oracle, Oracle::OneOutcome);
    assert_eq!(delivered(&mut ledger(), 1..1).unwrap_err().oracle, Oracle::OneOutcome);
    let mut turned = ledger();
    delivered(&mut turned, 1..2).unwrap();
    assert_eq!(delivered(&mut turned, 0..1).unwrap_err().oracle, Oracle::OutcomeOrder);
    let elsewhere =
        ledger().tell(NOW, BatchId(0), &(0..1), 1, |_| Told::Delivered { offset: None });
    assert_eq!(elsewhere.unwrap_err().oracle, Oracle::RightPlace);
    assert_eq!(content::read_value(&value(2)).unwrap().append, 2);
}

#[test]
fn an_outcome_may_not_come_late() {
    let mut ledger = ledger();
    delivered(&mut ledger, 0..1).unwrap();
    let entry = &ledger.entries[0];
    let ms = Duration::from_millis;
    assert_eq!(judge_time(entry, ms(1_000), ms(0), false), Ok(()));
    assert_eq!(judge_time(entry, ms(900), ms(100), false), Ok(()));
    let failure = judge_time(entry, ms(900), ms(99), false).unwrap_err();
    assert_eq!(failure.oracle, Oracle::Deadlines);
    assert!(!matches!(
        entry.told,
        Some((_, Told::Failed { persistence: Persistence::NotPersisted, .. }))
    ));
}

fn batch(epoch: i16, base: i32, count: i32, digest: u64) -> SentBatch {
    let header = BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: 7,
        producer_epoch: epoch,
        base_sequence: base,
        count,
    };
    let number = |append| RecordNumber { instance: 0, append: append as u32 };
    let records = (0..count).map(|i| number(digest as i32 * 100 + i)).collect();
    SentBatch { topic: 0, partition: 0, header, digest, records }
}

fn sent(batches: Vec<SentBatch>) -> Sent {
    Sent::produce(ConnectionId(0), batches)
}

/// An ApiVersions request of version 0 without a client id.
fn api_versions() -> Bytes {
    Bytes::from_static(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
}

fn answered(request: &Sent, code: i16) -> Answered {
    let answer = PartitionAnswer { topic: 0, partition: 0, code, base_offset: 0, hint: None };
    let said = Said::Produce(vec![answer]);
    let (conn, throttle, brokers) = (ConnectionId(0), Duration::ZERO, Brokers::default());
    Answered { conn, request: request.clone(), throttle, said, brokers }
}

#[test]
fn stamps_are_frozen_contiguous_and_never_go_back() {
    let breaks = |answer: Option<i16>, first: SentBatch, second: SentBatch| {
        let mut stamps = Stamps::default();
        let request = sent(vec![first]);
        stamps.sent(NOW, &request).unwrap();
        if let Some(code) = answer {
            stamps.answered(&answered(&request, code));
        }
        stamps.sent(NOW, &sent(vec![second])).err().map(|failure| failure.oracle)
    };
    let first = || batch(0, 0, 3, 1);
    assert_eq!(breaks(None, first(), first()), None, "sent again");
    assert_eq!(breaks(None, first(), batch(0, 3, 1, 2)), None, "the next");
    assert_eq!(breaks(None, first(), batch(0, 0, 3, 2)), Some(Oracle::FrozenStamp));
    assert_eq!(breaks(Some(19), first(), batch(0, 0, 3, 2)), None, "it was refused");
    assert_eq!(breaks(Some(7), first(), batch(0, 0, 3, 2)), Some(Oracle::FrozenStamp), "in doubt");
    assert_eq!(breaks(None, first(), batch(0, 4, 1, 2)), Some(Oracle::StampLaw), "a gap");
    assert_eq!(breaks(None, first(), batch(0, 2, 1, 2)), Some(Oracle::StampLaw), "an overlap");
    assert_eq!(breaks(None, first(), batch(1, 1, 1, 2)), Some(Oracle::StampLaw), "begins with 1");
    assert_eq!(breaks(None, first(), batch(1, 0, 3, 1)), Some(Oracle::StampLaw), "two stamps");
    assert_eq!(breaks(None, batch(1, 0, 3, 1), batch(0, 0, 1, 2)), Some(Oracle::StampLaw), "back");
}

#[test]
fn stamps_wrap_behind_the_largest_number() {
    let breaks = |begins: bool, first: SentBatch, second: SentBatch| {
        let mut stamps = Stamps::default();
        if begins {
            stamps.begin_at(0, 0, i32::MAX - 1);
        }
        stamps.sent(NOW, &sent(vec![first]))?;
        stamps.sent(NOW, &sent(vec![second]))
    };
    let breaks =
        |begins, first, second| breaks(begins, first, second).err().map(|failure| failure.oracle);
    let first = || batch(0, i32::MAX - 1, 3, 1);
    assert_eq!(breaks(true, first(), batch(0, 1, 2, 2)), None);
    assert_eq!(breaks(true, first(), first()), None, "sent again");
    assert_eq!(
        breaks(true, batch(0, 0, 3, 1), batch(0, 3, 2, 2)),
        None,
        "another epoch came first"
    );
    assert_eq!(breaks(true, first(), batch(0, 0, 2, 2)), Some(Oracle::StampLaw), "an overlap");
    assert_eq!(breaks(true, first(), batch(0, 2, 2, 2)), Some(Oracle::StampLaw), "a gap");
    assert_eq!(
        breaks(true, first(), batch(0, i32::MIN + 1, 2, 2)),
        Some(Oracle::StampLaw),
        "signed"
    );
    assert_eq!(
        breaks(true, first(), batch(1, i32::MAX - 1, 2, 2)),
        Some(Oracle::StampLaw),
        "again"
    );
    assert_eq!(breaks(false, first(), batch(0, 1, 2, 2)), Some(Oracle::StampLaw), "unasked");
}

#[test]
fn after_the_close_there_are_no_events_no_bytes_no_timers_and_no_memory() {
    let mut rest = Rest::default();
    let oracle = |result: Result<(), Failure>| result.err().map(|failure| failure.oracle);
    assert_eq!(rest.timer(NOW, Some(NOW), Some(TimerKind::Linger)), Ok(()));
    assert_eq!(rest.nothing_more(NOW, || "bytes".to_owned()), Ok(()));
    assert_eq!(rest.event(NOW, &Event::Closed), Ok(()));
    assert!(rest.is_closed());
    assert_eq!(rest.timer(NOW, None, None), Ok(()));
    let timer = rest.timer(NOW, Some(NOW), Some(TimerKind::Linger));
    assert_eq!(oracle(timer), Some(Oracle::FlushAndClose));
    let bytes = rest.nothing_more(NOW, || "bytes".to_owned());
    assert_eq!(oracle(bytes), Some(Oracle::FlushAndClose));
    assert_eq!(oracle(rest.event(NOW, &Event::Closed)), Some(Oracle::FlushAndClose));
    assert_eq!(rest.wake_ups(NOW, 8, 8), Ok(()));
    assert_eq!(oracle(rest.wake_ups(NOW, 9, 8)), Some(Oracle::Timers));
    let mut stats = Stats::default();
    assert_eq!(baseline(NOW, &stats, "now"), Ok(()));
    stats.buffered_bytes = 1;
    assert_eq!(oracle(baseline(NOW, &stats, "now")), Some(Oracle::Memory));
}

#[test]
fn no_produce_goes_to_a_broker_that_has_denied_or_is_known_not_to_lead() {
    let mut leaders = Leaders::default();
    let leader = |leader, epoch| PartitionLeader {
        topic: 0,
        topic_id: Uuid([1; 16]),
        partition: 0,
        leader,
        epoch,
    };
    let request = sent(vec![batch(0, 0, 1, 1)]);
    let metadata = |leader| {
        let mut answer = answered(&request, 0);
        answer.said = Said::Metadata(vec![leader], Vec::new());
        answer.brokers.addresses.insert(1, ("one".to_owned(), 1));
        answer
    };
    leaders.answered(Some(1), &metadata(leader(1, 3)));
    assert_eq!(leaders.sent(NOW, Some(1), &request), Ok(()));
    assert_eq!(leaders.sent(NOW, Some(2), &request).unwrap_err().oracle, Oracle::Freshness);
    leaders.answered(Some(1), &metadata(leader(2, 2)));
    assert_eq!(leaders.sent(NOW, Some(1), &request), Ok(()), "older metadata changes nothing");
    let mut of_nobody = metadata(leader(2, 9));
    of_nobody.brokers.addresses.clear();
    leaders.answered(Some(1), &of_nobody);
    assert_eq!(leaders.sent(NOW, Some(1), &request), Ok(()), "it knows nothing yet");
    leaders.answered(Some(1), &answered(&request, 6));
    assert_eq!(leaders.sent(NOW, Some(1), &request).unwrap_err().oracle, Oracle::Freshness);
}

#[test]
fn connections_are_one_per_broker_and_stay_within_their_limits() {
    let limits = Limits { in_flight: 2, acks: -1, timeout_ms: 1_000 };
    let mut links = Links::new(limits);
    links.name("a", 1);
    let connect = |links: &mut Links, n, host| {
        let connected = links.connect(NOW, ConnectionId(n), (host, 1), Some(1), &Wire::default());
        connected.map_err(|failure| failure.oracle)
    };
    assert_eq!(connect(&mut links, 0, "b"), Err(Oracle::Connections), "nobody named it");
    assert_eq!(connect(&mut links, 0, "a"), Ok(()));
    assert_eq!(connect(&mut links, 1, "a"), Err(Oracle::Connections), "a second one");
    let mut request = sent(vec![batch(0, 0, 1, 1)]);
    request.acks = Some((-1, 1_000));
    let send = |links: &mut Links, request: &Sent, waiting| {
        links.sent(NOW, request, waiting).map_err(|failure| failure.oracle)
    };
    assert_eq!(send(&mut links, &request, 1), Err(Oracle::Connections), "not up");
    links.connected(ConnectionId(0));
    assert_eq!(send(&mut links, &request, 1), Err(Oracle::Wire), "before ApiVersions");
    let mut versions = sent(Vec::new());
    (versions.api, versions.acks) = (ApiKey::ApiVersions, None);
    assert_eq!(connect(&mut links, 0, "a"), Err(Oracle::Connections));
    links.gone(ConnectionId(0));
    connect(&mut links, 0, "a").unwrap();
    links.connected(ConnectionId(0));
    assert_eq!(send(&mut links, &versions, 1), Ok(()));
    assert_eq!(send(&mut links, &request, 2), Ok(()));
    assert_eq!(send(&mut links, &request, 3), Err(Oracle::Wire), "too many in flight");
    request.acks = Some((1, 1_000));
    assert_eq!(send(&mut links, &request, 1), Err(Oracle::Wire), "other acks");
    links.close(ConnectionId(0));
    assert_eq!(send(&mut links, &request, 1), Err(Oracle::Connections), "closed");
}

#[test]
fn backoff_and_throttle_are_kept() {
    let ms = Duration::from_millis;
    let backoffs = Backoffs {
        retry: ms(100),
        reconnect: ms(50),
        reconnect_max: ms(1_000),
        tick: ms(0),
        topics: 1,
    };
    let mut pace = Pace::new(backoffs);
    let dial = |pace: &mut Pace, at, n| {
        pace.connect(NOW + ms(at), ConnectionId(n), ("a", 1), Some(1)).map_err(|f| f.oracle)
    };
    assert_eq!(dial(&mut pace, 0, 0), Ok(()));
    pace.gone(NOW, ConnectionId(0));
    assert_eq!(dial(&mut pace, 30, 1), Err(Oracle::Rates));
    assert_eq!(dial(&mut pace, 40, 1), Ok(()));
    pace.gone(NOW + ms(40), ConnectionId(1));
    assert_eq!(dial(&mut pace, 100, 2), Err(Oracle::Rates), "it doubles");
    let request = sent(vec![batch(0, 0, 1, 1)]);
    let leaders = Leaders::default();
    assert_eq!(pace.sent(NOW, &request, &leaders), Ok(()));
    let mut refused = answered(&request, 19);
    refused.throttle = ms(300);
    pace.answered(NOW, &refused);
    assert_eq!(pace.sent(NOW + ms(200), &request, &leaders).unwrap_err().oracle, Oracle::Throttle);
}

/// What becomes of a batch that is sent a second time `after` milliseconds after `ends`.
fn tried_again(
    after: u64,
    leaders: &mut Leaders,
    ends: impl FnOnce(&mut Pace, &mut Leaders, &Sent),
) -> Result<(), Oracle> {
    let ms = Duration::from_millis;
    let (retry, reconnect, tick) = (ms(100), ms(50), ms(0));
    let backoffs = Backoffs { retry, reconnect, reconnect_max: ms(1_000), tick, topics: 1 };
    let mut pace = Pace::new(backoffs);
    let request = sent(vec![batch(0, 0, 1, 1)]);
    assert_eq!(pace.sent(NOW, &request, leaders), Ok(()));
    ends(&mut pace, leaders, &request);
    pace.sent(NOW + ms(after), &request, leaders).map_err(|failure| failure.oracle)
}

#[test]
fn a_batch_waits_for_its_backoff_whatever_ended_its_attempt() {
    for code in [3, 6, 7, 19, 20, 45] {
        let refused = |pace: &mut Pace, _: &mut Leaders, request: &Sent| {
            pace.answered(NOW, &answered(request, code));
        };
        assert_eq!(tried_again(75, &mut Leaders::default(), refused), Err(Oracle::Rates), "{code}");
        assert_eq!(tried_again(80, &mut Leaders::default(), refused), Ok(()), "{code}");
    }
    let lost = |pace: &mut Pace, _: &mut Leaders, request: &Sent| {
        pace.unanswered(NOW, std::slice::from_ref(request));
    };
    assert_eq!(tried_again(75, &mut Leaders::default(), lost), Err(Oracle::Rates));
    assert_eq!(tried_again(80, &mut Leaders::default(), lost), Ok(()));
}

#[test]
fn a_leader_that_was_named_since_is_tried_at_once() {
    let first =
        PartitionLeader { topic: 0, topic_id: Uuid([1; 16]), partition: 0, leader: 1, epoch: 3 };
    let metadata = |leader| {
        let mut answer = answered(&sent(Vec::new()), 0);
        answer.said = Said::Metadata(vec![leader], Vec::new());
        answer.brokers.addresses.insert(1, ("one".to_owned(), 1));
        answer
    };
    let told = || {
        let mut leaders = Leaders::default();
        leaders.answered(Some(1), &metadata(first));
        leaders
    };
    let then = |answer: Answered| {
        move |pace: &mut Pace, leaders: &mut Leaders, request: &Sent| {
            pace.answered(NOW, &answered(request, 19));
            leaders.answered(Some(1), &answer);
        }
    };
    let newer = PartitionLeader { leader: 2, epoch: 4, ..first };
    assert_eq!(tried_again(0, &mut told(), then(metadata(newer))), Ok(()));
    let older = PartitionLeader { leader: 2, epoch: 2, ..first };
    assert_eq!(tried_again(0, &mut told(), then(metadata(older))), Err(Oracle::Rates));
    let recreated = PartitionLeader { topic_id: Uuid([2; 16]), epoch: 0, ..first };
    assert_eq!(tried_again(0, &mut told(), then(metadata(recreated))), Ok(()));
    // The answer to another batch may name the leader, too; but only where it is of use.
    let hint = |code, epoch| {
        let mut answer = answered(&sent(vec![batch(0, 0, 1, 1)]), code);
        let Said::Produce(partitions) = &mut answer.said else { unreachable!() };
        partitions[0].hint = Some((2, epoch));
        answer
    };
    assert_eq!(tried_again(0, &mut told(), then(hint(6, 4))), Ok(()));
    assert_eq!(tried_again(0, &mut told(), then(hint(6, 3))), Err(Oracle::Rates));
    assert_eq!(tried_again(0, &mut told(), then(hint(20, 4))), Err(Oracle::Rates));
}

#[test]
fn a_second_connection_stands_beside_one_that_waits_where_a_broker_was_disowned() {
    let named = |brokers: &[(i32, u16)]| Brokers {
        addresses: brokers.iter().map(|&(id, port)| (id, ("a".to_owned(), port))).collect(),
        is_all: true,
    };
    // One connection that is up; then the answer comes on another, and a second one is dialled.
    let first = |is_waiting: bool| {
        let mut links = Links::new(Limits { in_flight: 2, acks: -1, timeout_ms: 1_000 });
        links.name("a", 1);
        let mut wire = Wire::default();
        links.connect(NOW, ConnectionId(0), ("a", 1), Some(1), &wire).unwrap();
        links.connected(ConnectionId(0));
        if is_waiting {
            wire.sent(NOW, ConnectionId(0), api_versions()).unwrap();
        }
        (links, wire)
    };
    let dial = |(links, wire): &mut (Links, Wire), conn| {
        let connected = links.connect(NOW, ConnectionId(conn), ("a", 1), Some(1), wire);
        connected.map_err(|failure| failure.oracle)
    };
    let second = |brokers: &Brokers, is_waiting: bool| {
        let mut world = first(is_waiting);
        world.0.answered(NOW, ConnectionId(7), Some(brokers), 0);
        dial(&mut world, 1)
    };
    assert_eq!(second(&named(&[(2, 2)]), true), Ok(()), "the broker was gone");
    assert_eq!(second(&named(&[(1, 3), (2, 2)]), true), Ok(()), "it moved");
    let waits_for_nothing = second(&named(&[(2, 2)]), false);
    assert_eq!(waits_for_nothing, Err(Oracle::Connections));
    assert_eq!(second(&named(&[(1, 1), (2, 2)]), true), Err(Oracle::Connections), "it is there");
    let mut world = first(true);
    world.0.answered(NOW, ConnectionId(7), Some(&named(&[(2, 2)])), 0);
    assert_eq!(dial(&mut world, 1), Ok(()));
    assert_eq!(dial(&mut world, 2), Err(Oracle::Connections), "the second is not done for");
    world.0.gone(ConnectionId(1));
    assert_eq!(dial(&mut world, 2), Ok(()), "it failed; the first waits still");
    world.0.gone(ConnectionId(2));
    world.1.gone(ConnectionId(0));
    world.0.answered(NOW, ConnectionId(0), Some(&Brokers::default()), 0);
    assert_eq!(dial(&mut world, 3), Ok(()), "the first is about to be closed");
    let mut world = first(true);
    world.0.answered(Instant::ZERO, ConnectionId(0), Some(&named(&[(2, 2)])), 0);
    world.1.gone(ConnectionId(0));
    assert_eq!(dial(&mut world, 1), Err(Oracle::Connections), "it should have been closed");
    let mut world = first(true);
    world.0.answered(NOW, ConnectionId(7), None, 0);
    assert_eq!(dial(&mut world, 1), Ok(()), "who knows what it said");
    let hint = Brokers { is_all: false, ..named(&[(2, 2)]) };
    assert_eq!(second(&hint, true), Err(Oracle::Connections), "a hint names some brokers");
}
