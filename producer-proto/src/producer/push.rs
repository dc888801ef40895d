//! From a record to a place in an open batch.

use crate::Record;
use crate::batch::{BatchBuilder, HEADER_LEN, Payload, RecordLimit};
use crate::batches::{Batch, Content, LastError, State};
use crate::budget::{LaneIndex, NO_LEADER};
use crate::config::PartitionerKind;
use crate::error::PushError;
use crate::event::Receipt;
use crate::marks::Mark;
use crate::partition::NO_NODE;
use crate::partitioner::{self, Spread};
use crate::topics::{PartitionIndex, TopicState};

use super::{Deadline, Phase, Producer};

/// First buffer of a partition that has not shown yet how much it gets.
const FIRST_BUFFER: usize = 256;

/// How far above `batch.size` the uncompressed bytes of a batch may go when they compress well.
const RAW_CAP_FACTOR: usize = 8;

/// A record in its place.
pub(super) struct Appended {
    pub(super) receipt: Receipt,
    /// By how much its batch has grown, estimated after compression; header of a new one included.
    pub(super) grown: usize,
}

impl Producer {
    /// Any record, by the long way.
    #[inline(never)]
    pub(super) fn push_any(&mut self, record: &Record<'_>) -> Result<Receipt, PushError> {
        self.is_settled = false;
        let result = self.push_record(record);
        if let Err(error) = &result {
            self.note_refusal(error);
        }
        result
    }

    fn push_record(&mut self, record: &Record<'_>) -> Result<Receipt, PushError> {
        self.check_open()?;
        let payload =
            Payload::measure(record.key, record.value, record.headers).map_err(format_error)?;
        self.check_size(&payload)?;
        let now = self.now;
        let Some(topic) = self.topics.get_mut(record.topic) else {
            return Err(PushError::UnknownTopicId(record.topic.0));
        };
        if let Some(partition @ ..0) = record.partition {
            // No metadata will make it right.
            return Err(PushError::InvalidPartition { partition, count: topic.count });
        }
        topic.last_used = now;
        if topic.state != TopicState::Ready {
            self.want_topic(record.topic.0);
            return Err(PushError::TopicNotReady);
        }
        let topic = record.topic.0;
        if let Some(partition) = self.fixed_partition(record)? {
            let at = self.topics.at(topic).partitions[partition as usize];
            let appended = self.append(at, record.timestamp, &payload);
            return match appended {
                Ok(appended) => Ok(appended.receipt),
                Err(lane) => Err(self.full(lane)),
            };
        }
        self.push_sticky(topic, record.timestamp, &payload)
    }

    /// Keeps the books about a record that was not taken, and does what may get it in later.
    fn note_refusal(&mut self, error: &PushError) {
        match error {
            PushError::Full { .. } => {
                self.stats.pushes_refused_full += 1;
                // Once per shortage: who tries again and again must not end every linger.
                if self.budget.take_newly_starved() {
                    self.marks.hit(Mark::Starved);
                    self.hurry_everything();
                }
                self.settle();
            }
            PushError::TopicNotReady => {
                self.stats.pushes_refused_not_ready += 1;
                self.settle();
            }
            _ => {}
        }
    }

    fn check_open(&self) -> Result<(), PushError> {
        if let Some(fatal) = &self.fatal {
            return Err(PushError::Fatal(fatal.clone()));
        }
        if self.phase == Phase::Open { Ok(()) } else { Err(PushError::Closed) }
    }

    fn check_size(&self, payload: &Payload<'_>) -> Result<(), PushError> {
        let size = payload.size_upper_bound();
        let limits = [
            (self.settings.max_request_size, "max.request.size"),
            (self.settings.buffer_memory, "buffer.memory"),
        ];
        match limits.into_iter().find(|&(limit, _)| size > limit) {
            Some((limit, setting)) => Err(PushError::TooLarge { size, limit, setting }),
            None => Ok(()),
        }
    }

    /// A record that is not longer is not [`TooLarge`](PushError::TooLarge), whatever it holds.
    fn record_limit(&self) -> usize {
        let limit = self.settings.max_request_size.min(self.settings.buffer_memory);
        limit.saturating_sub(Payload::MAX_OVERHEAD)
    }

    pub(super) fn full(&self, lane: LaneIndex) -> PushError {
        PushError::Full { lane: self.public_lane(lane) }
    }

