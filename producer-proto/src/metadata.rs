//! When to ask for metadata. What to do with the answer is in `producer/metadata.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{ConnectionId, Instant};

/// The refresh machine (KIP-526, KIP-580, KIP-1102).
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The connection on which a request is queued or in flight.
    pub(crate) asked: Option<ConnectionId>,
    /// A refresh of all topics is wanted.
    requested: bool,
    /// Topics without a usable answer; the flag says whether they were never asked for, which
    /// excuses them from waiting after the last answer.
    pub(crate) pending: BTreeSet<u32>,
    fresh: bool,
    last_success: Option<Instant>,
    /// The next request after an answer waits for this.
    spaced_until: Instant,
    /// The next request after a failure waits for this, whatever it asks for.
    backoff_until: Instant,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Answers in a row that changed nothing of what was asked.
    pub(crate) unchanged: u32,
    /// Attempts so far; keys the jitter.
    pub(crate) attempts: u64,
    /// When the current need began, counted anew after a rebootstrap.
    pub(crate) unserved_since: Option<Instant>,
    /// A request is due and nobody can be asked: a connection has to come up first, or a backoff
    /// to end.
    pub(crate) waits_for_source: bool,
    /// Only bootstrap addresses are asked, until an answer comes.
    pub(crate) is_bootstrapping: bool,
}

impl Metadata {
    pub(crate) fn new() -> Self {
        Self {
            asked: None,
            requested: false,
            pending: BTreeSet::new(),
            fresh: false,
            last_success: None,
            spaced_until: Instant::ZERO,
            backoff_until: Instant::ZERO,
            failures: 0,
            unchanged: 0,
            attempts: 0,
            unserved_since: None,
            waits_for_source: false,
            is_bootstrapping: true,
        }
    }

    /// Asks for a refresh of all topics in use, as soon as the backoff allows.
    pub(crate) fn request(&mut self) {
        self.requested = true;
    }

    /// Asks for a topic that is not known; `is_new` when it was never asked for.
    pub(crate) fn request_topic(&mut self, topic: u32, is_new: bool) {
        if self.pending.insert(topic) {
            self.fresh |= is_new;
        }
    }

    pub(crate) fn forget_topic(&mut self, topic: u32) {
        self.pending.remove(&topic);
    }

    /// Whether the next request may leave out the topics that are known.
    pub(crate) fn wants_only_new(&self) -> bool {
        !self.pending.is_empty() && !self.requested
    }

    /// Whether the cluster is known at all.
    pub(crate) fn has_answer(&self) -> bool {
        self.last_success.is_some()
    }

    /// Whether anybody waits for an answer, the calendar aside.
    pub(crate) fn is_needed(&self) -> bool {
        self.requested || !self.pending.is_empty()
    }

    /// When the next request should go out; `None` while one is under way or nothing is wanted.
    pub(crate) fn due(&self, max_age: Duration) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let spaced = self.backoff_until.max(self.spaced_until);
        if self.fresh {
            return Some(self.backoff_until);
        }
        if self.is_needed() {
            return Some(spaced);
        }
        self.last_success.map(|at| (at + max_age).max(spaced))
    }

    /// A request has been queued on `conn`.
    pub(crate) fn asked_on(&mut self, conn: ConnectionId) {
        self.asked = Some(conn);
        self.waits_for_source = false;
        self.attempts += 1;
        self.fresh = false;
    }

    /// The request was lost, or its answer of no use.
    pub(crate) fn failed(&mut self, now: Instant, backoff: Duration) {
        self.asked = None;
        self.failures += 1;
        self.backoff_until = now + backoff;
        if self.last_success.is_none() && self.pending.is_empty() {
            self.requested = true;
        }
    }

    /// A usable answer came; `changed` tells whether it was news. `full` answers end the request
    /// for a refresh.
    pub(crate) fn succeeded(&mut self, now: Instant, full: bool) {
        self.asked = None;
        self.failures = 0;
        self.backoff_until = Instant::ZERO;
        self.is_bootstrapping = false;
        self.unserved_since = None;
        if full || self.last_success.is_none() {
            self.last_success = Some(now);
        }
        if full {
            self.requested = false;
        }
    }

    /// No request before `now + wait`, but for topics that were never asked for.
    pub(crate) fn space(&mut self, now: Instant, wait: Duration) {
        self.spaced_until = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(300);
    const CONN: ConnectionId = ConnectionId(1);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn nothing_is_asked_before_somebody_wants_something() {
        assert_eq!(Metadata::new().due(AGE), None);
    }

    #[test]
    fn a_new_topic_does_not_wait_for_the_spacing_but_for_a_failure() {
        let mut metadata = Metadata::new();
        metadata.request_topic(0, true);
        assert_eq!(metadata.due(AGE), Some(at(0)));
        metadata.asked_on(CONN);
        assert_eq!(metadata.due(AGE), None);
        metadata.succeeded(at(10), false);
        metadata.space(at(10), Duration::from_millis(100));
        assert_eq!(metadata.due(AGE), Some(at(110)), "an unanswered topic waits its turn");
        metadata.request_topic(1, true);
        assert_eq!(metadata.due(AGE), Some(at(0)));
        metadata.asked_on(CONN);
        metadata.failed(at(20), Duration::from_millis(100));
        metadata.request_topic(2, true);
        assert_eq!(metadata.due(AGE), Some(at(120)));
    }

    #[test]
    fn met_03_age_alone_asks_once_per_period() {
        let mut metadata = Metadata::new();
        metadata.request();
        metadata.asked_on(CONN);
        metadata.succeeded(at(0), true);
        assert_eq!(metadata.due(AGE), Some(at(300_000)));
    }
}
