//! What a partition remembers of each producer id, to recognise duplicates and gaps (KIP-98).

use super::config::Era;
use crate::records::{BatchHeader, advance_sequence};
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A broker recognises a repeated batch only among this many latest ones.
const REMEMBERED_BATCHES: usize = 5;

#[derive(Clone, Copy, Debug)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
    max_timestamp: i64,
}

#[derive(Clone, Debug)]
struct Entry {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// What to do with a batch whose form is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It is in the log already.
    Duplicate {
        base_offset: i64,
        max_timestamp: i64,
    },
    Refuse(ResponseError),
}

/// The rules by which a broker judges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) era: Era,
    /// How long after its latest batch a producer id is forgotten.
    pub(super) expiration: Option<Duration>,
    /// Milliseconds since the Unix epoch.
    pub(super) wall_clock: i64,
}

/// The producer states of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct ProducerStates(BTreeMap<i64, Entry>);

impl ProducerStates {
    /// Judges a batch; only id, epoch and sequences count, never the content.
    pub(super) fn judge(&mut self, header: &BatchHeader, rules: Rules) -> Verdict {
        if !header.has_producer_id() {
            return Verdict::Append;
        }
        self.expire(header.producer_id, rules);
        let (first, last) = (header.base_sequence, header.last_sequence());
        let Some(entry) = self.0.get(&header.producer_id) else {
            return match rules.era {
                // A producer id without state may begin anywhere.
                Era::Modern => Verdict::Append,
                Era::Legacy if first == 0 => Verdict::Append,
                Era::Legacy => Verdict::Refuse(ResponseError::UnknownProducerId),
            };
        };
        if header.producer_epoch == entry.epoch
            && let Some(known) = entry.batches.iter().find(|b| b.first == first && b.last == last)
        {
            let Remembered { base_offset, max_timestamp, .. } = *known;
            return Verdict::Duplicate { base_offset, max_timestamp };
        }
        if header.producer_epoch < entry.epoch {
            return Verdict::Refuse(ResponseError::InvalidProducerEpoch);
        }
        let due = match entry.batches.back() {
            Some(latest) if header.producer_epoch == entry.epoch => {
                advance_sequence(latest.last, 1)
            }
            // A new epoch begins with 0, but an entry without an epoch knows no sequence.
            Some(_) if entry.epoch != -1 => 0,
            _ => first,
        };
        if first == due {
            return Verdict::Append;
        }
        let is_old = header.producer_epoch == entry.epoch
            && entry.batches.front().is_some_and(|oldest| last < oldest.first);
        Verdict::Refuse(match rules.era {
            Era::Legacy if is_old => ResponseError::DuplicateSequenceNumber,
            _ => ResponseError::OutOfOrderSequenceNumber,
        })
    }

    /// Drops the state of a producer id whose latest batch is too old.
    fn expire(&mut self, producer_id: i64, rules: Rules) {
        let Some(expiration) = rules.expiration else { return };
        let limit = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        let latest = self.0.get(&producer_id).and_then(|entry| entry.batches.back());
        if latest.is_some_and(|b| rules.wall_clock.saturating_sub(b.max_timestamp) >= limit) {
            self.0.remove(&producer_id);
        }
    }

    /// Notes that a batch was appended at `base_offset` with this largest timestamp.
    pub(super) fn appended(&mut self, header: &BatchHeader, base_offset: i64, max_timestamp: i64) {
        if !header.has_producer_id() {
            return;
        }
        let epoch = header.producer_epoch;
        let entry = self
            .0
            .entry(header.producer_id)
            .or_insert_with(|| Entry { epoch, batches: VecDeque::new() });
        if entry.epoch != epoch {
            *entry = Entry { epoch, batches: VecDeque::new() };
        }
        if entry.batches.len() == REMEMBERED_BATCHES {
            entry.batches.pop_front();
        }
        entry.batches.push_back(Remembered {
            first: header.base_sequence,
            last: header.last_sequence(),
            base_offset,
            max_timestamp,
        });
    }

    /// Forgets every producer.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets the batches from `end` on.
    pub(super) fn truncate(&mut self, end: i64) {
        self.0.retain(|_, entry| {
            entry.batches.retain(|batch| batch.base_offset < end);
            !entry.batches.is_empty()
        });
    }

    /// Forgets producers whose batches all lie before `start`, as brokers before 2.5 do when
    /// retention removes them.
    pub(super) fn forget_before(&mut self, start: i64) {
        self.0.retain(|_, entry| entry.batches.back().is_some_and(|b| b.base_offset >= start));
    }
}
