//! What becomes of batches when their request is answered or lost.

use std::sync::Arc;

use crate::backoff::exponential;
use crate::batches::{Batch, LastError, State};
use crate::conn::{InFlight, Request};
use crate::error::{ProduceError, ProduceErrorKind};
use crate::event::Event;
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::outstanding::Slot;
use crate::rng::Stream;
use crate::topics::PartitionIndex;
use crate::verdict::{Verdict, verdict};
use crate::wire::{DecodeError, ProducePartition, ProduceResponse, TopicRef};
use crate::{ConnectionId, ErrorCode, TopicId};

use super::Producer;

/// A slot that has been answered already.
const ANSWERED: Slot = Slot::MAX;

/// One partition's part of an answer, in terms of our own tables.
struct Answer<'a> {
    partition: &'a ProducePartition,
    response: &'a ProduceResponse,
    body: &'a [u8],
}

impl Answer<'_> {
    fn error(&self) -> LastError {
        let message = self.partition.error_message.map(|span| span.text_lossy(self.body).into());
        LastError { code: ErrorCode(self.partition.error), message }
    }

    /// -1 and what could not be an offset mean that it is not known.
    fn base_offset(&self, count: u32) -> Option<i64> {
        let base = self.partition.base_offset;
        (base >= 0 && base.checked_add(i64::from(count)).is_some()).then_some(base)
    }

    fn append_time(&self) -> Option<i64> {
        let time = self.partition.log_append_time;
        (time >= 0).then_some(time)
    }
}

impl Producer {
    /// Reads the answer to a Produce request. An error means that the connection is of no use
    /// any more; the request is then still to be counted as lost.
    pub(super) fn on_produce_response(
        &mut self,
        id: ConnectionId,
        node: NodeIndex,
        request: &mut InFlight,
        body: &[u8],
    ) -> Result<(), DecodeError> {
        let mut response = std::mem::take(&mut self.scratch.response);
        let decoded = response.decode_into(body, request.version);
        if decoded.is_ok() {
            let Request::Produce { batches, .. } = &mut request.kind else { return Ok(()) };
            let batches = std::mem::take(batches);
            self.apply_answers(node, batches, &response, body);
            self.note_throttle(id, node, request, response.throttle_ms);
        }
        self.scratch.response = response;
        decoded
    }

    fn apply_answers(
        &mut self,
        node: NodeIndex,
        mut batches: Vec<(PartitionIndex, Slot)>,
        response: &ProduceResponse,
        body: &[u8],
    ) {
        for partition in &response.partitions {
            let Some(at) = self.answered_partition(partition, body) else {
                self.marks.hit(Mark::AnswerForeign);
                self.stats.bad_metadata_entries += 1;
                continue;
            };
            let found = batches.binary_search_by_key(&at, |&(at, _)| at);
            #[cfg(planted_bugs)]
            let (found, at) = self.planted_place(found, at, &batches, response, partition);
            let Some(place) = found.ok().filter(|&place| batches[place].1 != ANSWERED) else {
                self.marks.hit(Mark::AnswerForeign);
                self.stats.bad_metadata_entries += 1;
                continue;
            };
            let slot = std::mem::replace(&mut batches[place].1, ANSWERED);
            let answer = Answer { partition, response, body };
            self.on_answer(node, at, slot, &answer);
        }
        for &(at, slot) in &batches {
            if slot != ANSWERED {
                self.marks.hit(Mark::AnswerIncomplete);
                let message = "the answer to the request left this partition out".into();
                let error =
                    LastError { code: ErrorCode::NETWORK_EXCEPTION, message: Some(message) };
                self.on_lost(at, slot, error);
            }
        }
        self.recycle(batches);
    }

    fn recycle(&mut self, mut batches: Vec<(PartitionIndex, Slot)>) {
        batches.clear();
        self.scratch.request_batches.push(batches);
    }

    fn answered_partition(
        &self,
        partition: &ProducePartition,
        body: &[u8],
    ) -> Option<PartitionIndex> {
        let topic = match partition.topic {
            TopicRef::Name(name) => {
                self.topics.by_name(std::str::from_utf8(name.bytes(body)).ok()?)?
            }
            TopicRef::Id(uuid) => self.topics.by_uuid(uuid)?,
        };
        let index = usize::try_from(partition.index).ok()?;
        self.topics.at(topic).partitions.get(index).copied()
    }

