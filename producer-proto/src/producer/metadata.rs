//! Metadata: when to ask, and what an answer changes.

use bytes::BytesMut;

use crate::backoff::exponential;
use crate::config::MetadataRecoveryStrategy;
use crate::conn::{MetadataScope, Outgoing, Request};
use crate::event::Event;
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::partition::{NO_NODE, Partition};
use crate::rng::Stream;
use crate::timers::TimerKey;
use crate::topics::{PartitionIndex, TopicState};
use crate::wire::{
    ApiKey, MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
    encode_request,
};
use crate::{ConnectionId, ErrorCode, Instant, TopicId, Uuid};

use super::least_loaded::Source;
use super::{Phase, Producer};

/// Longest host name that is taken from a broker: that of DNS.
pub(super) const MAX_HOST: usize = 255;

impl Producer {
    /// Asks for a topic's metadata if it is not known and not already asked for.
    pub(super) fn want_topic(&mut self, topic: u32) {
        let now = self.now;
        let state = self.topics.at_mut(topic);
        state.last_used = now;
        if state.state == TopicState::Idle {
            state.state = TopicState::Wanted;
            // Of one that was refused the next answer is as likely to be the same: it waits.
            let is_new = state.error.is_none();
            self.metadata.request_topic(topic, is_new);
        }
    }

    /// Sends a metadata request if one is due, or arms the timer for when it will be.
    pub(super) fn drive_metadata(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        let Some(due) = self.metadata.due(self.settings.metadata_max_age) else {
            self.timers.clear(TimerKey::Metadata);
            return;
        };
        if due > self.now {
            self.timers.set(TimerKey::Metadata, due);
            return;
        }
        if self.metadata.waits_for_source {
            return;
        }
        self.timers.clear(TimerKey::Metadata);
        if self.metadata.unserved_since.is_none() {
            self.metadata.unserved_since = Some(self.now);
        }
        self.check_rebootstrap_trigger();
        let mut source = self.metadata_source();
        if matches!(source, Source::Nobody) && self.rebootstraps() {
            self.rebootstrap();
            source = self.metadata_source();
        }
        // Not looked for again before something about a connection changes, or the time comes.
        self.metadata.waits_for_source = true;
        match source {
            Source::Ready(id) => self.ask_metadata(id),
            Source::Dial(node) => self.ensure_connection(node),
            Source::Later(at) => self.timers.set(TimerKey::Metadata, at),
            Source::Soon | Source::Nobody => {}
        }
        if let Some(at) = self.rebootstrap_at() {
            let armed = self.timers.deadline(TimerKey::Metadata).unwrap_or(Instant::MAX);
            if at > self.now {
                self.timers.set(TimerKey::Metadata, at.min(armed));
            }
        }
    }

