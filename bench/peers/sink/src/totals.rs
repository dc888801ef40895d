//! The counters.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

/// A number that any thread may add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to it. What it was before.
    pub(crate) fn take(&self, more: u64) -> u64 {
        self.0.fetch_add(more, Ordering::Relaxed)
    }
}

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.get())
    }
}

/// What came since the last reset.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    pub(crate) connections: Counter,
    /// Produce requests.
    pub(crate) requests: Counter,
    pub(crate) request_bytes: Counter,
    /// Requests of other kinds.
    pub(crate) other_requests: Counter,
    pub(crate) batches: Counter,
    pub(crate) batch_bytes: Counter,
    /// Batches by the number of their codec.
    pub(crate) batches_by_codec: [Counter; 8],
    pub(crate) records: Counter,
    /// Batches whose CRC is wrong; counted with `--crc 1` alone, as the next.
    pub(crate) crc_errors: Counter,
    /// Uncompressed batches whose records do not fill them exactly.
    pub(crate) record_errors: Counter,
    /// Batches that are not the next of their producer id, epoch and partition.
    pub(crate) sequence_errors: Counter,
    /// Batches for a partition of another broker; they were refused.
    pub(crate) misrouted: Counter,
    /// Requests and batches that nobody may send; the first kind ends the connection.
    pub(crate) malformed: Counter,
}
