//! No partition starves: while one could be served, no other partition of its broker is served
//! again and again.
//!
//! A Produce request to a broker shows that its connection is up, has a free slot and is not
//! throttled. What a partition that is not in it may wait for all the same is seen from outside:
//! the linger of its records, the backoff of its last attempt, an answer, another leader. Where the
//! producer may know more than can be seen, the partition counts as one that waits.

use crate::Instant;
use crate::run::content::RecordNumber;
use crate::run::ledger::Ledger;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, PartitionAnswer, PartitionLeader, Said, Sent, SentBatch};
use producer_proto::Uuid;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Topic and partition.
type Place = (usize, i32);

/// Errors after which the leader is still the leader.
const LEADER_STAYS: [i16; 4] = [
    2,  // CORRUPT_MESSAGE
    7,  // REQUEST_TIMED_OUT
    19, // NOT_ENOUGH_REPLICAS
    20, // NOT_ENOUGH_REPLICAS_AFTER_APPEND
];

/// How long a partition may wait by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) linger: Duration,
    /// The longest backoff, before jitter.
    pub(crate) backoff: Duration,
    /// What the driver is late with timers.
    pub(crate) lateness: Duration,
    /// Acks 0.
    pub(crate) without_answers: bool,
    /// How many batches of another partition may be sent before it.
    pub(crate) passes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    topic_id: Uuid,
    /// The highest that was named.
    epoch: i32,
    /// None where the producer may think otherwise.
    leader: Option<i32>,
}

/// A partition's records.
#[derive(Debug, Default)]
struct Line {
    /// Those that were appended for it by name or key, oldest first.
    records: VecDeque<(RecordNumber, Instant)>,
    /// Those of batches that were handed out in vain.
    retries: Vec<Rc<[RecordNumber]>>,
    /// Batches without an answer.
    in_flight: u32,
    /// When an attempt ended in vain.
    failed: Option<Instant>,
    turn: Option<Turn>,
}

/// A partition could be served, at every request to its leader since.
#[derive(Debug)]
struct Turn {
    since: Instant,
    oldest: RecordNumber,
    /// Batches of others that were sent since.
    passed: BTreeMap<Place, u32>,
}

impl Line {
    /// The oldest record without an outcome, and since when it may go.
    fn oldest(
        &mut self,
        patience: &Patience,
        is_open: impl Fn(RecordNumber) -> bool,
    ) -> Option<(RecordNumber, Instant)> {
        self.retries.retain(|records| records.iter().any(|number| is_open(*number)));
        while self.records.front().is_some_and(|(number, _)| !is_open(*number)) {
            self.records.pop_front();
        }
        let backoff = patience.backoff * 121 / 100;
        let after_failure = self.failed.map_or(Instant::ZERO, |failed| failed + backoff);
        let retries = self.retries.iter().flat_map(|records| records.iter().copied());
        if let Some(number) = retries.filter(|number| is_open(*number)).min() {
            return Some((number, after_failure));
        }
        let (number, at) = *self.records.front()?;
        Some((number, (at + patience.linger).max(after_failure)))
    }
}

pub(crate) struct Fairness {
    patience: Patience,
    told: BTreeMap<Place, Told>,
    lines: BTreeMap<Place, Line>,
    /// Until when the process stands still, or did.
    awake: Instant,
}

impl Fairness {
    pub(crate) fn new(patience: Patience) -> Self {
        let (told, lines) = (BTreeMap::new(), BTreeMap::new());
        Self { patience, told, lines, awake: Instant::ZERO }
    }

    /// Another producer takes over.
    pub(crate) fn new_instance(&mut self) {
        *self = Self { awake: self.awake, ..Self::new(self.patience) };
    }

    /// The process stands still: what goes out until `awake` was on its way before.
    pub(crate) fn sleeps(&mut self, awake: Instant) {
        self.awake = self.awake.max(awake);
    }

    /// A record was appended whose partition was named, or follows from its key.
    pub(crate) fn appended(&mut self, at: Instant, number: RecordNumber, place: Place) {
        self.lines.entry(place).or_default().records.push_back((number, at));
    }

    /// A bootstrap address is dialled: the producer may have forgotten its brokers.
    pub(crate) fn bootstraps(&mut self) {
        for told in self.told.values_mut() {
            told.leader = None;
        }
    }

