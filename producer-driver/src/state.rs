//! The state under the lock: the core, and what callers wait for.

mod admission;
mod barriers;
mod describe;
mod helping;
mod join;
mod topics;
mod waking;
mod warm_up;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use producer_proto::{
    Action, BatchId, Config, DescribeId, Event, FlushId, Input, Instant, Phase as Waited,
    ProduceErrorKind, Producer, PushError, Receipt, Record, TopicId, Transmit,
};

use crate::batches::Batches;
use crate::breaker::Breakers;
use crate::completion::{Completion, Outcome, Settled};
use crate::delivery::Delivery;
use crate::error::{DeliveryError, SendError, SendErrorKind};
use crate::hook::Hook;
use crate::record::{OwnedRecord, charge};
use crate::replies::{CountResult, DescribeResult, Replies};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::stamps::Stamps;
use crate::tickets::{Blocked, Caller, CallerSlot, Line, SendResult, Ticket, Tickets};
use topics::TopicNames;
use waking::Alarm;
use warm_up::WarmUp;

/// Everything that is changed together.
pub(crate) struct State {
    pub(crate) core: Producer,
    shared: Weak<Shared>,
    batches: Batches,
    tickets: Tickets,
    /// When to look again whether the partitions were added that tickets wait for.
    look_at: Option<Instant>,
    topics: TopicNames,
    pub(crate) stamps: Stamps,
    watchers: Vec<Watcher>,
    warm_ups: Vec<WarmUp>,
    pub(crate) breakers: Breakers,
    /// Whether a record that is waited for may cut the linger of its batch short.
    pub(crate) expedites: bool,
    /// Whether a thread that sends does some of the work when there is more than gets done.
    pub(crate) senders_help: bool,
    /// Flushes behind tickets: each waits until no ticket below its number is left.
    barriers: VecDeque<(u64, Arc<Slot<()>>)>,
    /// Flushes that the core works on.
    flushing: BTreeMap<FlushId, Arc<Slot<()>>>,
    /// Questions about the cluster that the core works on.
    describing: BTreeMap<DescribeId, Arc<Slot<DescribeResult>>>,
    closers: Vec<Arc<Slot<()>>>,
    phase: Phase,
    alarm: Alarm,
    max_block: Duration,
    /// How many bytes of records may wait for their acceptance.
    waiting_limit: usize,
    /// With more bytes than this in the core, the driver is behind.
    much: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Refuses new records; those with a ticket still get in.
    Draining {
        deadline: Option<Instant>,
    },
    /// The core is closing.
    Closing,
    Closed,
}

/// Somebody who asks how many partitions a topic has.
struct Watcher {
    topic: TopicId,
    deadline: Instant,
    slot: Arc<Slot<CountResult>>,
}

/// What became of a send that was not refused.
pub(crate) enum Sent {
    Accepted(Delivery),
    /// With a ticket of this number.
    Waits {
        topic: TopicId,
        number: u64,
    },
}

/// What one drain of the core gave.
#[derive(Default)]
pub(crate) struct Drained {
    pub(crate) replies: Replies,
    pub(crate) actions: Vec<Action>,
    pub(crate) transmits: Vec<Transmit>,
    /// Events that are for the log.
    pub(crate) notices: Vec<Event>,
    pub(crate) is_closed: bool,
}

impl Drained {
    /// Whether there is more to do than to tell callers and the log.
    pub(crate) fn has_work(&self) -> bool {
        !self.actions.is_empty() || !self.transmits.is_empty() || self.is_closed
    }
}

impl State {
    pub(crate) fn new(core: Producer, config: &Config, shared: Weak<Shared>) -> Self {
        Self {
            core,
            shared,
            batches: Batches::default(),
            tickets: Tickets::default(),
            look_at: None,
            topics: TopicNames::new(),
            stamps: Stamps::default(),
            watchers: Vec::new(),
            warm_ups: Vec::new(),
            breakers: Breakers::default(),
            expedites: true,
            senders_help: false,
            barriers: VecDeque::new(),
            flushing: BTreeMap::new(),
            describing: BTreeMap::new(),
            closers: Vec::new(),
            phase: Phase::Open,
            alarm: Alarm::new(),
            max_block: config.max_block,
            waiting_limit: config.buffer_memory,
            much: waking::much(config),
        }
    }

    // ---- sending

