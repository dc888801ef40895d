//! Requests and answers as they cross the producer's border, decoded.

use super::careful::Careful;
use super::content::{RecordNumber, read_value};
use super::script::Script;
use super::verdict::{Failure, Oracle};
use crate::Instant;
use crate::cluster::old_produce;
use crate::records::{Batch, BatchHeader};
use bytes::{Buf, Bytes};
use kafka_protocol::messages::produce_response::NodeEndpoint;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseKind,
};
use kafka_protocol::protocol::Decodable;
use producer_proto::{ConnectionId, Uuid};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A batch of a Produce request.
#[derive(Clone, Debug)]
pub(crate) struct SentBatch {
    /// Index of the topic.
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) header: BatchHeader,
    pub(crate) digest: u64,
    pub(crate) records: Rc<[RecordNumber]>,
}

/// A request that was handed out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) conn: ConnectionId,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    correlation: i32,
    /// `acks` and the timeout in milliseconds of a Produce request.
    pub(crate) acks: Option<(i16, i32)>,
    pub(crate) batches: Vec<SentBatch>,
}

#[cfg(test)]
impl Sent {
    /// A Produce request of the newest version.
    pub(crate) fn produce(conn: ConnectionId, batches: Vec<SentBatch>) -> Self {
        let (api, version) = (ApiKey::Produce, 13);
        Self { conn, api, version, correlation: 0, acks: Some((-1, 1_000)), batches }
    }
}

/// A partition's part of the answer to a Produce request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionAnswer {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) code: i16,
    pub(crate) base_offset: i64,
    /// Leader and epoch, where the answer names them with an address.
    pub(crate) hint: Option<(i32, i32)>,
}

/// What metadata says about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionLeader {
    pub(crate) topic: usize,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) leader: i32,
    pub(crate) epoch: i32,
}

/// What an answer said.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Produce(Vec<PartitionAnswer>),
    /// Leaders, and the error codes of topics.
    Metadata(Vec<PartitionLeader>, Vec<i16>),
    Other(i16),
}

/// An answer that the producer was given.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) conn: ConnectionId,
    pub(crate) request: Sent,
    pub(crate) throttle: Duration,
    pub(crate) said: Said,
    pub(crate) brokers: Brokers,
}

/// Brokers that an answer names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brokers {
    pub(crate) addresses: BTreeMap<i32, (String, u16)>,
    /// There are no others.
    pub(crate) is_all: bool,
}

/// Reads both directions of all connections.
#[derive(Default)]
pub(crate) struct Wire {
    /// Requests without an answer, by connection, oldest first.
    waiting: BTreeMap<ConnectionId, Vec<Sent>>,
    topic_ids: BTreeMap<Uuid, usize>,
    /// Records of a batch, by its digest: a batch that is sent again is not read again.
    known: BTreeMap<u64, Rc<[RecordNumber]>>,
}

impl Wire {
    /// Makes the id of a topic known.
    pub(crate) fn name(&mut self, id: Uuid, topic: usize) {
        self.topic_ids.insert(id, topic);
    }

    fn topic(&self, id: Uuid, name: &str) -> Option<usize> {
        match id.is_zero() {
            true => name.strip_prefix(Script::TOPIC_PREFIX)?.parse().ok(),
            false => self.topic_ids.get(&id).copied(),
        }
    }

