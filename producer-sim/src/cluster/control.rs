//! What tests do to a cluster, and what they read from it.

use super::conn::{Answer, Output};
use super::log::PartitionLog;
use super::observe::{ReceivedRequest, Violation};
use super::partition::Partition;
use super::rule::{Rule, RuleId};
use super::topic::{PartitionImage, Topic};
use super::views::Lag;
use super::{
    ADVERTISED, Broker, BrokerSpec, Cluster, ConnId, Era, LogCounts, LostReason, Retention,
    TopicConfig,
};
use crate::records::LogRecord;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use producer_proto::{Instant, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Brokers.
impl Cluster {
    /// Adds a broker, or replaces one of the same id (a new address).
    pub fn add_broker(&mut self, spec: BrokerSpec) {
        let versions = ADVERTISED.map(|(api, min, max)| (api as i16, (min, max)));
        self.brokers.insert(
            spec.id,
            Broker {
                spec,
                up: true,
                versions: BTreeMap::from(versions),
                throttle: Duration::ZERO,
                frozen: None,
                lag: Lag::default(),
                crashed: false,
                paused: false,
                fenced: false,
                incarnation: 0,
                replication: Some(Duration::ZERO),
                era: Era::Modern,
                quota: None,
                raw: None,
                accepted: 0,
            },
        );
    }

    /// The brokers that metadata names: those that are up and not fenced, in order of id.
    pub fn brokers(&self) -> Vec<&BrokerSpec> {
        self.brokers.values().filter(|b| b.up && !b.fenced).map(|b| &b.spec).collect()
    }

    /// The address that metadata gives for a broker, up or not.
    pub fn address(&self, broker: i32) -> Option<(String, u16)> {
        self.brokers.get(&broker).map(|b| (b.spec.host.clone(), b.spec.port))
    }

    /// The broker that listens at this address, up or not.
    pub fn broker_at(&self, host: &str, port: u16) -> Option<i32> {
        let at = |b: &&Broker| b.spec.host == host && b.spec.port == port;
        self.brokers.values().find(at).map(|b| b.spec.id)
    }

    /// Whether this broker listens at this address, up or not.
    pub fn is_at(&self, broker: i32, host: &str, port: u16) -> bool {
        self.brokers.get(&broker).is_some_and(|b| b.spec.host == host && b.spec.port == port)
    }

    /// Stops a broker for its clients (its connections close, new ones are refused, metadata leaves
    /// it out) or starts it again. Leadership does not move by itself, and its replicas go on
    /// copying; see [`Cluster::crash`] for one that is really gone, which this
    /// [restarts](Cluster::restart).
    pub fn set_up(&mut self, broker: i32, up: bool) {
        if up && self.is_crashed(broker) {
            return self.restart(broker);
        }
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.up = up;
        }
        if !up {
            self.close_connections(broker);
        }
    }

    /// Changes the address that metadata gives for a broker.
    pub fn set_address(&mut self, broker: i32, host: impl Into<String>, port: u16) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.spec.host = host.into();
            broker.spec.port = port;
        }
    }

    /// Sets the version range that a broker advertises for an API, plausible or not. Requests are
    /// accepted within the advertised range and what the model speaks.
    pub fn set_versions(&mut self, broker: i32, api: ApiKey, min: i16, max: i16) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.versions.insert(api as i16, (min, max));
        }
    }

    /// Starts a broker anew with another release: it advertises and accepts these APIs, from
    /// version 0 to the one that is given, and judges producers by `era`. Its connections end,
    /// with everything in them; leaders and logs stay.
    pub fn install(&mut self, broker: i32, apis: &[(ApiKey, i16)], era: Era) {
        if let Some(state) = self.brokers.get_mut(&broker) {
            state.versions = apis.iter().map(|(api, newest)| (*api as i16, (0, *newest))).collect();
            state.era = era;
        }
        self.kill_connections(broker);
    }

    /// No longer advertises an API, nor accepts it.
    pub fn remove_api(&mut self, broker: i32, api: ApiKey) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.versions.remove(&(api as i16));
        }
    }

    /// Sets by which rules a broker judges producers. Default [`Era::Modern`].
    pub fn set_era(&mut self, broker: i32, era: Era) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.era = era;
        }
    }

    /// Puts a throttle time into every answer of a broker and mutes the connection for so long
    /// after it. Zero turns it off.
    pub fn set_throttle(&mut self, broker: i32, time: Duration) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.throttle = time;
        }
    }

    /// From now on a broker answers Metadata from what is true at this moment, whatever happens
    /// later; `false` lets it catch up. It goes on to act by what is true
    /// ([`Cluster::set_metadata_delay`] is for a broker that does not).
    pub fn freeze_metadata(&mut self, broker: i32, frozen: bool) {
        let images = self.current_view();
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.frozen = frozen.then_some(images);
        }
    }

    /// Makes the port of a broker talk something that need not be Kafka: `peer` is called with an
    /// empty slice when a connection opens and then with each piece of bytes, and answers what it
    /// likes.
    pub fn set_raw_peer(
        &mut self,
        broker: i32,
        peer: impl FnMut(ConnId, &[u8]) -> Vec<Output> + Send + 'static,
    ) {
        if let Some(broker) = self.brokers.get_mut(&broker) {
            broker.raw = Some(Box::new(peer));
        }
    }

    /// Feeds a raw peer; `false` if the connection's broker has none.
    pub(super) fn raw_receive(&mut self, now: Instant, id: ConnId, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let Some(broker) = self.brokers.get_mut(&conn.broker) else { return false };
        let Some(peer) = &mut broker.raw else { return false };
        if !conn.closed {
            conn.answers.extend(peer(id, bytes).into_iter().map(|output| match output {
                Output::Bytes(bytes) => Answer::At(now, bytes),
                Output::Close => Answer::Close,
            }));
        }
        true
    }
}