    /// All batches of a request that got no answer.
    pub(super) fn on_request_lost(
        &mut self,
        batches: Vec<(PartitionIndex, Slot)>,
        error: &LastError,
    ) {
        for &(at, slot) in &batches {
            self.on_lost(at, slot, error.clone());
        }
        self.recycle(batches);
    }

    /// A request that has no answer was written to its end (acks 0).
    pub(super) fn on_request_written(&mut self, batches: Vec<(PartitionIndex, Slot)>) {
        for &(at, slot) in &batches {
            self.take_back(at, slot);
            if self.batches[slot].done {
                self.retire(slot);
            } else {
                self.deliver(slot, None, None);
            }
            self.mark_ready(at);
        }
        self.recycle(batches);
    }

    /// A batch is not in flight any more.
    fn take_back(&mut self, at: PartitionIndex, slot: Slot) {
        self.partition_mut(at).in_flight -= 1;
        self.batches[slot].state = State::Queued;
    }

    fn on_lost(&mut self, at: PartitionIndex, slot: Slot, error: LastError) {
        self.take_back(at, slot);
        self.batches[slot].ambiguous = true;
        self.batches[slot].lost = true;
        self.marks.hit(Mark::AnswerLost);
        if self.batches[slot].done {
            self.marks.hit(Mark::LostAfterExpiry);
            self.give_up_stamp(slot);
            self.retire(slot);
        } else {
            self.metadata.request();
            self.retry(at, slot, error);
        }
        self.resolve_gap(at);
        self.mark_ready(at);
    }

    fn on_answer(&mut self, node: NodeIndex, at: PartitionIndex, slot: Slot, answer: &Answer<'_>) {
        self.take_back(at, slot);
        let code = ErrorCode(answer.partition.error);
        self.learn_leader(node, at, answer);
        let verdict = verdict(code, self.settings.idempotence);
        if !matches!(verdict, Verdict::Delivered | Verdict::DeliveredSomewhere) {
            let batch = &mut self.batches[slot];
            batch.ambiguous |= !code.refuses_append();
            if !code.refuses_append() {
                self.marks.hit(Mark::ErrorInDoubt);
            }
        }
        if self.batches[slot].done {
            self.settle_expired(at, slot, verdict, answer);
        } else {
            self.follow(verdict, at, slot, answer);
        }
        self.resolve_gap(at);
        self.mark_ready(at);
    }

    /// The answer for a batch whose records have long been told that they expired.
    fn settle_expired(
        &mut self,
        at: PartitionIndex,
        slot: Slot,
        verdict: Verdict,
        answer: &Answer<'_>,
    ) {
        match verdict {
            Verdict::Delivered | Verdict::DeliveredSomewhere => {
                let base = answer.base_offset(self.batches[slot].count);
                self.note_acknowledged(at, slot, base);
                self.marks.hit(Mark::LateSuccess);
            }
            _ => {
                self.marks.hit(Mark::LateRefusal);
                self.give_up_stamp(slot);
            }
        }
        self.retire(slot);
    }

    fn follow(&mut self, verdict: Verdict, at: PartitionIndex, slot: Slot, answer: &Answer<'_>) {
        match verdict {
            Verdict::Delivered => {
                let base = answer.base_offset(self.batches[slot].count);
                self.note_acknowledged(at, slot, base);
                self.succeed(at, slot, base, answer.append_time());
            }
            Verdict::DeliveredSomewhere => {
                self.marks.hit(Mark::Duplicate);
                self.note_acknowledged(at, slot, None);
                self.succeed(at, slot, None, None);
            }
            Verdict::Retry => self.retry(at, slot, answer.error()),
            Verdict::OutOfOrder => {
                self.batches[slot].refused_in_sequence = true;
                if self.has_older_stamp(at, slot) {
                    self.marks.hit(Mark::OutOfOrderBehindOlder);
                } else {
                    self.marks.hit(Mark::GapFound);
                    self.note_gap(at);
                }
                self.retry(at, slot, answer.error());
            }
            Verdict::UnknownProducer => {
                self.marks.hit(Mark::UnknownProducer);
                if answer.partition.log_start_offset >= 0 {
                    self.batches[slot].refused_in_sequence = true;
                    self.note_gap(at);
                }
                self.retry(at, slot, answer.error());
            }
            Verdict::Split => self.split_or_fail(at, slot, answer),
            Verdict::Fail => self.refuse(at, slot, answer),
            Verdict::FailAndBump => {
                self.marks.hit(Mark::EpochRefused);
                self.refuse(at, slot, answer);
                self.partition_mut(at).sequence.stale = true;
            }
            Verdict::Fatal => {
                self.refuse(at, slot, answer);
                let error = answer.error();
                let message = error.message.unwrap_or_else(|| error.code.description().into());
                self.become_fatal(error.code, message);
            }
        }
    }

