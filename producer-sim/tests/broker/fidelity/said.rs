//! An answer as text, field by field, without what must differ between two brokers: ids, instants,
//! the words of messages, and topics and APIs that are not the scripts'.

use super::target::Reply;
use crate::client::decode;
use kafka_protocol::messages::{
    ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};
use producer_sim::{ApiKey, ResponseKind, Uuid};
use std::collections::BTreeMap;

/// The APIs that are simulated.
const SIMULATED: [i16; 4] = [
    ApiKey::Produce as i16,
    ApiKey::Metadata as i16,
    ApiKey::ApiVersions as i16,
    ApiKey::InitProducerId as i16,
];

/// Topics by name and id, and what is added to each name to make it new.
pub(super) struct Names {
    pub(super) suffix: String,
    ids: BTreeMap<String, Uuid>,
}

impl Names {
    pub(super) fn new(suffix: String, ids: BTreeMap<String, Uuid>) -> Self {
        Self { suffix, ids }
    }

    /// The full name of a script's topic.
    pub(super) fn full(&self, name: &str) -> String {
        format!("fidelity-{name}{}", self.suffix)
    }

    pub(super) fn id(&self, name: &str) -> Uuid {
        self.ids[&self.full(name)]
    }

    /// A name without its suffix; ids that the scripts' topics have, by their names.
    fn short(&self, name: Option<&str>, id: uuid::Uuid) -> String {
        let stripped = name.map(|name| name.strip_suffix(&self.suffix).unwrap_or(name));
        let known = self.ids.iter().find(|(_, known)| known.0 == *id.as_bytes());
        let known = known.map(|(name, _)| name.strip_suffix(&self.suffix).unwrap_or(name));
        let id = match (id.is_nil(), known) {
            (true, _) => "no id".to_owned(),
            (false, Some(known)) => format!("id of {known}"),
            (false, None) if id.as_bytes()[0] == 0xee => "id of nothing".to_owned(),
            (false, None) => "some id".to_owned(),
        };
        format!("{stripped:?} ({id})")
    }
}

/// What a broker said, in lines; `batch_time` is the timestamp that batches of the script have.
pub(super) fn said(
    api: ApiKey,
    version: i16,
    reply: &Reply,
    names: &Names,
    batch_time: i64,
) -> Vec<String> {
    let frame = match reply {
        Reply::Frame(frame) => frame,
        other => return vec![format!("{other:?}")],
    };
    match decode(api, version, frame).1 {
        ResponseKind::Produce(r) => produce(&r, names, batch_time),
        ResponseKind::Metadata(r) => metadata(&r, names),
        ResponseKind::ApiVersions(r) => api_versions(&r),
        ResponseKind::InitProducerId(r) => init_producer_id(&r),
        other => panic!("{other:?}"),
    }
}

fn produce(response: &ProduceResponse, names: &Names, batch_time: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for topic in &response.responses {
        let name = names.short(Some(topic.name.as_str()), topic.topic_id);
        for p in &topic.partition_responses {
            let time = match p.log_append_time_ms {
                -1 => "none",
                time if time == batch_time => "the batch's",
                _ => "the broker's",
            };
            let errors: Vec<_> = p
                .record_errors
                .iter()
                .map(|e| (e.batch_index, e.batch_index_error_message.is_some()))
                .collect();
            lines.push(format!(
                "{name} {}: error {} offset {} time {time} start {} record errors {errors:?} \
                 message {} leader {} epoch {}",
                p.index,
                p.error_code,
                p.base_offset,
                p.log_start_offset,
                p.error_message.is_some(),
                p.current_leader.leader_id.0,
                p.current_leader.leader_epoch,
            ));
        }
        if topic.partition_responses.is_empty() {
            lines.push(format!("{name}: nothing"));
        }
    }
    // Their order is nobody's business.
    lines.sort();
    let endpoints: Vec<_> = response.node_endpoints.iter().map(|node| node.node_id.0).collect();
    lines.push(format!("throttle {} endpoints {endpoints:?}", response.throttle_time_ms));
    lines
}

fn metadata(response: &MetadataResponse, names: &Names) -> Vec<String> {
    let mut lines = Vec::new();
    for topic in &response.topics {
        let name = topic.name.as_ref().map(|name| name.as_str());
        // Other tests have topics too.
        if name.is_some_and(|n| n.len() > 9 && !n.contains(&names.suffix) && topic.error_code == 0)
        {
            continue;
        }
        let mut partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| {
                let ids = |ids: &[kafka_protocol::messages::BrokerId]| -> Vec<i32> {
                    ids.iter().map(|id| id.0).collect()
                };
                let (replicas, isr) = (ids(&p.replica_nodes), ids(&p.isr_nodes));
                let offline = ids(&p.offline_replicas);
                let (leader, epoch) = (p.leader_id.0, p.leader_epoch);
                (p.partition_index, p.error_code, leader, epoch, replicas, isr, offline)
            })
            .collect();
        partitions.sort_unstable();
        lines.push(format!(
            "{}: error {} internal {} operations {} partitions {partitions:?}",
            names.short(name, topic.topic_id),
            topic.error_code,
            topic.is_internal,
            topic.topic_authorized_operations,
        ));
    }
    lines.sort();
    let brokers: Vec<_> = response
        .brokers
        .iter()
        .map(|b| (b.node_id.0, b.host.as_str(), b.port, b.rack.is_some()))
        .collect();
    lines.push(format!(
        "brokers {brokers:?} cluster id {} controller {} error {} operations {} throttle {}",
        response.cluster_id.is_some(),
        response.controller_id.0,
        response.error_code,
        response.cluster_authorized_operations,
        response.throttle_time_ms,
    ));
    lines
}

fn api_versions(response: &ApiVersionsResponse) -> Vec<String> {
    let keys = response.api_keys.iter().filter(|key| SIMULATED.contains(&key.api_key));
    let mut keys: Vec<_> = keys.map(|k| (k.api_key, k.min_version, k.max_version)).collect();
    keys.sort_unstable();
    vec![format!(
        "error {} keys {keys:?} throttle {}",
        response.error_code, response.throttle_time_ms
    )]
}

fn init_producer_id(response: &InitProducerIdResponse) -> Vec<String> {
    let id = match response.producer_id.0 {
        -1 => "none",
        id if id >= 0 => "some",
        _ => "nonsense",
    };
    vec![format!(
        "error {} id {id} epoch {} throttle {}",
        response.error_code, response.producer_epoch, response.throttle_time_ms
    )]
}
