//! Produce: from a request to appended batches and an answer.

use super::apis::topic_name;
use super::dispatch::Outcome;
use super::log::{PartitionLog, StoredBatch};
use super::observe::{ReceivedRequest, RequestBody};
use super::partition::Copying;
use super::producer_state::{self, Verdict};
use super::refuse::{self, Refusal};
use super::replication::copying;
use super::rule::{Effects, Fired, LeaderHint, Moment};
use super::topic::Topic;
use super::waiting::{Part, Waiting};
use super::{Cluster, LostReason, Retention};
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
use std::sync::Arc;
use std::time::Duration;

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
    states: producer_state::Rules,
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
            states: producer_state::Rules {
                era: self.brokers.get(&request.broker).map(|b| b.era).unwrap_or_default(),
                expiration: self.config.producer_id_expiration,
                wall_clock: self.wall_clock(now),
            },
            retention: self.config.retention,
            hints: self.config.leader_hints && request.version >= FIRST_LEADER_HINT_VERSION,
        };
        let by_id = request.version >= FIRST_TOPIC_ID_VERSION;
        let unknown = match by_id {
            true => ResponseError::UnknownTopicId,
            false => ResponseError::UnknownTopicOrPartition,
        };
        let mut topics: Vec<TopicProduceResponse> = Vec::new();
        let mut parts = Vec::new();
        for topic in body.topic_data {
            let id = Uuid(*topic.topic_id.as_bytes());
            let known = match by_id {
                true => self.topic_name(id),
                false => self.topics.get(topic.name.as_str()).map(|t| Arc::clone(&t.name)),
            };
            let known = known.filter(|name| self.serves(context.broker, name));
            let name: &str = match &known {
                Some(name) => name,
                None if by_id => "",
                None => topic.name.as_str(),
            };
            // Of two entries for one partition only the last counts, as in a real broker.
            let entries: BTreeMap<i32, Option<Bytes>> =
                topic.partition_data.into_iter().map(|data| (data.index, data.records)).collect();
            if entries.values().any(Option::is_none) {
                return Outcome::Dead;
            }
            let mut partitions = Vec::new();
            for (index, records) in entries {
                let effects = fired.iter().find(|f| f.is_about(name, index)).map(|f| &f.effects);
                let records = records.unwrap_or_default();
                partitions.push(match &known {
                    Some(name) => {
                        let at = (topics.len(), partitions.len());
                        let (answer, required) =
                            self.produce_partition(&context, name, index, records, effects);
                        if let (-1, Some(required), Some(place)) =
                            (context.acks, required, self.place_of(name, index))
                        {
                            let replaced = self.logs_replaced(context.broker, name, index);
                            parts.push(Part { place, at, required, replaced });
                        }
                        answer
                    }
                    None => refused(index, unknown.into(), -1),
                });
            }
            if partitions.is_empty() {
                continue;
            }
            let answer = TopicProduceResponse::default().with_partition_responses(partitions);
            topics.push(match by_id {
                true => answer.with_topic_id(uuid::Uuid::from_bytes(id.0)),
                false => answer.with_name(topic_name(name)),
            });
        }
        let response = ProduceResponse::default().with_responses(topics);
        let timeout = Duration::from_millis(u64::try_from(body.timeout_ms).unwrap_or(0));
        let mut waiting = Waiting { response, parts: Vec::new(), deadline: now + timeout };
        for part in parts {
            self.look(context.broker, &mut waiting, part);
        }
        if waiting.parts.is_empty() {
            return self.finish_produce(request, waiting.response, fired);
        }
        Outcome::Wait(Box::new(waiting))
    }

    /// Makes the answer of what was decided for each partition, with whatever rules do to it.
    pub(super) fn finish_produce(
        &self,
        request: &ReceivedRequest,
        mut response: ProduceResponse,
        fired: &[Fired],
    ) -> Outcome {
        let mut failed = false;
        for topic in &mut response.responses {
            let id = Uuid(*topic.topic_id.as_bytes());
            let known = (!id.is_zero()).then(|| self.topic_name(id)).flatten();
            let name = known.as_deref().unwrap_or(topic.name.as_str());
            topic.partition_responses.retain_mut(|answer| {
                let about = fired.iter().find(|f| f.is_about(name, answer.index));
                let effects = about.map(|f| &f.effects);
                override_answer(answer, request.version, effects);
                failed |= answer.error_code != 0;
                !effects.is_some_and(|effects| effects.omit)
            });
            if self.config.shuffle_answers {
                topic.partition_responses.reverse();
            }
        }
        if matches!(request.body, RequestBody::Produce { acks: 0, .. }) {
            // The client cannot be told, so the broker closes the connection.
            return if failed { Outcome::Close } else { Outcome::Nothing };
        }
        if self.config.shuffle_answers {
            response.responses.reverse();
        }
        if request.version >= FIRST_LEADER_HINT_VERSION {
            response.node_endpoints = self.endpoints(&response, fired);
        }
        Outcome::Answer(Box::new(ResponseKind::Produce(response)))
    }

    /// Whether a broker has heard of this topic as it is now.
    fn serves(&self, broker: i32, topic: &str) -> bool {
        let Some(truth) = self.topics.get(topic).filter(|topic| !topic.hidden) else {
            return false;
        };
        let view = self.brokers.get(&broker).and_then(|b| b.lag.view.as_ref());
        view.is_none_or(|view| view.get(topic).is_some_and(|known| known.0 == truth.id))
    }

    /// Judges and appends one batch; the answer, and the high watermark that acks=all waits for.
    fn produce_partition(
        &mut self,
        context: &Context<'_>,
        name: &Arc<str>,
        index: i32,
        records: Bytes,
        effects: Option<&Effects>,
    ) -> (PartitionProduceResponse, Option<i64>) {
        let Some(topic) = self.topics.get_mut(&**name) else {
            return (refused(index, ResponseError::UnknownTopicOrPartition.into(), -1), None);
        };
        let place = topic.place(index);
        let brokers = &self.brokers;
        let appended =
            match context.append(topic, index, records, effects, |id| copying(brokers, id)) {
                Ok(appended) => appended,
                Err(answer) => return (*answer, None),
            };
        if appended.is_new {
            self.note_lost(&place, appended.lost, 0, LostReason::Deposed);
            self.settle(name, index);
        }
        (appended.answer, Some(appended.end))
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

/// A batch that is in the log now.
struct Appended {
    answer: PartitionProduceResponse,
    /// Offset behind its last record.
    end: i64,
    /// Not a duplicate.
    is_new: bool,
    /// It is in a log that does not count.
    lost: Option<Arc<StoredBatch>>,
}

impl Context<'_> {
    /// Judges and appends one batch.
    fn append(
        &self,
        topic: &mut Topic,
        index: i32,
        records: Bytes,
        effects: Option<&Effects>,
        copying: impl Fn(i32) -> Copying,
    ) -> Result<Appended, Box<PartitionProduceResponse>> {
        let Topic { name, config, partitions, .. } = topic;
        let partition = usize::try_from(index).ok().and_then(|index| partitions.get_mut(index));
        let Some(partition) = partition else {
            return Err(Box::new(refused(
                index,
                ResponseError::UnknownTopicOrPartition.into(),
                -1,
            )));
        };
        let answer = PartitionProduceResponse::default().with_index(index);
        if let Some((code, Moment::Before)) = effects.and_then(|effects| effects.error) {
            let answer = answer.with_error_code(code).with_base_offset(-1);
            return Err(Box::new(answer.with_log_append_time_ms(-1)));
        }
        let log_start = partition.log_of(self.broker).map_or(-1, PartitionLog::start);
        let judged = (|| {
            let (batch, size) = refuse::form(records, self.version, self.transactional_id)?;
            if !matches!(self.acks, -1..=1) {
                return Err(ResponseError::InvalidRequiredAcks.into());
            }
            if !partition.is_leader(self.broker) {
                return Err(ResponseError::NotLeaderOrFollower.into());
            }
            let image = &partition.image;
            let min_insync = config.min_insync_replicas.min(image.replicas.len());
            if self.acks == -1 && image.isr.len() < min_insync {
                return Err(ResponseError::NotEnoughReplicas.into());
            }
            refuse::content(&batch, size, config, self.states.wall_clock, (name, index))?;
            match partition.log_mut(self.broker).producers.judge(&batch.header, self.states) {
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
                    let (leader, epoch) = partition.heard(self.broker);
                    answer.current_leader = LeaderIdAndEpoch::default()
                        .with_leader_id(BrokerId(leader.unwrap_or(-1)))
                        .with_leader_epoch(epoch);
                }
                return Err(Box::new(answer));
            }
        };
        let answer = answer.with_log_start_offset(log_start);
        let count = i64::from(batch.header.count);
        if let Verdict::Duplicate { base_offset, max_timestamp } = verdict {
            let answer =
                answer.with_base_offset(base_offset).with_log_append_time_ms(max_timestamp);
            return Ok(Appended { answer, end: base_offset + count, is_new: false, lost: None });
        }
        let append_time = config.append_time.then_some(self.states.wall_clock);
        let stored = StoredBatch {
            base_offset: 0,
            leader_epoch: -1,
            header: batch.header.clone(),
            append_time,
            size: batch.bytes().len() as u64,
            content: (self.retention != Retention::CountOnly).then_some(batch),
        };
        let (base, lost) = partition.append(self.broker, stored, self.retention, copying);
        let answer =
            answer.with_base_offset(base).with_log_append_time_ms(append_time.unwrap_or(-1));
        Ok(Appended { answer, end: base + count, is_new: true, lost })
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
