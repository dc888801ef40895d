//! The line of numbers that `perf` prints.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::args::PerfArgs;
use crate::rate::Rate;

/// What the process has used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    user: Duration,
    system: Duration,
    max_rss_kb: i64,
    at: Instant,
}

impl Usage {
    /// Asks the system.
    pub(crate) fn now() -> Result<Self, String> {
        let usage =
            getrusage(UsageWho::RUSAGE_SELF).map_err(|error| format!("getrusage: {error}"))?;
        Ok(Self {
            user: duration(usage.user_time()),
            system: duration(usage.system_time()),
            max_rss_kb: usage.max_rss(),
            at: Instant::now(),
        })
    }
}

fn duration(time: TimeVal) -> Duration {
    let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A measured span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: Usage,
    pub(crate) to: Usage,
    pub(crate) errors: u64,
}

impl Span {
    fn seconds(&self) -> f64 {
        (self.to.at - self.from.at).as_secs_f64()
    }

    fn user(&self) -> f64 {
        self.to.user.saturating_sub(self.from.user).as_secs_f64()
    }

    fn system(&self) -> f64 {
        self.to.system.saturating_sub(self.from.system).as_secs_f64()
    }
}

/// The line of a throughput run.
pub(crate) fn throughput_line(args: &PerfArgs, span: &Span) -> String {
    let (seconds, user, system) = (span.seconds(), span.user(), span.system());
    let records = args.records as f64;
    let record_size = args.size + if args.keyed { 8 } else { 0 };
    format!(
        "{{\"peer\":\"{}\",\"records\":{},\"seconds\":{seconds:.4},\"records_per_s\":{:.0},\
         \"MB_per_s\":{:.1},\"user_cpu_s\":{user:.4},\"sys_cpu_s\":{system:.4},\
         \"cpu_ns_per_record\":{:.1},\"max_rss_kb\":{},\"errors\":{}}}",
        args.runtime.adapter(),
        args.records,
        records / seconds,
        records * record_size as f64 / seconds / 1e6,
        (user + system) * 1e9 / records,
        span.to.max_rss_kb,
        span.errors
    )
}

/// How long each record took, in nanoseconds, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// What takes longer than an hour counts as an hour.
    const LONGEST: u64 = 3_600_000_000_000;

    pub(crate) fn new() -> Result<Self, String> {
        Histogram::new_with_max(Self::LONGEST, 3).map(Self).map_err(|error| error.to_string())
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    fn micros_at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// The line of a latency run.
pub(crate) fn latency_line(args: &PerfArgs, span: &Span, latencies: &Latencies) -> String {
    format!("{{{}}}", latency_keys(args, span, latencies))
}

/// The line of a paced run. `lateness`: how long after its time each record was handed over,
/// which is the part of its latency that the load generator and a producer without room made.
pub(crate) fn paced_line(
    args: &PerfArgs,
    rate: Rate,
    span: &Span,
    latencies: &Latencies,
    lateness: &Latencies,
) -> String {
    format!(
        "{{{},\"rate\":{rate},\"late_p50_us\":{:.1},\"late_p99_us\":{:.1}}}",
        latency_keys(args, span, latencies),
        lateness.micros_at(0.5),
        lateness.micros_at(0.99)
    )
}

fn latency_keys(args: &PerfArgs, span: &Span, latencies: &Latencies) -> String {
    let all = &latencies.0;
    format!(
        "\"peer\":\"{}\",\"latency\":true,\"records\":{},\"seconds\":{:.4},\"mean_us\":{:.1},\
         \"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\"min_us\":{:.1},\"max_us\":{:.1},\
         \"cpu_us_per_send\":{:.2},\"max_rss_kb\":{},\"errors\":{}",
        args.runtime.adapter(),
        args.records,
        span.seconds(),
        all.mean() / 1e3,
        latencies.micros_at(0.5),
        latencies.micros_at(0.99),
        latencies.micros_at(0.999),
        all.min() as f64 / 1e3,
        all.max() as f64 / 1e3,
        (span.user() + span.system()) * 1e6 / args.records as f64,
        span.to.max_rss_kb,
        span.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn args(more: &[&str]) -> PerfArgs {
        let words = ["producer", "perf", "--records", "1000"].iter().chain(more).copied();
        match crate::args::Cli::parse_from(words).command {
            crate::args::Command::Perf(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn span() -> Span {
        let from = Usage {
            user: Duration::ZERO,
            system: Duration::from_millis(1),
            max_rss_kb: 10,
            at: Instant::now(),
        };
        let to = Usage {
            user: Duration::from_millis(3),
            system: Duration::from_millis(2),
            max_rss_kb: 20,
            at: from.at + Duration::from_millis(500),
        };
        Span { from, to, errors: 0 }
    }

    #[test]
    fn throughput_has_the_keys_of_the_other_load_generators() {
        assert_eq!(
            throughput_line(&args(&["--keyed", "1"]), &span()),
            "{\"peer\":\"producer-tokio\",\"records\":1000,\"seconds\":0.5000,\
             \"records_per_s\":2000,\"MB_per_s\":0.2,\"user_cpu_s\":0.0030,\"sys_cpu_s\":0.0010,\
             \"cpu_ns_per_record\":4000.0,\"max_rss_kb\":20,\"errors\":0}"
        );
    }

    #[test]
    fn latency_has_the_keys_of_the_other_load_generators() {
        let mut latencies = Latencies::new().unwrap();
        for micros in [100, 200, 300] {
            latencies.add(Duration::from_micros(micros));
        }

        let line = latency_line(&args(&["--latency", "1"]), &span(), &latencies);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["latency"], true);
        assert_eq!(value["p50_us"].as_f64().unwrap().round(), 200.0);
        assert_eq!(value["cpu_us_per_send"], 4.0);
        for key in ["mean_us", "p99_us", "p999_us", "min_us", "max_us", "max_rss_kb", "errors"] {
            assert!(value[key].is_number(), "{key}");
        }
    }

    #[test]
    fn a_paced_run_tells_its_rate_and_how_late_the_records_went_out() {
        let mut latencies = Latencies::new().unwrap();
        latencies.add(Duration::from_micros(700));
        let mut lateness = Latencies::new().unwrap();
        lateness.add(Duration::from_micros(40));
        assert_eq!((latencies.count(), lateness.count()), (1, 1));

        let rate = "5".parse().unwrap();
        let line = paced_line(&args(&["--rate", "5"]), rate, &span(), &latencies, &lateness);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["latency"], &value["rate"]), (&true.into(), &5.into()));
        assert_eq!(value["p50_us"].as_f64().unwrap().round(), 700.0);
        assert_eq!(value["late_p99_us"].as_f64().unwrap().round(), 40.0);
    }

    #[test]
    fn usage_grows() {
        let before = Usage::now().unwrap();
        let after = Usage::now().unwrap();
        assert!(after.at >= before.at && after.user >= before.user && after.max_rss_kb > 0);
    }
}
