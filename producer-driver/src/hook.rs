//! What is called with the result of a record: the caller's callback and the interceptors.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::delivery::RecordMetadata;
use crate::error::RecordError;
use crate::interceptor::Watch;

/// The result of one record for those who are not told about acceptance and delivery apart.
pub type RecordResult = Result<RecordMetadata, RecordError>;

pub(crate) type Callback = Box<dyn FnOnce(RecordResult) + Send>;

/// How often code of the application has failed where nobody could be told. No record is ever
/// touched by that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// Callbacks of [`Handle::send_with`](crate::Handle::send_with) that panicked.
    pub callback_panics: u64,
    /// Calls of an [`Interceptor`](crate::Interceptor) that gave an error.
    pub interceptor_errors: u64,
    /// Calls of an [`Interceptor`](crate::Interceptor) that panicked.
    pub interceptor_panics: u64,
}

#[derive(Debug, Default)]
pub(crate) struct FaultCounters {
    pub(crate) callback_panics: AtomicU64,
    pub(crate) interceptor_errors: AtomicU64,
    pub(crate) interceptor_panics: AtomicU64,
}

impl FaultCounters {
    pub(crate) fn read(&self) -> Faults {
        Faults {
            callback_panics: self.callback_panics.load(Relaxed),
            interceptor_errors: self.interceptor_errors.load(Relaxed),
            interceptor_panics: self.interceptor_panics.load(Relaxed),
        }
    }
}

/// Called once with the result of its record, never under the producer's lock.
pub(crate) struct Hook {
    watch: Option<Watch>,
    callback: Option<Callback>,
    faults: Arc<FaultCounters>,
}

impl Hook {
    pub(crate) fn new(
        watch: Option<Watch>,
        callback: Option<Callback>,
        faults: Arc<FaultCounters>,
    ) -> Self {
        Self { watch, callback, faults }
    }

    /// Tells the interceptors, then the caller. A panic ends with the one that panicked.
    pub(crate) fn run(self, result: RecordResult) {
        if let Some(watch) = self.watch {
            watch.acknowledge(&result, &self.faults);
        }
        if let Some(callback) = self.callback
            && catch_unwind(AssertUnwindSafe(|| callback(result))).is_err()
        {
            self.faults.callback_panics.fetch_add(1, Relaxed);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}
