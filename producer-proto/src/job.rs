//! Heavy pure work that the core hands out: compression, splitting, and making old formats.

use crate::batch::{Piece, RawBatch, Sealed, SealedBatch, Sealing, WithHeaders, seal_as, split};
use crate::config::{Codec, Compression};

/// A piece of pure work on owned values: it may run inline, on any thread, at once or late; only
/// the records in it wait for its result.
#[derive(Debug)]
#[must_use = "records wait for the result of this job"]
pub struct Job {
    instance: u64,
    ticket: u64,
    work: Work,
}

#[derive(Debug)]
pub(crate) enum Work {
    Seal {
        raw: RawBatch,
        how: Sealing,
    },
    /// Brings a sealed batch into another format.
    Transcode {
        sealed: SealedBatch,
        how: Sealing,
    },
    Split {
        sealed: SealedBatch,
        target: usize,
        how: Sealing,
    },
}

/// What became of a [`Job`]; goes back by [`Input::Done`](crate::Input::Done). Results of another
/// producer, or of a job that was answered already, are ignored and counted.
#[derive(Debug)]
pub struct JobResult {
    pub(crate) instance: u64,
    pub(crate) ticket: u64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Sealed(SealedBatch),
    Split(Vec<Piece>),
    Headers(Box<WithHeaders>),
    Failed,
}

impl Job {
    pub(crate) fn new(instance: u64, ticket: u64, work: Work) -> Self {
        Self { instance, ticket, work }
    }

    /// Bytes to be worked on; what takes long has many.
    pub fn size(&self) -> usize {
        match &self.work {
            Work::Seal { raw, .. } => raw.records.len(),
            Work::Split { sealed, .. } | Work::Transcode { sealed, .. } => sealed.uncompressed_len,
        }
    }

    /// Does the work on the calling thread. It takes as long as compressing [`size`](Self::size)
    /// bytes takes, and never waits for anything.
    pub fn run(self) -> JobResult {
        let outcome = match self.work {
            Work::Seal { raw, how } => outcome(seal_as(&raw, &how)),
            Work::Transcode { sealed, how } => {
                outcome(sealed.to_raw().and_then(|raw| seal_as(&raw, &how)))
            }
            Work::Split { sealed, target, how } => match split(&sealed, target, &how) {
                Ok(pieces) => Outcome::Split(pieces),
                Err(_) => Outcome::Failed,
            },
        };
        JobResult { instance: self.instance, ticket: self.ticket, outcome }
    }

    /// Gives the work up, for a worker that cannot or may not do it: a batch to be compressed goes
    /// out uncompressed, one to be split or to be brought into another format fails.
    pub fn abandon(self) -> JobResult {
        let outcome = match self.work {
            Work::Seal { raw, how } => {
                let compression = Compression { codec: Codec::None, ..how.compression };
                outcome(seal_as(&raw, &Sealing { compression, ..how }))
            }
            Work::Split { .. } | Work::Transcode { .. } => Outcome::Failed,
        };
        JobResult { instance: self.instance, ticket: self.ticket, outcome }
    }
}

fn outcome(sealed: Option<Sealed>) -> Outcome {
    match sealed {
        Some(Sealed::Whole(sealed)) => Outcome::Sealed(sealed),
        Some(Sealed::Pieces(pieces)) => Outcome::Split(pieces),
        Some(Sealed::Headers(found)) => Outcome::Headers(found),
        None => Outcome::Failed,
    }
}
