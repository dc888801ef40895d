//! Questions of the application about the cluster. They use the producer's connections and leave
//! alone what it knows of topics, leaders and brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::BytesMut;

use crate::backoff::exponential;
use crate::conn::{Outgoing, Request};
use crate::description::{
    BrokerDescription, ClusterDescription, PartitionDescription, TopicDescription,
};
use crate::error::{DescribeError, InvalidTopic};
use crate::event::Event;
use crate::rng::Stream;
use crate::timers::TimerKey;
use crate::topics::check_name;
use crate::wire::{ApiKey, MetadataRequest, MetadataResponse, MetadataTopic, encode_request};
use crate::{BrokerId, ConnectionId, DescribeId, ErrorCode, Instant, Uuid};

use super::least_loaded::Source;
use super::metadata::usable_port;
use super::{Phase, Producer};

/// First version of Metadata in which a broker can be told not to create topics.
const CREATES_NOTHING: i16 = 4;

/// The questions without an answer.
#[derive(Default)]
pub(super) struct Questions {
    open: BTreeMap<DescribeId, Question>,
    next: u64,
}

struct Question {
    /// In the order of asking, each once; `None` for all.
    topics: Option<Vec<Arc<str>>>,
    since: Instant,
    deadline: Instant,
    /// A request is queued or in flight.
    is_asked: bool,
    /// Not asked again before this.
    retry_at: Instant,
    failures: u32,
    trouble: Option<Arc<str>>,
}

impl Producer {
    pub(super) fn ask(
        &mut self,
        topics: Option<&[&str]>,
        deadline: Instant,
    ) -> Result<DescribeId, InvalidTopic> {
        let mut seen = BTreeSet::new();
        let mut names = Vec::new();
        for &name in topics.unwrap_or_default() {
            check_name(name)?;
            if seen.insert(name) {
                names.push(name.into());
            }
        }
        let question = DescribeId(self.questions.next);
        self.questions.next += 1;
        if self.phase == Phase::Closed {
            self.answer(question, Err(DescribeError::Closed));
            return Ok(question);
        }
        let state = Question {
            topics: topics.map(|_| names),
            since: self.now,
            deadline,
            is_asked: false,
            retry_at: Instant::ZERO,
            failures: 0,
            trouble: None,
        };
        self.questions.open.insert(question, state);
        self.settle();
        Ok(question)
    }

    /// Asks what can be asked, gives up what is too late, and arms the timer for the rest.
    pub(super) fn drive_questions(&mut self) {
        if self.questions.open.is_empty() || self.phase == Phase::Closed {
            return;
        }
        self.expire_questions();
        let now = self.now;
        let open = self.questions.open.iter();
        let due: Vec<_> = open
            .filter(|(_, question)| !question.is_asked && question.retry_at <= now)
            .map(|(id, _)| *id)
            .collect();
        let mut source_at = Instant::MAX;
        for id in due {
            match self.metadata_source() {
                Source::Ready(conn) => self.ask_on(conn, id),
                Source::Dial(node) => self.ensure_connection(node),
                Source::Later(at) => source_at = at,
                // What is on its way up, or what a refresh finds, brings us here again.
                Source::Soon => {}
                Source::Nobody => self.metadata.request(),
            }
        }
        let open = self.questions.open.values();
        let next = open
            .map(|question| match question.retry_at {
                at if at > now && !question.is_asked => at.min(question.deadline),
                _ if !question.is_asked => source_at.min(question.deadline),
                _ => question.deadline,
            })
            .min();
        self.timers.set(TimerKey::Describe, next.unwrap_or(Instant::MAX));
    }

    fn expire_questions(&mut self) {
        let now = self.now;
        let open = self.questions.open.iter();
        let late: Vec<_> =
            open.filter(|(_, question)| question.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            let Some(question) = self.questions.open.remove(&id) else { continue };
            let after = question.deadline.saturating_since(question.since);
            let cause = question.trouble.or_else(|| self.trouble.clone());
            self.answer(id, Err(DescribeError::TimedOut { after, cause }));
        }
    }

    /// The producer is closed.
    pub(super) fn refuse_questions(&mut self) {
        for id in std::mem::take(&mut self.questions.open).into_keys() {
            self.answer(id, Err(DescribeError::Closed));
        }
    }

    fn answer(&mut self, question: DescribeId, result: Result<ClusterDescription, DescribeError>) {
        self.events.push_back(Event::Described { question, result });
    }

