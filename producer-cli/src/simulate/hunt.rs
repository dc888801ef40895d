//! Many seeds on several threads.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use producer_sim::run::{Report, compare_variants, run};

use super::tally::Tally;
use super::{Case, SimulateArgs, failed_line, judge};
use crate::FAILED;
use crate::say::say;

/// Of so many seeds one is run a second time, and must give the same trace; and again with what must
/// make no difference.
const REPEATED: u64 = 100;

/// What a run may use of the stack: a producer that goes deeper with more work goes down here.
const STACK: usize = 256 << 10;

/// What a thread has to tell.
enum Word {
    Ran(Case, Report, Duration),
    Unusable(Case, String),
}

pub(super) fn hunt(args: &SimulateArgs) -> Result<ExitCode, String> {
    let first = args.first;
    let end = args.minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes * 60.0));
    let seeds = args.seeds.unwrap_or(if end.is_some() { u64::MAX } else { 1_000 });
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (words, inbox) = mpsc::channel();
    let bar = progress(seeds, end.is_some());
    let mut tally = Tally::default();
    let mut failed: Option<(Case, Report)> = None;
    let mut unusable = None;
    thread::scope(|scope| {
        for _ in 0..args.jobs {
            let (words, next, stop) = (words.clone(), &next, &stop);
            let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= seeds {
                        break;
                    }
                    let seed = first.wrapping_add(n);
                    let case = Case::new(seed, args.profile(), args.size.sizes());
                    if words.send(carry_out(case)).is_err() {
                        break;
                    }
                }
            });
            if let Err(error) = thread {
                unusable = Some(format!("a thread: {error}"));
                stop.store(true, Ordering::Relaxed);
            }
        }
        drop(words);
        for word in inbox {
            match word {
                Word::Ran(case, report, cpu) => {
                    tally.add(&report);
                    tally.cpu += cpu;
                    bar.inc(1);
                    bar.set_message(tally.speed());
                    if let Some(failure) = &report.failure {
                        let line = failed_line(&report, failure, &case.command());
                        bar.suspend(|| say(line));
                    }
                    // Of several failures the one with the fewest events is the easiest to read.
                    let shorter = |(_, other): &(Case, Report)| report.events < other.events;
                    if report.failure.is_some() && failed.as_ref().is_none_or(shorter) {
                        failed = Some((case, report));
                    }
                    stop.fetch_or(tally.failed >= args.failures, Ordering::Relaxed);
                }
                Word::Unusable(case, error) => {
                    unusable = Some(format!("{}: {error}", case.command()));
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    });
    bar.finish_and_clear();
    say(tally.summary());
    if let Some(error) = unusable {
        return Err(error);
    }
    let Some((case, report)) = failed else { return Ok(ExitCode::SUCCESS) };
    judge(&report, &case.script(), &case.command());
    Ok(FAILED.into())
}

fn carry_out(case: Case) -> Word {
    let script = case.script();
    let begin = thread_cpu_time();
    let report = match run(&script) {
        Ok(report) => report,
        Err(error) => return Word::Unusable(case, error.to_string()),
    };
    let cpu = thread_cpu_time().saturating_sub(begin);
    if case.seed.is_multiple_of(REPEATED) && report.failure.is_none() {
        let checked = run(&script).and_then(|again| {
            let mut report = report.expect_same(again);
            report.failure = report.failure.or(compare_variants(&script)?);
            Ok(report)
        });
        return match checked {
            Ok(report) => Word::Ran(case, report, cpu),
            Err(error) => Word::Unusable(case, error.to_string()),
        };
    }
    Word::Ran(case, report, cpu)
}

/// What this thread has used up so far.
fn thread_cpu_time() -> Duration {
    // This clock is always there.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap_or(TimeSpec::new(0, 0));
    time.into()
}

fn progress(seeds: u64, is_timed: bool) -> ProgressBar {
    let bar = if is_timed { ProgressBar::no_length() } else { ProgressBar::new(seeds) };
    let layout = match is_timed {
        true => "{elapsed} {pos} seeds  {msg}",
        false => "{elapsed} {wide_bar} {pos}/{len}  {msg}",
    };
    match ProgressStyle::with_template(layout) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