    /// Reads a request to its last byte.
    pub(crate) fn sent(
        &mut self,
        at: Instant,
        conn: ConnectionId,
        mut frame: Bytes,
    ) -> Result<Sent, Failure> {
        let fail = |what: String| Failure::new(Oracle::Wire, at, what);
        let bytes = frame.len();
        if bytes < 12 || frame.get_u32() as usize != bytes - 4 {
            return Err(fail(format!("a request of {bytes} bytes with another length in front")));
        }
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let api = ApiKey::try_from(key).map_err(|()| fail(format!("API key {key}")))?;
        let mut sent = Sent { conn, api, version, correlation, acks: None, batches: Vec::new() };
        if api == ApiKey::Produce {
            let header = RequestHeader::decode(&mut frame, api.request_header_version(version));
            header.map_err(|error| fail(format!("header of {api:?} v{version}: {error:#}")))?;
            let request = match old_produce::is_old(api, version) {
                true => old_produce::decode(&mut frame).map_err(|error| error.to_string()),
                false => ProduceRequest::decode(&mut frame, version)
                    .map_err(|error| format!("{error:#}")),
            };
            let request = request.map_err(|error| fail(format!("{api:?} v{version}: {error}")))?;
            sent.acks = Some((request.acks, request.timeout_ms));
            sent.batches = self.batches(at, version, &request)?;
            if !frame.is_empty() {
                return Err(fail(format!("{} bytes behind {api:?} v{version}", frame.len())));
            }
        }
        if sent.acks.is_none_or(|(acks, _)| acks != 0) {
            self.waiting.entry(conn).or_default().push(sent.clone());
        }
        Ok(sent)
    }

    fn batches(
        &mut self,
        at: Instant,
        version: i16,
        request: &ProduceRequest,
    ) -> Result<Vec<SentBatch>, Failure> {
        let fail = |what: String| Failure::new(Oracle::Wire, at, what);
        let mut batches = Vec::new();
        for data in &request.topic_data {
            let topic_id = Uuid(*data.topic_id.as_bytes());
            let topic = self.topic(topic_id, &data.name);
            let topic = topic.ok_or_else(|| fail(format!("nobody knows topic {topic_id:?}")))?;
            for partition in &data.partition_data {
                let index = partition.index;
                let bytes = partition.records.clone().unwrap_or_default();
                let batch = match old_produce::is_old(ApiKey::Produce, version) {
                    true => old_produce::batch(bytes, version).map(|(batch, _)| batch),
                    false => Batch::parse(bytes).map_err(|error| error.to_string()),
                };
                let batch =
                    batch.map_err(|error| fail(format!("batch for t{topic}-{index}: {error}")))?;
                let digest = batch.digest();
                let records = match self.known.get(&digest) {
                    Some(records) => Rc::clone(records),
                    None => {
                        let records = read_numbers(&batch)
                            .map_err(|what| fail(format!("batch for t{topic}-{index}: {what}")))?;
                        let records: Rc<[RecordNumber]> = records.into();
                        self.known.insert(digest, Rc::clone(&records));
                        records
                    }
                };
                let header = batch.header;
                let partition = index;
                batches.push(SentBatch { topic, partition, header, digest, records });
            }
        }
        Ok(batches)
    }

    /// Reads an answer; `None` if it is none that was asked for, or makes no sense.
    pub(crate) fn answered(&mut self, conn: ConnectionId, mut frame: Bytes) -> Option<Answered> {
        let correlation = i32::from_be_bytes(*frame.first_chunk()?);
        let waiting = self.waiting.get_mut(&conn)?;
        if waiting.first()?.correlation != correlation {
            return None;
        }
        let request = waiting.remove(0);
        let (api, version) = (request.api, request.version);
        frame.advance(4);
        if api.response_header_version(version) >= 1 {
            // No answer here has tagged fields.
            (frame.try_get_u8().ok()? == 0).then_some(())?;
        }
        let mut brokers = Brokers::default();
        let (throttle, said) = match api {
            ApiKey::Produce => {
                let response = match old_produce::is_old(api, version) {
                    true => old_produce::decode_answer(&mut frame, version).ok()?,
                    false => {
                        ProduceResponse::decode(&mut Careful::new(&mut frame), version).ok()?
                    }
                };
                let named = response.node_endpoints.iter();
                brokers.addresses =
                    addresses(named.map(|node| (node.node_id.0, node.host.as_str(), node.port)));
                (response.throttle_time_ms, Said::Produce(self.partitions(&response)))
            }
            ApiKey::Metadata => {
                let response =
                    MetadataResponse::decode(&mut Careful::new(&mut frame), version).ok()?;
                let named = response.brokers.iter();
                brokers.addresses =
                    addresses(named.map(|node| (node.node_id.0, node.host.as_str(), node.port)));
                brokers.is_all = !brokers.addresses.is_empty();
                (
                    response.throttle_time_ms,
                    Said::Metadata(self.leaders(&response, version), topic_errors(&response)),
                )
            }
            ApiKey::InitProducerId => {
                let mut frame = Careful::new(&mut frame);
                let init = InitProducerIdResponse::decode(&mut frame, version).ok()?;
                (init.throttle_time_ms, Said::Other(init.error_code))
            }
            ApiKey::ApiVersions => {
                let mut frame = Careful::new(&mut frame);
                let versions = ApiVersionsResponse::decode(&mut frame, version).ok()?;
                (versions.throttle_time_ms, Said::Other(versions.error_code))
            }
            _ => {
                ResponseKind::decode(api, &mut frame, version).ok()?;
                (0, Said::Other(0))
            }
        };
        let throttle = Duration::from_millis(u64::try_from(throttle).unwrap_or(0));
        Some(Answered { conn, request, throttle, said, brokers })
    }

