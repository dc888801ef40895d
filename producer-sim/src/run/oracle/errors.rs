//! The error of a failed record is one that somebody has really answered.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, Said};
use producer_proto::{ProduceError, ProduceErrorKind};
use std::collections::BTreeSet;

/// Stands for a connection that was lost, and for a request without an answer.
const LOCAL: [i16; 2] = [13, 7];

/// What the producer makes of an answer without the partition that was asked about.
const LEFT_OUT: i16 = 13;

/// What the producer finds out by itself where a broker is too old for a batch.
const TOO_OLD: [i16; 3] = [35, 43, 76];

#[derive(Default)]
pub(crate) struct Errors {
    /// There are brokers of old releases.
    old_brokers: bool,
    /// Codes in answers to Produce, by partition.
    produce: BTreeSet<(usize, i32, i16)>,
    /// Codes in all other answers.
    others: BTreeSet<i16>,
    connection_lost: bool,
    /// Something the model cannot read was answered.
    pub(crate) unknown: bool,
}

impl Errors {
    /// Whether there are brokers of old releases.
    pub(crate) fn new(old_brokers: bool) -> Self {
        Self { old_brokers, ..Self::default() }
    }

    pub(crate) fn answered(&mut self, answered: &Answered) {
        match &answered.said {
            Said::Produce(answers) => {
                let codes = answers.iter().map(|a| (a.topic, a.partition, a.code));
                self.produce.extend(codes.filter(|(.., code)| *code != 0));
                // Of a partition that an answer leaves out nothing is known, as after a loss.
                let asked = answered.request.batches.iter().map(|b| (b.topic, b.partition));
                let is_answered =
                    |place: &(usize, i32)| answers.iter().any(|a| (a.topic, a.partition) == *place);
                let left_out = asked.filter(|place| !is_answered(place));
                self.produce.extend(left_out.map(|(topic, index)| (topic, index, LEFT_OUT)));
            }
            Said::Metadata(_, codes) => self.others.extend(codes),
            Said::Other(code) => drop(self.others.insert(*code)),
        }
    }

    pub(crate) fn lost_connection(&mut self) {
        self.connection_lost = true;
    }

    pub(crate) fn failed(
        &self,
        at: Instant,
        topic: usize,
        partition: i32,
        error: &ProduceError,
    ) -> Result<(), Failure> {
        let ProduceErrorKind::Kafka(code) = error.kind() else { return Ok(()) };
        let is_true = self.produce.contains(&(topic, partition, code.0))
            || self.others.contains(&code.0)
            || (LOCAL.contains(&code.0) && self.connection_lost)
            || (TOO_OLD.contains(&code.0) && self.old_brokers)
            || self.unknown;
        if is_true {
            return Ok(());
        }
        let what = format!("{error}: nobody has answered {code} for t{topic}-{partition}");
        Err(Failure::new(Oracle::TrueErrors, at, what).place(topic, partition))
    }
}
