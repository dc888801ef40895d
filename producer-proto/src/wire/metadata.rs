//! Metadata: which brokers there are, and which of them leads which partition.

use std::sync::Arc;

use super::header::ApiKey;
use super::primitives::{DecodeError, Reader};
use super::request::Request;
use super::writer::Writer;
use crate::ids::Uuid;

/// First version whose leader epochs can be relied on: brokers that do not have it may report a
/// stale epoch while a partition is being reassigned.
const TRUSTED_LEADER_EPOCHS: i16 = 9;

/// Asks about topics by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetadataRequest<'a> {
    /// `Some` of nothing asks for the brokers only, `None` for every topic of the cluster. Version
    /// 0 cannot ask for the brokers only.
    pub(crate) topics: Option<&'a [&'a str]>,
    /// Whether the broker may create topics it does not know, if its own settings allow. Versions
    /// below 4 cannot say no.
    pub(crate) allow_auto_topic_creation: bool,
}

impl Request for MetadataRequest<'_> {
    const API: ApiKey = ApiKey::Metadata;

    fn write(&self, out: &mut Writer<'_>, version: i16) {
        // Version 0 has no null: there, nothing means every topic.
        let count = self.topics.map(<[_]>::len);
        out.length(if version == 0 { Some(count.unwrap_or(0)) } else { count });
        for name in self.topics.unwrap_or_default() {
            if version >= 10 {
                out.uuid(Uuid::ZERO);
            }
            out.string(name);
            out.no_tags();
        }
        if version >= 4 {
            out.bool(self.allow_auto_topic_creation);
        }
        if (8..=10).contains(&version) {
            out.bool(false); // include cluster authorized operations
        }
        if version >= 8 {
            out.bool(false); // include topic authorized operations
        }
        out.no_tags();
    }
}

/// What a broker knows about the cluster. Values are as received: ids, ports and error codes may
/// be anything.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct MetadataResponse {
    pub(crate) throttle_ms: i32,
    pub(crate) brokers: Vec<MetadataBroker>,
    pub(crate) cluster_id: Option<String>,
    /// -1 when there is none.
    pub(crate) controller_id: i32,
    pub(crate) topics: Vec<MetadataTopic>,
    /// About the whole answer; from version 13, before always 0.
    pub(crate) error_code: i16,
    /// Brokers and topics left out because their host or name is not UTF-8.
    pub(crate) refused: usize,
}

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataBroker {
    pub(crate) node_id: i32,
    pub(crate) host: Arc<str>,
    pub(crate) port: i32,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataTopic {
    pub(crate) error_code: i16,
    /// `None` only from version 12, for a topic id that the broker does not know.
    pub(crate) name: Option<String>,
    /// Zero below version 10.
    pub(crate) topic_id: Uuid,
    /// In the order received.
    pub(crate) partitions: Vec<MetadataPartition>,
}

/// A partition and its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetadataPartition {
    pub(crate) error_code: i16,
    pub(crate) index: i32,
    /// -1 when there is none.
    pub(crate) leader: i32,
    /// -1 when the broker does not know it, and below version 9.
    pub(crate) leader_epoch: i32,
}

impl MetadataResponse {
    /// Decodes the answer to a request of `version`.
    pub(crate) fn decode(body: &[u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, ApiKey::Metadata.is_flexible(version));
        let mut response = Self::default();
        if version >= 3 {
            response.throttle_ms = reader.i32()?;
        }
        let count = reader.array("brokers", if version >= 1 { 11 } else { 10 })?;
        response.brokers.reserve(reader.capacity_for::<MetadataBroker>(count));
        for _ in 0..count {
            let node_id = reader.i32()?;
            let host = reader.span("broker host")?;
            let port = reader.i32()?;
            if version >= 1 {
                let _rack = reader.nullable_span("broker rack")?;
            }
            reader.skip_tags()?;
            match host.text(body) {
                Some(host) => {
                    response.brokers.push(MetadataBroker { node_id, host: host.into(), port });
                }
                None => response.refused += 1,
            }
        }
        if version >= 2 {
            let cluster_id = reader.nullable_span("cluster id")?;
            response.cluster_id = cluster_id.map(|id| id.text_lossy(body).into_owned());
        }
        response.controller_id = if version >= 1 { reader.i32()? } else { -1 };
        let count = reader.array("topics", if version >= 1 { 9 } else { 8 })?;
        response.topics.reserve(reader.capacity_for::<MetadataTopic>(count));
        for _ in 0..count {
            match read_topic(&mut reader, body, version)? {
                Some(topic) => response.topics.push(topic),
                None => response.refused += 1,
            }
        }
        if (8..=10).contains(&version) {
            let _cluster_authorized_operations = reader.i32()?;
        }
        if version >= 13 {
            response.error_code = reader.i16()?;
        }
        reader.skip_tags()?;
        reader.finish()?;
        Ok(response)
    }
}

/// Reads one topic; `None` if its name is not UTF-8.
fn read_topic(
    reader: &mut Reader<'_>,
    body: &[u8],
    version: i16,
) -> Result<Option<MetadataTopic>, DecodeError> {
    let error_code = reader.i16()?;
    let name = if version >= 12 {
        reader.nullable_span("topic name")?
    } else {
        Some(reader.span("topic name")?)
    };
    let topic_id = if version >= 10 { reader.uuid()? } else { Uuid::ZERO };
    if version >= 1 {
        let _is_internal = reader.bool()?;
    }
    let count = reader.array("partitions", 18)?;
    let mut partitions = Vec::with_capacity(reader.capacity_for::<MetadataPartition>(count));
    for _ in 0..count {
        partitions.push(read_partition(reader, version)?);
    }
    if version >= 8 {
        let _topic_authorized_operations = reader.i32()?;
    }
    reader.skip_tags()?;
    let name = match name.map(|name| name.text(body)) {
        Some(None) => return Ok(None),
        Some(Some(name)) => Some(name.to_owned()),
        None => None,
    };
    Ok(Some(MetadataTopic { error_code, name, topic_id, partitions }))
}

fn read_partition(reader: &mut Reader<'_>, version: i16) -> Result<MetadataPartition, DecodeError> {
    let (error_code, index, leader) = (reader.i16()?, reader.i32()?, reader.i32()?);
    let leader_epoch = if version >= 7 { reader.i32()? } else { -1 };
    reader.skip_i32s("replicas")?;
    reader.skip_i32s("in-sync replicas")?;
    if version >= 5 {
        reader.skip_i32s("offline replicas")?;
    }
    reader.skip_tags()?;
    let leader_epoch = if version >= TRUSTED_LEADER_EPOCHS { leader_epoch } else { -1 };
    Ok(MetadataPartition { error_code, index, leader, leader_epoch })
}
