//! The cluster: its topics, and what has come for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Serialize;

use crate::options::Options;
use crate::totals::{Counter, Totals};

/// A topic's id.
pub(crate) type TopicId = [u8; 16];

/// The cluster, shared by all connections.
#[derive(Debug)]
pub(crate) struct Cluster {
    options: Options,
    next_producer_id: AtomicI64,
    /// Replaced by a reset; who still holds the old one counts for nothing.
    count: RwLock<Arc<Count>>,
}

/// What there is since the last reset.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) totals: Totals,
    topics: RwLock<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<String, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
}

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    pub(crate) partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
pub(crate) struct Partition {
    /// Also the next offset.
    records: Counter,
    /// The next sequence number of each producer id and epoch.
    sequences: Mutex<HashMap<(i64, i16), i32>>,
}

#[derive(Serialize)]
struct Stats<'a> {
    #[serde(flatten)]
    totals: &'a Totals,
    records_by_partition: BTreeMap<String, Vec<u64>>,
    /// The sink's own CPU time, since it started.
    sink_user_s: f64,
    sink_sys_s: f64,
}

impl Cluster {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, next_producer_id: AtomicI64::new(1_000), count: RwLock::default() }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn next_producer_id(&self) -> i64 {
        self.next_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The index of the broker that leads a partition.
    pub(crate) fn leader(&self, partition: usize) -> usize {
        partition % usize::from(self.options.brokers)
    }

    pub(crate) fn count(&self) -> Arc<Count> {
        self.count.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets all counters to zero and forgets the topics.
    pub(crate) fn reset(&self) {
        *self.count.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// The counters, as a line of JSON.
    pub(crate) fn stats(&self) -> Result<String> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        let count = self.count();
        let records = |topic: &Arc<Topic>| {
            let records = topic.partitions.iter().map(|partition| partition.records.get());
            (topic.name.clone(), records.collect())
        };
        let stats = Stats {
            totals: &count.totals,
            records_by_partition: count.topics().by_name.values().map(records).collect(),
            sink_user_s: usage.user_time().num_microseconds() as f64 / 1e6,
            sink_sys_s: usage.system_time().num_microseconds() as f64 / 1e6,
        };
        Ok(serde_json::to_string(&stats)?)
    }
}

impl Count {
    /// The topic of this name, which is made if there is none.
    pub(crate) fn topic(&self, name: &str, partitions: i32) -> Arc<Topic> {
        if let Some(topic) = self.topics().by_name.get(name) {
            return topic.clone();
        }
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let number = topics.by_name.len() as u128 + 1;
        let make = || {
            let partitions = (0..partitions).map(|_| Partition::default()).collect();
            Arc::new(Topic { name: name.to_owned(), id: number.to_be_bytes(), partitions })
        };
        let topic = topics.by_name.entry(name.to_owned()).or_insert_with(make).clone();
        topics.by_id.insert(topic.id, topic.clone());
        topic
    }

    pub(crate) fn topic_by_id(&self, id: &TopicId) -> Option<Arc<Topic>> {
        self.topics().by_id.get(id).cloned()
    }

    pub(crate) fn all_topics(&self) -> Vec<Arc<Topic>> {
        self.topics().by_name.values().cloned().collect()
    }

    fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Takes so many records. The offset of the first.
    pub(crate) fn append(&self, records: u64) -> i64 {
        self.records.take(records) as i64
    }

    /// Whether `sequence` is the next of this producer id and epoch; `records` on from it is the
    /// one after it. The first is 0, and after 2^31-1 comes 0 again.
    pub(crate) fn is_next(&self, id: i64, epoch: i16, sequence: i32, records: i32) -> bool {
        let mut sequences = self.sequences();
        let next = sequences.entry((id, epoch)).or_insert(0);
        let is_next = *next == sequence;
        *next = sequence.wrapping_add(records) & i32::MAX;
        is_next
    }

    fn sequences(&self) -> MutexGuard<'_, HashMap<(i64, i16), i32>> {
        self.sequences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_repeats_are_not_next() {
        let partition = Partition::default();
        assert!(partition.is_next(7, 0, 0, 3));
        assert!(partition.is_next(7, 0, 3, i32::MAX - 3), "up to the last number");
        assert!(partition.is_next(7, 0, i32::MAX, 2));
        assert!(partition.is_next(7, 0, 1, 1));
        assert!(!partition.is_next(7, 0, 1, 1), "again");
        assert!(!partition.is_next(7, 0, 4, 1), "a gap");
        assert!(partition.is_next(7, 1, 0, 1), "another epoch");
    }

    #[test]
    fn a_topic_is_made_once_and_found_by_its_id() {
        let count = Count::default();
        let topic = count.topic("t", 2);
        assert!(Arc::ptr_eq(&topic, &count.topic("t", 2)));
        let other = count.topic("u", 2);
        assert!(count.topic_by_id(&other.id).is_some_and(|found| found.name == "u"));
        assert_eq!(topic.partitions[1].append(5), 0);
        assert_eq!(topic.partitions[1].append(1), 5);
    }
}