/// Topics and leaders.
impl Cluster {
    /// Creates a topic, or re-creates one of the same name: empty, with a new id. Partition `i` is
    /// led by the `i`th broker, round and round.
    pub fn create_topic(&mut self, name: &str, config: TopicConfig) -> Uuid {
        self.next_topic += 1;
        let mut id = [0x5a; 16];
        id[8..].copy_from_slice(&self.next_topic.to_be_bytes());
        let id = config.id.unwrap_or(Uuid(id));
        let count = config.partitions;
        let name: Arc<str> = Arc::from(name);
        let (hidden, partitions) = (false, Vec::new());
        let mut topic = Topic { name: Arc::clone(&name), id, config, partitions, hidden };
        topic.grow(count, &self.broker_ids());
        self.forget_topic(&name);
        self.topics.insert(Arc::clone(&name), topic);
        self.topic_changed(&name);
        id
    }

    /// Drops a topic; what it held is lost.
    fn forget_topic(&mut self, name: &str) {
        let Some(topic) = self.topics.remove(name) else { return };
        for (partition, index) in topic.partitions.iter().zip(0..) {
            let batches = partition.log().batches().cloned();
            let (place, committed) = (topic.place(index), partition.high_watermark);
            self.note_lost(&place, batches, committed, LostReason::TopicDeleted);
        }
    }

    /// After a change to a topic as a whole.
    fn topic_changed(&mut self, name: &str) {
        self.announce(name);
        self.progress = true;
        self.complete_waiting();
    }

    /// Deletes a topic with its logs.
    pub fn delete_topic(&mut self, name: &str) {
        self.forget_topic(name);
        self.topic_changed(name);
    }

    /// Adds partitions up to `count`; fewer than there are changes nothing.
    pub fn set_partitions(&mut self, name: &str, count: i32) {
        let brokers = self.broker_ids();
        if let Some(topic) = self.topics.get_mut(name) {
            topic.grow(count, &brokers);
        }
        self.topic_changed(name);
    }

    /// Makes a topic unknown to everybody for a while, with its logs kept.
    pub fn set_hidden(&mut self, name: &str, hidden: bool) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.hidden = hidden;
        }
        self.topic_changed(name);
    }

    /// Changes a topic's settings; the number of partitions and the id stay.
    pub fn configure_topic(&mut self, topic: &str, change: impl FnOnce(&mut TopicConfig)) {
        if let Some(topic) = self.topics.get_mut(topic) {
            change(&mut topic.config);
        }
    }

    /// A topic's id.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.topics.get(topic).map(|topic| topic.id)
    }

    /// What is true of a partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionImage> {
        let index = usize::try_from(partition).ok()?;
        self.topics.get(topic)?.partitions.get(index).map(|p| &p.image)
    }

    /// Moves the leadership of a partition to any broker and raises the leader epoch; `None`
    /// leaves it without a leader. The log goes along, whoever it is: nothing is lost. See
    /// [`Cluster::elect`] for what a controller would do.
    pub fn move_leader(&mut self, topic: &str, partition: i32, leader: Option<i32>) {
        self.change_partition(topic, partition, |image| {
            image.leader = leader;
            image.leader_epoch += 1;
            for replicas in [&mut image.replicas, &mut image.isr] {
                if let Some(leader) = leader
                    && !replicas.contains(&leader)
                {
                    replicas.push(leader);
                }
            }
        });
    }

    /// Changes what is true of a partition in any way, also impossible ones. A new leader gets the
    /// log, as with [`Cluster::move_leader`].
    pub fn change_partition(
        &mut self,
        topic: &str,
        partition: i32,
        change: impl FnOnce(&mut PartitionImage),
    ) {
        let Some(known) = self.topics.get_mut(topic).and_then(|t| t.partition(partition)) else {
            return;
        };
        change(&mut known.image);
        known.adopt_image(|id| self.brokers.contains_key(&id));
        if let Some(leader) = known.image.leader {
            known.hand_log_to(leader);
            // Whoever has the log knows since when it is his, however late he hears of the rest.
            let epoch = known.image.leader_epoch;
            known.learn(leader, Some(leader), epoch);
        }
        self.partition_changed(topic, partition);
    }

    /// Drops what lies before `offset` in a partition's log, as retention does.
    pub fn advance_log_start(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(partition) = self.topics.get_mut(topic).and_then(|t| t.partition(partition)) {
            let leader = partition.image.leader.and_then(|leader| self.brokers.get(&leader));
            let era = leader.map_or_else(Era::default, |leader| leader.era);
            partition.for_each_log(|log| {
                log.advance_start(offset);
                if era == Era::Legacy {
                    log.producers.forget_before(offset);
                }
            });
        }
    }

    /// Makes a partition forget all producer ids, as brokers do with ids that were idle for long.
    pub fn forget_producers(&mut self, topic: &str, partition: i32) {
        if let Some(partition) = self.topics.get_mut(topic).and_then(|t| t.partition(partition)) {
            partition.for_each_log(PartitionLog::forget_producers);
        }
    }

    /// The id that the next InitProducerId answer gives out; counts up from there.
    pub fn set_next_producer_id(&mut self, id: i64) {
        self.next_producer_id = id;
    }
}

