//! The answer to Produce: what became of each partition's batch.

use std::ops::Range;
use std::sync::Arc;

use super::header::ApiKey;
use super::primitives::{DecodeError, Reader, Span};
use super::produce::TOPIC_IDS_FROM;
use crate::ids::Uuid;

/// Tagged field of the response: addresses of new leaders (KIP-951).
const TAG_NODE_ENDPOINTS: u32 = 0;
/// Tagged field of a partition: its new leader (KIP-951).
const TAG_CURRENT_LEADER: u32 = 0;

/// A decoded response whose memory is used again for the next one: without errors in the answer,
/// decoding allocates nothing once the vectors have grown to the usual number of partitions.
/// Values are as received; a [`Span`] refers to the decoded body.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct ProduceResponse {
    /// In the order received, which is not the order of the request.
    pub(crate) partitions: Vec<ProducePartition>,
    /// The ranges of all partitions, see [`ProducePartition::record_errors`].
    pub(crate) record_errors: Vec<RecordError>,
    /// Where the leaders that partitions name can be reached.
    pub(crate) node_endpoints: Vec<NodeEndpoint>,
    pub(crate) throttle_ms: i32,
}

/// How a response names a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicRef {
    /// By name, below version 13. To be compared as bytes: it need not be UTF-8.
    Name(Span),
    /// By id.
    Id(Uuid),
}

/// What became of one partition's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducePartition {
    pub(crate) topic: TopicRef,
    pub(crate) index: i32,
    pub(crate) error: i16,
    /// Offset of the batch's first record, -1 when unknown.
    pub(crate) base_offset: i64,
    /// Milliseconds since the Unix epoch, -1 when the topic keeps the records' own timestamps.
    pub(crate) log_append_time: i64,
    /// -1 when unknown.
    pub(crate) log_start_offset: i64,
    /// The records that made the broker refuse the batch (KIP-467): a part of
    /// [`ProduceResponse::record_errors`].
    pub(crate) record_errors: Range<u32>,
    pub(crate) error_message: Option<Span>,
    /// The partition's leader if it is not the broker asked, or -1.
    pub(crate) leader_id: i32,
    /// The epoch of `leader_id`, or -1.
    pub(crate) leader_epoch: i32,
}

/// A record that the broker refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordError {
    /// The record's place in its batch; may be out of range.
    pub(crate) batch_index: i32,
    pub(crate) message: Option<Span>,
}

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeEndpoint {
    pub(crate) node_id: i32,
    pub(crate) host: Arc<str>,
    pub(crate) port: i32,
}

impl ProduceResponse {
    /// Decodes the answer to a request of `version` in place of what was here. After an error
    /// nothing is left.
    pub(crate) fn decode_into(&mut self, body: &[u8], version: i16) -> Result<(), DecodeError> {
        self.clear();
        let result = self.read(body, version);
        if result.is_err() {
            self.clear();
        }
        result
    }

    /// The record errors of one of [`Self::partitions`].
    pub(crate) fn record_errors_of(&self, partition: &ProducePartition) -> &[RecordError] {
        let Range { start, end } = partition.record_errors;
        self.record_errors.get(start as usize..end as usize).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.partitions.clear();
        self.record_errors.clear();
        self.node_endpoints.clear();
        self.throttle_ms = 0;
    }

    fn read(&mut self, body: &[u8], version: i16) -> Result<(), DecodeError> {
        let mut reader = Reader::new(body, ApiKey::Produce.is_flexible(version));
        for _ in 0..reader.array("topics", 3)? {
            let topic = if version >= TOPIC_IDS_FROM {
                TopicRef::Id(reader.uuid()?)
            } else {
                TopicRef::Name(reader.span("topic name")?)
            };
            let count = reader.array("partitions", if version >= 2 { 22 } else { 14 })?;
            self.partitions.reserve(reader.capacity_for::<ProducePartition>(count));
            for _ in 0..count {
                let partition = self.read_partition(&mut reader, topic, version)?;
                self.partitions.push(partition);
            }
            reader.skip_tags()?;
        }
        if version >= 1 {
            self.throttle_ms = reader.i32()?;
        }
        reader.tags(|tag, field| match tag {
            TAG_NODE_ENDPOINTS => self.read_node_endpoints(field, body),
            _ => Ok(()),
        })?;
        reader.finish()
    }

    fn read_partition(
        &mut self,
        reader: &mut Reader<'_>,
        topic: TopicRef,
        version: i16,
    ) -> Result<ProducePartition, DecodeError> {
        let index = reader.i32()?;
        let error = reader.i16()?;
        let base_offset = reader.i64()?;
        let log_append_time = if version >= 2 { reader.i64()? } else { -1 };
        let log_start_offset = if version >= 5 { reader.i64()? } else { -1 };
        // A frame has fewer bytes than an i32 can count, and a record error takes six.
        let first_error = self.record_errors.len() as u32;
        let mut error_message = None;
        if version >= 8 {
            for _ in 0..reader.array("record errors", 6)? {
                let batch_index = reader.i32()?;
                let message = reader.nullable_span("record error message")?;
                reader.skip_tags()?;
                self.record_errors.push(RecordError { batch_index, message });
            }
            error_message = reader.nullable_span("error message")?;
        }
        let (mut leader_id, mut leader_epoch) = (-1, -1);
        reader.tags(|tag, field| {
            if tag == TAG_CURRENT_LEADER {
                leader_id = field.i32()?;
                leader_epoch = field.i32()?;
                field.skip_tags()?;
            }
            Ok(())
        })?;
        Ok(ProducePartition {
            topic,
            index,
            error,
            base_offset,
            log_append_time,
            log_start_offset,
            record_errors: first_error..self.record_errors.len() as u32,
            error_message,
            leader_id,
            leader_epoch,
        })
    }

    /// Endpoints whose host is not UTF-8 are left out.
    fn read_node_endpoints(
        &mut self,
        reader: &mut Reader<'_>,
        body: &[u8],
    ) -> Result<(), DecodeError> {
        for _ in 0..reader.array("node endpoints", 11)? {
            let node_id = reader.i32()?;
            let host = reader.span("node host")?;
            let port = reader.i32()?;
            let _rack = reader.nullable_span("node rack")?;
            reader.skip_tags()?;
            if let Some(host) = host.text(body) {
                self.node_endpoints.push(NodeEndpoint { node_id, host: host.into(), port });
            }
        }
        Ok(())
    }
}
