//! The controller: who leads, who is in sync.

use super::replication::copying;
use super::topic::{PartitionImage, Place};
use super::{Cluster, Lost, LostReason};
use std::fmt;
use std::sync::Arc;

/// Why the controller refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionError {
    /// There is no such topic or partition.
    UnknownPartition,
    /// The broker has no replica of the partition.
    NotAReplica,
    /// The broker is not in the ISR.
    NotInSync,
    /// The broker is crashed, down or fenced.
    NotRunning,
    /// The leader cannot leave the ISR.
    Leads,
    /// The last member of the ISR cannot leave it.
    LastInSync,
}

impl fmt::Display for ElectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPartition => "there is no such partition",
            Self::NotAReplica => "the broker has no replica of the partition",
            Self::NotInSync => "the broker is not in the ISR",
            Self::NotRunning => "the broker does not run",
            Self::Leads => "the leader cannot leave the ISR",
            Self::LastInSync => "the last member of the ISR cannot leave it",
        })
    }
}

impl std::error::Error for ElectionError {}

/// Leaders and in-sync replicas. All of it takes effect at the latest time that the cluster was
/// told by any call; see [`Cluster::advance`].
impl Cluster {
    /// Makes an in-sync replica the leader, with the next epoch (a clean election). Committed
    /// records stay; what the old leader had beyond the new one's log is [lost](Cluster::lost).
    /// Requests that wait at the old leader for followers are answered NOT_LEADER_OR_FOLLOWER as
    /// soon as that broker hears of it. The leader itself may be elected, for a new epoch.
    pub fn elect(&mut self, topic: &str, partition: i32, broker: i32) -> Result<(), ElectionError> {
        let runs = self.runs(broker);
        let image = self.image_mut(topic, partition)?;
        if !image.replicas.contains(&broker) {
            return Err(ElectionError::NotAReplica);
        }
        if !image.isr.contains(&broker) {
            return Err(ElectionError::NotInSync);
        }
        if !runs {
            return Err(ElectionError::NotRunning);
        }
        self.lead(topic, partition, Some(broker), LostReason::Deposed);
        Ok(())
    }

    /// Makes any replica the leader and the only one in sync (an unclean election). What it does
    /// not have is [lost](Cluster::lost), committed or not; the others truncate it when they copy
    /// from the new leader.
    pub fn elect_unclean(
        &mut self,
        topic: &str,
        partition: i32,
        broker: i32,
    ) -> Result<(), ElectionError> {
        let runs = self.runs(broker);
        let image = self.image_mut(topic, partition)?;
        if !image.replicas.contains(&broker) {
            return Err(ElectionError::NotAReplica);
        }
        if !runs {
            return Err(ElectionError::NotRunning);
        }
        let reason = match image.isr.contains(&broker) {
            true => LostReason::Deposed,
            false => LostReason::UncleanElection,
        };
        image.isr = vec![broker];
        self.lead(topic, partition, Some(broker), reason);
        Ok(())
    }

    /// Gives a partition to its first replica if that is in sync and runs (a preferred election).
    pub fn elect_preferred(&mut self, topic: &str, partition: i32) -> Result<(), ElectionError> {
        let image = self.image_mut(topic, partition)?;
        let preferred = image.replicas.first().copied().ok_or(ElectionError::NotAReplica)?;
        if image.leader == Some(preferred) {
            return Ok(());
        }
        self.elect(topic, partition, preferred)
    }

    /// Leaves a partition without a leader, with the next epoch.
    pub fn depose(&mut self, topic: &str, partition: i32) -> Result<(), ElectionError> {
        self.image_mut(topic, partition)?;
        self.lead(topic, partition, None, LostReason::Deposed);
        Ok(())
    }

    /// Takes a follower out of the ISR. The high watermark no longer waits for it.
    pub fn shrink_isr(
        &mut self,
        topic: &str,
        partition: i32,
        broker: i32,
    ) -> Result<(), ElectionError> {
        let image = self.image_mut(topic, partition)?;
        if image.leader == Some(broker) {
            return Err(ElectionError::Leads);
        }
        if image.isr == [broker] {
            return Err(ElectionError::LastInSync);
        }
        image.isr.retain(|id| *id != broker);
        self.partition_changed(topic, partition);
        Ok(())
    }

    /// Takes a replica that has all of the leader's log into the ISR.
    pub fn expand_isr(
        &mut self,
        topic: &str,
        partition: i32,
        broker: i32,
    ) -> Result<(), ElectionError> {
        let runs = copying(&self.brokers, broker).on;
        let image = self.image_mut(topic, partition)?;
        if !image.replicas.contains(&broker) {
            return Err(ElectionError::NotAReplica);
        }
        if image.isr.contains(&broker) {
            return Ok(());
        }
        let caught_up = self
            .topics
            .get_mut(topic)
            .and_then(|topic| topic.partition(partition))
            .is_some_and(|partition| partition.is_caught_up(broker));
        if !caught_up || !runs {
            return Err(ElectionError::NotInSync);
        }
        self.image_mut(topic, partition)?.isr.push(broker);
        self.partition_changed(topic, partition);
        Ok(())
    }

