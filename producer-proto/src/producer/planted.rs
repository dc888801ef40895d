//! Where planted bugs take effect that need more than a line.

use std::time::Duration;

use crate::batch::sequence_add;
use crate::batches::State;
use crate::conn::Request;
use crate::node::NodeIndex;
use crate::outstanding::Slot;
use crate::topics::PartitionIndex;
use crate::wire::{ProducePartition, ProduceResponse};
use crate::{BatchId, ConnectionId, Header, PlantedBug, Record};

use super::{Deadline, Producer};

type Place = Result<usize, usize>;

impl Producer {
    /// Plants a bug.
    pub fn plant(&mut self, bug: PlantedBug) {
        self.planted = Some(bug);
    }

    pub(super) fn has_bug(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    pub(super) fn planted_headers<'a>(&self, record: &Record<'a>) -> Vec<Header<'a>> {
        let mut headers = record.headers.to_vec();
        if self.has_bug(PlantedBug::HeadersReversed) {
            headers.reverse();
        }
        headers
    }

    pub(super) fn planted_written(&mut self, id: ConnectionId) {
        if !self.has_bug(PlantedBug::AckOnWrite) {
            return;
        }
        let Some(conn) = self.conns.get(&id) else { return };
        let written = conn.in_flight.iter().filter(|request| conn.is_written(request));
        let mut slots = Vec::new();
        for request in written {
            if let Request::Produce { batches, .. } = &request.kind {
                slots.extend(batches.iter().map(|&(_, slot)| slot));
            }
        }
        for slot in slots {
            self.deliver(slot, None, None);
        }
    }

    pub(super) fn planted_place(
        &self,
        found: Place,
        at: PartitionIndex,
        batches: &[(PartitionIndex, Slot)],
        response: &ProduceResponse,
        partition: &ProducePartition,
    ) -> (Place, PartitionIndex) {
        if !self.has_bug(PlantedBug::MatchedByPosition) {
            return (found, at);
        }
        let place = response.partitions.iter().position(|other| std::ptr::eq(other, partition));
        match place.filter(|&place| place < batches.len()) {
            Some(place) => (Ok(place), batches[place].0),
            None => (found, at),
        }
    }

    pub(super) fn planted_retry(&mut self, at: PartitionIndex, slot: Slot) {
        if self.has_bug(PlantedBug::RestampedRetry) {
            self.batches[slot].stamp = None;
        }
        if self.has_bug(PlantedBug::RetryNotSortedByAge) {
            let is_open = self.open_slot(at).is_some();
            let queue = &mut self.partition_mut(at).queue;
            queue.retain(|&queued| queued != slot);
            let end = queue.len() - usize::from(is_open);
            queue.insert(end, slot);
        }
    }

    pub(super) fn planted_failure(&mut self, slot: Slot) {
        let batch = &self.batches[slot];
        if self.has_bug(PlantedBug::SequenceOfUnsent) && batch.attempts == 0 {
            let (at, count) = (batch.partition, batch.count);
            let sequence = &mut self.partition_mut(at).sequence;
            sequence.next = sequence_add(sequence.next, count);
        }
    }

    pub(super) fn planted_connected(&mut self, id: ConnectionId) {
        if let Some(node) = self.conns.get(&id).map(|conn| conn.node)
            && self.has_bug(PlantedBug::BackoffResetAtConnect)
        {
            self.nodes[node].failures = 0;
        }
    }

    pub(super) fn planted_full_request(&mut self, node: NodeIndex) {
        if self.has_bug(PlantedBug::FullRequestForgets)
            && let Some(at) = self.nodes[node].ready.pop_front()
        {
            self.partition_mut(at).is_ready = false;
        }
    }

    pub(super) fn planted_backoff(&self, backoff: Duration) -> Duration {
        if self.has_bug(PlantedBug::MetadataWithoutBackoff) { Duration::ZERO } else { backoff }
    }

    pub(super) fn planted_close(&mut self) {
        if !self.has_bug(PlantedBug::CloseDropsLingering) {
            return;
        }
        while let Some(lingering) = self.lingering.pop_front() {
            if let Some(slot) = self.open_slot(lingering.partition)
                && self.batches[slot].id == lingering.batch
            {
                self.note_done(slot);
            }
        }
    }

    /// Whether the batch lingers on.
    pub(super) fn planted_linger(&mut self, partition: PartitionIndex, batch: BatchId) -> bool {
        let Some(slot) = self.open_slot(partition) else { return false };
        let open = &self.batches[slot];
        let at = open.due;
        let lingers = open.id == batch && open.state == State::Open && at > self.now;
        if lingers && self.has_bug(PlantedBug::LingerFromLast) {
            self.lingering.push_back(Deadline { at, partition, batch });
            return true;
        }
        false
    }
}
