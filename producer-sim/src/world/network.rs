//! The network between one producer and the brokers: byte streams with latency, cuts, windows
//! and addresses that lead anywhere or nowhere.

use crate::{ConnId, Instant};
use bytes::{Bytes, BytesMut};
use producer_proto::{ConnectErrorKind, ConnectionId, DisconnectReason, JobResult, Transmit};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How what arrives at one moment is cut before the producer sees it. By contract the cut makes
/// no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cut {
    /// Everything at once, also several answers.
    #[default]
    Whole,
    /// Pieces of so many bytes (at least 1).
    Every(usize),
    /// So many bytes before (-) or behind (+) each answer's end, if there are such bytes.
    Edge(i8),
}

impl Cut {
    /// Cuts the frames that arrive at one moment.
    fn apply(self, frames: &[Bytes]) -> Vec<Bytes> {
        let mut stream = BytesMut::new();
        let mut ends = Vec::new();
        for frame in frames {
            stream.extend_from_slice(frame);
            ends.push(stream.len());
        }
        let stream = stream.freeze();
        let marks: Vec<usize> = match self {
            Self::Whole => Vec::new(),
            Self::Every(size) => {
                (1..).map(|i| i * size.max(1)).take_while(|m| *m < stream.len()).collect()
            }
            Self::Edge(shift) => {
                ends.iter().filter_map(|end| end.checked_add_signed(shift.into())).collect()
            }
        };
        let mut pieces = Vec::new();
        let mut start = 0;
        for mark in marks.into_iter().chain([stream.len()]) {
            if mark > start && mark <= stream.len() {
                pieces.push(stream.slice(start..mark));
                start = mark;
            }
        }
        pieces
    }
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reach {
    /// To the broker that advertises it; refused when that broker is down, a DNS error when there
    /// is none.
    #[default]
    Normal,
    /// To this broker, whoever advertises the address.
    Broker(i32),
    /// The attempt fails this way, at once.
    Fails(ConnectErrorKind),
    /// Packets vanish: the attempt never ends by itself.
    BlackHole,
}

/// What becomes of requests that were under way when their connection died. Only whole requests
/// have an effect; a late one is a ghost: the producer has seen the connection die, and the
/// request is carried out all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They never arrive.
    Lost,
    /// They arrive when they would have.
    Arrive,
    /// They arrive this much later than now.
    ArriveAfter(Duration),
}

/// When a [`Job`](producer_proto::Job) is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Jobs {
    /// At once.
    #[default]
    Inline,
    /// This much later.
    After(Duration),
    /// Given up at once, as by a worker that panicked.
    Abandon,
}

/// Something that happens at a moment.
pub(super) enum Happening {
    Dialled { link: ConnectionId, broker: i32 },
    DialFailed { link: ConnectionId, kind: ConnectErrorKind },
    ToBroker { link: ConnectionId, remote: ConnId, bytes: Bytes },
    ClientGone { remote: ConnId },
    ToClient { link: ConnectionId, bytes: Bytes },
    Disconnected { link: ConnectionId, reason: DisconnectReason },
    JobDone(JobResult),
}

/// One connection from the producer's side.
#[derive(Default)]
pub(super) struct Link {
    pub(super) broker: Option<i32>,
    pub(super) remote: Option<ConnId>,
    /// Taken from the producer, not yet by the socket.
    outbox: VecDeque<Bytes>,
    /// Taken by the socket, not yet read by the broker.
    under_way: usize,
    /// Nothing gets through any more, in this direction, and nobody is told.
    deaf_up: bool,
    deaf_down: bool,
    /// Bytes of one direction keep their order whatever the latency does.
    last_up: Instant,
    last_down: Instant,
    /// The connection has ended, but the producer has yet to hear of it.
    pub(super) ending: Option<DisconnectReason>,
}

impl Link {
    /// Whether the producer may write to it: it is up, as far as the producer knows.
    pub(super) fn takes_bytes(&self) -> bool {
        self.remote.is_some() && self.ending != Some(DisconnectReason::Requested)
    }
}

/// Everything between producer and cluster.
pub(super) struct Network {
    pub(super) latency: Duration,
    pub(super) cut: Cut,
    pub(super) write_window: usize,
    pub(super) jobs: Jobs,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    /// Connections whose client has gone but whose last requests have yet to arrive; what the
    /// brokers answer is lost.
    pub(super) orphans: BTreeSet<ConnId>,
    reach: BTreeMap<(String, u16), Reach>,
    heap: BTreeMap<(Instant, u64), Happening>,
    next: u64,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            latency: Duration::from_millis(1),
            cut: Cut::Whole,
            write_window: usize::MAX,
            jobs: Jobs::Inline,
            links: BTreeMap::new(),
            orphans: BTreeSet::new(),
            reach: BTreeMap::new(),
            heap: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn schedule(&mut self, at: Instant, happening: Happening) {
        self.heap.insert((at, self.next), happening);
        self.next += 1;
    }

