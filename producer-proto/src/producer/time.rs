//! The passing of time: everything that is due by now.

use crate::Instant;
use crate::batches::{Batches, State};
use crate::marks::Mark;
use crate::outstanding::{Outstanding, Slot};
use crate::spare::SPARE;
use crate::timers::{TimerKey, TimerKind};

use super::{Deadline, Producer};

impl Producer {
    /// Does whatever `now` has made due.
    pub(super) fn advance(&mut self) {
        self.end_lingering();
        self.expire();
        self.end_waiting();
        while let Some(key) = self.timers.pop_due(self.now) {
            match key {
                TimerKey::Close => self.on_close_deadline(),
                TimerKey::Setup(id) => self.on_setup_timeout(id),
                TimerKey::Request(id) => self.on_request_timer(id),
                TimerKey::Idle(id) => self.on_idle_timer(id),
                TimerKey::Reconnect(node) => self.on_reconnect_timer(node),
                TimerKey::Throttle(node) => self.on_throttle_over(node),
                TimerKey::Availability(node) => self.on_availability_timer(node),
                // `settle` looks at these.
                TimerKey::Metadata => self.metadata.waits_for_source = false,
                TimerKey::ProducerId | TimerKey::Describe => {}
                TimerKey::Retry(at) => {
                    self.release_hold(at);
                    self.mark_ready(at);
                }
            }
        }
    }

    fn end_lingering(&mut self) {
        let mut has_ended = false;
        while let Some(&Deadline { at, partition, batch }) = self.lingering.front() {
            if at > self.now {
                break;
            }
            self.lingering.pop_front();
            has_ended = true;
            #[cfg(planted_bugs)]
            if self.planted_linger(partition, batch) {
                continue;
            }
            self.hurry(partition, batch);
        }
        if has_ended {
            self.hurry_companions();
        }
    }

    /// Fails what has reached its delivery timeout, oldest first.
    fn expire(&mut self) {
        while let Some(&deadline) = self.expiring.front() {
            if deadline.at > self.now {
                return;
            }
            self.expiring.pop_front();
            let slots = self.slots_of(deadline);
            for &slot in &slots {
                if !self.batches[slot].has_ended() {
                    self.stats.batches_expired += 1;
                    self.mark_expired(slot);
                }
            }
            self.fail_all(slots, Self::timeout_error);
        }
    }

    fn mark_expired(&mut self, slot: Slot) {
        let batch = &self.batches[slot];
        self.marks.hit(match batch.state {
            State::InFlight(_) => Mark::ExpiredInFlight,
            State::Working => Mark::ExpiredAtJob,
            _ if batch.is_retry() => Mark::ExpiredInBackoff,
            _ => Mark::ExpiredInQueue,
        });
    }

    /// The batch of a deadline, or its pieces; batches stand in the order of their ids.
    fn slots_of(&self, deadline: Deadline) -> Vec<Slot> {
        let queue = self.partition(deadline.partition).queue.iter().copied();
        queue
            .skip_while(|&slot| self.batches[slot].id < deadline.batch)
            .take_while(|&slot| self.batches[slot].id == deadline.batch)
            .collect()
    }

    /// The end of time if there is none.
    pub(super) fn first_deadline(&self) -> Instant {
        let linger = self.lingering.front().map_or(Instant::MAX, |linger| linger.at);
        let delivery = self.expiring.front().map_or(Instant::MAX, |expiry| expiry.at);
        let answer = self.answers.front().map_or(Instant::MAX, |due| due.at);
        linger.min(delivery).min(answer).min(self.timers.first())
    }

    pub(super) fn first_deadline_kind(&self) -> Option<TimerKind> {
        let linger = self.lingering.front().map(|linger| (linger.at, TimerKind::Linger));
        let delivery = self.expiring.front().map(|expiry| (expiry.at, TimerKind::Delivery));
        let answer = self.answers.front().map(|due| (due.at, TimerKind::RequestTimeout));
        let timer = self.timers.first_kind().map(|kind| (self.timers.first(), kind));
        [linger, delivery, answer, timer].into_iter().flatten().min().map(|(_, kind)| kind)
    }

    /// Takes away deadlines at the front of their queues whose batches have moved on, so that
    /// nobody is woken for nothing.
    pub(super) fn trim_deadlines(&mut self) {
        while let Some(linger) = self.lingering.front() {
            if is_open(&self.outstanding, &self.batches, linger) {
                break;
            }
            self.lingering.pop_front();
        }
        while self
            .expiring
            .front()
            .is_some_and(|expiry| self.outstanding.slot(expiry.batch).is_none())
        {
            self.expiring.pop_front();
        }
    }

    /// The same wherever they stand, if that is worth it: a batch that stays must not keep the
    /// deadlines of all that come and go.
    #[cold]
    #[inline(never)]
    pub(super) fn thin_deadlines(&mut self) {
        let Self { outstanding, batches, lingering, expiring, .. } = self;
        if expiring.len() < 2 * outstanding.len() + SPARE / 2 {
            return;
        }
        lingering.retain(|linger| is_open(outstanding, batches, linger));
        expiring.retain(|expiry| outstanding.slot(expiry.batch).is_some());
    }
}

fn is_open(outstanding: &Outstanding, batches: &Batches, linger: &Deadline) -> bool {
    outstanding.slot(linger.batch).is_some_and(|slot| {
        let batch = batches.find(slot);
        batch.is_some_and(|batch| batch.id == linger.batch && batch.state == State::Open)
    })
}
