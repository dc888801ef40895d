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
    /// Something was written, and nothing read since.
    awaits: bool,
    /// Writing has failed; what the peer said before is still read.
    failed: Option<DisconnectReason>,
}

impl<S: Read + Write> Link<S> {
    pub(super) fn new(stream: S) -> Self {
        let ready = Interest { read: true, write: true };
        Self { stream, session: Session::new(), ready, awaits: false, failed: None }
    }

    pub(super) fn set_ready(&mut self, ready: Interest) {
        self.ready.read |= ready.read;
        self.ready.write |= ready.write;
    }

    /// What the stream has to become ready for.
    pub(super) fn interest(&self) -> Interest {
        Interest { read: !self.ready.read, write: !self.ready.write && self.session.wants_write() }
    }

    /// Whether the stream is likely to become ready for something soon.
    pub(super) fn is_expectant(&self) -> bool {
        self.awaits || self.session.wants_write()
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
                self.awaits = true;
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
                Filled::Data(_) => self.awaits = false,
                Filled::Blocked => self.ready.read = false,
                Filled::Ended(reason) => return Some(self.failed.unwrap_or(reason)),
            }
        }
        if self.ready.read { None } else { self.failed }
    }
}

/// The connections that are up, by id. There are few, and every round goes through all of them: a
/// sorted list.
pub(super) struct Links<S>(Vec<(ConnectionId, Link<S>)>);

impl<S> Default for Links<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Links<S> {
    fn place(&self, conn: ConnectionId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&conn, |&(conn, _)| conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnectionId) -> Option<&mut Link<S>> {
        self.place(conn).ok().map(|place| &mut self.0[place].1)
    }

    pub(super) fn insert(&mut self, conn: ConnectionId, link: Link<S>) {
        match self.place(conn) {
            Ok(place) => self.0[place].1 = link,
            Err(place) => self.0.insert(place, (conn, link)),
        }
    }

    pub(super) fn remove(&mut self, conn: ConnectionId) {
        if let Ok(place) = self.place(conn) {
            self.0.remove(place);
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut Link<S>)> {
        self.0.iter_mut().map(|(conn, link)| (*conn, link))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(ConnectionId, &mut Link<S>) -> bool) {
        self.0.retain_mut(|(conn, link)| keep(*conn, link));
    }

    pub(super) fn into_ids(self) -> impl Iterator<Item = ConnectionId> {
        self.0.into_iter().map(|(conn, _)| conn)
    }
}

impl<S: Read + Write> Links<S> {
    /// Whether any has something to do without waiting.
    pub(super) fn is_busy(&self) -> bool {
        self.0.iter().any(|(_, link)| link.is_busy())
    }
}
