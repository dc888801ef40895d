//! A run, written down: what the cluster looks like, what the application does and what goes
//! wrong, each with its time.

mod fault;
mod release;

pub use fault::{Api, Fault, Late, Lie, Trouble, Way};
pub use release::Release;

use crate::{Conditions, Driver, Micros};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What may happen in a run, and so which promises hold in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// Leaders are elected among replicas that are in sync, and brokers tell the truth; all else
    /// may go wrong. Idempotent, acks all.
    #[default]
    Honest,
    /// Brokers may also lose what they had acknowledged, and forget producers.
    Unclean,
    /// Without idempotence; acks all, 1 or 0.
    Plain,
    /// Brokers of releases back to 0.10, each with its own.
    Legacy,
    /// Brokers also answer nonsense and untruth. What is promised all the same: one outcome for each
    /// record, in time, nothing invented, memory, timers, connections, no panic; and a new producer
    /// works as soon as the brokers do.
    Hostile,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Honest, Self::Unclean, Self::Plain, Self::Legacy, Self::Hostile];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Unclean => "unclean",
            Self::Plain => "plain",
            Self::Legacy => "legacy",
            Self::Hostile => "hostile",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A whole run. Running it is a function of this value alone: [`run`](super::run()) always gives
/// the same report. As text it is RON, to be read, changed and committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// What may happen.
    pub profile: Profile,
    /// The seed of everything that is drawn while it runs: jitter, cuts, the producer's own.
    pub noise: u64,
    /// Brokers, with ids from 1.
    pub brokers: i32,
    /// Topics, with names `t0`, `t1` ...
    pub topics: Vec<TopicShape>,
    /// The producer's settings that are not defaults, under their Kafka names.
    pub settings: BTreeMap<String, String>,
    /// The network.
    pub network: Conditions,
    /// How the producer is driven.
    pub driver: Driver,
    /// Whether the application waits where a record is refused for want of memory or metadata; else
    /// it drops the record.
    pub patient: bool,
    /// Whether everything works until the first record of each topic was delivered. The times of
    /// the steps count from then.
    pub warm_up: bool,
    /// Where the sequences of all partitions begin that are there at the beginning, from 0; near
    /// [`i32::MAX`] they wrap. With 0, the default, the producer's usual beginning; else everything
    /// works for a second before it all begins.
    pub first_sequence: i32,
    /// What the controller does by itself when brokers crash, pause or lag; with `None` leaders and
    /// ISRs change only when a step says so.
    pub controller: Option<Controller>,
    /// What happens, ordered by time.
    pub steps: Vec<Step>,
}

/// When the controller of a run acts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// A broker that was silent for so long is fenced, and leads nothing any more.
    pub session: Micros,
    /// A replica that was behind for so long leaves the ISR.
    pub lag: Micros,
    /// Where no member of the ISR runs, any other replica leads, and what it lacks is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unclean: bool,
}

/// A topic of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicShape {
    /// Number of partitions.
    pub partitions: i32,
    /// Replicas of each.
    pub replication: usize,
    /// `min.insync.replicas`.
    pub min_insync: usize,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// Whether brokers stamp the records.
    pub append_time: bool,
    /// Whether it is there from the beginning; else it is created when it is asked for.
    pub exists: bool,
}

impl Default for TopicShape {
    fn default() -> Self {
        Self {
            partitions: 1,
            replication: 1,
            min_insync: 1,
            max_message_bytes: 1_048_588,
            append_time: false,
            exists: true,
        }
    }
}

/// Something that happens at a time, counted from the beginning (or the end of the warm-up).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step(pub Micros, pub Act);

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// The application does something.
    Do(Call),
    /// Something goes wrong, or right again.
    Fault(Fault),
}

/// What an application does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Appends records, one right after the other.
    Push {
        /// Index of the topic.
        topic: usize,
        /// Where to.
        to: To,
        /// Bytes of each value; at least 12 are needed for the record's number.
        size: usize,
        /// Headers of each record.
        #[serde(default, skip_serializing_if = "is_zero")]
        headers: usize,
        /// How many.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        count: u32,
    },
    /// With the next outcome of a record, appends this many records to the same partition, from
    /// inside the handler.
    PushOnOutcome(u32),
    /// `flush`.
    Flush,
    /// `abort_queued`.
    AbortQueued,
    /// Cancels the record this many appends back.
    Cancel(usize),
    /// Says that somebody waits for the record this many appends back.
    Expedite(usize),
    /// Closes the producer, with a deadline.
    Close(Option<Micros>),
    /// The process dies and a new one with the same settings takes over.
    Restart,
}

/// The target of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    /// The partitioner's choice.
    Any,
    /// The partition of a key.
    Key(u16),
    /// This partition.
    Partition(i32),
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A setting, a topic and a step on a line of its own.
        let layout = ron::ser::PrettyConfig::new().depth_limit(2).new_line("\n").indentor("  ");
        let text = ron::ser::to_string_pretty(self, layout).map_err(|_| fmt::Error)?;
        f.write_str(&text)?;
        f.write_str("\n")
    }
}

/// Why a text is not a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError(String);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a script: {}", self.0)
    }
}

impl std::error::Error for ScriptError {}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let script: Self = ron::from_str(text).map_err(|error| ScriptError(error.to_string()))?;
        script.check().map_err(ScriptError)?;
        Ok(script)
    }
}

impl Script {
    /// Refuses what cannot be run.
    fn check(&self) -> Result<(), String> {
        if !(1..=1_000).contains(&self.brokers) {
            return Err(format!("brokers: {} is not in 1..=1000", self.brokers));
        }
        if self.first_sequence < 0 {
            return Err(format!("first_sequence: {} is less than 0", self.first_sequence));
        }
        if self.topics.is_empty() {
            return Err("topics: there is none".to_owned());
        }
        for topic in &self.topics {
            if !(1..=100_000).contains(&topic.partitions) {
                return Err(format!("partitions: {} is not in 1..=100000", topic.partitions));
            }
        }
        if !self.steps.is_sorted_by_key(|step| step.0) {
            return Err("steps: not ordered by time".to_owned());
        }
        let topic = |step: &Step| match &step.1 {
            Act::Do(Call::Push { topic, .. }) => Some(*topic),
            Act::Fault(fault) => fault.topic(),
            Act::Do(_) => None,
        };
        match self.steps.iter().filter_map(topic).find(|topic| *topic >= self.topics.len()) {
            Some(topic) => Err(format!("steps: there is no topic {topic}")),
            None => Ok(()),
        }
    }

    pub(crate) const TOPIC_PREFIX: &str = "t";

    /// The name of a topic.
    pub fn topic_name(index: usize) -> String {
        format!("{}{index}", Self::TOPIC_PREFIX)
    }

    /// The faults, by kind.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.steps.iter().filter_map(|step| match &step.1 {
            Act::Fault(fault) => Some(fault),
            Act::Do(_) => None,
        })
    }
}
