//! Sealing and splitting: inline where it is cheap, else as jobs.

use crate::batch::{Piece, SealedBatch, Stamp, seal, sequence_add, split};
use crate::batches::{Batch, Content, State};
use crate::config::Codec;
use crate::error::ProduceErrorKind;
use crate::io::Action;
use crate::job::{Job, JobResult, Outcome, Work};
use crate::outstanding::Slot;

use super::Producer;

/// First Produce version whose brokers read zstd (KIP-110).
const ZSTD_FROM: i16 = 7;

impl Producer {
    /// Whether a broker of this Produce version reads what the batch is compressed with, or will
    /// be. To be asked at each hand-out: a sealed batch may have come from another leader.
    pub(super) fn codec_is_allowed(&self, batch: &Batch, produce_version: i16) -> bool {
        let codec = match &batch.content {
            Content::Sealed(sealed) => sealed.codec,
            _ => self.settings.compression.codec,
        };
        codec != Codec::Zstd || produce_version >= ZSTD_FROM
    }

    /// Seals a closed batch. Without compression that is done at once; otherwise a job does it.
    pub(super) fn seal(&mut self, slot: Slot) {
        let compression = self.settings.compression;
        let batch = &mut self.batches[slot];
        let Content::Raw(raw) = std::mem::replace(&mut batch.content, Content::Away) else {
            return;
        };
        if compression.codec == Codec::None {
            let sealed = seal(&raw, &compression);
            drop(raw);
            return self.sealed(slot, sealed);
        }
        batch.state = State::Working;
        self.run(slot, Work::Seal { raw, compression });
    }

    fn run(&mut self, slot: Slot, work: Work) {
        let ticket = self.next_job;
        self.next_job += 1;
        self.working.insert(ticket, slot);
        self.actions.push_back(Action::Run(Job::new(self.instance, ticket, work)));
    }

    pub(super) fn on_job_done(&mut self, result: JobResult) {
        let slot = if result.instance == self.instance {
            self.working.remove(&result.ticket)
        } else {
            None
        };
        let Some(slot) = slot else {
            self.stats.stale_jobs += 1;
            return;
        };
        if self.batches[slot].done {
            return self.free(slot);
        }
        let at = self.batches[slot].partition;
        match result.outcome {
            Outcome::Sealed(sealed) => {
                self.observe_ratio(slot, &sealed);
                self.sealed(slot, sealed);
            }
            Outcome::Split(pieces) => self.replace_by_pieces(slot, pieces),
            Outcome::Failed => {
                let error = self.local_error(slot, ProduceErrorKind::Job);
                self.batches[slot].state = State::Queued;
                self.give_up_stamp(slot);
                self.fail(slot, &error);
            }
        }
        self.resolve_gap(at);
        self.mark_ready(at);
    }

    fn sealed(&mut self, slot: Slot, sealed: SealedBatch) {
        let batch = &mut self.batches[slot];
        self.stats.bytes_sealed += sealed.encoded_len() as u64;
        self.stats.bytes_uncompressed += sealed.uncompressed_len as u64;
        if sealed.codec != Codec::None {
            // The compressed body has a buffer of its own, just large enough.
            let charge = sealed.encoded_len();
            if charge < batch.charge {
                self.budget.release(batch.lane, batch.charge - charge);
                batch.charge = charge;
            }
        }
        batch.state = State::Queued;
        batch.content = Content::Sealed(sealed);
    }

    fn observe_ratio(&mut self, slot: Slot, sealed: &SealedBatch) {
        let topic = self.partition(self.batches[slot].partition).topic;
        self.topics.at_mut(topic).ratio.observe(sealed);
    }

    /// Cuts a batch that its broker found too large into at least two.
    pub(super) fn start_split(&mut self, slot: Slot) {
        let batch = &mut self.batches[slot];
        let Content::Sealed(sealed) = std::mem::replace(&mut batch.content, Content::Away) else {
            return;
        };
        let at = batch.partition;
        let half = crate::batch::HEADER_LEN + sealed.uncompressed_len / 2;
        let target = self.settings.batch_size.min(half);
        let topic = self.partition(at).topic;
        self.topics.at_mut(topic).ratio.reset_after_split(&sealed);
        let compression = self.settings.compression;
        let batch = &mut self.batches[slot];
        batch.state = State::Working;
        if sealed.codec != Codec::None {
            return self.run(slot, Work::Split { sealed, target, compression });
        }
        match split(&sealed, target, &compression) {
            Ok(pieces) => self.replace_by_pieces(slot, pieces),
            Err(_) => {
                let error = self.local_error(slot, ProduceErrorKind::Job);
                self.batches[slot].state = State::Queued;
                self.give_up_stamp(slot);
                self.fail(slot, &error);
            }
        }
    }

    /// Puts the pieces where the batch was, in its partition and in the sequence.
    fn replace_by_pieces(&mut self, slot: Slot, pieces: Vec<Piece>) {
        let at = self.batches[slot].partition;
        let queue = &mut self.partitions[at as usize].queue;
        let Some(place) = queue.iter().position(|&queued| queued == slot) else { return };
        queue.remove(place);
        let whole = self.batches.remove(slot);
        self.budget.release(whole.lane, whole.charge);
        let parts = u32::try_from(pieces.len()).expect("a piece has at least one record");
        self.outstanding.split(whole.id, parts);
        self.topics.at_mut(self.partitions[at as usize].topic).open_batches += parts - 1;
        let indexes: Vec<u32> = super::outcome::runs(&whole).flatten().collect();
        for (offset, piece) in pieces.into_iter().enumerate() {
            let stamp = whole.stamp.map(|stamp| Stamp {
                sequence: sequence_add(stamp.sequence, piece.first),
                ..stamp
            });
            let charge = piece.sealed.encoded_len();
            // The bytes exist already: a refusal would not make them go away.
            self.budget.charge(whole.lane, charge);
            let new = self.batches.insert(Batch {
                id: whole.id,
                partition: at,
                state: State::Queued,
                first: indexes.get(piece.first as usize).copied().unwrap_or(whole.first),
                count: piece.sealed.count,
                holes: whole.holes.clone(),
                content: Content::Sealed(piece.sealed),
                created: whole.created,
                due: whole.due,
                stamp,
                attempts: 0,
                attempt_epoch: -1,
                ambiguous: false,
                lost: false,
                refused_in_sequence: false,
                done: false,
                is_lent: false,
                awaited: 0,
                charge,
                lane: whole.lane,
                last_error: whole.last_error.clone(),
            });
            self.partitions[at as usize].queue.insert(place + offset, new);
        }
        self.note_queue_length(at);
    }
}
