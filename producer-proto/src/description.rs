//! What a cluster says about itself: plain values for the application.

use std::sync::Arc;

use crate::{BrokerId, ErrorCode, Uuid};

/// The answer to [`Producer::describe`](crate::Producer::describe): one broker's view at one
/// moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id; `None` where the broker does not say (before 0.10.1).
    pub cluster_id: Option<Arc<str>>,
    /// The brokers, by id.
    pub brokers: Vec<BrokerDescription>,
    /// The topics: in the order of the question, each once, or all by name.
    pub topics: Vec<TopicDescription>,
}

/// A broker and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerDescription {
    /// The broker.
    pub id: BrokerId,
    /// Host name or address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// The name.
    pub name: Arc<str>,
    /// Kafka's topic id; zero where the broker does not say (before 2.8).
    pub id: Uuid,
    /// What the cluster says against the topic ([`ErrorCode::UNKNOWN_TOPIC_OR_PARTITION`] when
    /// there is none of this name), else [`ErrorCode::NONE`].
    pub error: ErrorCode,
    /// The partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition and its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its number, from 0.
    pub index: i32,
    /// The broker that leads it; `None` when there is none.
    pub leader: Option<BrokerId>,
    /// The leader's epoch; `None` where the broker does not say (before 2.4).
    pub leader_epoch: Option<i32>,
    /// What the cluster says against the partition, else [`ErrorCode::NONE`].
    pub error: ErrorCode,
}
