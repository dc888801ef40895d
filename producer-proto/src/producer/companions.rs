//! What lingers for a broker goes along with what is sent there anyway.

use crate::BatchId;
use crate::batches::Content;
use crate::node::NodeIndex;
use crate::partition::NO_NODE;
use crate::topics::PartitionIndex;

use super::{Deadline, Producer};

/// How many batches that linger on are looked at when a linger ends.
const LOOKS_AT_END: usize = 256;

/// How many are looked at for each request of full batches.
const LOOKS_PER_REQUEST: usize = 16;

/// What part of a full batch one must be to go along with one that is.
const WORTHWHILE: usize = 8;

impl Producer {
    /// A linger has ended, so a broker gets a request: with it goes what would be due there a
    /// moment later, as from Java's producer. One request for many partitions, not one for each.
    pub(super) fn hurry_companions(&mut self) {
        let mut kept = 0;
        for _ in 0..self.lingering.len().min(LOOKS_AT_END) {
            let Some(deadline) = self.lingering.pop_front() else { break };
            let leader = self.partition(deadline.partition).leader;
            if leader != NO_NODE && !self.nodes[leader].ready.is_empty() {
                self.hurry(deadline.partition, deadline.batch);
            } else {
                self.lingering.push_back(deadline);
                kept += 1;
            }
        }
        self.lingering.rotate_right(kept);
    }

    /// Full batches go to a broker that has answered everything. Under a moderate load that leaves
    /// behind the records that came right after the last full batch, to wait until another is full:
    /// they need not. But for each full batch at most one goes that is not, and none that has hardly
    /// begun: a broker keeps every batch, however small.
    pub(super) fn take_along(&mut self, node: NodeIndex) {
        let mut left = self.nodes[node].ready.len();
        for i in 0..self.lingering.len().min(LOOKS_PER_REQUEST) {
            let Deadline { partition, batch, .. } = self.lingering[i];
            if self.partition(partition).leader != node || !self.is_worthwhile(partition, batch) {
                continue;
            }
            if left == 0 {
                break;
            }
            self.hurry(partition, batch);
            left -= 1;
        }
    }

    fn is_worthwhile(&self, at: PartitionIndex, id: BatchId) -> bool {
        // Behind a full one of its own partition it could not go along anyway.
        let Some(&slot) = self.partition(at).queue.front() else { return false };
        let batch = &self.batches[slot];
        let Content::Open(builder) = &batch.content else { return false };
        let ratio = &self.topics.at(self.partition(at).topic).ratio;
        batch.id == id
            && batch.due > self.now
            && ratio.growth(0, builder.len()) >= self.settings.batch_size / WORTHWHILE
    }
}
