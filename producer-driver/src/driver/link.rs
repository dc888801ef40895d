//! One connection: its stream, what is to be written to it, and what it is ready for.

use std::io::{Read, Write};

use producer_proto::{ConnectionId, DisconnectReason};

use super::Interest;
use super::inbox::Inbox;
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

    /// Writes what there is and reads what has come. `Some` when the connection is over.
    pub(super) fn transfer(
        &mut self,
        conn: ConnectionId,
        inbox: &mut Inbox,
        shared: &Shared,
    ) -> Option<DisconnectReason> {
        if self.failed.is_none() && self.ready.write && self.session.wants_write() {
            let flushed = self.session.flush(&mut self.stream);
            if flushed.written > 0 {
                inbox.written(conn, flushed.written);
            }
            match flushed.end {
                FlushEnd::Empty => {}
                FlushEnd::Blocked => self.ready.write = false,
                FlushEnd::Failed(reason) => {
                    self.failed = Some(reason);
                    self.ready.read = true;
                }
            }
        }
        for _ in 0..READS {
            if !self.ready.read {
                break;
            }
            match inbox.fill(conn, &mut self.session, &mut self.stream, shared) {
                Filled::Data(_) => {}
                Filled::Blocked => self.ready.read = false,
                Filled::Ended(reason) => return Some(self.failed.unwrap_or(reason)),
            }
        }
        if self.ready.read { None } else { self.failed }
    }
}
