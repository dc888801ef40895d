//! One connection: its stream, what is to be written to it, and what it is ready for.

use std::io::{Read, Write};

use producer_proto::{ConnectionId, DisconnectReason};

use super::Interest;
use crate::session::{Filled, FlushEnd, Session};
use crate::shared::Shared;

/// How many reads one connection gets before it is another's turn.
const READS: usize = 4;

pub(super) struct Link<S> {
    pub(super) stream: S,
    pub(super) session: Session,
    ready: Interest,
    /// Writing has failed; what the peer said before is still read.
    failed: Option<DisconnectReason>,
}

impl<S: Read + Write> Link<S> {
    pub(super) fn new(stream: S) -> Self {
        let ready = Interest { read: true, write: true };
        Self { stream, session: Session::new(), ready, failed: None }
    }

    pub(super) fn set_ready(&mut self, ready: Interest) {
        self.ready.read |= ready.read;
        self.ready.write |= ready.write;
    }

    /// What the stream has to become ready for.
    pub(super) fn interest(&self) -> Interest {
        Interest { read: !self.ready.read, write: !self.ready.write && self.session.wants_write() }
    }

    /// Whether there is something to do without waiting.
    pub(super) fn is_busy(&self) -> bool {
        self.ready.read || (self.ready.write && self.session.wants_write())
    }

    /// Writes what there is and reads what has come, and tells the core. `Some` when the
    /// connection is over.
    pub(super) fn transfer(
        &mut self,
        conn: ConnectionId,
        shared: &Shared,
        buffer: &mut [u8],
    ) -> Option<DisconnectReason> {
        let mut written = 0;
        if self.failed.is_none() && self.ready.write && self.session.wants_write() {
            let flushed = self.session.flush(&mut self.stream);
            written = flushed.written;
            match flushed.end {
                FlushEnd::Empty => {}
                FlushEnd::Blocked => self.ready.write = false,
                FlushEnd::Failed(reason) => {
                    self.failed = Some(reason);
                    self.ready.read = true;
                }
            }
        }
        let mut end = None;
        for _ in 0..READS {
            if !self.ready.read {
                break;
            }
            match self.session.fill(&mut self.stream, buffer) {
                Filled::Data(count) => {
                    shared.transferred(conn, std::mem::take(&mut written), &buffer[..count]);
                }
                Filled::Blocked => self.ready.read = false,
                Filled::Ended(reason) => {
                    end = Some(self.failed.unwrap_or(reason));
                    break;
                }
            }
        }
        if written > 0 {
            shared.transferred(conn, written, &[]);
        }
        end.or(if self.ready.read { None } else { self.failed })
    }
}
