//! The one clock: monotonic time for the core, wall-clock time for record timestamps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use producer_proto::Instant;

/// How old the wall-clock offset may get before a reader renews it.
const OFFSET_AGE_MICROS: u64 = 1_000_000;

/// Converts between [`std::time::Instant`] and the core's [`Instant`], and derives wall-clock time
/// from the same reading.
///
/// Wall-clock time is the monotonic reading plus an offset that is renewed now and then, so that
/// stamping a record costs no second clock reading. A step of the system clock shows in record
/// timestamps within a second.
#[derive(Debug)]
pub struct Clock {
    origin: StdInstant,
    /// Wall-clock microseconds at the origin.
    offset: AtomicI64,
    /// When `offset` was last measured, in microseconds after the origin.
    renewed: AtomicU64,
}

impl Clock {
    /// A clock whose epoch is this moment.
    #[must_use]
    pub fn new() -> Self {
        let origin = StdInstant::now();
        let clock = Self { origin, offset: AtomicI64::new(0), renewed: AtomicU64::new(0) };
        clock.renew(Instant::ZERO);
        clock
    }

    /// The present, rounded down to the microsecond.
    pub fn now(&self) -> Instant {
        let elapsed = self.origin.elapsed();
        let micros = elapsed.as_secs().saturating_mul(1_000_000);
        Instant::from_micros(micros.saturating_add(u64::from(elapsed.subsec_micros())))
    }

    /// The moment at which [`now`](Self::now) has reached `deadline`; `None` when that is beyond
    /// what the system's clock can express.
    pub fn deadline(&self, deadline: Instant) -> Option<StdInstant> {
        self.origin.checked_add(Duration::from_micros(deadline.as_micros()))
    }

    /// Wall-clock milliseconds since the Unix epoch at `now`, a reading of this clock; negative
    /// when the system's clock stands before 1970.
    pub fn wall_millis(&self, now: Instant) -> i64 {
        // In plain microseconds: a `Duration` would cost every record two divisions.
        if now.as_micros().saturating_sub(self.renewed.load(Relaxed)) > OFFSET_AGE_MICROS {
            self.renew(now);
        }
        let micros = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.offset.load(Relaxed).saturating_add(micros).div_euclid(1_000)
    }

    /// Measures the wall clock's offset anew. `now` is a reading of this clock.
    pub fn renew(&self, now: Instant) {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(error) => {
                i64::try_from(error.duration().as_micros()).map_or(i64::MIN, |before| -before)
            }
        };
        let micros = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.offset.store(wall.saturating_sub(micros), Relaxed);
        self.renewed.store(now.as_micros(), Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_when_its_moment_comes_and_not_before() {
        let clock = Clock::new();
        let deadline = clock.now() + Duration::from_micros(300);
        let moment = clock.deadline(deadline).unwrap();
        while StdInstant::now() < moment {
            std::hint::spin_loop();
        }
        assert!(clock.now() >= deadline);
    }

    #[test]
    fn wall_time_follows_the_system_clock_and_heals_a_stale_offset() {
        let clock = Clock::new();
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((clock.wall_millis(clock.now()) - system()).abs() < 1_000);

        // As if the system's clock had been set since the last measurement.
        clock.offset.store(0, Relaxed);
        let later = clock.now() + Duration::from_secs(2);
        assert!((clock.wall_millis(later) - system()).abs() < 4_000);
    }
}
