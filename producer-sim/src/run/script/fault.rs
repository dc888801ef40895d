//! What goes wrong in a run.

use super::Release;
use crate::Micros;
use serde::{Deserialize, Serialize};

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
    /// Two brokers exchange their addresses; connections that are up stay.
    SwapAddresses(i32, i32),
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
    /// A broker crashes: its connections end, it copies nothing, and its logs lose this many
    /// batches at their end. But for the profile `Unclean` it keeps everything as long as it is
    /// the only member of some partition's ISR.
    Crash(i32, usize),
    /// It starts after a crash.
    Restart(i32),
    /// A broker stands still: nothing closes, nothing is read, answered or copied.
    Pause(i32),
    /// It goes on.
    Resume(i32),
    /// The controller elects a leader that is in sync; refused where it cannot be.
    Elect {
        /// Index of the topic.
        topic: usize,
        /// The partition.
        partition: i32,
        /// The new leader; the preferred one with `None`.
        to: Option<i32>,
    },
    /// The controller makes any replica the leader and the only one in sync; what it does not have
    /// is lost.
    ElectUnclean {
        /// Index of the topic.
        topic: usize,
        /// The partition.
        partition: i32,
        /// The new leader.
        to: i32,
    },
    /// The controller takes a follower out of the ISR, or takes it in again if it has all of the
    /// leader's log.
    InSync {
        /// Index of the topic.
        topic: usize,
        /// The partition.
        partition: i32,
        /// The follower.
        broker: i32,
        /// In or out.
        member: bool,
    },
    /// How long a broker's followers take to copy; with `None` they do not.
    Replication(i32, Option<Micros>),
    /// How much later a broker hears of changes, of which it tells its clients and by which it
    /// acts.
    MetadataDelay(i32, Micros),
    /// How many bytes per second a client may send to a broker; zero for no limit.
    ByteRate(i32, u64),
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
    /// A broker starts anew with another release, which ends its connections.
    Release(i32, Release),
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
    /// A number of the answer is another one, wherever it stands in it.
    Lie(Lie, i64),
}

/// A number in an answer that a lying broker replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lie {
    /// Error codes.
    Code,
    /// Offsets.
    Offset,
    /// Indexes of partitions.
    Partition,
    /// Leaders of partitions.
    Leader,
    /// Leader epochs.
    LeaderEpoch,
    /// Node ids of brokers.
    Node,
    /// Ports of brokers.
    Port,
    /// A producer id.
    ProducerId,
    /// A producer epoch.
    ProducerEpoch,
    /// The newest versions of APIs.
    Version,
    /// Throttle times, in milliseconds.
    Throttle,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Code,
        Self::Offset,
        Self::Partition,
        Self::Leader,
        Self::LeaderEpoch,
        Self::Node,
        Self::Port,
        Self::ProducerId,
        Self::ProducerEpoch,
        Self::Version,
        Self::Throttle,
    ];
}

impl Fault {
    /// The kind of fault, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reset { eof: true, .. } => "close",
            Self::Reset { .. } => "reset",
            Self::Deafen { .. } => "deafen",
            Self::Clog { .. } => "clog",
            Self::Reach(_, Way::Broker(_)) => "wrong peer",
            Self::Reach(..) => "reach",
            Self::Address(..) => "address",
            Self::SwapAddresses(..) => "swap addresses",
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
                Trouble::Lie(..) => "lie",
            },
            Self::Throttle(..) => "throttle",
            Self::Down(_) => "down",
            Self::Up(_) => "up",
            Self::Crash(_, 0) => "crash",
            Self::Crash(..) => "crash with lost tail",
            Self::Restart(_) => "restart",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Elect { to: Some(_), .. } => "elect",
            Self::Elect { to: None, .. } => "elect preferred",
            Self::ElectUnclean { .. } => "elect unclean",
            Self::InSync { member: false, .. } => "shrink ISR",
            Self::InSync { .. } => "expand ISR",
            Self::Replication(_, Some(_)) => "replication delay",
            Self::Replication(_, None) => "no replication",
            Self::MetadataDelay(..) => "metadata delay",
            Self::ByteRate(..) => "byte rate",
            Self::Stale(..) => "stale",
            Self::Hide(..) => "hide",
            Self::Recreate(..) => "recreate",
            Self::Grow(..) => "grow",
            Self::MaxMessageBytes(..) => "limit",
            Self::Version(..) => "version",
            Self::Release(..) => "release",
            Self::Forget(..) => "forget",
            Self::Suspend(_) => "suspend",
            Self::Spurious => "spurious",
        }
    }

    /// The topic that it names, by index.
    pub(super) fn topic(&self) -> Option<usize> {
        match *self {
            Self::Leader { topic, .. }
            | Self::Refuse { topic, .. }
            | Self::Elect { topic, .. }
            | Self::ElectUnclean { topic, .. }
            | Self::InSync { topic, .. }
            | Self::Hide(topic, _)
            | Self::Recreate(topic, _)
            | Self::Grow(topic, _)
            | Self::MaxMessageBytes(topic, _)
            | Self::Forget(topic, _) => Some(topic),
            _ => None,
        }
    }
}