    fn ask_metadata(&mut self, id: ConnectionId) {
        let scope = if self.metadata.wants_only_new() && self.metadata.has_answer() {
            MetadataScope::New(self.metadata.pending.iter().copied().collect())
        } else {
            self.evict_idle_topics();
            let in_use = |state| matches!(state, TopicState::Wanted | TopicState::Ready);
            let topics = self.topics.iter().filter(|(_, topic)| in_use(topic.state));
            MetadataScope::All(topics.map(|(index, _)| index).collect())
        };
        let names: Vec<&str> =
            scope.topics().iter().map(|&topic| &*self.topics.at(topic).name).collect();
        let request = MetadataRequest {
            topics: Some(&names),
            allow_auto_topic_creation: self.settings.allow_auto_topic_creation,
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Ok(version) = conn.versions.pick(ApiKey::Metadata) else { return };
        let correlation = conn.correlation();
        let mut bytes = BytesMut::new();
        encode_request(&mut bytes, &request, version, correlation, Some(&self.settings.client_id));
        let (bytes, kind) = (bytes.freeze(), Request::Metadata(scope));
        conn.outbox.push_back(Outgoing { bytes, correlation, version, kind });
        let node = conn.node;
        self.metadata.asked_on(id);
        self.wake(node);
    }

    /// Topics that nobody has used for `metadata.max.idle.ms` are not asked for any more; but for
    /// one that was never ready, or for a partition that is not known, somebody may wait, however
    /// long nobody can be asked.
    fn evict_idle_topics(&mut self) {
        let (now, limit) = (self.now, self.settings.metadata_max_idle);
        let is_idle = |topic: &crate::topics::Topic| {
            topic.state == TopicState::Ready
                && topic.open_batches == 0
                && topic.asked_beyond.is_none()
                && now.saturating_since(topic.last_used) >= limit
        };
        let idle: Vec<u32> =
            self.topics.iter().filter(|(_, topic)| is_idle(topic)).map(|(i, _)| i).collect();
        for topic in idle {
            self.marks.hit(Mark::TopicEvicted);
            self.topics.at_mut(topic).state = TopicState::Idle;
            self.metadata.forget_topic(topic);
        }
    }

    // ---- rebootstrap (KIP-899, KIP-1102)

    pub(super) fn rebootstraps(&self) -> bool {
        self.settings.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap
    }

    fn rebootstrap_at(&self) -> Option<Instant> {
        if !self.rebootstraps() || self.metadata.is_bootstrapping {
            return None;
        }
        let since = self.metadata.unserved_since?;
        Some(since + self.settings.metadata_recovery_rebootstrap_trigger)
    }

    fn check_rebootstrap_trigger(&mut self) {
        if self.rebootstrap_at().is_some_and(|at| at <= self.now) {
            self.rebootstrap();
        }
    }

    /// Forgets the brokers and starts from the bootstrap list. Topics, leader epochs and all
    /// batches stay.
    pub(super) fn rebootstrap(&mut self) {
        self.marks.hit(Mark::Rebootstrapped);
        self.metadata.is_bootstrapping = true;
        self.metadata.unserved_since = Some(self.now);
        self.metadata.request();
        for node in self.nodes.all() {
            if self.nodes[node].id.is_none() {
                continue;
            }
            self.unlist(node);
            if let Some(id) = self.nodes[node].conn {
                self.close_connection(id, super::connections::Ending::Unneeded);
            }
        }
    }

    /// A broker is not part of the cluster any more.
    fn unlist(&mut self, node: NodeIndex) {
        if !self.nodes[node].is_listed {
            return;
        }
        self.nodes[node].is_listed = false;
        self.timers.clear(TimerKey::Reconnect(node));
        while let Some(at) = self.nodes[node].ready.pop_front() {
            self.partition_mut(at).is_ready = false;
            self.metadata.request();
        }
    }

    // ---- the answer

    pub(super) fn metadata_lost(&mut self) {
        self.marks.hit(Mark::MetadataLost);
        let draw = self.rng.draw(Stream::MetadataJitter, 0, self.metadata.attempts);
        let backoff = exponential(
            self.settings.retry_backoff,
            self.settings.retry_backoff_max,
            self.metadata.failures,
            draw,
        );
        self.metadata.request();
        #[cfg(planted_bugs)]
        let backoff = self.planted_backoff(backoff);
        self.metadata.failed(self.now, backoff);
    }

    pub(super) fn on_metadata(
        &mut self,
        scope: &MetadataScope,
        version: i16,
        response: &MetadataResponse,
    ) {
        self.stats.bad_metadata_entries += response.refused as u64;
        if ErrorCode(response.error_code) == ErrorCode::REBOOTSTRAP_REQUIRED {
            self.metadata_lost();
            return self.rebootstrap();
        }
        let mut changed = self.list_brokers(response);
        if self.nodes.listed_brokers().next().is_none() || !self.answers_anything(response) {
            // A broker that is starting up knows of nobody, not even itself.
            return self.metadata_lost();
        }
        let is_full = matches!(scope, MetadataScope::All(_));
        self.metadata.succeeded(self.now, is_full);
        let mut answered = 0;
        for topic in &response.topics {
            let Some(index) = topic.name.as_deref().and_then(|name| self.topics.by_name(name))
            else {
                self.stats.bad_metadata_entries += 1;
                continue;
            };
            if !scope.topics().contains(&index) {
                self.stats.bad_metadata_entries += 1;
                continue;
            }
            answered += 1;
            changed |= self.apply_topic(index, topic, version);
        }
        if answered < scope.topics().len() {
            self.marks.hit(Mark::TopicMissing);
            self.metadata.request();
        }
        self.rewake(scope);
        self.space_next_request(changed);
    }

    fn answers_anything(&self, response: &MetadataResponse) -> bool {
        !response.brokers.is_empty()
    }

    /// The next request for the same thing comes later each time nothing has changed (KIP-580).
    fn space_next_request(&mut self, changed: bool) {
        let unchanged = if changed { 0 } else { self.metadata.unchanged };
        let draw = self.rng.draw(Stream::MetadataJitter, 1, self.metadata.attempts);
        let wait = exponential(
            self.settings.retry_backoff,
            self.settings.retry_backoff_max,
            unchanged,
            draw,
        );
        self.metadata.unchanged = if changed { 0 } else { unchanged.saturating_add(1) };
        #[cfg(planted_bugs)]
        let wait = self.planted_backoff(wait);
        self.metadata.space(self.now, wait);
    }

    /// Takes over the list of brokers; true when it was news.
    fn list_brokers(&mut self, response: &MetadataResponse) -> bool {
        let mut usable: Vec<_> = response
            .brokers
            .iter()
            .filter_map(|broker| Some((broker, usable_port(broker)?)))
            .collect();
        self.stats.bad_metadata_entries += (response.brokers.len() - usable.len()) as u64;
        if usable.is_empty() {
            return false;
        }
        // A new broker may take the place of one that is out of the list, but not of one that comes
        // back with this answer: its backoff would be forgotten.
        usable.sort_by_key(|(broker, _)| self.nodes.by_broker(broker.node_id).is_none());
        let mut changed = false;
        let known: Vec<NodeIndex> = self.nodes.listed_brokers().collect();
        let mut listed = std::collections::BTreeSet::new();
        for (broker, port) in usable {
            // Of an id that is named twice the first address counts.
            if !listed.insert(broker.node_id) {
                self.stats.bad_metadata_entries += 1;
                continue;
            }
            changed |= self.list_broker(broker.node_id, &broker.host, port);
        }
        for node in known {
            let is_gone = self.nodes[node].id.is_some_and(|id| !listed.contains(&id.0));
            if is_gone {
                changed = true;
                self.marks.hit(Mark::BrokerGone);
                self.unlist(node);
                if let Some(id) = self.nodes[node].conn {
                    self.supersede(id);
                }
            }
        }
        changed
    }

    pub(super) fn list_broker(&mut self, id: i32, host: &std::sync::Arc<str>, port: u16) -> bool {
        let known = self.nodes.by_broker(id);
        let was_listed = known.is_some_and(|node| self.nodes[node].is_listed);
        if let Some(node) = known.filter(|&node| !self.nodes[node].is_at(host, port))
            && let Some(conn) = self.nodes[node].conn
        {
            // The end of the connection counts where it was, and no other is opened there.
            self.nodes[node].is_listed = false;
            self.supersede(conn);
        }
        let (node, moved) = self.nodes.list_broker(self.now, id, host.clone(), port);
        if moved {
            self.marks.hit(Mark::BrokerMoved);
            if self.has_ready(node) {
                self.wake(node);
            }
        }
        moved || !was_listed
    }

    /// Takes over what an answer says of one topic; true when it was news.
    fn apply_topic(&mut self, index: u32, topic: &MetadataTopic, version: i16) -> bool {
        let code = ErrorCode(topic.error_code);
        if !code.is_none() {
            return self.apply_topic_error(index, code);
        }
        let is_new_topic = self.adopt_uuid(index, topic.topic_id);
        let count = self.partition_count_of(index, topic, is_new_topic);
        if count == 0 {
            return self.apply_topic_error(index, ErrorCode::LEADER_NOT_AVAILABLE);
        }
        let before = self.topics.at(index).count;
        let was_ready = self.topics.at(index).state == TopicState::Ready;
        let mut changed = is_new_topic || count != before || !was_ready;
        self.grow(index, count);
        changed |= self.apply_partitions(index, topic, version, is_new_topic);
        if is_new_topic {
            self.marks.hit(Mark::TopicRecreated);
            for at in self.topics.at(index).partitions.clone() {
                self.end_sequence(at);
            }
        }
        self.metadata.forget_topic(index);
        let state = self.topics.at_mut(index);
        state.error = ErrorCode::NONE;
        state.state = TopicState::Ready;
        state.count = count;
        match state.asked_beyond {
            // What is answered here was asked before.
            Some(asked) if asked >= self.metadata.attempts => self.metadata.request(),
            _ => state.asked_beyond = None,
        }
        match &mut state.spread {
            Some(spread) if count != before => spread.resize(count),
            _ => {}
        }
        if count != before {
            self.refresh_spread(index);
        }
        if !was_ready || count > before {
            self.events.push_back(Event::TopicReady(TopicId(index)));
        }
        changed
    }

    /// True when the topic was deleted and made anew: then nothing known of it holds.
    fn adopt_uuid(&mut self, index: u32, uuid: Uuid) -> bool {
        let known = self.topics.at(index).uuid;
        if uuid == known || uuid.is_zero() {
            return false;
        }
        self.topics.set_uuid(index, uuid);
        !known.is_zero()
    }

    /// How many partitions the topic has. Partitions never become fewer: those that are missing
    /// from an answer are missing for a while, unless the topic is a new one.
    fn partition_count_of(&self, index: u32, topic: &MetadataTopic, is_new: bool) -> i32 {
        let known = if is_new { 0 } else { self.topics.at(index).count };
        let plausible = self.plausible_index(index, topic);
        let indexes = topic.partitions.iter().map(|partition| partition.index);
        indexes.filter(|&i| i >= 0 && i < plausible).map(|i| i + 1).max().unwrap_or(0).max(known)
    }

    /// No table is made larger than an answer's length justifies.
    fn plausible_index(&self, index: u32, topic: &MetadataTopic) -> i32 {
        let listed = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        listed.saturating_mul(2).saturating_add(64).max(self.topics.at(index).count)
    }

    fn grow(&mut self, index: u32, count: i32) {
        let wanted = count.unsigned_abs() as usize;
        for number in self.topics.at(index).partitions.len()..wanted {
            let at = PartitionIndex::try_from(self.partitions.len())
                .expect("fewer partitions than bytes of memory");
            self.partitions.push(Partition::new(index, number as i32));
            self.topics.at_mut(index).partitions.push(at);
        }
    }

    fn apply_partitions(
        &mut self,
        index: u32,
        topic: &MetadataTopic,
        version: i16,
        is_new_topic: bool,
    ) -> bool {
        let mut changed = false;
        let mut seen: Vec<Option<&MetadataPartition>> =
            vec![None; self.topics.at(index).partitions.len()];
        for partition in &topic.partitions {
            let place = usize::try_from(partition.index).ok().and_then(|i| seen.get_mut(i));
            let Some(place) = place else {
                self.stats.bad_metadata_entries += 1;
                continue;
            };
            // Of a partition that is listed twice the higher epoch counts.
            if place.is_none_or(|other| other.leader_epoch < partition.leader_epoch) {
                *place = Some(partition);
            }
        }
        for (number, partition) in seen.into_iter().enumerate() {
            let at = self.topics.at(index).partitions[number];
            changed |= match partition {
                Some(partition) => self.apply_partition(at, partition, version, is_new_topic),
                None => {
                    self.marks.hit(Mark::PartitionMissing);
                    self.partition_mut(at).error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    self.set_leader(at, NO_NODE)
                }
            };
        }
        changed
    }

    /// Takes over a partition's leader unless it is older news than what is known (KIP-320).
    fn apply_partition(
        &mut self,
        at: PartitionIndex,
        partition: &MetadataPartition,
        version: i16,
        is_new_topic: bool,
    ) -> bool {
        let known = if is_new_topic { -1 } else { self.partition(at).leader_epoch };
        let epoch = if version >= 9 { partition.leader_epoch } else { -1 };
        if epoch >= 0 && epoch < known {
            self.marks.hit(Mark::EpochStale);
            return false;
        }
        let code = ErrorCode(partition.error_code);
        // Some errors are about replicas: the leader is good all the same.
        let leader = self
            .nodes
            .by_broker(partition.leader)
            .filter(|&node| partition.leader >= 0 && self.nodes[node].is_listed);
        if code.needs_metadata_refresh() && leader.is_none() {
            self.metadata_refresh_for(at);
        }
        if epoch != known {
            self.partition_mut(at).leader_epoch = epoch;
            // Brokers of different releases may answer with and without an epoch by turns: only
            // one that is higher than a known one names a leader that was not tried yet.
            if is_new_topic || known >= 0 && epoch > known {
                self.release_hold(at);
            }
        }
        self.partition_mut(at).error = match leader {
            Some(_) => ErrorCode::NONE,
            None if code.is_none() => ErrorCode::LEADER_NOT_AVAILABLE,
            None => code,
        };
        let moved = self.set_leader(at, leader.unwrap_or(NO_NODE));
        moved || epoch != known
    }

    fn metadata_refresh_for(&mut self, at: PartitionIndex) {
        if !self.partition(at).queue.is_empty() {
            self.metadata.request();
        }
    }

    /// Lets partitions of the topics in an answer go on, and asks again for those that have
    /// something to send and still no leader.
    fn rewake(&mut self, scope: &MetadataScope) {
        for &topic in scope.topics() {
            for number in 0..self.topics.at(topic).partitions.len() {
                let at = self.topics.at(topic).partitions[number];
                if self.partition(at).queue.is_empty() {
                    continue;
                }
                if self.usable_leader(at).is_none() {
                    self.metadata.request();
                } else {
                    self.mark_ready(at);
                }
            }
        }
    }
}

/// The port of a broker whose id and address make sense.
pub(super) fn usable_port(broker: &MetadataBroker) -> Option<u16> {
    let port = u16::try_from(broker.port).ok().filter(|&port| port > 0);
    let is_named = !broker.host.is_empty() && broker.host.len() <= MAX_HOST;
    port.filter(|_| broker.node_id >= 0 && is_named)
}
