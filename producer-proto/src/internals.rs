//! Formats and pure functions of the core, for fuzzing and for comparison with other codecs. Not
//! part of the public interface: anything here may change at any time.

mod batches;

use bytes::BytesMut;

use crate::Uuid;
use crate::wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, FrameSplitter, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, ProduceRequestWriter,
    ProduceResponse, TopicRef, encode_request, split_response,
};

pub use batches::{Appended, BatchFormat, BatchStamp, Written, split_batch, write_batch};

/// The APIs that the core speaks, by key, with the versions of each.
pub const APIS: [(i16, i16, i16); 4] = {
    let mut apis = [(0, 0, 0); 4];
    let mut i = 0;
    while i < apis.len() {
        let api = ApiKey::ALL[i];
        let (min, max) = api.supported();
        apis[i] = (api.key(), min, max);
        i += 1;
    }
    apis
};

/// The contents of the frames in a stream that arrives in these pieces, and what ended it, if
/// anything did.
pub fn split_frames<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> (Vec<Vec<u8>>, Option<String>) {
    let mut splitter = FrameSplitter::new(limit);
    let mut frames = Vec::new();
    for mut rest in pieces {
        loop {
            match splitter.next_frame(&mut rest) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    (frames, None)
}

/// Decodes a response frame, header included: one line of text for each thing that it says.
///
/// # Errors
/// What is wrong with the bytes, or `unknown API` for a key that is not in [`APIS`].
pub fn describe_frame(api: i16, version: i16, frame: &[u8]) -> Result<Vec<String>, String> {
    let key = ApiKey::from_key(api).ok_or("unknown API")?;
    let (correlation, body) =
        split_response(key, version, frame).map_err(|error| error.to_string())?;
    let mut lines = describe_body(api, version, body)?;
    lines.insert(0, format!("correlation {correlation}"));
    Ok(lines)
}

/// The same for a response's body.
///
/// # Errors
/// As [`describe_frame`].
pub fn describe_body(api: i16, version: i16, body: &[u8]) -> Result<Vec<String>, String> {
    let lines = match ApiKey::from_key(api).ok_or("unknown API")? {
        ApiKey::Produce => {
            let mut response = ProduceResponse::default();
            response.decode_into(body, version).map(|()| produce_lines(&response, body))
        }
        ApiKey::Metadata => MetadataResponse::decode(body, version).map(|r| metadata_lines(&r)),
        ApiKey::ApiVersions => {
            ApiVersionsResponse::decode(body, version).map(|r| api_versions_lines(&r))
        }
        ApiKey::InitProducerId => InitProducerIdResponse::decode(body, version).map(|r| {
            let (id, epoch) = (r.producer_id, r.producer_epoch);
            vec![format!("throttle {} error {} id {id} epoch {epoch}", r.throttle_ms, r.error_code)]
        }),
    };
    lines.map_err(|error| error.to_string())
}

fn produce_lines(response: &ProduceResponse, body: &[u8]) -> Vec<String> {
    let mut lines = vec![format!("throttle {}", response.throttle_ms)];
    for partition in &response.partitions {
        let topic = match partition.topic {
            TopicRef::Name(name) => format!("{:?}", name.text_lossy(body)),
            TopicRef::Id(id) => format!("{:?}", id.0),
        };
        let message = partition.error_message.map(|span| span.text_lossy(body));
        lines.push(format!(
            "{topic} {} error {} base {} time {} start {} leader {} {} message {message:?}",
            partition.index,
            partition.error,
            partition.base_offset,
            partition.log_append_time,
            partition.log_start_offset,
            partition.leader_id,
            partition.leader_epoch,
        ));
        for record in response.record_errors_of(partition) {
            let message = record.message.map(|span| span.text_lossy(body));
            lines.push(format!("record {} {message:?}", record.batch_index));
        }
    }
    for node in &response.node_endpoints {
        lines.push(format!("node {} {:?} {}", node.node_id, node.host, node.port));
    }
    lines
}

fn metadata_lines(response: &MetadataResponse) -> Vec<String> {
    let (throttle, error) = (response.throttle_ms, response.error_code);
    let (cluster, controller) = (&response.cluster_id, response.controller_id);
    let first =
        format!("throttle {throttle} error {error} cluster {cluster:?} controller {controller}");
    let mut lines = vec![first];
    for broker in &response.brokers {
        lines.push(format!("broker {} {:?} {}", broker.node_id, broker.host, broker.port));
    }
    for topic in &response.topics {
        let (name, id) = (&topic.name, topic.topic_id.0);
        lines.push(format!("topic {name:?} {id:?} error {}", topic.error_code));
        for partition in &topic.partitions {
            lines.push(format!(
                "partition {} error {} leader {} epoch {}",
                partition.index, partition.error_code, partition.leader, partition.leader_epoch
            ));
        }
    }
    lines.push(format!("refused {}", response.refused));
    lines
}

fn api_versions_lines(response: &ApiVersionsResponse) -> Vec<String> {
    let mut lines = vec![format!(
        "throttle {} error {} epoch {}",
        response.throttle_ms, response.error_code, response.finalized_features_epoch
    )];
    for api in ApiKey::ALL {
        if let Some((min, max)) = response.versions.range(api) {
            lines.push(format!("api {} {min} {max}", api.key()));
        }
    }
    for feature in &response.finalized_features {
        lines.push(format!("feature {:?} {}", feature.name, feature.level));
    }
    lines
}

/// Encodes an ApiVersions request, length included.
pub fn api_versions_request(version: i16, correlation: i32, name: &str, software: &str) -> Vec<u8> {
    let request = ApiVersionsRequest { software_name: name, software_version: software };
    let mut out = BytesMut::new();
    encode_request(&mut out, &request, version, correlation, Some(name));
    out.to_vec()
}

/// Encodes a Metadata request, length included.
pub fn metadata_request(
    version: i16,
    correlation: i32,
    client: Option<&str>,
    topics: Option<&[&str]>,
    creates: bool,
) -> Vec<u8> {
    let request = MetadataRequest { topics, allow_auto_topic_creation: creates };
    let mut out = BytesMut::new();
    encode_request(&mut out, &request, version, correlation, client);
    out.to_vec()
}

/// Encodes an InitProducerId request, length included.
pub fn init_producer_id_request(
    version: i16,
    correlation: i32,
    transactional_id: Option<&str>,
    timeout_ms: i32,
    (producer_id, producer_epoch): (i64, i16),
) -> Vec<u8> {
    let request = InitProducerIdRequest {
        transactional_id,
        transaction_timeout_ms: timeout_ms,
        producer_id,
        producer_epoch,
    };
    let mut out = BytesMut::new();
    encode_request(&mut out, &request, version, correlation, None);
    out.to_vec()
}

/// Topic, id, and the records of each of its partitions.
pub type ProduceTopic<'a> = (&'a str, [u8; 16], Vec<(i32, &'a [u8])>);

/// Encodes a Produce request, length included. The first half of each body goes into the scaffold
/// and the rest is sent from where it is.
pub fn produce_request(
    version: i16,
    correlation: i32,
    (acks, timeout_ms): (i16, i32),
    transactional_id: Option<&str>,
    topics: &[ProduceTopic<'_>],
) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut writer = ProduceRequestWriter::begin(
        &mut out,
        version,
        correlation,
        Some("client"),
        transactional_id,
        acks,
        timeout_ms,
        topics.len(),
    );
    let mut bodies = Vec::new();
    for (name, id, partitions) in topics {
        writer.topic(name, Uuid(*id), partitions.len());
        for (index, records) in partitions {
            let (inline, body) = records.split_at(records.len() / 2);
            writer.partition(*index, records.len());
            writer.scaffold().extend_from_slice(inline);
            bodies.push((writer.body(body.len()), body));
            writer.end_partition();
        }
        writer.end_topic();
    }
    let len = writer.finish();
    let mut request = Vec::with_capacity(len);
    let mut from = 0;
    for (cut, body) in bodies {
        request.extend_from_slice(&out[from..cut]);
        request.extend_from_slice(body);
        from = cut;
    }
    request.extend_from_slice(&out[from..]);
    assert_eq!(request.len(), len, "the length that the writer gave");
    request
}
