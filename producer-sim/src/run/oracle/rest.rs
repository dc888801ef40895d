//! After the close, and when nothing is left to do, nothing happens and nothing is held.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use producer_proto::{Event, Stats, TimerKind};

/// What may still come from a producer.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    closed: bool,
}

impl Rest {
    /// A new producer takes over.
    pub(crate) fn new_instance(&mut self) {
        self.closed = false;
    }

    /// Whether the producer has said that it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes an event, of which the close is the last.
    pub(crate) fn event(&mut self, at: Instant, event: &Event) -> Result<(), Failure> {
        self.nothing_more(at, || format!("{event:?}"))?;
        self.closed = matches!(event, Event::Closed);
        Ok(())
    }

    /// Nothing more goes out, and nothing is dialled.
    pub(crate) fn nothing_more(
        &self,
        at: Instant,
        what: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.closed {
            true => Err(broken(at, format!("{} after the close", what()))),
            false => Ok(()),
        }
    }

    /// No timer is armed once the producer is closed.
    pub(crate) fn timer(
        &self,
        at: Instant,
        due: Option<Instant>,
        kind: Option<TimerKind>,
    ) -> Result<(), Failure> {
        match due.filter(|_| self.closed) {
            Some(due) => Err(broken(at, format!("a timer ({kind:?}) at {due:?} after the close"))),
            None => Ok(()),
        }
    }

    /// It was not woken more often than there were reasons for.
    pub(crate) fn wake_ups(&self, at: Instant, woken: u64, explained: u64) -> Result<(), Failure> {
        if woken <= explained {
            return Ok(());
        }
        let what = format!("woken {woken} times in an hour of rest, {explained} are explained");
        Err(Failure::new(Oracle::Timers, at, what))
    }
}

/// No memory is accounted for any more: all records have their outcomes, all requests ended.
pub(crate) fn baseline(at: Instant, stats: &Stats, when: &str) -> Result<(), Failure> {
    match stats.buffered_bytes {
        0 => Ok(()),
        bytes => Err(Failure::new(Oracle::Memory, at, format!("{bytes} bytes buffered {when}"))),
    }
}

fn broken(at: Instant, what: String) -> Failure {
    Failure::new(Oracle::FlushAndClose, at, what)
}