    /// Pushes the record, or gives it a ticket. `hook` is taken unless the record is refused;
    /// `slot` makes what its caller waits for.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        hook: &mut Option<Hook>,
        slot: impl FnOnce() -> CallerSlot,
    ) -> Result<Sent, SendError> {
        let (line, blocked) = match self.attempt(now, record, hook) {
            Ok(delivery) => return Ok(Sent::Accepted(delivery)),
            Err(Refused::Behind(line)) => (line, Blocked::Fresh),
            Err(Refused::By(PushError::Full { lane })) => {
                ((record.topic, None), Blocked::Lane(lane))
            }
            Err(Refused::By(PushError::TopicNotReady)) => (self.line_of(record), Blocked::Topic),
            Err(Refused::Circuit(kind)) => {
                return Err(SendError::new(self.name(record.topic), kind));
            }
            Err(Refused::By(error)) => {
                return Err(SendError::refused(&self.name(record.topic), error));
            }
        };
        if self.max_block.is_zero() {
            let blocked = self.tickets.blocked(line).unwrap_or(blocked);
            return Err(self.timed_out(line, blocked));
        }
        let size = charge(record);
        let waiting = self.tickets.bytes();
        if size > self.waiting_limit.saturating_sub(waiting) {
            let limit = self.waiting_limit;
            let kind = SendErrorKind::TooManyWaiting { size, waiting, limit };
            return Err(SendError::new(self.name(record.topic), kind));
        }
        let ticket = Ticket {
            record: OwnedRecord::new(record),
            deadline: now + self.max_block,
            size,
            caller: Caller { slot: slot(), hook: hook.take() },
        };
        let number = self.tickets.add(line, ticket, blocked);
        Ok(Sent::Waits { topic: record.topic, number })
    }

    /// Pushes the record, which takes `hook`, or refuses it.
    pub(crate) fn try_send(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        hook: &mut Option<Hook>,
    ) -> SendResult {
        self.attempt(now, record, hook).map_err(|refused| {
            let name = self.name(record.topic);
            match refused {
                Refused::By(error) => SendError::refused(&name, error),
                Refused::Circuit(kind) => SendError::new(name, kind),
                Refused::Behind(line) => {
                    let kind = match self.tickets.blocked(line) {
                        Some(Blocked::Lane(lane)) => SendErrorKind::Full { lane },
                        _ => SendErrorKind::NotReady,
                    };
                    SendError::new(name, kind)
                }
            }
        })
    }

    /// Pushes the record unless earlier ones wait that it must not overtake.
    fn attempt(
        &mut self,
        now: Instant,
        record: &Record<'_>,
        hook: &mut Option<Hook>,
    ) -> Result<Delivery, Refused> {
        if self.phase != Phase::Open {
            return Err(Refused::By(PushError::Closed));
        }
        self.breakers.admit(now, record.topic).map_err(Refused::Circuit)?;
        // A partition below zero is refused at once, whoever waits.
        let may_be_valid = record.partition.is_none_or(|partition| partition >= 0);
        if may_be_valid && let Some(line) = self.tickets.line_ahead(record.topic, record.partition)
        {
            return Err(Refused::Behind(line));
        }
        let delivery = self.push(now, record).map_err(Refused::By)?;
        if let Some(hook) = hook.take() {
            delivery.watch(hook);
        }
        Ok(delivery)
    }

    fn push(&mut self, now: Instant, record: &Record<'_>) -> Result<Delivery, PushError> {
        let receipt = self.core.push(now, record)?;
        Ok(self.registered(receipt, record.topic, record.timestamp))
    }

    /// The delivery of a record that has just been pushed, under the same hold of the lock: no
    /// result can come in between.
    #[inline]
    fn registered(&mut self, receipt: Receipt, topic: TopicId, timestamp: i64) -> Delivery {
        let completion = match self.batches.join(receipt.batch) {
            Some(completion) => completion,
            None => self.begin_batch(receipt.batch, topic, timestamp),
        };
        let mark = completion.mark(receipt.index, timestamp);
        Delivery::new(completion, mark)
    }

    #[cold]
    fn begin_batch(
        &mut self,
        batch: BatchId,
        topic: TopicId,
        base_timestamp: i64,
    ) -> Arc<Completion> {
        let name = self.core.topic_name(topic).cloned().unwrap_or_default();
        let completion = Completion::new(batch, name, base_timestamp, self.shared.clone());
        self.batches.enter(batch, completion)
    }

    // ---- what the driver does

    /// Takes everything out of the core that wants to come out, hands in a deadline that has
    /// come, and lets tickets in where room has been made: all under one hold of the lock, so that
    /// nobody takes the room away.
    pub(crate) fn drain(&mut self, now: Instant, drained: &mut Drained) {
        if self.core.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.core.handle_input(now, Input::Timeout);
        }
        loop {
            let mut had_event = false;
            while let Some(event) = self.core.poll_event() {
                self.on_event(now, event, drained);
                had_event = true;
            }
            if self.is_waited_for() {
                self.expire(now, &mut drained.replies);
                self.advance_barriers(now, &mut drained.replies);
                self.advance_warm_ups(now, &mut drained.replies);
            }
            while let Some(action) = self.core.poll_action() {
                drained.actions.push(action);
            }
            while let Some(transmit) = self.core.poll_transmit(now) {
                drained.transmits.push(transmit);
            }
            // To hand out bytes may have made work: a batch that has to be compressed first.
            if !had_event && !self.core.has_output() {
                break;
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event, drained: &mut Drained) {
        let replies = &mut drained.replies;
        match event {
            Event::Delivered { batch, records, topic, partition, base_offset, append_time } => {
                self.breakers.succeeded(topic);
                let outcome = Outcome::Delivered { partition, base_offset, append_time };
                self.settle(batch, records, outcome, replies);
            }
            Event::Failed { batch, records, topic, error, persistence, .. } => {
                if error.kind() == ProduceErrorKind::DeliveryTimeout(Waited::NoLeader) {
                    self.breakers.failed(now, topic, || error.to_string().into());
                }
                let outcome = Outcome::Failed(DeliveryError { error, persistence });
                self.settle(batch, records, outcome, replies);
            }
            Event::Writable { lane } => {
                self.tickets.open_lane(lane);
                self.feed(now, replies);
            }
            Event::TopicReady(topic) => {
                self.tickets.topic_ready(topic);
                self.feed(now, replies);
                let count = self.core.partition_count(topic);
                self.tell_watchers(topic, replies, count.map(Ok));
            }
            Event::TopicFailed { topic, error } => {
                self.breakers.failed(now, topic, || error.to_string().into());
                let kind = SendErrorKind::TopicFailed(error);
                self.fail_warm_ups(Some(topic), replies, &kind);
                let error = SendError::new(self.name(topic), kind);
                for ticket in self.tickets.take_topic(topic) {
                    replies.sends.push((ticket.caller, Err(error.clone())));
                }
                self.tell_watchers(topic, replies, Some(Err(error)));
            }
            Event::Described { question, result } => {
                if let Some(slot) = self.describing.remove(&question) {
                    replies.descriptions.push((slot, result));
                }
            }
            Event::Flushed(flush) => {
                replies.signals.extend(self.flushing.remove(&flush));
            }
            Event::Closed => {
                self.phase = Phase::Closed;
                drained.is_closed = true;
            }
            Event::Fatal(error) => {
                self.refuse_waiting(replies, &SendErrorKind::Fatal(error.clone()));
                drained.notices.push(Event::Fatal(error));
            }
            event => drained.notices.push(event),
        }
    }

    fn settle(
        &mut self,
        batch: BatchId,
        records: Range<u32>,
        outcome: Outcome,
        replies: &mut Replies,
    ) {
        let count = records.end.saturating_sub(records.start);
        if let Some(completion) = self.batches.settle(batch, count) {
            replies.settled.push((completion, Settled { records, outcome }));
        }
    }

    /// Whether anybody waits for more than the outcome of a record.
    fn is_waited_for(&self) -> bool {
        !self.tickets.is_empty()
            || !self.watchers.is_empty()
            || !self.warm_ups.is_empty()
            || !self.barriers.is_empty()
            || self.look_at.is_some()
            || matches!(self.phase, Phase::Draining { .. })
    }

    /// When to drain at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut deadline = self.core.poll_timeout();
        if !self.is_waited_for() {
            return deadline;
        }
        let mut also = |other: Option<Instant>| {
            deadline = deadline.into_iter().chain(other).min();
        };
        if !self.tickets.is_empty() {
            also(self.tickets.deadline());
        }
        if !self.watchers.is_empty() {
            also(self.watchers.iter().map(|watcher| watcher.deadline).min());
        }
        also(self.look_at);
        also(self.warm_up_deadline());
        if let Phase::Draining { deadline } = self.phase {
            also(deadline);
        }
        deadline
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("phase", &self.phase).finish_non_exhaustive()
    }
}

enum Refused {
    By(PushError),
    /// Earlier records wait in this line.
    Behind(Line),
    /// By its topic's circuit breaker.
    Circuit(SendErrorKind),
}
