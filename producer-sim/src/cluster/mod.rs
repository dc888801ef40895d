//! Brokers without sockets: bytes in, bytes out, in virtual time.

mod apis;
mod check;
mod config;
mod conn;
mod control;
mod dispatch;
mod events;
mod faults;
mod leaders;
mod log;
mod lost;
mod observe;
pub(crate) mod old_produce;
mod partition;
mod produce;
mod producer_state;
mod quota;
mod read;
mod refuse;
mod replication;
mod rule;
mod topic;
mod views;
mod waiting;

pub use check::ModelError;
pub use config::{BrokerSpec, ClusterConfig, Era, Failover, Retention, TopicConfig};
pub use conn::Output;
pub use leaders::ElectionError;
pub use log::LogCounts;
pub use lost::{Lost, LostReason};
pub use observe::{ReceivedBatch, ReceivedRequest, RequestBody, Violation};
pub use read::{LogBatch, ReplicaImage};
pub use rule::{Moment, Rule, RuleId};
pub use topic::PartitionImage;

use conn::{Answer, Conn};
use events::Events;
use kafka_protocol::messages::ApiKey;
use producer_proto::Instant;
use quota::Quota;
use rule::Rules;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use topic::{Place, Topic};
use views::{Lag, View};

/// Identifies one connection to a broker of a [`Cluster`]; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Answers a connection in place of Kafka (see [`Cluster::set_raw_peer`]).
type RawPeer = Box<dyn FnMut(ConnId, &[u8]) -> Vec<Output> + Send>;

struct Broker {
    spec: BrokerSpec,
    up: bool,
    /// As advertised, sense or nonsense.
    versions: BTreeMap<i16, (i16, i16)>,
    throttle: Duration,
    frozen: Option<View>,
    lag: Lag,
    crashed: bool,
    paused: bool,
    /// The controller takes it for dead.
    fenced: bool,
    /// Counts crashes, pauses and their ends, so that an old session timeout is told from the
    /// present one.
    incarnation: u64,
    /// How long its followers take to copy; `None`: they do not.
    replication: Option<Duration>,
    era: Era,
    quota: Option<Quota>,
    raw: Option<RawPeer>,
    accepted: u64,
}

