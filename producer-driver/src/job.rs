//! A job of the core, on its way to wherever it is done.

use std::sync::Arc;

use producer_proto::Job;

use crate::shared::Shared;

/// A piece of heavy pure work (compression, splitting) that knows where its result goes.
///
/// Run it inline or on any thread, now or later. Dropped without being run, it counts as
/// abandoned: the batch goes out uncompressed, or fails where that cannot help.
#[derive(Debug)]
#[must_use = "records wait for this work"]
pub struct Work {
    job: Option<Job>,
    shared: Arc<Shared>,
}

impl Work {
    pub(crate) fn new(job: Job, shared: Arc<Shared>) -> Self {
        Self { job: Some(job), shared }
    }

    /// Does the work and hands in the result; takes as long as compressing one batch takes.
    pub fn run(mut self) {
        if let Some(job) = self.job.take() {
            self.shared.job_done(job.run());
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            self.shared.job_done(job.abandon());
        }
    }
}
