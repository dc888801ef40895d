//! One connection: handshake state, frames, requests in flight.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::node::NodeIndex;
use crate::outstanding::Slot;
use crate::topics::PartitionIndex;
use crate::wire::{ApiKey, BrokerVersions, FrameSplitter};
use crate::{ConnectionId, DescribeId, Instant};

pub(crate) struct Conn {
    pub(crate) node: NodeIndex,
    pub(crate) state: ConnState,
    pub(crate) versions: BrokerVersions,
    pub(crate) splitter: FrameSplitter,
    next_correlation: i32,
    /// Requests of our own that wait to be handed out, in order.
    pub(crate) outbox: VecDeque<Outgoing>,
    /// Handed out and not over, in order.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Bytes handed out, and how many of them the transport has written.
    handed_out: u64,
    written: u64,
    /// Sum of all throttling asked for on this connection: a request's deadline moves with it.
    pub(crate) throttled: Duration,
    pub(crate) last_used: Instant,
    /// Something without an answer was written since the last answer: that the broker closes the
    /// connection may be what it has to say about it.
    pub(crate) is_unconfirmed: bool,
    /// To be closed once nothing is in flight: its broker has moved or left, or it has done its
    /// work as a bootstrap connection.
    pub(crate) is_superseded: bool,
    /// Buffer memory of finished batches whose bytes the transport may still hold.
    pub(crate) lent: Vec<Slot>,
}

/// The connections, by id. There are few, they are looked up all the time, and a new one has the
/// highest id: a sorted list.
#[derive(Default)]
pub(crate) struct Conns(Vec<(ConnectionId, Conn)>);

impl Conns {
    #[inline]
    fn place(&self, id: ConnectionId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |&(id, _)| id)
    }

    #[inline]
    pub(crate) fn get(&self, id: &ConnectionId) -> Option<&Conn> {
        self.place(*id).ok().map(|place| &self.0[place].1)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: &ConnectionId) -> Option<&mut Conn> {
        self.place(*id).ok().map(|place| &mut self.0[place].1)
    }

    pub(crate) fn insert(&mut self, id: ConnectionId, conn: Conn) {
        match self.place(id) {
            Ok(place) => self.0[place].1 = conn,
            Err(place) => self.0.insert(place, (id, conn)),
        }
    }

    pub(crate) fn remove(&mut self, id: &ConnectionId) -> Option<Conn> {
        self.place(*id).ok().map(|place| self.0.remove(place).1)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.0.iter().map(|&(id, _)| id)
    }

    #[cfg(test)]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnState {
    /// The transport is dialling.
    Connecting,
    /// ApiVersions has been asked in this version.
    Negotiating {
        /// Of the ApiVersions request.
        version: i16,
    },
    /// Takes requests.
    Ready,
    /// We have asked for it to be closed; only the answer is awaited.
    Closing,
}

/// A request that is encoded and not handed out.
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    pub(crate) correlation: i32,
    pub(crate) version: i16,
    pub(crate) kind: Request,
}

/// A request that is handed out and has no answer.
pub(crate) struct InFlight {
    pub(crate) correlation: i32,
    pub(crate) version: i16,
    pub(crate) sent: Instant,
    /// Position in the outbound stream behind its last byte.
    end: u64,
    /// [`Conn::throttled`] when it was handed out.
    throttled: Duration,
    pub(crate) kind: Request,
}

/// What a request is, with what its answer needs to be understood.
#[derive(Debug)]
pub(crate) enum Request {
    ApiVersions,
    Metadata(MetadataScope),
    Describe(DescribeId),
    InitProducerId,
    Produce {
        /// No answer comes: it is over when it is written.
        without_answer: bool,
        /// Its batches, sorted by partition index of the table.
        batches: Vec<(PartitionIndex, Slot)>,
    },
}

/// Which topics a metadata request asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MetadataScope {
    /// All in use.
    All(Vec<u32>),
    /// Only those that are new.
    New(Vec<u32>),
}

impl MetadataScope {
    pub(crate) fn topics(&self) -> &[u32] {
        match self {
            Self::All(topics) | Self::New(topics) => topics,
        }
    }
}

