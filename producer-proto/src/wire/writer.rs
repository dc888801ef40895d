//! Writing Kafka's primitive types, classic or compact as the message version asks.

use bytes::{BufMut, BytesMut};

use super::varint::put_uvarint;
use crate::ids::Uuid;

/// Longest string that the classic encoding can hold, in bytes. Configuration refuses longer
/// client and transactional ids; topic names are far shorter.
pub(crate) const MAX_STRING_LEN: usize = i16::MAX as usize;

/// Appends one message to a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    out: &'a mut BytesMut,
    flexible: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`; `flexible` as in [`Reader::new`](super::primitives::Reader::new).
    pub(crate) fn new(out: &'a mut BytesMut, flexible: bool) -> Self {
        Self { out, flexible }
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.out.put_u8(value.into());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.out.put_i16(value);
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.out.put_slice(&value.0);
    }

    /// A string of at most [`MAX_STRING_LEN`] bytes.
    pub(crate) fn string(&mut self, value: &str) {
        if self.flexible {
            self.compact_length(Some(value.len()));
        } else {
            let length = i16::try_from(value.len());
            self.out.put_i16(length.expect("strings are limited to 32767 bytes"));
        }
        self.out.put_slice(value.as_bytes());
    }

    /// A string of at most [`MAX_STRING_LEN`] bytes, or null.
    pub(crate) fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None if self.flexible => self.compact_length(None),
            None => self.out.put_i16(-1),
        }
    }

    /// The element count of an array or the length of bytes, `None` for null; what it counts is
    /// the caller's to write.
    pub(crate) fn length(&mut self, length: Option<usize>) {
        if self.flexible {
            self.compact_length(length);
        } else {
            let length = length.map_or(Ok(-1), i32::try_from);
            self.out.put_i32(length.expect("requests are shorter than 2 GiB"));
        }
    }

    /// The empty tagged fields that end a struct of a flexible version; nothing otherwise.
    pub(crate) fn no_tags(&mut self) {
        if self.flexible {
            self.out.put_u8(0);
        }
    }

    fn compact_length(&mut self, length: Option<usize>) {
        let length = length.map_or(0, |length| {
            let length = u32::try_from(length).ok().and_then(|length| length.checked_add(1));
            length.expect("requests are shorter than 2 GiB")
        });
        put_uvarint(self.out, length);
    }
}
