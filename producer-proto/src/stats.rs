//! Counters as plain values.

/// The largest values since they were last taken, with
/// [`Producer::take_peaks`](crate::Producer::take_peaks); 0 where nothing happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peaks {
    /// Longest time of a request from hand-out to answer, microseconds.
    pub request_micros: u64,
    /// Longest time of a batch from its first record to hand-out, microseconds.
    pub queue_micros: u64,
    /// Largest sealed batch, bytes, header included, after compression.
    pub batch_bytes: u64,
    /// Longest pause that a broker asked for, microseconds.
    pub throttle_micros: u64,
}

/// Counters since the producer was made, and levels as they are now. Reading them costs nothing
/// and changes nothing. Rates and averages are for the reader to compute from two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Records accepted by `push`.
    pub records_pushed: u64,
    /// Records delivered.
    pub records_delivered: u64,
    /// Records failed, cancelled ones included.
    pub records_failed: u64,
    /// Records cancelled.
    pub records_cancelled: u64,
    /// Pushes refused because a lane had no room.
    pub pushes_refused_full: u64,
    /// Pushes refused because the topic was not known yet.
    pub pushes_refused_not_ready: u64,
    /// Encoded record bytes accepted, before compression.
    pub bytes_pushed: u64,
    /// Batches sealed.
    pub batches_sealed: u64,
    /// Bytes of sealed batches, headers included, after compression.
    pub bytes_sealed: u64,
    /// Bytes of their records before compression.
    pub bytes_uncompressed: u64,
    /// Batches split because a broker found them too large.
    pub batches_split: u64,
    /// Batches that were handed out again.
    pub batches_retried: u64,
    /// Records of batches that a broker refused or a connection lost, and that are to be handed out
    /// again; once for each time.
    pub records_retried: u64,
    /// Batches expired by `delivery.timeout.ms`.
    pub batches_expired: u64,
    /// Requests handed out, of all kinds.
    pub requests_sent: u64,
    /// Produce requests handed out.
    pub produce_requests: u64,
    /// Metadata requests handed out.
    pub metadata_requests: u64,
    /// Requests that ended in a timeout.
    pub requests_timed_out: u64,
    /// Responses read.
    pub responses: u64,
    /// Bytes handed out.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Error answers to batches that are retried.
    pub errors_retriable: u64,
    /// Error answers to batches that failed for good.
    pub errors_final: u64,
    /// Bytes from a peer that broke the protocol: bad frames, foreign or surplus answers.
    pub protocol_errors: u64,
    /// Inputs for connections that are unknown or gone.
    pub stale_inputs: u64,
    /// Job results that were foreign, late or repeated.
    pub stale_jobs: u64,
    /// Partitions or brokers in answers that made no sense and were dropped.
    pub bad_metadata_entries: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Connection attempts that failed before they were ready.
    pub connections_failed: u64,
    /// Producer epoch bumps and new producer ids after the first.
    pub epoch_bumps: u64,
    /// Microseconds of throttling asked for by brokers.
    pub throttle_micros: u64,
    /// Sum over sealed batches of the time from the first record to hand-out, microseconds.
    pub queue_micros: u64,
    /// Batches counted in `queue_micros`.
    pub queue_count: u64,
    /// Sum over answered requests of the time from hand-out to answer, microseconds.
    pub request_micros: u64,
    /// Longest time from hand-out to answer, microseconds.
    pub request_micros_max: u64,
    /// Records without an outcome, now.
    pub records_outstanding: u64,
    /// Batches without an outcome, now.
    pub batches_outstanding: u64,
    /// Bytes of buffer memory charged, now. Includes what transport and jobs have not given back.
    pub buffered_bytes: usize,
    /// Of these, bytes whose records have their outcome and that transport or jobs still hold.
    pub lent_bytes: usize,
    /// Requests in flight, now.
    pub requests_in_flight: u64,
    /// Connections ready, now.
    pub connections_ready: u64,
}
