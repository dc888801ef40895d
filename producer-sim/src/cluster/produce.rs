//! Produce: from a request to appended batches and an answer.

use super::apis::topic_name;
use super::dispatch::Outcome;
use super::observe::ReceivedRequest;
use super::producer_state::Verdict;
use super::refuse::{self, Refusal};
use super::rule::{Effects, Fired, LeaderHint, Moment};
use super::topic::Topic;
use super::{Cluster, Retention};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse, ResponseKind};
use kafka_protocol::protocol::StrBytes;
use producer_proto::{Instant, Uuid};
use std::collections::BTreeMap;

/// From this version on an answer may name the new leader.
const FIRST_LEADER_HINT_VERSION: i16 = 10;
/// From this version on topics are named by id.
const FIRST_TOPIC_ID_VERSION: i16 = 13;

/// What all batches of one request share.
struct Context<'a> {
    broker: i32,
    version: i16,
    acks: i16,
    transactional_id: Option<&'a str>,
    wall_clock: i64,
    retention: Retention,
    hints: bool,
}

impl Cluster {
    pub(super) fn produce(
        &mut self,
        now: Instant,
        request: &ReceivedRequest,
        body: ProduceRequest,
        fired: &[Fired],
    ) -> Outcome {
        let context = Context {
            broker: request.broker,
            version: request.version,
            acks: body.acks,
            transactional_id: body.transactional_id.as_ref().map(|id| id.as_str()),
            wall_clock: self.wall_clock(now),
            retention: self.config.retention,
            hints: self.config.leader_hints && request.version >= FIRST_LEADER_HINT_VERSION,
        };
        let mut topics: Vec<TopicProduceResponse> = Vec::new();
        let mut failed = false;
        for topic in body.topic_data {
            let id = Uuid(*topic.topic_id.as_bytes());
            let by_id = request.version >= FIRST_TOPIC_ID_VERSION;
            let name = match by_id {
                true => self.topic_name(id).unwrap_or_default(),
                false => topic.name.to_string(),
            };
            // Of two entries for one partition only the last counts, as in a real broker.
            let entries: BTreeMap<i32, Option<Bytes>> =
                topic.partition_data.into_iter().map(|data| (data.index, data.records)).collect();
            if entries.values().any(Option::is_none) {
                return Outcome::Dead;
            }
            let mut partitions = Vec::new();
            for (index, records) in entries {
                let effects = fired.iter().find(|f| f.is_about(&name, index)).map(|f| &f.effects);
                let records = records.unwrap_or_default();
                let unknown = match by_id {
                    true => ResponseError::UnknownTopicId,
                    false => ResponseError::UnknownTopicOrPartition,
                };
                let topic = self.topics.get_mut(&name).filter(|topic| !topic.hidden);
                let mut answer = match topic {
                    Some(topic) => context.partition(topic, &name, index, records, effects),
                    None => refused(index, unknown.into(), -1),
                };
                override_answer(&mut answer, context.version, effects);
                failed |= answer.error_code != 0;
                if !effects.is_some_and(|effects| effects.omit) {
                    partitions.push(answer);
                }
            }
            if self.config.shuffle_answers {
                partitions.reverse();
            }
            let answer = TopicProduceResponse::default().with_partition_responses(partitions);
            topics.push(match by_id {
                true => answer.with_topic_id(uuid::Uuid::from_bytes(id.0)),
                false => answer.with_name(topic_name(&name)),
            });
        }
        if request_wants_nothing(context.acks) {
            // The client cannot be told, so the broker closes the connection.
            return if failed { Outcome::Close } else { Outcome::Nothing };
        }
        if self.config.shuffle_answers {
            topics.reverse();
        }
        let mut response = ProduceResponse::default().with_responses(topics);
        if request.version >= FIRST_LEADER_HINT_VERSION {
            response.node_endpoints = self.endpoints(&response, fired);
        }
        Outcome::Answer(Box::new(ResponseKind::Produce(response)))
    }

