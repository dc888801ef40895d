//! Waiting on a plain thread: for a future, or for the results of many records.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::handle::Handle;
use crate::hook::RecordResult;
use crate::record::Record;
use crate::waiting::Admission;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: OnceCell<Waker> = const { OnceCell::new() };
}

/// How many records [`send_all`] takes from its caller at a time.
const RUN: usize = 256;

/// Sends records and blocks until each is delivered or has failed, for adapters with a blocking
/// API: all results, in the order of the records.
pub fn send_all<'a>(
    handle: &Handle,
    records: impl IntoIterator<Item = Record<'a>>,
) -> Vec<RecordResult> {
    let mut records = records.into_iter();
    let mut run = Vec::with_capacity(RUN);
    let mut sent = Vec::new();
    loop {
        run.extend(records.by_ref().take(RUN - run.len()));
        if run.is_empty() {
            break;
        }
        let admissions = handle.send_some(&run);
        run.drain(..admissions.len());
        sent.extend(admissions.into_iter().map(Admission::wait));
    }
    sent.into_iter().map(|sent| Ok(sent?.wait()?)).collect()
}

/// Runs `future` to its end on this thread, or until `deadline`; `None` when the deadline came
/// first.
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let waker = WAKER
        .with(|cell| cell.get_or_init(|| Waker::from(Arc::new(Unpark(thread::current())))).clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }
}
