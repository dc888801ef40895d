//! What handles, deliveries and the driver share: the state under its lock, and the clock.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use producer_proto::{
    BatchId, Cancel, Config, ConfigError, Input, Instant, JobResult, Partitioner, Receipt,
    Record as CoreRecord, Stats, TopicId,
};

use crate::breaker::CircuitBreaker;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::error::{SendError, SendErrorKind};
use crate::guard::Guarded;
use crate::hook::{Callback, FaultCounters, Faults, Hook};
use crate::interceptor::{Chain, Interceptor, intercept};
use crate::lock::{Lock, Owner};
use crate::record::{Record, Topic, TopicRef};
use crate::replies::{CountResult, DescribeResult, Replies, WarmUpResult};
use crate::slot::Slot;
use crate::stamps::Stamps;
use crate::state::{Sent, State};
use crate::tickets::CallerSlot;
use crate::waiting::{Admission, Reply, Unusual};

/// The lock is held for one call into the core at a time, for a bounded run of records, or for one
/// drain: never over a socket call, a job, a waker or a caller's code.
pub(crate) struct Shared {
    state: Lock<State>,
    pub(crate) clock: Clock,
    delivery_timeout: Duration,
    /// Whether there are interceptors: all that a record pays for them when there are none.
    is_intercepted: AtomicBool,
    interceptors: Mutex<Chain>,
    faults: Arc<FaultCounters>,
    /// Whether the driver is turned by a task, which tasks that send may share a thread with.
    is_cooperative: AtomicBool,
    /// Whether a task has given way since the driver last looked at its streams.
    gave_way: AtomicBool,
}

/// How many records are pushed under one hold of the lock.
const RUN: usize = 64;

/// Whether a call that changed the core must wake the driver even if no deadline moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Always,
    IfNeeded,
}

