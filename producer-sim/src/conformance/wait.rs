//! Waiting on the test's own thread, never for ever.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Far beyond what anything here takes: who waits so long waits for ever.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Between two looks at something that nobody tells.
const LOOK: Duration = Duration::from_millis(1);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the future gives; `None` when it does not within this time.
pub(super) fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let end = Instant::now() + limit;
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match end.checked_duration_since(Instant::now()) {
            Some(left) => thread::park_timeout(left),
            None => return None,
        }
    }
}

/// What the future gives.
#[track_caller]
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    within(LONG, future).expect("this waits for ever")
}

/// What the future gives now, if it is ready.
pub(super) fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Looks again and again until it is so.
#[track_caller]
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "this does not come: {what}");
        thread::sleep(LOOK);
    }
}
