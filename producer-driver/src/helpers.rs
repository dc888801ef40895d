//! Jobs on the threads of a runtime's pool: a few threads that each do many.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use crate::job::Work;

/// Jobs that wait for a thread of a pool, and how many threads help.
///
/// Pools that block start a thread for every task that finds none idle, hundreds if need be, and a
/// compressor keeps its memory per thread. Here a burst of jobs takes as many threads as there are
/// processors, and each of them goes on until no job is left.
#[derive(Clone, Debug)]
pub struct Helpers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    most: usize,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Work>,
    helpers: usize,
}

impl Default for Helpers {
    /// One helper per processor, or a single one where their number is not known.
    fn default() -> Self {
        Self::new(available_parallelism().map_or(1, Into::into))
    }
}

impl Helpers {
    /// At most so many helpers at a time; 0 counts as 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared { queue: Mutex::default(), most: most.max(1) }))
    }

    /// Queues a job. When another helper may come, gives one: [`run`](Helper::run) it on a thread
    /// that may be blocked. Never blocks.
    #[must_use = "without helpers no job is done"]
    pub fn add(&self, work: Work) -> Option<Helper> {
        let mut queue = self.0.lock();
        queue.jobs.push_back(work);
        if queue.helpers == self.0.most {
            return None;
        }
        queue.helpers += 1;
        drop(queue);
        Some(Helper { shared: self.0.clone(), is_counted: true })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread's worth of jobs, to be run on a thread of a pool.
///
/// Dropped without being run, as by a pool that shuts down, it leaves its jobs to the others; the
/// last one takes all that wait with it, and they count as abandoned, see [`Work`].
#[derive(Debug)]
#[must_use = "records wait for its jobs"]
pub struct Helper {
    shared: Arc<Shared>,
    is_counted: bool,
}

impl Helper {
    /// Does jobs until none waits: takes as long as compressing that many batches takes.
    pub fn run(mut self) {
        while let Some(work) = self.next() {
            work.run();
        }
    }

    /// The next job. Without one this helper is gone under the same hold of the lock: a job that is
    /// queued then finds another.
    fn next(&mut self) -> Option<Work> {
        let mut queue = self.shared.lock();
        let work = queue.jobs.pop_front();
        if work.is_none() {
            queue.helpers -= 1;
            self.is_counted = false;
        }
        work
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let mut queue = self.shared.lock();
        queue.helpers -= 1;
        let abandoned = match queue.helpers {
            0 => std::mem::take(&mut queue.jobs),
            _ => VecDeque::new(),
        };
        drop(queue);
        // Tells the core, under a lock of its own.
        drop(abandoned);
    }
}
