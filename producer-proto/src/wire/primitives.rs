//! Bounded reading of Kafka's primitive types.
//!
//! Every length is compared with the bytes at hand before it is used, so a lying peer costs an
//! error and never memory. Strings and arrays have two encodings, classic (fixed-size lengths)
//! and compact (KIP-482); a [`Reader`] is made for one of them, as a message version is either
//! flexible or not.

use std::borrow::Cow;
use std::fmt;

use super::varint::{VarintError, get_uvarint};
use crate::ids::Uuid;

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodeError {
    /// The field or type that was being read.
    pub(crate) what: &'static str,
    /// Where it begins, in bytes from the start of what was decoded.
    pub(crate) offset: usize,
    /// What is wrong with it.
    pub(crate) reason: DecodeReason,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeReason {
    /// The bytes end inside a value of fixed size or a varint.
    Truncated { left: usize },
    /// A length that is negative, or more than the bytes left can hold.
    Length { length: i64, left: usize },
    /// Null, where the protocol does not allow it.
    Null,
    /// A varint with more bits than its type.
    VarintOverflow,
    /// A tag that repeats or does not ascend.
    TagOrder { tag: u32 },
    /// Bytes after the end.
    Trailing { left: usize },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.what, self.offset)?;
        match self.reason {
            DecodeReason::Truncated { left } => write!(f, "cut short, {left} bytes are left"),
            DecodeReason::Length { length, left } => {
                write!(f, "length {length} does not fit the {left} bytes left")
            }
            DecodeReason::Null => f.write_str("must not be null"),
            DecodeReason::VarintOverflow => f.write_str("varint has too many bits"),
            DecodeReason::TagOrder { tag } => write!(f, "tag {tag} is not above the one before"),
            DecodeReason::Trailing { left } => write!(f, "{left} bytes too many"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A piece of a decoded body, by position: what a response refers to without copying it. Only
/// meaningful together with the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes themselves; empty when `body` is not what the span was read from.
    pub(crate) fn bytes(self, body: &[u8]) -> &[u8] {
        body.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The bytes as text; `None` if they are not UTF-8.
    pub(crate) fn text(self, body: &[u8]) -> Option<&str> {
        std::str::from_utf8(self.bytes(body)).ok()
    }

    /// The bytes as text for people: what is not UTF-8 shows as U+FFFD.
    pub(crate) fn text_lossy(self, body: &[u8]) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(body))
    }
}

/// Reads one message from a byte slice.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    flexible: bool,
}

