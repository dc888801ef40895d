//! The result of one record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use producer_proto::{Cancel, Receipt};

use crate::block::block_on;
use crate::completion::Completion;
use crate::error::DeliveryError;
use crate::hook::Hook;
use crate::mark::{Mark, Wait};

/// Where a delivered record is in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition.
    pub partition: i32,
    /// The record's offset; `None` when the broker does not say (acks 0, or a duplicate older
    /// than its memory).
    pub offset: Option<i64>,
    /// Milliseconds since the Unix epoch: the broker's append time where the topic is so
    /// configured, else the record's own timestamp.
    pub timestamp: i64,
}

/// The result of one accepted record, as it becomes known.
///
/// A future for any executor, and blocking waits for plain threads. May be polled again after it
/// was ready, and gives the same result.
///
/// Dropping it changes nothing for the record, which is produced all the same; only its result
/// goes unseen ([`cancel`](Self::cancel) takes a record back). It keeps neither
/// the producer nor the record's bytes.
///
/// Waiting tells the producer so: a batch that nobody adds to and everybody waits for is sent
/// without lingering.
#[derive(Debug)]
#[must_use = "the result of a record says whether it was delivered; drop it to ignore that"]
pub struct Delivery {
    completion: Arc<Completion>,
    mark: Mark,
}

impl Delivery {
    pub(crate) fn new(completion: Arc<Completion>, mark: Mark) -> Self {
        Self { completion, mark }
    }

    /// Makes waiting for it say nothing to the producer: the batch lingers as `linger` says,
    /// although somebody waits for this record. For those who collect results while they go on
    /// sending.
    pub fn lingering(mut self) -> Self {
        if self.mark.wait() == Wait::Unawaited {
            self.mark.set_wait(Wait::Lingering);
        }
        self
    }

    /// The topic the record goes to.
    pub fn topic(&self) -> &Arc<str> {
        &self.completion.topic
    }

    /// Whether the result is known.
    pub fn is_done(&self) -> bool {
        self.completion.outcome(self.mark.index(), |_, _| ()).is_some()
    }

    /// The result, if it is known.
    ///
    /// # Errors
    /// As the future: why the record was not delivered, and whether it may be in the log.
    pub fn try_result(&self) -> Option<Result<RecordMetadata, DeliveryError>> {
        self.completion.result(self.mark)
    }

    /// Takes the record out of its batch, as long as that is open. `Cancelled` is a promise: the
    /// record is not in the log and never will be; the result says so, too, once the driver has
    /// come to it. `TooLate`, and nothing has changed: the result comes as it comes, or has come.
    pub fn cancel(&self) -> Cancel {
        let receipt = Receipt { batch: self.completion.batch, index: self.mark.index() };
        let shared = self.completion.shared.upgrade();
        shared.map_or(Cancel::TooLate, |shared| shared.cancel(receipt))
    }

    /// Has `hook` called with the result. Only right after the push, under the producer's lock.
    pub(crate) fn watch(&self, hook: Hook) {
        self.completion.watch(self.mark, hook);
    }

    /// Blocks this thread until the result is known; at most until the delivery timeout. Not for
    /// async code, and never on the thread that turns the driver.
    ///
    /// # Errors
    /// Why the record was not delivered, and whether it may be in the log all the same.
    pub fn wait(mut self) -> Result<RecordMetadata, DeliveryError> {
        block_on(&mut self, None).expect("without a deadline the result comes first")
    }

    /// Blocks this thread until the result is known or `timeout` has passed; then `None`, and the
    /// result can be asked for again. Not for async code.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(
        &mut self,
        timeout: Duration,
    ) -> Option<Result<RecordMetadata, DeliveryError>> {
        block_on(self, Instant::now().checked_add(timeout))
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.try_result() {
            return Poll::Ready(result);
        }
        if !self.completion.wait(self.mark.index(), context.waker()) {
            let result = self.try_result().expect("a record that needs no wait has its outcome");
            return Poll::Ready(result);
        }
        if self.mark.set_wait(Wait::Awaited) == Wait::Unawaited
            && let Some(shared) = self.completion.shared.upgrade()
        {
            shared.expedite(self.completion.batch);
        }
        Poll::Pending
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.mark.wait() == Wait::Awaited && !self.is_done() {
            self.completion.forget(self.mark.index());
        }
    }
}