    fn ask_on(&mut self, id: ConnectionId, question: DescribeId) {
        let Some(state) = self.questions.open.get_mut(&question) else { return };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Ok(version) = conn.versions.pick(ApiKey::Metadata) else { return };
        // An old broker creates the topics that it is asked for by name: it is asked for all.
        let topics = state.topics.as_ref();
        let topics = topics.filter(|names| names.is_empty() || version >= CREATES_NOTHING);
        let names: Option<Vec<&str>> =
            topics.map(|names| names.iter().map(|name| &**name).collect());
        let request =
            MetadataRequest { topics: names.as_deref(), allow_auto_topic_creation: false };
        let correlation = conn.correlation();
        let mut bytes = BytesMut::new();
        encode_request(&mut bytes, &request, version, correlation, Some(&self.settings.client_id));
        let (bytes, kind) = (bytes.freeze(), Request::Describe(question));
        conn.outbox.push_back(Outgoing { bytes, correlation, version, kind });
        state.is_asked = true;
        let node = conn.node;
        self.wake(node);
    }

    /// The request was lost, or its answer of no use: it is asked again after a backoff.
    pub(super) fn ask_again(&mut self, question: DescribeId, problem: Arc<str>) {
        let Some(state) = self.questions.open.get_mut(&question) else { return };
        let draw = self.rng.draw(Stream::DescribeJitter, question.0, u64::from(state.failures));
        let backoff = exponential(
            self.settings.retry_backoff,
            self.settings.retry_backoff_max,
            state.failures,
            draw,
        );
        state.is_asked = false;
        state.failures = state.failures.saturating_add(1);
        state.retry_at = self.now + backoff;
        state.trouble = Some(problem);
    }

    pub(super) fn on_description(&mut self, question: DescribeId, response: &MetadataResponse) {
        self.stats.bad_metadata_entries += response.refused as u64;
        let code = ErrorCode(response.error_code);
        if !code.is_none() {
            return self.ask_again(question, format!("Metadata: {code}").into());
        }
        let brokers = self.described_brokers(response);
        if brokers.is_empty() {
            let problem = "Metadata: the broker knows of no broker, not even itself";
            return self.ask_again(question, problem.into());
        }
        let Some(state) = self.questions.open.remove(&question) else { return };
        let mut known = self.described_topics(response);
        let topics = match state.topics {
            None => known.into_values().collect(),
            Some(names) => {
                let described = names.into_iter().map(|name| {
                    known.remove(&name).unwrap_or_else(|| TopicDescription {
                        name,
                        id: Uuid::ZERO,
                        error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        partitions: Vec::new(),
                    })
                });
                described.collect()
            }
        };
        let cluster_id = response.cluster_id.as_deref().map(Arc::from);
        self.answer(question, Ok(ClusterDescription { cluster_id, brokers, topics }));
    }

    /// The brokers whose addresses make sense; of an id that is named twice the first one.
    fn described_brokers(&mut self, response: &MetadataResponse) -> Vec<BrokerDescription> {
        let mut brokers = BTreeMap::new();
        for broker in &response.brokers {
            let (id, host) = (BrokerId(broker.node_id), broker.host.clone());
            match usable_port(broker) {
                Some(port) if !brokers.contains_key(&id) => {
                    brokers.insert(id, BrokerDescription { id, host, port });
                }
                _ => self.stats.bad_metadata_entries += 1,
            }
        }
        brokers.into_values().collect()
    }

    /// By name; of a name that is there twice the first one.
    fn described_topics(
        &mut self,
        response: &MetadataResponse,
    ) -> BTreeMap<Arc<str>, TopicDescription> {
        let mut topics = BTreeMap::new();
        for topic in &response.topics {
            match topic.name.as_deref().map(Arc::<str>::from) {
                Some(name) if !topics.contains_key(&name) => {
                    let partitions = self.described_partitions(topic);
                    let (id, error) = (topic.topic_id, ErrorCode(topic.error_code));
                    let topic = TopicDescription { name: name.clone(), id, error, partitions };
                    topics.insert(name, topic);
                }
                _ => self.stats.bad_metadata_entries += 1,
            }
        }
        topics
    }

    fn described_partitions(&mut self, topic: &MetadataTopic) -> Vec<PartitionDescription> {
        let mut partitions = BTreeMap::new();
        for partition in &topic.partitions {
            let index = partition.index;
            if index < 0 || partitions.contains_key(&index) {
                self.stats.bad_metadata_entries += 1;
                continue;
            }
            let described = PartitionDescription {
                index,
                leader: (partition.leader >= 0).then_some(BrokerId(partition.leader)),
                leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
                error: ErrorCode(partition.error_code),
            };
            partitions.insert(index, described);
        }
        partitions.into_values().collect()
    }
}
