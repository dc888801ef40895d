//! What was seen, handed to the oracles.

use super::content;
use super::engine::{Engine, Flush, Verdict};
use super::ledger::{Told, judge_time};
use super::script::{Act, Call, Profile, Step};
use super::story;
use super::verdict::{Failure, Oracle};
use crate::world::Seen;
use crate::{Instant, Micros};
use producer_proto::{Codec, Event, FlushId};

impl Engine<'_> {
    pub(super) fn judge(&mut self, at: Instant, seen: Seen) -> Verdict {
        if let Some(recorder) = &mut self.recorder {
            recorder.seen(at, &seen);
        }
        if let Some(outputs) = &mut self.outputs {
            outputs.note(at, &seen);
        }
        match seen {
            Seen::Connect { conn, host, port, broker } => {
                self.note(at, || (Vec::new(), format!("{conn} to {broker:?} at {host}:{port}")));
                self.rest.nothing_more(at, || format!("{conn} is dialled"))?;
                self.links.connect(at, conn, (&host, port), broker, &self.wire)?;
                let kept = self.pace.connect(at, conn, (&host, port), broker);
                self.weigh(kept)?;
                if let Some(fairness) = self.fairness.as_mut().filter(|_| broker.is_none()) {
                    fairness.bootstraps();
                }
            }
            Seen::Connected { conn } => {
                self.note(at, || (Vec::new(), format!("{conn} is up")));
                self.links.connected(conn);
            }
            Seen::ConnectFailed { conn } => {
                self.note(at, || (Vec::new(), format!("{conn} cannot be opened")));
                self.errors.lost_connection();
                self.links.gone(conn);
                self.pace.gone(at, conn);
            }
            Seen::Close { conn } => {
                self.note(at, || (Vec::new(), format!("closes {conn}")));
                self.links.close(conn);
                let unanswered = self.wire.waiting_on(conn);
                if !unanswered.is_empty() {
                    self.errors.lost_connection();
                }
                self.pace.unanswered(at, unanswered);
                if let Some(fairness) = &mut self.fairness {
                    fairness.unanswered(at, unanswered);
                }
                self.pace.gone(at, conn);
            }
            Seen::Disconnected { conn } => {
                self.note(at, || (Vec::new(), format!("{conn} is gone")));
                self.errors.lost_connection();
                let unanswered = self.wire.gone(conn);
                self.stamps.unanswered(&unanswered);
                if !self.links.is_closing(conn) {
                    self.pace.unanswered(at, &unanswered);
                    if let Some(fairness) = &mut self.fairness {
                        fairness.unanswered(at, &unanswered);
                    }
                }
                self.links.gone(conn);
                self.pace.gone(at, conn);
            }
            Seen::Transmit { conn, frame } => {
                self.name_topics();
                let sent = match self.wire.sent(at, conn, frame) {
                    Ok(sent) => sent,
                    Err(failure) => {
                        self.links.sent_something(conn);
                        return self.weigh(Err(failure));
                    }
                };
                let broker = self.links.broker(conn);
                self.note(at, || story::request(broker, &sent));
                if let Some(recorder) = &mut self.recorder {
                    recorder.request(at, broker, &sent);
                }
                self.rest.nothing_more(at, || format!("{:?} on {conn}", sent.api))?;
                let verdicts = [
                    self.links.sent(at, &sent, self.wire.waiting_on(conn).len()),
                    self.leaders.sent(at, broker, &sent),
                    self.pace.sent(at, &sent, &self.leaders),
                    self.stamps.sent(at, &sent),
                    match &mut self.fairness {
                        Some(fairness) => fairness.sent(at, broker, &sent, &self.ledger),
                        None => Ok(()),
                    },
                ];
                verdicts.into_iter().try_for_each(|verdict| self.weigh(verdict))?;
                for number in sent.batches.iter().flat_map(|batch| batch.records.iter()) {
                    if let Some(entry) = self.ledger.get_mut(*number) {
                        entry.attempts += 1;
                    }
                }
            }
            Seen::Answer { conn, frame } => {
                if self.links.is_closing(conn) {
                    return Ok(());
                }
                let Some(answered) = self.wire.answered(conn, frame) else {
                    let waiting = self.wire.waiting_on(conn).len();
                    self.links.answered(at, conn, None, waiting);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.unread(at, conn, waiting);
                    }
                    return Ok(());
                };
                self.throttled = self.throttled.max(at + answered.throttle);
                let broker = self.links.broker(conn);
                self.note(at, || story::answer(broker, &answered));
                if let Some(recorder) = &mut self.recorder {
                    recorder.answer(at, broker, &answered);
                }
                let waiting = self.wire.waiting_on(conn).len();
                self.links.answered(at, conn, Some(&answered.brokers), waiting);
                self.leaders.answered(broker, &answered);
                self.pace.answered(at, &answered);
                self.stamps.answered(&answered);
                self.errors.answered(&answered);
                if let Some(fairness) = &mut self.fairness {
                    fairness.answered(at, broker, &answered);
                }
            }
            Seen::Event(event) => {
                let ids = self.ids.clone();
                let index = |id| ids.iter().position(|other| *other == id).unwrap_or(usize::MAX);
                self.note(at, || story::event(&event, index));
                if let Some(recorder) = &mut self.recorder {
                    recorder.event(at, &event, || story::event(&event, index).1);
                }
                self.event(at, &event)?;
            }
            Seen::Timeout => {}
        }
        Ok(())
    }

    /// Adds a line to the story, if one is told.
    pub(super) fn note(&mut self, at: Instant, line: impl FnOnce() -> (Vec<(usize, i32)>, String)) {
        if let Some(story) = &mut self.story {
            let (places, text) = line();
            story.note(at, places, text);
        }
    }

    fn largest_record(&self) -> usize {
        let largest = |call: &Step| match &call.1 {
            Act::Do(Call::Push { size, .. }) => *size,
            _ => 0,
        };
        let value = self.script.steps.iter().map(largest).max().unwrap_or(0);
        // Key, headers and frame.
        value + 200
    }

    /// What batches that were split may take on top: the parts are beside the whole until its bytes
    /// are given back, have headers of their own, and less to compress together. At worst each
    /// record is a batch.
    fn split_parts(&self) -> usize {
        const HEADER: usize = 61;
        let largest = self.config.batch_size.max(self.largest_record());
        let part = match self.config.compression_type {
            Codec::None => HEADER,
            _ => HEADER + self.largest_record(),
        };
        2 * largest + part * self.ledger.open()
    }

    /// What batches may take that leaders before 0.11 get as message sets: each is kept in both
    /// forms, and of small records the frames of the old one are the larger part.
    fn message_sets(&self) -> usize {
        const NEW_FRAME: usize = 7;
        const OLD_FRAME: usize = 34;
        if self.script.profile != Profile::Legacy {
            return 0;
        }
        let new = content::LEAST_VALUE + NEW_FRAME;
        let old = content::LEAST_VALUE + OLD_FRAME;
        (self.config.buffer_memory * old).div_ceil(new)
    }

    /// Topics that were created on demand get their ids from the cluster.
    fn name_topics(&mut self) {
        for (index, name) in self.names.iter().enumerate() {
            if !self.script.topics[index].exists
                && let Some(id) = self.world.cluster.topic_id(name)
            {
                self.wire.name(id, index);
            }
        }
    }

    fn event(&mut self, at: Instant, event: &Event) -> Verdict {
        self.rest.event(at, event)?;
        let indexes = match event {
            Event::Delivered { batch, records, base_offset, partition, .. } => {
                self.ledger.tell(at, *batch, records, *partition, |i| Told::Delivered {
                    offset: base_offset.map(|base| base + i64::from(i)),
                })?
            }
            Event::Failed { batch, records, error, persistence, partition, .. } => {
                self.ledger.tell(at, *batch, records, *partition, |_| Told::Failed {
                    error: error.clone(),
                    persistence: *persistence,
                })?
            }
            Event::Flushed(id) => return self.flushed(at, *id),
            Event::Fatal(_) => {
                self.fatal = true;
                return Ok(());
            }
            Event::TopicReady(_) | Event::Writable { .. } | Event::TopicFailed { .. } => {
                return self.retry_backlog();
            }
            _ => return Ok(()),
        };
        let slack = self.slack();
        let timeout = self.delivery_timeout();
        if let Event::Failed { error, partition, .. } = event
            && let Some(first) = indexes.first()
        {
            let topic = self.ledger.entries[*first].topic;
            let kept = self.errors.failed(at, topic, *partition, error);
            self.weigh(kept)?;
        }
        for index in indexes {
            judge_time(&self.ledger.entries[index], timeout, slack, self.closing.is_some())?;
        }
        Ok(())
    }

    fn flushed(&mut self, at: Instant, id: FlushId) -> Verdict {
        let fail = |what| Err(Failure::new(Oracle::FlushAndClose, at, what));
        let Some(Flush { records, .. }) = self.flushes.remove(&id) else {
            return fail(format!("{id:?} is done, which nobody waits for"));
        };
        let living = self.ledger.living();
        match living[..records].iter().find(|entry| entry.told.is_none()) {
            Some(entry) => fail(format!("{id:?} is done, {} has no outcome", entry.number)),
            None => Ok(()),
        }
    }

    /// A close with a deadline is over by then, and a flush when the last record before it must be.
    fn judge_deadlines(&self, now: Instant) -> Verdict {
        let fail = |what| Err(Failure::new(Oracle::Deadlines, now, what));
        let slack = self.slack();
        if let Some(Some(deadline)) = self.closing
            && now > deadline + slack
            && !self.rest.is_closed()
        {
            let open = self.ledger.open();
            return fail(format!("not closed, {open} records open; due at {deadline:?}"));
        }
        let timeout = self.delivery_timeout();
        match self.flushes.first_key_value() {
            Some((id, Flush { asked, .. })) if now > *asked + timeout + slack => {
                fail(format!("{id:?}, asked for at {asked:?}, is not done"))
            }
            _ => Ok(()),
        }
    }

    /// What the producer's state must be like at any time.
    pub(super) fn judge_state(&mut self) -> Verdict {
        let now = self.world.now();
        if let Some(violation) = self.world.cluster.violations().first() {
            let what = format!("broker {}: {}", violation.broker, violation.what);
            self.weigh(Err(Failure::new(Oracle::Wire, violation.at, what)))?;
        }
        self.judge_deadlines(now)?;
        let producer = &self.world.producer;
        self.rest.timer(now, producer.poll_timeout(), producer.timeout_reason())?;
        let stats = producer.stats();
        if let Some(recorder) = &mut self.recorder {
            recorder.buffered(now, stats.buffered_bytes);
        }
        let split = if stats.batches_split > 0 { self.split_parts() } else { 0 };
        let bound = self.config.buffer_memory + split + self.message_sets();
        if stats.buffered_bytes > bound {
            let what = format!("{} bytes buffered, bound {bound}", stats.buffered_bytes);
            return Err(Failure::new(Oracle::Memory, now, what));
        }
        if stats.records_outstanding != self.ledger.open() as u64
            && self.script.driver.events_late == Micros(0)
        {
            let (said, open) = (stats.records_outstanding, self.ledger.open());
            let what = format!("{said} records outstanding, {open} have no outcome");
            return Err(Failure::new(Oracle::OneOutcome, now, what));
        }
        Ok(())
    }
}
