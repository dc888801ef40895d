//! The application of a run: what it does when, and how it takes refusals.

use super::content::{self, LEAST_VALUE};
use super::engine::{Engine, Flush, Verdict, WALL_CLOCK, Waiting, producer_seed};
use super::ledger::Entry;
use super::murmur2::partition_of_key;
use super::script::{Call, To};
use crate::Micros;
use producer_proto::{Header, Producer, PushError, Record};
use std::time::Duration;

/// What the application does.
impl Engine<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Verdict {
        let now = self.world.clock();
        match *call {
            Call::Push { topic, to, size, headers, count } => {
                for _ in 0..count {
                    self.push(topic, to, size, headers)?;
                }
            }
            Call::PushOnOutcome(count) => self.follow_ups += count,
            Call::Flush => self.flush(),
            Call::AbortQueued => self.world.producer.abort_queued(now),
            Call::Cancel(back) => {
                if let Some(entry) = self.ledger.living().iter().nth_back(back) {
                    let receipt = entry.receipt;
                    self.world.producer.cancel(now, receipt);
                }
            }
            Call::Expedite(back) => {
                if let Some(entry) = self.ledger.living().iter().nth_back(back) {
                    let batch = entry.receipt.batch;
                    self.world.producer.expedite(now, batch);
                }
            }
            Call::Close(deadline) => self.close(deadline.map(Micros::duration)),
            Call::Restart => self.restart(),
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) {
        let id = self.world.producer.flush(self.world.clock());
        let records = self.ledger.living().len();
        self.flushes.insert(id, Flush { records, asked: self.world.now() });
    }

    pub(super) fn close(&mut self, deadline: Option<Duration>) {
        let now = self.world.clock();
        let deadline = deadline.map(|time| now + time);
        self.closing = Some(deadline);
        self.backlog.clear();
        self.world.producer.close(now, deadline);
    }

    pub(super) fn restart(&mut self) {
        let instance = self.ledger.next_number().instance + 1;
        self.backlog.clear();
        self.follow_ups = 0;
        self.seen.clear();
        // The settings were good for the first one.
        if let Ok(producer) = Producer::new(
            self.world.config(),
            self.world.clock(),
            producer_seed(self.script.noise, instance),
        ) {
            #[cfg(planted_bugs)]
            let producer = {
                let mut producer = producer;
                super::planted::infect(&mut producer);
                producer
            };
            self.count_marks();
            self.world.replace_producer(producer);
            self.begin_instance();
        }
    }

    /// Appends a record, or keeps it for later where it is refused for the time being.
    pub(super) fn push(
        &mut self,
        topic: usize,
        to: To,
        size: usize,
        headers: usize,
    ) -> Verdict<bool> {
        if self.script.patient && self.backlog.iter().any(|waiting| waiting.topic == topic) {
            self.backlog.push_back(Waiting { topic, to, size, headers });
            return Ok(false);
        }
        match self.try_push(topic, to, size, headers)? {
            Ok(()) => Ok(true),
            Err(PushError::TopicNotReady | PushError::Full { .. }) if self.script.patient => {
                self.backlog.push_back(Waiting { topic, to, size, headers });
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }

    fn try_push(
        &mut self,
        topic: usize,
        to: To,
        size: usize,
        headers: usize,
    ) -> Verdict<Result<(), PushError>> {
        let number = self.ledger.next_number();
        let now = self.world.now();
        content::write_value(number, size, &mut self.value);
        let timestamp = WALL_CLOCK + (now.as_micros() / 1_000) as i64;
        let key = match to {
            To::Key(key) => Some(key.to_be_bytes()),
            _ => None,
        };
        let key = key.as_ref().map(|key| &key[..]);
        let id = self.ids[topic];
        let count = self.world.producer.partition_count(id);
        let due_partition = match to {
            To::Any => None,
            To::Partition(partition) => Some(partition),
            To::Key(key) => count.map(|count| partition_of_key(&key.to_be_bytes(), count)),
        };
        let values: [&[u8]; 3] = [b"one", b"", &number.append.to_be_bytes()];
        let header = |i: usize| Header {
            name: ["a", "b", "trace"][i % 3],
            value: (i % 4 != 3).then_some(values[i % 3]),
        };
        let headers: Vec<Header<'_>> = (0..headers).map(header).collect();
        let partition = match to {
            To::Partition(partition) => Some(partition),
            _ => None,
        };
        let value = Some(&self.value[..]);
        let record = Record { topic: id, partition, timestamp, key, value, headers: &headers };
        let receipt = match self.world.producer.push(self.world.clock(), &record) {
            Ok(receipt) => receipt,
            Err(error) => return Ok(Err(error)),
        };
        if let (Some(partition), Some(fairness)) = (due_partition, &mut self.fairness) {
            fairness.appended(now, number, (topic, partition));
        }
        let digest = content::digest(key, value, headers.iter().map(|h| (h.name, h.value)));
        self.ledger.accept(Entry {
            number,
            topic,
            to,
            due_partition,
            digest,
            timestamp,
            at: now,
            receipt,
            partition: None,
            told: None,
            attempts: 0,
        })?;
        Ok(Ok(()))
    }

    pub(super) fn retry_backlog(&mut self) -> Verdict {
        for _ in 0..self.backlog.len() {
            let Some(Waiting { topic, to, size, headers }) = self.backlog.pop_front() else {
                break;
            };
            let result = self.try_push(topic, to, size, headers)?;
            if let Err(PushError::TopicNotReady | PushError::Full { .. }) = result {
                // Back to its place; those behind it wait with it.
                self.backlog.push_front(Waiting { topic, to, size, headers });
                break;
            }
        }
        Ok(())
    }

    /// Appends what waited for an outcome.
    pub(super) fn follow_up(&mut self) -> Verdict {
        let count = std::mem::take(&mut self.follow_ups);
        if count == 0 {
            return Ok(());
        }
        let last = self.ledger.living().iter().rev().find(|entry| entry.told.is_some());
        let Some((topic, partition)) = last.map(|entry| (entry.topic, entry.partition)) else {
            self.follow_ups = count;
            return Ok(());
        };
        for _ in 0..count {
            self.push(topic, partition.map_or(To::Any, To::Partition), LEAST_VALUE, 0)?;
        }
        Ok(())
    }
}
