//! What crosses the border between the core and its environment: inputs, actions, bytes out.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use crate::job::{Job, JobResult};
use crate::{BrokerId, ConnectionId};

/// Something that happened outside the core. Handed in with
/// [`Producer::handle_input`](crate::Producer::handle_input).
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The time has come that [`Producer::poll_timeout`](crate::Producer::poll_timeout) named.
    /// Too early, too late or twice does no harm.
    Timeout,
    /// The connection that an [`Action::Connect`] asked for is up: TCP, and TLS where it is used.
    Connected {
        /// The connection attempt.
        conn: ConnectionId,
    },
    /// The connection that an [`Action::Connect`] asked for did not come up. The id is dead.
    ConnectFailed {
        /// The connection attempt.
        conn: ConnectionId,
        /// What went wrong.
        kind: ConnectErrorKind,
    },
    /// Bytes arrived. How the stream is cut into pieces makes no difference.
    Received {
        /// The connection they came from.
        conn: ConnectionId,
        /// The bytes, in order.
        bytes: &'a [u8],
    },
    /// The transport took bytes of a [`Transmit`]. Must be reported before any `Received` that
    /// was read after that write. With TLS it counts plaintext whose ciphertext the socket took.
    Written {
        /// The connection they were written to.
        conn: ConnectionId,
        /// How many more bytes, since the last report.
        bytes: usize,
    },
    /// The connection is gone, whoever closed it. Also the answer to every [`Action::Close`]:
    /// from here on the transport holds none of its bytes.
    Disconnected {
        /// The connection.
        conn: ConnectionId,
        /// Why, as far as the transport knows.
        reason: DisconnectReason,
    },
    /// A [`Job`] has been run or given up.
    Done(JobResult),
}

/// Something the core wants done. Taken with
/// [`Producer::poll_action`](crate::Producer::poll_action).
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Open a connection. Answered by [`Input::Connected`] or [`Input::ConnectFailed`]; an
    /// [`Action::Close`] for the same id may come first and is then answered by
    /// [`Input::Disconnected`] alone.
    Connect {
        /// The new connection's id.
        conn: ConnectionId,
        /// Name or address to resolve and dial; all its addresses are worth trying.
        host: Arc<str>,
        /// TCP port.
        port: u16,
        /// The broker this leads to; `None` for a bootstrap address.
        broker: Option<BrokerId>,
    },
    /// Drop what is still queued for this connection, close it, and answer with
    /// [`Input::Disconnected`].
    Close {
        /// The connection to close.
        conn: ConnectionId,
    },
    /// Do this work, inline, on any thread, or late, and hand its result to [`Input::Done`].
    Run(Job),
}

/// Why a connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The host name did not resolve.
    Dns,
    /// The peer refused the connection.
    Refused,
    /// No answer within the transport's own limit.
    TimedOut,
    /// No route to the address.
    Unreachable,
    /// The TLS handshake or the certificate check failed.
    Tls,
    /// Anything else.
    Other,
}

/// Why a connection ended, as the transport saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// We asked for it with [`Action::Close`].
    Requested,
    /// The peer closed its side.
    Eof,
    /// The peer or the network reset the connection.
    Reset,
    /// Any other error of the transport.
    Error,
}

/// Bytes to write to one connection, in order: reference-counted chunks that are never copied and
/// stay immutable until the transport lets go of them.
///
/// It is a [`Buf`]: write [`chunks_vectored`](Buf::chunks_vectored) and
/// [`advance`](Buf::advance), or take the chunks apart with [`into_chunks`](Self::into_chunks)
/// where the transport must own what it writes (completion-style I/O).
#[derive(Clone, Debug)]
#[must_use = "the core counts these bytes as handed out"]
pub struct Transmit {
    conn: ConnectionId,
    /// Empty only when nothing remains.
    front: Bytes,
    /// What follows it: nothing in a small request, which then needs no list.
    rest: VecDeque<Bytes>,
    remaining: usize,
}

impl Transmit {
    /// No chunk is empty.
    pub(crate) fn new(conn: ConnectionId, front: Bytes, rest: VecDeque<Bytes>) -> Self {
        debug_assert!(!front.is_empty() && rest.iter().all(|chunk| !chunk.is_empty()));
        let remaining = front.len() + rest.iter().map(Bytes::len).sum::<usize>();
        Self { conn, front, rest, remaining }
    }

    /// The connection to write to.
    pub fn conn(&self) -> ConnectionId {
        self.conn
    }

    /// The chunks still to be written, in order.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> {
        std::iter::once(self.front).filter(|front| !front.is_empty()).chain(self.rest)
    }
}

impl Buf for Transmit {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        &self.front
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        if self.remaining == 0 {
            return 0;
        }
        let mut filled = 0;
        for (slot, chunk) in dst.iter_mut().zip(std::iter::once(&self.front).chain(&self.rest)) {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced past the end of a Transmit");
        self.remaining -= count;
        while count >= self.front.len() {
            count -= self.front.len();
            self.front = self.rest.pop_front().unwrap_or_default();
            if self.remaining == 0 {
                return;
            }
        }
        self.front.advance(count);
    }
}