/// Hands a record in, under the lock, when it is not the usual one. Takes the hook unless it refuses
/// the record.
trait Submit:
    FnOnce(&mut State, Instant, &CoreRecord<'_>, &mut Option<Hook>) -> Result<Sent, SendError>
{
}

impl<F> Submit for F where
    F: FnOnce(&mut State, Instant, &CoreRecord<'_>, &mut Option<Hook>) -> Result<Sent, SendError>
{
}

impl Shared {
    pub(crate) fn new(config: &Config, seed: [u8; 32]) -> Result<Arc<Self>, ConfigError> {
        let clock = Clock::new();
        let core = producer_proto::Producer::new(config, clock.now(), seed)?;
        let delivery_timeout = config.delivery_timeout.unwrap_or_else(|| {
            config.linger.saturating_add(config.request_timeout).max(Duration::from_secs(120))
        });
        Ok(Arc::new_cyclic(|weak: &Weak<Self>| Self {
            state: Lock::new(State::new(core, config, weak.clone())),
            clock,
            delivery_timeout,
            is_intercepted: AtomicBool::new(false),
            interceptors: Mutex::new(Arc::new([])),
            faults: Arc::default(),
            is_cooperative: AtomicBool::new(false),
            gave_way: AtomicBool::new(false),
        }))
    }

    pub(crate) fn set_cooperative(&self) {
        self.is_cooperative.store(true, Ordering::Relaxed);
    }

    /// A task that sends lets the driver have a turn, if that is a task, too.
    pub(crate) fn give_way(&self) {
        if self.is_cooperative.load(Ordering::Relaxed) {
            self.gave_way.store(true, Ordering::Relaxed);
            self.with(Wake::Always, |_, _, _| ());
        }
    }

    /// Whether a task has given way since this was last asked.
    pub(crate) fn take_gave_way(&self) -> bool {
        self.gave_way.load(Ordering::Relaxed) && self.gave_way.swap(false, Ordering::Relaxed)
    }

    /// The state. A panic under the lock, such as a partitioner's, leaves it usable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The state, for the driver's turn.
    pub(crate) fn lock_to_drain(&self) -> Owner<'_, State> {
        self.state.lock_as_owner()
    }

    /// The state, for a thread that sends a record.
    #[inline]
    fn lock_to_send(&self) -> MutexGuard<'_, State> {
        self.state.lock_among_many()
    }

    /// Sends a record.
    #[inline(always)]
    pub(crate) fn send(self: &Arc<Self>, record: &Record<'_>) -> Admission {
        // Neither call gives its result by way of memory.
        let mut unusual = None;
        let mut sent = self.join(record);
        if sent.is_none() {
            sent = self.send_unusual(record, &mut unusual);
        }
        Admission::new(sent, unusual)
    }

    /// Sends a record if it is usual.
    #[inline(never)]
    pub(crate) fn join(&self, record: &Record<'_>) -> Option<Delivery> {
        if self.is_intercepted.load(Ordering::Relaxed) {
            return None;
        }
        self.lock_to_send().join(record, |stamps| stamps.take(&self.clock))
    }

    #[inline(never)]
    fn send_unusual(
        self: &Arc<Self>,
        record: &Record<'_>,
        unusual: &mut Option<Box<Unusual>>,
    ) -> Option<Delivery> {
        let mut slot = None;
        let ask = || CallerSlot::Delivery(slot.insert(Arc::new(Slot::new())).clone());
        let sent = self
            .submit(record, None, |state, now, record, hook| state.send(now, record, hook, ask));
        match (sent, slot) {
            (Ok(Sent::Waits { topic, number }), Some(slot)) => {
                *unusual = Some(Unusual::waiting(slot, self.clone(), topic, number));
                None
            }
            (Ok(Sent::Accepted(delivery)), _) if self.state.is_owner_behind() => {
                *unusual = Some(Box::new(Unusual::GivesWay(delivery, self.clone())));
                None
            }
            (Ok(Sent::Accepted(delivery)), _) => Some(delivery),
            (Ok(Sent::Waits { .. }), None) => unreachable!("a ticket has a slot"),
            (Err(error), _) => {
                *unusual = Some(Unusual::refused(error));
                None
            }
        }
    }

    /// Sends records until one has to wait.
    pub(crate) fn send_some(self: &Arc<Self>, records: &[Record<'_>]) -> Vec<Admission> {
        let mut admissions = Vec::with_capacity(records.len());
        let mut left = records;
        loop {
            let joined = self.join_run(left, &mut admissions);
            left = &left[joined..];
            if joined == RUN {
                continue;
            }
            // This one is not usual.
            let Some((record, rest)) = left.split_first() else { return admissions };
            let admission = self.send(record);
            let waits = admission.waits();
            admissions.push(admission);
            if waits {
                return admissions;
            }
            left = rest;
        }
    }

    /// Sends records as long as they are usual, [`RUN`] at most; how many they were.
    fn join_run(&self, records: &[Record<'_>], admissions: &mut Vec<Admission>) -> usize {
        if self.is_intercepted.load(Ordering::Relaxed) {
            return 0;
        }
        let mut millis = None;
        let mut joined = 0;
        let mut state = self.lock_to_send();
        for record in records.iter().take(RUN) {
            let stamp =
                |stamps: &mut Stamps| *millis.get_or_insert_with(|| stamps.take(&self.clock));
            let Some(delivery) = state.join(record, stamp) else { break };
            admissions.push(Admission::new(Some(delivery), None));
            joined += 1;
        }
        joined
    }

    pub(crate) fn send_with(&self, record: &Record<'_>, callback: Callback) -> Reply<()> {
        let mut slot = None;
        let ask = || CallerSlot::Admitted(slot.insert(Arc::new(Slot::new())).clone());
        // An error has been told to the callback.
        let _sent = self.submit(record, Some(callback), |state, now, record, hook| {
            state.send(now, record, hook, ask)
        });
        slot.map_or_else(|| Reply::ready(()), Reply::waiting)
    }

    pub(crate) fn try_send(&self, record: &Record<'_>) -> Result<Delivery, SendError> {
        let sent = self.submit(record, None, |state, now, record, hook| {
            state.try_send(now, record, hook).map(Sent::Accepted)
        });
        match sent? {
            Sent::Accepted(delivery) => Ok(delivery),
            Sent::Waits { .. } => unreachable!("who tries does not wait"),
        }
    }

    /// Hands a record in through `call`, under the lock, after the interceptors have seen it.
    /// Without a callback it is known not to be usual.
    fn submit(
        &self,
        record: &Record<'_>,
        callback: Option<Callback>,
        call: impl Submit,
    ) -> Result<Sent, SendError> {
        if self.is_intercepted.load(Ordering::Relaxed) {
            return self.submit_intercepted(record, callback, call);
        }
        match callback {
            Some(callback) => {
                let hook = Hook::new(None, Some(callback), self.faults.clone());
                self.submit_hooked(record, hook, call)
            }
            None => self.submit_unusual(self.lock_to_send(), record, None, call),
        }
    }

    #[cold]
    #[inline(never)]
    fn submit_intercepted(
        &self,
        record: &Record<'_>,
        callback: Option<Callback>,
        call: impl Submit,
    ) -> Result<Sent, SendError> {
        let chain = self.interceptors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        intercept(&chain, record, &self.faults, |record, watch| {
            let hook = Hook::new(Some(watch), callback, self.faults.clone());
            self.submit_hooked(record, hook, call)
        })
    }

    /// `call`, for what is not usual, takes the hook unless it refuses the record.
    fn submit_hooked(
        &self,
        record: &Record<'_>,
        hook: Hook,
        call: impl Submit,
    ) -> Result<Sent, SendError> {
        let mut state = self.lock_to_send();
        if let Some(delivery) = state.join(record, |stamps| stamps.take(&self.clock)) {
            delivery.watch(hook);
            return Ok(Sent::Accepted(delivery));
        }
        self.submit_unusual(state, record, Some(hook), call)
    }

    #[inline(never)]
    fn submit_unusual(
        &self,
        mut state: MutexGuard<'_, State>,
        record: &Record<'_>,
        mut hook: Option<Hook>,
        call: impl Submit,
    ) -> Result<Sent, SendError> {
        let now = self.clock.now();
        let result = state.resolve(now, record.topic).and_then(|topic| {
            let timestamp = record.timestamp.unwrap_or_else(|| {
                let millis = self.clock.wall_millis(now);
                state.stamps.note(millis);
                millis
            });
            call(&mut state, now, &record.stamped(topic, timestamp), &mut hook)
        });
        let job = state.job_for_sender();
        let waker = state.waker_needed();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(job) = job {
            job.run();
        }
        if let (Some(hook), Err(error)) = (hook, &result) {
            hook.run(Err(error.clone().into()));
        }
        result
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Topic, SendError> {
        self.with(Wake::IfNeeded, |state, now, _| state.topic_handle(now, TopicRef::Name(name)))
    }

    /// Takes back a ticket whose caller has gone; false when it does not wait any more.
    pub(crate) fn give_up(&self, topic: TopicId, number: u64) -> bool {
        // The next ticket may have its turn now; the driver tries it.
        let (ticket, name) = self
            .with(Wake::Always, |state, _, _| (state.give_up(topic, number), state.name(topic)));
        let Some(ticket) = ticket else { return false };
        if let Some(hook) = ticket.caller.hook {
            hook.run(Err(SendError::new(name, SendErrorKind::Aborted).into()));
        }
        true
    }

    pub(crate) fn cancel(&self, receipt: Receipt) -> Cancel {
        self.with(Wake::IfNeeded, |state, now, _| state.core.cancel(now, receipt))
    }

    pub(crate) fn partitions_for(&self, topic: TopicRef<'_>) -> Reply<CountResult> {
        let slot = Arc::new(Slot::new());
        let count = self
            .with(Wake::IfNeeded, |state, now, _| state.partitions_for(now, topic, slot.clone()));
        count.map_or_else(|| Reply::waiting(slot), Reply::ready)
    }

    pub(crate) fn describe(&self, topics: Option<&[&str]>) -> Reply<DescribeResult> {
        let slot = Arc::new(Slot::new());
        self.with(Wake::Always, |state, now, replies| {
            state.describe(now, topics, slot.clone(), replies);
        });
        Reply::waiting(slot)
    }

    pub(crate) fn warm_up(&self, topics: &[&str]) -> Reply<WarmUpResult> {
        let slot = Arc::new(Slot::new());
        self.with(Wake::Always, |state, now, replies| {
            state.warm_up(now, topics, slot.clone(), replies);
        });
        Reply::waiting(slot)
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
        self.with(Wake::IfNeeded, |state, now, _| {
            if state.expedites {
                state.core.expedite(now, batch);
            }
        });
    }

    pub(crate) fn job_done(&self, result: JobResult) {
        self.with(Wake::IfNeeded, |state, now, _| {
            state.core.handle_input(now, Input::Done(result));
        });
    }

    pub(crate) fn set_partitioner(&self, partitioner: Box<dyn Partitioner>) {
        self.lock().core.set_partitioner(Box::new(Guarded(partitioner)));
    }

    pub(crate) fn set_circuit_breaker(&self, settings: Option<CircuitBreaker>) {
        self.lock().breakers.configure(settings);
    }

    pub(crate) fn set_expedite(&self, expedites: bool) {
        self.lock().expedites = expedites;
    }

    pub(crate) fn set_senders_help(&self, help: bool) {
        self.lock().senders_help = help;
    }

    pub(crate) fn set_interceptors(&self, interceptors: Vec<Box<dyn Interceptor>>) {
        let is_any = !interceptors.is_empty();
        let mut chain = self.interceptors.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *chain, interceptors.into());
        self.is_intercepted.store(is_any, Ordering::Relaxed);
        drop(chain);
        // Foreign code may run when they are dropped: not while the lock is held.
        drop(old);
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.read()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.lock().core.stats().clone()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn take_peaks(&self) -> producer_proto::Peaks {
        self.lock().core.take_peaks()
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

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}
