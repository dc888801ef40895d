//! Our responses and the library's JSON in one form, so that they can be compared.

use serde_json::{Value, json};

use super::golden::{array, uuid_text};
use crate::wire::api_versions::ApiVersionsResponse;
use crate::wire::header::ApiKey;
use crate::wire::init_producer_id::InitProducerIdResponse;
use crate::wire::metadata::MetadataResponse;
use crate::wire::primitives::{DecodeError, Span};
use crate::wire::produce_response::{ProduceResponse, TopicRef};

/// What Metadata and Produce responses hold that a producer has no use for.
const SKIPPED: [&str; 7] = [
    "rack",
    "isInternal",
    "replicaNodes",
    "isrNodes",
    "offlineReplicas",
    "topicAuthorizedOperations",
    "clusterAuthorizedOperations",
];

/// Decodes a response body with our codec.
pub(super) fn decode(api: ApiKey, version: i16, body: &[u8]) -> Result<Value, DecodeError> {
    Ok(match api {
        ApiKey::Produce => {
            let mut response = ProduceResponse::default();
            response.decode_into(body, version)?;
            produce(&response, version, body)
        }
        ApiKey::Metadata => metadata(&MetadataResponse::decode(body, version)?, version),
        ApiKey::ApiVersions => api_versions(&ApiVersionsResponse::decode(body, version)?),
        ApiKey::InitProducerId => {
            let response = InitProducerIdResponse::decode(body, version)?;
            json!({
                "throttleTimeMs": response.throttle_ms,
                "errorCode": response.error_code,
                "producerId": response.producer_id,
                "producerEpoch": response.producer_epoch,
            })
        }
    })
}

/// What [`decode`] has to give for a response that the library shows as `json`.
pub(super) fn expected(api: ApiKey, version: i16, json: &Value) -> Value {
    let mut json = json.clone();
    remove_fields(&mut json, &SKIPPED);
    match api {
        ApiKey::Produce => {
            let topics = json["responses"].take();
            json["responses"] = flat_partitions(&topics);
        }
        ApiKey::Metadata if version < 9 => remove_fields(&mut json, &["leaderEpoch"]),
        ApiKey::ApiVersions => return expected_api_versions(&json),
        _ => {}
    }
    json
}

fn remove_fields(json: &mut Value, names: &[&str]) {
    match json {
        Value::Array(values) => values.iter_mut().for_each(|value| remove_fields(value, names)),
        Value::Object(fields) => {
            fields.retain(|name, _| !names.contains(&name.as_str()));
            fields.values_mut().for_each(|value| remove_fields(value, names));
        }
        _ => {}
    }
}

/// The partitions of all topics in one list, each with its topic's name or id.
fn flat_partitions(topics: &Value) -> Value {
    let mut flat = Vec::new();
    for topic in array(topics) {
        for partition in array(&topic["partitionResponses"]) {
            let mut partition = partition.clone();
            for key in ["name", "topicId"] {
                if let Some(value) = topic.get(key) {
                    partition[key] = value.clone();
                }
            }
            flat.push(partition);
        }
    }
    Value::Array(flat)
}

