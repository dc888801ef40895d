//! The other codec writes, ours reads.

use super::{maybe_text, several, text};
use arbitrary::{Result, Unstructured};
use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
    ResponseHeader,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use producer_proto::internals::{APIS, describe_frame};
use uuid::Uuid;

pub(super) fn check(from: &mut Unstructured<'_>) -> Result<()> {
    let correlation = from.arbitrary()?;
    let mut lines = vec![format!("correlation {correlation}")];
    match from.int_in_range(0..=3)? {
        0 => {
            let version = from.int_in_range(3..=13)?;
            let response = produce(from, version, &mut lines)?;
            assert_read(ApiKey::Produce, version, correlation, &response, &lines);
        }
        1 => {
            let version = from.int_in_range(0..=13)?;
            let response = metadata(from, version, &mut lines)?;
            assert_read(ApiKey::Metadata, version, correlation, &response, &lines);
        }
        2 => {
            let version = from.int_in_range(0..=4)?;
            let response = api_versions(from, version, &mut lines)?;
            assert_read(ApiKey::ApiVersions, version, correlation, &response, &lines);
        }
        _ => {
            let version = from.int_in_range(0..=5)?;
            let response = init_producer_id(from, &mut lines)?;
            assert_read(ApiKey::InitProducerId, version, correlation, &response, &lines);
        }
    }
    Ok(())
}

fn assert_read<R: Encodable + HeaderVersion + std::fmt::Debug>(
    api: ApiKey,
    version: i16,
    correlation: i32,
    response: &R,
    expected: &[String],
) {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut frame, R::header_version(version)).expect("a header");
    response.encode(&mut frame, version).expect("fields that this version has");
    let read = describe_frame(api as i16, version, &frame);
    assert_eq!(read.as_deref(), Ok(expected), "{response:?}, version {version}");
    frame.put_u8(0);
    assert!(describe_frame(api as i16, version, &frame).is_err(), "a byte behind {response:?}");
}

/// A value that this version has, or the one that stands for it.
fn since<T>(has: bool, otherwise: T, value: impl FnOnce() -> Result<T>) -> Result<T> {
    if has { value() } else { Ok(otherwise) }
}

fn produce(
    from: &mut Unstructured<'_>,
    version: i16,
    lines: &mut Vec<String>,
) -> Result<ProduceResponse> {
    let throttle = from.arbitrary()?;
    lines.push(format!("throttle {throttle}"));
    let topics = several(from, |from| produce_topic(from, version, lines))?;
    let nodes = since(version >= 10, Vec::new(), || {
        several(from, |from| {
            let (id, port): (i32, i32) = (from.arbitrary()?, from.arbitrary()?);
            let host = text(from)?;
            lines.push(format!("node {id} {:?} {port}", &*host));
            let node = NodeEndpoint::default().with_node_id(id.into()).with_port(port);
            Ok(node.with_host(host).with_rack(maybe_text(from)?))
        })
    })?;
    let response = ProduceResponse::default().with_responses(topics);
    Ok(response.with_throttle_time_ms(throttle).with_node_endpoints(nodes))
}

fn produce_topic(
    from: &mut Unstructured<'_>,
    version: i16,
    lines: &mut Vec<String>,
) -> Result<TopicProduceResponse> {
    let mut topic = TopicProduceResponse::default();
    let shown = if version >= 13 {
        let id: [u8; 16] = from.arbitrary()?;
        topic.topic_id = Uuid::from_bytes(id);
        format!("{id:?}")
    } else {
        let name = text(from)?;
        topic.name = name.clone().into();
        format!("{:?}", &*name)
    };
    topic.partition_responses = several(from, |from| {
        let index: i32 = from.arbitrary()?;
        let error: i16 = from.arbitrary()?;
        let (base, time): (i64, i64) = (from.arbitrary()?, from.arbitrary()?);
        let start = since(version >= 5, -1, || from.arbitrary())?;
        let errors = since(version >= 8, Vec::new(), || {
            several(from, |from| Ok((from.arbitrary::<i32>()?, maybe_text(from)?)))
        })?;
        let message = since(version >= 8, None, || maybe_text(from))?;
        let (leader, epoch): (i32, i32) =
            since(version >= 10, (-1, -1), || Ok((from.arbitrary()?, from.arbitrary()?)))?;
        lines.push(format!(
            "{shown} {index} error {error} base {base} time {time} start {start} leader {leader} \
             {epoch} message {:?}",
            message.as_deref()
        ));
        let mut record_errors = Vec::new();
        for (index, message) in errors {
            lines.push(format!("record {index} {:?}", message.as_deref()));
            let record = BatchIndexAndErrorMessage::default().with_batch_index(index);
            record_errors.push(record.with_batch_index_error_message(message));
        }
        let current = LeaderIdAndEpoch::default();
        let current = current.with_leader_id(leader.into()).with_leader_epoch(epoch);
        Ok(PartitionProduceResponse::default()
            .with_index(index)
            .with_error_code(error)
            .with_base_offset(base)
            .with_log_append_time_ms(time)
            .with_log_start_offset(start)
            .with_record_errors(record_errors)
            .with_error_message(message)
            .with_current_leader(current))
    })?;
    Ok(topic)
}

