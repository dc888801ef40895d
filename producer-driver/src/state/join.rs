//! The usual record: it joins an open batch, and nothing else comes of it.

use super::{Phase, State};
use crate::delivery::Delivery;
use crate::record::Record;
use crate::stamps::Stamps;

impl State {
    /// Pushes a record that joins an open batch. Nothing becomes due by that, so the clock need
    /// not be read and the driver need not be woken. `None`, and nothing has changed: whatever
    /// stands in the way is found on the long way. `stamp` gives the timestamp to a record that has
    /// none of its own.
    #[inline]
    pub(crate) fn join(
        &mut self,
        record: &Record<'_>,
        stamp: impl FnOnce(&mut Stamps) -> i64,
    ) -> Option<Delivery> {
        if self.phase != Phase::Open || !self.tickets.is_empty() || !self.breakers.are_quiet() {
            return None;
        }
        let topic = self.topics.known(record.topic)?;
        let timestamp = record.timestamp.unwrap_or_else(|| stamp(&mut self.stamps));
        let receipt = self.core.join(&record.stamped(topic, timestamp))?;
        Some(self.registered(receipt, topic, timestamp))
    }
}
