//! Work that a sending thread does itself when there is more of it than gets done.

use super::State;
use crate::job::Work;

/// So many jobs without a result keep everybody busy who does nothing else.
const BUSY: usize = 8;

impl State {
    /// A job for the thread that has just sent a record, to be run without the lock. What is
    /// filled faster than it is compressed would only stand in memory, up to all of
    /// `buffer.memory`, and its bytes leave the processor's caches before they are used.
    pub(crate) fn job_for_sender(&mut self) -> Option<Work> {
        if !self.senders_help || self.core.jobs_outstanding() <= BUSY {
            return None;
        }
        let shared = self.shared.upgrade()?;
        Some(Work::new(self.core.poll_job()?, shared))
    }
}
