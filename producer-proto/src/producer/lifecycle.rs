//! Flush, close, abort, cancel, expedite, and the end of a producer that cannot go on.

use std::sync::Arc;

use crate::batches::{Content, LastError, State};
use crate::error::{FatalError, ProduceError, ProduceErrorKind};
use crate::event::{Cancel, Event, Persistence, Receipt};
use crate::marks::Mark;
use crate::outstanding::Slot;
use crate::timers::TimerKey;
use crate::{BatchId, ErrorCode, FlushId, Instant};

use super::{Flush, Phase, Producer};

impl Producer {
    pub(super) fn start_flush(&mut self) -> FlushId {
        let id = FlushId(self.next_flush);
        self.next_flush += 1;
        self.flushes.push_back(Flush { id, mark: self.outstanding.next_id() });
        self.hurry_everything();
        self.settle();
        id
    }

    pub(super) fn finish_flushes(&mut self) {
        while self.flushes.front().is_some_and(|flush| flush.mark <= self.outstanding.oldest()) {
            if let Some(flush) = self.flushes.pop_front() {
                self.events.push_back(Event::Flushed(flush.id));
            }
        }
    }

    pub(super) fn start_close(&mut self, deadline: Option<Instant>) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
            #[cfg(planted_bugs)]
            self.planted_close();
            self.hurry_everything();
        }
        if let Some(deadline) = deadline {
            let armed = self.timers.deadline(TimerKey::Close).unwrap_or(Instant::MAX);
            self.timers.set(TimerKey::Close, deadline.min(armed));
        }
        self.advance();
        self.settle();
    }

    /// Closes when nothing is outstanding any more.
    pub(super) fn finish_close(&mut self) {
        if self.phase != Phase::Closing || !self.outstanding.is_empty() {
            return;
        }
        self.phase = Phase::Closed;
        self.close_all_connections();
        #[cfg(planted_bugs)]
        if self.has_bug(crate::PlantedBug::TimersAfterClose) {
            self.events.push_back(Event::Closed);
            return;
        }
        self.timers.clear_all();
        self.lingering.clear();
        self.expiring.clear();
        self.answers.clear();
        self.dirty.clear();
        self.refuse_questions();
        self.finish_flushes();
        self.events.push_back(Event::Closed);
    }

    /// The deadline of a close: everything that is left fails.
    pub(super) fn on_close_deadline(&mut self) {
        self.marks.hit(Mark::CloseForced);
        let slots = self.unfinished();
        self.fail_all(slots, |producer, slot| producer.local_error(slot, ProduceErrorKind::Closed));
    }

    pub(super) fn abort_unsent(&mut self) {
        let slots = self.unfinished().into_iter();
        let unsent: Vec<_> = slots.filter(|&slot| self.batches[slot].attempts == 0).collect();
        if !unsent.is_empty() {
            self.marks.hit(Mark::AbortedUnsent);
        }
        self.fail_all(unsent, |producer, slot| {
            producer.local_error(slot, ProduceErrorKind::Aborted)
        });
    }

    pub(super) fn cancel_record(&mut self, receipt: Receipt) -> Cancel {
        let Some(slot) = self.open_batch_of(receipt.batch) else { return Cancel::TooLate };
        let batch = &mut self.batches[slot];
        let Content::Open(builder) = &mut batch.content else { return Cancel::TooLate };
        if !builder.cancel(receipt.index) {
            return Cancel::TooLate;
        }
        batch.count -= 1;
        let error = ProduceError::new(ProduceErrorKind::Cancelled, 0);
        let records = receipt.index..receipt.index + 1;
        self.push_failed(slot, records, error, Persistence::NotPersisted);
        self.stats.records_cancelled += 1;
        self.marks.hit(Mark::Cancelled);
        self.stats.records_failed += 1;
        self.stats.records_outstanding -= 1;
        if self.batches[slot].count == 0 {
            self.marks.hit(Mark::AllCancelled);
            let at = self.batches[slot].partition;
            self.close_open_batch(at);
            self.settle();
        }
        Cancel::Cancelled
    }

    pub(super) fn expedite_batch(&mut self, id: BatchId) {
        let Some(slot) = self.open_batch_of(id) else { return };
        let batch = &mut self.batches[slot];
        batch.awaited += 1;
        let at = batch.partition;
        if self.batches[slot].awaited >= self.batches[slot].count
            && self.partition(at).in_flight == 0
        {
            self.hurry(at, id);
        }
    }

    fn open_batch_of(&self, id: BatchId) -> Option<Slot> {
        let slot = self.outstanding.slot(id)?;
        let batch = self.batches.find(slot)?;
        (batch.id == id && batch.state == State::Open).then_some(slot)
    }

    /// Nothing more can be done: what waits fails, what is in flight may still be answered.
    pub(super) fn become_fatal(&mut self, code: ErrorCode, message: Arc<str>) {
        if self.fatal.is_some() {
            return;
        }
        self.marks.hit(Mark::Fatal);
        let fatal = FatalError { code, message: message.clone() };
        self.fatal = Some(fatal.clone());
        self.events.push_back(Event::Fatal(fatal));
        let is_waiting = |slot: &Slot| !matches!(self.batches[*slot].state, State::InFlight(_));
        let waiting = self.unfinished().into_iter().filter(is_waiting).collect();
        let error = LastError { code, message: Some(message) };
        self.fail_all(waiting, |producer, slot| producer.broker_error(slot, &error));
    }
}
