//! What makes the thread that turns the loop come back to it.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::Wake;

/// Wakes the thread out of its poll. When the thread itself asks for it, as by sending a record, it
/// is not in its poll: then a note is enough, which saves a system call for every lone send.
pub(crate) struct Alarm {
    poll: Arc<mio::Waker>,
    /// The thread that turns the loop and polls; 0 before the first turn.
    thread: AtomicUsize,
    /// That thread has called for itself.
    is_called: AtomicBool,
}

impl Alarm {
    pub(crate) fn new(poll: Arc<mio::Waker>) -> Self {
        Self { poll, thread: AtomicUsize::new(0), is_called: AtomicBool::new(false) }
    }

    /// This thread does what there is to do.
    pub(crate) fn begin_turn(&self) {
        self.take_over();
        self.is_called.store(false, Relaxed);
    }

    /// This thread is about to poll; whether it must not sleep.
    pub(crate) fn begin_sleep(&self) -> bool {
        self.take_over();
        self.is_called.load(SeqCst)
    }

    fn take_over(&self) {
        let current = current_thread();
        if self.thread.load(Relaxed) != current {
            self.thread.store(current, SeqCst);
        }
    }

    fn is_own(&self) -> bool {
        self.thread.load(SeqCst) == current_thread()
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_own() {
            self.is_called.store(true, SeqCst);
            // Unless another thread has taken the loop over just before it could see the note.
            if self.is_own() {
                return;
            }
        }
        if let Err(error) = self.poll.wake() {
            tracing::error!(%error, "the event loop cannot be woken");
        }
    }
}

/// A number that no other running thread has.
fn current_thread() -> usize {
    thread_local!(static OWN: u8 = const { 0 });
    OWN.with(|own| std::ptr::from_ref(own).addr())
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::thread;
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    #[test]
    fn a_thread_wakes_others_and_leaves_a_note_for_itself() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let alarm =
            Arc::new(Alarm::new(Arc::new(mio::Waker::new(poll.registry(), Token(0)).unwrap())));
        let waker = Waker::from(alarm.clone());
        let mut is_woken = || {
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            !events.is_empty()
        };
        waker.wake_by_ref();
        assert!(is_woken(), "nobody has turned the loop yet");
        alarm.begin_turn();
        waker.wake_by_ref();
        assert!(!is_woken() && alarm.begin_sleep());
        alarm.begin_turn();
        assert!(!alarm.begin_sleep());
        thread::scope(|scope| {
            scope.spawn(|| waker.wake_by_ref());
        });
        assert!(is_woken() && !alarm.begin_sleep());
        // The loop moves to another thread.
        thread::scope(|scope| {
            scope.spawn(|| alarm.begin_sleep());
        });
        waker.wake_by_ref();
        assert!(is_woken());
    }
}
