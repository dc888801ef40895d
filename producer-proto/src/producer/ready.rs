//! Which partitions can be sent, and from when: the ready queues of the nodes.

use crate::ConnectionId;
use crate::batches::{Content, State};
use crate::config::Acks;
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::outstanding::{NO_SLOT, Slot};
use crate::partition::{NO_NODE, Partition};
use crate::timers::TimerKey;
use crate::topics::PartitionIndex;

use super::Producer;

/// Batches of one partition in flight with idempotence: brokers remember as many (KIP-98).
const MAX_IN_FLIGHT_STAMPED: u32 = 5;

impl Producer {
    /// The node that leads a partition, if it is known and still part of the cluster.
    pub(super) fn usable_leader(&self, at: PartitionIndex) -> Option<NodeIndex> {
        let leader = self.partition(at).leader;
        (leader != NO_NODE && self.nodes[leader].is_listed).then_some(leader)
    }

    /// Puts a partition into its leader's ready queue if it has something that may be sent now.
    /// To be called whenever something happened that may have made it so.
    pub(super) fn mark_ready(&mut self, at: PartitionIndex) {
        if self.partition(at).is_ready || self.next_sendable(at).is_none() {
            return;
        }
        let Some(leader) = self.usable_leader(at) else {
            self.metadata.request();
            return;
        };
        self.partition_mut(at).is_ready = true;
        self.nodes[leader].ready.push_back(at);
        self.wake(leader);
    }

    /// Whether a node has something to hand out. Partitions whose batches have ended otherwise since
    /// leave the queue: for them no connection is brought up.
    pub(super) fn has_ready(&mut self, node: NodeIndex) -> bool {
        while let Some(&at) = self.nodes[node].ready.front() {
            if self.next_sendable(at).is_some() {
                return true;
            }
            self.nodes[node].ready.pop_front();
            self.partition_mut(at).is_ready = false;
        }
        self.note_able(node);
        false
    }

    /// A node may have something to hand out; its connection is brought up if there is none.
    pub(super) fn wake(&mut self, node: NodeIndex) {
        let state = &mut self.nodes[node];
        if !state.ready.is_empty() && state.unable_since.is_none() {
            state.unable_since = Some(self.now);
            let patience = self.settings.partitioner_availability_timeout;
            if !patience.is_zero() {
                self.timers.set(TimerKey::Availability(node), self.now + patience);
            }
        }
        let state = &mut self.nodes[node];
        if state.conn.is_none() {
            self.ensure_connection(node);
        } else if !state.is_dirty {
            state.is_dirty = true;
            self.dirty.push_back(node);
        }
    }

    /// As [`wake`](Self::wake), for a node whose connection takes more now: usually there is nothing.
    pub(super) fn wake_if_loaded(&mut self, node: NodeIndex, id: ConnectionId) {
        let is_loaded = !self.nodes[node].ready.is_empty()
            || self.conns.get(&id).is_some_and(|conn| !conn.outbox.is_empty());
        if is_loaded {
            self.wake(node);
        } else {
            self.note_able(node);
        }
    }

    /// The node has just taken data, or has none to take.
    pub(super) fn note_able(&mut self, node: NodeIndex) {
        self.nodes[node].unable_since = None;
        if !self.settings.partitioner_availability_timeout.is_zero() {
            self.timers.clear(TimerKey::Availability(node));
            self.set_slow(node, false);
        }
    }

    /// Data has waited for the node for `partitioner.availability.timeout.ms`: until it takes
    /// some, unkeyed records go elsewhere.
    pub(super) fn on_availability_timer(&mut self, node: NodeIndex) {
        self.marks.hit(Mark::BrokerSlow);
        self.set_slow(node, true);
    }

    fn set_slow(&mut self, node: NodeIndex, is_slow: bool) {
        if self.nodes[node].is_slow == is_slow {
            return;
        }
        self.nodes[node].is_slow = is_slow;
        for topic in 0..self.topics.len() {
            self.refresh_spread(topic);
        }
    }

