//! The network between one producer and the brokers: byte streams with latency, cuts, windows
//! and addresses that lead anywhere or nowhere.

use super::Conditions;
use super::link::{Direction, Link};
use crate::run::mix;
use crate::{ConnId, Instant};
use bytes::{Bytes, BytesMut};
use producer_proto::{ConnectErrorKind, ConnectionId, DisconnectReason, JobResult, Transmit};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    /// The connection comes up and is closed at once.
    Closed,
    /// The connection comes up and nobody ever says a word.
    Mute,
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

/// How a new connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Normal,
    Close,
    Mute,
}

/// Something that happens at a moment.
pub(super) enum Happening {
    Dialled {
        link: ConnectionId,
        broker: i32,
        greeting: Greeting,
    },
    DialFailed {
        link: ConnectionId,
        kind: ConnectErrorKind,
    },
    ToBroker {
        link: ConnectionId,
        remote: ConnId,
        bytes: Bytes,
    },
    ClientGone {
        remote: ConnId,
    },
    ToClient {
        link: ConnectionId,
        bytes: Bytes,
    },
    Disconnected {
        link: ConnectionId,
        reason: DisconnectReason,
    },
    JobDone(JobResult),
    /// A socket that took less than it was given takes more.
    Writable {
        link: ConnectionId,
    },
    /// The driver reports what was written.
    ReportWritten {
        link: ConnectionId,
    },
    /// The driver takes the producer's events.
    TakeEvents,
}

impl Happening {
    /// Whether it is a call of the producer, which waits while the process stands still.
    pub(super) fn calls_producer(&self) -> bool {
        !matches!(self, Self::ToBroker { .. } | Self::ClientGone { .. })
    }
}

/// The order of what happens: by time, then as drawn, then as scheduled.
type Slot = (Instant, u8, u64);

/// Everything between producer and cluster.
pub(super) struct Network {
    pub(super) conditions: Conditions,
    pub(super) jobs: Jobs,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    /// Connections whose client has gone but whose last requests have yet to arrive; what the
    /// brokers answer is lost.
    pub(super) orphans: BTreeSet<ConnId>,
    reach: BTreeMap<(String, u16), Reach>,
    heap: BTreeMap<Slot, Happening>,
    next: u64,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            conditions: Conditions::default(),
            jobs: Jobs::Inline,
            links: BTreeMap::new(),
            orphans: BTreeSet::new(),
            reach: BTreeMap::new(),
            heap: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn schedule(&mut self, at: Instant, happening: Happening) {
        let tie = self.tie();
        self.insert((at, tie), happening);
    }

    fn insert(&mut self, (at, tie): (Instant, u8), happening: Happening) {
        self.heap.insert((at, tie, self.next), happening);
        self.next += 1;
    }

    /// Keeps something that is due until the process goes on; among others like it, in order.
    pub(super) fn postpone(&mut self, at: Instant, happening: Happening) {
        self.insert((at, 0), happening);
    }

    fn tie(&self) -> u8 {
        if !self.conditions.shuffle {
            return 0;
        }
        mix(self.conditions.noise ^ mix(self.next)) as u8
    }

    pub(super) fn peek(&self) -> Option<Instant> {
        self.heap.keys().next().map(|(at, ..)| *at)
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
        match self.links.get_mut(&link) {
            Some(state) => state.cut(&self.conditions, &frames),
            None => Vec::new(),
        }
    }

    pub(super) fn set_reach(&mut self, host: &str, port: u16, reach: Reach) {
        self.reach.insert((host.to_owned(), port), reach);
    }

    pub(super) fn reach(&self, host: &str, port: u16) -> Reach {
        if self.reach.is_empty() {
            return Reach::Normal;
        }
        self.reach.get(&(host.to_owned(), port)).copied().unwrap_or_default()
    }

    /// Takes bytes from the producer; how many the socket took at once.
    pub(super) fn transmit(
        &mut self,
        now: Instant,
        id: ConnectionId,
        transmit: Transmit,
        most: usize,
    ) -> usize {
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        link.outbox.extend(transmit.into_chunks().filter(|chunk| !chunk.is_empty()));
        self.write(now, id, most)
    }