    /// The partition of a record whose choice does not depend on load: named by the record, given
    /// by the user's partitioner, or by the key. `None`: any will do.
    #[inline]
    fn fixed_partition(&mut self, record: &Record<'_>) -> Result<Option<i32>, PushError> {
        let count = self.topics.at(record.topic.0).count;
        if let Some(partition) = record.partition {
            if partition >= count {
                // It may have been added since.
                self.marks.hit(Mark::PartitionUnknown);
                self.topics.at_mut(record.topic.0).asked_beyond = Some(self.metadata.attempts);
                self.metadata.request();
                return Err(PushError::TopicNotReady);
            }
            return Ok(Some(partition));
        }
        if self.partitioner.is_some() {
            return self.ask_partitioner(record);
        }
        let kind = self.settings.partitioner;
        if kind == PartitionerKind::RoundRobin {
            return Ok(Some(self.next_in_turn(record.topic.0)));
        }
        let ignore_keys = self.settings.partitioner_ignore_keys;
        let key = record.key.filter(|_| !ignore_keys);
        Ok(key.and_then(|key| kind.partition_for_key(key, count)))
    }

    fn ask_partitioner(&mut self, record: &Record<'_>) -> Result<Option<i32>, PushError> {
        let Some(mut partitioner) = self.partitioner.take() else { return Ok(None) };
        let topic = self.topics.at(record.topic.0);
        let available = |partition: i32| {
            let at = usize::try_from(partition).ok().and_then(|i| topic.partitions.get(i));
            at.is_some_and(|&at| self.usable_leader(at).is_some())
        };
        let result = partitioner::ask(
            &mut *partitioner,
            &topic.name,
            record.key,
            record.value,
            topic.count,
            &available,
        );
        self.partitioner = Some(partitioner);
        result.map(Some).map_err(PushError::Partitioner)
    }

    /// Appends to the open batch of a partition, or to a new one. Fails with the lane that has no
    /// room; then nothing has changed but that a full batch may have been closed.
    #[inline]
    pub(super) fn append(
        &mut self,
        at: PartitionIndex,
        timestamp: i64,
        payload: &Payload<'_>,
    ) -> Result<Appended, LaneIndex> {
        if let Some(appended) = self.append_to_open(at, timestamp, payload)? {
            return Ok(appended);
        }
        self.complete_open(at);
        self.open_batch(at, payload)?;
        let appended = self.append_to_open(at, timestamp, payload)?;
        Ok(appended.expect("a new batch takes its first record"))
    }

    /// The open batch of a partition, if there is one, has no room for the next record.
    pub(super) fn complete_open(&mut self, at: PartitionIndex) {
        if self.open_slot(at).is_some() {
            self.close_open_batch(at);
            self.mark_ready(at);
        }
    }

    #[inline]
    pub(super) fn append_to_open(
        &mut self,
        at: PartitionIndex,
        timestamp: i64,
        payload: &Payload<'_>,
    ) -> Result<Option<Appended>, LaneIndex> {
        let record_limit = self.record_limit();
        let partition = &self.partitions[at as usize];
        let Some(&slot) = partition.queue.back() else { return Ok(None) };
        let batch = &mut self.batches[slot];
        let Content::Open(builder) = &mut batch.content else { return Ok(None) };
        let ratio = &self.topics.at(partition.topic).ratio;
        let size = builder.encoded_len(timestamp, payload);
        let batch_size = self.settings.batch_size;
        let raw_cap = batch_size.saturating_mul(RAW_CAP_FACTOR);
        let before = ratio.estimate(builder.len());
        if !builder.has_room(size, ratio, batch_size, raw_cap) {
            return Ok(None);
        }
        let growth = builder.capacity_after(size) - builder.capacity();
        if growth > 0 {
            // As with a new buffer: no room for a generous one starves nobody.
            let is_generous = self.budget.has_room(batch.lane, growth);
            let growth = if is_generous { growth } else { builder.shortage(size) };
            if !self.budget.try_charge(batch.lane, growth) {
                return Err(batch.lane);
            }
            batch.charge += growth;
            builder.grow(growth);
        }
        let index = builder.append(timestamp, payload);
        batch.count += 1;
        #[cfg(planted_bugs)]
        if self.planted == Some(crate::PlantedBug::LingerFromLast) && batch.due > self.now {
            batch.due = self.now + self.settings.linger;
        }
        let receipt = Receipt { batch: batch.id, index };
        let after = ratio.estimate(builder.len());
        let is_full = after >= batch_size || HEADER_LEN + builder.len() >= raw_cap;
        let grown = if index == 0 { after } else { after - before };
        self.stats.records_pushed += 1;
        self.stats.records_outstanding += 1;
        self.stats.bytes_pushed += size as u64;
        if is_full {
            self.close_open_batch(at);
            self.mark_ready(at);
        } else {
            builder.make_room(ratio, batch_size, raw_cap, record_limit, size);
            if index == 0 && self.batches[slot].due <= self.now {
                self.mark_ready(at);
            }
        }
        Ok(Some(Appended { receipt, grown }))
    }

