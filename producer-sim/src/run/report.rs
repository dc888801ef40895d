//! What a run comes to.

use super::engine::Engine;
use super::ledger::Told;
use super::script::Script;
use super::story::Story;
use super::timeline::{Recorder, Timeline};
use super::verdict::{Failure, Oracle};
use producer_proto::{ConfigError, Instant, Persistence};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The promise that was broken, if one was; the run ended there.
    pub failure: Option<Failure>,
    /// A digest of everything that happened.
    pub trace: u64,
    /// How much happened: calls of the producer, and things that happened on the network.
    pub events: u64,
    /// Virtual time that passed.
    pub time: Duration,
    /// Records that were accepted.
    pub records: u64,
    /// Records that were delivered.
    pub delivered: u64,
    /// Records reported as not persisted.
    pub absent: u64,
    /// Records reported as possibly persisted.
    pub in_doubt: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Hits of every coverage mark of the producer, by name; 0 where a branch was not gone through.
    pub marks: BTreeMap<&'static str, u64>,
}

impl Report {
    /// This report, if another run of the same script came to the same; else one of a failure.
    pub fn expect_same(mut self, again: Self) -> Self {
        if self != again {
            let (first, second) = (self.trace, again.trace);
            let what = format!("trace {first:016x}, then {second:016x}");
            self.failure = Some(Failure::new(Oracle::Determinism, Instant::ZERO, what));
        }
        self
    }
}

/// Carries out a script and judges it all the while.
///
/// A panic of the producer is a failure like others; whoever does not want to see its message
/// sets a panic hook.
///
/// # Errors
/// The script's settings are not valid.
pub fn run(script: &Script) -> Result<Report, ConfigError> {
    Ok(carry_out(&mut Engine::new(script)?).0)
}

/// The same as [`run()`], but a run with more than `max_events` events ends there, up to the end of
/// the moment in which they happened. What was promised until then is judged; that everything is
/// delivered at last and stands in the logs is not, and to be cut short is no failure. Of such a run
/// [`Report::events`] is more than `max_events`.
///
/// # Errors
/// The script's settings are not valid.
pub fn run_within(script: &Script, max_events: u64) -> Result<Report, ConfigError> {
    let mut engine = Engine::new(script)?;
    engine.max_events = max_events;
    Ok(carry_out(&mut engine).0)
}

/// The same as [`run()`]; of a run that fails it also gives the story: the last lines of what
/// happened to the partition in question.
///
/// # Errors
/// The script's settings are not valid.
pub fn run_and_tell(script: &Script) -> Result<(Report, Vec<String>), ConfigError> {
    let mut engine = Engine::new(script)?;
    engine.story = Some(Story::default());
    Ok(carry_out(&mut engine))
}

/// The same as [`run()`]; also gives what a drawing of the run needs, up to the hour of rest.
///
/// # Errors
/// The script's settings are not valid.
pub fn run_and_draw(script: &Script) -> Result<(Report, Timeline), ConfigError> {
    let mut engine = Engine::new(script)?;
    engine.recorder = Some(Recorder::default());
    let (report, _) = carry_out(&mut engine);
    let mut timeline = engine.recorder.take().unwrap_or_default().timeline;
    if timeline.end == Instant::ZERO {
        timeline.end = engine.world.now();
    }
    Ok((report, timeline))
}

pub(super) fn carry_out(engine: &mut Engine<'_>) -> (Report, Vec<String>) {
    let result = catch_unwind(AssertUnwindSafe(|| engine.run()));
    let now = engine.world.now();
    let failure = match result {
        Ok(_) if engine.is_cut_short => None,
        Ok(verdict) => verdict.err(),
        Err(panic) => Some(Failure::new(Oracle::NoPanic, now, text_of(panic.as_ref()))),
    };
    engine.count_marks();
    let mut report = Report {
        failure,
        trace: engine.world.trace_hash(),
        events: engine.world.happenings(),
        time: now - Instant::ZERO,
        records: engine.ledger.entries.len() as u64,
        delivered: 0,
        absent: 0,
        in_doubt: 0,
        faults: std::mem::take(&mut engine.faults),
        marks: std::mem::take(&mut engine.marks),
    };
    for entry in &engine.ledger.entries {
        match &entry.told {
            None => {}
            Some((_, Told::Delivered { .. })) => report.delivered += 1,
            Some((_, Told::Failed { persistence: Persistence::NotPersisted, .. })) => {
                report.absent += 1;
            }
            Some((_, Told::Failed { .. })) => report.in_doubt += 1,
        }
    }
    let story = match (&report.failure, &engine.story) {
        (Some(failure), Some(story)) => story.about(failure),
        _ => Vec::new(),
    };
    (report, story)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
