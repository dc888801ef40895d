//! Timestamps for records that come faster than it is worth reading the clock.

use std::time::Duration;

use producer_proto::Instant;

use crate::clock::Clock;

/// How many records at most take over a reading of the clock.
const LONGEST_RUN: u32 = 15;

/// Records share readings while so many of them come within this time: what a timestamp resolves.
const SHARED: Duration = Duration::from_millis(1);

/// Wall-clock milliseconds for records without a timestamp of their own.
///
/// To read the system's clock costs as much as all else that a record costs under the lock. So
/// records that come in quick succession share readings: a few at most, and only until the next
/// tick of the system's coarse clock, which costs next to nothing to read. Where there is no such
/// clock each record has its own reading. Nothing but timestamps depends on this.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    millis: i64,
    /// How many more records may have `millis`.
    left: u32,
    /// How many the last reading was for, the one that read it not counted.
    run: u32,
    /// When the clock was read.
    read_at: Instant,
    tick: Option<Tick>,
}

impl Stamps {
    /// A timestamp for a record that is sent now.
    #[inline]
    pub(crate) fn take(&mut self, clock: &Clock) -> i64 {
        let tick = coarse_tick();
        if self.left > 0 && tick == self.tick {
            self.left -= 1;
            return self.millis;
        }
        self.read(clock.now(), clock, tick)
    }

    #[cold]
    fn read(&mut self, now: Instant, clock: &Clock, tick: Option<Tick>) -> i64 {
        let are_fast = now.saturating_since(self.read_at) < SHARED;
        self.run = if are_fast { LONGEST_RUN.min(2 * self.run + 1) } else { 0 };
        self.left = if tick.is_some() { self.run } else { 0 };
        self.tick = tick;
        self.read_at = now;
        self.millis = clock.wall_millis(now);
        self.millis
    }

    /// The clock has been read for another reason: later records are not stamped with less.
    pub(crate) fn note(&mut self, millis: i64) {
        self.millis = self.millis.max(millis);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
type Tick = nix::sys::time::TimeSpec;

/// The system's coarse clock, which moves every 1 to 10 ms.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn coarse_tick() -> Option<Tick> {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
type Tick = ();

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn coarse_tick() -> Option<Tick> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn only_records_in_quick_succession_share_a_reading() {
        let (clock, tick) = (Clock::new(), coarse_tick());
        let mut stamps = Stamps::default();
        let start = 5_000_000;
        let first = stamps.read(at(start), &clock, tick);
        assert_eq!(stamps.left, 0, "one record alone is no succession");
        for (micros, run) in [(1, 1), (2, 3), (3, 7), (4, 15), (5, 15)] {
            stamps.read(at(start + micros), &clock, tick);
            assert_eq!(stamps.run, run);
        }
        let later = stamps.read(at(start + 2_000), &clock, tick);
        assert_eq!((stamps.left, later - first), (0, 2), "{stamps:?}");
    }

    #[test]
    fn a_timestamp_is_the_wall_clock_to_the_millisecond_and_never_goes_back() {
        let clock = Clock::new();
        let mut stamps = Stamps::default();
        let mut last = 0;
        for _ in 0..100_000 {
            let before = clock.wall_millis(stamps.read_at);
            let stamp = stamps.take(&clock);
            assert!(stamp >= last && stamp >= before, "{stamp} after {last} and {before}");
            last = stamp;
        }
        let ahead = last + 10;
        stamps.note(ahead);
        stamps.left = 1;
        stamps.tick = coarse_tick();
        assert!(stamps.take(&clock) >= last);
    }

    #[test]
    fn a_tick_of_the_coarse_clock_ends_a_run() {
        let clock = Clock::new();
        let mut stamps = Stamps { left: LONGEST_RUN, millis: -7, ..Stamps::default() };
        stamps.tick = None;
        assert!(stamps.take(&clock) > 0, "the reading is of another tick");
    }
}
