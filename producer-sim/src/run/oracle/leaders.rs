//! No Produce goes to a broker that is known not to be the leader.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, PartitionLeader, Said, Sent};
use producer_proto::Uuid;
use std::collections::BTreeMap;

/// What the producer has been told about a partition.
#[derive(Clone, Copy, Debug)]
struct Told {
    topic_id: Uuid,
    leader: i32,
    epoch: i32,
    /// The last broker that has said it is not the leader, since.
    denied: Option<i32>,
    /// How often a newer leader was named.
    changes: u64,
}

impl Told {
    fn first(new: &PartitionLeader) -> Self {
        let (topic_id, leader, epoch) = (new.topic_id, new.leader, new.epoch);
        Self { topic_id, leader, epoch, denied: None, changes: 1 }
    }
}

/// NOT_LEADER_OR_FOLLOWER.
const NOT_LEADER: i16 = 6;

#[derive(Default)]
pub(crate) struct Leaders {
    told: BTreeMap<(usize, i32), Told>,
}

impl Leaders {
    /// Another producer takes over, which has been told nothing.
    pub(crate) fn new_instance(&mut self) {
        self.told.clear();
    }

    /// How often a newer leader of a partition was named.
    pub(crate) fn changes(&self, topic: usize, partition: i32) -> u64 {
        self.told.get(&(topic, partition)).map_or(0, |told| told.changes)
    }

    /// A request goes out to `broker`.
    pub(crate) fn sent(
        &self,
        at: Instant,
        broker: Option<i32>,
        sent: &Sent,
    ) -> Result<(), Failure> {
        for batch in &sent.batches {
            let Some(told) = self.told.get(&(batch.topic, batch.partition)) else { continue };
            let wrong = broker != Some(told.leader) || told.denied == broker;
            if wrong {
                let what = format!(
                    "t{}-{} goes to {broker:?}, but it was told {told:?}",
                    batch.topic, batch.partition
                );
                let failure = Failure::new(Oracle::Freshness, at, what);
                return Err(failure.place(batch.topic, batch.partition));
            }
        }
        Ok(())
    }

    /// `broker` has answered.
    pub(crate) fn answered(&mut self, broker: Option<i32>, answered: &Answered) {
        match &answered.said {
            // A broker that knows of no broker, not even itself, knows nothing yet.
            Said::Metadata(..) if answered.brokers.addresses.is_empty() => {}
            Said::Metadata(leaders, _) => {
                for new in leaders {
                    let key = (new.topic, new.partition);
                    let Some(told) = self.told.get_mut(&key) else {
                        self.told.insert(key, Told::first(new));
                        continue;
                    };
                    let was = told.topic_id;
                    let is_new_topic =
                        !was.is_zero() && !new.topic_id.is_zero() && was != new.topic_id;
                    if !new.topic_id.is_zero() {
                        told.topic_id = new.topic_id;
                    }
                    // Of older versions, which have no epochs, the last answer counts.
                    if new.epoch < 0 || new.epoch >= told.epoch || is_new_topic {
                        told.changes += u64::from(new.epoch > told.epoch || is_new_topic);
                        (told.leader, told.epoch, told.denied) = (new.leader, new.epoch, None);
                    }
                }
            }
            Said::Produce(answers) => {
                for answer in answers {
                    let key = (answer.topic, answer.partition);
                    let Some(told) = self.told.get_mut(&key) else { continue };
                    if answer.code == NOT_LEADER && broker == Some(told.leader) {
                        told.denied = broker;
                    }
                    if let Some((leader, epoch)) = answer.hint
                        && answer.code == NOT_LEADER
                        && epoch > told.epoch
                    {
                        let changes = told.changes + 1;
                        *told = Told { leader, epoch, denied: None, changes, ..*told };
                    }
                }
            }
            Said::Other(_) => {}
        }
    }
}
