//! Produce: writing a request round record batches that stay where they are.

use bytes::BytesMut;

use super::header::{ApiKey, RequestHeader};
use super::request::OpenFrame;
use super::writer::Writer;
use crate::ids::Uuid;

/// First version that names topics by id (KIP-516).
pub(crate) const TOPIC_IDS_FROM: i16 = 13;

/// The most bytes of a request besides its topics, client id included, without a transactional id.
pub(crate) const fn request_overhead(client_id: &str) -> usize {
    29 + client_id.len()
}

/// The most bytes that a topic adds besides its partitions.
pub(crate) const fn topic_overhead(name: &str) -> usize {
    let by_name = 2 + name.len();
    6 + if by_name > 16 { by_name } else { 16 }
}

/// The most bytes that a partition adds besides its records.
pub(crate) const PARTITION_OVERHEAD: usize = 10;

/// Writes a Produce request as a scaffold with gaps: everything but the bodies of the record
/// batches, which are sent from where they are. The order of calls is the order on the wire:
/// `begin`, then for each topic `topic`, (`partition`, what belongs to it, `end_partition`)*,
/// `end_topic`, and at last `finish`. Nothing is allocated but room in the scaffold.
#[derive(Debug)]
pub(crate) struct ProduceRequestWriter<'a> {
    out: &'a mut BytesMut,
    version: i16,
    frame: OpenFrame,
    /// Bytes of bodies so far, in all gaps.
    out_of_line: usize,
    /// Only for checking the calls against what was announced.
    promised: Promised,
}

#[derive(Debug, Default)]
struct Promised {
    topics: usize,
    partitions: usize,
    /// Where the current partition's records end, in bytes of scaffold and bodies together.
    records_end: usize,
}

impl<'a> ProduceRequestWriter<'a> {
    /// Starts a request at the end of `scaffold`. Client and transactional ids are at most
    /// [`MAX_STRING_LEN`](super::writer::MAX_STRING_LEN) bytes.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message, each once")]
    pub(crate) fn begin(
        scaffold: &'a mut BytesMut,
        version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
        transactional_id: Option<&str>,
        acks: i16,
        timeout_ms: i32,
        topic_count: usize,
    ) -> Self {
        let header = RequestHeader { api: ApiKey::Produce, version, correlation_id, client_id };
        let frame = OpenFrame::begin(scaffold, &header);
        let promised = Promised { topics: topic_count, ..Promised::default() };
        let mut writer = Self { out: scaffold, version, frame, out_of_line: 0, promised };
        let mut out = writer.writer();
        if version >= 3 {
            out.nullable_string(transactional_id);
        }
        out.i16(acks);
        out.i32(timeout_ms);
        out.length(Some(topic_count));
        writer
    }

    /// Starts a topic. Versions from [`TOPIC_IDS_FROM`] send `id`, the others `name`.
    pub(crate) fn topic(&mut self, name: &str, id: Uuid, partition_count: usize) {
        debug_assert!(self.promised.topics > 0, "more topics than announced");
        self.promised.topics -= 1;
        self.promised.partitions = partition_count;
        let by_id = self.version >= TOPIC_IDS_FROM;
        let mut out = self.writer();
        if by_id {
            out.uuid(id);
        } else {
            out.string(name);
        }
        out.length(Some(partition_count));
    }

    /// Starts a partition with `records_len` bytes of records, which the caller provides next:
    /// into [`Self::scaffold`], by [`Self::body`], or some of each.
    pub(crate) fn partition(&mut self, index: i32, records_len: usize) {
        debug_assert!(self.promised.partitions > 0, "more partitions than announced");
        self.promised.partitions -= 1;
        let mut out = self.writer();
        out.i32(index);
        out.length(Some(records_len));
        self.promised.records_end = self.position() + records_len;
    }

    /// The scaffold, to append the part of the records that is not out of line.
    pub(crate) fn scaffold(&mut self) -> &mut BytesMut {
        self.out
    }

    /// Leaves a gap for the `len` bytes of a body. Gives the gap's position: the number of bytes
    /// of the scaffold, from its very start, that precede the body.
    pub(crate) fn body(&mut self, len: usize) -> usize {
        self.out_of_line += len;
        self.out.len()
    }

    /// Ends a partition.
    pub(crate) fn end_partition(&mut self) {
        debug_assert_eq!(
            self.position(),
            self.promised.records_end,
            "records as long as announced"
        );
        self.writer().no_tags();
    }

    /// Ends a topic.
    pub(crate) fn end_topic(&mut self) {
        debug_assert_eq!(self.promised.partitions, 0, "fewer partitions than announced");
        self.writer().no_tags();
    }

    /// Ends the request and writes its length into the scaffold. Gives the bytes on the wire,
    /// bodies and the length itself included.
    pub(crate) fn finish(mut self) -> usize {
        debug_assert_eq!(self.promised.topics, 0, "fewer topics than announced");
        self.writer().no_tags();
        self.frame.finish(self.out, self.out_of_line)
    }

    fn position(&self) -> usize {
        self.out.len() + self.out_of_line
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.out, ApiKey::Produce.is_flexible(self.version))
    }
}
