//! What a client sends: read as a stream, so that most of it need not be copied.

use std::io::{self, Read, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

/// No request is longer, in bytes.
const MAX_REQUEST: usize = 256 << 20;

/// Bytes read at a time, unless a batch is longer and has to be checked.
const BUFFER: usize = 128 << 10;

/// The most bytes that the kernel is asked to drop at a time.
const DISCARD: usize = 1 << 20;

/// From so many bytes on, it is worth a system call to have the kernel drop them.
const WORTH_A_CALL: usize = 16 << 10;

/// Why there is no more to read.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The connection has ended.
    Closed,
    /// The request is not what it should be.
    Malformed(&'static str),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// A connection's requests, one after the other.
pub(crate) struct Input {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What is read and not yet taken: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Bytes of the current request that are not taken.
    left: usize,
    /// Replies that are not written; they are before anything is waited for.
    replies: Vec<u8>,
    /// Room for what the kernel drops: it is never written to, and takes no memory.
    discarded: Vec<u8>,
}

impl Input {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            left: 0,
            replies: Vec::new(),
            discarded: vec![0; DISCARD],
        }
    }

    /// Begins with the next request. Its length.
    pub(crate) fn next_request(&mut self) -> Result<usize, Stop> {
        self.left = 4;
        let length = usize::try_from(self.i32()?).unwrap_or(usize::MAX);
        if length > MAX_REQUEST {
            return Err(Stop::Malformed("length of a request"));
        }
        self.left = length;
        Ok(length)
    }

    /// Leaves the rest of the current request out.
    pub(crate) fn skip_rest(&mut self) -> Result<(), Stop> {
        self.skip(self.left)
    }

    pub(crate) fn reply(&mut self, reply: &[u8]) {
        self.replies.extend_from_slice(reply);
    }

    /// Leaves so many bytes out.
    pub(crate) fn skip(&mut self, mut count: usize) -> Result<(), Stop> {
        self.take_from_request(count)?;
        let here = count.min(self.end - self.start);
        self.start += here;
        count -= here;
        while count > WORTH_A_CALL {
            count -= self.discard(count)?;
        }
        self.fill(count)?;
        self.start += count;
        Ok(())
    }

    /// Looks at the next bytes, which stay.
    pub(crate) fn peek(&mut self, count: usize) -> Result<&[u8], Stop> {
        if count > self.left {
            return Err(Stop::Malformed("it ends too early"));
        }
        self.fill(count)?;
        Ok(&self.buffer[self.start..self.start + count])
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take_from_request(N)?;
        self.fill(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.buffer[self.start..self.start + N]);
        self.start += N;
        Ok(array)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Stop> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Stop> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u32, Stop> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Stop::Malformed("a number of variable length"))
    }

    /// The length of an array or of bytes; `None` for null.
    pub(crate) fn length(&mut self, is_flexible: bool) -> Result<Option<usize>, Stop> {
        Ok(if is_flexible {
            (self.varint()? as usize).checked_sub(1)
        } else {
            usize::try_from(self.i32()?).ok()
        })
    }

    pub(crate) fn string(&mut self, is_flexible: bool) -> Result<Option<String>, Stop> {
        let length =
            if is_flexible { self.length(true)? } else { usize::try_from(self.i16()?).ok() };
        let Some(length) = length else { return Ok(None) };
        let string = String::from_utf8_lossy(self.peek(length)?).into_owned();
        self.skip(length)?;
        Ok(Some(string))
    }

    /// Leaves tagged fields out, which only flexible versions have.
    pub(crate) fn skip_tags(&mut self, is_flexible: bool) -> Result<(), Stop> {
        if is_flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let length = self.varint()? as usize;
                self.skip(length)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn take_from_request(&mut self, count: usize) -> Result<(), Stop> {
        let left = self.left.checked_sub(count);
        self.left = left.ok_or(Stop::Malformed("it ends too early"))?;
        Ok(())
    }

    /// Reads until there are so many bytes.
    #[inline]
    fn fill(&mut self, count: usize) -> Result<(), Stop> {
        if self.end - self.start >= count { Ok(()) } else { self.read(count) }
    }

    #[cold]
    fn read(&mut self, count: usize) -> Result<(), Stop> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < count {
            self.buffer.resize(count.next_power_of_two(), 0);
        }
        while self.end < count {
            self.write_replies()?;
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(Stop::Closed),
                Ok(more) => self.end += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Stop::Closed),
            }
        }
        Ok(())
    }

    /// Has the kernel drop up to so many bytes. How many it were.
    fn discard(&mut self, count: usize) -> Result<usize, Stop> {
        self.write_replies()?;
        let most = count.min(DISCARD);
        loop {
            // With MSG_TRUNC, TCP drops the bytes instead of copying them.
            match recv(self.stream.as_raw_fd(), &mut self.discarded[..most], MsgFlags::MSG_TRUNC) {
                Ok(0) => return Err(Stop::Closed),
                Ok(dropped) => return Ok(dropped),
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Stop::Closed),
            }
        }
    }

    fn write_replies(&mut self) -> Result<(), Stop> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies)?;
            self.replies.clear();
        }
        Ok(())
    }
}
