//! `--rate`: when the next record may go.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How far behind its times a record may be and still be made up for. Timers are a millisecond
/// and more late; after a longer pause there is no burst.
const SLACK: Duration = Duration::from_millis(10);

const NANOS: u64 = 1_000_000_000;

/// Records per second, from 1 to 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(u64);

impl FromStr for Rate {
    type Err = String;

    /// Reads `N/s` or `N`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix("/s").unwrap_or(text).parse() {
            Ok(rate @ 1..=NANOS) => Ok(Self(rate)),
            _ => Err(format!("expected N or N/s with N from 1 to {NANOS}")),
        }
    }
}

impl Rate {
    /// When the record after `records` others is due, counted from the time of the first. No
    /// interval is rounded: the error does not grow.
    pub(crate) fn due(self, records: u64) -> Duration {
        let nanos = u128::from(records) * u128::from(NANOS) / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Gives each record its time.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// The time of the next record; `None`: any.
    next: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Self {
        // Rounded up: a rate is a limit.
        Self { interval: Duration::from_nanos(NANOS.div_ceil(rate.0)), next: None }
    }

    /// Takes the next record's time. How long it is to wait from `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let due = self.next.map_or(now, |next| next.max(earliest));
        self.next = Some(due + self.interval);
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: &str) -> Pace {
        Pace::new(rate.parse().unwrap())
    }

    #[test]
    fn a_rate_is_a_number_per_second() {
        assert_eq!("5/s".parse(), Ok(Rate(5)));
        assert_eq!("1000000000".parse(), Ok(Rate(NANOS)));
        for wrong in ["0", "0/s", "", "/s", "-1", "1.5", "5/m", "5 /s", "1000000001"] {
            let error = wrong.parse::<Rate>().unwrap_err();
            assert!(error.contains("from 1 to 1000000000"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_due_does_not_drift() {
        let rate: Rate = "3".parse().unwrap();
        assert_eq!(rate.due(0), Duration::ZERO);
        assert_eq!(rate.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(rate.due(3_000_000), Duration::from_secs(1_000_000));
        assert_eq!(rate.due(u64::MAX), Duration::from_nanos(u64::MAX), "later than ever");
        assert_eq!(rate.to_string(), "3");
    }

    #[test]
    fn records_are_evenly_spaced_and_the_first_goes_at_once() {
        let mut pace = pace("4/s");
        let begin = Instant::now();
        for quarter in 0..5 {
            assert_eq!(pace.take(begin), Duration::from_millis(250) * quarter);
        }
    }

    #[test]
    fn a_timer_that_is_late_lowers_no_rate() {
        let mut pace = pace("10000/s");
        let begin = Instant::now();
        let mut now = begin;
        for _ in 0..10_001 {
            let wait = pace.take(now);
            if !wait.is_zero() {
                now += wait + Duration::from_millis(2);
            }
        }
        let took = now - begin;
        assert!((999..=1003).contains(&took.as_millis()), "{took:?}");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pace = pace("1000/s");
        let begin = Instant::now();
        pace.take(begin);
        let later = begin + Duration::from_secs(60);
        let at_once = (0..1000).take_while(|_| pace.take(later).is_zero()).count();
        assert_eq!(at_once, 11, "what the slack holds, and the one that is due");
    }
}
