//! What was written and read since the core last heard of it.

use std::io::Read;

use producer_proto::{ConnectionId, Input, Instant, Producer};

use crate::session::{Filled, Session};
use crate::shared::Shared;

/// How much the reads of one round take together.
const SIZE: usize = 64 * 1024;

/// Room for the next read at least. When there is less, what was read is handed in first.
const LEAST: usize = SIZE / 4;

/// Collects what happened on all streams, so that the core is told of it under the same hold of
/// the lock that takes out what comes of it.
pub(super) struct Inbox {
    buffer: Box<[u8]>,
    filled: usize,
    transfers: Vec<Transfer>,
}

/// So many bytes.
enum Transfer {
    Written(ConnectionId, usize),
    /// They stand in the buffer behind those of the read before.
    Read(ConnectionId, usize),
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; SIZE].into(), filled: 0, transfers: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.transfers.is_empty()
    }

    /// Whether something was read that the core has not got.
    pub(super) fn has_read(&self) -> bool {
        self.filled > 0
    }

    /// Notes what was written.
    pub(super) fn written(&mut self, conn: ConnectionId, bytes: usize) {
        self.transfers.push(Transfer::Written(conn, bytes));
    }

    /// Reads once, and notes what.
    pub(super) fn fill(
        &mut self,
        conn: ConnectionId,
        session: &mut Session,
        stream: &mut impl Read,
        shared: &Shared,
    ) -> Filled {
        if self.buffer.len() - self.filled < LEAST {
            let now = shared.clock.now();
            self.hand_in(now, &mut shared.lock().core);
        }
        let filled = session.fill(stream, &mut self.buffer[self.filled..]);
        if let Filled::Data(read) = filled {
            self.filled += read;
            self.transfers.push(Transfer::Read(conn, read));
        }
        filled
    }

    /// Tells the core, in the order in which it happened.
    pub(super) fn hand_in(&mut self, now: Instant, core: &mut Producer) {
        let mut unread = &self.buffer[..self.filled];
        for transfer in self.transfers.drain(..) {
            let input = match transfer {
                Transfer::Written(conn, bytes) => Input::Written { conn, bytes },
                Transfer::Read(conn, count) => {
                    let (bytes, rest) = unread.split_at(count);
                    unread = rest;
                    Input::Received { conn, bytes }
                }
            };
            core.handle_input(now, input);
        }
        self.filled = 0;
    }
}