    fn partitions(&self, response: &ProduceResponse) -> Vec<PartitionAnswer> {
        let mut answers = Vec::new();
        for topic in &response.responses {
            let id = Uuid(*topic.topic_id.as_bytes());
            let Some(index) = self.topic(id, &topic.name) else { continue };
            answers.extend(topic.partition_responses.iter().map(|answer| {
                let leader = &answer.current_leader;
                let has_address = |node: &NodeEndpoint| node.node_id == leader.leader_id;
                PartitionAnswer {
                    topic: index,
                    partition: answer.index,
                    code: answer.error_code,
                    base_offset: answer.base_offset,
                    hint: response
                        .node_endpoints
                        .iter()
                        .any(has_address)
                        .then_some((leader.leader_id.0, leader.leader_epoch)),
                }
            }));
        }
        answers
    }

    fn leaders(&self, response: &MetadataResponse, version: i16) -> Vec<PartitionLeader> {
        // Before that brokers could tell an epoch that is not the leader's.
        let has_epochs = version >= 9;
        let mut leaders = Vec::new();
        for topic in &response.topics {
            let topic_id = Uuid(*topic.topic_id.as_bytes());
            let name = topic.name.as_ref().map_or("", |name| name.as_str());
            let Some(index) = self.topic(topic_id, name) else { continue };
            leaders.extend(topic.partitions.iter().map(|partition| PartitionLeader {
                topic: index,
                topic_id,
                partition: partition.partition_index,
                leader: partition.leader_id.0,
                epoch: if has_epochs { partition.leader_epoch } else { -1 },
            }));
        }
        leaders
    }

    /// The requests of a connection that have no answer.
    pub(crate) fn waiting_on(&self, conn: ConnectionId) -> &[Sent] {
        self.waiting.get(&conn).map_or(&[], Vec::as_slice)
    }

    /// A connection is gone; what waited on it gets no answer any more.
    pub(crate) fn gone(&mut self, conn: ConnectionId) -> Vec<Sent> {
        self.waiting.remove(&conn).unwrap_or_default()
    }
}

fn addresses<'a>(named: impl Iterator<Item = (i32, &'a str, i32)>) -> BTreeMap<i32, (String, u16)> {
    let address = |(id, host, port): (i32, &str, i32)| {
        Some((id, (host.to_owned(), u16::try_from(port).ok()?)))
    };
    named.filter_map(address).collect()
}

fn topic_errors(response: &MetadataResponse) -> Vec<i16> {
    let codes = response.topics.iter().map(|topic| topic.error_code);
    codes.chain([response.error_code]).filter(|code| *code != 0).collect()
}

fn read_numbers(batch: &Batch) -> Result<Vec<RecordNumber>, String> {
    batch.check().map_err(|error| error.to_string())?;
    let mut numbers = Vec::new();
    let mut strange = 0;
    let visited = batch.visit(|record| match record.value.as_deref().and_then(read_value) {
        Some(number) => numbers.push(number),
        None => strange += 1,
    });
    visited.map_err(|error| error.to_string())?;
    match strange {
        0 => Ok(numbers),
        n => Err(format!("{n} records that nobody appended")),
    }
}
