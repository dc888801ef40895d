//! The options of `producer simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use producer_sim::run::{Profile, Size};

/// Options of `producer simulate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub(crate) struct SimulateArgs {
    /// How many seeds to run; 1000 unless --minutes limits them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: Option<u64>,
    /// The first of them
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) first: u64,
    /// Run this seed alone
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "minutes", "script"])]
    pub(crate) seed: Option<u64>,
    /// Run what a file says alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "minutes"])]
    pub(crate) script: Option<PathBuf>,
    /// Stop after this time
    #[arg(long, value_name = "M", value_parser = parse_minutes)]
    pub(crate) minutes: Option<f64>,
    /// What may happen; without it, each seed has its own
    #[arg(long, value_enum)]
    profile: Option<ProfileName>,
    /// How much happens in a run
    #[arg(long, value_enum, default_value_t = SizeName::Short)]
    pub(crate) size: SizeName,
    /// Threads
    #[arg(long, value_name = "J", default_value_t = default_jobs(), value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// Stop after so many failures, and report the shortest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) failures: u64,
    /// Plant this bug into every producer, or `list` them
    #[cfg(planted_bugs)]
    #[arg(long, value_name = "BUG")]
    pub(crate) plant: Option<String>,
    /// With --seed or --script: draw the run as an SVG timeline, a lane for each broker
    #[arg(long, value_name = "FILE.svg", conflicts_with_all = ["seeds", "minutes", "print"])]
    pub(crate) plot: Option<PathBuf>,
    /// With --seed: print the script instead of running it
    #[arg(long, requires = "seed")]
    pub(crate) print: bool,
}

const SIMULATE_HELP: &str = "\
A run is a function of its seed, profile and size, and of this version of the program. Of a run that
breaks a promise the line that repeats it is printed.
A seed draws brokers, topics, settings, network, driver, what the application does, and any of:
connections that are reset, cut, clogged, deaf, refused or lead nowhere, requests and answers that
come late or never, errors before and after the append, leaders that move or are elected, brokers
that stop, crash (with or without the end of their logs), pause and lag, that change their release,
their address or what answers there, metadata that is late at some of them, byte-rate quotas,
followers that copy late, ISRs that shrink and grow, topics that vanish and grow, a process that
stands still. Only unclean has elections of brokers that lack records, only legacy releases before
2.8 (back to 0.10), only hostile damaged and false answers.
Exit status: 0 every promise was kept, 1 one was broken, 2 usage.";

impl SimulateArgs {
    pub(crate) fn profile(&self) -> Option<Profile> {
        self.profile.map(|name| match name {
            ProfileName::Honest => Profile::Honest,
            ProfileName::Unclean => Profile::Unclean,
            ProfileName::Plain => Profile::Plain,
            ProfileName::Legacy => Profile::Legacy,
            ProfileName::Hostile => Profile::Hostile,
        })
    }
}

/// What may happen in a simulated run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// All but lies and lost data; idempotent
    Honest,
    /// Brokers lose acknowledged data and forget producers, too
    Unclean,
    /// Without idempotence
    Plain,
    /// Releases back to 0.10, each broker its own
    Legacy,
    /// Brokers answer nonsense
    Hostile,
}

/// How much happens in a simulated run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeName {
    /// Up to 60 calls of the application, about 1,400 events
    Short,
    /// Up to 2,000 calls
    Medium,
    /// Up to 60,000 calls
    Long,
    /// Mostly short ones, some medium, few long
    Mixed,
}

impl SizeName {
    /// The sizes of runs, one after the other.
    pub(crate) fn sizes(self) -> &'static [Size] {
        const MIXED: [Size; 200] = {
            let mut sizes = [Size::Short; 200];
            let mut i = 0;
            while i < 200 {
                if i % 20 == 10 {
                    sizes[i] = Size::Medium;
                }
                i += 1;
            }
            sizes[199] = Size::Long;
            sizes
        };
        match self {
            Self::Short => &[Size::Short],
            Self::Medium => &[Size::Medium],
            Self::Long => &[Size::Long],
            Self::Mixed => &MIXED,
        }
    }
}

fn default_jobs() -> u16 {
    std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(1_024))
}

fn parse_minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes < 1e6 => Ok(minutes),
        _ => Err("expected a number of minutes above 0".to_owned()),
    }
}
