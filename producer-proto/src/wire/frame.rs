//! Cutting the inbound byte stream into frames: an `i32` length, then that many bytes.

use thiserror::Error;

/// Bytes of the length in front of every frame.
pub(crate) const LENGTH_PREFIX: usize = 4;
/// A response has at least a correlation id.
const MIN_FRAME: usize = 4;
/// A buffer up to this size is kept for the next frame that arrives in pieces.
const KEPT_CAPACITY: usize = 64 * 1024;

/// A length that no response has. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    /// Below zero.
    #[error("frame length {0} is negative{hint}", hint = hint(*.0))]
    Negative(i32),
    /// Above the limit.
    #[error("frame length {length} is above the limit of {limit} bytes{hint}", hint = hint(*.length))]
    TooLarge {
        /// As received.
        length: i32,
        /// The limit that was in force.
        limit: usize,
    },
    /// Shorter than a correlation id.
    #[error("frame length {0} is too short for a response")]
    TooShort(i32),
}

fn hint(length: i32) -> String {
    match describe_first_bytes(&length.to_be_bytes()) {
        Some(peer) => format!(": this looks like {peer}"),
        None => String::new(),
    }
}

/// Names the kind of server that begins its answer with `bytes` (at least three of them), if it
/// is a well-known one that does not speak Kafka.
pub(crate) fn describe_first_bytes(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'H', b'T', b'T', b'P', ..] => Some("an HTTP server"),
        [0x15 | 0x16, 0x03, 0x00..=0x04, ..] => Some("a TLS server"),
        [b'S', b'S', b'H', b'-', ..] => Some("an SSH server"),
        [b'2', b'2', b'0', b' ' | b'-', ..] => Some("an SMTP or FTP server"),
        _ => None,
    }
}

/// Finds the frames in a stream that arrives in arbitrary pieces. Whole frames are lent out of the
/// input; only a frame that is cut between two inputs is copied.
#[derive(Debug)]
pub(crate) struct FrameSplitter {
    max_frame: usize,
    /// The beginning of a frame whose rest is still to come, with its length prefix.
    partial: Vec<u8>,
    /// The length of that frame's content, once its prefix is there and was checked.
    expected: Option<usize>,
    /// `partial` was lent out as a whole frame.
    lent: bool,
    failed: Option<FrameError>,
}

impl FrameSplitter {
    /// A splitter that refuses frames above `max_frame` bytes, the length prefix not counted.
    pub(crate) fn new(max_frame: usize) -> Self {
        Self { max_frame, partial: Vec::new(), expected: None, lent: false, failed: None }
    }

    /// Bytes of an incomplete frame that are held, with its length prefix.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        if self.lent { 0 } else { self.partial.len() }
    }

    /// Takes bytes from the front of `input` and gives the next frame's content, without its
    /// length. `None`: all of `input` was taken and the frame is not complete. Once it failed, it
    /// fails for ever.
    pub(crate) fn next_frame<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'s [u8]>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.lent {
            self.lent = false;
            self.expected = None;
            self.partial.clear();
            self.partial.shrink_to(KEPT_CAPACITY);
        }
        if self.partial.is_empty()
            && let Some((prefix, rest)) = input.split_first_chunk::<LENGTH_PREFIX>()
        {
            let length = self.check(*prefix)?;
            if let Some((frame, rest)) = rest.split_at_checked(length) {
                *input = rest;
                return Ok(Some(frame));
            }
        }
        let length = match self.expected {
            Some(length) => length,
            None => {
                if !self.fill(input, LENGTH_PREFIX) {
                    return Ok(None);
                }
                let prefix = self.partial.first_chunk().expect("the prefix was just completed");
                let length = self.check(*prefix)?;
                self.expected = Some(length);
                length
            }
        };
        if !self.fill(input, LENGTH_PREFIX + length) {
            return Ok(None);
        }
        self.lent = true;
        Ok(Some(&self.partial[LENGTH_PREFIX..]))
    }

    /// Moves bytes from `input` until `partial` holds `wanted`; false if there are too few.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        let needed = self.partial.len() + taken.len();
        if needed > self.partial.capacity() {
            // Doubling keeps the copying linear; what is reserved stays within twice what arrived,
            // whatever length the peer announced.
            let capacity = needed.max((2 * self.partial.capacity()).min(wanted));
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(taken);
        *input = rest;
        taken.len() == missing
    }

    fn check(&mut self, prefix: [u8; LENGTH_PREFIX]) -> Result<usize, FrameError> {
        let length = i32::from_be_bytes(prefix);
        let error = match usize::try_from(length) {
            Err(_) => FrameError::Negative(length),
            Ok(size) if size < MIN_FRAME => FrameError::TooShort(length),
            Ok(size) if size > self.max_frame => {
                FrameError::TooLarge { length, limit: self.max_frame }
            }
            Ok(size) => return Ok(size),
        };
        self.failed = Some(error);
        self.partial = Vec::new();
        Err(error)
    }
}

#[cfg(test)]
mod tests;
