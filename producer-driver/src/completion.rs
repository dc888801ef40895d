//! The results of one batch, shared by the deliveries of all its records.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

use producer_proto::BatchId;

use crate::delivery::RecordMetadata;
use crate::error::DeliveryError;
use crate::hook::Hook;
use crate::mark::Mark;
use crate::shared::Shared;

/// What became of the records of one batch, and who waits for it.
///
/// Most batches have one outcome for all records: that one is read without a lock. A split, an
/// error of single records or a cancellation gives several.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) batch: BatchId,
    pub(crate) topic: Arc<str>,
    pub(crate) shared: Weak<Shared>,
    /// The timestamp of its first record.
    base_timestamp: i64,
    first: OnceLock<Settled>,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    /// Outcomes after the first, by the start of their range.
    settled: Vec<Settled>,
    /// Who waits, by record. A record has one delivery, so one waker.
    waiting: Vec<(u32, Waker)>,
    /// What to call, by record.
    hooks: Vec<(Mark, Hook)>,
    /// Timestamps that are too far from the first one for a mark, by record.
    far_timestamps: Vec<(u32, i64)>,
}

/// The outcome of a run of records.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) records: Range<u32>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Delivered { partition: i32, base_offset: Option<i64>, append_time: Option<i64> },
    Failed(DeliveryError),
}

impl Completion {
    pub(crate) fn new(
        batch: BatchId,
        topic: Arc<str>,
        base_timestamp: i64,
        shared: Weak<Shared>,
    ) -> Self {
        let (first, rest) = (OnceLock::new(), Mutex::default());
        Self { batch, topic, shared, base_timestamp, first, rest }
    }

    /// The mark of a record that has just been pushed: under the producer's lock. Records of a
    /// batch come in the order of their indexes.
    #[inline]
    pub(crate) fn mark(&self, index: u32, timestamp: i64) -> Mark {
        let mark = Mark::new(index, self.base_timestamp, timestamp);
        if mark.timestamp(self.base_timestamp).is_none() {
            self.lock().far_timestamps.push((index, timestamp));
        }
        mark
    }

    fn timestamp(&self, mark: Mark) -> i64 {
        mark.timestamp(self.base_timestamp).unwrap_or_else(|| {
            let far = &self.lock().far_timestamps;
            let at = far.binary_search_by_key(&mark.index(), |(index, _)| *index);
            at.map_or(self.base_timestamp, |at| far[at].1)
        })
    }

