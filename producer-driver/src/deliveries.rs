//! Results as a stream, each with a value that the caller gave along.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use crate::block::block_on;
use crate::handle::Handle;
use crate::hook::RecordResult;
use crate::record::Record;
use crate::waiting::Reply;

/// Sends records whose results arrive at one [`Deliveries`]; from
/// [`Handle::deliveries`](crate::Handle::deliveries). Cheap to clone.
#[derive(Debug)]
pub struct DeliverySender<C> {
    handle: Handle,
    source: Arc<Source<C>>,
}

/// The results of all records that were sent with its [`DeliverySender`].
///
/// Successes of one partition arrive in the order of the records; failures may come earlier.
/// Nobody waits for this to be read, so nothing can block: results that are not taken stay in
/// memory. Dropping it drops the results that are left and changes nothing for the records.
#[derive(Debug)]
pub struct Deliveries<C>(Arc<Queue<C>>);

/// A result and the value that was sent along with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered<C> {
    /// What the caller gave along.
    pub context: C,
    /// Where the record is, or why it was not accepted or delivered.
    pub result: RecordResult,
}

#[derive(Debug)]
struct Queue<C>(Mutex<State<C>>);

#[derive(Debug)]
struct State<C> {
    results: VecDeque<Delivered<C>>,
    waker: Option<Waker>,
    has_ended: bool,
}

/// Held by the senders and by every record without a result: when the last one goes, the queue
/// ends.
#[derive(Debug)]
struct Source<C>(Weak<Queue<C>>);

pub(crate) fn channel<C>(handle: Handle) -> (DeliverySender<C>, Deliveries<C>) {
    let state = State { results: VecDeque::new(), waker: None, has_ended: false };
    let queue = Arc::new(Queue(Mutex::new(state)));
    let source = Arc::new(Source(Arc::downgrade(&queue)));
    (DeliverySender { handle, source }, Deliveries(queue))
}

impl<C: Send + 'static> DeliverySender<C> {
    /// Sends a record as [`Handle::send_with`](crate::Handle::send_with) does; its result comes
    /// with `context`, exactly once.
    pub fn send(&self, record: Record<'_>, context: C) -> Reply<()> {
        let source = self.source.clone();
        self.handle.send_with(record, move |result| source.put(Delivered { context, result }))
    }
}

impl<C> Clone for DeliverySender<C> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), source: self.source.clone() }
    }
}

impl<C> Source<C> {
    fn put(&self, delivered: Delivered<C>) {
        if let Some(queue) = self.0.upgrade() {
            queue.change(|state| state.results.push_back(delivered));
        }
    }
}

impl<C> Drop for Source<C> {
    fn drop(&mut self) {
        if let Some(queue) = self.0.upgrade() {
            queue.change(|state| state.has_ended = true);
        }
    }
}

impl<C> Queue<C> {
    /// Changes the state and wakes the reader, that outside the lock.
    fn change(&self, change: impl FnOnce(&mut State<C>)) {
        let mut state = self.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Deliveries<C> {
    /// The next result; `None` when all senders are dropped and every record has had its result.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivered<C>> {
        poll_fn(|context| self.poll_result(context)).await
    }

    /// As [`next`](Self::next), blocking this thread. Not for async code, and never on the thread
    /// that turns the driver.
    pub fn wait_next(&mut self) -> Option<Delivered<C>> {
        block_on(self.next(), None).expect("without a deadline the result comes first")
    }

    /// A result that is here now.
    pub fn try_next(&mut self) -> Option<Delivered<C>> {
        self.0.lock().results.pop_front()
    }

    /// As [`next`](Self::next), for hand-written futures.
    pub fn poll_result(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivered<C>>> {
        let mut state = self.0.lock();
        if let Some(delivered) = state.results.pop_front() {
            return Poll::Ready(Some(delivered));
        }
        if state.has_ended {
            return Poll::Ready(None);
        }
        // A waker may run foreign code when it is dropped: not while the lock is held.
        let old = state.waker.replace(context.waker().clone());
        drop(state);
        drop(old);
        Poll::Pending
    }
}

#[cfg(feature = "stream")]
impl<C> futures_core::Stream for Deliveries<C> {
    type Item = Delivered<C>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Delivered<C>>> {
        self.get_mut().poll_result(context)
    }
}