    /// Batches that leaders appended and that no log which counts has any more, oldest loss first:
    /// what an unclean election, a lost tail, acks=1 or a deleted topic excuses.
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Whether an unclean election or a lost tail has ever taken something from a partition of
    /// this name, even if it has come back since.
    pub fn has_lost_uncleanly(&self, topic: &str, partition: i32) -> bool {
        self.unclean.iter().any(|(name, index)| (&**name, *index) == (topic, partition))
    }

    fn image_mut(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<&mut PartitionImage, ElectionError> {
        let partition = self.topics.get_mut(topic).and_then(|topic| topic.partition(partition));
        partition.map(|p| &mut p.image).ok_or(ElectionError::UnknownPartition)
    }

    fn runs(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|b| b.up && !b.crashed && !b.fenced)
    }

    /// Changes the leader, truncates what it must and tells everybody.
    pub(super) fn lead(
        &mut self,
        topic: &str,
        index: i32,
        leader: Option<i32>,
        reason: LostReason,
    ) {
        let Some(known) = self.topics.get_mut(topic) else { return };
        let place = known.place(index);
        let Some(partition) = known.partition(index) else { return };
        let committed = partition.high_watermark;
        let lost = partition.set_leader(leader);
        if let Some(first) = lost.first() {
            partition.cut_high_watermark(first.base_offset);
        }
        // An unclean election may bring back what another had lost.
        let log = partition.log();
        let here = |l: &Lost| (l.topic_id, l.partition) == (place.topic_id, index);
        let is_back = |l: &mut Lost| here(l) && log.holds(&l.batch);
        let back: Vec<Lost> = self.lost.extract_if(.., is_back).collect();
        if !back.is_empty() {
            self.checked_lost = 0;
        }
        // What was committed is so again, and would else be lost a second time as if it never was.
        let committed_to = back.iter().filter(|l| l.committed).map(|l| l.batch.end()).max();
        partition.high_watermark = partition.high_watermark.max(committed_to.unwrap_or(0));
        self.note_lost(&place, lost, committed, reason);
        self.partition_changed(topic, index);
    }

    /// After a change of a partition's image: everybody hears of it, and whoever waited is looked
    /// at again.
    pub(super) fn partition_changed(&mut self, topic: &str, index: i32) {
        self.announce(topic);
        self.settle(topic, index);
        self.progress = true;
        self.complete_waiting();
    }

    /// The controller has not heard of a broker for its session timeout.
    pub(super) fn session_ended(&mut self, broker: i32, incarnation: u64) {
        let Some(failover) = self.config.failover else { return };
        match self.brokers.get_mut(&broker) {
            Some(state) if state.incarnation == incarnation => state.fenced = true,
            _ => return,
        }
        for (topic, index) in self.partitions_with(broker) {
            self.leave(&topic, index, broker, failover.unclean);
        }
    }

    /// Takes a broker out of a partition's ISR and leadership, if there is another for it.
    pub(super) fn leave(&mut self, topic: &str, index: i32, broker: i32, unclean: bool) {
        let Ok(image) = self.image_mut(topic, index) else { return };
        if image.isr.len() > 1 {
            image.isr.retain(|id| *id != broker);
        }
        let led = image.leader == Some(broker);
        let (replicas, isr) = (image.replicas.clone(), image.isr.clone());
        if !led {
            return self.partition_changed(topic, index);
        }
        let next = replicas.iter().copied().find(|id| isr.contains(id) && self.runs(*id));
        let reckless = replicas.into_iter().find(|id| unclean && self.runs(*id));
        match (next, reckless) {
            (Some(next), _) => self.lead(topic, index, Some(next), LostReason::Deposed),
            (None, Some(next)) => drop(self.elect_unclean(topic, index, next)),
            (None, None) => self.lead(topic, index, None, LostReason::Deposed),
        }
    }

    /// A broker is back with the controller: it leads where it is in sync and nobody else leads.
    pub(super) fn back_in_session(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.fenced = false;
        if self.config.failover.is_none() {
            return;
        }
        for (topic, index) in self.partitions_with(broker) {
            let Ok(image) = self.image_mut(&topic, index) else { continue };
            if image.leader.is_none() && image.isr.contains(&broker) {
                self.lead(&topic, index, Some(broker), LostReason::Deposed);
            } else {
                self.settle(&topic, index);
            }
        }
        self.complete_waiting();
    }

    pub(super) fn partitions_with(&self, broker: i32) -> Vec<(Arc<str>, i32)> {
        let mut found = Vec::new();
        for topic in self.topics.values() {
            for (partition, index) in topic.partitions.iter().zip(0..) {
                if partition.image.replicas.contains(&broker) {
                    found.push((Arc::clone(&topic.name), index));
                }
            }
        }
        found
    }

    pub(super) fn place_of(&self, topic: &str, index: i32) -> Option<Place> {
        self.topics.get(topic).map(|topic| topic.place(index))
    }

    /// How often another's log has taken the place of this broker's.
    pub(super) fn logs_replaced(&mut self, broker: i32, topic: &str, index: i32) -> u32 {
        let partition = self.topics.get_mut(topic).and_then(|topic| topic.partition(index));
        partition.and_then(|it| it.replica(broker)).map_or(0, |replica| replica.replaced)
    }
}
