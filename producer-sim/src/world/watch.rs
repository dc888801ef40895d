//! What passes between a producer and its environment, for whoever judges it.

use super::World;
use crate::Instant;
use bytes::{Bytes, BytesMut};
use producer_proto::{ConnectionId, Event};
use std::collections::BTreeMap;

/// Something that crossed the border of the producer.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// The producer asked for a connection.
    Connect { conn: ConnectionId, host: String, port: u16, broker: Option<i32> },
    /// It was told that the connection is up.
    Connected { conn: ConnectionId },
    /// It was told that the attempt failed.
    ConnectFailed { conn: ConnectionId },
    /// It closed the connection.
    Close { conn: ConnectionId },
    /// It was told that the connection is gone.
    Disconnected { conn: ConnectionId },
    /// It handed out a request: the whole frame, with its length.
    Transmit { conn: ConnectionId, frame: Bytes },
    /// It was given the last byte of an answer, without the length.
    Answer { conn: ConnectionId, frame: Bytes },
    /// It told something.
    Event(Event),
    /// It was told the time.
    Timeout,
}

/// Puts answers together again from the pieces in which the producer gets them.
#[derive(Default)]
pub(super) struct Watch {
    seen: Vec<(Instant, Seen)>,
    inbound: BTreeMap<ConnectionId, BytesMut>,
}

impl Watch {
    pub(super) fn note(&mut self, at: Instant, seen: Seen) {
        if let Seen::Disconnected { conn } = &seen {
            self.inbound.remove(conn);
        }
        self.seen.push((at, seen));
    }

    /// The producer is about to get these bytes.
    pub(super) fn received(&mut self, at: Instant, conn: ConnectionId, bytes: &[u8]) {
        let inbound = self.inbound.entry(conn).or_default();
        inbound.extend_from_slice(bytes);
        while let Some(prefix) = inbound.first_chunk::<4>() {
            // A hostile length waits for bytes that never come.
            let length = u32::from_be_bytes(*prefix) as usize;
            if inbound.len() - 4 < length {
                return;
            }
            let frame = inbound.split_to(4 + length).freeze().slice(4..);
            self.seen.push((at, Seen::Answer { conn, frame }));
        }
    }
}

impl World {
    /// From now on everything that crosses the producer's border is kept until taken, in place of
    /// the world's own list of events and its check of outcomes.
    pub(crate) fn watch(&mut self) {
        self.watch = Some(Watch::default());
    }

    /// Moves what was seen since the last call to the end of `into`.
    pub(crate) fn take_seen(&mut self, into: &mut Vec<(Instant, Seen)>) {
        if let Some(watch) = &mut self.watch {
            into.append(&mut watch.seen);
        }
    }

    pub(super) fn see(&mut self, seen: impl FnOnce() -> Seen) {
        if let Some(watch) = &mut self.watch {
            watch.note(self.now, seen());
        }
    }
}
