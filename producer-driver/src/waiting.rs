//! The futures that a [`Handle`](crate::Handle) gives out, and what dropping each means.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use producer_proto::{Cancel, TopicId};

use crate::block::block_on;
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::tickets::SendResult;

/// The acceptance of one record by [`Handle::send`](crate::Handle::send).
///
/// The record took its place in the order of sends when `send` was called, not when this is first
/// polled. Usually it is accepted by then and this is ready at once.
///
/// Dropping it before it is ready gives up the place, unless the record has been accepted in the
/// meantime: then it is produced like any other and only its result goes unseen. Either way no
/// other record is touched. Once it is ready, the record is accepted, whatever is dropped.
///
/// While more than a MiB and eight batches are on their way, it is not ready at once for one record
/// of each batch, though that has been accepted, so that a task which does nothing but send gives
/// way to the producer's.
#[derive(Debug)]
#[must_use = "dropping this before it is ready may drop the record: await it, or call wait()"]
pub struct Admission(
    // Two words, so that the usual case is handed on in registers; `None` once it has been taken.
    Result<Delivery, Option<Box<Unusual>>>,
);

/// What else there is than an accepted record.
#[derive(Debug)]
pub(crate) enum Unusual {
    Refused(SendError),
    Waiting(Place),
    /// Accepted, but the driver has much to do and may be a task of the same thread.
    GivesWay(Delivery, Arc<Shared>),
}

/// A record's place in the queue.
#[derive(Debug)]
pub(crate) struct Place {
    slot: Arc<Slot<SendResult>>,
    shared: Arc<Shared>,
    topic: TopicId,
    number: u64,
}

impl Unusual {
    pub(crate) fn refused(error: SendError) -> Box<Self> {
        Box::new(Self::Refused(error))
    }

    pub(crate) fn waiting(
        slot: Arc<Slot<SendResult>>,
        shared: Arc<Shared>,
        topic: TopicId,
        number: u64,
    ) -> Box<Self> {
        Box::new(Self::Waiting(Place { slot, shared, topic, number }))
    }
}

impl Admission {
    /// There must be one of both.
    #[inline]
    pub(crate) fn new(accepted: Option<Delivery>, unusual: Option<Box<Unusual>>) -> Self {
        Self(accepted.ok_or(unusual))
    }

    fn place(&self) -> Option<&Place> {
        match &self.0 {
            Err(Some(unusual)) => match &**unusual {
                Unusual::Waiting(place) => Some(place),
                Unusual::Refused(_) | Unusual::GivesWay(..) => None,
            },
            _ => None,
        }
    }

    /// Whether the record had to take a place in the queue.
    pub(crate) fn waits(&self) -> bool {
        self.place().is_some()
    }

    #[inline(never)]
    fn poll_unusual(&mut self, context: &mut Context<'_>) -> Poll<SendResult> {
        let result = match self.place() {
            Some(place) => Some(std::task::ready!(place.slot.poll(context))),
            None => None,
        };
        let unusual = match std::mem::replace(&mut self.0, Err(None)) {
            Ok(delivery) => return Poll::Ready(Ok(delivery)),
            Err(unusual) => unusual.map(|unusual| *unusual),
        };
        match (result, unusual) {
            (Some(result), _) => Poll::Ready(result),
            (None, Some(Unusual::Refused(error))) => Poll::Ready(Err(error)),
            (None, Some(Unusual::GivesWay(delivery, shared))) => {
                self.0 = Ok(delivery);
                // First in the queue of the executor, if they share one.
                shared.give_way();
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, _) => panic!("future polled after it was ready"),
        }
    }

    /// Takes the record back, whether it still waits or has been accepted. `Cancelled` is a
    /// promise: the record is not in the log and never will be, which holds for one that was
    /// refused, too. `TooLate`: it is on its way, and is produced as if nobody had asked.
    ///
    /// # Panics
    /// When this has been polled until it was ready.
    pub fn cancel(mut self) -> Cancel {
        if let Some(place) = self.place()
            && place.shared.give_up(place.topic, place.number)
        {
            self.0 = Err(None);
            return Cancel::Cancelled;
        }
        if let Err(Some(unusual)) = &self.0
            && let Unusual::GivesWay(delivery, _) = &**unusual
        {
            return delivery.cancel();
        }
        match Pin::new(&mut self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(delivery)) => delivery.cancel(),
            Poll::Ready(Err(_)) => Cancel::Cancelled,
            // Its turn has just come, and another thread is about to say how that went.
            Poll::Pending => Cancel::TooLate,
        }
    }

    /// Blocks this thread until the record is accepted, at most for `max_block`. Not for async
    /// code, and never on the thread that turns the driver.
    ///
    /// # Errors
    /// Why the record was not accepted; nothing of it was kept.
    #[inline]
    pub fn wait(mut self) -> SendResult {
        match std::mem::replace(&mut self.0, Err(None)) {
            Ok(delivery) => Ok(delivery),
            unusual => {
                block_on(Self(unusual), None).expect("without a deadline the result comes first")
            }
        }
    }
}

impl Future for Admission {
    type Output = SendResult;

    /// # Panics
    /// When polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<SendResult> {
        match std::mem::replace(&mut self.0, Err(None)) {
            Ok(delivery) => Poll::Ready(Ok(delivery)),
            unusual => {
                self.0 = unusual;
                self.poll_unusual(context)
            }
        }
    }
}

impl Drop for Admission {
    #[inline]
    fn drop(&mut self) {
        if let Err(Some(_)) = &self.0
            && let Some(place) = self.place()
        {
            place.shared.give_up(place.topic, place.number);
        }
    }
}

/// The answer to a request that was made when its function was called.
///
/// A future for any executor, and blocking waits for plain threads. Dropping it changes nothing:
/// a flush or a close goes on, only its end goes unseen.
#[derive(Debug)]
#[must_use = "this says when the request is done; drop it to ignore that"]
pub struct Reply<T>(Answer<T>);

#[derive(Debug)]
enum Answer<T> {
    Ready(Option<T>),
    Waiting(Arc<Slot<T>>),
}

impl<T> Reply<T> {
    pub(crate) fn ready(value: T) -> Self {
        Self(Answer::Ready(Some(value)))
    }

    pub(crate) fn waiting(slot: Arc<Slot<T>>) -> Self {
        Self(Answer::Waiting(slot))
    }

    /// Blocks this thread until the answer is here. Not for async code, and never on the thread
    /// that turns the driver.
    pub fn wait(mut self) -> T {
        block_on(&mut self, None).expect("without a deadline the answer comes first")
    }

    /// Blocks this thread until the answer is here or `timeout` has passed; then `None`, and it
    /// can be asked again.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<T> {
        block_on(self, Instant::now().checked_add(timeout))
    }
}

impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = T;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Answer::Ready(value) => {
                Poll::Ready(value.take().expect("a future is not polled after it was ready"))
            }
            Answer::Waiting(slot) => slot.poll(context),
        }
    }
}
