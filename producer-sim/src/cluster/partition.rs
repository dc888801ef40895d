//! One partition: its replicas, which of their logs counts, and how far it is committed.
//!
//! The log that counts is that of the latest leader. A replica whose log is the same has none of
//! its own, so that a healthy cluster keeps one log per partition however many replicas it has.

use super::config::{Era, Retention};
use super::log::{PartitionLog, StoredBatch};
use super::topic::PartitionImage;
use producer_proto::Instant;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) broker: i32,
    /// `None`: the same as the log that counts.
    own: Option<Box<PartitionLog>>,
    /// Leader and leader epoch, as this broker has heard.
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: i32,
    /// A fetch is under way.
    pub(super) fetching: bool,
    /// Since when it has not had all that the leader has.
    pub(super) behind_since: Option<Instant>,
    /// How far its log was compared with the one that counts (see `check.rs`).
    pub(super) checked: i64,
    /// How often another's log has taken the place of its own.
    pub(super) replaced: u32,
}

impl Replica {
    fn new(broker: i32, image: &PartitionImage) -> Self {
        Self {
            broker,
            own: None,
            leader: image.leader,
            leader_epoch: image.leader_epoch,
            fetching: false,
            behind_since: None,
            checked: 0,
            replaced: 0,
        }
    }

    pub(super) fn has_own_log(&self) -> bool {
        self.own.is_some()
    }

    /// Whether this broker takes itself for the leader.
    pub(super) fn leads(&self) -> bool {
        self.leader == Some(self.broker)
    }
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) image: PartitionImage,
    pub(super) replicas: Vec<Replica>,
    log: PartitionLog,
    /// Whose log it is.
    authority: i32,
    /// Where the committed part of the log ends.
    pub(super) high_watermark: i64,
    /// How far the log was looked at, and the greatest epoch seen (see `check.rs`).
    pub(super) checked: i64,
    pub(super) checked_epoch: i32,
    pub(super) queued_for_check: bool,
}

/// What one broker does in a partition right now.
pub(super) struct Copying {
    /// Whether it copies at all.
    pub(super) on: bool,
    /// Whether it copies as soon as something is appended.
    pub(super) instantly: bool,
}

impl Partition {
    pub(super) fn new(replicas: Vec<i32>) -> Self {
        let leader = replicas.first().copied();
        let image = PartitionImage { leader, leader_epoch: 0, isr: replicas.clone(), replicas };
        Self {
            replicas: image.replicas.iter().map(|id| Replica::new(*id, &image)).collect(),
            authority: leader.unwrap_or(-1),
            log: PartitionLog::default(),
            high_watermark: 0,
            checked: 0,
            checked_epoch: 0,
            queued_for_check: false,
            image,
        }
    }

    /// The log that counts.
    pub(super) fn log(&self) -> &PartitionLog {
        &self.log
    }

