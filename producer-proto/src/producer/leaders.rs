//! Who leads a partition, and what moves along when that changes.

use crate::ErrorCode;
use crate::budget::{LaneIndex, NO_LEADER};
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::partition::NO_NODE;
use crate::topics::PartitionIndex;
use crate::wire::NodeEndpoint;

use super::Producer;
use super::metadata::MAX_HOST;

impl Producer {
    /// Moves a partition to another leader, with all it holds; true when it was another one.
    pub(super) fn set_leader(&mut self, at: PartitionIndex, leader: NodeIndex) -> bool {
        let old = self.partition(at).leader;
        let (topic, index) = (self.partition(at).topic, self.partition(at).index);
        if let Some(spread) = &mut self.topics.at_mut(topic).spread {
            spread.set_available(index, leader != NO_NODE);
        }
        if old == leader {
            return false;
        }
        if self.partition(at).is_ready {
            self.partition_mut(at).is_ready = false;
            if old != NO_NODE {
                self.nodes[old].ready.retain(|&other| other != at);
            }
        }
        self.partition_mut(at).leader = leader;
        if old != NO_NODE {
            self.nodes[old].leads -= 1;
            self.budget.set_reserve(old, self.nodes[old].leads > 0);
        }
        if leader != NO_NODE {
            self.nodes[leader].leads += 1;
            self.budget.set_reserve(leader, true);
        }
        self.move_charges(at, lane(leader));
        true
    }

    fn move_charges(&mut self, at: PartitionIndex, to: LaneIndex) {
        for &slot in &self.partitions[at as usize].queue {
            let batch = &mut self.batches[slot];
            if batch.lane != to {
                self.budget.transfer(batch.lane, to, batch.charge);
                batch.lane = to;
            }
        }
    }

    /// A leader hint in a Produce answer; true when it was newer than what is known and usable.
    pub(super) fn take_leader_hint(
        &mut self,
        at: PartitionIndex,
        leader: i32,
        epoch: i32,
        endpoint: Option<&NodeEndpoint>,
    ) -> bool {
        if leader < 0 || epoch < 0 {
            return false;
        }
        if epoch <= self.partition(at).leader_epoch {
            self.marks.hit(Mark::HintStale);
            return false;
        }
        if let Some(endpoint) = endpoint
            && let Ok(port @ 1..) = u16::try_from(endpoint.port)
            && !endpoint.host.is_empty()
            && endpoint.host.len() <= MAX_HOST
        {
            self.list_broker(leader, &endpoint.host, port);
        }
        let Some(node) = self.nodes.by_broker(leader).filter(|&node| self.nodes[node].is_listed)
        else {
            self.marks.hit(Mark::HintUnusable);
            return false;
        };
        self.marks.hit(Mark::HintUsed);
        self.partition_mut(at).leader_epoch = epoch;
        self.partition_mut(at).error = ErrorCode::NONE;
        self.set_leader(at, node);
        self.release_hold(at);
        true
    }
}

fn lane(leader: NodeIndex) -> LaneIndex {
    if leader == NO_NODE { NO_LEADER } else { leader }
}
