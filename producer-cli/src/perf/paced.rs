//! `perf --rate`: records that are due at given times, whatever became of those before.
//!
//! A record's latency counts from the time it was due, not from when it could be sent: a producer
//! that holds its application back pays for it.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use producer_tokio::{Config, Handle, RecordResult, Topic};

use super::payload::Payload;
use super::result::{Latencies, Span, Usage, paced_line};
use super::{CLOSE, record};
use crate::FAILED;
use crate::args::PerfArgs;
use crate::rate::Rate;
use crate::say::say;

/// The shortest sleep: then everything is sent that has become due. All load generators of the
/// comparison do the same.
const STEP: Duration = Duration::from_millis(1);

/// Sends from this thread, to a producer on its own.
pub(crate) fn run(
    args: &PerfArgs,
    rate: Rate,
    config: Config,
    payload: &Payload,
) -> Result<ExitCode, String> {
    args.runtime.run_beside(config, |producer| {
        let topic = producer.topic(&args.topic).map_err(|error| error.to_string())?;
        let load = PacedLoad { producer: &producer, topic: &topic, payload, rate };
        load.send(args.warmup)?;
        let from = Usage::now()?;
        let (outcomes, lateness) = load.send(args.records)?;
        let span = Span { from, to: Usage::now()?, errors: outcomes.errors };
        say(paced_line(args, rate, &span, &outcomes.latencies, &lateness));
        producer.close(CLOSE).wait();
        Ok(if span.errors == 0 { ExitCode::SUCCESS } else { FAILED.into() })
    })
}

struct PacedLoad<'a> {
    producer: &'a Handle,
    topic: &'a Topic,
    payload: &'a Payload,
    rate: Rate,
}

impl PacedLoad<'_> {
    /// Sends so many records at their times and waits for all results. What became of them, and
    /// how late each was handed over.
    fn send(&self, records: u64) -> Result<(Outcomes, Latencies), String> {
        let settled = Arc::new(Settled::new(records)?);
        let mut lateness = Latencies::new()?;
        let begin = Instant::now();
        for i in 0..records {
            let due = begin + self.rate.due(i);
            wait_until(due);
            lateness.add(due.elapsed());
            let settled = settled.clone();
            let callback = move |result: RecordResult| settled.add(&result, due.elapsed());
            // To be held back when there is no room, as applications are.
            self.producer.send_with(record(self.topic, self.payload, i), callback).wait();
        }
        Ok((settled.wait(), lateness))
    }
}

fn wait_until(due: Instant) {
    let early = due.saturating_duration_since(Instant::now());
    if !early.is_zero() {
        thread::sleep(early.max(STEP));
    }
}

/// What became of records.
#[derive(Clone, Debug)]
struct Outcomes {
    /// From when each was due to its result; those that failed count, too.
    latencies: Latencies,
    errors: u64,
}

/// Gathers what becomes of records from the threads that are told.
#[derive(Debug)]
struct Settled {
    records: u64,
    outcomes: Mutex<Outcomes>,
    all: Condvar,
}

impl Settled {
    fn new(records: u64) -> Result<Self, String> {
        let outcomes = Mutex::new(Outcomes { latencies: Latencies::new()?, errors: 0 });
        Ok(Self { records, outcomes, all: Condvar::new() })
    }

    fn add(&self, result: &RecordResult, latency: Duration) {
        let mut outcomes = self.lock();
        outcomes.latencies.add(latency);
        if let Err(error) = result {
            if outcomes.errors == 0 {
                eprintln!("producer: the first error: {error}");
            }
            outcomes.errors += 1;
        }
        if outcomes.latencies.count() == self.records {
            self.all.notify_all();
        }
    }

    fn wait(&self) -> Outcomes {
        let waiting = |outcomes: &mut Outcomes| outcomes.latencies.count() < self.records;
        self.all.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_ends_with_the_last_result_and_counts_failures() {
        let producer = producer_mio::Producer::spawn(Config::new("127.0.0.1:1")).unwrap();
        let refused = Err(producer.topic("not a name").unwrap_err().into());
        let settled = Settled::new(2).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| settled.wait());
            settled.add(&refused, Duration::from_millis(1));
            settled.add(&refused, Duration::from_millis(3));
            let outcomes = waiting.join().unwrap();
            assert_eq!((outcomes.errors, outcomes.latencies.count()), (2, 2));
        });
        assert_eq!(Settled::new(0).unwrap().wait().errors, 0, "nothing to wait for");
    }

    #[test]
    fn nothing_is_sent_before_it_is_due() {
        let due = Instant::now() + Duration::from_micros(1_500);
        wait_until(due);
        assert!(Instant::now() >= due);
        wait_until(due);
    }
}