    /// A request goes out to `broker`.
    pub(crate) fn sent(
        &mut self,
        at: Instant,
        broker: Option<i32>,
        sent: &Sent,
        ledger: &Ledger,
    ) -> Result<(), Failure> {
        if sent.batches.is_empty() {
            return Ok(());
        }
        for batch in &sent.batches {
            let line = self.lines.entry(place_of(batch)).or_default();
            line.turn = None;
            // Without answers the next batch waits until this one is written; so do all others.
            line.in_flight += u32::from(!self.patience.without_answers);
        }
        let passes = self.patience.passes;
        let is_open = |number| ledger.is_open(number);
        for (&place, line) in &mut self.lines {
            let leader = self.told.get(&place).and_then(|told| told.leader);
            if leader != broker || sent.batches.iter().any(|batch| place_of(batch) == place) {
                continue;
            }
            let oldest = line.oldest(&self.patience, is_open).filter(|_| line.in_flight == 0);
            let is_awake = at > self.awake;
            let Some((oldest, _)) = oldest.filter(|(_, from)| is_awake && *from <= at) else {
                line.turn = None;
                continue;
            };
            let turn = match &mut line.turn {
                Some(turn) if turn.oldest == oldest => turn,
                turn => turn.insert(Turn { since: at, oldest, passed: BTreeMap::new() }),
            };
            // Its timer may be late.
            if at <= turn.since + self.patience.lateness {
                continue;
            }
            for batch in &sent.batches {
                let passed = turn.passed.entry(place_of(batch)).or_default();
                *passed += 1;
                if *passed > passes {
                    let what = format!(
                        "t{}-{} is sent {passed} times since t{}-{} could be with {oldest}, at {:?}",
                        batch.topic, batch.partition, place.0, place.1, turn.since,
                    );
                    let failure = Failure::new(Oracle::Fairness, at, what).record(oldest);
                    return Err(failure.place(place.0, place.1));
                }
            }
        }
        Ok(())
    }

    /// `broker` has answered.
    pub(crate) fn answered(&mut self, at: Instant, broker: Option<i32>, answered: &Answered) {
        match &answered.said {
            Said::Metadata(leaders, errors) => {
                let brokers = &answered.brokers;
                if broker.is_none() || !errors.is_empty() {
                    self.bootstraps();
                }
                self.learn(leaders, |leader| brokers.addresses.contains_key(&leader));
            }
            Said::Produce(answers) => {
                for batch in &answered.request.batches {
                    let same = |a: &&PartitionAnswer| (a.topic, a.partition) == place_of(batch);
                    self.ended(at, batch, answers.iter().find(same));
                }
            }
            Said::Other(_) => {}
        }
    }

    fn learn(&mut self, leaders: &[PartitionLeader], is_listed: impl Fn(i32) -> bool) {
        let mut named = BTreeSet::new();
        for new in leaders {
            let place = (new.topic, new.partition);
            named.insert(place);
            let told = Told {
                topic_id: new.topic_id,
                epoch: new.epoch,
                leader: Some(new.leader).filter(|_| new.epoch >= 0),
            };
            let known = self.told.get(&place);
            let is_old = |known: &Told| known.topic_id == told.topic_id && known.epoch > told.epoch;
            if !known.is_some_and(is_old) && known != Some(&told) {
                self.told.insert(place, told);
                self.moved(place);
            }
        }
        let topics: BTreeSet<usize> = named.iter().map(|(topic, _)| *topic).collect();
        for (place, told) in &mut self.told {
            let is_missing = topics.contains(&place.0) && !named.contains(place);
            if is_missing || told.leader.is_some_and(|leader| !is_listed(leader)) {
                told.leader = None;
            }
        }
    }

    /// The partition's place in line is another one now.
    fn moved(&mut self, place: Place) {
        if let Some(line) = self.lines.get_mut(&place) {
            line.turn = None;
        }
    }

    fn ended(&mut self, at: Instant, batch: &SentBatch, answer: Option<&PartitionAnswer>) {
        let place = place_of(batch);
        let line = self.lines.entry(place).or_default();
        line.turn = None;
        line.in_flight = line.in_flight.saturating_sub(1);
        let code = answer.map(|answer| answer.code);
        if code == Some(0) {
            return;
        }
        line.failed = Some(at);
        line.retries.push(Rc::clone(&batch.records));
        if let Some(told) = self.told.get_mut(&place)
            && !code.is_some_and(|code| LEADER_STAYS.contains(&code))
        {
            let hint = answer.and_then(|answer| answer.hint);
            told.epoch = told.epoch.max(hint.map_or(-1, |(_, epoch)| epoch));
            told.leader = None;
        }
    }

    /// A connection is given up, or lost: these requests will have no answer.
    pub(crate) fn unanswered(&mut self, at: Instant, requests: &[Sent]) {
        for batch in requests.iter().flat_map(|request| &request.batches) {
            let line = self.lines.entry(place_of(batch)).or_default();
            line.in_flight = line.in_flight.saturating_sub(1);
            line.failed = Some(at);
            line.turn = None;
            line.retries.push(Rc::clone(&batch.records));
        }
        if self.patience.without_answers {
            // Nobody sees what was not written.
            for line in self.lines.values_mut() {
                line.failed = Some(at);
                line.turn = None;
            }
        }
    }
}

fn place_of(batch: &SentBatch) -> Place {
    (batch.topic, batch.partition)
}
