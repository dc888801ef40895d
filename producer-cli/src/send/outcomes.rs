//! Collects what became of records and commands, and reports it as it becomes known.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use producer_tokio::Reply;
use tokio::sync::mpsc;

use super::progress::Progress;
use super::settle::{Pending, Settled, settle};
use crate::input::{InvalidLine, Op};
use crate::report::{Counts, OpReport, Reporter};

/// What the feed has to tell.
pub(super) enum Message {
    /// A record is with the producer.
    Record(u64, Pending),
    /// A record was refused at once.
    Settled(Settled),
    Invalid(InvalidLine),
    /// A command that waits for the records before it, which are `records` in number.
    Op {
        op: Op,
        begin: Instant,
        records: u64,
        reply: Reply<()>,
    },
    /// The sleep is over.
    Slept(Op, Duration),
}

/// Reports to `W`.
pub(super) struct Outcomes<W> {
    reporter: Reporter<W>,
    progress: Progress,
    settled: SettledRecords,
    /// Commands that are done and wait for the line of a record before them.
    done: VecDeque<Done>,
    /// Records that failed because of a close.
    closed: u64,
}

struct Done {
    op: Op,
    took: Duration,
    records: u64,
}

impl<W: Write> Outcomes<W> {
    pub(super) fn new(reporter: Reporter<W>, progress: Progress) -> Self {
        Self {
            reporter,
            progress,
            settled: SettledRecords::default(),
            done: VecDeque::new(),
            closed: 0,
        }
    }

    /// Runs until the feed has ended and everything it told of is reported.
    pub(super) async fn run(&mut self, mut inbox: mpsc::Receiver<Message>) -> io::Result<()> {
        let mut records = FuturesUnordered::new();
        let mut ops = FuturesUnordered::new();
        let mut unseen = false;
        loop {
            tokio::select! {
                biased;
                Some(settled) = records.next() => self.record(&settled)?,
                Some(done) = ops.next() => self.op(done)?,
                Some(message) = inbox.recv() => match message {
                    Message::Record(record, pending) => {
                        records.push(settle(record, pending));
                        continue;
                    }
                    Message::Settled(settled) => self.record(&settled)?,
                    Message::Invalid(invalid) => self.invalid(&invalid)?,
                    Message::Op { op, begin, records, reply } => {
                        ops.push(async move {
                            reply.await;
                            Done { op, took: begin.elapsed(), records }
                        });
                        continue;
                    }
                    Message::Slept(op, took) => self.op(Done { op, took, records: 0 })?,
                },
                // Nothing more is at hand: what was written is shown before waiting.
                () = std::future::ready(()), if unseen => {
                    self.progress.suspend(|| self.reporter.flush())?;
                    unseen = false;
                    continue;
                }
                else => return Ok(()),
            }
            unseen = true;
        }
    }

    /// Ends the report.
    pub(super) fn summary(&mut self, took: Duration) -> io::Result<Counts> {
        self.reporter.summary(took)?;
        self.reporter.flush()?;
        Ok(self.reporter.counts())
    }

    fn record(&mut self, settled: &Settled) -> io::Result<()> {
        self.closed += u64::from(settled.closed);
        self.settled.insert(settled.record);
        self.reporter.record(settled.record, &settled.fate)?;
        self.progress.settled(self.reporter.counts());
        while let Some(done) = self.done.front()
            && self.settled.all_below(done.records)
        {
            self.report_op(done.op, done.took)?;
            self.done.pop_front();
        }
        Ok(())
    }

    fn op(&mut self, done: Done) -> io::Result<()> {
        if self.settled.all_below(done.records) {
            return self.report_op(done.op, done.took);
        }
        // The command's answer and the last results before it come together, in no sure order.
        self.done.push_back(done);
        Ok(())
    }

    fn report_op(&mut self, op: Op, took: Duration) -> io::Result<()> {
        let error = match op {
            Op::Close { .. } if self.closed > 0 => {
                Some(format!("the deadline passed, {} records failed", self.closed))
            }
            _ => None,
        };
        self.reporter.op(&OpReport { op, error, took })
    }

    fn invalid(&mut self, invalid: &InvalidLine) -> io::Result<()> {
        let progress = &self.progress;
        self.reporter.invalid(invalid, &mut |text| {
            progress.suspend(|| eprintln!("producer: {text}"));
        })
    }
}

/// Which records have their line.
#[derive(Debug, Default)]
struct SettledRecords {
    /// All below this have it.
    below: u64,
    /// Those from `below` on.
    after: VecDeque<bool>,
}

impl SettledRecords {
    fn insert(&mut self, record: u64) {
        let at = usize::try_from(record - self.below).expect("records are in memory");
        if at >= self.after.len() {
            self.after.resize(at + 1, false);
        }
        self.after[at] = true;
        while self.after.front() == Some(&true) {
            self.after.pop_front();
            self.below += 1;
        }
    }

    fn all_below(&self, records: u64) -> bool {
        self.below >= records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_records_come_in_any_order() {
        let mut settled = SettledRecords::default();
        settled.insert(2);
        assert!(settled.all_below(0) && !settled.all_below(1));
        settled.insert(0);
        assert!(settled.all_below(1) && !settled.all_below(2));
        settled.insert(1);
        assert!(settled.all_below(3) && !settled.all_below(4));
        assert!(settled.after.is_empty());
    }
}
