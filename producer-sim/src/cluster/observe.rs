//! What a cluster saw: requests and breaches of the protocol, for tests to look at.

use super::ConnId;
use crate::records::BatchHeader;
use kafka_protocol::messages::{ApiKey, RequestKind};
use producer_proto::{Instant, Uuid};

/// One request that reached a broker whole and could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedRequest {
    /// When its last byte arrived.
    pub at: Instant,
    /// The broker.
    pub broker: i32,
    /// The connection.
    pub conn: ConnId,
    /// The API.
    pub api: ApiKey,
    /// The version it was written in.
    pub version: i16,
    /// Its correlation id.
    pub correlation_id: i32,
    /// The client id of its header.
    pub client_id: Option<String>,
    /// Size of the frame with its length prefix.
    pub bytes: usize,
    /// The body.
    pub body: RequestBody,
}

impl ReceivedRequest {
    /// The batches of a Produce request; none for other APIs.
    pub fn batches(&self) -> &[ReceivedBatch] {
        match &self.body {
            RequestBody::Produce { batches, .. } => batches,
            RequestBody::Other(_) => &[],
        }
    }

    /// The topic names of a Metadata request, in order; `None` for other APIs and for "all".
    pub fn metadata_topics(&self) -> Option<Vec<String>> {
        let RequestBody::Other(kind) = &self.body else { return None };
        let RequestKind::Metadata(request) = kind.as_ref() else { return None };
        let topics = request.topics.as_ref()?;
        Some(topics.iter().filter_map(|t| t.name.as_ref()).map(|n| n.to_string()).collect())
    }

    /// Whether the request is about this topic by name.
    pub fn names_topic(&self, topic: &str) -> bool {
        self.batches().iter().any(|batch| batch.topic == topic)
            || self.metadata_topics().is_some_and(|topics| topics.iter().any(|t| t == topic))
    }
}

/// What a request asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// Produce, with one entry per partition in the order of the request.
    Produce {
        /// -1 (all), 0 or 1.
        acks: i16,
        /// How long the broker may wait for replicas.
        timeout_ms: i32,
        /// The transactional id, if any.
        transactional_id: Option<String>,
        /// The batches.
        batches: Vec<ReceivedBatch>,
    },
    /// Any other API, as decoded.
    Other(Box<RequestKind>),
}

/// One partition's entry of a Produce request.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedBatch {
    /// The topic's name; for a request by topic id, the name the id belongs to, or empty when the
    /// cluster does not know it.
    pub topic: String,
    /// The topic id (Produce 13 and later), else zero.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Size of the batch.
    pub bytes: usize,
    /// The batch's header, unless it is malformed.
    pub header: Option<BatchHeader>,
    /// [`Batch::digest`](crate::records::Batch::digest) of a well-formed batch, else 0.
    pub digest: u64,
}

/// A breach of the protocol by a client. A producer must never cause one, whatever the cluster
/// does to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was noticed.
    pub at: Instant,
    /// The broker.
    pub broker: i32,
    /// The connection.
    pub conn: ConnId,
    /// What is wrong.
    pub what: String,
}