impl Request {
    pub(crate) fn api(&self) -> ApiKey {
        match self {
            Self::ApiVersions => ApiKey::ApiVersions,
            Self::Metadata(_) | Self::Describe(_) => ApiKey::Metadata,
            Self::InitProducerId => ApiKey::InitProducerId,
            Self::Produce { .. } => ApiKey::Produce,
        }
    }
}

impl Conn {
    pub(crate) fn new(node: NodeIndex, max_frame: usize, now: Instant) -> Self {
        Self {
            node,
            state: ConnState::Connecting,
            versions: BrokerVersions::default(),
            splitter: FrameSplitter::new(max_frame),
            next_correlation: 0,
            outbox: VecDeque::new(),
            in_flight: VecDeque::new(),
            handed_out: 0,
            written: 0,
            throttled: Duration::ZERO,
            last_used: now,
            is_unconfirmed: false,
            is_superseded: false,
            lent: Vec::new(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == ConnState::Ready
    }

    /// Unique among what is in flight: it goes round after 2³¹ requests.
    pub(crate) fn correlation(&mut self) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = correlation.checked_add(1).unwrap_or(0);
        correlation
    }

    /// Whether the transport has written all it was given: only then is more handed out, so that
    /// a close discards little and order stays in the core's hands.
    pub(crate) fn is_write_idle(&self) -> bool {
        self.handed_out == self.written
    }

    /// Notes a request as handed out.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        bytes: usize,
        correlation: i32,
        version: i16,
        kind: Request,
    ) {
        self.handed_out += bytes as u64;
        self.last_used = now;
        self.in_flight.push_back(InFlight {
            correlation,
            version,
            sent: now,
            end: self.handed_out,
            throttled: self.throttled,
            kind,
        });
    }

    /// Notes progress of the transport; it cannot have written more than it was given.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64).min(self.handed_out);
    }

    pub(crate) fn is_written(&self, request: &InFlight) -> bool {
        request.end <= self.written
    }

    /// Takes the oldest request that has no answer to wait for, if it is written: also from behind
    /// requests that are still to be answered.
    pub(crate) fn take_written_without_answer(&mut self) -> Option<InFlight> {
        let wants_none =
            |r: &InFlight| matches!(r.kind, Request::Produce { without_answer: true, .. });
        let place = self.in_flight.iter().position(wants_none)?;
        if !self.is_written(&self.in_flight[place]) {
            return None;
        }
        self.is_unconfirmed = true;
        self.in_flight.remove(place)
    }

    /// When the oldest request will have waited too long.
    pub(crate) fn request_deadline(&self, timeout: Duration) -> Instant {
        self.in_flight.front().map_or(Instant::MAX, |request| {
            request.sent + timeout + self.throttled.saturating_sub(request.throttled)
        })
    }

    /// Whether nothing is under way or waiting on it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty() && self.outbox.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn() -> Conn {
        Conn::new(0, 1_000, Instant::ZERO)
    }

    #[test]
    fn con_20_correlation_ids_go_round_without_a_panic() {
        let mut conn = conn();
        conn.next_correlation = i32::MAX - 1;
        assert_eq!([(); 4].map(|()| conn.correlation()), [i32::MAX - 1, i32::MAX, 0, 1]);
    }

    #[test]
    fn a_request_without_answer_is_over_with_its_last_byte() {
        let mut conn = conn();
        let kind = Request::Produce { without_answer: true, batches: Vec::new() };
        conn.sent(Instant::ZERO, 10, 0, 3, kind);
        conn.wrote(9);
        assert!(conn.take_written_without_answer().is_none());
        assert!(!conn.is_write_idle());
        conn.wrote(usize::MAX);
        assert!(conn.take_written_without_answer().is_some());
        assert!(conn.is_write_idle());
    }

    #[test]
    fn thr_03_throttling_moves_the_deadline_of_what_was_in_flight() {
        let mut conn = conn();
        let timeout = Duration::from_secs(1);
        conn.sent(Instant::ZERO, 1, 0, 0, Request::InitProducerId);
        assert_eq!(conn.request_deadline(timeout), Instant::from_millis(1_000));
        conn.throttled += Duration::from_millis(500);
        assert_eq!(conn.request_deadline(timeout), Instant::from_millis(1_500));
    }
}
