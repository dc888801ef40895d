//! `producer simulate`: whole runs in virtual time, from seeds or from a script, each judged by
//! the oracles.

mod args;
mod hunt;
mod plot;
mod tally;

pub(crate) use args::SimulateArgs;

use std::fs;
use std::process::ExitCode;

use producer_sim::run::{
    Failure, Profile, Report, Script, Seed, Size, run, run_and_draw, run_and_tell, shrink,
};

use crate::FAILED;
use crate::say::say;

/// How many runs are worth a smaller script.
const SHRINK_RUNS: usize = 3_000;

/// A run that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    seed: u64,
    profile: Profile,
    size: Size,
}

impl Case {
    /// The run of a seed, where profile and size may be left to the seed.
    fn new(seed: u64, profile: Option<Profile>, sizes: &[Size]) -> Self {
        // Four runs of ten are honest: nothing of what they show can be excused.
        let profile = profile.unwrap_or(match seed % 10 {
            0..4 => Profile::Honest,
            4..6 => Profile::Unclean,
            6..8 => Profile::Plain,
            8 => Profile::Legacy,
            _ => Profile::Hostile,
        });
        let size = sizes[(seed / 10) as usize % sizes.len()];
        Self { seed, profile, size }
    }

    fn script(self) -> Script {
        Script::draw(&mut Seed(self.seed), self.profile, self.size)
    }

    /// The command that repeats it.
    fn command(self) -> String {
        let size = size_name(self.size);
        format!("producer simulate --seed {} --profile {} --size {size}", self.seed, self.profile)
    }
}

fn size_name(size: Size) -> &'static str {
    match size {
        Size::Short => "short",
        Size::Medium => "medium",
        Size::Long => "long",
    }
}

/// Plants the bug of that name; `list` prints all names.
#[cfg(planted_bugs)]
fn plant(name: &str) -> Result<(), String> {
    let mut all = producer_proto::PlantedBug::ALL.iter();
    if name == "list" {
        all.for_each(|bug| say(bug.name()));
        return Ok(());
    }
    let bug = all.find(|bug| bug.name() == name).ok_or_else(|| format!("no bug {name}"))?;
    producer_sim::run::plant(*bug);
    Ok(())
}

pub(crate) fn run_all(args: &SimulateArgs) -> Result<ExitCode, String> {
    #[cfg(planted_bugs)]
    if let Some(name) = &args.plant {
        plant(name)?;
        if name == "list" {
            return Ok(ExitCode::SUCCESS);
        }
    }
    // What panics is reported as a failure of its run.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(path) = &args.script {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let script = text.parse().map_err(|e| format!("{}: {e}", path.display()))?;
        let command = format!("producer simulate --script {}", path.display());
        return run_alone(args, &script, &command);
    }
    if let Some(seed) = args.seed {
        let case = Case::new(seed, args.profile(), args.size.sizes());
        let script = case.script();
        if args.print {
            say(script.to_string().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        return run_alone(args, &script, &case.command());
    }
    if args.plot.is_some() {
        return Err("--plot draws one run: name it with --seed or --script".to_owned());
    }
    hunt::hunt(args)
}

/// Runs one script, and draws it where that is asked for.
fn run_alone(args: &SimulateArgs, script: &Script, command: &str) -> Result<ExitCode, String> {
    let report = match &args.plot {
        None => run(script).map_err(|error| error.to_string())?,
        Some(path) => {
            let (report, timeline) = run_and_draw(script).map_err(|error| error.to_string())?;
            let drawing = plot::draw(&timeline, report.failure.as_ref(), command);
            svg::save(path, &drawing).map_err(|error| format!("{}: {error}", path.display()))?;
            say(format!("drawn: {}", path.display()));
            report
        }
    };
    Ok(judge(&report, script, command))
}

/// A failed run in a line, with the command that repeats it.
fn failed_line(report: &Report, failure: &Failure, command: &str) -> String {
    format!("FAIL {failure} | {} events, trace {:016x} | {command}", report.events, report.trace)
}

/// Says what a run came to; of a failure, the line that repeats it, the story and the script,
/// shrunk.
fn judge(report: &Report, script: &Script, command: &str) -> ExitCode {
    let Some(failure) = &report.failure else {
        say(format!(
            "ok: {} events in {:.3} s, {} records: {} delivered, {} absent, {} in doubt; trace {:016x}",
            report.events,
            report.time.as_secs_f64(),
            report.records,
            report.delivered,
            report.absent,
            report.in_doubt,
            report.trace,
        ));
        return ExitCode::SUCCESS;
    };
    say(failed_line(report, failure, command));
    let small = shrink(script, failure, SHRINK_RUNS);
    if let Ok((report, story)) = run_and_tell(&small) {
        say("\nWhat happened, shrunk:");
        for line in story {
            say(format!("  {line}"));
        }
        if let Some(failure) = report.failure {
            say(format!("  {failure}"));
        }
    }
    say(format!("\nThe script, for producer simulate --script FILE:\n{small}"));
    FAILED.into()
}
