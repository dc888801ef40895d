//! Questions about the cluster.

use std::sync::Arc;

use producer_proto::{DescribeError, Instant};

use super::{Phase, State};
use crate::replies::{DescribeResult, Replies};
use crate::slot::Slot;

impl State {
    /// Asks the cluster, and fills `slot` with what it says.
    pub(crate) fn describe(
        &mut self,
        now: Instant,
        topics: Option<&[&str]>,
        slot: Arc<Slot<DescribeResult>>,
        replies: &mut Replies,
    ) {
        // Without a driver nobody takes the core's answers.
        if self.phase == Phase::Closed {
            replies.descriptions.push((slot, Err(DescribeError::Closed)));
            return;
        }
        match self.core.describe(now, topics, now + self.max_block) {
            Ok(question) => {
                self.describing.insert(question, slot);
            }
            Err(error) => replies.descriptions.push((slot, Err(error.into()))),
        }
    }
}