/// A Kafka cluster as a producer sees it: brokers that share topics, partitions and logs.
///
/// Sans-IO: [`Cluster::receive`] takes a connection's bytes, [`Cluster::poll_output`] gives the
/// answers that are due. It speaks ApiVersions 0-4, Metadata 0-13, Produce 3-13 and
/// InitProducerId 0-5 (without transactions) as Apache Kafka 4.3 does, and does to them whatever
/// [`Rule`]s say. The same calls at the same times always give the same bytes.
///
/// # What to do with it
///
/// - An application under test talks to it through [`World`](crate::World), which has the
///   producer, the network and the clock, or over loopback with `NetCluster` (feature `net`).
///   With neither, [`Cluster::connect`], [`Cluster::receive`] and [`Cluster::poll_output`] are a
///   broker for any client that can be fed bytes; [`Cluster::poll_timeout`] says until when
///   nothing happens by itself.
/// - Answers go wrong by [`Rule`]s: the nth request of some kind gets an error, before or after
///   its effect, comes late, never, twice as slow, or with damaged bytes.
/// - Brokers go wrong by [`Cluster::crash`], [`Cluster::pause`], [`Cluster::set_up`],
///   [`Cluster::set_metadata_delay`]; replication by [`Cluster::set_replication_delay`]; leaders
///   change by [`Cluster::elect`], [`Cluster::elect_unclean`] and, by themselves, with
///   [`Failover`]. Left alone, followers copy as part of each append and nothing is ever lost.
/// - Afterwards, [`Cluster::committed`] is what a consumer would read, [`Cluster::lost`] what
///   was appended and is gone, with the reason, [`Cluster::requests`] what was sent, and
///   [`Cluster::violations`] everything that no client may do, which is nothing.
///
/// A test that lets a leader fail and looks at what became of the acknowledged records:
///
/// ```
/// use producer_sim::{Cluster, ClusterConfig, LostReason, TopicConfig};
/// let mut cluster = Cluster::new(ClusterConfig::new(3));
/// cluster.create_topic("orders", TopicConfig::new(1).replicated(3, 2));
/// // ... records are sent and acknowledged ...
/// cluster.crash(1, 0);
/// cluster.elect("orders", 0, 2)?;
/// cluster.restart(1);
/// // A clean election never takes a committed record.
/// assert!(cluster.lost().iter().all(|lost| !lost.committed));
/// cluster.check().expect("the model obeys its own laws");
/// # Ok::<(), producer_sim::ElectionError>(())
/// ```
///
/// # How true it is
///
/// The same thousand requests, or nearly, are sent to this model and to a running Apache Kafka 4.3.0,
/// and every field of every answer is compared: all versions; duplicates, gaps and epochs;
/// damaged, empty, oversized and doubled batches; wrong topics, partitions, ids and
/// acknowledgements. Known differences:
///
/// - The words of error messages and record errors are the model's own; where there is one, and
///   for which record, is Kafka's.
/// - ApiVersions lists only the APIs above and no features; InitProducerId 6, which a broker lists
///   where it is enabled, is not served.
/// - There is no transaction coordinator: InitProducerId with a transactional id answers
///   COORDINATOR_NOT_AVAILABLE, a transactional batch is refused.
/// - A producer id can be had at once; a real broker answers COORDINATOR_LOAD_IN_PROGRESS for a
///   moment after its start. A topic created by a Metadata request is there for the next request;
///   in Kafka, some time later.
/// - The order of topics and partitions in an answer, of which neither promises anything.
/// - The high watermark is known to every broker as soon as it moves; Kafka's followers hear of it
///   with their next fetch.
/// - Producer ids expire when they are next seen, not every ten minutes.
///
/// ```
/// use producer_sim::{Cluster, ClusterConfig, Instant, TopicConfig};
/// let mut cluster = Cluster::new(ClusterConfig::new(3));
/// cluster.create_topic("orders", TopicConfig::new(6));
/// let conn = cluster.connect(Instant::ZERO, 1).expect("broker 1 is up");
/// cluster.receive(Instant::ZERO, conn, b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff");
/// assert!(cluster.poll_output(Instant::ZERO, conn).is_some());
/// assert!(cluster.violations().is_empty());
/// ```
pub struct Cluster {
    config: ClusterConfig,
    brokers: BTreeMap<i32, Broker>,
    topics: BTreeMap<Arc<str>, Topic>,
    conns: BTreeMap<ConnId, Conn>,
    /// The latest time that anybody told.
    clock: Instant,
    events: Events,
    /// Connections with a Produce request that waits for followers.
    waiting: BTreeSet<ConnId>,
    /// Something has moved that a waiting request may have waited for.
    progress: bool,
    completing: bool,
    lost: Vec<Lost>,
    /// Where an unclean election or a lost tail has ever taken something.
    unclean: BTreeSet<(Arc<str>, i32)>,
    /// Partitions that have changed since the last check.
    unchecked: Vec<Place>,
    /// How many losses were looked at by then.
    checked_lost: usize,
    rules: Rules,
    requests: VecDeque<ReceivedRequest>,
    request_count: u64,
    violations: Vec<Violation>,
    next_conn: u64,
    next_topic: u64,
    next_producer_id: i64,
}

/// A broker that is down, or does not exist, takes no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRefused;

impl fmt::Display for ConnectionRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for ConnectionRefused {}

/// Further ones tell nothing new and would only fill the memory.
const MAX_VIOLATIONS: usize = 10_000;

/// What the brokers advertise unless told otherwise. Produce begins with 0 although everything
/// below 3 is refused, as with real brokers (KAFKA-18659).
const ADVERTISED: [(ApiKey, i16, i16); 4] = [
    (ApiKey::Produce, 0, 13),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::InitProducerId, 0, 5),
];

