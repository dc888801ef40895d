//! Heavy pure work that the core hands out: compression and splitting.

/// A piece of pure work on owned values; may run anywhere.
#[derive(Debug)]
#[must_use = "records wait for the result of this job"]
pub struct Job {
    id: u64,
}

/// What became of a [`Job`]; goes back by [`Input::Done`](crate::Input::Done).
#[derive(Debug)]
pub struct JobResult {
    id: u64,
}

impl Job {
    /// Does the work. Takes as long as compressing one batch takes; never blocks otherwise.
    pub fn run(self) -> JobResult {
        JobResult { id: self.id }
    }

    /// Gives the work up: for a worker that panicked or was shut down. The batch goes out
    /// uncompressed, or fails where that cannot help.
    pub fn abandon(self) -> JobResult {
        JobResult { id: self.id }
    }
}
