//! When the driver that sleeps has to be woken.

use std::task::Waker;

use producer_proto::{Config, Instant};

use super::{Phase, State};

/// When to wake the driver.
pub(super) struct Alarm {
    waker: Option<Waker>,
    /// The driver is at work, or has been woken: it will drain the core once more before it
    /// sleeps.
    awake: bool,
    /// There is something to drain that the core's deadlines do not show.
    forced: bool,
    /// Until when the driver sleeps.
    scheduled: Instant,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { waker: None, awake: true, forced: false, scheduled: Instant::MAX }
    }
}

/// So many records on their way are a flow, of which none is waited for alone.
const FLOW_RECORDS: u64 = 256;

/// With more bytes than this on their way, every turn has enough to do, unless they are only a few
/// batches.
const FLOW_BYTES: usize = 1 << 20;

/// So many batches may be open, or one is filled while the others are written: no more than what it
/// takes to keep both sides busy.
const FEW_BATCHES: usize = 8;

/// How many bytes are more than a turn of a producer with these settings brings out.
pub(super) fn much(config: &Config) -> usize {
    let few = config.batch_size.saturating_mul(FEW_BATCHES);
    FLOW_BYTES.max(few.min(config.buffer_memory / 2))
}

impl State {
    /// Whether many records come and go, and nobody waits for the next turn.
    pub(crate) fn is_flowing(&self) -> bool {
        let stats = self.core.stats();
        stats.records_outstanding >= FLOW_RECORDS
            && !self.is_behind()
            && self.phase == Phase::Open
            && self.tickets.is_empty()
            && self.flushing.is_empty()
    }

    /// Whether there is more to send than a turn brings out.
    pub(crate) fn is_behind(&self) -> bool {
        self.core.stats().buffered_bytes > self.much
    }

    /// The driver must drain, whatever the deadlines say.
    pub(crate) fn force_drain(&mut self) {
        self.alarm.forced = true;
    }

    /// Who is to be woken after a call from outside the driver; at most one per sleep.
    pub(crate) fn waker_needed(&mut self) -> Option<Waker> {
        if self.alarm.awake {
            return None;
        }
        let is_earlier = self.deadline().is_some_and(|deadline| deadline < self.alarm.scheduled);
        if !is_earlier && !self.alarm.forced && !self.core.has_output() {
            return None;
        }
        self.alarm.awake = true;
        self.alarm.waker.clone()
    }

    /// The driver is at work and will be woken through this.
    pub(crate) fn begin_turn(&mut self, waker: &Waker) {
        self.alarm.awake = true;
        self.alarm.forced = false;
        match &mut self.alarm.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
    }

    /// The driver is going to sleep, until the deadline that this gives.
    pub(crate) fn end_turn(&mut self) -> Option<Instant> {
        let deadline = self.deadline();
        self.alarm.awake = false;
        self.alarm.scheduled = deadline.unwrap_or(Instant::MAX);
        deadline
    }

    /// The driver is gone: nobody is to be woken.
    pub(crate) fn end_driver(&mut self) {
        self.alarm.waker = None;
        self.alarm.awake = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_a_mib_or_a_few_batches_if_memory_has_room_for_them() {
        let mut config = Config::new("b:9092");
        assert_eq!(much(&config), 1 << 20);
        config.batch_size = 1_000_000;
        assert_eq!(much(&config), 8_000_000);
        config.buffer_memory = 6_000_000;
        assert_eq!(much(&config), 3_000_000);
        config.buffer_memory = 1_500_000;
        assert_eq!(much(&config), 1 << 20);
    }
}