    /// Moves what fits into the window, `most` bytes at most, from the outbox to the wire; how
    /// many bytes that were.
    pub(super) fn write(&mut self, now: Instant, id: ConnectionId, most: usize) -> usize {
        let tie = self.tie();
        let Some(link) = self.links.get_mut(&id) else { return 0 };
        let Some(remote) = link.remote.filter(|_| link.ending.is_none()) else { return 0 };
        let window = self.conditions.window.max(1);
        let most = most.min(window.saturating_sub(link.under_way));
        let mut taken = BytesMut::new();
        let mut only = None;
        while taken.len() < most
            && let Some(chunk) = link.outbox.front_mut()
        {
            let part = chunk.split_to((most - taken.len()).min(chunk.len()));
            if chunk.is_empty() {
                link.outbox.pop_front();
            }
            if link.outbox.is_empty() && taken.is_empty() {
                only = Some(part);
                break;
            }
            taken.extend_from_slice(&part);
        }
        let bytes = only.unwrap_or_else(|| taken.freeze());
        let count = bytes.len();
        link.under_way += count;
        let unfinished = !link.outbox.is_empty() && link.under_way < window;
        if count > 0 {
            let slot = link.send(&self.conditions, Direction::Up, id, now, count);
            if let Some(slot) = slot {
                let slot = link.in_order(Direction::Up, slot, tie);
                self.insert(slot, Happening::ToBroker { link: id, remote, bytes });
            }
        }
        if unfinished {
            self.schedule(now + Duration::from_micros(1), Happening::Writable { link: id });
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
        let tie = self.tie();
        let Some(link) = self.links.get_mut(&id) else { return };
        let count = bytes.len();
        if let Some(at) = link.send(&self.conditions, Direction::Down, id, now, count) {
            let slot = link.in_order(Direction::Down, at, tie);
            self.insert(slot, Happening::ToClient { link: id, bytes });
        }
    }

    /// The broker has closed the connection.
    pub(super) fn closed_by_broker(&mut self, now: Instant, id: ConnectionId) {
        let tie = self.tie();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ending = Some(DisconnectReason::Eof);
        let remote = link.remote;
        if let Some(at) = link.send(&self.conditions, Direction::Down, id, now, 0) {
            let slot = link.in_order(Direction::Down, at, tie);
            self.insert(slot, Happening::Disconnected { link: id, reason: DisconnectReason::Eof });
        }
        if let Some(remote) = remote {
            self.schedule(now, Happening::ClientGone { remote });
        }
    }

    /// Ends a connection, decides what becomes of its requests, and tells the producer `late`.
    pub(super) fn sever(
        &mut self,
        now: Instant,
        id: ConnectionId,
        reason: DisconnectReason,
        fate: Fate,
        late: Duration,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ending = Some(reason);
        let remote = link.remote;
        self.schedule(now + late, Happening::Disconnected { link: id, reason });
        let Some(remote) = remote else { return };
        self.orphans.insert(remote);
        let mut last = (now, 0);
        let under_way: Vec<_> = self
            .heap
            .iter()
            .filter(|(_, h)| matches!(h, Happening::ToBroker { link, .. } if *link == id))
            .map(|(key, _)| *key)
            .collect();
        for key in under_way {
            let Some(happening) = self.heap.remove(&key) else { continue };
            let at = match fate {
                Fate::Lost => continue,
                Fate::Arrive => (key.0, key.1),
                Fate::ArriveAfter(delay) => (now + delay, 0),
            };
            self.insert(at, happening);
            last = last.max(at);
        }
        self.insert(last, Happening::ClientGone { remote });
    }

    /// Makes a connection swallow bytes without a sign, in one direction or both.
    pub(super) fn deafen(&mut self, id: ConnectionId, up: bool, down: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            link.up.deaf |= up;
            link.down.deaf |= down;
        }
    }

    /// Stops a connection for a while in one direction or both.
    pub(super) fn clog(&mut self, id: ConnectionId, until: Instant, up: bool, down: bool) {
        if let Some(link) = self.links.get_mut(&id) {
            for (pipe, stops) in [(&mut link.up, up), (&mut link.down, down)] {
                if stops {
                    pipe.clogged = pipe.clogged.max(until);
                }
            }
        }
    }

    /// How much longer than usual what is under way takes when the producer closes a connection.
    pub(super) fn fate_of_close(&self, id: ConnectionId) -> Fate {
        let longest = self.conditions.ghosts.0;
        if longest == 0 {
            return Fate::Arrive;
        }
        let draw = mix(self.conditions.noise ^ mix(id.0 ^ 0x9057));
        match draw % 4 {
            0 | 1 => Fate::Arrive,
            2 => Fate::Lost,
            _ => Fate::ArriveAfter(Duration::from_micros((draw >> 8) % longest)),
        }
    }
}
