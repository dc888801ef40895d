//! ApiVersions, Metadata and InitProducerId.

use super::dispatch::Outcome;
use super::observe::ReceivedRequest;
use super::rule::{Fired, Moment};
use super::topic::PartitionImage;
use super::{Cluster, TopicConfig};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, MetadataResponse, ResponseKind, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use producer_proto::Uuid;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Longest topic name that Kafka takes.
const MAX_TOPIC_NAME: usize = 249;

impl Cluster {
    pub(super) fn api_versions(
        &self,
        request: &ReceivedRequest,
        body: &ApiVersionsRequest,
        supported: bool,
        fired: &[Fired],
    ) -> Outcome {
        let mut response = ApiVersionsResponse::default();
        let listed = |key: i16| {
            let broker = self.brokers.get(&request.broker)?;
            broker.versions.get(&key).map(|&(min, max)| api_version(key, min, max))
        };
        if let Some(code) = forced_error(fired) {
            response.error_code = code;
        } else if !supported {
            response.error_code = ResponseError::UnsupportedVersion.code();
            response.api_keys.extend(listed(ApiKey::ApiVersions as i16));
        } else if request.version >= 3
            && !(is_software_name(&body.client_software_name)
                && is_software_name(&body.client_software_version))
        {
            response.error_code = ResponseError::InvalidRequest.code();
        } else if let Some(broker) = self.brokers.get(&request.broker) {
            response.api_keys.extend(broker.versions.keys().filter_map(|key| listed(*key)));
        }
        Outcome::Answer(Box::new(ResponseKind::ApiVersions(response)))
    }

    pub(super) fn init_producer_id(
        &mut self,
        request: &InitProducerIdRequest,
        fired: &[Fired],
    ) -> Outcome {
        let refuse = |code| {
            InitProducerIdResponse::default()
                .with_error_code(code)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1)
        };
        let forced = fired.iter().find_map(|f| f.effects.error);
        let response = match (forced, &request.transactional_id) {
            (Some((code, Moment::Before)), _) if code != 0 => refuse(code),
            _ if (request.producer_id.0 == -1) != (request.producer_epoch == -1) => {
                refuse(ResponseError::InvalidRequest.code())
            }
            (_, Some(id)) if id.is_empty() => refuse(ResponseError::InvalidRequest.code()),
            // No transaction coordinator lives here.
            (_, Some(_)) => refuse(ResponseError::CoordinatorNotAvailable.code()),
            (forced, None) => {
                let id = self.next_producer_id;
                self.next_producer_id = id.saturating_add(1);
                match forced {
                    Some((code, _)) if code != 0 => refuse(code),
                    // Given ids and epochs mean nothing without a transactional id.
                    _ => InitProducerIdResponse::default().with_producer_id(id.into()),
                }
            }
        };
        Outcome::Answer(Box::new(ResponseKind::InitProducerId(response)))
    }

    pub(super) fn metadata(
        &mut self,
        request: &ReceivedRequest,
        body: MetadataRequest,
        fired: &[Fired],
    ) -> Outcome {
        let version = request.version;
        let wanted = match body.topics {
            Some(topics) if version > 0 || !topics.is_empty() => topics,
            _ => self.all_topics(request.broker),
        };
        if wanted.iter().any(|t| t.name.is_none() && t.topic_id.is_nil()) {
            return Outcome::Answer(Box::new(ResponseKind::Metadata(nameless_topic(version))));
        }
        // Of ids and names in one request only the ids are answered, as by a real broker.
        let by_id = wanted.iter().any(|topic| !topic.topic_id.is_nil());
        let may_create =
            self.config.auto_create_topics && (version < 4 || body.allow_auto_topic_creation);
        let (mut known, mut unknown, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for topic in wanted.into_iter().filter(|topic| !by_id || !topic.topic_id.is_nil()) {
            let id = Uuid(*topic.topic_id.as_bytes());
            let name = match &topic.name {
                Some(name) => Some(name.to_string()),
                None => self.topic_name_told(request.broker, id).map(|name| name.to_string()),
            };
            if !seen.insert((name.clone(), id)) {
                continue;
            }
            let forced = forced_topic_error(fired, name.as_deref().unwrap_or_default());
            if forced == Forced::Omit {
                continue;
            }
            let before = matches!(forced, Forced::Error(_, Moment::Before));
            let mut answer = self.topic_answer(request.broker, name, id, may_create && !before);
            if let Forced::Error(code, _) = forced {
                answer.error_code = code;
                answer.partitions.clear();
            }
            match answer.error_code {
                0 => known.push(answer),
                _ => unknown.push(answer),
            }
        }
        if self.config.shuffle_answers {
            known.reverse();
        }
        known.append(&mut unknown);
        let brokers: Vec<_> = self.brokers().into_iter().map(broker_answer).collect();
        let mut response = MetadataResponse::default()
            .with_controller_id(brokers.first().map_or(BrokerId(-1), |b| b.node_id))
            .with_brokers(brokers)
            .with_topics(known);
        if version >= 2 {
            response.cluster_id = Some(StrBytes::from_static_str("producer-sim"));
        }
        if version >= 13 {
            response.error_code = forced_rebootstrap(fired).unwrap_or(0);
        }
        Outcome::Answer(Box::new(ResponseKind::Metadata(response)))
    }

    fn all_topics(&self, broker: i32) -> Vec<MetadataRequestTopic> {
        let names: Vec<&Arc<str>> = match self.brokers.get(&broker).and_then(|b| b.told()) {
            Some(view) => view.keys().collect(),
            None => self.topics.iter().filter(|(_, t)| !t.hidden).map(|(name, _)| name).collect(),
        };
        let by_name =
            |name: &Arc<str>| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        names.into_iter().map(by_name).collect()
    }

    /// The topic of this id, as a broker tells it.
    fn topic_name_told(&self, broker: i32, id: Uuid) -> Option<Arc<str>> {
        match self.brokers.get(&broker).and_then(|b| b.told()) {
            Some(view) => view.iter().find(|(_, t)| t.0 == id).map(|(name, _)| Arc::clone(name)),
            None => self.topic_name(id),
        }
    }

    /// What a broker believes about a topic.
    fn image(&self, broker: i32, name: &str) -> Option<(Uuid, Vec<&PartitionImage>)> {
        if let Some(view) = self.brokers.get(&broker).and_then(|b| b.told()) {
            let (id, partitions) = &**view.get(name)?;
            return Some((*id, partitions.iter().collect()));
        }
        let topic = self.topics.get(name).filter(|topic| !topic.hidden)?;
        Some((topic.id, topic.partitions.iter().map(|p| &p.image).collect()))
    }

    fn topic_answer(
        &mut self,
        broker: i32,
        name: Option<String>,
        id: Uuid,
        may_create: bool,
    ) -> MetadataResponseTopic {
        let refuse = |error: ResponseError| {
            MetadataResponseTopic::default()
                .with_error_code(error.code())
                .with_name(name.as_deref().map(topic_name))
                .with_topic_id(uuid::Uuid::from_bytes(id.0))
        };
        let Some(known_name) = name.as_deref() else {
            return refuse(ResponseError::UnknownTopicId);
        };
        if !is_topic_name(known_name) {
            return refuse(ResponseError::InvalidTopicException);
        }
        let Some((topic_id, partitions)) = self.image(broker, known_name) else {
            let answer = refuse(ResponseError::UnknownTopicOrPartition);
            if may_create && !self.topics.contains_key(known_name) {
                let config: TopicConfig = self.config.auto_create.clone();
                self.create_topic(known_name, config);
            }
            return answer;
        };
        let partitions = partitions.into_iter().zip(0..);
        let mut partitions: Vec<_> =
            partitions.map(|(image, index)| self.partition_answer(index, image)).collect();
        if self.config.shuffle_answers {
            partitions.reverse();
        }
        MetadataResponseTopic::default()
            .with_name(Some(topic_name(known_name)))
            .with_topic_id(uuid::Uuid::from_bytes(topic_id.0))
            .with_partitions(partitions)
    }

    fn partition_answer(&self, index: i32, image: &PartitionImage) -> MetadataResponsePartition {
        let up = |id: &i32| self.brokers.get(id).is_some_and(|broker| broker.up && !broker.fenced);
        let leader = image.leader.filter(up);
        let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
        let error = match leader {
            Some(_) => 0,
            None => ResponseError::LeaderNotAvailable.code(),
        };
        MetadataResponsePartition::default()
            .with_error_code(error)
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader.unwrap_or(-1)))
            .with_leader_epoch(image.leader_epoch)
            .with_replica_nodes(ids(&image.replicas))
            .with_isr_nodes(ids(&image.isr))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Forced {
    Nothing,
    Omit,
    Error(i16, Moment),
}

