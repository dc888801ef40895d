//! What the application handed in and what the producer said became of it.

use super::content::RecordNumber;
use super::script::To;
use super::verdict::{Failure, Oracle};
use crate::Instant;
use producer_proto::{BatchId, Persistence, ProduceError, Receipt};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Delivered { offset: Option<i64> },
    Failed { error: ProduceError, persistence: Persistence },
}

/// One accepted record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) number: RecordNumber,
    pub(crate) topic: usize,
    /// How many times the topic had been created before.
    pub(crate) to: To,
    /// Where it must go, if the application or its key decides that.
    pub(crate) due_partition: Option<i32>,
    pub(crate) digest: u64,
    pub(crate) timestamp: i64,
    pub(crate) at: Instant,
    pub(crate) receipt: Receipt,
    /// The partition, once it is known from an outcome.
    pub(crate) partition: Option<i32>,
    pub(crate) told: Option<(Instant, Told)>,
    /// How often it was handed to a connection.
    pub(crate) attempts: u32,
}

/// All accepted records of a run.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Whether successes may be told in another order than the appends.
    reorders: bool,
    /// Where the entries of each producer begin.
    instances: Vec<usize>,
    /// The records of the producer that lives now.
    receipts: BTreeMap<(BatchId, u32), usize>,
    open: usize,
    /// Of each partition, the last success that was told: by the producer that lives now.
    successes: BTreeMap<(usize, i32), (BatchId, u32)>,
}

impl Ledger {
    /// An empty one; `reorders` as [`Config::allow_reordering_on_retry`] says.
    ///
    /// [`Config::allow_reordering_on_retry`]: producer_proto::Config::allow_reordering_on_retry
    pub(crate) fn new(reorders: bool) -> Self {
        Self { reorders, ..Self::default() }
    }

    /// A new producer takes over; what the old one left open stays so.
    pub(crate) fn new_instance(&mut self) {
        self.instances.push(self.entries.len());
        self.receipts.clear();
        self.successes.clear();
        self.open = 0;
    }

    /// The number of the next record.
    pub(crate) fn next_number(&self) -> RecordNumber {
        let first = self.instances.last().copied().unwrap_or(0);
        let instance = self.instances.len().saturating_sub(1) as u32;
        RecordNumber { instance, append: (self.entries.len() - first) as u32 }
    }

    pub(crate) fn index(&self, number: RecordNumber) -> Option<usize> {
        let instance = number.instance as usize;
        let index = self.instances.get(instance)? + number.append as usize;
        let end = self.instances.get(instance + 1).copied().unwrap_or(self.entries.len());
        (index < end).then_some(index)
    }

    pub(crate) fn get_mut(&mut self, number: RecordNumber) -> Option<&mut Entry> {
        let index = self.index(number)?;
        self.entries.get_mut(index)
    }

    pub(crate) fn accept(&mut self, entry: Entry) -> Result<(), Failure> {
        let key = (entry.receipt.batch, entry.receipt.index);
        let index = self.entries.len();
        if self.receipts.insert(key, index).is_some() {
            let what = format!("{:?} was given out twice", entry.receipt);
            return Err(Failure::new(Oracle::OneOutcome, entry.at, what).record(entry.number));
        }
        self.open += 1;
        self.entries.push(entry);
        Ok(())
    }

    /// Whether a record has no outcome.
    pub(crate) fn is_open(&self, number: RecordNumber) -> bool {
        self.index(number).is_some_and(|index| self.entries[index].told.is_none())
    }

    /// Records of the living producer without an outcome.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// The oldest of them.
    pub(crate) fn first_open(&self) -> Option<&Entry> {
        let first = self.instances.last().copied().unwrap_or(0);
        self.entries[first..].iter().find(|entry| entry.told.is_none())
    }

    /// Records of the living producer, oldest first.
    pub(crate) fn living(&self) -> &[Entry] {
        &self.entries[self.instances.last().copied().unwrap_or(0)..]
    }

    /// Takes an outcome of records of one batch; gives the indexes of their entries.
    pub(crate) fn tell(
        &mut self,
        at: Instant,
        batch: BatchId,
        records: &Range<u32>,
        partition: i32,
        told: impl Fn(u32) -> Told,
    ) -> Result<Vec<usize>, Failure> {
        let fail = |what| Failure::new(Oracle::OneOutcome, at, what);
        if records.is_empty() {
            return Err(fail(format!("an outcome of {batch} for no record")));
        }
        let mut indexes = Vec::with_capacity(records.len());
        for index in records.clone() {
            let Some(&at_entry) = self.receipts.get(&(batch, index)) else {
                return Err(fail(format!(
                    "an outcome for record {index} of {batch}: never accepted"
                )));
            };
            let entry = &mut self.entries[at_entry];
            let new = told(index - records.start);
            if let Some((first, told)) = &entry.told {
                let what = format!("{new:?} after {told:?} at {first:?}");
                return Err(fail(what).record(entry.number).place(entry.topic, partition));
            }
            if entry.due_partition.is_some_and(|due| due != partition) {
                let what = format!("{:?} went to partition {partition}", entry.to);
                let failure = Failure::new(Oracle::RightPlace, at, what);
                return Err(failure.record(entry.number).place(entry.topic, partition));
            }
            entry.partition = Some(partition);
            let topic = entry.topic;
            let number = entry.number;
            let is_success = matches!(new, Told::Delivered { .. });
            entry.told = Some((at, new));
            self.open -= 1;
            indexes.push(at_entry);
            if is_success {
                let last = self.successes.insert((topic, partition), (batch, index));
                if let Some(last) = last.filter(|last| *last > (batch, index) && !self.reorders) {
                    let what = format!("success of record {index} of {batch} told after {last:?}");
                    let failure = Failure::new(Oracle::OutcomeOrder, at, what);
                    return Err(failure.record(number).place(topic, partition));
                }
            }
        }
        Ok(indexes)
    }
}

/// Judges whether an outcome came in time: by the delivery timeout, counted from the append, and
/// not before it where only that timeout is given as the reason.
pub(crate) fn judge_time(
    entry: &Entry,
    delivery_timeout: Duration,
    slack: Duration,
    is_closing: bool,
) -> Result<(), Failure> {
    let Some((at, told)) = &entry.told else { return Ok(()) };
    let took = *at - entry.at;
    let fail = |what| {
        let failure = Failure::new(Oracle::Deadlines, *at, what).record(entry.number);
        Err(failure.place(entry.topic, entry.partition.unwrap_or(-1)))
    };
    if took > delivery_timeout + slack {
        return fail(format!(
            "outcome after {took:?}, delivery timeout {delivery_timeout:?}, slack {slack:?}: {told:?}"
        ));
    }
    let Told::Failed { error, .. } = told else { return Ok(()) };
    let expired = matches!(error.kind(), producer_proto::ProduceErrorKind::DeliveryTimeout(_));
    // A batch is as old as its first record; whoever looks has the whole batch.
    if expired && !is_closing && took + slack < delivery_timeout && entry.receipt.index == 0 {
        return fail(format!("expired after {took:?}, delivery timeout {delivery_timeout:?}"));
    }
    Ok(())
}
