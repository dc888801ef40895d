//! Ours writes, the other codec reads.

use super::several;
use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, InitProducerIdRequest, MetadataRequest, ProduceRequest,
    RequestHeader,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion};
use producer_proto::internals::{
    api_versions_request, init_producer_id_request, metadata_request, produce_request,
};

pub(super) fn check(from: &mut Unstructured<'_>) -> Result<()> {
    match from.int_in_range(0..=3)? {
        0 => produce(from),
        1 => metadata(from),
        2 => api_versions(from),
        _ => init_producer_id(from),
    }
}

/// Reads a request to its last byte.
fn read<R: Decodable + HeaderVersion>(
    api: ApiKey,
    version: i16,
    correlation: i32,
    client: Option<&str>,
    frame: Vec<u8>,
) -> R {
    let mut rest = Bytes::from(frame);
    let length = rest.split_to(4);
    assert_eq!(&length[..], (rest.len() as i32).to_be_bytes(), "length of the frame");
    let header = RequestHeader::decode(&mut rest, R::header_version(version)).expect("a header");
    assert_eq!((header.request_api_key, header.request_api_version), (api as i16, version));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (correlation, client));
    let request = R::decode(&mut rest, version).expect("a request");
    assert!(rest.is_empty(), "{} bytes behind the request", rest.len());
    request
}

type Topic = (String, [u8; 16], Vec<(i32, Vec<u8>)>);

fn produce(from: &mut Unstructured<'_>) -> Result<()> {
    let version = from.int_in_range(3..=13)?;
    let correlation = from.arbitrary()?;
    let (acks, timeout) = (from.arbitrary()?, from.arbitrary()?);
    let transactional_id: Option<String> = from.arbitrary()?;
    let topics: Vec<Topic> = several(from, |from| {
        let (name, id) = (from.arbitrary()?, from.arbitrary()?);
        let partitions = several(from, |from| Ok((from.arbitrary()?, from.arbitrary()?)))?;
        Ok((name, id, partitions))
    })?;
    let borrowed: Vec<_> = topics
        .iter()
        .map(|(name, id, partitions)| {
            let partitions = partitions.iter().map(|(index, records)| (*index, &records[..]));
            (name.as_str(), *id, partitions.collect())
        })
        .collect();
    let id = transactional_id.as_deref();
    let frame = produce_request(version, correlation, (acks, timeout), id, &borrowed);
    let request: ProduceRequest =
        read(ApiKey::Produce, version, correlation, Some("client"), frame);
    assert_eq!((request.acks, request.timeout_ms), (acks, timeout));
    assert_eq!(request.transactional_id.as_ref().map(|id| &*id.0), id.map(AsRef::as_ref));
    assert_eq!(request.topic_data.len(), topics.len());
    for (found, (name, id, partitions)) in request.topic_data.iter().zip(&topics) {
        if version >= 13 {
            assert_eq!(found.topic_id.as_bytes(), id);
        } else {
            assert_eq!(&**found.name, name);
        }
        let found = found.partition_data.iter();
        let found = found.map(|data| (data.index, data.records.clone().expect("records").to_vec()));
        assert!(found.eq(partitions.iter().cloned()), "{partitions:?}");
    }
    Ok(())
}

fn metadata(from: &mut Unstructured<'_>) -> Result<()> {
    let version = from.int_in_range(0..=13)?;
    let (correlation, creates) = (from.arbitrary()?, from.arbitrary()?);
    let client: Option<String> = from.arbitrary()?;
    let topics: Option<Vec<String>> =
        if from.arbitrary()? { Some(several(from, |from| from.arbitrary())?) } else { None };
    let names: Option<Vec<&str>> =
        topics.as_ref().map(|topics| topics.iter().map(String::as_str).collect());
    let client = client.as_deref();
    let frame = metadata_request(version, correlation, client, names.as_deref(), creates);
    let request: MetadataRequest = read(ApiKey::Metadata, version, correlation, client, frame);
    let found = request.topics.map(|topics| {
        let name = |topic: kafka_protocol::messages::metadata_request::MetadataRequestTopic| {
            assert!(topic.topic_id.is_nil(), "topics are asked for by name");
            topic.name.expect("a name").to_string()
        };
        topics.into_iter().map(name).collect::<Vec<_>>()
    });
    // Version 0 has no null: there, nothing means every topic.
    let expected = if version == 0 { Some(topics.unwrap_or_default()) } else { topics };
    assert_eq!(found, expected);
    assert_eq!(request.allow_auto_topic_creation, creates || version < 4);
    let operations = (
        request.include_cluster_authorized_operations,
        request.include_topic_authorized_operations,
    );
    assert_eq!(operations, (false, false));
    Ok(())
}

fn api_versions(from: &mut Unstructured<'_>) -> Result<()> {
    let version = from.int_in_range(0..=4)?;
    let correlation = from.arbitrary()?;
    let (name, software): (String, String) = (from.arbitrary()?, from.arbitrary()?);
    let frame = api_versions_request(version, correlation, &name, &software);
    let request: ApiVersionsRequest =
        read(ApiKey::ApiVersions, version, correlation, Some(&name), frame);
    if version >= 3 {
        assert_eq!(&*request.client_software_name, name);
        assert_eq!(&*request.client_software_version, software);
    }
    Ok(())
}

fn init_producer_id(from: &mut Unstructured<'_>) -> Result<()> {
    let version = from.int_in_range(0..=5)?;
    let (correlation, timeout) = (from.arbitrary()?, from.arbitrary()?);
    let stamp: (i64, i16) = (from.arbitrary()?, from.arbitrary()?);
    let id: Option<String> = from.arbitrary()?;
    let frame = init_producer_id_request(version, correlation, id.as_deref(), timeout, stamp);
    let request: InitProducerIdRequest =
        read(ApiKey::InitProducerId, version, correlation, None, frame);
    assert_eq!(request.transactional_id.map(|id| id.to_string()), id);
    assert_eq!(request.transaction_timeout_ms, timeout);
    if version >= 3 {
        assert_eq!((*request.producer_id, request.producer_epoch), stamp);
    }
    Ok(())
}
