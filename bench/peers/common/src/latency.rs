//! The two latency measurements, for generators that send from a plain thread.

use std::time::Instant;

use anyhow::Result;

use crate::options::Options;
use crate::paced::{Outcomes, Rate};
use crate::report::{print_latency, print_paced};
use crate::usage::{Span, Usage};

/// Sends one record after the other; `send` waits for the result and says whether it was
/// delivered. Prints the line of numbers.
///
/// # Errors
/// Those of `send`, and when there are no numbers.
pub fn measure_each(
    peer: &str,
    options: &Options,
    mut send: impl FnMut(u64) -> Result<bool>,
) -> Result<()> {
    for i in 0..options.warmup {
        send(i)?;
    }
    let mut outcomes = Outcomes::default();
    outcomes.latencies.reserve_exact(options.records as usize);
    let from = Usage::now()?;
    for i in 0..options.records {
        let begin = Instant::now();
        let is_delivered = send(i)?;
        outcomes.add(is_delivered, begin.elapsed());
    }
    print_latency(peer, &Span::since(from)?, outcomes.latencies, outcomes.errors)
}

/// Sends records at their times, first those of the warm-up; `send` is to send so many and to
/// wait for all results: what became of them, and how late each was handed over. Prints the line
/// of numbers.
///
/// # Errors
/// Those of `send`, and when there are no numbers.
pub fn measure_paced(
    peer: &str,
    options: &Options,
    rate: Rate,
    mut send: impl FnMut(u64) -> Result<(Outcomes, Vec<std::time::Duration>)>,
) -> Result<()> {
    send(options.warmup)?;
    let from = Usage::now()?;
    let (outcomes, lateness) = send(options.records)?;
    let span = Span::since(from)?;
    print_paced(peer, rate, &span, outcomes.latencies, lateness, outcomes.errors)
}
