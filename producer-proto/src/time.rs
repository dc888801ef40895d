//! The core's clock value.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in monotonic time: microseconds since an epoch that the embedder chooses.
///
/// The core never reads a clock; every call that needs the time takes it as an argument. All
/// arithmetic saturates, so no value of the clock can make the core panic. Convert a finer clock
/// to this type by rounding `now` down and a deadline up, or a timer fires a moment early and the
/// loop spins once.
///
/// ```
/// use producer_proto::Instant;
/// use std::time::Duration;
/// let start = Instant::from_micros(10);
/// assert_eq!(start + Duration::from_millis(1), Instant::from_micros(1_010));
/// assert_eq!(start.saturating_since(start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The embedder's epoch.
    pub const ZERO: Self = Self(0);
    /// The end of time; a deadline that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, or zero when `earlier` is later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at [`Instant::MAX`]. Fractions of a microsecond are rounded up.
    fn add(self, duration: Duration) -> Self {
        // Not by way of `as_nanos`: to divide 128 bits takes a call.
        let micros = duration.as_secs().saturating_mul(1_000_000);
        let micros = micros.saturating_add(u64::from(duration.subsec_nanos().div_ceil(1_000)));
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero when the right side is later.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