    /// Addresses of the leaders that an answer names.
    fn endpoints(&self, response: &ProduceResponse, fired: &[Fired]) -> Vec<NodeEndpoint> {
        let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
        let mut ids: Vec<i32> = partitions.map(|p| p.current_leader.leader_id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let hidden = |id: i32| {
            let hints = fired.iter().filter_map(|f| f.effects.leader_hint);
            hints.into_iter().any(|hint| hint.leader == id && !hint.with_endpoint)
        };
        let specs =
            ids.into_iter().filter(|id| !hidden(*id)).filter_map(|id| self.brokers.get(&id));
        specs
            .map(|broker| {
                NodeEndpoint::default()
                    .with_node_id(BrokerId(broker.spec.id))
                    .with_host(StrBytes::from_string(broker.spec.host.clone()))
                    .with_port(i32::from(broker.spec.port))
            })
            .collect()
    }
}

fn request_wants_nothing(acks: i16) -> bool {
    acks == 0
}

impl Context<'_> {
    /// Judges and appends one batch.
    fn partition(
        &self,
        topic: &mut Topic,
        name: &str,
        index: i32,
        records: Bytes,
        effects: Option<&Effects>,
    ) -> PartitionProduceResponse {
        let config = topic.config.clone();
        let Some(partition) = topic.partition(index) else {
            return refused(index, ResponseError::UnknownTopicOrPartition.into(), -1);
        };
        if let Some((code, Moment::Before)) = effects.and_then(|effects| effects.error) {
            let answer = PartitionProduceResponse::default().with_index(index);
            return answer.with_error_code(code).with_base_offset(-1).with_log_append_time_ms(-1);
        }
        let log_start = partition.log.start();
        let image = &partition.image;
        let judged = (|| {
            let (batch, size) = refuse::form(records, self.version, self.transactional_id)?;
            if !matches!(self.acks, -1..=1) {
                return Err(ResponseError::InvalidRequiredAcks.into());
            }
            if image.leader != Some(self.broker) {
                return Err(ResponseError::NotLeaderOrFollower.into());
            }
            let min_insync = config.min_insync_replicas.min(image.replicas.len());
            if self.acks == -1 && image.isr.len() < min_insync {
                return Err(ResponseError::NotEnoughReplicas.into());
            }
            let name = format!("{name}-{index}");
            refuse::content(&batch, size, &config, self.wall_clock, &name)?;
            match partition.producers.judge(&batch.header) {
                Verdict::Refuse(error) => Err(Refusal::in_log(error)),
                verdict => Ok((batch, verdict)),
            }
        })();
        let (batch, verdict) = match judged {
            Ok(judged) => judged,
            Err(refusal) => {
                let not_leader = refusal.code == ResponseError::NotLeaderOrFollower.code();
                let mut answer = refused(index, refusal, log_start);
                if self.hints && not_leader {
                    let leader = BrokerId(image.leader.unwrap_or(-1));
                    answer.current_leader = LeaderIdAndEpoch::default()
                        .with_leader_id(leader)
                        .with_leader_epoch(image.leader_epoch);
                }
                return answer;
            }
        };
        let answer = PartitionProduceResponse::default().with_index(index);
        let answer = answer.with_log_start_offset(log_start);
        if let Verdict::Duplicate { base_offset, max_timestamp } = verdict {
            return answer.with_base_offset(base_offset).with_log_append_time_ms(max_timestamp);
        }
        let append_time = config.append_time.then_some(self.wall_clock);
        match partition.log.append(&batch, append_time, self.retention) {
            Ok(base_offset) => {
                partition.producers.appended(&batch.header, base_offset);
                answer
                    .with_base_offset(base_offset)
                    .with_log_append_time_ms(append_time.unwrap_or(-1))
            }
            Err(_) => refused(index, Refusal::in_log(ResponseError::InvalidRecord), log_start),
        }
    }
}

fn refused(index: i32, refusal: Refusal, log_start: i64) -> PartitionProduceResponse {
    let errors = refusal.record_errors.into_iter().map(|(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(StrBytes::from_string(message)))
    });
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(refusal.code)
        .with_base_offset(-1)
        .with_log_append_time_ms(-1)
        .with_log_start_offset(if refusal.reached_log { log_start } else { -1 })
        .with_record_errors(errors.collect())
        .with_error_message(refusal.message.map(StrBytes::from_string))
}

/// Lets a rule change the honest answer for one partition.
fn override_answer(answer: &mut PartitionProduceResponse, version: i16, effects: Option<&Effects>) {
    let Some(effects) = effects else { return };
    if let Some((code, Moment::After)) = effects.error {
        answer.error_code = code;
        answer.base_offset = -1;
        answer.log_append_time_ms = -1;
    }
    if let Some(message) = &effects.message {
        answer.error_message = Some(StrBytes::from_string(message.clone()));
    }
    for (index, message) in &effects.record_errors {
        answer.record_errors.push(
            BatchIndexAndErrorMessage::default()
                .with_batch_index(*index)
                .with_batch_index_error_message(message.clone().map(StrBytes::from_string)),
        );
    }
    if let Some(LeaderHint { leader, epoch, .. }) = effects.leader_hint
        && version >= FIRST_LEADER_HINT_VERSION
    {
        answer.current_leader =
            LeaderIdAndEpoch::default().with_leader_id(BrokerId(leader)).with_leader_epoch(epoch);
    }
}
