//! Backoff and throttling: no attempt before its time.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, Said, Sent};
use kafka_protocol::messages::ApiKey;
use producer_proto::ConnectionId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What the settings ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoffs {
    pub(crate) retry: Duration,
    pub(crate) reconnect: Duration,
    pub(crate) reconnect_max: Duration,
    /// How far the producer's clock may be behind.
    pub(crate) tick: Duration,
    /// How many topics may be asked for without waiting.
    pub(crate) topics: usize,
}

/// The most that jitter takes off a backoff, with a little for rounding: 20 %.
fn least(backoff: Duration) -> Duration {
    (backoff * 79 / 100).saturating_sub(Duration::from_micros(10))
}

#[derive(Debug, Default)]
struct Attempts {
    failures: u32,
    last_failure: Option<Instant>,
}

/// Whom a connection was meant for: a broker, or an address.
type Target = (Option<i32>, String, u16);

/// How many metadata requests are looked at together.
const WINDOW: usize = 30;

pub(crate) struct Pace {
    backoffs: Backoffs,
    attempts: BTreeMap<Target, Attempts>,
    targets: BTreeMap<ConnectionId, (Target, bool)>,
    /// Until when nothing may be written.
    throttled: BTreeMap<ConnectionId, Instant>,
    metadata: VecDeque<Instant>,
    /// When an attempt of a partition's batch was refused for a reason that only time can cure.
    refused: BTreeMap<(usize, i32), (Instant, u64)>,
    /// The latest leader epoch of each partition.
    epochs: BTreeMap<(usize, i32), i32>,
    /// What was known when a batch was handed out last, by its digest.
    epochs_sent: BTreeMap<u64, Option<i32>>,
}

/// Errors that say nothing about leaders: trying again at once would be of no use.
const ONLY_TIME_HELPS: [i16; 3] = [7, 19, 20];

impl Pace {
    pub(crate) fn new(backoffs: Backoffs) -> Self {
        Self {
            backoffs,
            attempts: BTreeMap::new(),
            targets: BTreeMap::new(),
            throttled: BTreeMap::new(),
            metadata: VecDeque::new(),
            refused: BTreeMap::new(),
            epochs: BTreeMap::new(),
            epochs_sent: BTreeMap::new(),
        }
    }

    pub(crate) fn new_instance(&mut self) {
        *self = Self::new(self.backoffs);
    }

    pub(crate) fn connect(
        &mut self,
        at: Instant,
        conn: ConnectionId,
        address: (&str, u16),
        broker: Option<i32>,
    ) -> Result<(), Failure> {
        let target: Target = (broker, address.0.to_owned(), address.1);
        let attempts = self.attempts.entry(target.clone()).or_default();
        let doublings = attempts.failures.saturating_sub(1).min(20);
        let backoff = self.backoffs.reconnect * (1 << doublings);
        let wait = least(backoff.min(self.backoffs.reconnect_max));
        if let Some(failed) = attempts.last_failure
            && at + self.backoffs.tick < failed + wait
        {
            let what = format!(
                "{conn} to {target:?} {:?} after failure {}, backoff {wait:?} at least",
                at - failed,
                attempts.failures,
            );
            return Err(Failure::new(Oracle::Rates, at, what));
        }
        self.targets.insert(conn, (target, false));
        Ok(())
    }

    /// A connection failed before it was ready, or ended after.
    pub(crate) fn gone(&mut self, at: Instant, conn: ConnectionId) {
        self.throttled.remove(&conn);
        let Some((target, was_ready)) = self.targets.remove(&conn) else { return };
        let attempts = self.attempts.entry(target).or_default();
        if was_ready {
            *attempts = Attempts::default();
        } else {
            attempts.failures += 1;
            attempts.last_failure = Some(at);
        }
    }

    pub(crate) fn sent(&mut self, at: Instant, sent: &Sent) -> Result<(), Failure> {
        if let Some(until) =
            self.throttled.get(&sent.conn).filter(|until| at + self.backoffs.tick < **until)
        {
            let what = format!("{:?} on {}, throttled until {until:?}", sent.api, sent.conn);
            return Err(Failure::new(Oracle::Throttle, at, what));
        }
        if sent.api == ApiKey::Metadata {
            self.metadata.push_back(at);
            let free = self.backoffs.topics + 2;
            if self.metadata.len() > WINDOW + free {
                let first = self.metadata.pop_front().unwrap_or(at);
                let wait = least(self.backoffs.retry) * (WINDOW as u32 - 1);
                if at + self.backoffs.tick < first + wait {
                    let what = format!(
                        "{} metadata requests in {:?}, one in {:?} at most",
                        WINDOW + free + 1,
                        at - first,
                        self.backoffs.retry,
                    );
                    return Err(Failure::new(Oracle::Rates, at, what));
                }
            }
        }
        for batch in &sent.batches {
            let key = (batch.topic, batch.partition);
            let epoch = self.epochs.get(&key).copied();
            self.epochs_sent.insert(batch.digest, epoch);
            if let Some((refused, digest)) = self.refused.get(&key)
                && *digest == batch.digest
                && at + self.backoffs.tick < *refused + least(self.backoffs.retry)
            {
                let what = format!(
                    "t{}-{} is sent again {:?} after it was refused",
                    key.0,
                    key.1,
                    at - *refused,
                );
                return Err(Failure::new(Oracle::Rates, at, what).place(key.0, key.1));
            }
        }
        Ok(())
    }

    pub(crate) fn answered(&mut self, at: Instant, answered: &Answered) {
        let request = &answered.request;
        if let Some((_, ready)) = self.targets.get_mut(&answered.conn) {
            *ready |= matches!(answered.said, Said::Other(0)) || request.api != ApiKey::ApiVersions;
        }
        let obeys = request.version >= first_version_that_waits(request.api);
        if obeys && !answered.throttle.is_zero() {
            let until = self.throttled.entry(answered.conn).or_default();
            *until = (*until).max(at + answered.throttle);
        }
        if let Said::Metadata(leaders, _) = &answered.said {
            // A new leader is tried at once.
            for new in leaders {
                let key = (new.topic, new.partition);
                if self.epochs.insert(key, new.epoch).is_some_and(|epoch| epoch != new.epoch) {
                    self.refused.remove(&key);
                }
            }
        }
        let Said::Produce(answers) = &answered.said else { return };
        for answer in answers.iter().filter(|answer| ONLY_TIME_HELPS.contains(&answer.code)) {
            let same = |batch: &&crate::run::wire::SentBatch| {
                (batch.topic, batch.partition) == (answer.topic, answer.partition)
            };
            let batch = request.batches.iter().find(same);
            // Where a newer leader has become known since, there is nothing to wait for.
            let epoch = self.epochs.get(&(answer.topic, answer.partition)).copied();
            let is_current = |batch: &&crate::run::wire::SentBatch| {
                self.epochs_sent.get(&batch.digest) == Some(&epoch)
            };
            if let Some(batch) = batch.filter(is_current) {
                self.refused.insert((answer.topic, answer.partition), (at, batch.digest));
            }
        }
    }
}

/// From this version on a client is expected to wait by itself (KIP-219).
fn first_version_that_waits(api: ApiKey) -> i16 {
    match api {
        ApiKey::Produce | ApiKey::Metadata => 6,
        ApiKey::ApiVersions => 2,
        _ => 1,
    }
}
