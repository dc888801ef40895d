//! The passing of time: everything that is due by now.

use crate::Instant;
use crate::batches::{Batches, State};
use crate::marks::Mark;
use crate::outstanding::{Outstanding, Slot};
use crate::partition::NO_NODE;
use crate::spare::SPARE;
use crate::timers::{TimerKey, TimerKind};

use super::{Deadline, Producer};

/// How many batches that linger on are looked at when a linger ends, whether they go with it.
const COMPANIONS: usize = 256;

impl Producer {
    /// Does whatever `now` has made due.
    pub(super) fn advance(&mut self) {
        self.end_lingering();
        self.expire();
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

    /// A broker that gets a request now gets with it what would be due there a moment later, as
    /// from Java's producer: one request for many partitions, not one for each.
    fn hurry_companions(&mut self) {
        let mut kept = 0;
        for _ in 0..self.lingering.len().min(COMPANIONS) {
            let Some(deadline) = self.lingering.pop_front() else { break };
            let leader = self.partition(deadline.partition).leader;
            if leader != NO_NODE && !self.nodes[leader].ready.is_empty() {
                self.hurry(deadline.partition, deadline.batch);
            } else {
                self.lingering.push_back(deadline);
                kept += 1;
            }
        }
        self.lingering.rotate_right(kept);
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

    pub(super) fn first_deadline(&self) -> Option<(Instant, TimerKind)> {
        let linger = self.lingering.front().map(|linger| (linger.at, TimerKind::Linger));
        let delivery = self.expiring.front().map(|expiry| (expiry.at, TimerKind::Delivery));
        [linger, delivery, self.timers.first()].into_iter().flatten().min()
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
