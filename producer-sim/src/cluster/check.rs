//! The model looks at itself.

use super::Cluster;
use super::partition::Partition;
use super::topic::Place;
use std::fmt;
use std::sync::Arc;

/// A law of replication that the model itself has broken: a bug of the model, never of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// The partition.
    pub partition: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.partition, self.what)
    }
}

impl std::error::Error for ModelError {}

impl Cluster {
    /// Looks whether the cluster obeys its own laws: offsets without gaps, no high watermark
    /// behind a log's end, the same batches in all in-sync replicas up to it, epochs that only go
    /// up, nothing committed lost by a clean election. Looks only at what has changed since the
    /// last call, so it may be called after every step.
    ///
    /// Does not hold after [`Cluster::change_partition`] with an impossible image.
    pub fn check(&mut self) -> Result<(), ModelError> {
        for place in std::mem::take(&mut self.unchecked) {
            let Some(partition) = self.partition_at(&place) else { continue };
            partition.queued_for_check = false;
            partition.check().map_err(|what| error(&place, what))?;
        }
        let seen = std::mem::replace(&mut self.checked_lost, self.lost.len());
        for lost in self.lost.get(seen..).unwrap_or_default() {
            if lost.committed && lost.reason == super::LostReason::Deposed {
                let place = Place {
                    topic: Arc::clone(&lost.topic),
                    topic_id: lost.topic_id,
                    index: lost.partition,
                };
                let what = format!("a clean election lost offset {}", lost.base_offset());
                return Err(error(&place, what));
            }
        }
        Ok(())
    }
}

fn error(place: &Place, what: String) -> ModelError {
    ModelError { partition: format!("{}-{}", place.topic, place.index), what }
}

impl Partition {
    fn check(&mut self) -> Result<(), String> {
        let epoch = self.image.leader_epoch;
        if epoch < self.checked_epoch {
            return Err(format!("leader epoch {epoch} after {}", self.checked_epoch));
        }
        self.checked_epoch = epoch;
        let (high_watermark, end) = (self.high_watermark, self.log().end());
        if high_watermark > end {
            return Err(format!("high watermark {high_watermark} behind the log's end {end}"));
        }
        let mut due = self.checked;
        let mut last_epoch = -1;
        for batch in self.log().batches_in(self.checked, end) {
            if batch.base_offset != due && due != self.checked {
                return Err(format!("offset {} where {due} is due", batch.base_offset));
            }
            if batch.leader_epoch < last_epoch {
                return Err(format!("epoch {} after {last_epoch}", batch.leader_epoch));
            }
            (due, last_epoch) = (batch.end(), batch.leader_epoch);
        }
        if due != end && due != self.checked {
            return Err(format!("the log ends at {end} instead of {due}"));
        }
        self.checked = end;
        let isr = self.image.isr.clone();
        for id in isr {
            let (Some(log), Some(replica)) = (self.log_of(id), self.replica(id)) else { continue };
            if log.end() < high_watermark {
                return Err(format!(
                    "broker {id} is in sync at {} below the high watermark {high_watermark}",
                    log.end()
                ));
            }
            if replica.has_own_log() {
                let mut unchecked = self.log().batches_in(replica.checked, high_watermark);
                let lacking = unchecked.find(|batch| !log.holds(batch));
                if let Some(batch) = lacking {
                    return Err(format!("broker {id} lacks the batch at {}", batch.base_offset));
                }
            }
            if let Some(replica) = self.replica_mut(id) {
                replica.checked = high_watermark;
            }
        }
        Ok(())
    }
}
