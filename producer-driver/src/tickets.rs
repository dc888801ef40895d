//! The queue of records that wait to be accepted.
//!
//! A record that cannot be pushed now takes a ticket. Tickets of one topic are admitted in the
//! order in which they were taken, and nothing overtakes them; among topics that wait for the same
//! lane the oldest ticket goes first. One exception keeps a wrong partition number from holding up
//! its whole topic: a record for a partition that the topic does not have (yet) waits in a line of
//! its own, behind which only records for the same partition wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use producer_proto::{Instant, Lane, TopicId};

use crate::delivery::Delivery;
use crate::error::SendError;
use crate::hook::Hook;
use crate::record::OwnedRecord;
use crate::slot::Slot;

pub(crate) type SendResult = Result<Delivery, SendError>;

/// One line of tickets: a topic, or a partition that the topic does not have.
pub(crate) type Line = (TopicId, Option<i32>);

/// What the first ticket of a line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// To be tried: it has just come to the front.
    Fresh,
    /// Room in a lane.
    Lane(Lane),
    /// The topic's metadata, or one of its partitions.
    Topic,
}

#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) record: OwnedRecord,
    pub(crate) deadline: Instant,
    /// What the record is charged with.
    pub(crate) size: usize,
    pub(crate) caller: Caller,
}

/// Who is told what became of a ticket.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) slot: CallerSlot,
    /// Moves on to the delivery when the record is accepted.
    pub(crate) hook: Option<Hook>,
}

/// Where the caller waits.
#[derive(Debug)]
pub(crate) enum CallerSlot {
    /// For the delivery.
    Delivery(Arc<Slot<SendResult>>),
    /// For an end of the waiting; the hook tells the rest.
    Admitted(Arc<Slot<()>>),
}

impl Caller {
    /// Must not be called under a lock.
    pub(crate) fn tell(self, result: SendResult) {
        if let (Some(hook), Err(error)) = (self.hook, &result) {
            hook.run(Err(error.clone().into()));
        }
        match self.slot {
            CallerSlot::Delivery(slot) => slot.fill(result),
            CallerSlot::Admitted(slot) => slot.fill(()),
        }
    }
}

#[derive(Debug)]
struct Queue {
    tickets: BTreeMap<u64, Ticket>,
    blocked: Blocked,
}

/// All tickets. Work is proportional to what is admitted, never to how many wait.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    lines: BTreeMap<Line, Queue>,
    /// The first ticket of each line, oldest first. Deadlines rise with the ticket's number, so
    /// the first of these is also the first to expire.
    heads: BTreeSet<(u64, Line)>,
    /// Lines whose first ticket waits for room in a lane.
    lanes: BTreeMap<Lane, BTreeSet<(u64, Line)>>,
    /// Lines whose first ticket is to be tried.
    fresh: BTreeSet<(u64, Line)>,
    /// Lines whose first ticket waits for a partition that the topic does not have.
    missing: BTreeSet<(u64, Line)>,
    /// Lanes that have had room since they last refused.
    open: BTreeSet<Lane>,
    next: u64,
    last_deadline: Instant,
    bytes: usize,
}

