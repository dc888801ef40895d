//! No Produce goes to a broker that is known not to be the leader.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, Said, Sent};
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

    /// Topic id and leader epoch of what the producer was told last about a partition.
    pub(crate) fn news(&self, topic: usize, partition: i32) -> Option<(Uuid, i32)> {
        self.told.get(&(topic, partition)).map(|told| (told.topic_id, told.epoch))
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
            Said::Metadata(leaders, _) => {
                for new in leaders {
                    let key = (new.topic, new.partition);
                    if new.epoch < 0 {
                        // Older versions have no epochs: what is newer cannot be told.
                        self.told.remove(&key);
                        continue;
                    }
                    let told = self.told.get(&key);
                    let is_new = told.is_none_or(|told| {
                        new.epoch >= told.epoch
                            || (new.topic_id != told.topic_id && !new.topic_id.is_zero())
                    });
                    if is_new {
                        let (leader, epoch, topic_id) = (new.leader, new.epoch, new.topic_id);
                        self.told.insert(key, Told { topic_id, leader, epoch, denied: None });
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
                        *told = Told { leader, epoch, denied: None, ..*told };
                    }
                }
            }
            Said::Other(_) => {}
        }
    }
}
