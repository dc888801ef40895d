//! Requests, byte for byte as Kafka's library writes them.

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::golden::{array, hex, int, lines, uuid};
use crate::ids::Uuid;
use crate::wire::api_versions::ApiVersionsRequest;
use crate::wire::header::{ApiKey, RequestHeader};
use crate::wire::init_producer_id::InitProducerIdRequest;
use crate::wire::metadata::MetadataRequest;
use crate::wire::produce::{ProduceRequestWriter, TOPIC_IDS_FROM};
use crate::wire::request::encode_request;
use crate::wire::writer::Writer;

/// The part of a record batch that is written into the scaffold.
const BATCH_HEADER: usize = 61;
const CORRELATION_ID: i32 = 7;
const CLIENT_ID: Option<&str> = Some("golden");

fn golden_requests(api: ApiKey) -> impl Iterator<Item = (i16, Vec<u8>, Value)> {
    let lines = lines!("messages.jsonl").into_iter();
    lines
        .filter(move |line| {
            line["kind"] == "request" && line["key"] == api.key() && line.get("json").is_some()
        })
        .map(|line| (int(&line["version"]), frame(&line), line["json"].clone()))
}

fn frame(line: &Value) -> Vec<u8> {
    let content = [hex(&line["header"]), hex(&line["body"])].concat();
    let length = u32::try_from(content.len()).expect("short");
    [&length.to_be_bytes()[..], &content].concat()
}

#[test]
fn cod_09_request_headers() {
    for line in lines!("headers.jsonl") {
        let mut out = BytesMut::new();
        RequestHeader {
            api: ApiKey::from_key(int(&line["key"])).expect("an API of ours"),
            version: int(&line["version"]),
            correlation_id: int(&line["correlation_id"]),
            client_id: line["client_id"].as_str(),
        }
        .write(&mut out);
        assert_eq!(out, hex(&line["request_header"]), "{line}");
    }
}

#[test]
fn api_versions_requests() {
    for (version, frame, json) in golden_requests(ApiKey::ApiVersions) {
        let request = ApiVersionsRequest {
            software_name: json["clientSoftwareName"].as_str().unwrap_or_default(),
            software_version: json["clientSoftwareVersion"].as_str().unwrap_or_default(),
        };
        let mut out = BytesMut::new();
        encode_request(&mut out, &request, version, CORRELATION_ID, CLIENT_ID);
        assert_eq!(out, frame, "v{version} {json}");
    }
}

#[test]
fn init_producer_id_requests() {
    for (version, frame, json) in golden_requests(ApiKey::InitProducerId) {
        let request = InitProducerIdRequest {
            transactional_id: json["transactionalId"].as_str(),
            transaction_timeout_ms: int(&json["transactionTimeoutMs"]),
            producer_id: json.get("producerId").map_or(-1, int),
            producer_epoch: json.get("producerEpoch").map_or(-1, int),
        };
        let mut out = BytesMut::new();
        encode_request(&mut out, &request, version, CORRELATION_ID, CLIENT_ID);
        assert_eq!(out, frame, "v{version} {json}");
    }
}

/// A producer asks by name and for no authorized operations; other golden requests do not apply.
#[test]
fn metadata_requests() {
    let mut versions = std::collections::BTreeSet::new();
    for (version, frame, json) in golden_requests(ApiKey::Metadata) {
        let none = Vec::new();
        let topics = json["topics"].as_array().unwrap_or(&none);
        let by_name = topics.iter().all(|topic| {
            topic["name"].is_string() && topic.get("topicId").is_none_or(|id| uuid(id).is_zero())
        });
        let operations = ["includeClusterAuthorizedOperations", "includeTopicAuthorizedOperations"];
        if !by_name || operations.iter().any(|field| json[field] == true) {
            continue;
        }
        let names: Vec<&str> =
            topics.iter().map(|topic| topic["name"].as_str().expect("checked")).collect();
        let request = MetadataRequest {
            topics: json["topics"].is_array().then_some(&names),
            allow_auto_topic_creation: json["allowAutoTopicCreation"] == true,
        };
        let mut out = BytesMut::new();
        encode_request(&mut out, &request, version, CORRELATION_ID, CLIENT_ID);
        assert_eq!(out, frame, "v{version} {json}");
        versions.insert(version);
    }
    assert!(versions.into_iter().eq(0..=13));
}