    /// Adds an outcome, calls the hooks of its records in order, and wakes those who wait for it.
    /// Must not be called under a lock.
    pub(crate) fn settle(&self, settled: Settled) {
        let records = settled.records.clone();
        let mut rest = self.lock();
        if let Err(settled) = self.first.set(settled) {
            let at = rest.settled.partition_point(|other| other.records.start < records.start);
            rest.settled.insert(at, settled);
        }
        let start = rest.waiting.partition_point(|(index, _)| *index < records.start);
        let end = rest.waiting.partition_point(|(index, _)| *index < records.end);
        let woken: Vec<_> = rest.waiting.drain(start..end).collect();
        let start = rest.hooks.partition_point(|(mark, _)| mark.index() < records.start);
        let end = rest.hooks.partition_point(|(mark, _)| mark.index() < records.end);
        let hooks: Vec<_> = rest.hooks.drain(start..end).collect();
        drop(rest);
        for (mark, hook) in hooks {
            let result = self.result(mark).expect("the outcome was added above");
            hook.run(result.map_err(Into::into));
        }
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// The outcome of a record, given to `read` with the place of the record in its run.
    pub(crate) fn outcome<R>(
        &self,
        index: u32,
        read: impl FnOnce(u32, &Outcome) -> R,
    ) -> Option<R> {
        let first = self.first.get()?;
        if first.records.contains(&index) {
            return Some(read(index - first.records.start, &first.outcome));
        }
        let rest = self.lock();
        let settled = rest.find(index)?;
        Some(read(index - settled.records.start, &settled.outcome))
    }

    /// The result of a record.
    pub(crate) fn result(&self, mark: Mark) -> Option<Result<RecordMetadata, DeliveryError>> {
        let result = self.outcome(mark.index(), |place, outcome| match outcome {
            Outcome::Delivered { partition, base_offset, append_time } => {
                let offset = base_offset.and_then(|base| base.checked_add(i64::from(place)));
                Ok((*partition, offset, *append_time))
            }
            Outcome::Failed(error) => Err(error.clone()),
        })?;
        Some(result.map(|(partition, offset, append_time)| {
            let timestamp = append_time.unwrap_or_else(|| self.timestamp(mark));
            RecordMetadata { partition, offset, timestamp }
        }))
    }

    /// Leaves a hook for a record that has just been pushed: under the producer's lock, so that
    /// no outcome can come first. Records of a batch come in the order of their indexes.
    pub(crate) fn watch(&self, mark: Mark, hook: Hook) {
        self.lock().hooks.push((mark, hook));
    }

    /// Leaves a waker for a record; false when its outcome is here by now.
    pub(crate) fn wait(&self, index: u32, waker: &Waker) -> bool {
        let mut rest = self.lock();
        let known = self.first.get().is_some_and(|first| first.records.contains(&index));
        if known || rest.find(index).is_some() {
            return false;
        }
        // A waker may run foreign code when it is dropped: not while the lock is held.
        let old = match rest.waiting.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) if rest.waiting[at].1.will_wake(waker) => None,
            Ok(at) => Some(std::mem::replace(&mut rest.waiting[at].1, waker.clone())),
            Err(at) => {
                rest.waiting.insert(at, (index, waker.clone()));
                None
            }
        };
        drop(rest);
        drop(old);
        true
    }

    /// Nobody waits for this record any more.
    pub(crate) fn forget(&self, index: u32) {
        let mut rest = self.lock();
        let found = rest.waiting.binary_search_by_key(&index, |(index, _)| *index);
        let old = found.ok().map(|at| rest.waiting.remove(at));
        drop(rest);
        drop(old);
    }

    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    fn find(&self, index: u32) -> Option<&Settled> {
        let after = self.settled.partition_point(|settled| settled.records.start <= index);
        let candidate = &self.settled[after.checked_sub(1)?];
        candidate.records.contains(&index).then_some(candidate)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn delivered(records: Range<u32>, base: i64) -> Settled {
        let outcome =
            Outcome::Delivered { partition: 0, base_offset: Some(base), append_time: None };
        Settled { records, outcome }
    }

    #[test]
    fn runs_that_arrive_in_any_order_answer_for_their_records_only() {
        let completion = Completion::new(BatchId(7), "t".into(), 0, Weak::new());
        let counts: Vec<_> = (0..10).map(|_| Arc::new(Count(AtomicU32::new(0)))).collect();
        for (index, count) in counts.iter().enumerate().rev() {
            assert!(completion.wait(index as u32, &Waker::from(count.clone())));
        }
        completion.forget(3);
        completion.settle(delivered(4..6, 100));
        completion.settle(delivered(8..10, 300));
        completion.settle(delivered(0..4, 200));

        let base = |index| {
            completion.outcome(index, |place, outcome| match outcome {
                Outcome::Delivered { base_offset: Some(base), .. } => base + i64::from(place),
                other => panic!("{other:?}"),
            })
        };
        let offsets: Vec<_> = (0..11).map(base).collect();
        let expected = [200, 201, 202, 203, 100, 101].map(Some).into_iter();
        let expected = expected.chain([None, None, Some(300), Some(301), None]);
        assert_eq!(offsets, expected.collect::<Vec<_>>());

        let woken: Vec<_> = counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect();
        assert_eq!(woken, [1, 1, 1, 0, 1, 1, 0, 0, 1, 1]);
        assert!(!completion.wait(9, Waker::noop()) && completion.wait(7, Waker::noop()));
    }
}
