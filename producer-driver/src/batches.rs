//! From a batch's id to its completion.

use std::collections::VecDeque;
use std::sync::Arc;

use producer_proto::BatchId;

use crate::completion::Completion;

/// Ids per page: a power of two.
const PAGE: u64 = 64;

/// The completions of all batches that have records without an outcome.
///
/// Batch ids are dense and rise, so this is a ring of pages indexed by id: no hashing. An empty
/// page is given back, so one batch that is stuck for minutes holds one page and eight bytes for
/// every further [`PAGE`] ids, not a place for every batch that came after it.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    pages: VecDeque<Option<Box<Page>>>,
    /// The number of the page at the front.
    first: u64,
    spare: Option<Box<Page>>,
}

#[derive(Debug)]
struct Page {
    entries: [Option<Entry>; PAGE as usize],
    used: u32,
}

#[derive(Debug)]
struct Entry {
    completion: Arc<Completion>,
    /// Records without an outcome.
    open: u32,
}

impl Batches {
    /// Counts one more record of this batch and gives its completion; `None` for the first one.
    #[inline]
    pub(crate) fn join(&mut self, batch: BatchId) -> Option<Arc<Completion>> {
        let (number, place) = locate(batch);
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let entry = self.pages.get_mut(at)?.as_mut()?.entries[place].as_mut()?;
        entry.open += 1;
        Some(entry.completion.clone())
    }

    /// Begins with a batch, of which there is one record.
    pub(crate) fn enter(&mut self, batch: BatchId, completion: Completion) -> Arc<Completion> {
        let (number, place) = locate(batch);
        if self.pages.is_empty() {
            self.first = number;
        }
        // A batch whose first records were all cancelled can come back after its page was given
        // back.
        while number < self.first {
            self.pages.push_front(None);
            self.first -= 1;
        }
        let at = usize::try_from(number - self.first).expect("a page number is an index");
        while self.pages.len() <= at {
            self.pages.push_back(None);
        }
        let page = self.pages[at].get_or_insert_with(|| {
            self.spare.take().unwrap_or_else(|| {
                Box::new(Page { entries: [const { None }; PAGE as usize], used: 0 })
            })
        });
        page.used += 1;
        let completion = Arc::new(completion);
        page.entries[place] = Some(Entry { completion: completion.clone(), open: 1 });
        completion
    }

    /// Counts `records` of this batch as having their outcome, and gives the completion to tell.
    /// `None` for a batch that has no record without one.
    pub(crate) fn settle(&mut self, batch: BatchId, records: u32) -> Option<Arc<Completion>> {
        let (number, place) = locate(batch);
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let page = self.pages.get_mut(at)?.as_mut()?;
        let entry = page.entries[place].as_mut()?;
        entry.open = entry.open.saturating_sub(records);
        if entry.open > 0 {
            return Some(entry.completion.clone());
        }
        let entry = page.entries[place].take()?;
        page.used -= 1;
        if page.used == 0 {
            self.spare = self.pages[at].take();
            while let Some(None) = self.pages.front() {
                self.pages.pop_front();
                self.first += 1;
            }
        }
        Some(entry.completion)
    }
}

fn locate(batch: BatchId) -> (u64, usize) {
    (batch.0 / PAGE, (batch.0 % PAGE) as usize)
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    fn register(batches: &mut Batches, id: u64) -> Arc<Completion> {
        let id = BatchId(id);
        batches
            .join(id)
            .unwrap_or_else(|| batches.enter(id, Completion::new(id, "t".into(), 0, Weak::new())))
    }

    #[test]
    fn records_of_a_batch_share_a_completion_until_all_are_settled() {
        let mut batches = Batches::default();
        let completion = register(&mut batches, 5);
        for _ in 0..2 {
            assert!(Arc::ptr_eq(&completion, &register(&mut batches, 5)));
        }
        assert!(batches.settle(BatchId(5), 2).is_some());
        assert!(batches.settle(BatchId(5), 1).is_some());
        assert!(batches.settle(BatchId(5), 1).is_none());
        assert!(
            batches.settle(BatchId(4), 1).is_none() && batches.settle(BatchId(999), 1).is_none()
        );
    }

    #[test]
    fn a_stuck_batch_holds_one_page() {
        let mut batches = Batches::default();
        register(&mut batches, 3);
        for id in 4..10_000 {
            register(&mut batches, id);
            batches.settle(BatchId(id), 1).unwrap();
        }
        assert_eq!(batches.pages.iter().flatten().count(), 1);
        batches.settle(BatchId(3), 1).unwrap();
        assert!(batches.pages.is_empty());

        // A batch that lost all its records while it was open gets new ones.
        register(&mut batches, 20_000);
        register(&mut batches, 9_998);
        assert!(batches.settle(BatchId(9_998), 1).is_some());
        assert!(batches.settle(BatchId(20_000), 1).is_some());
        assert!(batches.pages.is_empty());
    }
}
