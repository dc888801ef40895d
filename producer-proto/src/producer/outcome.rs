//! The end of a batch: one outcome per record, and everything it held given back.

use std::ops::Range;
use std::sync::Arc;

use crate::TopicId;
use crate::batches::{Batch, Content, LastError, State};
use crate::error::{Phase as Waiting, ProduceError, ProduceErrorKind};
use crate::event::{Event, Persistence};
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::outstanding::{NO_SLOT, Slot};
use crate::partition::NO_NODE;
use crate::topics::PartitionIndex;

use super::Producer;

impl Producer {
    /// A batch is in the log. Successes of a partition are told in order: this one waits for the
    /// outcome of older batches, which a broker may have answered with an error although it has
    /// them.
    pub(super) fn succeed(
        &mut self,
        at: PartitionIndex,
        slot: Slot,
        base_offset: Option<i64>,
        append_time: Option<i64>,
    ) {
        let mut older = self.partition(at).queue.iter().take_while(|&&queued| queued != slot);
        if self.keeps_order() && older.any(|&queued| !self.batches[queued].done) {
            self.marks.hit(Mark::SuccessWaits);
            self.batches[slot].state = State::Acknowledged { base_offset, append_time };
        } else {
            self.deliver(slot, base_offset, append_time);
        }
    }

    /// Tells a success that has waited for an older batch, if none is left.
    fn tell_acknowledged(&mut self, at: PartitionIndex) {
        let queue = &self.partition(at).queue;
        let oldest = queue.iter().copied().find(|&slot| !self.batches[slot].done);
        let Some(slot) = oldest else { return };
        if let State::Acknowledged { base_offset, append_time } = self.batches[slot].state {
            self.marks.hit(Mark::WaitingSuccessTold);
            self.deliver(slot, base_offset, append_time);
        }
    }

    /// Tells that a batch is in the log.
    pub(super) fn deliver(
        &mut self,
        slot: Slot,
        base_offset: Option<i64>,
        append_time: Option<i64>,
    ) {
        let batch = &self.batches[slot];
        if batch.done {
            return;
        }
        let partition = &self.partitions[batch.partition as usize];
        let (topic, index) = (TopicId(partition.topic), partition.index);
        let mut offset = base_offset;
        for records in runs(batch) {
            let len = i64::from(records.end - records.start);
            self.events.push_back(Event::Delivered {
                batch: batch.id,
                records,
                topic,
                partition: index,
                base_offset: offset,
                append_time,
            });
            offset = offset.map(|offset| offset.saturating_add(len));
            #[cfg(planted_bugs)]
            let offset = &mut offset;
            #[cfg(planted_bugs)]
            if self.has_bug(crate::PlantedBug::OffsetInsideBatch) {
                *offset = offset.map(|offset| offset + 1);
            }
        }
        self.stats.records_delivered += u64::from(batch.count);
        self.note_done(slot);
    }

    /// All records of a batch have failed for good. It leaves its partition's queue, or stays as
    /// the shadow of a request that is still under way.
    pub(super) fn fail(&mut self, slot: Slot, error: &ProduceError) {
        let batch = &self.batches[slot];
        if batch.done {
            return;
        }
        let persistence = self.persistence(batch);
        let ranges: Vec<_> = runs(batch).collect();
        for records in ranges {
            self.push_failed(slot, records, error.clone(), persistence);
        }
        self.stats.records_failed += u64::from(self.batches[slot].count);
        #[cfg(planted_bugs)]
        self.planted_failure(slot);
        self.note_done(slot);
    }

    /// What can be promised about a batch that fails now.
    pub(super) fn persistence(&self, batch: &Batch) -> Persistence {
        #[cfg(planted_bugs)]
        if self.has_bug(crate::PlantedBug::NotWrittenThoughSent) {
            return Persistence::NotPersisted;
        }
        if batch.ambiguous || matches!(batch.state, State::InFlight(_)) {
            Persistence::PossiblyPersisted
        } else {
            Persistence::NotPersisted
        }
    }

    pub(super) fn push_failed(
        &mut self,
        slot: Slot,
        records: Range<u32>,
        error: ProduceError,
        persistence: Persistence,
    ) {
        let batch = &self.batches[slot];
        let partition = &self.partitions[batch.partition as usize];
        self.events.push_back(Event::Failed {
            batch: batch.id,
            records,
            topic: TopicId(partition.topic),
            partition: partition.index,
            error,
            persistence,
        });
    }

    /// Every record of the batch has its outcome.
    pub(super) fn note_done(&mut self, slot: Slot) {
        let batch = &mut self.batches[slot];
        if batch.done {
            return;
        }
        batch.done = true;
        let (id, count, at) = (batch.id, batch.count, batch.partition);
        let topic = self.partition(at).topic;
        self.topics.at_mut(topic).open_batches -= 1;
        self.stats.records_outstanding -= u64::from(count);
        self.outstanding.finish(id);
        match self.batches[slot].state {
            State::InFlight(_) => self.lend(slot),
            State::Working => {
                self.lend(slot);
                self.leave_queue(slot);
            }
            _ => self.retire(slot),
        }
        self.tell_acknowledged(at);
    }

    /// Counts the memory of a finished batch as still held elsewhere.
    pub(super) fn lend(&mut self, slot: Slot) {
        let batch = &mut self.batches[slot];
        if !batch.is_lent {
            batch.is_lent = true;
            self.stats.lent_bytes += batch.charge;
        }
    }

    /// Takes a batch out of its partition's queue.
    fn leave_queue(&mut self, slot: Slot) {
        let at = self.batches[slot].partition;
        let partition = self.partition_mut(at);
        if partition.open == slot {
            partition.open = NO_SLOT;
        }
        if let Some(place) = partition.queue.iter().position(|&queued| queued == slot) {
            partition.queue.remove(place);
            self.note_queue_length(at);
        }
        if self.partition(at).queue.is_empty() {
            self.release_hold(at);
        }
    }