    pub(super) fn peek(&self) -> Option<Instant> {
        self.heap.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self, now: Instant) -> Option<Happening> {
        let entry = self.heap.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// The pieces in which `first`, and whatever else the same connection gets at this moment,
    /// reaches the producer.
    pub(super) fn arrive(&mut self, now: Instant, link: ConnectionId, first: Bytes) -> Vec<Bytes> {
        let mut frames = vec![first];
        while let Some(entry) = self.heap.first_entry()
            && entry.key().0 <= now
            && matches!(entry.get(), Happening::ToClient { link: other, .. } if *other == link)
            && let Happening::ToClient { bytes, .. } = entry.remove()
        {
            frames.push(bytes);
        }
        self.cut.apply(&frames)
    }

    pub(super) fn set_reach(&mut self, host: &str, port: u16, reach: Reach) {
        self.reach.insert((host.to_owned(), port), reach);
    }

    pub(super) fn reach(&self, host: &str, port: u16) -> Reach {
        self.reach.get(&(host.to_owned(), port)).copied().unwrap_or_default()
    }

    /// Takes bytes from the producer; how many the socket took at once.
    pub(super) fn transmit(&mut self, now: Instant, transmit: Transmit) -> usize {
        let id = transmit.conn();
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        link.outbox.extend(transmit.into_chunks().filter(|chunk| !chunk.is_empty()));
        self.write(now, id)
    }

    /// Moves what fits into the window from the outbox to the wire; how many bytes that were.
    pub(super) fn write(&mut self, now: Instant, id: ConnectionId) -> usize {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let Some(remote) = link.remote.filter(|_| link.ending.is_none()) else { return 0 };
        let mut taken = BytesMut::new();
        while link.under_way < self.write_window
            && let Some(chunk) = link.outbox.front_mut()
        {
            let room = self.write_window - link.under_way;
            let part = chunk.split_to(room.min(chunk.len()));
            link.under_way += part.len();
            taken.extend_from_slice(&part);
            if chunk.is_empty() {
                link.outbox.pop_front();
            }
        }
        let count = taken.len();
        if count > 0 && !link.deaf_up {
            let at = (now + self.latency).max(link.last_up);
            link.last_up = at;
            let bytes = taken.freeze();
            self.schedule(at, Happening::ToBroker { link: id, remote, bytes });
        }
        count
    }

    /// The broker has read bytes, which makes room in the window.
    pub(super) fn read_by_broker(&mut self, id: ConnectionId, count: usize) {
        if let Some(link) = self.links.get_mut(&id) {
            link.under_way = link.under_way.saturating_sub(count);
        }
    }

    /// Bytes from the broker set out.
    pub(super) fn answer(&mut self, now: Instant, id: ConnectionId, bytes: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.deaf_down {
            let at = (now + self.latency).max(link.last_down);
            link.last_down = at;
            self.schedule(at, Happening::ToClient { link: id, bytes });
        }
    }

    /// The broker has closed the connection.
    pub(super) fn closed_by_broker(&mut self, now: Instant, id: ConnectionId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ending = Some(DisconnectReason::Eof);
        let remote = link.remote;
        if !link.deaf_down {
            let at = (now + self.latency).max(link.last_down);
            self.schedule(at, Happening::Disconnected { link: id, reason: DisconnectReason::Eof });
        }
        if let Some(remote) = remote {
            self.schedule(now, Happening::ClientGone { remote });
        }
    }

    /// Ends a connection for the producer, which hears of it at once, and decides what becomes of
    /// its requests.
    pub(super) fn sever(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: DisconnectReason,
        fate: Fate,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ending = Some(reason);
        let remote = link.remote;
        self.schedule(now, Happening::Disconnected { link: id, reason });
        let Some(remote) = remote else { return };
        self.orphans.insert(remote);
        let mut last = now;
        let under_way: Vec<_> = self
            .heap
            .iter()
            .filter(|(_, h)| matches!(h, Happening::ToBroker { link, .. } if *link == id))
            .map(|(key, _)| *key)
            .collect();
        for key in under_way {
            let at = match fate {
                Fate::Arrive => key.0,
                Fate::ArriveAfter(delay) => now + delay,
                Fate::Lost => {
                    self.heap.remove(&key);
                    continue;
                }
            };
            if let Some(happening) = self.heap.remove(&key) {
                self.schedule(at, happening);
            }
            last = last.max(at);
        }
        self.schedule(last, Happening::ClientGone { remote });
    }

    /// Makes a connection swallow bytes without a sign, in one direction or both.
    pub(super) fn deafen(&mut self, id: ConnectionId, up: bool, down: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            link.deaf_up |= up;
            link.deaf_down |= down;
        }
    }
}
