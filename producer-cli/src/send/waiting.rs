//! How much has been handed to the producer and not been accepted yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes of the records that wait to be accepted. One task waits for it to fall.
#[derive(Clone, Debug, Default)]
pub(super) struct Unaccepted(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bytes: AtomicUsize,
    fell: Notify,
}

/// One waiting record; dropped when it is accepted or refused.
#[derive(Debug)]
pub(super) struct Guard {
    of: Unaccepted,
    bytes: usize,
}

impl Unaccepted {
    /// Counts a record that waits.
    pub(super) fn add(&self, bytes: usize) -> Guard {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Guard { of: self.clone(), bytes }
    }

    /// Waits until nothing waits.
    pub(super) async fn nothing(&self) {
        self.falls_to(0).await;
    }

    /// Waits until a record of this size can wait without exceeding `limit`, or is alone.
    pub(super) async fn room_for(&self, bytes: usize, limit: usize) {
        self.falls_to(limit.saturating_sub(bytes)).await;
    }

    async fn falls_to(&self, bytes: usize) {
        // `notify_one` keeps a permit when nobody waits, so a fall between look and wait is seen.
        while self.0.bytes.load(Ordering::Acquire) > bytes {
            self.0.fell.notified().await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.of.0.bytes.fetch_sub(self.bytes, Ordering::Release);
        self.of.0.fell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_until_enough_is_accepted() {
        let unaccepted = Unaccepted::default();
        unaccepted.nothing().await;
        unaccepted.room_for(100, 5).await;
        let (first, second) = (unaccepted.add(10), unaccepted.add(5));
        unaccepted.room_for(5, 20).await;
        let waiting = tokio::spawn({
            let unaccepted = unaccepted.clone();
            async move { unaccepted.room_for(15, 20).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "10 bytes still wait");
        drop(first);
        waiting.await.unwrap();
    }
}
