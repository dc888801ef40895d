//! Flush, close and abort: each covers the records that wait with a ticket, too.

use std::sync::Arc;

use producer_proto::{Action, ConnectErrorKind, DisconnectReason, Input, Instant, TopicId};

use super::{Drained, Phase, State, Watcher};
use crate::error::{SendError, SendErrorKind};
use crate::record::TopicRef;
use crate::replies::{CountResult, Replies};
use crate::slot::Slot;

impl State {
    /// Sends what was pushed so far without lingering, and fills `slot` when all records, those
    /// that wait with a ticket included, have their outcome.
    pub(crate) fn flush(&mut self, now: Instant, slot: Arc<Slot<()>>, replies: &mut Replies) {
        if self.phase == Phase::Closed {
            replies.signals.push(slot);
            return;
        }
        if self.tickets.is_empty() {
            self.flushing.insert(self.core.flush(now), slot);
            return;
        }
        // What is in already need not linger while the tickets wait.
        self.core.flush(now);
        self.barriers.push_back((self.tickets.next_number(), slot));
    }

    /// Refuses further records. Those with a ticket still get in, until the deadline.
    pub(crate) fn close(&mut self, now: Instant, deadline: Option<Instant>, replies: &mut Replies) {
        match &mut self.phase {
            Phase::Open => {
                self.core.flush(now);
                self.phase = Phase::Draining { deadline };
            }
            Phase::Draining { deadline: earlier } => {
                *earlier = (*earlier).into_iter().chain(deadline).min();
            }
            Phase::Closing => self.core.close(now, deadline),
            Phase::Closed => {}
        }
        self.advance_barriers(now, replies);
    }

    /// Fills `slot` when the producer is closed.
    pub(crate) fn when_closed(&mut self, slot: Arc<Slot<()>>, replies: &mut Replies) {
        match self.phase {
            Phase::Closed => replies.signals.push(slot),
            _ => self.closers.push(slot),
        }
    }

    /// Those who wait for the close. To be told when the sockets are closed, too.
    pub(crate) fn take_closers(&mut self) -> Vec<Arc<Slot<()>>> {
        std::mem::take(&mut self.closers)
    }

    /// Drops every record that was never handed to a connection.
    pub(crate) fn abort_queued(&mut self, now: Instant, replies: &mut Replies) {
        for (topic, ticket) in self.tickets.take_all() {
            let error = SendError::new(self.name(topic), SendErrorKind::Aborted);
            replies.sends.push((ticket.caller, Err(error)));
        }
        self.core.abort_queued(now);
        self.advance_barriers(now, replies);
    }

    /// Lets flushes and the close go on that waited for tickets.
    pub(super) fn advance_barriers(&mut self, now: Instant, replies: &mut Replies) {
        let oldest = self.tickets.oldest().unwrap_or(u64::MAX);
        while self.barriers.front().is_some_and(|(number, _)| *number <= oldest) {
            let Some((_, slot)) = self.barriers.pop_front() else { break };
            self.flushing.insert(self.core.flush(now), slot);
        }
        if let Phase::Draining { deadline } = self.phase {
            let is_due = deadline.is_some_and(|deadline| deadline <= now);
            if is_due || self.tickets.is_empty() {
                self.phase = Phase::Closing;
                self.refuse_waiting(replies, &SendErrorKind::Closed);
                self.core.close(now, deadline);
                self.advance_barriers(now, replies);
            }
        }
    }

    /// Fails everything that waits to be accepted.
    pub(super) fn refuse_waiting(&mut self, replies: &mut Replies, kind: &SendErrorKind) {
        for (topic, ticket) in self.tickets.take_all() {
            let error = SendError::new(self.name(topic), kind.clone());
            replies.sends.push((ticket.caller, Err(error)));
        }
        self.fail_warm_ups(None, replies, kind);
        let name = |topic| self.core.topic_name(topic).cloned().unwrap_or_default();
        for watcher in std::mem::take(&mut self.watchers) {
            let error = SendError::new(name(watcher.topic), kind.clone());
            replies.counts.push((watcher.slot, Err(error)));
        }
    }

    /// The partition count of a topic; `None` when it is not known, and `slot` gets it later.
    pub(crate) fn partitions_for(
        &mut self,
        now: Instant,
        topic: TopicRef<'_>,
        slot: Arc<Slot<CountResult>>,
    ) -> Option<CountResult> {
        // Not from the cache of names: the core asks the cluster anew for a topic that it has
        // forgotten.
        let topic = match self.intern(now, topic.name()) {
            Ok(topic) => topic,
            Err(error) => return Some(Err(error)),
        };
        if let Some(count) = self.core.partition_count(topic) {
            return Some(Ok(count));
        }
        let refused = |kind| Some(Err(SendError::new(self.name(topic), kind)));
        if let Some(fatal) = self.core.fatal() {
            return refused(SendErrorKind::Fatal(fatal.clone()));
        }
        if self.phase != Phase::Open {
            return refused(SendErrorKind::Closed);
        }
        self.watchers.push(Watcher { topic, deadline: now + self.max_block, slot });
        None
    }

    /// Answers those who ask about a topic.
    pub(super) fn tell_watchers(
        &mut self,
        topic: TopicId,
        replies: &mut Replies,
        answer: Option<CountResult>,
    ) {
        let Some(answer) = answer else { return };
        self.watchers.retain(|watcher| {
            if watcher.topic == topic {
                replies.counts.push((watcher.slot.clone(), answer.clone()));
            }
            watcher.topic != topic
        });
    }

    /// Ends everything now, as there is no network any more: every record, ticket, flush and
    /// close gets its answer. `inputs` tells the fate of the connections.
    pub(crate) fn end(&mut self, now: Instant, inputs: Vec<Input<'_>>, drained: &mut Drained) {
        for input in inputs {
            self.core.handle_input(now, input);
        }
        self.close(now, Some(now), &mut drained.replies);
        loop {
            self.core.handle_input(now, Input::Timeout);
            self.drain(now, drained);
            drained.transmits.clear();
            drained.notices.clear();
            if drained.actions.is_empty() {
                break;
            }
            for action in std::mem::take(&mut drained.actions) {
                self.core.handle_input(now, refusal(action));
            }
        }
        self.phase = Phase::Closed;
        let flushing = std::mem::take(&mut self.flushing).into_values();
        drained.replies.signals.extend(flushing);
        drained.replies.signals.append(&mut self.closers);
        self.end_driver();
    }
}

/// The answer to an action when there is nobody to carry it out.
fn refusal(action: Action) -> Input<'static> {
    match action {
        Action::Connect { conn, .. } => {
            Input::ConnectFailed { conn, kind: ConnectErrorKind::Other }
        }
        Action::Close { conn } => Input::Disconnected { conn, reason: DisconnectReason::Requested },
        Action::Run(job) => Input::Done(job.abandon()),
        // An action of a later version of the core cannot come from the one built with this.
        _ => Input::Timeout,
    }
}
