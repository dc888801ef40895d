//! A place for one value that somebody waits for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Filled once by whoever has the value, emptied once by the one future that waits for it.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<State<T>>);

#[derive(Debug)]
enum State<T> {
    Empty(Option<Waker>),
    Full(T),
    Taken,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Empty(None)))
    }

    /// Puts the value in and wakes the waiter. Must not be called under the producer's lock.
    pub(crate) fn fill(&self, value: T) {
        let before = std::mem::replace(&mut *self.lock(), State::Full(value));
        if let State::Empty(Some(waker)) = before {
            waker.wake();
        }
    }

    /// Takes the value, or leaves a waker.
    ///
    /// # Panics
    /// When the value has been taken: a future polled after it was ready.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<T> {
        let mut state = self.lock();
        if let State::Empty(waker) = &mut *state {
            // A waker may run foreign code when it is dropped: not while the lock is held.
            let old = match waker {
                Some(waker) if waker.will_wake(context.waker()) => None,
                _ => waker.replace(context.waker().clone()),
            };
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Taken) {
            State::Full(value) => Poll::Ready(value),
            _ => panic!("future polled after it was ready"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
