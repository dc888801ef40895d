//! Whole runs over the simulated cluster, with all oracles: the input stands in for the seed of the
//! engine, so a change of one byte is a change of one choice.

use producer_sim::run::{Profile, Script, Size, Tape, run_and_tell, run_within, shrink};

/// A run with more events is cut short. One that looks at its metadata every second has many in the
/// hour of rest, and tells little that is new.
const MAX_EVENTS: u64 = 50_000;

/// How many runs a failure may take to shrink: within the time that libFuzzer gives an input.
const SHRINK_RUNS: usize = 200;

/// The profile, then whatever is drawn for a script, in the order of the draws.
pub fn run(input: &[u8]) {
    let Some((profile, choices)) = input.split_first() else { return };
    let profile = Profile::ALL[usize::from(*profile) % Profile::ALL.len()];
    let script = Script::draw(&mut Tape::new(choices), profile, Size::Short);
    let report = run_within(&script, MAX_EVENTS).expect("drawn settings are valid");
    let Some(failure) = report.failure else { return };
    // First of all: shrinking may take longer than anybody waits.
    eprintln!("{failure}");
    let small = shrink(&script, &failure, SHRINK_RUNS);
    let (_, story) = run_and_tell(&small).expect("it has been run");
    let story = story.join("\n");
    panic!("{failure}\n\nWhat happened, shrunk:\n{story}\n\nThe script:\n{small}");
}
