//! A promise that was broken.

use super::content::RecordNumber;
use crate::Instant;
use std::fmt;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Oracle {
    /// Each accepted record gets exactly one outcome, each refused one none.
    OneOutcome,
    /// A delivered record is in the log, where its offset says, as it was appended.
    NothingLost,
    /// A record reported as not persisted is in no log.
    NotPersisted,
    /// A record reported as possibly persisted was handed to a connection.
    Earned,
    /// No record is in the log twice; without idempotence not more often than there were attempts.
    NoDuplicate,
    /// The records of a partition are in the log in the order of their appends.
    Order,
    /// Successes of a partition are told in the order of appends.
    OutcomeOrder,
    /// A record goes to the partition that was asked for, or that its key hashes to.
    RightPlace,
    /// Every record in a log was appended by the application, unchanged.
    NothingInvented,
    /// A batch that has a stamp does not change until a broker has refused it.
    FrozenStamp,
    /// Sequences have no gap and no overlap, and epochs never go back.
    StampLaw,
    /// Timers neither spin nor fire without a reason.
    Timers,
    /// Outcomes, waits and closes meet their deadlines, and do not give up early.
    Deadlines,
    /// When everything works again everything is delivered soon.
    Progress,
    /// Memory stays within its bound and comes back.
    Memory,
    /// At most one connection per broker; nothing goes out on a closed one.
    Connections,
    /// Attempts of all kinds keep their backoff.
    Rates,
    /// Throttled connections are left alone.
    Throttle,
    /// Every byte on the wire is as the protocol wants it.
    Wire,
    /// No Produce goes to a broker that is known not to be the leader.
    Freshness,
    /// No partition starves that could be served.
    Fairness,
    /// A failure names an error that happened.
    TrueErrors,
    /// Flush waits for what was appended before it, and nothing follows a close.
    FlushAndClose,
    /// Nothing panics.
    NoPanic,
    /// The same script gives the same run.
    Determinism,
}

impl Oracle {
    /// Whether it is promised also where brokers lie: what the producer does with the application
    /// and with itself is, what it makes of the lies is not.
    pub(crate) fn holds_against_lies(self) -> bool {
        matches!(
            self,
            Self::OneOutcome
                | Self::OutcomeOrder
                | Self::NothingInvented
                | Self::Timers
                | Self::Deadlines
                | Self::Progress
                | Self::Memory
                | Self::Connections
                | Self::FlushAndClose
                | Self::NoPanic
                | Self::Determinism
        )
    }

    /// Its number, as in `O1`, and its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneOutcome => "O1 one outcome",
            Self::NothingLost => "O2 nothing lost",
            Self::NotPersisted => "O3 not persisted",
            Self::Earned => "O4 earned",
            Self::NoDuplicate => "O5 no duplicate",
            Self::Order => "O6 order",
            Self::OutcomeOrder => "O7 outcome order",
            Self::RightPlace => "O8 right place",
            Self::NothingInvented => "O9 nothing invented",
            Self::FrozenStamp => "O10 frozen stamp",
            Self::StampLaw => "O11 stamp law",
            Self::Timers => "O15 timers",
            Self::Deadlines => "O16 deadlines",
            Self::Progress => "O17 progress",
            Self::Memory => "O18 memory",
            Self::Connections => "O19 connections",
            Self::Rates => "O20 rates",
            Self::Throttle => "O21 throttle",
            Self::Wire => "O22 wire",
            Self::Freshness => "O23 freshness",
            Self::Fairness => "O24 fairness",
            Self::TrueErrors => "O25 true errors",
            Self::FlushAndClose => "O26 flush and close",
            Self::NoPanic => "O27 no panic",
            Self::Determinism => "O28 determinism",
        }
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A promise that was broken in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which promise.
    pub oracle: Oracle,
    /// When that was noticed.
    pub at: Instant,
    /// How, in words.
    pub what: String,
    pub(crate) record: Option<RecordNumber>,
    pub(crate) place: Option<(usize, i32)>,
}

impl Failure {
    pub(crate) fn new(oracle: Oracle, at: Instant, what: impl Into<String>) -> Self {
        Self { oracle, at, what: what.into(), record: None, place: None }
    }

    /// Names the record that it is about.
    pub(crate) fn record(mut self, record: RecordNumber) -> Self {
        self.record = Some(record);
        self
    }

    /// Names the partition that it is about.
    pub(crate) fn place(mut self, topic: usize, partition: i32) -> Self {
        self.place = Some((topic, partition));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}: {}", self.oracle, self.at, self.what)
    }
}
