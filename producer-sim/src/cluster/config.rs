//! What a cluster and its topics are made of.

use producer_proto::Uuid;
use std::time::Duration;

/// A broker's identity and the address that metadata gives out for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSpec {
    /// Node id.
    pub id: i32,
    /// Advertised host name.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// Rack, if any.
    pub rack: Option<String>,
}

/// How much of what was appended a partition keeps. Offsets, counts and producer states are
/// always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Retention {
    /// Every record, for tests that compare logs.
    #[default]
    All,
    /// The last so many records of each partition.
    Last(usize),
    /// No record at all, for long runs: memory stays bounded.
    CountOnly,
}

/// By which rules a broker judges producers; brokers of both kinds may stand in one cluster (see
/// [`Cluster::set_era`](super::Cluster::set_era)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Era {
    /// As Kafka 4.3: a producer id without state may begin with any sequence, a batch older than
    /// the last five is OUT_OF_ORDER_SEQUENCE_NUMBER, and below `min.insync.replicas` the high
    /// watermark stands still, so that acks=all runs into its timeout (KIP-966).
    #[default]
    Modern,
    /// As Kafka before 2.5: a producer id without state must begin with 0, else it is
    /// UNKNOWN_PRODUCER_ID, also when retention has removed all its records; a batch older than
    /// the last five is DUPLICATE_SEQUENCE_NUMBER; below `min.insync.replicas` the high watermark
    /// goes on, so that acks=all is answered NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    Legacy,
}

/// What the controller does by itself (see [`ClusterConfig::failover`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// `broker.session.timeout.ms`: a broker that is crashed or paused for so long is fenced: it
    /// leaves all ISRs with another member, and its partitions go to an in-sync replica that runs,
    /// or have no leader. When it is back, it leads again where nobody else could.
    pub session_timeout: Duration,
    /// `replica.lag.time.max.ms`: a replica that has not had all of the leader's log for so long
    /// leaves the ISR. It comes back when it has caught up.
    pub replica_lag_max: Duration,
    /// `unclean.leader.election.enable`: when no in-sync replica runs, any other that does takes
    /// over, and what it does not have is [lost](super::Cluster::lost).
    pub unclean: bool,
}

impl Default for Failover {
    /// Kafka's: a session of 9 s, a lag of 30 s, no unclean elections.
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(9),
            replica_lag_max: Duration::from_secs(30),
            unclean: false,
        }
    }
}

/// The settings of a [`Cluster`](super::Cluster). Start from [`ClusterConfig::new`].
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The brokers.
    pub brokers: Vec<BrokerSpec>,
    /// Whether a Metadata request may create topics (`auto.create.topics.enable`). Default true.
    pub auto_create_topics: bool,
    /// How a topic created that way looks; default one partition, as Kafka has it.
    pub auto_create: TopicConfig,
    /// Wall-clock time at [`Instant::ZERO`](producer_proto::Instant::ZERO), milliseconds since the
    /// Unix epoch. Default 1,700,000,000,000.
    pub wall_clock_millis: i64,
    /// What partitions keep. Default all.
    pub retention: Retention,
    /// How many of the latest requests [`Cluster::requests`](super::Cluster::requests) remembers.
    /// Default all.
    pub request_history: usize,
    /// Whether Produce 10 and later names the new leader in NOT_LEADER_OR_FOLLOWER (KIP-951).
    /// Default true.
    pub leader_hints: bool,
    /// Whether each batch is read to its last byte, CRC included, and whatever is wrong with it
    /// becomes a [`Violation`](super::Violation), also where the answer does not depend on it.
    /// Default true.
    pub verify_batches: bool,
    /// What the controller does by itself when brokers fail. Default nothing: leaders and ISRs
    /// change only when told.
    pub failover: Option<Failover>,
    /// `producer.id.expiration.ms`: a producer id whose latest batch in a partition is so old, by
    /// its timestamps, is forgotten there. Default never (Kafka's is a day). Kafka looks every ten
    /// minutes, the model with each batch.
    pub producer_id_expiration: Option<Duration>,
    /// Whether topics and partitions come back in another order than they were asked for, as with
    /// real brokers. Default true.
    pub shuffle_answers: bool,
}

impl ClusterConfig {
    /// A cluster of `brokers` brokers with ids 1 to `brokers`, at `broker-<id>:9092`.
    pub fn new(brokers: i32) -> Self {
        let spec = |id| BrokerSpec { id, host: format!("broker-{id}"), port: 9092, rack: None };
        Self {
            brokers: (1..=brokers).map(spec).collect(),
            auto_create_topics: true,
            auto_create: TopicConfig::new(1),
            wall_clock_millis: 1_700_000_000_000,
            retention: Retention::All,
            request_history: usize::MAX,
            leader_hints: true,
            verify_batches: true,
            failover: None,
            producer_id_expiration: None,
            shuffle_answers: true,
        }
    }

    /// For long and fast runs: memory stays bounded (no record and only the last 1000 requests
    /// are kept), and a batch is read no more than a broker has to.
    pub fn bounded(mut self) -> Self {
        self.retention = Retention::CountOnly;
        self.request_history = 1000;
        self.verify_batches = false;
        self
    }
}

impl Default for ClusterConfig {
    /// One broker.
    fn default() -> Self {
        Self::new(1)
    }
}

/// The settings of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Number of partitions, at least 1.
    pub partitions: i32,
    /// Replicas per partition; capped at the number of brokers. Default 1.
    pub replication: usize,
    /// `max.message.bytes`: the largest batch, as sent, that is accepted. Default 1,048,588.
    pub max_message_bytes: usize,
    /// Whether records get the broker's time (`message.timestamp.type=LogAppendTime`). Default
    /// false.
    pub append_time: bool,
    /// Whether the topic is compacted, so that records need a key. Default false.
    pub compacted: bool,
    /// `min.insync.replicas`, capped at the number of replicas. Default 1.
    pub min_insync_replicas: usize,
    /// `message.timestamp.before.max.ms`: how old a create time may be. Default unlimited.
    pub timestamp_before_max: Option<Duration>,
    /// `message.timestamp.after.max.ms`: how far ahead a create time may be. Default one hour.
    pub timestamp_after_max: Option<Duration>,
    /// The topic's id; default one that the cluster chooses.
    pub id: Option<Uuid>,
}

impl TopicConfig {
    /// A topic with this many partitions and Kafka's defaults.
    pub fn new(partitions: i32) -> Self {
        Self {
            partitions,
            replication: 1,
            max_message_bytes: 1_048_588,
            append_time: false,
            compacted: false,
            min_insync_replicas: 1,
            timestamp_before_max: None,
            timestamp_after_max: Some(Duration::from_secs(3600)),
            id: None,
        }
    }

    /// Sets [`TopicConfig::max_message_bytes`].
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Turns on [`TopicConfig::append_time`].
    pub fn append_time(mut self) -> Self {
        self.append_time = true;
        self
    }

    /// Turns on [`TopicConfig::compacted`].
    pub fn compacted(mut self) -> Self {
        self.compacted = true;
        self
    }

    /// Sets [`TopicConfig::replication`] and [`TopicConfig::min_insync_replicas`].
    pub fn replicated(mut self, replicas: usize, min_insync: usize) -> Self {
        self.replication = replicas;
        self.min_insync_replicas = min_insync;
        self
    }

    /// Sets [`TopicConfig::id`].
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }
}
