//! The two ends of a comparison: a real broker behind a socket, and a simulated one.

use super::said::Names;
use super::script;
use crate::client::{TIME, decode, drain, frame};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, BrokerId, CreateTopicsRequest, InitProducerIdRequest, MetadataRequest,
    ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use producer_sim::{
    ApiKey, BrokerSpec, Cluster, ClusterConfig, Instant, Output, RequestKind, ResponseKind,
    TopicConfig, Uuid,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Long enough for a loaded machine, short enough for the few requests that are never answered.
const SILENCE: Duration = Duration::from_secs(4);
/// Correlation id of the request that is sent behind each other one.
const PROBE: i32 = 99;

/// What a broker did with a request.
#[derive(Debug)]
pub(super) enum Reply {
    Frame(Vec<u8>),
    /// The request behind it was answered.
    Nothing,
    Closed,
    /// Neither it nor the request behind it was ever answered.
    Silence,
}

pub(super) trait Target {
    fn exchange(&mut self, frame: &[u8]) -> Reply;
    /// Milliseconds since the Unix epoch.
    fn clock(&self) -> i64;
    fn names(&self) -> &Names;
}

type Setting = (&'static str, &'static str);

/// The topics of the scripts, without their suffix: partitions and settings as Kafka names them.
pub(super) const TOPICS: [(&str, i32, &[Setting]); 5] = [
    ("plain", 16, &[]),
    ("small", 1, &[("max.message.bytes", "300")]),
    ("compact", 1, &[("cleanup.policy", "compact")]),
    ("append-time", 1, &[("message.timestamp.type", "LogAppendTime")]),
    ("recent-only", 1, &[("message.timestamp.before.max.ms", "3600000")]),
];

/// A frame and, behind it, one that every broker answers.
fn with_probe(bytes: &[u8]) -> Vec<u8> {
    let probe = RequestKind::ApiVersions(ApiVersionsRequest::default());
    [bytes, &frame(ApiKey::ApiVersions, 0, PROBE, &probe)].concat()
}

fn correlation(frame: &[u8]) -> i32 {
    i32::from_be_bytes(*frame[4..].first_chunk().unwrap())
}

pub(super) struct Simulated {
    cluster: Cluster,
    names: Names,
}

impl Simulated {
    /// One broker at the real one's address, so that its answers can be the same.
    pub(super) fn new() -> Self {
        let spec = BrokerSpec { id: 1, host: "127.0.0.1".into(), port: 27092, rack: None };
        let mut cluster = Cluster::new(ClusterConfig {
            brokers: vec![spec],
            auto_create: TopicConfig::new(4),
            wall_clock_millis: TIME,
            ..ClusterConfig::new(1)
        });
        let mut ids = BTreeMap::new();
        for (name, partitions, settings) in TOPICS {
            let mut config = TopicConfig::new(partitions);
            for (key, value) in settings {
                match *key {
                    "max.message.bytes" => config.max_message_bytes = value.parse().unwrap(),
                    "cleanup.policy" => config.compacted = true,
                    "message.timestamp.type" => config.append_time = true,
                    "message.timestamp.before.max.ms" => {
                        let limit = Duration::from_millis(value.parse().unwrap());
                        config.timestamp_before_max = Some(limit);
                    }
                    other => panic!("{other}"),
                }
            }
            let name = format!("fidelity-{name}");
            ids.insert(name.clone(), cluster.create_topic(&name, config));
        }
        Self { cluster, names: Names::new(String::new(), ids) }
    }
}

impl Target for Simulated {
    fn exchange(&mut self, bytes: &[u8]) -> Reply {
        let conn = self.cluster.connect(Instant::ZERO, 1).unwrap();
        self.cluster.receive(Instant::ZERO, conn, &with_probe(bytes));
        let said = drain(&mut self.cluster, Instant::ZERO, conn);
        match said.first() {
            Some(Output::Bytes(first)) if correlation(first) == PROBE => Reply::Nothing,
            Some(Output::Bytes(first)) => Reply::Frame(first.to_vec()),
            Some(Output::Close) => Reply::Closed,
            None => Reply::Silence,
        }
    }

    fn clock(&self) -> i64 {
        TIME
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

pub(super) struct Real {
    address: String,
    names: Names,
}

impl Real {
    /// Creates the topics of the scripts, with names that no earlier run has used.
    pub(super) fn new(bootstrap: &str) -> Self {
        let address = bootstrap.split(',').next().unwrap().to_owned();
        let mut real = Self { address, names: Names::new(String::new(), BTreeMap::new()) };
        let suffix = format!("-{}", real.clock());
        let topics = TOPICS.map(|(name, partitions, settings)| {
            let config = |(key, value): &(&str, &str)| {
                CreatableTopicConfig::default()
                    .with_name(StrBytes::from_string((*key).to_owned()))
                    .with_value(Some(StrBytes::from_string((*value).to_owned())))
            };
            CreatableTopic::default()
                .with_name(topic_name(&format!("fidelity-{name}{suffix}")))
                .with_num_partitions(partitions)
                .with_replication_factor(1)
                .with_configs(settings.iter().map(config).collect())
        });
        let request =
            CreateTopicsRequest::default().with_topics(topics.to_vec()).with_timeout_ms(30_000);
        let answer = real.ask(ApiKey::CreateTopics, 5, &RequestKind::CreateTopics(request));
        let ResponseKind::CreateTopics(created) = answer else { panic!("not CreateTopics") };
        assert!(created.topics.iter().all(|t| t.error_code == 0), "{created:?}");
        let ids = real.wait_for_leaders(&suffix);
        real.names = Names::new(suffix, ids);
        real.wait_until_led();
        real.wait_for_producer_ids();
        real
    }

    /// A broker that has just started has none to give out.
    fn wait_for_producer_ids(&mut self) {
        loop {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let request = RequestKind::InitProducerId(request);
            let answer = self.ask(ApiKey::InitProducerId, 4, &request);
            if matches!(answer, ResponseKind::InitProducerId(r) if r.error_code == 0) {
                return;
            }
        }
    }

    /// A broker is named as the leader before it knows so itself: refused batches, which leave no
    /// trace, are sent until every partition has looked at its own.
    fn wait_until_led(&mut self) {
        const CORRUPT_MESSAGE: i16 = 2;
        let topics = TOPICS.map(|(name, partitions, _)| {
            let data = |index| {
                let records = Some(script::refused_batch());
                PartitionProduceData::default().with_index(index).with_records(records)
            };
            TopicProduceData::default()
                .with_name(topic_name(&self.names.full(name)))
                .with_partition_data((0..partitions).map(data).collect())
        });
        let request = ProduceRequest::default()
            .with_acks(1)
            .with_timeout_ms(5000)
            .with_topic_data(topics.to_vec());
        let request = RequestKind::Produce(request);
        loop {
            let answer = self.ask(ApiKey::Produce, 3, &request);
            let ResponseKind::Produce(answer) = answer else { panic!("not Produce") };
            let mut partitions = answer.responses.iter().flat_map(|t| &t.partition_responses);
            if partitions.all(|p| p.error_code == CORRUPT_MESSAGE) {
                return;
            }
        }
    }

    /// The ids of the topics, once each partition has a leader.
    fn wait_for_leaders(&mut self, suffix: &str) -> BTreeMap<String, Uuid> {
        loop {
            let request = MetadataRequest::default().with_topics(None);
            let answer = self.ask(ApiKey::Metadata, 12, &RequestKind::Metadata(request));
            let ResponseKind::Metadata(metadata) = answer else { panic!("not Metadata") };
            let ours = metadata.topics.iter().filter_map(|t| Some((t.name.as_ref()?, t)));
            let ours: Vec<_> = ours.filter(|(name, _)| name.ends_with(suffix)).collect();
            let led = |p: &_| -> bool {
                let p: &kafka_protocol::messages::metadata_response::MetadataResponsePartition = p;
                p.leader_id != BrokerId(-1)
            };
            if ours.len() == TOPICS.len() && ours.iter().all(|(_, t)| t.partitions.iter().all(led))
            {
                let id = |id: &uuid::Uuid| Uuid(*id.as_bytes());
                return ours.into_iter().map(|(n, t)| (n.to_string(), id(&t.topic_id))).collect();
            }
        }
    }

    fn ask(&mut self, api: ApiKey, version: i16, request: &RequestKind) -> ResponseKind {
        match self.exchange(&frame(api, version, 7, request)) {
            Reply::Frame(bytes) => decode(api, version, &bytes).1,
            other => panic!("{api:?}: {other:?}"),
        }
    }
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

impl Target for Real {
    fn exchange(&mut self, bytes: &[u8]) -> Reply {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket.write_all(&with_probe(bytes)).unwrap();
        let mut frame = vec![0; 4];
        match socket.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if is_timeout(&error) => return Reply::Silence,
            Err(_) => return Reply::Closed,
        }
        let length = u32::from_be_bytes(*frame.first_chunk().unwrap()) as usize;
        frame.resize(4 + length, 0);
        socket.read_exact(&mut frame[4..]).unwrap();
        match correlation(&frame) {
            PROBE => Reply::Nothing,
            _ => Reply::Frame(frame),
        }
    }

    fn clock(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    }

    fn names(&self) -> &Names {
        &self.names
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// One topic of a Metadata request.
pub(super) fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(topic_name(name)))
}
