//! Backoff and throttling: no attempt before its time.

use super::Leaders;
use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, Said, Sent, SentBatch};
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
    /// The broker was not in the list since.
    was_gone: bool,
    /// Where the broker is now.
    elsewhere: Option<(String, u16)>,
}

/// How long the failures of a broker that has gone count at least.
const FAILURES_KEPT: Duration = Duration::from_secs(300);

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
    /// Each batch that was handed out and not acknowledged, by its digest.
    batches: BTreeMap<u64, Attempt>,
}

/// A batch's last attempt.
struct Attempt {
    /// How many leaders of the partition had been named.
    leaders: u64,
    /// When it ended without success.
    ended: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(backoffs: Backoffs) -> Self {
        Self {
            backoffs,
            attempts: BTreeMap::new(),
            targets: BTreeMap::new(),
            throttled: BTreeMap::new(),
            metadata: VecDeque::new(),
            batches: BTreeMap::new(),
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
        let failed = attempts.last_failure.filter(|_| attempts.was_gone);
        if failed.is_some_and(|failed| at >= failed + FAILURES_KEPT) {
            *attempts = Attempts::default();
        }
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

    /// A connection failed before it was ready, or ended after: that one has succeeded.
    pub(crate) fn gone(&mut self, at: Instant, conn: ConnectionId) {
        self.throttled.remove(&conn);
        let Some((target, was_ready)) = self.targets.remove(&conn) else { return };
        if !was_ready {
            let attempts = self.attempts.entry(target).or_default();
            attempts.failures += 1;
            attempts.last_failure = Some(at);
            attempts.was_gone = false;
        }
    }

    /// A request goes out while `leaders` are known.
    pub(crate) fn sent(
        &mut self,
        at: Instant,
        sent: &Sent,
        leaders: &Leaders,
    ) -> Result<(), Failure> {
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
            let (topic, partition) = (batch.topic, batch.partition);
            let changes = leaders.changes(topic, partition);
            let attempt = Attempt { leaders: changes, ended: None };
            // A leader that was named since is tried at once.
            if let Some(last) = self.batches.insert(batch.digest, attempt)
                && let Some(ended) = last.ended.filter(|_| last.leaders == changes)
                && at + self.backoffs.tick < ended + least(self.backoffs.retry)
            {
                let what = format!(
                    "t{topic}-{partition} is sent again {:?} after an attempt failed",
                    at - ended,
                );
                return Err(Failure::new(Oracle::Rates, at, what).place(topic, partition));
            }
        }
        Ok(())
    }

    pub(crate) fn answered(&mut self, at: Instant, answered: &Answered) {
        let request = &answered.request;
        let is_ready =
            matches!(answered.said, Said::Other(0)) || request.api != ApiKey::ApiVersions;
        if let Some((target, was_ready)) = self.targets.get_mut(&answered.conn)
            && is_ready
            && !std::mem::replace(was_ready, true)
        {
            self.attempts.remove(target);
        }
        let obeys = request.version >= first_version_that_waits(request.api);
        if obeys && !answered.throttle.is_zero() {
            let until = self.throttled.entry(answered.conn).or_default();
            *until = (*until).max(at + answered.throttle);
        }
        let brokers = &answered.brokers;
        for ((id, host, port), attempts) in &mut self.attempts {
            match id.map(|id| brokers.addresses.get(&id)) {
                Some(Some((now_at, its_port))) if (now_at, its_port) == (host, port) => {
                    attempts.elsewhere = None;
                }
                // Two addresses of a broker are remembered.
                Some(Some(address)) => match &attempts.elsewhere {
                    Some(other) if other != address => *attempts = Attempts::default(),
                    _ => attempts.elsewhere = Some(address.clone()),
                },
                Some(None) => attempts.was_gone |= brokers.is_all,
                None => {}
            }
        }
        let Said::Produce(answers) = &answered.said else { return };
        for answer in answers {
            let is_it = |batch: &&SentBatch| {
                (batch.topic, batch.partition) == (answer.topic, answer.partition)
            };
            let Some(batch) = request.batches.iter().find(is_it) else { continue };
            match self.batches.get_mut(&batch.digest) {
                Some(attempt) if answer.code != 0 => attempt.ended = Some(at),
                _ => drop(self.batches.remove(&batch.digest)),
            }
        }
    }

    /// Requests will have no answer: their connection is given up, or lost.
    pub(crate) fn unanswered(&mut self, at: Instant, requests: &[Sent]) {
        for batch in requests.iter().flat_map(|request| &request.batches) {
            if let Some(attempt) = self.batches.get_mut(&batch.digest) {
                attempt.ended = Some(at);
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
