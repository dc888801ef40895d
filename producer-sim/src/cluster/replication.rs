//! Followers copy, the high watermark moves, the ISR shrinks and grows.

use super::events::Event;
use super::log::StoredBatch;
use super::partition::{Copying, Partition};
use super::topic::Place;
use super::{Broker, Cluster, Lost, LostReason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Broker {
    /// How this broker's replicas copy from their leaders now.
    fn copying(&self) -> Copying {
        let on = !self.crashed && !self.paused && self.replication.is_some();
        Copying { on, instantly: on && self.replication == Some(Duration::ZERO) }
    }
}

/// How a broker copies; one that does not exist does not.
pub(super) fn copying(brokers: &BTreeMap<i32, Broker>, id: i32) -> Copying {
    brokers.get(&id).map_or(Copying { on: false, instantly: false }, Broker::copying)
}

impl Cluster {
    pub(super) fn partition_at(&mut self, place: &Place) -> Option<&mut Partition> {
        let topic = self.topics.get_mut(&*place.topic).filter(|t| t.id == place.topic_id)?;
        topic.partition(place.index)
    }

    /// After a change in a partition: those who copy at once do so, the others set out to, and the
    /// high watermark goes where the ISR is.
    pub(super) fn settle(&mut self, topic: &str, index: i32) {
        let Some(topic) = self.topics.get_mut(topic) else { return };
        let min_insync = topic.config.min_insync_replicas;
        let place = topic.place(index);
        let Some(partition) = topic.partition(index) else { return };
        let ids: Vec<i32> = match partition.replicas.len() {
            1 => Vec::new(),
            _ => partition.replicas.iter().map(|replica| replica.broker).collect(),
        };
        let mut isr_changed = false;
        for id in ids {
            let copying = copying(&self.brokers, id);
            if copying.instantly {
                partition.copy(id, self.config.retention, &copying);
            }
            if partition.is_caught_up(id) {
                if let Some(replica) = partition.replica_mut(id) {
                    replica.behind_since = None;
                }
                isr_changed |=
                    self.config.failover.is_some() && rejoin(partition, &self.brokers, id);
                continue;
            }
            let follows = partition.follows(id);
            let Some(replica) = partition.replica_mut(id) else { continue };
            if replica.behind_since.is_none() {
                replica.behind_since = Some(self.clock);
                if let Some(failover) = self.config.failover {
                    let at = self.clock + failover.replica_lag_max;
                    let place = place.clone();
                    self.events.schedule(at, Event::LagCheck { place, broker: id });
                }
            }
            let delay = self.brokers.get(&id).and_then(|broker| broker.replication);
            if let Some(delay) = delay.filter(|_| copying.on && follows && !replica.fetching) {
                replica.fetching = true;
                let place = place.clone();
                self.events.schedule(self.clock + delay, Event::Fetch { place, broker: id });
            }
        }
        let leader = partition.image.leader.and_then(|leader| self.brokers.get(&leader));
        let era = leader.map_or_else(Default::default, |leader| leader.era);
        let queued = std::mem::replace(&mut partition.queued_for_check, true);
        self.progress |= partition.advance_high_watermark(min_insync, era);
        if isr_changed {
            self.announce(&place.topic);
        }
        if !queued {
            self.unchecked.push(place);
        }
    }

    /// A fetch of a follower has come to its end.
    pub(super) fn fetch(&mut self, place: &Place, broker: i32) {
        let copying = copying(&self.brokers, broker);
        let retention = self.config.retention;
        let Some(partition) = self.partition_at(place) else { return };
        if let Some(replica) = partition.replica_mut(broker) {
            replica.fetching = false;
        }
        partition.copy(broker, retention, &copying);
        self.settle(&place.topic, place.index);
        self.complete_waiting();
    }

    /// Takes a replica out of the ISR that has been behind for too long.
    pub(super) fn check_lag(&mut self, place: &Place, broker: i32) {
        let (Some(failover), now) = (self.config.failover, self.clock) else { return };
        let Some(partition) = self.partition_at(place) else { return };
        let Some(since) = partition.replica(broker).and_then(|r| r.behind_since) else { return };
        let at = since + failover.replica_lag_max;
        if at > now {
            self.events.schedule(at, Event::LagCheck { place: place.clone(), broker });
            return;
        }
        let Some(leader) = partition.image.leader.filter(|leader| *leader != broker) else {
            return;
        };
        let before = partition.image.isr.len();
        partition.image.isr.retain(|id| *id != broker);
        let changed = partition.image.isr.len() != before;
        // A leader that does nothing takes nobody out.
        if copying(&self.brokers, leader).on && changed {
            self.announce(&place.topic);
            self.settle(&place.topic, place.index);
            self.complete_waiting();
        }
    }

    /// Notes batches that the log which counts no longer has.
    pub(super) fn note_lost(
        &mut self,
        place: &Place,
        batches: impl IntoIterator<Item = Arc<StoredBatch>>,
        high_watermark: i64,
        reason: LostReason,
    ) {
        let at = self.clock;
        let before = self.lost.len();
        self.lost.extend(batches.into_iter().map(|batch| Lost {
            at,
            topic: Arc::clone(&place.topic),
            topic_id: place.topic_id,
            partition: place.index,
            committed: batch.base_offset < high_watermark,
            reason,
            batch,
        }));
        let is_unclean = matches!(reason, LostReason::UncleanElection | LostReason::LostTail);
        if is_unclean && self.lost.len() > before {
            self.unclean.insert((Arc::clone(&place.topic), place.index));
        }
    }
}

/// A replica that has caught up joins the ISR again, if its broker runs; whether it did.
fn rejoin(partition: &mut Partition, brokers: &BTreeMap<i32, Broker>, id: i32) -> bool {
    let runs = brokers.get(&id).is_some_and(|b| !b.fenced && !b.crashed && !b.paused);
    let image = &mut partition.image;
    let joins =
        runs && image.leader.is_some() && image.replicas.contains(&id) && !image.isr.contains(&id);
    if joins {
        image.isr.push(id);
    }
    joins
}
