//! `perf --threads`: plain threads that send through one handle.

use std::process::ExitCode;
use std::thread;

use producer_tokio::Config;
use smol::future::block_on;

use super::payload::Payload;
use super::result::{Span, Usage, throughput_line};
use super::{CLOSE, Load};
use crate::FAILED;
use crate::args::PerfArgs;
use crate::say::say;

/// Each thread sends its share and takes the results of it.
pub(crate) fn run(
    args: &PerfArgs,
    threads: u16,
    config: Config,
    payload: &Payload,
) -> Result<ExitCode, String> {
    args.runtime.run_beside(config, |producer| {
        let topic = producer.topic(&args.topic).map_err(|error| error.to_string())?;
        let load = Load { runtime: None, producer: &producer, topic: &topic, payload };
        fill(load, args.warmup, threads)?;
        let from = Usage::now()?;
        let errors = fill(load, args.records, threads)?;
        let span = Span { from, to: Usage::now()?, errors };
        say(throughput_line(args, &span));
        producer.close(CLOSE).wait();
        Ok(if errors == 0 { ExitCode::SUCCESS } else { FAILED.into() })
    })
}

/// How many of so many records failed.
fn fill(load: Load<'_>, records: u64, threads: u16) -> Result<u64, String> {
    thread::scope(|scope| {
        let senders: Vec<_> = shares(records, threads)
            .map(|share| scope.spawn(move || block_on(load.fill(share))))
            .collect();
        senders.into_iter().try_fold(0, |errors, sender| {
            Ok(errors + sender.join().map_err(|_| "a sending thread panicked")?)
        })
    })
}

/// What each thread sends: together all records, and none much more than another.
fn shares(records: u64, threads: u16) -> impl Iterator<Item = u64> {
    let threads = u64::from(threads);
    (0..threads).map(move |thread| records / threads + u64::from(thread < records % threads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_records_are_sent_by_somebody() {
        assert_eq!(shares(10, 4).collect::<Vec<_>>(), [3, 3, 2, 2]);
        assert_eq!(shares(3, 8).sum::<u64>(), 3);
        assert_eq!(shares(0, 1).collect::<Vec<_>>(), [0]);
    }
}