    fn split_or_fail(&mut self, at: PartitionIndex, slot: Slot, answer: &Answer<'_>) {
        let batch = &self.batches[slot];
        // What may be in the log already must not be cut up and sent again.
        if batch.count == 1 || batch.ambiguous || self.fatal.is_some() {
            let is_one = batch.count == 1;
            self.marks.hit(if is_one { Mark::SplitOfOne } else { Mark::SplitInDoubt });
            return self.refuse(at, slot, answer);
        }
        self.stats.batches_split += 1;
        self.marks.hit(Mark::Split);
        self.stats.errors_retriable += 1;
        self.batches[slot].last_error = answer.error();
        self.start_split(slot);
    }

    /// A final error: each record gets its own where the broker names it (KIP-467).
    fn refuse(&mut self, at: PartitionIndex, slot: Slot, answer: &Answer<'_>) {
        self.stats.errors_final += 1;
        self.give_up_stamp(slot);
        let error = answer.error();
        let named = answer.response.record_errors_of(answer.partition);
        if named.is_empty() {
            let error = self.broker_error(slot, &error);
            return self.fail(slot, &error);
        }
        self.fail_each(slot, &error, answer);
        debug_assert!(self.partition(at).queue.iter().all(|&queued| queued != slot));
    }

    fn fail_each(&mut self, slot: Slot, error: &LastError, answer: &Answer<'_>) {
        let batch = &self.batches[slot];
        let (count, attempts) = (batch.count, batch.attempts);
        let persistence = self.persistence(batch);
        let named = answer.response.record_errors_of(answer.partition);
        // Several refused records may be so for several reasons: the batch's code is one of them.
        let code = if named.len() == 1 { error.code } else { ErrorCode::INVALID_RECORD };
        let mut messages: Vec<Option<Option<Arc<str>>>> = vec![None; count as usize];
        for record in named {
            let place = usize::try_from(record.batch_index).ok().filter(|&i| i < messages.len());
            if let Some(place) = place {
                let text = record.message.map(|span| span.text_lossy(answer.body).into());
                messages[place] = Some(text.or_else(|| error.message.clone()));
            }
        }
        if messages.iter().all(Option::is_none) {
            let error = self.broker_error(slot, error);
            return self.fail(slot, &error);
        }
        self.marks.hit(Mark::RecordsNamed);
        let indexes = append_indexes(&self.batches[slot]);
        for (index, named) in indexes.into_iter().zip(messages) {
            let (code, message) = match named {
                Some(message) => (code, message),
                None => {
                    let others = "another record in the batch was invalid";
                    (ErrorCode::INVALID_RECORD, Some(others.into()))
                }
            };
            let error =
                ProduceError::new(ProduceErrorKind::Kafka(code), attempts).with_message(message);
            self.push_failed(slot, index..index + 1, error, persistence);
        }
        self.stats.records_failed += u64::from(count);
        self.note_done(slot);
    }