    /// The batch of a partition that may be handed out now. Rules of order:
    /// a batch goes only when all older ones are in flight on the leader's present connection;
    /// a batch that is tried again goes alone, and nothing overtakes it.
    pub(super) fn next_sendable(&self, at: PartitionIndex) -> Option<Slot> {
        let partition = self.partition(at);
        // Nothing but what is in flight, if that.
        let is_spent = partition.queue.len() <= partition.in_flight as usize;
        if is_spent
            || partition.retry_at > self.now
            || partition.in_flight >= self.in_flight_limit(partition)
        {
            return None;
        }
        if partition.sequence.gap {
            return self.next_probe(partition);
        }
        let leader = partition.leader;
        let conn = if leader == NO_NODE { None } else { self.nodes[leader].conn };
        for &slot in &partition.queue {
            let batch = &self.batches[slot];
            match batch.state {
                State::InFlight(on) if Some(on) != conn => return None,
                State::InFlight(_) if batch.attempts > 1 && self.keeps_order() => return None,
                State::InFlight(_) | State::Acknowledged { .. } => {}
                State::Working => return None,
                State::Queued if batch.is_retry() && partition.in_flight > 0 => {
                    return if self.keeps_order() { None } else { Some(slot) };
                }
                State::Queued | State::Closed => return Some(slot),
                State::Open => {
                    return (batch.due <= self.now && batch.count > 0).then_some(slot);
                }
            }
        }
        None
    }

    /// While a gap is being resolved: a stamp that may be in the log and was not asked about
    /// since. It goes alone, under its old stamp, so that the answer tells.
    fn next_probe(&self, partition: &Partition) -> Option<Slot> {
        if partition.in_flight > 0 {
            return None;
        }
        partition.queue.iter().copied().find(|&slot| {
            let batch = &self.batches[slot];
            batch.state == State::Queued
                && batch.stamp.is_some()
                && !partition.sequence.knows_absent(batch)
        })
    }

    fn in_flight_limit(&self, partition: &Partition) -> u32 {
        if self.settings.idempotence {
            if partition.sequence.acknowledged { MAX_IN_FLIGHT_STAMPED } else { 1 }
        } else if self.settings.allow_reordering_on_retry {
            u32::MAX
        } else {
            1
        }
    }

    pub(super) fn keeps_order(&self) -> bool {
        self.settings.idempotence || !self.settings.allow_reordering_on_retry
    }

    /// Lets every open batch go without lingering any longer.
    pub(super) fn hurry_everything(&mut self) {
        while let Some(lingering) = self.lingering.pop_front() {
            self.hurry(lingering.partition, lingering.batch);
        }
    }

    /// Lets one batch go, if it is still open.
    pub(super) fn hurry(&mut self, at: PartitionIndex, id: crate::BatchId) {
        let Some(slot) = self.open_slot(at) else { return };
        if self.batches[slot].id == id {
            self.batches[slot].due = self.now;
            self.mark_ready(at);
        }
    }

    pub(super) fn open_slot(&self, at: PartitionIndex) -> Option<Slot> {
        let slot = *self.partition(at).queue.back()?;
        (self.batches[slot].state == State::Open).then_some(slot)
    }

    /// Takes no more records into the open batch of a partition. It is sealed when its leader's
    /// protocol version is known.
    pub(super) fn close_open_batch(&mut self, at: PartitionIndex) {
        let Some(slot) = self.open_slot(at) else { return };
        let batch = &mut self.batches[slot];
        let Content::Open(builder) = std::mem::replace(&mut batch.content, Content::Away) else {
            return;
        };
        let mut raw = builder.finish();
        let partition = &mut self.partitions[at as usize];
        partition.open = NO_SLOT;
        if let Some(spread) = &mut self.topics.at_mut(partition.topic).spread {
            spread.note_closed(partition.index);
        }
        batch.state = State::Closed;
        batch.count = raw.count;
        batch.holes = std::mem::take(&mut raw.holes);
        let usual = u32::try_from(raw.records.len()).unwrap_or(u32::MAX);
        batch.content = Content::Raw(raw);
        if batch.count == 0 {
            // Every record was cancelled.
            self.retire(slot);
            return;
        }
        let partition = self.partition_mut(at);
        partition.usual_size = usual;
        let topic = partition.topic;
        self.topics.at_mut(topic).last_size = usual;
        self.stats.batches_sealed += 1;
        if let Some(format) = self.leader_format(at) {
            self.seal(slot, format);
        }
    }

    /// Nothing of this partition is sent before `at_time`.
    pub(super) fn hold_back(&mut self, at: PartitionIndex, at_time: crate::Instant) {
        self.partition_mut(at).retry_at = at_time;
        self.timers.set(TimerKey::Retry(at), at_time);
    }

    pub(super) fn release_hold(&mut self, at: PartitionIndex) {
        if self.partition(at).retry_at != crate::Instant::ZERO {
            self.partition_mut(at).retry_at = crate::Instant::ZERO;
            self.timers.clear(TimerKey::Retry(at));
        }
    }

    pub(super) fn wants_no_answer(&self) -> bool {
        self.settings.acks == Acks::None
    }
}