fn forced_topic_error(fired: &[Fired], name: &str) -> Forced {
    for f in fired.iter().filter(|f| f.is_about_topic(name)) {
        if f.effects.omit {
            return Forced::Omit;
        }
        match f.effects.error {
            Some((code, moment)) if !is_rebootstrap(code) => return Forced::Error(code, moment),
            _ => {}
        }
    }
    Forced::Nothing
}

fn forced_error(fired: &[Fired]) -> Option<i16> {
    fired.iter().find_map(|f| f.effects.error).map(|(code, _)| code).filter(|code| *code != 0)
}

/// Of all errors only this one stands at the top of a Metadata answer (KIP-1102).
fn is_rebootstrap(code: i16) -> bool {
    code == ResponseError::RebootstrapRequired.code()
}

fn forced_rebootstrap(fired: &[Fired]) -> Option<i16> {
    forced_error(fired).filter(|code| is_rebootstrap(*code))
}

fn nameless_topic(version: i16) -> MetadataResponse {
    let code = ResponseError::UnknownServerError.code();
    let topic = MetadataResponseTopic::default()
        .with_error_code(code)
        .with_name(Some(TopicName::default()));
    let top = if version >= 13 { code } else { 0 };
    MetadataResponse::default()
        .with_controller_id(BrokerId(-1))
        .with_topics(vec![topic])
        .with_error_code(top)
}

fn api_version(key: i16, min: i16, max: i16) -> ApiVersion {
    ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
}

fn broker_answer(spec: &super::BrokerSpec) -> MetadataResponseBroker {
    MetadataResponseBroker::default()
        .with_node_id(BrokerId(spec.id))
        .with_host(StrBytes::from_string(spec.host.clone()))
        .with_port(i32::from(spec.port))
        .with_rack(spec.rack.clone().map(StrBytes::from_string))
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn is_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_TOPIC_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// KIP-511: letters, digits, dots and hyphens, beginning and ending with a letter or digit.
fn is_software_name(name: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}
