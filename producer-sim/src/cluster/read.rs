//! What an oracle reads: every replica's log, what is committed, what may still come.

use super::observe::ReceivedRequest;
use super::{Cluster, Retention};
use crate::records::{BatchHeader, LogRecord};
use producer_proto::Uuid;

/// One replica of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaImage {
    /// The broker that holds it.
    pub broker: i32,
    /// Where its log ends.
    pub log_end: i64,
    /// Whether it is in the ISR.
    pub in_sync: bool,
    /// Whether its broker takes itself for the leader.
    pub leads: bool,
    /// The leader epoch that its broker knows.
    pub leader_epoch: i32,
}

/// One batch of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch<'a> {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The leader epoch it was appended under.
    pub leader_epoch: i32,
    /// The header as the producer wrote it: stamp, codec, count.
    pub header: &'a BatchHeader,
}

/// Logs and requests as they are at the latest time that the cluster was told.
impl Cluster {
    /// The topics, in order of name, with their ids and numbers of partitions.
    pub fn topics(&self) -> impl Iterator<Item = (&str, Uuid, i32)> {
        let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
        self.topics.values().map(move |t| (&*t.name, t.id, count(t.partitions.len())))
    }

    /// The offset that a partition is committed up to: what all in-sync replicas have.
    pub fn high_watermark(&self, topic: &str, partition: i32) -> i64 {
        self.partition_ref(topic, partition).map_or(0, |p| p.high_watermark)
    }

    /// The committed records of a partition, as far as [`Retention`] kept them.
    pub fn committed(&self, topic: &str, partition: i32) -> Vec<LogRecord> {
        let mut records = Vec::new();
        self.visit_committed(topic, partition, 0, |record| records.push(record));
        records
    }

    /// Calls `visit` for the committed records from `offset` on, in order. Reads only those, so an
    /// oracle that remembers [`Cluster::high_watermark`] may call it after every step.
    pub fn visit_committed(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        visit: impl FnMut(LogRecord),
    ) {
        if let Some(partition) = self.partition_ref(topic, partition) {
            let end = partition.high_watermark;
            let from = match self.config.retention {
                Retention::Last(keep) => end - i64::try_from(keep).unwrap_or(i64::MAX),
                _ => 0,
            };
            partition.log().visit(offset.max(from), end, visit);
        }
    }

    /// The committed batches of a partition from `offset` on, in order, as far as [`Retention`]
    /// kept them.
    pub fn committed_batches(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> impl Iterator<Item = LogBatch<'_>> {
        let partition = self.partition_ref(topic, partition);
        let batches = partition.map(|p| p.log().batches_in(offset, p.high_watermark));
        batches.into_iter().flatten().map(|batch| LogBatch {
            base_offset: batch.base_offset,
            leader_epoch: batch.leader_epoch,
            header: &batch.header,
        })
    }

    /// All replicas of a partition, also former ones whose logs still exist.
    pub fn replicas(&self, topic: &str, partition: i32) -> Vec<ReplicaImage> {
        let Some(partition) = self.partition_ref(topic, partition) else { return Vec::new() };
        let replicas = partition.replicas.iter().map(|replica| ReplicaImage {
            broker: replica.broker,
            log_end: partition.log_of(replica.broker).map_or(0, |log| log.end()),
            in_sync: partition.image.isr.contains(&replica.broker),
            leads: replica.leads(),
            leader_epoch: replica.leader_epoch,
        });
        replicas.collect()
    }

    /// What one replica's log holds, committed or not, as far as [`Retention`] kept it.
    pub fn replica_log(&self, topic: &str, partition: i32, broker: i32) -> Vec<LogRecord> {
        let mut records = Vec::new();
        let partition = self.partition_ref(topic, partition);
        if let Some(log) = partition.and_then(|p| p.log_of(broker)) {
            log.visit(0, log.end(), |record| records.push(record));
        }
        records
    }

    /// Requests that a broker has whole and has not carried out: stalled or held ones, those of a
    /// paused broker, and those behind others on their connection. They may take effect yet, also
    /// when their client has gone. Requests that were appended and only wait for followers are not
    /// among them.
    pub fn requests_to_come(&self) -> Vec<ReceivedRequest> {
        let mut requests = Vec::new();
        for (id, conn) in self.conns.iter().filter(|(_, conn)| !conn.closed && !conn.dead) {
            requests.extend(conn.stalled.as_ref().map(|(_, pending)| pending.request.clone()));
            for (at, frame) in &conn.frames {
                let read = self.decode_request(*at, *id, frame.clone(), &mut Vec::new());
                requests.extend(read.ok().map(|(request, _)| request));
            }
        }
        requests
    }

    /// How many Produce requests are appended and wait for followers.
    pub fn requests_waiting(&self) -> usize {
        self.waiting.len()
    }
}