fn metadata(
    from: &mut Unstructured<'_>,
    version: i16,
    lines: &mut Vec<String>,
) -> Result<MetadataResponse> {
    let throttle: i32 = since(version >= 3, 0, || from.arbitrary())?;
    let error: i16 = since(version >= 13, 0, || from.arbitrary())?;
    let cluster = since(version >= 2, None, || maybe_text(from))?;
    let controller: i32 = since(version >= 1, -1, || from.arbitrary())?;
    let shown = cluster.as_deref();
    lines.push(format!(
        "throttle {throttle} error {error} cluster {shown:?} controller {controller}"
    ));
    let brokers = several(from, |from| {
        let (id, port): (i32, i32) = (from.arbitrary()?, from.arbitrary()?);
        let host = text(from)?;
        lines.push(format!("broker {id} {:?} {port}", &*host));
        let rack = since(version >= 1, None, || maybe_text(from))?;
        let broker = MetadataResponseBroker::default().with_node_id(id.into()).with_port(port);
        Ok(broker.with_host(host).with_rack(rack))
    })?;
    let topics = several(from, |from| metadata_topic(from, version, lines))?;
    lines.push("refused 0".to_owned());
    let mut response = MetadataResponse::default()
        .with_throttle_time_ms(throttle)
        .with_error_code(error)
        .with_cluster_id(cluster)
        .with_controller_id(controller.into())
        .with_brokers(brokers)
        .with_topics(topics);
    if (8..=10).contains(&version) {
        response.cluster_authorized_operations = from.arbitrary()?;
    }
    Ok(response)
}

fn metadata_topic(
    from: &mut Unstructured<'_>,
    version: i16,
    lines: &mut Vec<String>,
) -> Result<MetadataResponseTopic> {
    let error: i16 = from.arbitrary()?;
    let is_named = version < 12 || from.arbitrary()?;
    let name: Option<StrBytes> = since(is_named, None, || text(from).map(Some))?;
    let id: [u8; 16] = since(version >= 10, [0; 16], || from.arbitrary())?;
    lines.push(format!("topic {:?} {id:?} error {error}", name.as_deref()));
    let mut topic = MetadataResponseTopic::default()
        .with_error_code(error)
        .with_name(name.map(Into::into))
        .with_topic_id(Uuid::from_bytes(id));
    topic.partitions = several(from, |from| {
        let (error, index): (i16, i32) = (from.arbitrary()?, from.arbitrary()?);
        let leader: i32 = from.arbitrary()?;
        let epoch: i32 = since(version >= 7, -1, || from.arbitrary())?;
        let mut replicas = |has| {
            since(has, Vec::new(), || several(from, |from| Ok(from.arbitrary::<i32>()?.into())))
        };
        let (all, in_sync, offline) = (replicas(true)?, replicas(true)?, replicas(version >= 5)?);
        let trusted = if version >= 9 { epoch } else { -1 };
        lines.push(format!("partition {index} error {error} leader {leader} epoch {trusted}"));
        let partition = MetadataResponsePartition::default().with_error_code(error);
        Ok(partition
            .with_partition_index(index)
            .with_leader_id(leader.into())
            .with_leader_epoch(epoch)
            .with_replica_nodes(all)
            .with_isr_nodes(in_sync)
            .with_offline_replicas(offline))
    })?;
    if version >= 1 {
        topic.is_internal = from.arbitrary()?;
    }
    if version >= 8 {
        topic.topic_authorized_operations = from.arbitrary()?;
    }
    Ok(topic)
}

fn api_versions(
    from: &mut Unstructured<'_>,
    version: i16,
    lines: &mut Vec<String>,
) -> Result<ApiVersionsResponse> {
    // Code 35 is answered in version 0, whatever was asked.
    let error: i16 = from.arbitrary().map(|code| if code == 35 { 36 } else { code })?;
    let throttle: i32 = since(version >= 1, 0, || from.arbitrary())?;
    let epoch: i64 = since(version >= 3, -1, || from.arbitrary())?;
    lines.push(format!("throttle {throttle} error {error} epoch {epoch}"));
    let mut keys: Vec<ApiVersion> = Vec::new();
    for (key, ..) in APIS {
        if from.arbitrary()? {
            let (min, max): (i16, i16) = (from.arbitrary()?, from.arbitrary()?);
            lines.push(format!("api {key} {min} {max}"));
            let api = ApiVersion::default().with_api_key(key);
            keys.push(api.with_min_version(min).with_max_version(max));
        }
        // An API that nobody asked about.
        keys.push(ApiVersion::default().with_api_key(1).with_max_version(from.arbitrary()?));
    }
    let features = since(version >= 3, Vec::new(), || {
        several(from, |from| {
            let (name, level): (StrBytes, i16) = (text(from)?, from.arbitrary()?);
            lines.push(format!("feature {:?} {level}", &*name));
            let feature = FinalizedFeatureKey::default().with_name(name);
            Ok(feature.with_max_version_level(level).with_min_version_level(from.arbitrary()?))
        })
    })?;
    Ok(ApiVersionsResponse::default()
        .with_error_code(error)
        .with_throttle_time_ms(throttle)
        .with_finalized_features_epoch(epoch)
        .with_api_keys(keys)
        .with_finalized_features(features))
}

fn init_producer_id(
    from: &mut Unstructured<'_>,
    lines: &mut Vec<String>,
) -> Result<InitProducerIdResponse> {
    let (throttle, error): (i32, i16) = (from.arbitrary()?, from.arbitrary()?);
    let (id, epoch): (i64, i16) = (from.arbitrary()?, from.arbitrary()?);
    lines.push(format!("throttle {throttle} error {error} id {id} epoch {epoch}"));
    let response = InitProducerIdResponse::default().with_error_code(error);
    Ok(response
        .with_throttle_time_ms(throttle)
        .with_producer_id(id.into())
        .with_producer_epoch(epoch))
}
