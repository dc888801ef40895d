//! What handles, deliveries and the driver share: the state under its lock, and the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use producer_proto::{
    BatchId, Config, ConfigError, ConnectionId, Input, Instant, JobResult, Partitioner,
    Record as CoreRecord, Stats, TopicId,
};

use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::guard::Guarded;
use crate::record::{Record, Topic, TopicRef};
use crate::replies::{CountResult, Replies};
use crate::slot::Slot;
use crate::state::{Sent, State};
use crate::waiting::{Admission, Reply};

/// The lock is held for one call into the core at a time, or for one drain of it: never over a
/// socket call, a job, a waker or a caller's code.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) clock: Clock,
    delivery_timeout: Duration,
}

/// Whether a call that changed the core must wake the driver even if no deadline moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Always,
    IfNeeded,
}

impl Shared {
    pub(crate) fn new(config: &Config, seed: [u8; 32]) -> Result<Arc<Self>, ConfigError> {
        let clock = Clock::new();
        let core = producer_proto::Producer::new(config, clock.now(), seed)?;
        let delivery_timeout = config.delivery_timeout.unwrap_or_else(|| {
            config.linger.saturating_add(config.request_timeout).max(Duration::from_secs(120))
        });
        Ok(Arc::new_cyclic(|weak: &Weak<Self>| Self {
            state: Mutex::new(State::new(core, config, weak.clone())),
            clock,
            delivery_timeout,
        }))
    }

    /// The state. A panic under the lock, such as a partitioner's, leaves it usable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(self: &Arc<Self>, record: &Record<'_>) -> Admission {
        let now = self.clock.now();
        let mut state = self.lock();
        let (topic, sent) = match state.resolve(now, record.topic) {
            Ok(topic) => {
                let record = self.stamp(now, topic, record);
                (topic, state.send(now, &record))
            }
            Err(error) => return Admission::ready(Err(error)),
        };
        let waker = state.waker_needed();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        match sent {
            Sent::Done(result) => Admission::ready(result),
            Sent::Waits { slot, number } => Admission::waiting(slot, self.clone(), topic, number),
        }
    }

    pub(crate) fn try_send(&self, record: &Record<'_>) -> Result<Delivery, SendError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let topic = state.resolve(now, record.topic)?;
        let result = state.try_send(now, &self.stamp(now, topic, record));
        let waker = state.waker_needed();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    fn stamp<'a>(&self, now: Instant, topic: TopicId, record: &'a Record<'_>) -> CoreRecord<'a> {
        CoreRecord {
            topic,
            partition: record.partition,
            timestamp: record.timestamp.unwrap_or_else(|| self.clock.wall_millis(now)),
            key: record.key,
            value: record.value,
            headers: record.header_list(),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Topic, SendError> {
        self.with(Wake::IfNeeded, |state, now, _| state.topic_handle(now, TopicRef::Name(name)))
    }

    /// Takes back a ticket whose caller has gone.
    pub(crate) fn give_up(&self, topic: TopicId, number: u64) {
        // The next ticket may have its turn now; the driver tries it.
        let _ticket = self.with(Wake::Always, |state, _, _| state.give_up(topic, number));
    }

    pub(crate) fn partitions_for(&self, topic: TopicRef<'_>) -> Reply<CountResult> {
        let slot = Arc::new(Slot::new());
        let count = self
            .with(Wake::IfNeeded, |state, now, _| state.partitions_for(now, topic, slot.clone()));
        count.map_or_else(|| Reply::waiting(slot), Reply::ready)
    }

    pub(crate) fn flush(&self) -> Reply<()> {
        let slot = Arc::new(Slot::new());
        self.with(Wake::Always, |state, now, replies| state.flush(now, slot.clone(), replies));
        Reply::waiting(slot)
    }

    pub(crate) fn close(&self, timeout: Option<Duration>) -> Reply<()> {
        let slot = Arc::new(Slot::new());
        self.with(Wake::Always, |state, now, replies| {
            let deadline = timeout.map(|timeout| now + timeout);
            state.close(now, deadline, replies);
            state.when_closed(slot.clone(), replies);
        });
        Reply::waiting(slot)
    }

    /// The last handle is gone: a graceful close that nobody waits for.
    pub(crate) fn close_unattended(&self) {
        self.with(Wake::Always, |state, now, replies| {
            state.close(now, Some(now + self.delivery_timeout), replies);
        });
    }

    pub(crate) fn abort_queued(&self) {
        self.with(Wake::Always, State::abort_queued);
    }

    pub(crate) fn expedite(&self, batch: BatchId) {
        self.with(Wake::IfNeeded, |state, now, _| state.core.expedite(now, batch));
    }

    pub(crate) fn job_done(&self, result: JobResult) {
        self.with(Wake::IfNeeded, |state, now, _| {
            state.core.handle_input(now, Input::Done(result));
        });
    }

    pub(crate) fn set_partitioner(&self, partitioner: Box<dyn Partitioner>) {
        self.lock().core.set_partitioner(Box::new(Guarded(partitioner)));
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().core.stats().clone()
    }

    /// Hands in what happened on a connection: first what was written, then what was read.
    pub(crate) fn transferred(&self, conn: ConnectionId, written: usize, read: &[u8]) {
        let now = self.clock.now();
        let mut state = self.lock();
        if written > 0 {
            state.core.handle_input(now, Input::Written { conn, bytes: written });
        }
        if !read.is_empty() {
            state.core.handle_input(now, Input::Received { conn, bytes: read });
        }
    }

    fn with<R>(&self, wake: Wake, call: impl FnOnce(&mut State, Instant, &mut Replies) -> R) -> R {
        let now = self.clock.now();
        let mut replies = Replies::default();
        let mut state = self.lock();
        let result = call(&mut state, now, &mut replies);
        if wake == Wake::Always {
            state.force_drain();
        }
        let waker = state.waker_needed();
        drop(state);
        replies.deliver();
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}
