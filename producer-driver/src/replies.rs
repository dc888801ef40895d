//! What is to be told to callers once the lock is released.

use std::sync::Arc;

use producer_proto::{ClusterDescription, DescribeError};

use crate::completion::{Completion, Settled};
use crate::error::SendError;
use crate::slot::Slot;
use crate::tickets::{Caller, SendResult};

/// Collected under the producer's lock, delivered without it: a waker may run foreign code.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// Outcomes of records, in the order in which the core reported them.
    pub(crate) settled: Vec<(Arc<Completion>, Settled)>,
    /// Tickets admitted or refused.
    pub(crate) sends: Vec<(Caller, SendResult)>,
    /// Partition counts.
    pub(crate) counts: Vec<(Arc<Slot<CountResult>>, CountResult)>,
    /// Descriptions of the cluster.
    pub(crate) descriptions: Vec<(Arc<Slot<DescribeResult>>, DescribeResult)>,
    /// Warm-ups.
    pub(crate) warm_ups: Vec<(Arc<Slot<WarmUpResult>>, WarmUpResult)>,
    /// Flushes and closes that are done.
    pub(crate) signals: Vec<Arc<Slot<()>>>,
}

pub(crate) type CountResult = Result<i32, SendError>;

pub(crate) type DescribeResult = Result<ClusterDescription, DescribeError>;

pub(crate) type WarmUpResult = Result<(), SendError>;

impl Replies {
    /// Tells everybody. Flushes come last: whoever sees one done finds all results known.
    #[inline]
    pub(crate) fn deliver(&mut self) {
        if !self.settled.is_empty() {
            self.deliver_settled();
        }
        let is_empty = self.sends.is_empty()
            && self.counts.is_empty()
            && self.descriptions.is_empty()
            && self.warm_ups.is_empty()
            && self.signals.is_empty();
        if !is_empty {
            self.deliver_rare();
        }
    }

    fn deliver_settled(&mut self) {
        for (completion, settled) in self.settled.drain(..) {
            completion.settle(settled);
        }
    }

    #[cold]
    fn deliver_rare(&mut self) {
        for (caller, result) in self.sends.drain(..) {
            caller.tell(result);
        }
        for (slot, count) in self.counts.drain(..) {
            slot.fill(count);
        }
        for (slot, result) in self.descriptions.drain(..) {
            slot.fill(result);
        }
        for (slot, result) in self.warm_ups.drain(..) {
            slot.fill(result);
        }
        for slot in self.signals.drain(..) {
            slot.fill(());
        }
    }
}
