//! Topics and what metadata says of them.

use super::config::TopicConfig;
use super::partition::Partition;
use producer_proto::Uuid;
use std::sync::Arc;

/// What metadata says about a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The leader's node id, if there is a leader.
    pub leader: Option<i32>,
    /// Goes up with each change of leader.
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
}

/// Where a partition is to be found; a topic that was created again is another one.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) index: i32,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) id: Uuid,
    pub(super) config: TopicConfig,
    pub(super) partitions: Vec<Partition>,
    /// Not visible to anybody for the moment.
    pub(super) hidden: bool,
}

impl Topic {
    pub(super) fn partition(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }

    pub(super) fn place(&self, index: i32) -> Place {
        Place { topic: Arc::clone(&self.name), topic_id: self.id, index }
    }

    /// Adds partitions up to `count`, spread over the brokers in order.
    pub(super) fn grow(&mut self, count: i32, brokers: &[i32]) {
        let count = usize::try_from(count).unwrap_or(0);
        for index in self.partitions.len()..count {
            let replicas: Vec<i32> = (0..self.config.replication.clamp(1, brokers.len().max(1)))
                .filter_map(|i| brokers.get((index + i) % brokers.len()).copied())
                .collect();
            self.partitions.push(Partition::new(replicas));
        }
        self.config.partitions = i32::try_from(self.partitions.len()).unwrap_or(i32::MAX);
    }
}
