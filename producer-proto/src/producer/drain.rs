//! From ready partitions to the bytes of a request.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::batch::{Format, HEADER_LEN, encode_header};
use crate::batches::{Content, State};
use crate::conn::Request;
use crate::io::Transmit;
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::outstanding::Slot;
use crate::topics::PartitionIndex;
use crate::wire::{
    ApiKey, PARTITION_OVERHEAD, ProduceRequestWriter, TOPIC_IDS_FROM, request_overhead,
    topic_overhead,
};
use crate::{ConnectionId, ErrorCode};

use super::{Producer, Taken};

/// First Produce version whose batches have a place for a producer id (KIP-98).
const STAMPS_FROM: i16 = 3;

/// Scaffold of one partition in a request: header of the batch and framing, roughly.
const SCAFFOLD_PER_BATCH: usize = HEADER_LEN + 16;

/// Up to here, to copy a body into the scaffold costs less than to share it: two counts of
/// references, and two more pieces for the system to gather.
const SMALL_BODY: usize = 1024;

impl Producer {
    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        while let Some(node) = self.dirty.pop_front() {
            self.nodes[node].is_dirty = false;
            if let Some(transmit) = self.transmit_to(node) {
                return Some(transmit);
            }
        }
        None
    }

    /// The next request to a node, if its connection can take one now. Whatever stands in the way
    /// wakes the node when it is gone.
    fn transmit_to(&mut self, node: NodeIndex) -> Option<Transmit> {
        let id = self.nodes[node].conn?;
        let conn = self.conns.get_mut(&id)?;
        if !conn.is_write_idle() {
            return None;
        }
        let throttled = self.nodes[node].throttled_until > self.now;
        if throttled && conn.is_ready() {
            return None;
        }
        if let Some(outgoing) = conn.outbox.pop_front() {
            let api = outgoing.kind.api();
            let len = outgoing.bytes.len();
            let (correlation, version) = (outgoing.correlation, outgoing.version);
            conn.sent(self.now, len, correlation, version, outgoing.kind);
            if api == ApiKey::Metadata {
                self.stats.metadata_requests += 1;
            }
            let transmit = Transmit::new(id, outgoing.bytes, VecDeque::new());
            return Some(self.hand_out(transmit, correlation, len));
        }
        let limit = self.settings.max_in_flight_requests_per_connection;
        if !conn.is_ready() || conn.in_flight.len() >= limit {
            return None;
        }
        self.produce_to(node, id)
    }

    fn hand_out(&mut self, transmit: Transmit, correlation: i32, len: usize) -> Transmit {
        self.stats.requests_sent += 1;
        self.stats.requests_in_flight += 1;
        self.stats.bytes_out += len as u64;
        self.expect_answer(transmit.conn(), correlation);
        transmit
    }

    /// A Produce request with one batch of each ready partition, in fair rotation, up to
    /// `max.request.size`.
    fn produce_to(&mut self, node: NodeIndex, id: ConnectionId) -> Option<Transmit> {
        if self.nodes[node].ready.is_empty() {
            self.note_able(node);
            return None;
        }
        if self.settings.idempotence && self.ids.current().is_none() {
            // The arrival of the id wakes all nodes.
            return None;
        }
        let idempotence = self.settings.idempotence;
        let floor = if idempotence { STAMPS_FROM } else { 0 };
        let version = match self.conns.get(&id)?.versions.pick_from(ApiKey::Produce, floor) {
            Ok(version) => version,
            Err(unsupported) => {
                let hint =
                    if idempotence { "; enable.idempotence=false does with less" } else { "" };
                let why = format!("{unsupported}{hint}");
                self.refuse_ready(node, ErrorCode::UNSUPPORTED_VERSION, &why);
                return None;
            }
        };
        if self.conns.get(&id)?.in_flight.is_empty() {
            self.take_along(node);
        }
        let mut taken = std::mem::take(&mut self.scratch.taken);
        taken.clear();
        self.take_batches(node, version, &mut taken);
        let transmit = if taken.is_empty() {
            None
        } else {
            if taken.len() > 1 {
                taken.sort_unstable();
            }
            self.note_able(node);
            self.produce_request(node, id, version, &taken)
        };
        self.scratch.taken = taken;
        transmit
    }

    /// Chooses batches, gives them their stamps and marks them as handed out.
    fn take_batches(&mut self, node: NodeIndex, version: i16, taken: &mut Vec<Taken>) {
        let conn = self.nodes[node].conn;
        let mut size = request_overhead(&self.settings.client_id);
        for _ in 0..self.nodes[node].ready.len() {
            let Some(at) = self.nodes[node].ready.pop_front() else { break };
            self.partition_mut(at).is_ready = false;
            if self.partition(at).leader != node {
                self.mark_ready(at);
                continue;
            }
            let Some(slot) = self.prepare_next(at, version) else { continue };
            let Content::Sealed(sealed) = &self.batches[slot].content else { continue };
            let mut len = sealed.encoded_len() + PARTITION_OVERHEAD;
            let topic = self.partition(at).topic;
            if taken.last().is_none_or(|last| last.topic != topic) {
                len += topic_overhead(&self.topics.at(topic).name);
            }
            if !taken.is_empty() && size + len > self.settings.max_request_size {
                self.partition_mut(at).is_ready = true;
                self.nodes[node].ready.push_front(at);
                #[cfg(planted_bugs)]
                self.planted_full_request(node);
                break;
            }
            if !self.stamp(at, slot) {
                if self.ids.current().is_none() {
                    // The arrival of the id wakes the node.
                    self.partition_mut(at).is_ready = true;
                    self.nodes[node].ready.push_back(at);
                }
                continue;
            }
            size += len;
            let Some(conn) = conn else { break };
            self.note_handed_out(at, slot, conn);
            let index = self.partition(at).index;
            taken.push(Taken { topic, index, partition: at, slot });
            self.mark_ready(at);
        }
    }

    /// The batch that a partition sends next, sealed in the format of this Produce version. A batch
    /// that has to be compressed or transcoded first comes back through its job.
    fn prepare_next(&mut self, at: PartitionIndex, version: i16) -> Option<Slot> {
        let slot = self.next_sendable(at)?;
        if self.batches[slot].state == State::Open {
            self.close_open_batch(at);
        }
        let batch = self.batches.find(slot)?;
        if !self.codec_is_allowed(batch, version) {
            self.refuse_codec(slot);
            return None;
        }
        let format = Format::of_produce(version);
        match (batch.state, &batch.content) {
            (State::Closed, _) => self.seal(slot, format),
            (State::Queued, Content::Sealed(sealed)) if sealed.format() != format => {
                self.transcode(slot, format);
            }
            _ => {}
        }
        (self.batches.find(slot)?.state == State::Queued).then_some(slot)
    }

    fn note_handed_out(&mut self, at: PartitionIndex, slot: Slot, conn: ConnectionId) {
        let epoch = self.partition(at).leader_epoch;
        let batch = &mut self.batches[slot];
        batch.state = State::InFlight(conn);
        batch.attempts += 1;
        batch.attempt_epoch = epoch;
        batch.refused_in_sequence = false;
        if batch.attempts == 1 {
            self.stats.queue_count += 1;
            let waited = self.now.saturating_since(batch.created).as_micros();
            let waited = u64::try_from(waited).unwrap_or(u64::MAX);
            self.stats.queue_micros += waited;
            self.peaks.queue_micros = self.peaks.queue_micros.max(waited);
        } else {
            self.stats.batches_retried += 1;
            self.mark_retried(at, slot);
        }
        self.partition_mut(at).in_flight += 1;
    }

    fn mark_retried(&mut self, at: PartitionIndex, slot: Slot) {
        let stamp = self.batches[slot].stamp;
        if stamp.is_some_and(|stamp| Some((stamp.producer_id, stamp.epoch)) != self.ids.current()) {
            self.marks.hit(Mark::OldStampRetried);
        }
        if self.partition(at).sequence.gap {
            self.marks.hit(Mark::GapProbed);
        }
    }

    fn produce_request(
        &mut self,
        node: NodeIndex,
        id: ConnectionId,
        version: i16,
        taken: &[Taken],
    ) -> Option<Transmit> {
        let has_all_ids = taken.iter().all(|taken| !self.topics.at(taken.topic).uuid.is_zero());
        let version = if has_all_ids { version } else { version.min(TOPIC_IDS_FROM - 1) };
        let correlation = self.conns.get_mut(&id)?.correlation();
        let mut scaffold = std::mem::take(&mut self.scratch.scaffold);
        let mut bodies = std::mem::take(&mut self.scratch.bodies);
        let len = self.write_request(&mut scaffold, &mut bodies, version, correlation, taken);
        let transmit = weave(id, scaffold.split().freeze(), &mut bodies);
        self.scratch.scaffold = scaffold;
        self.scratch.bodies = bodies;
        debug_assert!(taken.len() == 1 || len <= self.settings.max_request_size, "{len} bytes");
        let mut batches = self.scratch.request_batches.pop().unwrap_or_default();
        batches.extend(taken.iter().map(|taken| (taken.partition, taken.slot)));
        if batches.len() > 1 {
            batches.sort_unstable();
        }
        let without_answer = self.wants_no_answer();
        let kind = Request::Produce { without_answer, batches };
        let now = self.now;
        self.conns.get_mut(&id)?.sent(now, len, correlation, version, kind);
        self.stats.produce_requests += 1;
        debug_assert_eq!(self.nodes[node].conn, Some(id));
        Some(self.hand_out(transmit, correlation, len))
    }

    /// Writes the scaffold, and gives the bodies with their places in it.
    fn write_request(
        &self,
        scaffold: &mut BytesMut,
        bodies: &mut Vec<(usize, Bytes)>,
        version: i16,
        correlation: i32,
        taken: &[Taken],
    ) -> usize {
        scaffold.reserve(64 + taken.len() * SCAFFOLD_PER_BATCH);
        let topics = taken.chunk_by(|a, b| a.topic == b.topic);
        let timeout = self.settings.request_timeout.as_millis();
        let mut writer = ProduceRequestWriter::begin(
            scaffold,
            version,
            correlation,
            Some(&self.settings.client_id),
            None,
            self.settings.acks.to_wire(),
            i32::try_from(timeout).unwrap_or(i32::MAX),
            topics.clone().count(),
        );
        for group in topics {
            let topic = self.topics.at(group[0].topic);
            writer.topic(&topic.name, topic.uuid, group.len());
            for taken in group {
                let batch = &self.batches[taken.slot];
                let Content::Sealed(sealed) = &batch.content else { continue };
                writer.partition(taken.index, sealed.encoded_len());
                let body = match &sealed.message_set {
                    Some(set) => &set.bytes,
                    None => {
                        let header = encode_header(sealed, batch.stamp, false);
                        writer.scaffold().extend_from_slice(&header);
                        &sealed.records
                    }
                };
                if body.len() <= SMALL_BODY {
                    writer.scaffold().extend_from_slice(body);
                } else {
                    bodies.push((writer.body(body.len()), body.clone()));
                }
                writer.end_partition();
            }
            writer.end_topic();
        }
        writer.finish()
    }
}

/// A request from its scaffold and the bodies that stand in it, which are shared, not copied.
fn weave(id: ConnectionId, scaffold: Bytes, bodies: &mut Vec<(usize, Bytes)>) -> Transmit {
    let Some(&(first, _)) = bodies.first() else {
        return Transmit::new(id, scaffold, VecDeque::new());
    };
    let mut rest = VecDeque::with_capacity(2 * bodies.len());
    let mut from = first;
    for (cut, body) in bodies.drain(..) {
        if cut > from {
            rest.push_back(scaffold.slice(from..cut));
            from = cut;
        }
        rest.push_back(body);
    }
    if scaffold.len() > from {
        rest.push_back(scaffold.slice(from..));
    }
    Transmit::new(id, scaffold.slice(..first), rest)
}