impl Cluster {
    /// A cluster without topics, all brokers up.
    pub fn new(config: ClusterConfig) -> Self {
        let mut cluster = Self {
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            conns: BTreeMap::new(),
            clock: Instant::ZERO,
            events: Events::default(),
            waiting: BTreeSet::new(),
            progress: false,
            completing: false,
            lost: Vec::new(),
            unclean: BTreeSet::new(),
            unchecked: Vec::new(),
            checked_lost: 0,
            rules: Rules::default(),
            requests: VecDeque::new(),
            request_count: 0,
            violations: Vec::new(),
            next_conn: 0,
            next_topic: 0,
            next_producer_id: 1,
            config,
        };
        for spec in cluster.config.brokers.clone() {
            cluster.add_broker(spec);
        }
        cluster
    }

    /// Opens a connection to a broker.
    pub fn connect(&mut self, now: Instant, broker: i32) -> Result<ConnId, ConnectionRefused> {
        self.run_events(now);
        let id = ConnId(self.next_conn);
        let host = self.brokers.get_mut(&broker).filter(|b| b.up).ok_or(ConnectionRefused)?;
        host.accepted += 1;
        self.next_conn += 1;
        let paused = host.paused;
        self.conns.insert(id, Conn::new(broker, paused));
        self.raw_receive(now, id, &[]);
        Ok(id)
    }

    /// Takes bytes that a client sent, cut in any way. Bytes for an unknown or closed connection
    /// are ignored.
    pub fn receive(&mut self, now: Instant, id: ConnId, bytes: &[u8]) {
        self.run_events(now);
        if self.raw_receive(now, id, bytes) {
            return;
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.closed || conn.dead {
            return;
        }
        if let Err(length) = conn.push_bytes(now, bytes) {
            self.violation(now, id, format!("frame length {length}"));
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.close();
                conn.answers.push_back(Answer::Close);
            }
            return;
        }
        self.pump(now, id);
    }

    /// The next thing a connection has for its client at `now`. Call until it is `None`.
    pub fn poll_output(&mut self, now: Instant, id: ConnId) -> Option<Output> {
        self.run_events(now);
        self.pump(now, id);
        self.conns.get_mut(&id)?.poll_output(now)
    }

    /// When something happens next by itself: a delayed answer, a stalled request, a follower that
    /// copies, a session that ends. It may lie in the past: then output is waiting.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let conns = self.conns.values().filter_map(Conn::poll_timeout);
        conns.chain(self.events.next()).min()
    }

    /// Lets everything happen that is due at `now`: stalled requests, also those of clients that
    /// have gone, and whatever brokers do among themselves. Calls without a time of their own, such
    /// as [`Cluster::elect`], take effect at the latest time told here or by any other call.
    pub fn advance(&mut self, now: Instant) {
        self.run_events(now);
        let due: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.poll_timeout().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.pump(now, id);
        }
    }

    /// The client end has closed. Whole requests that had arrived still take effect in their turn;
    /// their answers go nowhere.
    pub fn disconnect(&mut self, now: Instant, id: ConnId) {
        self.run_events(now);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.client_gone = true;
            conn.answers.clear();
        }
        self.pump(now, id);
    }

    fn violation(&mut self, at: Instant, conn: ConnId, what: impl Into<String>) {
        if self.violations.len() == MAX_VIOLATIONS {
            return;
        }
        let broker = self.conns.get(&conn).map_or(-1, |c| c.broker);
        self.violations.push(Violation { at, broker, conn, what: what.into() });
    }

    fn wall_clock(&self, now: Instant) -> i64 {
        let millis = i64::try_from(now.as_micros() / 1_000).unwrap_or(i64::MAX);
        self.config.wall_clock_millis.saturating_add(millis)
    }

    fn broker_ids(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }
}
