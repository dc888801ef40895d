//! A scenario that hangs says so.

use std::process;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Far beyond what a scenario takes whose every wait has run out.
const LIMIT: Duration = Duration::from_secs(300);

/// Ends the process unless [`end`](Self::end) is called in time: a scenario may hang where it has
/// no limit of its own, as in the end of a runtime.
pub(super) struct Watch {
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn begin(name: String) -> Self {
        let (running, is_running) = channel();
        let thread = thread::spawn(move || {
            if is_running.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} ... HANGS (no end in {LIMIT:?})");
                process::abort();
            }
        });
        Self { running, thread }
    }

    pub(super) fn end(self) {
        drop(self.running);
        self.thread.join().expect("it only waits");
    }
}