fn produce(response: &ProduceResponse, version: i16, body: &[u8]) -> Value {
    let text = |span: Option<Span>| span.map(|span| span.text_lossy(body).into_owned());
    let mut partitions = Vec::new();
    for partition in &response.partitions {
        let mut json = json!({
            "index": partition.index,
            "errorCode": partition.error,
            "baseOffset": partition.base_offset,
        });
        if version >= 2 {
            json["logAppendTimeMs"] = partition.log_append_time.into();
        } else {
            assert_eq!(partition.log_append_time, -1);
        }
        match partition.topic {
            TopicRef::Name(name) => json["name"] = text(Some(name)).into(),
            TopicRef::Id(id) => json["topicId"] = uuid_text(id).into(),
        }
        if version >= 5 {
            json["logStartOffset"] = partition.log_start_offset.into();
        } else {
            assert_eq!(partition.log_start_offset, -1);
        }
        let errors = response.record_errors_of(partition);
        if version >= 8 {
            let errors = errors.iter().map(|error| {
                json!({
                    "batchIndex": error.batch_index,
                    "batchIndexErrorMessage": text(error.message),
                })
            });
            json["recordErrors"] = errors.collect();
            json["errorMessage"] = text(partition.error_message).into();
        } else {
            assert!(errors.is_empty() && partition.error_message.is_none());
        }
        if (partition.leader_id, partition.leader_epoch) != (-1, -1) {
            json["currentLeader"] = json!({
                "leaderId": partition.leader_id,
                "leaderEpoch": partition.leader_epoch,
            });
        }
        partitions.push(json);
    }
    let mut json = json!({ "responses": partitions });
    if version >= 1 {
        json["throttleTimeMs"] = response.throttle_ms.into();
    }
    if !response.node_endpoints.is_empty() {
        let endpoints = response
            .node_endpoints
            .iter()
            .map(|node| json!({ "nodeId": node.node_id, "host": &*node.host, "port": node.port }));
        json["nodeEndpoints"] = endpoints.collect();
    }
    json
}

fn metadata(response: &MetadataResponse, version: i16) -> Value {
    let brokers = response.brokers.iter().map(
        |broker| json!({ "nodeId": broker.node_id, "host": &*broker.host, "port": broker.port }),
    );
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let mut json = json!({
                "errorCode": partition.error_code,
                "partitionIndex": partition.index,
                "leaderId": partition.leader,
            });
            if version >= 9 {
                json["leaderEpoch"] = partition.leader_epoch.into();
            } else {
                assert_eq!(partition.leader_epoch, -1, "trusted too early");
            }
            json
        });
        let partitions: Value = partitions.collect();
        let mut json = json!({
            "errorCode": topic.error_code,
            "name": topic.name,
            "partitions": partitions,
        });
        if version >= 10 {
            json["topicId"] = uuid_text(topic.topic_id).into();
        }
        json
    });
    let mut json = json!({});
    if version >= 1 {
        json["controllerId"] = response.controller_id.into();
    }
    json["brokers"] = brokers.collect();
    json["topics"] = topics.collect();
    if version >= 2 {
        json["clusterId"] = response.cluster_id.clone().into();
    }
    if version >= 3 {
        json["throttleTimeMs"] = response.throttle_ms.into();
    }
    if version >= 13 {
        json["errorCode"] = response.error_code.into();
    }
    assert_eq!(response.refused, 0);
    json
}

fn api_versions(response: &ApiVersionsResponse) -> Value {
    let ranges = ApiKey::ALL.map(|api| response.versions.range(api));
    let features = response.finalized_features.iter().map(|feature| (&feature.name, feature.level));
    json!({
        "errorCode": response.error_code,
        "ranges": ranges,
        "throttleTimeMs": response.throttle_ms,
        "epoch": response.finalized_features_epoch,
        "features": features.collect::<Vec<_>>(),
    })
}

fn expected_api_versions(json: &Value) -> Value {
    let ranges = ApiKey::ALL.map(|api| {
        let mut listed = array(&json["apiKeys"]).iter().filter(|key| key["apiKey"] == api.key());
        let range = listed.next().map(|key| (key["minVersion"].clone(), key["maxVersion"].clone()));
        assert!(listed.next().is_none(), "golden keys are distinct");
        range
    });
    let none = Vec::new();
    let features = json["finalizedFeatures"].as_array().unwrap_or(&none);
    let features: Vec<_> =
        features.iter().map(|feature| (&feature["name"], &feature["maxVersionLevel"])).collect();
    json!({
        "errorCode": json["errorCode"],
        "ranges": ranges,
        "throttleTimeMs": json.get("throttleTimeMs").unwrap_or(&json!(0)),
        "epoch": json.get("finalizedFeaturesEpoch").unwrap_or(&json!(-1)),
        "features": features,
    })
}