impl Tickets {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Bytes that all tickets are charged with.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number that the next ticket will get.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// The number of the oldest ticket that still waits.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.heads.first().map(|(number, _)| *number)
    }

    /// When the first ticket expires.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (number, line) = self.heads.first()?;
        Some(self.lines[line].tickets[number].deadline)
    }

    /// The line that a record has to join, when earlier tickets wait that it must not overtake.
    pub(crate) fn line_ahead(&self, topic: TopicId, partition: Option<i32>) -> Option<Line> {
        if self.lines.is_empty() {
            return None;
        }
        let lines = [(topic, None), (topic, partition)];
        lines.into_iter().find(|line| self.lines.contains_key(line))
    }

    /// What the first ticket of a line waits for.
    pub(crate) fn blocked(&self, line: Line) -> Option<Blocked> {
        self.lines.get(&line).map(|queue| queue.blocked)
    }

    /// Adds a ticket at the end of its line and gives its number. `blocked` is what it waits for
    /// when it is the first.
    pub(crate) fn add(&mut self, line: Line, mut ticket: Ticket, blocked: Blocked) -> u64 {
        let number = self.next;
        self.next += 1;
        ticket.deadline = ticket.deadline.max(self.last_deadline);
        self.last_deadline = ticket.deadline;
        self.bytes = self.bytes.saturating_add(ticket.size);
        self.insert(line, number, ticket, blocked);
        number
    }

    /// The oldest ticket that is worth trying.
    pub(crate) fn candidate(&mut self) -> Option<Line> {
        let fresh = self.fresh.first().copied();
        let mut best = fresh;
        self.open.retain(|lane| {
            let first = self.lanes.get(lane).and_then(|lines| lines.first().copied());
            best = best.into_iter().chain(first).min();
            first.is_some()
        });
        best.map(|(_, line)| line)
    }

    /// The record of the first ticket of a line.
    pub(crate) fn record(&self, line: Line) -> Option<&OwnedRecord> {
        let (_, ticket) = self.lines.get(&line)?.tickets.first_key_value()?;
        Some(&ticket.record)
    }

    /// Notes what the first ticket of a line waits for. A lane that refused is not tried again
    /// before it opens.
    pub(crate) fn block(&mut self, line: Line, blocked: Blocked) {
        if let Blocked::Lane(lane) = blocked {
            self.open.remove(&lane);
        }
        self.change(line, |queue| queue.blocked = blocked);
    }

    /// Moves the first ticket of a topic's line into the line of its partition.
    pub(crate) fn set_aside(&mut self, topic: TopicId, partition: i32) {
        let first = self.change((topic, None), |queue| {
            queue.blocked = Blocked::Fresh;
            queue.tickets.pop_first()
        });
        if let Some((number, ticket)) = first.flatten() {
            self.insert((topic, Some(partition)), number, ticket, Blocked::Topic);
        }
    }

    /// Takes the first ticket out of a line; the next one is to be tried.
    pub(crate) fn pop(&mut self, line: Line) -> Option<Ticket> {
        let first = self.change(line, |queue| {
            queue.blocked = Blocked::Fresh;
            queue.tickets.pop_first()
        });
        first.flatten().map(|(_, ticket)| self.released(ticket))
    }

    /// Takes the oldest ticket if it has expired, with its line and what that waits for.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<(Line, Blocked, Ticket)> {
        if self.deadline()? > now {
            return None;
        }
        let (_, line) = *self.heads.first()?;
        let blocked = self.blocked(line)?;
        let first = self.change(line, |queue| {
            // What made this one wait for its topic makes the next one wait as well.
            if blocked != Blocked::Topic {
                queue.blocked = Blocked::Fresh;
            }
            queue.tickets.pop_first()
        });
        let (_, ticket) = first.flatten()?;
        Some((line, blocked, self.released(ticket)))
    }

    /// Takes out a ticket whose caller has gone; `None` when it does not wait any more.
    pub(crate) fn cancel(&mut self, topic: TopicId, number: u64) -> Option<Ticket> {
        self.lines_of(topic).into_iter().find_map(|line| {
            let ticket = self.change(line, |queue| {
                if queue.tickets.first_key_value()?.0 == &number && queue.blocked != Blocked::Topic
                {
                    queue.blocked = Blocked::Fresh;
                }
                queue.tickets.remove(&number)
            });
            ticket.flatten().map(|ticket| self.released(ticket))
        })
    }

    /// A lane has room.
    pub(crate) fn open_lane(&mut self, lane: Lane) {
        if self.lanes.contains_key(&lane) {
            self.open.insert(lane);
        }
    }

    /// A topic's partitions are known, or have become more.
    pub(crate) fn topic_ready(&mut self, topic: TopicId) {
        for line in self.lines_of(topic) {
            self.change(line, |queue| {
                if queue.blocked == Blocked::Topic {
                    queue.blocked = Blocked::Fresh;
                }
            });
        }
    }

    /// Whether a ticket waits for a partition that its topic does not have.
    pub(crate) fn await_partitions(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Tickets that wait for a partition are to be tried.
    pub(crate) fn look_for_partitions(&mut self) {
        for (_, line) in self.missing.clone() {
            self.change(line, |queue| queue.blocked = Blocked::Fresh);
        }
    }

    /// Takes out all tickets of a topic, in order.
    pub(crate) fn take_topic(&mut self, topic: TopicId) -> Vec<Ticket> {
        let lines = self.lines_of(topic);
        self.take_lines(lines)
    }

    /// Takes out all tickets, in order.
    pub(crate) fn take_all(&mut self) -> Vec<(TopicId, Ticket)> {
        let lines: Vec<Line> = self.lines.keys().copied().collect();
        let of_line = |line: Line| {
            self.take_lines(vec![line]).into_iter().map(move |ticket| (line.0, ticket))
        };
        lines.into_iter().flat_map(of_line).collect()
    }

    fn lines_of(&self, topic: TopicId) -> Vec<Line> {
        let all = (topic, None)..=(topic, Some(i32::MAX));
        self.lines.range(all).map(|(line, _)| *line).collect()
    }

    fn take_lines(&mut self, lines: Vec<Line>) -> Vec<Ticket> {
        let mut taken = BTreeMap::new();
        for line in lines {
            self.change(line, |queue| taken.append(&mut queue.tickets));
        }
        taken.into_values().map(|ticket| self.released(ticket)).collect()
    }

    fn released(&mut self, ticket: Ticket) -> Ticket {
        self.bytes -= ticket.size;
        ticket
    }

    fn insert(&mut self, line: Line, number: u64, ticket: Ticket, blocked: Blocked) {
        self.lines.entry(line).or_insert_with(|| Queue { tickets: BTreeMap::new(), blocked });
        self.change(line, |queue| queue.tickets.insert(number, ticket));
    }

    /// Changes a line and keeps the indexes true.
    fn change<R>(&mut self, line: Line, change: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        self.index(line, false);
        let queue = self.lines.get_mut(&line)?;
        let result = change(queue);
        if queue.tickets.is_empty() {
            self.lines.remove(&line);
        }
        self.index(line, true);
        Some(result)
    }

    fn index(&mut self, line: Line, present: bool) {
        let Some(queue) = self.lines.get(&line) else { return };
        let Some((&number, _)) = queue.tickets.first_key_value() else { return };
        let entry = (number, line);
        let blocked = queue.blocked;
        let put = |set: &mut BTreeSet<(u64, Line)>| {
            if present {
                set.insert(entry)
            } else {
                set.remove(&entry)
            };
        };
        put(&mut self.heads);
        match blocked {
            Blocked::Fresh => put(&mut self.fresh),
            Blocked::Topic if line.1.is_some() => put(&mut self.missing),
            Blocked::Topic => {}
            Blocked::Lane(lane) => {
                let lines = self.lanes.entry(lane).or_default();
                put(lines);
                if lines.is_empty() {
                    self.lanes.remove(&lane);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