/// Scripts and connections.
impl Cluster {
    /// Adds a rule behind those that are there.
    pub fn inject(&mut self, rule: Rule) -> RuleId {
        self.rules.inject(rule)
    }

    /// Takes a rule back. What it holds stays held until released.
    pub fn remove_rule(&mut self, id: RuleId) {
        self.rules.remove(id);
    }

    /// Takes all rules back.
    pub fn clear_rules(&mut self) {
        self.rules.clear();
    }

    /// How often a rule has fired.
    pub fn rule_hits(&self, id: RuleId) -> u64 {
        self.rules.hits(id)
    }

    /// Lets go of every answer and request that a rule with [`Rule::hold`] or
    /// [`Rule::hold_request`] holds back.
    pub fn release(&mut self, now: Instant, rule: RuleId) {
        let ids: Vec<ConnId> = self.conns.keys().copied().collect();
        for id in ids {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.release(rule, now);
            }
            self.pump(now, id);
        }
    }

    /// Sends bytes that nobody asked for, behind the answers that wait.
    pub fn send_raw(&mut self, now: Instant, conn: ConnId, bytes: impl Into<Bytes>) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.answers.push_back(Answer::At(now, bytes.into()));
        }
    }

    /// Closes a connection from the broker's side; waiting answers are lost.
    pub fn close_connection(&mut self, conn: ConnId) {
        if let Some(conn) = self.conns.get_mut(&conn)
            && !conn.closed
        {
            conn.close();
            conn.answers.push_back(Answer::Close);
        }
    }

    /// Closes all connections to a broker.
    pub fn close_connections(&mut self, broker: i32) {
        for conn in self.connections(broker) {
            self.close_connection(conn);
        }
    }

    /// The open connections to a broker, oldest first.
    pub fn connections(&self, broker: i32) -> Vec<ConnId> {
        let open = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.broker == broker && !conn.closed && !conn.client_gone);
        open.map(|(id, _)| *id).collect()
    }

    /// How many connections a broker has accepted so far.
    pub fn accepted(&self, broker: i32) -> u64 {
        self.brokers.get(&broker).map_or(0, |b| b.accepted)
    }
}

/// Observation.
impl Cluster {
    /// The requests that arrived, oldest first (the latest
    /// [`request_history`](super::ClusterConfig::request_history) of them).
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &ReceivedRequest> {
        self.requests.iter()
    }

    /// The remembered requests of one API.
    pub fn requests_of(&self, api: ApiKey) -> Vec<&ReceivedRequest> {
        self.requests.iter().filter(|request| request.api == api).collect()
    }

    /// How many requests arrived in all.
    pub fn request_count(&self) -> u64 {
        self.request_count
    }

    /// Everything a client did that no client may do. Empty after every test, whatever the cluster
    /// did to its clients.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What a partition's log holds (that of its latest leader, committed or not), as far as [`Retention`](super::Retention) kept it.
    pub fn log(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        let mut records = Vec::new();
        if let Some(partition) = self.partition_ref(topic, partition) {
            let log = partition.log();
            let from = match self.config.retention {
                Retention::Last(keep) => log.end() - i64::try_from(keep).unwrap_or(i64::MAX),
                _ => 0,
            };
            log.visit(from, log.end(), |record| records.push(record));
        }
        records
    }

    /// The offset that the next record of a partition will get.
    pub fn log_end(&self, topic: &str, partition: i32) -> i64 {
        self.partition_ref(topic, partition).map_or(0, |p| p.log().end())
    }

    /// How much was appended to a partition.
    pub fn counts(&self, topic: &str, partition: i32) -> LogCounts {
        self.partition_ref(topic, partition).map(|p| p.log().counts()).unwrap_or_default()
    }

    /// How much was appended to all partitions together.
    pub fn total_counts(&self) -> LogCounts {
        let mut total = LogCounts::default();
        for partition in self.topics.values().flat_map(|topic| &topic.partitions) {
            total += partition.log().counts();
        }
        total
    }

    pub(super) fn partition_ref(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }
}