    fn open_batch(&mut self, at: PartitionIndex, payload: &Payload<'_>) -> Result<(), LaneIndex> {
        let lane = self.lane_of(at);
        let builder = self.charged_builder(at, lane, payload)?;
        let due = if self.is_hurried(lane) { self.now } else { self.now + self.settings.linger };
        let slot = self.batches.next_slot();
        let id = self.outstanding.open(slot);
        let charge = builder.capacity() + HEADER_LEN;
        self.batches.insert(Batch {
            id,
            partition: at,
            state: State::Open,
            content: Content::Open(builder),
            first: 0,
            count: 0,
            holes: Box::default(),
            created: self.now,
            due,
            stamp: None,
            attempts: 0,
            attempt_epoch: -1,
            ambiguous: false,
            lost: false,
            refused_in_sequence: false,
            done: false,
            is_lent: false,
            awaited: 0,
            charge,
            lane,
            last_error: LastError::default(),
        });
        let topic = self.partition(at).topic;
        self.topics.at_mut(topic).open_batches += 1;
        let partition = self.partition_mut(at);
        partition.queue.push_back(slot);
        partition.open = slot;
        self.note_queue_length(at);
        if due > self.now {
            self.lingering.push_back(Deadline { at: due, partition: at, batch: id });
        }
        let expires = self.now + self.settings.delivery_timeout;
        if self.expiring.len() == self.expiring.capacity() {
            self.thin_deadlines();
        }
        self.expiring.push_back(Deadline { at: expires, partition: at, batch: id });
        self.stats.batches_outstanding += 1;
        self.stats.buffered_bytes = self.budget.used();
        Ok(())
    }

    /// A buffer for a new batch that is paid for: of the size the partition usually needs, or just
    /// large enough where that does not fit.
    fn charged_builder(
        &mut self,
        at: PartitionIndex,
        lane: LaneIndex,
        payload: &Payload<'_>,
    ) -> Result<BatchBuilder, LaneIndex> {
        let needed = payload.size_upper_bound() - HEADER_LEN;
        let usual = self.likely_size(at);
        let buffer = self.pool.take(usual.max(needed));
        let builder = BatchBuilder::new(buffer, self.full_size(at));
        let charge = builder.capacity() + HEADER_LEN;
        // Having no room for a generous buffer starves nobody.
        if self.budget.has_room(lane, charge) {
            self.budget.charge(lane, charge);
            return Ok(builder);
        }
        self.pool.give(builder.finish().records);
        let builder = BatchBuilder::new(vec![0; needed], self.full_size(at));
        if self.budget.try_charge(lane, builder.capacity() + HEADER_LEN) {
            return Ok(builder);
        }
        Err(lane)
    }

    /// How many bytes of records a full batch of a partition has, before compression.
    fn full_size(&self, at: PartitionIndex) -> usize {
        let batch_size = self.settings.batch_size;
        let ratio = &self.topics.at(self.partition(at).topic).ratio;
        let raw_cap = batch_size.saturating_mul(RAW_CAP_FACTOR);
        ratio.raw_len_within(batch_size).clamp(batch_size, raw_cap)
    }

    /// How many bytes the next batch of a partition is likely to take.
    fn likely_size(&self, at: PartitionIndex) -> usize {
        let partition = self.partition(at);
        if partition.usual_size > 0 {
            return partition.usual_size as usize;
        }
        let topic = self.topics.at(partition.topic);
        match &topic.spread {
            // The topic's records fill one partition after the other.
            Some(Spread::Sticky(sticky)) if sticky.current() == Some(partition.index) => {
                FIRST_BUFFER.max(topic.last_size as usize)
            }
            _ => FIRST_BUFFER,
        }
    }

    fn lane_of(&self, at: PartitionIndex) -> LaneIndex {
        match self.partition(at).leader {
            NO_NODE => NO_LEADER,
            node => node,
        }
    }

    /// Whether batches of this lane do not linger: somebody waits for memory, or for the end.
    fn is_hurried(&self, lane: LaneIndex) -> bool {
        self.settings.linger.is_zero()
            || self.budget.is_starved(lane)
            || self.phase == Phase::Closing
    }
}

fn format_error(error: RecordLimit) -> PushError {
    PushError::Format { what: error.part.to_string(), size: error.len, limit: error.limit }
}
