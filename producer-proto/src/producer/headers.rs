//! Records with headers whose leader reads an old format: they fail alone.

use crate::ErrorCode;
use crate::batch::{Format, WithHeaders};
use crate::batches::{Content, LastError, State};
use crate::marks::Mark;
use crate::outstanding::Slot;
use crate::wire::ApiKey;

use super::Producer;

impl Producer {
    /// A batch that was to become a message set has records with headers. Unless its leader has
    /// changed to one that takes them, or is not known for now, they fail and the others go.
    pub(super) fn on_headers_found(&mut self, slot: Slot, found: WithHeaders) {
        let at = self.batches[slot].partition;
        let is_old = self.leader_format(at).is_some_and(|format| format != Format::V2);
        let (sealed, charge) = if is_old {
            self.refuse_records(slot, &found.refused);
            let charge = found.rest.body_len();
            (found.rest, charge)
        } else {
            // It still is where the records were written to.
            let charge = found.whole.body_len().max(self.batches[slot].charge);
            (found.whole, charge)
        };
        let batch = &mut self.batches[slot];
        batch.state = State::Queued;
        batch.content = Content::Sealed(sealed);
        let is_empty = batch.count == 0;
        self.recharge(slot, charge);
        if is_empty {
            self.note_done(slot);
        }
    }

    /// Fails the records at these positions of a batch; the others move up.
    fn refuse_records(&mut self, slot: Slot, positions: &[u32]) {
        self.marks.hit(Mark::HeadersRefused);
        let batch = &self.batches[slot];
        let leader = &self.nodes[self.partition(batch.partition).leader];
        let range = leader.versions.and_then(|versions| versions.range(ApiKey::Produce));
        let (min, max) = range.unwrap_or_default();
        let message = format!(
            "{} speaks Produce {min} to {max}: its records have no headers, which need Produce 3 \
             (Kafka 0.11); send the record without",
            leader.describe()
        );
        let code = ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT;
        let error = self.broker_error(slot, &LastError { code, message: Some(message.into()) });
        let persistence = self.persistence(batch);
        let indexes = super::produce_response::append_indexes(batch);
        let mut holes = batch.holes.to_vec();
        for &position in positions {
            let Some(&index) = indexes.get(position as usize) else { continue };
            holes.push(index);
            self.push_failed(slot, index..index + 1, error.clone(), persistence);
        }
        holes.sort_unstable();
        let batch = &mut self.batches[slot];
        let refused = (holes.len() - batch.holes.len()) as u32;
        batch.count -= refused;
        batch.holes = holes.into_boxed_slice();
        self.stats.errors_final += 1;
        self.stats.records_failed += u64::from(refused);
        self.stats.records_outstanding -= u64::from(refused);
    }
}
