//! Records that are due at given times, whatever became of those before.

use std::fmt;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The shortest sleep: then everything is sent that has become due. The same in every load
/// generator.
const STEP: Duration = Duration::from_millis(1);

const NANOS: u64 = 1_000_000_000;

/// Records per second, from 1 to 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate @ 1..=NANOS) => Ok(Self(rate)),
            _ => Err(format!("expected a number from 1 to {NANOS}")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Rate {
    /// The number.
    pub fn per_second(self) -> u64 {
        self.0
    }

    /// When the record after `records` others is due, counted from the time of the first.
    fn due(self, records: u64) -> Duration {
        let nanos = u128::from(records) * u128::from(NANOS) / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Calls `send` with the number and the due time of each record, not before that time. How late
/// each call was.
pub fn send_paced(rate: Rate, records: u64, mut send: impl FnMut(u64, Instant)) -> Vec<Duration> {
    let begin = Instant::now();
    let one = |i| {
        let due = begin + rate.due(i);
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            thread::sleep(early.max(STEP));
        }
        let late = due.elapsed();
        send(i, due);
        late
    };
    (0..records).map(one).collect()
}

/// What became of records.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// How long each took; those that failed count, too.
    pub latencies: Vec<Duration>,
    /// How many failed.
    pub errors: u64,
}

impl Outcomes {
    /// Adds a record's.
    pub fn add(&mut self, is_delivered: bool, latency: Duration) {
        self.latencies.push(latency);
        self.errors += u64::from(!is_delivered);
    }
}

/// Gathers what becomes of records from the threads that are told.
#[derive(Debug)]
pub struct Settled {
    records: usize,
    outcomes: Mutex<Outcomes>,
    all: Condvar,
}

impl Settled {
    /// For so many records.
    pub fn new(records: u64) -> Self {
        let records = records as usize;
        let outcomes = Outcomes { latencies: Vec::with_capacity(records), errors: 0 };
        Self { records, outcomes: Mutex::new(outcomes), all: Condvar::new() }
    }

    /// Adds a record's.
    pub fn add(&self, is_delivered: bool, latency: Duration) {
        let mut outcomes = self.lock();
        outcomes.add(is_delivered, latency);
        if outcomes.latencies.len() == self.records {
            self.all.notify_all();
        }
    }

    /// Waits for all, and takes them.
    pub fn wait(&self) -> Outcomes {
        let waiting = |outcomes: &mut Outcomes| outcomes.latencies.len() < self.records;
        let outcomes = self.all.wait_while(self.lock(), waiting);
        std::mem::take(&mut *outcomes.unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_out_at_their_times_and_no_earlier() {
        let rate: Rate = "20000".parse().unwrap();
        let begin = Instant::now();
        let mut dues = Vec::new();
        let lateness = send_paced(rate, 100, |i, due| {
            assert!(Instant::now() >= due);
            assert_eq!(i, dues.len() as u64);
            dues.push(due);
        });
        assert_eq!(lateness.len(), 100);
        assert_eq!(dues[99] - dues[0], Duration::from_micros(99 * 50));
        assert!(dues[99] - begin >= Duration::from_micros(99 * 50));
    }

    #[test]
    fn a_rate_is_a_number() {
        for wrong in ["0", "", "-1", "1.5", "1000000001"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
        assert_eq!("3".parse::<Rate>().unwrap().due(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn the_wait_ends_with_the_last_result() {
        let settled = Settled::new(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| settled.wait());
            settled.add(true, Duration::from_millis(1));
            settled.add(false, Duration::from_millis(2));
            let outcomes = waiting.join().unwrap();
            assert_eq!((outcomes.latencies.len(), outcomes.errors), (2, 1));
        });
    }
}
