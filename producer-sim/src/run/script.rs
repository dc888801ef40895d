//! A run, written down: what the cluster looks like, what the application does and what goes
//! wrong, each with its time.

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
    /// Brokers of versions back to 0.8, each with its own.
    Legacy,
    /// Brokers also answer nonsense and untruth.
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
    /// What happens, ordered by time.
    pub steps: Vec<Step>,
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

/// What goes wrong. Faults last until the end of the safety phase unless they name a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// All connections to a broker end.
    Reset {
        /// The broker.
        broker: i32,
        /// What becomes of what was under way.
        fate: Late,
        /// The broker closed them, in good order.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        eof: bool,
    },
    /// The connections to a broker swallow everything in one or both directions.
    Deafen {
        /// The broker.
        broker: i32,
        /// From the producer to the broker.
        up: bool,
        /// From the broker to the producer.
        down: bool,
    },
    /// Nothing moves on the connections to a broker for a while; nothing is lost.
    Clog {
        /// The broker.
        broker: i32,
        /// From the producer to the broker.
        up: bool,
        /// From the broker to the producer.
        down: bool,
        /// For how long.
        time: Micros,
    },
    /// New connections to a broker's address go wrong, or lead elsewhere.
    Reach(i32, Way),
    /// The address of a broker changes.
    Address(i32, u16),
    /// The leader of a partition moves, with its log.
    Leader {
        /// Index of the topic.
        topic: usize,
        /// The partition.
        partition: i32,
        /// The new leader; none for the time being with `None`.
        to: Option<i32>,
    },
    /// The next Produce for a partition is answered with an error.
    Refuse {
        /// Index of the topic.
        topic: usize,
        /// The partition.
        partition: i32,
        /// The error code.
        code: i16,
        /// Whether the batch is appended all the same.
        after: bool,
        /// How often.
        times: u64,
    },
    /// The next requests of a kind at a broker meet trouble.
    Trouble {
        /// The broker.
        broker: i32,
        /// Which requests.
        api: Api,
        /// What happens to them.
        how: Trouble,
        /// How often.
        times: u64,
    },
    /// A broker asks all clients to wait this long after each request; zero ends it.
    Throttle(i32, Micros),
    /// A broker stops.
    Down(i32),
    /// It starts again.
    Up(i32),
    /// A broker's metadata stands still, or catches up.
    Stale(i32, bool),
    /// A topic is unknown to everybody, or known again.
    Hide(usize, bool),
    /// A topic is deleted and created anew, empty, with this many partitions.
    Recreate(usize, i32),
    /// A topic gets more partitions: so many in all.
    Grow(usize, i32),
    /// The topic's largest batch changes.
    MaxMessageBytes(usize, usize),
    /// A broker speaks an API up to another version than before, or again as before with `None`.
    Version(i32, Api, Option<i16>),
    /// A partition forgets all producer ids.
    Forget(usize, i32),
    /// The process stands still: the producer is not called for so long.
    Suspend(Micros),
    /// The driver calls the producer where there is nothing to call it for.
    Spurious,
}

/// What becomes of requests whose connection died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Late {
    /// They never arrive.
    Never,
    /// They arrive when they would have.
    No,
    /// They arrive so much later.
    By(Micros),
}

/// Where dialling a broker's address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// To the broker.
    Normal,
    /// To another broker.
    Broker(i32),
    /// Refused at once.
    Refused,
    /// The name does not resolve.
    Unresolved,
    /// Nowhere, without a sign.
    BlackHole,
    /// To somebody who closes at once.
    Closed,
    /// To somebody who never says a word.
    Mute,
}

/// Requests that a fault picks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Api {
    /// Produce.
    Produce,
    /// Metadata.
    Metadata,
    /// InitProducerId.
    InitProducerId,
    /// ApiVersions.
    ApiVersions,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The answer comes late.
    Delay(Micros),
    /// The request is begun late, and those behind it wait.
    Stall(Micros),
    /// The answer never comes, nor any behind it.
    Mute,
    /// The connection closes before the request has an effect.
    CloseBefore,
    /// The connection closes after it.
    CloseAfter,
    /// The partition is missing in the answer.
    Omit,
    /// The answer asks for a pause.
    Throttle(Micros),
    /// An error in answer to anything but Produce.
    Error(i16),
    /// The answer names a leader and an epoch, true or not.
    Hint(i32, i32),
    /// InitProducerId gives out an id in its last epoch but one.
    LastEpoch,
    /// A byte of the answer is changed: how far from its end, modulo its length, and to what.
    Corrupt(u16, u8),
    /// The answer stops short by so many bytes, and the connection goes on.
    Shorten(u16),
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
            Act::Fault(
                Fault::Leader { topic, .. }
                | Fault::Refuse { topic, .. }
                | Fault::Hide(topic, _)
                | Fault::Recreate(topic, _)
                | Fault::Grow(topic, _)
                | Fault::MaxMessageBytes(topic, _)
                | Fault::Forget(topic, _),
            ) => Some(*topic),
            _ => None,
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

impl Fault {
    /// The kind of fault, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reset { eof: true, .. } => "close",
            Self::Reset { .. } => "reset",
            Self::Deafen { .. } => "deafen",
            Self::Clog { .. } => "clog",
            Self::Reach(..) => "reach",
            Self::Address(..) => "address",
            Self::Leader { .. } => "leader",
            Self::Refuse { after: false, .. } => "error before",
            Self::Refuse { .. } => "error after",
            Self::Trouble { how, .. } => match how {
                Trouble::Delay(_) => "delay",
                Trouble::Stall(_) => "stall",
                Trouble::Mute => "mute",
                Trouble::CloseBefore => "close before",
                Trouble::CloseAfter => "close after",
                Trouble::Omit => "omit",
                Trouble::Throttle(_) => "throttle once",
                Trouble::Error(_) => "error elsewhere",
                Trouble::Hint(..) => "hint",
                Trouble::LastEpoch => "last epoch",
                Trouble::Corrupt(..) => "corrupt",
                Trouble::Shorten(_) => "shorten",
            },
            Self::Throttle(..) => "throttle",
            Self::Down(_) => "down",
            Self::Up(_) => "up",
            Self::Stale(..) => "stale",
            Self::Hide(..) => "hide",
            Self::Recreate(..) => "recreate",
            Self::Grow(..) => "grow",
            Self::MaxMessageBytes(..) => "limit",
            Self::Version(..) => "version",
            Self::Forget(..) => "forget",
            Self::Suspend(_) => "suspend",
            Self::Spurious => "spurious",
        }
    }
}
