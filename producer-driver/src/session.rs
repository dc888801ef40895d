//! One connection's byte pump over any non-blocking stream.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use bytes::Buf;
use producer_proto::{DisconnectReason, Transmit};

/// How many slices one vectored write takes. Linux refuses more than 1024; beyond a few dozen
/// nothing is gained.
const SLICES: usize = 64;

/// The write side of one connection and the mapping of its errors. It never blocks and never
/// sleeps: the stream must be in non-blocking mode.
///
/// It holds the [`Transmit`]s that are not fully written yet, so a partly written frame lives
/// here and in no future that somebody could drop.
#[derive(Debug)]
pub struct Session<B = Transmit> {
    outbox: VecDeque<B>,
}

/// What [`Session::flush`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Bytes that the stream took. Report them with
    /// [`Input::Written`](producer_proto::Input::Written), before anything that is read later.
    pub written: usize,
    /// What ended it.
    pub end: FlushEnd,
}

/// Why [`Session::flush`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushEnd {
    /// Everything is written.
    Empty,
    /// The stream takes no more for now.
    Blocked,
    /// The stream broke.
    Failed(DisconnectReason),
}

/// What [`Session::fill`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// This many bytes were read; there may be more.
    Data(usize),
    /// Nothing to read for now.
    Blocked,
    /// The stream has ended or broken.
    Ended(DisconnectReason),
}

impl<B: Buf> Session<B> {
    /// A session with nothing to write.
    #[must_use]
    pub fn new() -> Self {
        Self { outbox: VecDeque::new() }
    }

    /// Adds bytes to be written, behind those already here.
    pub fn queue(&mut self, transmit: B) {
        if transmit.has_remaining() {
            self.outbox.push_back(transmit);
        }
    }

    /// Whether there is something to write.
    pub fn wants_write(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Writes until nothing is left or the stream takes no more.
    pub fn flush(&mut self, stream: &mut impl Write) -> Flushed {
        let mut written = 0;
        loop {
            let end = match self.write_some(stream) {
                Ok(None) => FlushEnd::Empty,
                Ok(Some(0)) => FlushEnd::Failed(DisconnectReason::Error),
                Ok(Some(count)) => {
                    written += count;
                    continue;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => FlushEnd::Blocked,
                    _ => FlushEnd::Failed(disconnect_reason(&error)),
                },
            };
            return Flushed { written, end };
        }
    }

    /// Reads once into `buffer`, which must not be empty.
    pub fn fill(&mut self, stream: &mut impl Read, buffer: &mut [u8]) -> Filled {
        loop {
            return match stream.read(buffer) {
                Ok(0) => Filled::Ended(DisconnectReason::Eof),
                Ok(count) => Filled::Data(count),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => Filled::Blocked,
                    _ => Filled::Ended(disconnect_reason(&error)),
                },
            };
        }
    }

    /// One write call; `None` when there is nothing to write.
    fn write_some(&mut self, stream: &mut impl Write) -> io::Result<Option<usize>> {
        let count = match self.outbox.front() {
            None => return Ok(None),
            // To prepare places for many slices takes longer than to write a small request.
            Some(only) if self.outbox.len() == 1 && only.chunk().len() == only.remaining() => {
                stream.write(only.chunk())?
            }
            Some(_) => self.write_slices(stream)?,
        };
        self.advance(count);
        Ok(Some(count))
    }

    fn write_slices(&self, stream: &mut impl Write) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut filled = 0;
        for transmit in &self.outbox {
            filled += transmit.chunks_vectored(&mut slices[filled..]);
            if filled == SLICES {
                break;
            }
        }
        stream.write_vectored(&slices[..filled])
    }

    /// So many bytes are written.
    fn advance(&mut self, count: usize) {
        let mut left = count;
        while let Some(front) = self.outbox.front_mut() {
            let step = left.min(front.remaining());
            front.advance(step);
            left -= step;
            if front.has_remaining() {
                break;
            }
            self.outbox.pop_front();
        }
        assert_eq!(left, 0, "the stream took no more than it was given");
    }
}

impl<B: Buf> Default for Session<B> {
    fn default() -> Self {
        Self::new()
    }
}

fn disconnect_reason(error: &io::Error) -> DisconnectReason {
    match error.kind() {
        ErrorKind::UnexpectedEof => DisconnectReason::Eof,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            DisconnectReason::Reset
        }
        _ => DisconnectReason::Error,
    }
}

#[cfg(test)]
mod tests;
