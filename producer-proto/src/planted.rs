//! Bugs that somebody could have written, for a test of the tests: does the simulation find them?
//! They exist only in builds with `--cfg planted_bugs`.

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $bug:ident = $name:literal;)+) => {
        /// A bug to be planted into a producer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PlantedBug {
            $($(#[doc = $doc])+ $bug,)+
        }

        impl PlantedBug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug),+];

            /// A short name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$bug => $name,)+ }
            }
        }
    };
}

bugs! {
    /// A record counts as delivered when its request is written.
    AckOnWrite = "ack-on-write";
    /// A batch to be tried again stands behind younger ones.
    RetryNotSortedByAge = "retry-not-sorted-by-age";
    /// A record that expired is said not to be written, although it was sent.
    NotWrittenThoughSent = "not-written-though-sent";
    /// Throttle times are ignored.
    ThrottleIgnored = "throttle-ignored";
    /// A batch that failed before it was sent has cost sequence numbers.
    SequenceOfUnsent = "sequence-of-unsent";
    /// Sequences do not wrap at the largest signed number.
    SignedSequence = "signed-sequence";
    /// The reconnect backoff begins anew when the transport connects.
    BackoffResetAtConnect = "backoff-reset-at-connect";
    /// The memory of a batch is booked once more when it is split.
    SplitChargedTwice = "split-charged-twice";
    /// Metadata is asked for again without a backoff.
    MetadataWithoutBackoff = "metadata-without-backoff";
    /// The parts of an answer are taken to stand in the order of the request.
    MatchedByPosition = "matched-by-position";
    /// Timers stay armed when the producer is closed.
    TimersAfterClose = "timers-after-close";
    /// Headers are written in reverse.
    HeadersReversed = "headers-reversed";
    /// Linger counts from the last record of a batch.
    LingerFromLast = "linger-from-last";
    /// A close forgets what lingers.
    CloseDropsLingering = "close-drops-lingering";
    /// A batch that is tried again gets another sequence.
    RestampedRetry = "restamped-retry";
    /// Offsets behind a cancelled record are one too high.
    OffsetInsideBatch = "offset-inside-batch";
    /// A partition whose batch no longer fits into a request is not looked at for the next one.
    FullRequestForgets = "full-request-forgets";
}
