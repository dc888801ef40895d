//! The line of numbers that a load generator prints: a JSON object, the same in every language.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::options::Options;
use crate::paced::Rate;
use crate::usage::Span;

#[derive(Serialize)]
struct Throughput<'a> {
    peer: &'a str,
    records: u64,
    seconds: f64,
    records_per_s: f64,
    #[serde(rename = "MB_per_s")]
    mb_per_s: f64,
    user_cpu_s: f64,
    sys_cpu_s: f64,
    cpu_ns_per_record: f64,
    max_rss_kb: i64,
    errors: u64,
}

#[derive(Serialize)]
struct Latency<'a> {
    peer: &'a str,
    latency: bool,
    records: u64,
    seconds: f64,
    mean_us: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    min_us: f64,
    max_us: f64,
    cpu_us_per_send: f64,
    max_rss_kb: i64,
    errors: u64,
}

#[derive(Serialize)]
struct Paced<'a> {
    #[serde(flatten)]
    latency: Latency<'a>,
    rate: u64,
    late_p50_us: f64,
    late_p99_us: f64,
}

/// Prints the line of a throughput run.
///
/// # Errors
/// The numbers cannot be printed.
pub fn print_throughput(peer: &str, options: &Options, span: &Span, errors: u64) -> Result<()> {
    let records = options.records as f64;
    let bytes = records * (options.size + if options.keyed { 8 } else { 0 }) as f64;
    let (seconds, user, system) = (span.seconds(), span.user(), span.system());
    let line = Throughput {
        peer,
        records: options.records,
        seconds: round(seconds, 4),
        records_per_s: round(records / seconds, 0),
        mb_per_s: round(bytes / seconds / 1e6, 1),
        user_cpu_s: round(user, 4),
        sys_cpu_s: round(system, 4),
        cpu_ns_per_record: round((user + system) * 1e9 / records, 1),
        max_rss_kb: span.max_rss_kb(),
        errors,
    };
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

/// Prints the line of a latency run.
///
/// # Errors
/// There are no latencies, or the numbers cannot be printed.
pub fn print_latency(peer: &str, span: &Span, latencies: Vec<Duration>, errors: u64) -> Result<()> {
    let line = latency(peer, span, &Sorted::new(latencies)?, errors);
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

/// Prints the line of a paced run. `lateness`: how long after its time each record was handed
/// over, which is the part of its latency that the load generator and a producer without room
/// made.
///
/// # Errors
/// As [`print_latency`].
pub fn print_paced(
    peer: &str,
    rate: Rate,
    span: &Span,
    latencies: Vec<Duration>,
    lateness: Vec<Duration>,
    errors: u64,
) -> Result<()> {
    let lateness = Sorted::new(lateness)?;
    let line = Paced {
        latency: latency(peer, span, &Sorted::new(latencies)?, errors),
        rate: rate.per_second(),
        late_p50_us: lateness.micros_at(0.5),
        late_p99_us: lateness.micros_at(0.99),
    };
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}

fn latency<'a>(peer: &'a str, span: &Span, latencies: &Sorted, errors: u64) -> Latency<'a> {
    let records = latencies.0.len();
    let total: Duration = latencies.0.iter().sum();
    Latency {
        peer,
        latency: true,
        records: records as u64,
        seconds: round(span.seconds(), 4),
        mean_us: round(total.as_secs_f64() * 1e6 / records as f64, 1),
        p50_us: latencies.micros_at(0.5),
        p99_us: latencies.micros_at(0.99),
        p999_us: latencies.micros_at(0.999),
        min_us: latencies.micros_at(0.0),
        max_us: latencies.micros_at(1.0),
        cpu_us_per_send: round((span.user() + span.system()) * 1e6 / records as f64, 2),
        max_rss_kb: span.max_rss_kb(),
        errors,
    }
}

/// Times, shortest first; at least one.
struct Sorted(Vec<Duration>);

impl Sorted {
    fn new(mut times: Vec<Duration>) -> Result<Self> {
        ensure!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Ok(Self(times))
    }

    fn micros_at(&self, quantile: f64) -> f64 {
        let at = ((self.0.len() - 1) as f64 * quantile) as usize;
        round(self.0[at].as_secs_f64() * 1e6, 1)
    }
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let times = (1..=1_000).rev().map(Duration::from_micros).collect();
        let sorted = Sorted::new(times).unwrap();
        let at = |quantile| sorted.micros_at(quantile);
        assert_eq!(
            [at(0.0), at(0.5), at(0.99), at(0.999), at(1.0)],
            [1.0, 500.0, 990.0, 999.0, 1_000.0]
        );
        assert!(Sorted::new(Vec::new()).is_err());
    }
}
