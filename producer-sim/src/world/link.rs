//! One connection from the producer's side: two pipes of bytes.

use super::{Conditions, Cut};
use crate::run::mix;
use crate::{ConnId, Instant};
use bytes::Bytes;
use producer_proto::{ConnectionId, DisconnectReason};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    /// Swallows everything.
    pub(super) deaf: bool,
    /// Nothing sets out before.
    pub(super) clogged: Instant,
    /// When the last byte that was sent has left.
    free: Instant,
    /// When the last piece arrives, and its place among what happens then.
    last: (Instant, u8),
    /// Pieces so far, for draws.
    pieces: u64,
}

#[derive(Default)]
pub(super) struct Link {
    pub(super) broker: Option<i32>,
    pub(super) remote: Option<ConnId>,
    /// Taken from the producer, not yet by the socket.
    pub(super) outbox: VecDeque<Bytes>,
    /// Taken by the socket, not yet read by the broker.
    pub(super) under_way: usize,
    /// Taken by the socket and not yet reported to the producer.
    pub(super) unreported: usize,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// Why it ends, once that is decided; the producer may not have heard yet.
    pub(super) ending: Option<DisconnectReason>,
    /// What [`Cut::Drawn`] is for this connection.
    cut: Option<Cut>,
    cuts: u64,
    last_used: Instant,
}

impl Link {
    /// Whether the producer may write to it: it is up, as far as the producer knows.
    pub(super) fn takes_bytes(&self) -> bool {
        self.remote.is_some() && self.ending != Some(DisconnectReason::Requested)
    }

    /// When `count` bytes that set out now arrive; `None` if they never do.
    pub(super) fn send(
        &mut self,
        conditions: &Conditions,
        direction: Direction,
        id: ConnectionId,
        now: Instant,
        count: usize,
    ) -> Option<Instant> {
        let forget = conditions.forget_idle.duration();
        let was_used = std::mem::replace(&mut self.last_used, now);
        if !forget.is_zero() && was_used > Instant::ZERO && now - was_used > forget {
            self.up.deaf = true;
            self.down.deaf = true;
        }
        let pipe = self.pipe(direction);
        if pipe.deaf {
            return None;
        }
        pipe.pieces += 1;
        let entity = id.0 << 1 | u64::from(direction == Direction::Up);
        let mut n = pipe.pieces << 2;
        let mut draw = |limit: u64| {
            n += 1;
            mix(conditions.noise ^ mix(entity ^ mix(n))) % limit.max(1)
        };
        let mut delay = conditions.latency.0;
        if conditions.jitter.0 > 0 {
            let halvings = u64::from((draw(256) as u8).leading_zeros());
            delay += draw(conditions.jitter.0) + conditions.jitter.0 * halvings.min(7);
        }
        if conditions.tail_per_mille > 0 && draw(1_000) < conditions.tail_per_mille {
            delay += draw(conditions.tail.0);
        }
        let begin = now.max(pipe.clogged).max(pipe.free);
        let on_line = (count as u64 * 1_000_000).checked_div(conditions.bandwidth).unwrap_or(0);
        pipe.free = begin + Duration::from_micros(on_line);
        Some((pipe.free + Duration::from_micros(delay)).max(pipe.last.0))
    }

    /// The place of a piece that arrives at `at`: never before the one in front of it.
    pub(super) fn in_order(&mut self, direction: Direction, at: Instant, tie: u8) -> (Instant, u8) {
        let pipe = self.pipe(direction);
        pipe.last = pipe.last.max((at, tie));
        pipe.last
    }

    fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Cuts what arrives.
    pub(super) fn cut(&mut self, conditions: &Conditions, frames: &[Bytes]) -> Vec<Bytes> {
        let remote = self.remote.map_or(0, |remote| remote.0);
        let cuts = &mut self.cuts;
        let mut draw = |limit: u64| {
            *cuts += 1;
            mix(conditions.noise ^ mix(remote ^ mix(*cuts))) % limit.max(1)
        };
        let cut = match conditions.cut {
            Cut::Drawn => *self.cut.get_or_insert_with(|| Cut::drawn(&mut draw)),
            cut => cut,
        };
        cut.apply(frames, draw)
    }
}