    pub(super) fn replica(&self, broker: i32) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.broker == broker)
    }

    pub(super) fn log_of(&self, broker: i32) -> Option<&PartitionLog> {
        self.replica(broker).map(|replica| replica.own.as_deref().unwrap_or(&self.log))
    }

    /// The log that a broker appends to.
    pub(super) fn log_mut(&mut self, broker: i32) -> &mut PartitionLog {
        let index = self.replicas.iter().position(|r| r.broker == broker);
        match index.filter(|_| broker != self.authority) {
            Some(index) => own(&mut self.replicas[index], &self.log),
            None => &mut self.log,
        }
    }

    /// Does something to the logs of all replicas.
    pub(super) fn for_each_log(&mut self, mut change: impl FnMut(&mut PartitionLog)) {
        change(&mut self.log);
        self.replicas.iter_mut().filter_map(|r| r.own.as_deref_mut()).for_each(change);
    }

    /// Whether a broker takes itself for the leader. One that has batches of a newer epoch than it
    /// has heard of got them from another leader, and waits for the news.
    pub(super) fn is_leader(&self, broker: i32) -> bool {
        let newest = self.log_of(broker).and_then(|log| log.batches().next_back());
        self.replica(broker).is_some_and(|replica| {
            replica.leads() && newest.is_none_or(|batch| batch.leader_epoch <= replica.leader_epoch)
        })
    }

    /// Leader and leader epoch, as a broker tells its clients.
    pub(super) fn heard(&self, broker: i32) -> (Option<i32>, i32) {
        let heard = self.replica(broker).map(|replica| (replica.leader, replica.leader_epoch));
        heard.unwrap_or((self.image.leader, self.image.leader_epoch))
    }

    /// Whether a broker is the leader in everybody's eyes, its own included, so that others copy
    /// from it.
    fn serving_leader(&self) -> Option<i32> {
        let leader = self.image.leader.filter(|leader| *leader == self.authority)?;
        let replica = self.replica(leader)?;
        (replica.leads() && replica.leader_epoch == self.image.leader_epoch).then_some(leader)
    }

    /// Appends at a broker that takes itself for the leader. A batch that went into a log that
    /// does not count is lost already: it comes back as such.
    pub(super) fn append(
        &mut self,
        broker: i32,
        mut batch: StoredBatch,
        retention: Retention,
        copying: impl Fn(i32) -> Copying,
    ) -> (i64, Option<Arc<StoredBatch>>) {
        if let Some(replica) = self.replica(broker) {
            batch.leader_epoch = replica.leader_epoch;
        }
        if broker == self.authority {
            let follows = self.serving_leader().is_some();
            for replica in self.replicas.iter_mut().filter(|r| r.broker != broker) {
                if replica.own.is_none() && !(follows && copying(replica.broker).instantly) {
                    own(replica, &self.log);
                }
            }
        }
        let is_lost = broker != self.authority;
        let log = self.log_mut(broker);
        let base_offset = log.end();
        batch.base_offset = base_offset;
        let batch = Arc::new(batch);
        log.push(Arc::clone(&batch), retention);
        (base_offset, is_lost.then_some(batch))
    }

    /// Whether a replica has all that the leader has.
    pub(super) fn is_caught_up(&self, broker: i32) -> bool {
        self.replica(broker).is_some_and(|r| {
            r.own.as_ref().is_none_or(|own| {
                own.end() == self.log.end() && own.common_end(&self.log) == own.end()
            })
        })
    }

    /// Whether a replica copies from the leader, if its broker copies at all.
    pub(super) fn follows(&self, broker: i32) -> bool {
        self.serving_leader().is_some_and(|leader| leader != broker)
            && self.replica(broker).is_some_and(|r| r.leader_epoch == self.image.leader_epoch)
    }

    /// A follower copies all that the leader has now.
    pub(super) fn copy(&mut self, broker: i32, retention: Retention, copying: &Copying) {
        if !copying.on || !self.follows(broker) {
            return;
        }
        let log = &self.log;
        let Some(replica) = self.replicas.iter_mut().find(|r| r.broker == broker) else { return };
        replica.behind_since = None;
        let Some(own) = &mut replica.own else { return };
        let before = own.common_end(log);
        if copying.instantly {
            replica.own = None;
        } else {
            own.follow(log, retention);
        }
        replica.checked = replica.checked.min(before);
    }

    /// Moves the high watermark to where all in-sync replicas are; whether it moved.
    pub(super) fn advance_high_watermark(&mut self, min_insync: usize, era: Era) -> bool {
        let Some(leader) = self.serving_leader() else { return false };
        let min_insync = min_insync.min(self.image.replicas.len());
        if era == Era::Modern && self.image.isr.len() < min_insync {
            return false;
        }
        // What an old leader has appended on its own does not count.
        let shared = |replica: &Replica| match &replica.own {
            Some(own) => own.common_end(&self.log),
            None => self.log.end(),
        };
        let in_sync = self.image.isr.iter().chain([&leader]);
        let ends = in_sync.filter_map(|id| self.replica(*id).map(shared));
        let end = ends.min().unwrap_or(0);
        let moved = end > self.high_watermark;
        self.high_watermark = self.high_watermark.max(end);
        moved
    }

    /// Whether this broker's log is the one that counts.
    pub(super) fn counts(&self, broker: i32) -> bool {
        self.authority == broker
    }

    /// Gives a partition another leader, or none, with a new epoch. What the new leader does not
    /// have is lost, and comes back.
    pub(super) fn set_leader(&mut self, leader: Option<i32>) -> Vec<Arc<StoredBatch>> {
        self.image.leader = leader;
        self.image.leader_epoch += 1;
        leader.map_or_else(Vec::new, |leader| self.let_count(leader))
    }

    /// Makes a replica's log the one that counts; what it does not have comes back.
    pub(super) fn let_count(&mut self, broker: i32) -> Vec<Arc<StoredBatch>> {
        if broker == self.authority {
            return Vec::new();
        }
        let Some(replica) = self.replica_mut(broker) else { return Vec::new() };
        let own = replica.own.take();
        let old_authority = std::mem::replace(&mut self.authority, broker);
        let Some(log) = own else { return Vec::new() };
        let old_log = std::mem::replace(&mut self.log, *log);
        let common = self.log.common_end(&old_log);
        for replica in self.replicas.iter_mut().filter(|r| r.broker != broker) {
            replica.checked = replica.checked.min(common);
            if replica.own.is_none() && replica.broker != old_authority {
                replica.own = Some(Box::new(old_log.clone()));
            }
        }
        let lost = old_log.batches().filter(|b| b.end() > common).cloned().collect();
        if let Some(replica) = self.replica_mut(old_authority) {
            replica.own = Some(Box::new(old_log));
        }
        self.checked = self.checked.min(common);
        lost
    }

    /// Cuts the high watermark back to what the log that counts shares with what was committed,
    /// after an unclean election or a lost tail.
    pub(super) fn cut_high_watermark(&mut self, common: i64) {
        self.high_watermark = self.high_watermark.min(common);
    }

    /// A broker's log loses its latest batches; what was lost from the log that counts comes back.
    pub(super) fn lose_tail(&mut self, broker: i32, batches: usize) -> Vec<Arc<StoredBatch>> {
        let counts = broker == self.authority;
        if counts {
            for replica in self.replicas.iter_mut().filter(|r| r.broker != broker) {
                own(replica, &self.log);
            }
        }
        let Some(log) = self.log_of(broker) else { return Vec::new() };
        let latest = log.batches().rev().take(batches).last();
        let Some(end) = latest.map(|batch| batch.base_offset) else { return Vec::new() };
        let removed = self.log_mut(broker).truncate(end);
        for replica in self.replicas.iter_mut().filter(|r| r.broker == broker || counts) {
            replica.checked = replica.checked.min(end);
        }
        if counts {
            self.checked = self.checked.min(end);
            self.cut_high_watermark(end);
            removed
        } else {
            Vec::new()
        }
    }

    /// Makes replicas of the brokers that the image names, with the log that counts, and lets all
    /// of them know the image.
    pub(super) fn adopt_image(&mut self, brokers: impl Fn(i32) -> bool) {
        let Self { image, replicas, .. } = self;
        for id in image.replicas.iter().chain(&image.leader) {
            if brokers(*id) && !replicas.iter().any(|r| r.broker == *id) {
                replicas.push(Replica::new(*id, image));
            }
        }
    }

    /// Makes a broker's log the same as the one that counts, whatever it was, and the broker the
    /// one whose log counts.
    pub(super) fn hand_log_to(&mut self, broker: i32) {
        if let Some(replica) = self.replicas.iter_mut().find(|r| r.broker == broker) {
            replica.replaced += u32::from(replica.own.take().is_some());
            self.authority = broker;
        }
    }

    /// A broker hears who leads; whether that was news.
    pub(super) fn learn(&mut self, broker: i32, leader: Option<i32>, epoch: i32) -> bool {
        let Some(replica) = self.replicas.iter_mut().find(|r| r.broker == broker) else {
            return false;
        };
        let news = (replica.leader, replica.leader_epoch) != (leader, epoch);
        (replica.leader, replica.leader_epoch) = (leader, epoch);
        news
    }

    pub(super) fn replica_mut(&mut self, broker: i32) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.broker == broker)
    }
}

/// The log of a replica, made its own if it was not.
fn own<'a>(replica: &'a mut Replica, shared: &PartitionLog) -> &'a mut PartitionLog {
    replica.own.get_or_insert_with(|| Box::new(shared.clone()))
}
