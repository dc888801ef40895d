//! What the producer said, held against what is in the logs when everything has arrived.

use super::content::{RecordNumber, digest_of, read_value};
use super::ledger::{Entry, Ledger, Told};
use super::verdict::{Failure, Oracle};
use crate::Instant;
use crate::records::LogRecord;
use producer_proto::Persistence;
use std::collections::{BTreeMap, BTreeSet};

/// The log of one partition; of a topic that was deleted, as it was then.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Log {
    pub(crate) topic: usize,
    pub(crate) partition: i32,
    pub(crate) records: Vec<LogRecord>,
}

/// Which promises hold.
#[derive(Clone, Debug)]
pub(crate) struct Promises {
    /// Each record at most once in a log, and in order.
    pub(crate) idempotent: bool,
    /// Nothing delivered is lost: acks all or 1, and no broker lost what it had.
    pub(crate) durable: bool,
    /// Topics whose records carry the brokers' time.
    pub(crate) append_time: BTreeSet<usize>,
    /// Partitions without the promises of order, of one copy and of what is surely not there:
    /// brokers forgot something.
    pub(crate) excused: BTreeSet<(usize, i32)>,
    /// Brokers tell the truth; else all that is promised of the logs is that nothing is invented.
    pub(crate) honest: bool,
    /// Records that brokers lost although they may have been delivered.
    pub(crate) lost: BTreeSet<RecordNumber>,
}

impl Default for Promises {
    /// Of honest brokers, without idempotence and without acknowledgements.
    fn default() -> Self {
        Self {
            idempotent: false,
            durable: false,
            append_time: BTreeSet::new(),
            excused: BTreeSet::new(),
            honest: true,
            lost: BTreeSet::new(),
        }
    }
}

pub(crate) fn audit(
    at: Instant,
    ledger: &Ledger,
    logs: &[Log],
    promises: &Promises,
) -> Result<(), Failure> {
    let mut copies: Vec<u32> = vec![0; ledger.entries.len()];
    for log in logs {
        audit_log(at, ledger, log, promises, &mut copies)?;
    }
    if !promises.honest {
        return Ok(());
    }
    let mut by_place: BTreeMap<(usize, i32), Vec<&Log>> = BTreeMap::new();
    for log in logs {
        by_place.entry((log.topic, log.partition)).or_default().push(log);
    }
    for (entry, &copies) in ledger.entries.iter().zip(&copies) {
        let partition = entry.partition.unwrap_or(-1);
        let fail = |oracle, what| {
            let failure = Failure::new(oracle, at, what).record(entry.number);
            Err(failure.place(entry.topic, partition))
        };
        let is_durable = promises.durable && !promises.lost.contains(&entry.number);
        match &entry.told {
            Some((_, Told::Delivered { offset: Some(offset) })) => {
                let is_there = |log: &&Log| at_offset(log, *offset) == Some(entry.number);
                let logs = by_place.get(&(entry.topic, partition));
                let found = logs.is_some_and(|logs| logs.iter().any(is_there));
                if !found && is_durable {
                    let what = format!(
                        "{} was delivered at t{}-{partition} offset {offset}, is there {copies} times",
                        entry.number, entry.topic
                    );
                    return fail(Oracle::NothingLost, what);
                }
            }
            Some((_, Told::Delivered { offset: None })) if copies == 0 && is_durable => {
                let what = format!("{} was delivered and is in no log", entry.number);
                return fail(Oracle::NothingLost, what);
            }
            Some((_, Told::Failed { persistence: Persistence::NotPersisted, error }))
                if copies > 0 && !is_excused(promises, entry) =>
            {
                let what = format!(
                    "{} was promised not to be persisted ({error}), is there {copies} times",
                    entry.number
                );
                return fail(Oracle::NotPersisted, what);
            }
            Some((_, Told::Failed { persistence: Persistence::PossiblyPersisted, error }))
                if entry.attempts == 0 =>
            {
                let what = format!("{} was never sent, may be persisted: {error}", entry.number);
                return fail(Oracle::Earned, what);
            }
            _ => {}
        }
        if copies > entry.attempts {
            let what = format!("{}: {copies} copies of {} attempts", entry.number, entry.attempts);
            return fail(Oracle::NoDuplicate, what);
        }
    }
    Ok(())
}

fn is_excused(promises: &Promises, entry: &Entry) -> bool {
    entry.partition.is_some_and(|partition| promises.excused.contains(&(entry.topic, partition)))
}

fn at_offset(log: &Log, offset: i64) -> Option<RecordNumber> {
    let first = log.records.first()?.offset;
    let record = log.records.get(usize::try_from(offset - first).ok()?)?;
    read_value(record.value.as_deref()?).filter(|_| record.offset == offset)
}

fn audit_log(
    at: Instant,
    ledger: &Ledger,
    log: &Log,
    promises: &Promises,
    copies: &mut [u32],
) -> Result<(), Failure> {
    let place = (log.topic, log.partition);
    let strict = promises.idempotent && promises.honest && !promises.excused.contains(&place);
    let mut last: BTreeMap<u32, RecordNumber> = BTreeMap::new();
    let mut seen: BTreeSet<RecordNumber> = BTreeSet::new();
    for record in &log.records {
        let here = format!("t{}-{} offset {}", log.topic, log.partition, record.offset);
        let fail = |oracle, what: &str| {
            Failure::new(oracle, at, format!("{here}: {what}")).place(log.topic, log.partition)
        };
        let number = record.value.as_deref().and_then(read_value);
        let known = number.and_then(|number| ledger.index(number));
        let Some((number, index)) = number.zip(known) else {
            return Err(fail(Oracle::NothingInvented, "nobody appended this"));
        };
        let entry = &ledger.entries[index];
        let stamped = promises.append_time.contains(&log.topic);
        if digest_of(record) != entry.digest || (record.timestamp != entry.timestamp && !stamped) {
            let what = format!("{number} is not as it was appended");
            return Err(fail(Oracle::NothingInvented, &what).record(number));
        }
        let due = entry.due_partition.or(entry.partition);
        let is_elsewhere = entry.topic != log.topic || due.is_some_and(|due| due != log.partition);
        if is_elsewhere && promises.honest {
            let what = format!("{number} belongs to t{}-{due:?}", entry.topic);
            return Err(fail(Oracle::RightPlace, &what).record(number));
        }
        copies[index] += 1;
        if !seen.insert(number) && strict {
            let what = format!("{number} is here a second time");
            return Err(fail(Oracle::NoDuplicate, &what).record(number));
        }
        let before = last.insert(number.instance, number);
        if let Some(before) = before.filter(|before| *before > number && strict) {
            let what = format!("{number} stands behind {before}");
            return Err(fail(Oracle::Order, &what).record(number));
        }
    }
    Ok(())
}