/// Requests that a broker understood; also their answers are in the golden exchanges.
#[test]
fn metadata_requests_as_sent_to_a_broker() {
    let mut compared = 0;
    for line in lines!("exchanges.jsonl") {
        if line["source"] != "metadata" {
            continue;
        }
        let version: i16 = int(&line["version"]);
        let (topics, create): (Option<&[&str]>, _) = match line["name"].as_str() {
            Some("existing") => (Some(&["plain", "small"]), true),
            // Before version 4 creation cannot be declined.
            Some("mixed") => (Some(&["compact", "bad/name", "plain"]), false),
            Some("no-topics") => (Some(&[]), true),
            Some("all-topics") => (None, true),
            _ => continue,
        };
        let frame = hex(&line["request"]);
        let id = i32::from_be_bytes(*frame[8..].first_chunk().expect("a header"));
        let request = MetadataRequest { topics, allow_auto_topic_creation: create };
        let mut out = BytesMut::new();
        encode_request(&mut out, &request, version, id, CLIENT_ID);
        assert_eq!(out, frame, "{line}");
        compared += 1;
    }
    assert!(compared >= 3 * 13);
}

/// COD-08: flexible from version 9, topic ids from version 13, bodies out of line or not.
#[test]
fn cod_08_produce_requests() {
    for out_of_line in [false, true] {
        let mut versions = std::collections::BTreeSet::new();
        for (version, frame, json) in golden_requests(ApiKey::Produce) {
            // The scaffold begins with the request before this one.
            let mut scaffold = BytesMut::from(&b"earlier"[..]);
            let (sent, gaps) = write_produce(&mut scaffold, version, &frame, &json, out_of_line);
            assert_eq!(sent, frame.len());
            assert_eq!(fill(&scaffold, &gaps), [b"earlier", &frame[..]].concat(), "{json}");
            versions.insert(version);
        }
        assert!(versions.into_iter().eq(0..=13));
    }
}

/// A body and the number of scaffold bytes that precede it.
type Gap<'a> = (usize, &'a [u8]);

/// Writes the request that `json` describes. The records are not in `json`; they are taken from
/// `frame`, from the place where our request has them.
fn write_produce<'a>(
    scaffold: &mut BytesMut,
    version: i16,
    frame: &'a [u8],
    json: &Value,
    out_of_line: bool,
) -> (usize, Vec<Gap<'a>>) {
    let start = scaffold.len();
    let mut gaps: Vec<Gap<'a>> = Vec::new();
    let topics = array(&json["topicData"]);
    let mut writer = ProduceRequestWriter::begin(
        scaffold,
        version,
        CORRELATION_ID,
        CLIENT_ID,
        json["transactionalId"].as_str(),
        int(&json["acks"]),
        int(&json["timeoutMs"]),
        topics.len(),
    );
    for topic in topics {
        let partitions = array(&topic["partitionData"]);
        let name = topic["name"].as_str().unwrap_or("not sent");
        let id = topic.get("topicId").map_or(Uuid([9; 16]), uuid);
        assert_eq!(topic.get("topicId").is_some(), version >= TOPIC_IDS_FROM);
        writer.topic(name, id, partitions.len());
        for partition in partitions {
            let index = int(&partition["index"]);
            if partition.get("records").is_some_and(Value::is_null) {
                null_partition(&mut writer, version, index);
                continue;
            }
            let size = int(&partition["recordsSizeInBytes"]);
            writer.partition(index, size);
            let at =
                writer.scaffold().len() - start + gaps.iter().map(|g| g.1.len()).sum::<usize>();
            let records = &frame[at..at + size];
            let inline = if out_of_line { BATCH_HEADER.min(size) } else { size };
            writer.scaffold().put_slice(&records[..inline]);
            if inline < size {
                gaps.push((writer.body(size - inline), &records[inline..]));
            }
            writer.end_partition();
        }
        writer.end_topic();
    }
    (writer.finish(), gaps)
}

/// A partition whose records are null, which the protocol allows and no producer sends.
fn null_partition(writer: &mut ProduceRequestWriter<'_>, version: i16, index: i32) {
    let flexible = ApiKey::Produce.is_flexible(version);
    writer.partition(index, 0);
    let out = writer.scaffold();
    out.truncate(out.len() - if flexible { 1 } else { 4 });
    Writer::new(out, flexible).length(None);
    writer.end_partition();
}

/// What goes over the wire: the scaffold with the bodies in its gaps.
fn fill(scaffold: &[u8], gaps: &[Gap<'_>]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut from = 0;
    for &(at, body) in gaps {
        wire.extend_from_slice(&scaffold[from..at]);
        wire.extend_from_slice(body);
        from = at;
    }
    wire.extend_from_slice(&scaffold[from..]);
    wire
}
