//! Saves the read that would find nothing. Feature `net`.

use std::io::{self, ErrorKind, Read};

/// Stands before the reads of a non-blocking socket. A read that got less than it had room for has
/// taken all there was: until the system says that the socket is readable again, the next ones are
/// answered with `WouldBlock` without asking it. Where systems other than Linux are not known to
/// say so for what comes next, the gate stays open.
#[derive(Clone, Copy, Debug)]
pub struct ReadGate(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What the system said while the socket was connecting may have been about its end: until
    /// nothing is left, every read is good.
    Fresh,
    Open,
    Closed,
    /// The end is near, and the system may not tell of it again.
    Ending,
}

impl ReadGate {
    /// The gate of a socket that has just been connected.
    #[must_use]
    pub fn new() -> Self {
        Self(State::Fresh)
    }

    /// The system says that the socket is readable; `is_ending` when it also said that the peer
    /// or an error has ended it.
    pub fn open(&mut self, is_ending: bool) {
        self.0 = if is_ending || self.0 == State::Ending { State::Ending } else { State::Open };
    }

    /// Reads once, if there may be something.
    ///
    /// # Errors
    /// As the stream says; `WouldBlock` when the gate is closed.
    pub fn read(&mut self, stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == State::Closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = stream.read(buffer);
        self.0 = match (self.0, &result) {
            (State::Open, Ok(count)) if has_drained(*count, buffer) => State::Closed,
            (State::Fresh, Err(error)) if error.kind() == ErrorKind::WouldBlock => State::Open,
            (state, _) => state,
        };
        result
    }
}

impl Default for ReadGate {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a read that gave `count` bytes has taken all there was, and the system tells of what
/// comes next.
pub fn has_drained(count: usize, buffer: &[u8]) -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && 0 < count && count < buffer.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it is told to, and counts how often it is asked.
    struct Script(Vec<io::Result<usize>>, usize);

    impl Read for Script {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            self.0.remove(0)
        }
    }

    fn nothing() -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn after_a_short_read_the_system_is_not_asked_before_it_has_something_to_say() {
        let mut stream = Script(vec![Ok(3), nothing(), Ok(3), Ok(8), Ok(2), Ok(0)], 0);
        let (mut gate, buffer) = (ReadGate::new(), &mut [0; 8]);
        // What came with the connect is read to its end.
        assert_eq!(gate.read(&mut stream, buffer).unwrap(), 3);
        assert!(gate.read(&mut stream, buffer).is_err());
        gate.open(false);
        assert_eq!(gate.read(&mut stream, buffer).unwrap(), 3);
        assert_eq!(gate.read(&mut stream, buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(stream.1, 3, "the last one was not asked for");
        // A full buffer says nothing about what is left; an end is read to the last byte.
        gate.open(false);
        assert_eq!(gate.read(&mut stream, buffer).unwrap(), 8);
        gate.open(true);
        assert_eq!(gate.read(&mut stream, buffer).unwrap(), 2);
        assert_eq!(gate.read(&mut stream, buffer).unwrap(), 0);
    }
}
