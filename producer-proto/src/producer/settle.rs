//! What every call ends with.

use crate::batches::Batches;
use crate::event::Event;
use crate::spare::give_back;

use super::{Phase, Producer};

impl Producer {
    /// Whether [`settle`](Self::settle) would find nothing: what it does waits for a call that has
    /// changed something, or for a timer, which it does not leave to [`Input::Timeout`] alone.
    ///
    /// [`Input::Timeout`]: crate::Input::Timeout
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_settled && self.timers.first() > self.now
    }

    /// What may have become due through the call that ends here.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
        self.drive_questions();
        self.drive_metadata();
        self.drive_producer_id();
        self.finish_flushes();
        while let Some(lane) = self.budget.take_writable() {
            // Memory that comes back after the end is of no use to anybody.
            if self.phase != Phase::Closed {
                let lane = self.public_lane(lane);
                self.events.push_back(Event::Writable { lane });
            }
        }
        self.finish_close();
        self.trim_deadlines();
        self.trim_answers();
        if self.batches.has_spare() {
            self.give_back();
        }
        self.stats.buffered_bytes = self.budget.used();
        self.stats.batches_outstanding = self.outstanding.len() as u64;
    }

    /// Gives back the memory of a burst that is over.
    #[cold]
    #[inline(never)]
    fn give_back(&mut self) {
        self.batches = Batches::default();
        self.outstanding.give_back();
        give_back(&mut self.lingering);
        give_back(&mut self.expiring);
        give_back(&mut self.answers);
    }
}
