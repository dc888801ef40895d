//! Requests whose answer is late.

use crate::marks::Mark;
use crate::spare::SPARE;
use crate::timers::TimerKey;
use crate::{ConnectionId, Instant};

use super::Producer;
use super::connections::Ending;

/// When a request will have waited for `request.timeout.ms`; void once it is over.
#[derive(Clone, Copy)]
pub(super) struct AnswerDue {
    pub(super) at: Instant,
    conn: ConnectionId,
    correlation: i32,
}

impl Producer {
    /// A request has been handed out.
    pub(super) fn expect_answer(&mut self, conn: ConnectionId, correlation: i32) {
        if self.answers.len() == self.answers.capacity() {
            self.thin_answers();
        }
        let at = self.now + self.settings.request_timeout;
        self.answers.push_back(AnswerDue { at, conn, correlation });
    }

    /// Gives up connections whose answers are late.
    pub(super) fn end_waiting(&mut self) {
        while let Some(&due) = self.answers.front() {
            if due.at > self.now {
                return;
            }
            self.answers.pop_front();
            if self.is_awaited(due) {
                self.on_request_timer(due.conn);
            }
        }
    }

    /// Time that the broker asked to be left alone for does not count.
    pub(super) fn on_request_timer(&mut self, id: ConnectionId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let deadline = conn.request_deadline(self.settings.request_timeout);
        if deadline > self.now {
            self.timers.set(TimerKey::Request(id), deadline);
            return;
        }
        self.marks.hit(Mark::RequestTimeout);
        self.close_connection(id, Ending::RequestTimeout);
    }

    /// Requests of a connection are answered in order.
    fn is_awaited(&self, due: AnswerDue) -> bool {
        let oldest = self.conns.get(&due.conn).and_then(|conn| conn.in_flight.front());
        oldest.is_some_and(|oldest| oldest.correlation.wrapping_sub(due.correlation) <= 0)
    }

    /// Takes away what is over at the front, so that nobody is woken for nothing.
    pub(super) fn trim_answers(&mut self) {
        while let Some(&due) = self.answers.front() {
            if self.is_awaited(due) {
                break;
            }
            self.answers.pop_front();
        }
    }

    /// The same wherever it stands, if that is worth it: a request that waits must not keep the
    /// deadlines of all that come and go.
    #[cold]
    #[inline(never)]
    fn thin_answers(&mut self) {
        let in_flight = usize::try_from(self.stats.requests_in_flight).unwrap_or(usize::MAX);
        if self.answers.len() < in_flight.saturating_mul(2).saturating_add(SPARE / 2) {
            return;
        }
        let mut answers = std::mem::take(&mut self.answers);
        answers.retain(|&due| self.is_awaited(due));
        self.answers = answers;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Config;
    use crate::conn::{Conn, Request};

    #[test]
    fn a_request_that_waits_does_not_keep_those_that_come_and_go() {
        let mut producer = Producer::new(&Config::new("b:9092"), Instant::ZERO, [0; 32]).unwrap();
        let (waits, comes_and_goes) = (ConnectionId(1), ConnectionId(2));
        let mut conn = Conn::new(0, 1_000, Instant::ZERO);
        for correlation in 5..7 {
            conn.sent(Instant::ZERO, 10, correlation, 0, Request::ApiVersions);
            producer.expect_answer(waits, correlation);
        }
        producer.conns.insert(waits, conn);
        producer.stats.requests_in_flight = 2;
        for correlation in 0..1_000_000 {
            producer.expect_answer(comes_and_goes, correlation);
        }
        assert!(producer.answers.capacity() <= 2 * SPARE, "{}", producer.answers.capacity());

        producer.trim_answers();
        let first = producer.answers.front().unwrap();
        assert_eq!((first.conn, first.correlation), (waits, 5));
        producer.conns.get_mut(&waits).unwrap().in_flight.pop_front();
        producer.trim_answers();
        let first = producer.answers.front().unwrap();
        assert_eq!((first.conn, first.correlation), (waits, 6), "the one behind it waits on");
        let timeout = Duration::from_secs(30);
        assert_eq!(producer.poll_timeout(), Some(Instant::ZERO + timeout));
        producer.conns.clear();
        producer.trim_answers();
        assert!(producer.answers.is_empty());
    }
}