    /// Gives back what a finished batch holds, now that neither transport nor job has its bytes.
    pub(super) fn retire(&mut self, slot: Slot) {
        if !self.batches[slot].done {
            // An open batch whose records were all cancelled.
            return self.note_done(slot);
        }
        self.leave_queue(slot);
        let lent_to = self.lent_to.and_then(|id| self.conns.get_mut(&id));
        match lent_to {
            Some(conn) => {
                self.marks.hit(Mark::BytesLent);
                conn.lent.push(slot);
                self.lend(slot);
            }
            None => self.free(slot),
        }
    }

    /// As [`retire`](Self::retire), for a batch that is in no queue.
    pub(super) fn free(&mut self, slot: Slot) {
        let batch = self.batches.remove(slot);
        if batch.is_lent {
            self.stats.lent_bytes -= batch.charge;
        }
        self.budget.release(batch.lane, batch.charge);
        match batch.content {
            Content::Sealed(sealed) => self.pool.give(sealed.records),
            Content::Raw(raw) => self.pool.give(raw.records),
            Content::Open(builder) => self.pool.give(builder.finish().records),
            Content::Away => {}
        }
    }

    /// The error of a batch whose delivery timeout has passed.
    pub(super) fn timeout_error(&self, slot: Slot) -> ProduceError {
        let kind = ProduceErrorKind::DeliveryTimeout(self.waiting_for(&self.batches[slot]));
        self.local_error(slot, kind)
    }

    /// What keeps a batch from being delivered: what stands in its way now, or what went wrong
    /// with its last attempt.
    fn cause(&self, batch: &Batch) -> Option<Arc<str>> {
        let partition = self.partition(batch.partition);
        let obstacle = match self.waiting_for(batch) {
            Waiting::NoLeader if !partition.error.is_none() => {
                Some(format!("metadata says {}", partition.error).into())
            }
            Waiting::NoLeader => self.trouble.clone(),
            Waiting::Connecting => self.nodes[partition.leader].trouble.clone(),
            Waiting::ProducerId => self.ids.trouble.clone().or_else(|| self.trouble.clone()),
            Waiting::Queued => self.throttling(partition.leader),
            Waiting::InFlight => None,
        };
        obstacle.or_else(|| describe(&batch.last_error))
    }

    fn throttling(&self, node: NodeIndex) -> Option<Arc<str>> {
        let node = &self.nodes[node];
        let is_throttled = node.throttled_until > self.now;
        is_throttled.then(|| format!("{} throttles this client", node.describe()).into())
    }

    fn waiting_for(&self, batch: &Batch) -> Waiting {
        if matches!(batch.state, State::InFlight(_)) {
            return Waiting::InFlight;
        }
        let leader = self.partition(batch.partition).leader;
        if leader == NO_NODE || !self.nodes[leader].is_listed {
            return Waiting::NoLeader;
        }
        if !self.nodes[leader].is_up {
            return Waiting::Connecting;
        }
        if self.settings.idempotence && self.ids.current().is_none() {
            return Waiting::ProducerId;
        }
        Waiting::Queued
    }

    /// The error of a batch that a broker refused, or that used up its retries.
    pub(super) fn broker_error(&self, slot: Slot, error: &LastError) -> ProduceError {
        ProduceError::new(ProduceErrorKind::Kafka(error.code), self.batches[slot].attempts)
            .with_message(error.message.clone())
    }

    /// Fails batches by a local decision.
    pub(super) fn local_error(&self, slot: Slot, kind: ProduceErrorKind) -> ProduceError {
        let batch = &self.batches[slot];
        ProduceError::new(kind, batch.attempts).with_cause(self.cause(batch))
    }

    /// Fails every batch of `slots` that is not done. One that is in the log is told, like any
    /// success, after the older ones.
    pub(super) fn fail_all(
        &mut self,
        slots: Vec<Slot>,
        error: impl Fn(&Self, Slot) -> ProduceError,
    ) {
        for slot in slots {
            if self.batches.find(slot).is_none_or(Batch::has_ended) {
                continue;
            }
            let at = self.batches[slot].partition;
            let error = error(self, slot);
            if !matches!(self.batches[slot].state, State::InFlight(_)) {
                self.give_up_stamp(slot);
            }
            self.fail(slot, &error);
            self.resolve_gap(at);
            self.mark_ready(at);
        }
    }

    /// Batches without an outcome, oldest partition first.
    pub(super) fn unfinished(&self) -> Vec<Slot> {
        self.partitions.iter().flat_map(|partition| partition.queue.iter().copied()).collect()
    }
}

/// The append indexes of a batch's records, as contiguous runs round the cancelled ones.
pub(super) fn runs(batch: &Batch) -> impl Iterator<Item = Range<u32>> {
    let mut next = batch.first;
    let mut left = batch.count;
    let holes = batch.cancelled().iter().copied();
    let mut holes = holes.filter(move |&hole| hole >= batch.first).peekable();
    std::iter::from_fn(move || {
        while holes.next_if_eq(&next).is_some() {
            next += 1;
        }
        if left == 0 {
            return None;
        }
        let end = holes.peek().map_or(next + left, |&hole| hole.min(next + left));
        let run = next..end;
        left -= end - next;
        next = end;
        Some(run)
    })
}

fn describe(error: &LastError) -> Option<Arc<str>> {
    if error.code.is_none() {
        return None;
    }
    Some(match &error.message {
        Some(message) => format!("{}: {message}", error.code).into(),
        None => error.code.to_string().into(),
    })
}