macro_rules! fixed {
    ($($name:ident),*) => {$(
        #[inline]
        pub(crate) fn $name(&mut self) -> Result<$name, DecodeError> {
            Ok($name::from_be_bytes(self.fixed(stringify!($name))?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`; `flexible` says whether strings and arrays are compact
    /// and structs end with tagged fields.
    pub(crate) fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { bytes, at: 0, flexible }
    }

    /// Bytes not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Checks that everything was read.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error("end", DecodeReason::Trailing { left })),
        }
    }

    fixed!(i16, i32, i64);

    /// One byte; anything but zero is true.
    #[inline]
    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>("bool")? != [0])
    }

    /// Sixteen bytes.
    pub(crate) fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed("uuid").map(Uuid)
    }

    /// An unsigned varint.
    pub(crate) fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let reason = match get_uvarint(self.rest()) {
            Ok((value, length)) => {
                self.at += length;
                return Ok(value);
            }
            Err(VarintError::Truncated) => DecodeReason::Truncated { left: self.remaining() },
            Err(VarintError::Overflow) => DecodeReason::VarintOverflow,
        };
        Err(self.error("varint", reason))
    }

    /// Where a string lies that must not be null; its content is not looked at.
    pub(crate) fn span(&mut self, what: &'static str) -> Result<Span, DecodeError> {
        let offset = self.at;
        self.nullable_span(what)?.ok_or(DecodeError { what, offset, reason: DecodeReason::Null })
    }

    /// Where a string lies; its content is not looked at.
    pub(crate) fn nullable_span(
        &mut self,
        what: &'static str,
    ) -> Result<Option<Span>, DecodeError> {
        let length = self.length(what, 1, Self::i16)?;
        Ok(length.map(|length| self.advance(length)))
    }

    /// The element count of an array that must not be null. `min_element` is the least number of
    /// bytes an element can take, at least 1: a count that cannot fit the bytes left is an error.
    pub(crate) fn array(
        &mut self,
        what: &'static str,
        min_element: usize,
    ) -> Result<usize, DecodeError> {
        let offset = self.at;
        let count = self.length(what, min_element, Self::i32)?;
        count.ok_or(DecodeError { what, offset, reason: DecodeReason::Null })
    }

    /// Skips an array of `i32` that must not be null.
    pub(crate) fn skip_i32s(&mut self, what: &'static str) -> Result<(), DecodeError> {
        let count = self.array(what, size_of::<i32>())?;
        self.at += count * size_of::<i32>();
        Ok(())
    }

    /// How many of `count` elements to make room for in advance: no more memory than there are
    /// bytes left, however short an element is on the wire.
    pub(crate) fn capacity_for<T>(&self, count: usize) -> usize {
        count.min(self.remaining() / size_of::<T>().max(1))
    }

    /// Skips the tagged fields that end a struct of a flexible version; nothing otherwise.
    pub(crate) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }

    /// Visits the tagged fields that end a struct of a flexible version; nothing otherwise. The
    /// visitor gets a reader that is bounded to the field, and either reads all of it or nothing:
    /// an untouched field is skipped.
    pub(crate) fn tags(
        &mut self,
        mut visit: impl FnMut(u32, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        let offset = self.at;
        let count = self.uvarint()? as usize;
        if count > self.remaining() / 2 {
            let reason = DecodeReason::Length { length: count as i64, left: self.remaining() };
            return Err(DecodeError { what: "tagged fields", offset, reason });
        }
        let mut previous = None;
        for _ in 0..count {
            let offset = self.at;
            let tag = self.uvarint()?;
            if previous.is_some_and(|previous| previous >= tag) {
                let reason = DecodeReason::TagOrder { tag };
                return Err(DecodeError { what: "tagged field", offset, reason });
            }
            previous = Some(tag);
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                let reason = DecodeReason::Length { length: size as i64, left: self.remaining() };
                return Err(DecodeError { what: "tagged field", offset, reason });
            }
            let (start, end) = (self.at, self.at + size);
            let mut field = Self { bytes: &self.bytes[..end], at: start, flexible: self.flexible };
            visit(tag, &mut field)?;
            if field.at != start {
                field.finish()?;
            }
            self.at = end;
        }
        Ok(())
    }

    /// A length or count, checked against the bytes left; `None` for null. `classic` reads the
    /// length of the encoding that is not compact.
    fn length<T: Into<i64>>(
        &mut self,
        what: &'static str,
        min_element: usize,
        classic: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<usize>, DecodeError> {
        debug_assert!(min_element > 0);
        let offset = self.at;
        // The compact form stores length + 1, so that both forms have -1 for null.
        let length =
            if self.flexible { i64::from(self.uvarint()?) - 1 } else { classic(self)?.into() };
        if length == -1 {
            return Ok(None);
        }
        let left = self.remaining();
        match usize::try_from(length) {
            Ok(length) if length <= left / min_element => Ok(Some(length)),
            _ => Err(DecodeError { what, offset, reason: DecodeReason::Length { length, left } }),
        }
    }

    /// Steps over `length` bytes that are known to be there.
    fn advance(&mut self, length: usize) -> Span {
        let start = self.at;
        self.at += length;
        // A frame's length is an i32, so positions fit.
        Span { start: start as u32, end: self.at as u32 }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.error(what, DecodeReason::Truncated { left: self.remaining() })),
        }
    }

    #[cold]
    fn error(&self, what: &'static str, reason: DecodeReason) -> DecodeError {
        DecodeError { what, offset: self.at, reason }
    }
}
