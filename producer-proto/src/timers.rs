//! Deadlines with a reason each, and which of them comes first.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ConnectionId, Instant};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TimerKind {
    /// An open batch has lingered long enough.
    Linger,
    /// A batch reaches `delivery.timeout.ms`.
    Delivery,
    /// A failed batch may be tried again.
    RetryBackoff,
    /// A request has waited too long for its answer.
    RequestTimeout,
    /// A connection has taken too long to come up.
    ConnectionSetup,
    /// A broker may be dialled again.
    ReconnectBackoff,
    /// A connection may have been idle for too long.
    ConnectionIdle,
    /// A throttled broker may be written to again.
    Throttle,
    /// Metadata is due: by age, or after a backoff.
    Metadata,
    /// A producer id may be asked for again.
    ProducerId,
    /// A [`describe`](crate::Producer::describe) may be asked again, or has waited for too long.
    Describe,
    /// Data has waited for a broker for too long.
    Availability,
    /// The deadline of a close.
    Close,
}

/// Whose deadline: at most one is armed per key. Where two come at once, this is their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Close,
    Setup(ConnectionId),
    Request(ConnectionId),
    Idle(ConnectionId),
    /// By node index.
    Reconnect(u32),
    /// By node index.
    Throttle(u32),
    /// By node index.
    Availability(u32),
    Metadata,
    ProducerId,
    Describe,
    /// By partition index.
    Retry(u32),
}

impl TimerKey {
    fn kind(self) -> TimerKind {
        match self {
            Self::Close => TimerKind::Close,
            Self::Setup(_) => TimerKind::ConnectionSetup,
            Self::Request(_) => TimerKind::RequestTimeout,
            Self::Idle(_) => TimerKind::ConnectionIdle,
            Self::Reconnect(_) => TimerKind::ReconnectBackoff,
            Self::Throttle(_) => TimerKind::Throttle,
            Self::Availability(_) => TimerKind::Availability,
            Self::Metadata => TimerKind::Metadata,
            Self::ProducerId => TimerKind::ProducerId,
            Self::Describe => TimerKind::Describe,
            Self::Retry(_) => TimerKind::RetryBackoff,
        }
    }
}

/// The deadlines that are not constant offsets (those wait in queues of their own).
pub(crate) struct Timers {
    queue: BTreeSet<(Instant, TimerKey)>,
    armed: BTreeMap<TimerKey, Instant>,
    /// The first of `queue`, which is asked for far more often than it changes.
    first: Instant,
    /// That of [`TimerKey::Metadata`], which every call looks at.
    metadata: Instant,
}

impl Default for Timers {
    fn default() -> Self {
        let (queue, armed) = (BTreeSet::new(), BTreeMap::new());
        Self { queue, armed, first: Instant::MAX, metadata: Instant::MAX }
    }
}

impl Timers {
    /// Arms `key`, in place of what it was armed for. [`Instant::MAX`] never comes: it disarms.
    #[inline]
    pub(crate) fn set(&mut self, key: TimerKey, at: Instant) {
        if key == TimerKey::Metadata && at == self.metadata {
            return;
        }
        self.change(key, at);
    }

    #[inline]
    pub(crate) fn clear(&mut self, key: TimerKey) {
        if self.first != Instant::MAX {
            self.set(key, Instant::MAX);
        }
    }

    #[inline(never)]
    fn change(&mut self, key: TimerKey, at: Instant) {
        let is_armed = at != Instant::MAX;
        let old = if is_armed { self.armed.insert(key, at) } else { self.armed.remove(&key) };
        if old == Some(at) {
            return;
        }
        if let Some(old) = old {
            self.queue.remove(&(old, key));
        }
        if is_armed {
            self.queue.insert((at, key));
        }
        if key == TimerKey::Metadata {
            self.metadata = at;
        }
        self.first = self.queue.first().map_or(Instant::MAX, |&(at, _)| at);
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn deadline(&self, key: TimerKey) -> Option<Instant> {
        self.armed.get(&key).copied()
    }

    /// Takes the first deadline that `now` has reached.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        if self.first > now {
            return None;
        }
        let &(_, key) = self.queue.first()?;
        self.clear(key);
        Some(key)
    }

    /// When the first deadline comes; the end of time if there is none.
    #[inline]
    pub(crate) fn first(&self) -> Instant {
        self.first
    }

    /// What the first deadline is for.
    pub(crate) fn first_kind(&self) -> Option<TimerKind> {
        self.queue.first().map(|&(_, key)| key.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn a_key_has_one_deadline_and_the_earliest_comes_first() {
        let mut timers = Timers::default();
        timers.set(TimerKey::Metadata, at(30));
        timers.set(TimerKey::Close, at(20));
        timers.set(TimerKey::Metadata, at(10));
        assert_eq!((timers.first(), timers.first_kind()), (at(10), Some(TimerKind::Metadata)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(25)), Some(TimerKey::Metadata));
        assert_eq!(timers.pop_due(at(25)), Some(TimerKey::Close));
        assert_eq!(timers.pop_due(at(25)), None);
        assert_eq!((timers.first(), timers.first_kind()), (Instant::MAX, None));
    }

    #[test]
    fn the_end_of_time_disarms() {
        let mut timers = Timers::default();
        timers.set(TimerKey::Retry(1), at(5));
        timers.set(TimerKey::Retry(1), Instant::MAX);
        assert_eq!(timers.deadline(TimerKey::Retry(1)), None);
        assert_eq!(timers.first(), Instant::MAX);
    }
}