    /// Puts a batch back to be handed out again after a backoff, or fails it when it has had its
    /// share of attempts.
    fn retry(&mut self, at: PartitionIndex, slot: Slot, error: LastError) {
        let batch = &self.batches[slot];
        let retries = batch.attempts.saturating_sub(1);
        if retries >= self.settings.retries || self.fatal.is_some() {
            self.marks.hit(Mark::RetriesExhausted);
            self.stats.errors_final += 1;
            self.give_up_stamp(slot);
            let error = self.broker_error(slot, &error);
            return self.fail(slot, &error);
        }
        self.stats.errors_retriable += 1;
        if error.code.needs_metadata_refresh() {
            self.metadata.request();
        }
        let has_newer_leader = self.partition(at).leader_epoch > batch.attempt_epoch;
        let key = batch.id.0.wrapping_mul(64).wrapping_add(u64::from(batch.first));
        let draw = self.rng.draw(Stream::RetryJitter, key, u64::from(batch.attempts));
        let backoff = exponential(
            self.settings.retry_backoff,
            self.settings.retry_backoff_max,
            retries,
            draw,
        );
        self.note_retry(slot, &error);
        self.batches[slot].last_error = error;
        #[cfg(planted_bugs)]
        self.planted_retry(at, slot);
        if self.partition(at).queue.front() != Some(&slot) {
            self.marks.hit(Mark::RetriedBehindOlder);
        }
        if has_newer_leader {
            self.marks.hit(Mark::RetriedAtNewLeader);
        } else {
            // The partition waits for the last of those that came back: this one may be next.
            self.hold_back(at, self.partition(at).retry_at.max(self.now + backoff));
        }
    }

    fn note_retry(&mut self, slot: Slot, error: &LastError) {
        let batch = &self.batches[slot];
        self.stats.records_retried += u64::from(batch.count);
        let partition = self.partition(batch.partition);
        let (topic, index) = (partition.topic, partition.index);
        let name = &self.topics.at(topic).name;
        let text = error.message.as_deref().unwrap_or(error.code.description());
        let cause = format!("{name}-{index}: {}: {text}", error.code).into();
        self.events.push_back(Event::Retrying {
            batch: batch.id,
            topic: TopicId(topic),
            partition: index,
            attempts: batch.attempts,
            cause,
        });
    }

    /// What an answer says about the leader (KIP-951), and that the node that was asked is not it.
    fn learn_leader(&mut self, node: NodeIndex, at: PartitionIndex, answer: &Answer<'_>) {
        let code = ErrorCode(answer.partition.error);
        if code != ErrorCode::NOT_LEADER_OR_FOLLOWER && code != ErrorCode::FENCED_LEADER_EPOCH {
            return;
        }
        let (leader, epoch) = (answer.partition.leader_id, answer.partition.leader_epoch);
        let endpoints = &answer.response.node_endpoints;
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == leader);
        if self.take_leader_hint(at, leader, epoch, endpoint) {
            return;
        }
        let is_refused = code == ErrorCode::NOT_LEADER_OR_FOLLOWER;
        if is_refused && self.partition(at).leader == node {
            self.marks.hit(Mark::LeaderUnknown);
            // Nothing goes there again before somebody says that it leads after all.
            self.set_leader(at, crate::partition::NO_NODE);
        }
    }

    /// Fails what a node's ready partitions would send next: its broker cannot take it at all.
    pub(super) fn refuse_ready(&mut self, node: NodeIndex, code: ErrorCode, why: &str) {
        let message: Arc<str> = format!("{}: {why}", self.nodes[node].describe()).into();
        while let Some(at) = self.nodes[node].ready.pop_front() {
            self.marks.hit(Mark::ProduceRefused);
            self.partition_mut(at).is_ready = false;
            let slots: Vec<_> = self.partition(at).queue.iter().copied().collect();
            let error = LastError { code, message: Some(message.clone()) };
            self.fail_all(slots, |producer, slot| producer.broker_error(slot, &error));
        }
    }

    /// Fails a batch whose codec its leader does not know.
    pub(super) fn refuse_codec(&mut self, slot: Slot) {
        self.marks.hit(Mark::CodecRefused);
        let node = self.partition(self.batches[slot].partition).leader;
        let message = format!(
            "{} does not know compression.type = zstd, which needs Produce 7 (Kafka 2.1)",
            self.nodes[node].describe()
        );
        let code = ErrorCode::UNSUPPORTED_COMPRESSION_TYPE;
        let error = LastError { code, message: Some(message.into()) };
        self.fail_all(vec![slot], |producer, slot| producer.broker_error(slot, &error));
    }
}

/// The append index of each record of a batch, in order.
pub(super) fn append_indexes(batch: &Batch) -> Vec<u32> {
    super::outcome::runs(batch).flatten().collect()
}
