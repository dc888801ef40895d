//! Sealing and splitting: inline where it is cheap, else as jobs. In which format is decided here.

use crate::batch::{
    Format, HEADER_LEN, Piece, SealedBatch, Sealing, Stamp, seal, sequence_add, split,
};
use crate::batches::{Batch, Content, State};
use crate::config::Codec;
use crate::error::ProduceErrorKind;
use crate::io::Action;
use crate::job::{Job, JobResult, Outcome, Work};
use crate::marks::Mark;
use crate::outstanding::Slot;
use crate::topics::PartitionIndex;
use crate::wire::ApiKey;

use super::Producer;

/// First Produce version whose brokers read zstd (KIP-110).
const ZSTD_FROM: i16 = 7;

impl Producer {
    /// Whether a broker of this Produce version reads what the batch is compressed with, or will
    /// be. To be asked at each hand-out: a sealed batch may have come from another leader.
    pub(super) fn codec_is_allowed(&self, batch: &Batch, produce_version: i16) -> bool {
        let codec = match &batch.content {
            Content::Sealed(sealed) if produce_version >= ZSTD_FROM => sealed.codec,
            _ => self.settings.compression.codec,
        };
        codec != Codec::Zstd || produce_version >= ZSTD_FROM
    }

    fn sealing(&self, format: Format) -> Sealing {
        let limit = self.settings.max_request_size;
        Sealing { compression: self.settings.compression, format, limit }
    }

    /// The format that the leader of a partition takes; `None` while it is not known.
    pub(super) fn leader_format(&self, at: PartitionIndex) -> Option<Format> {
        let versions = self.nodes[self.usable_leader(at)?].versions?;
        // What an old leader does not take at all is refused when its turn comes.
        if self.settings.idempotence || self.settings.compression.codec == Codec::Zstd {
            return Some(Format::V2);
        }
        Some(versions.pick(ApiKey::Produce).map_or(Format::V2, Format::of_produce))
    }

    /// Seals a closed batch. A v2 batch without compression is done at once; otherwise a job does
    /// it.
    pub(super) fn seal(&mut self, slot: Slot, format: Format) {
        let how = self.sealing(format);
        let compression = self.settings.compression;
        let batch = &mut self.batches[slot];
        let Content::Raw(raw) = std::mem::replace(&mut batch.content, Content::Away) else {
            return;
        };
        if compression.codec == Codec::None && format == Format::V2 {
            let sealed = seal(&raw, &compression);
            drop(raw);
            return self.sealed(slot, sealed);
        }
        batch.state = State::Working;
        self.run(slot, Work::Seal { raw, how });
    }

    /// Seals a sealed batch again: its leader takes another format than the one before. It may be
    /// a batch of unknown fate; the records are the same.
    pub(super) fn transcode(&mut self, slot: Slot, format: Format) {
        self.marks.hit(Mark::Transcoded);
        let how = self.sealing(format);
        let batch = &mut self.batches[slot];
        debug_assert!(batch.stamp.is_none(), "old formats are refused with idempotence");
        let Content::Sealed(sealed) = std::mem::replace(&mut batch.content, Content::Away) else {
            return;
        };
        let set_len = sealed.message_set_len();
        batch.charge -= set_len;
        batch.state = State::Working;
        self.budget.release(batch.lane, set_len);
        self.run(slot, Work::Transcode { sealed, how });
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
            self.marks.hit(Mark::JobForeign);
            return;
        };
        if self.batches[slot].done {
            self.marks.hit(Mark::JobLate);
            return self.free(slot);
        }
        let at = self.batches[slot].partition;
        match result.outcome {
            Outcome::Sealed(sealed) => {
                self.observe_ratio(slot, &sealed);
                self.sealed(slot, sealed);
            }
            Outcome::Split(pieces) => {
                self.replace_by_pieces(slot, pieces);
            }
            Outcome::Headers(found) => self.on_headers_found(slot, *found),
            Outcome::Failed => {
                self.marks.hit(Mark::JobFailed);
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
        let bytes = sealed.encoded_len() as u64;
        self.stats.bytes_sealed += bytes;
        self.peaks.batch_bytes = self.peaks.batch_bytes.max(bytes);
        self.stats.bytes_uncompressed += sealed.uncompressed_len as u64;
        let body = sealed.body_len();
        // A compressed body has a buffer of its own, just large enough; otherwise it still is the
        // one the records were written to.
        let body = if sealed.codec == Codec::None { body.max(batch.charge) } else { body };
        let charge = body + sealed.message_set_len();
        batch.state = State::Queued;
        batch.content = Content::Sealed(sealed);
        self.recharge(slot, charge);
    }

    /// Books what a batch holds now. The bytes exist already: a refusal would not make them go
    /// away.
    pub(super) fn recharge(&mut self, slot: Slot, charge: usize) {
        let batch = &mut self.batches[slot];
        if charge < batch.charge {
            self.budget.release(batch.lane, batch.charge - charge);
        } else {
            self.budget.charge(batch.lane, charge - batch.charge);
        }
        batch.charge = charge;
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
        let whole = sealed.encoded_len_uncompressed().saturating_sub(HEADER_LEN);
        let half = HEADER_LEN + whole / 2;
        let target = self.settings.batch_size.min(half);
        let topic = self.partition(at).topic;
        self.topics.at_mut(topic).ratio.reset_after_split(&sealed);
        let how = self.sealing(sealed.format());
        let batch = &mut self.batches[slot];
        batch.state = State::Working;
        if sealed.codec != Codec::None || how.format != Format::V2 {
            return self.run(slot, Work::Split { sealed, target, how });
        }
        match split(&sealed, target, &how) {
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
        #[cfg(planted_bugs)]
        if self.has_bug(crate::PlantedBug::SplitChargedTwice) {
            self.budget.charge(whole.lane, whole.charge);
        }
        let parts = u32::try_from(pieces.len()).expect("a piece has at least one record");
        self.outstanding.split(whole.id, parts);
        self.topics.at_mut(self.partitions[at as usize].topic).open_batches += parts - 1;
        let indexes: Vec<u32> = super::outcome::runs(&whole).flatten().collect();
        for (offset, piece) in pieces.into_iter().enumerate() {
            let stamp = whole.stamp.map(|stamp| Stamp {
                sequence: sequence_add(stamp.sequence, piece.first),
                ..stamp
            });
            let charge = piece.sealed.body_len() + piece.sealed.message_set_len();
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
                ambiguous: whole.ambiguous,
                lost: whole.lost,
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
