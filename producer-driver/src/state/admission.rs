//! Records that wait to be accepted: when they get in, and when they have waited too long.

use std::sync::Arc;
use std::time::Duration;

use producer_proto::{Instant, Lane, Producer, PushError, Record, TopicId};

use super::State;
use crate::error::{SendError, SendErrorKind, WaitingFor};
use crate::replies::Replies;
use crate::tickets::{Blocked, Line, Ticket};

/// How often it is looked whether a partition was added that a record waits for. How often the
/// cluster is asked is up to the core.
const LOOK: Duration = Duration::from_millis(100);

impl State {
    /// The line for a record whose topic or partition is not known.
    pub(super) fn line_of(&self, record: &Record<'_>) -> Line {
        let is_known = self.core.partition_count(record.topic).is_some();
        (record.topic, record.partition.filter(|_| is_known))
    }

    /// Pushes what tickets hold, oldest first, as far as there is room.
    pub(super) fn feed(&mut self, now: Instant, replies: &mut Replies) {
        while let Some(line) = self.tickets.candidate() {
            let (topic, _) = line;
            let Some(record) = self.tickets.record(line) else { break };
            if let (None, Some(partition)) = (line.1, record.partition())
                && self.tickets.blocked((topic, Some(partition))).is_some()
            {
                self.tickets.set_aside(topic, partition);
                continue;
            }
            let partition = record.partition();
            let result = record.lend(topic, |record| {
                self.core.push(now, record).map(|receipt| (receipt, record.timestamp))
            });
            let result = match result {
                Err(PushError::Full { lane }) => {
                    self.tickets.block(line, Blocked::Lane(lane));
                    continue;
                }
                Err(PushError::TopicNotReady) => {
                    match partition {
                        Some(partition)
                            if line.1.is_none() && self.core.partition_count(topic).is_some() =>
                        {
                            self.tickets.set_aside(topic, partition);
                        }
                        _ => self.tickets.block(line, Blocked::Topic),
                    }
                    continue;
                }
                Ok((receipt, timestamp)) => Ok(self.registered(receipt, topic, timestamp)),
                Err(error) => Err(SendError::refused(&self.name(topic), error)),
            };
            let Some(mut ticket) = self.tickets.pop(line) else { break };
            if let Ok(delivery) = &result
                && let Some(hook) = ticket.caller.hook.take()
            {
                delivery.watch(hook);
            }
            replies.sends.push((ticket.caller, result));
        }
    }

    /// Fails the tickets whose time is up, each after a last try.
    pub(super) fn expire(&mut self, now: Instant, replies: &mut Replies) {
        if self.look_at.is_some_and(|at| at <= now) {
            self.tickets.look_for_partitions();
            self.look_at = None;
        }
        loop {
            self.feed(now, replies);
            let Some((line, blocked, ticket)) = self.tickets.pop_expired(now) else { break };
            let error = self.timed_out(line, blocked);
            if matches!(blocked, Blocked::Topic | Blocked::Lane(Lane::NoLeader)) {
                self.breakers.failed(now, line.0, || error.to_string().into());
            }
            replies.sends.push((ticket.caller, Err(error)));
        }
        self.look_at = match self.tickets.await_partitions() {
            true => self.look_at.or(Some(now + LOOK)),
            false => None,
        };
        let core = &self.core;
        let max_block = self.max_block;
        self.watchers.retain(|watcher| {
            if watcher.deadline > now {
                return true;
            }
            let line = (watcher.topic, None);
            let error = timed_out(core, max_block, line, WaitingFor::Metadata);
            replies.counts.push((watcher.slot.clone(), Err(error)));
            false
        });
    }

    pub(super) fn timed_out(&self, line: Line, blocked: Blocked) -> SendError {
        let (topic, partition) = line;
        let waiting_for = match (blocked, partition) {
            (Blocked::Lane(lane), _) => WaitingFor::Memory(lane),
            (Blocked::Fresh, _) => WaitingFor::Turn,
            (Blocked::Topic, None) => WaitingFor::Metadata,
            (Blocked::Topic, Some(partition)) => {
                let count = self.core.partition_count(topic).unwrap_or(0);
                WaitingFor::Partition { partition, count }
            }
        };
        timed_out(&self.core, self.max_block, line, waiting_for)
    }

    pub(crate) fn give_up(&mut self, topic: TopicId, number: u64) -> Option<Ticket> {
        self.tickets.cancel(topic, number)
    }
}

pub(super) fn timed_out(
    core: &Producer,
    max_block: Duration,
    (topic, _): Line,
    waiting_for: WaitingFor,
) -> SendError {
    let said = core.topic_error(topic).map(|error| Arc::from(error.to_string()));
    let cause = said.or_else(|| core.connection_trouble().cloned());
    let name = core.topic_name(topic).cloned().unwrap_or_default();
    SendError::new(name, SendErrorKind::Timeout { max_block, waiting_for, cause })
}
