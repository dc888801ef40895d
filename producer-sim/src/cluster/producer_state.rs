//! What a partition remembers of each producer id, to recognise duplicates and gaps (KIP-98).

use crate::records::{BatchHeader, advance_sequence};
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, VecDeque};

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

/// The producer states of one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct ProducerStates(BTreeMap<i64, Entry>);

impl ProducerStates {
    /// Judges a batch; only id, epoch and sequences count, never the content.
    pub(super) fn judge(&self, header: &BatchHeader) -> Verdict {
        if !header.has_producer_id() {
            return Verdict::Append;
        }
        // A producer id without state may begin anywhere.
        let Some(entry) = self.0.get(&header.producer_id) else { return Verdict::Append };
        let (first, last) = (header.base_sequence, header.last_sequence());
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
            Verdict::Append
        } else {
            Verdict::Refuse(ResponseError::OutOfOrderSequenceNumber)
        }
    }

    /// Notes that a batch was appended at `base_offset`.
    pub(super) fn appended(&mut self, header: &BatchHeader, base_offset: i64) {
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
            max_timestamp: header.max_timestamp,
        });
    }

    /// Forgets every producer, as a broker does when a state has been idle for long.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
