//! The producer id and its epoch (KIP-98, KIP-360).

use std::sync::Arc;

use crate::{ConnectionId, Instant};

/// The whole producer's identity towards brokers. Sequences belong to partitions.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    current: Option<(i64, i16)>,
    /// The connection on which a new id has been asked for.
    pub(crate) asked: Option<ConnectionId>,
    /// Not asked before this.
    pub(crate) retry_at: Instant,
    pub(crate) failures: u32,
    /// Why the last request for an id failed.
    pub(crate) trouble: Option<Arc<str>>,
    /// All attempts; keys the jitter.
    pub(crate) attempts: u64,
}

impl ProducerIds {
    /// Id and epoch for fresh batches.
    pub(crate) fn current(&self) -> Option<(i64, i16)> {
        self.current
    }

    /// Whether an id should be asked for.
    pub(crate) fn is_wanted(&self) -> bool {
        self.current.is_none() && self.asked.is_none()
    }

    pub(crate) fn adopt(&mut self, producer_id: i64, epoch: i16) {
        self.current = Some((producer_id, epoch));
        self.asked = None;
        self.failures = 0;
        self.trouble = None;
    }

    /// Moves on to the next epoch, locally; after the last one the id is given up and a new one
    /// must be asked for.
    pub(crate) fn bump(&mut self) -> Option<(i64, i16)> {
        let (producer_id, epoch) = self.current?;
        self.current = epoch.checked_add(1).map(|epoch| (producer_id, epoch));
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_epoch_is_used_and_then_the_id_is_renewed() {
        let mut ids = ProducerIds::default();
        assert!(ids.is_wanted());
        ids.adopt(7, i16::MAX - 1);
        assert_eq!(ids.bump(), Some((7, i16::MAX)));
        assert_eq!(ids.bump(), None);
        assert!(ids.is_wanted());
    }
}
