//! What the network and the driver are like.

use super::Cut;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A length of time in microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The same as a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

/// How the network treats connections. All draws are functions of `noise`, the connection and a
/// count, so that one connection's luck does not depend on another's.
///
/// The default is a network without trouble: one millisecond each way, everything else unlimited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// The seed of all draws.
    pub noise: u64,
    /// Least time from one end to the other.
    pub latency: Micros,
    /// Mean of what comes on top of that, drawn for each piece; at most eight times as long.
    pub jitter: Micros,
    /// How many pieces in a thousand take much longer.
    pub tail_per_mille: u64,
    /// How much longer those take at most.
    pub tail: Micros,
    /// How what arrives at the producer is cut.
    pub cut: Cut,
    /// How many bytes a socket takes before the broker has read some, at least 1.
    pub window: usize,
    /// Bytes per second and direction of one connection; 0 for no limit.
    pub bandwidth: u64,
    /// Whether things that happen at the same moment happen in a drawn order. The bytes of one
    /// direction of a connection keep theirs.
    pub shuffle: bool,
    /// A connection that carried nothing for longer than this is forgotten by something in
    /// between, and swallows everything from then on; 0 for never.
    pub forget_idle: Micros,
    /// When the producer closes a connection, what is under way arrives in time, never, or up to
    /// this much later; with 0 always in time.
    pub ghosts: Micros,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            noise: 0,
            latency: Micros::millis(1),
            jitter: Micros(0),
            tail_per_mille: 0,
            tail: Micros(0),
            cut: Cut::Whole,
            window: usize::MAX,
            bandwidth: 0,
            shuffle: false,
            forget_idle: Micros(0),
            ghosts: Micros(0),
        }
    }
}

/// How carefully the producer is driven. The default is a driver that does everything at once;
/// all others are within the producer's contract too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Driver {
    /// The clock that the producer sees moves in steps of this; 0 for the exact time.
    pub tick: Micros,
    /// Mean of how late a timeout is noticed; at most eight times as long.
    pub late: Micros,
    /// How many turns in a thousand come with a call that nobody needs.
    pub spurious_per_mille: u64,
    /// Most bytes that a socket takes with one call, at least 1.
    pub write_size: usize,
    /// How late bytes are reported as written, but never after what is read later.
    pub written_late: Micros,
    /// How late the producer's events are taken, at most.
    pub events_late: Micros,
    /// How late a close is reported; what arrives until then is still handed over.
    pub close_late: Micros,
    /// How late jobs are done, at most.
    pub jobs_late: Micros,
    /// How many jobs in a thousand are given up.
    pub jobs_lost_per_mille: u64,
}

impl Default for Driver {
    fn default() -> Self {
        Self {
            tick: Micros(0),
            late: Micros(0),
            spurious_per_mille: 0,
            write_size: usize::MAX,
            written_late: Micros(0),
            events_late: Micros(0),
            close_late: Micros(0),
            jobs_late: Micros(0),
            jobs_lost_per_mille: 0,
        }
    }
}
