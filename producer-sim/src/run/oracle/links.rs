//! Connections: one per broker, each opened and closed once, nothing on a closed one, and no more
//! in flight than is allowed.

use crate::Instant;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Brokers, Sent, Wire};
use kafka_protocol::messages::ApiKey;
use producer_proto::ConnectionId;
use std::collections::{BTreeMap, BTreeSet};

/// What the settings allow on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) in_flight: usize,
    pub(crate) acks: i16,
    pub(crate) timeout_ms: i32,
}

/// The version in which a broker is asked first what it speaks.
const NEWEST_VERSIONS: i16 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Up,
    Closing,
}

#[derive(Debug)]
struct Link {
    broker: Option<i32>,
    address: (String, u16),
    state: State,
    requests: u64,
    /// When its last answer came, if nothing was asked since.
    quiet_since: Option<Instant>,
    /// The cluster has said since that the broker is elsewhere, or not there.
    is_disowned: bool,
    /// A newer connection to the same broker has taken its place.
    is_old: bool,
}

pub(crate) struct Links {
    limits: Limits,
    /// Addresses that somebody has named.
    addresses: BTreeSet<(String, u16)>,
    /// Whether brokers may name any address at all.
    any_address: bool,
    links: BTreeMap<ConnectionId, Link>,
}

impl Links {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, addresses: BTreeSet::new(), any_address: false, links: BTreeMap::new() }
    }

    /// Brokers lie: any address may have been named.
    pub(crate) fn take_any_address(&mut self) {
        self.any_address = true;
    }

    pub(crate) fn new_instance(&mut self) {
        self.links.clear();
    }

    pub(crate) fn name(&mut self, host: &str, port: u16) {
        self.addresses.insert((host.to_owned(), port));
    }

    /// The broker that a connection is meant to lead to.
    pub(crate) fn broker(&self, conn: ConnectionId) -> Option<i32> {
        self.links.get(&conn)?.broker
    }

    /// Whether what still arrives on it is of no interest to the producer.
    pub(crate) fn is_closing(&self, conn: ConnectionId) -> bool {
        self.links.get(&conn).is_some_and(|link| link.state == State::Closing)
    }

    /// The producer dials; `wire` knows what waits on which connection.
    pub(crate) fn connect(
        &mut self,
        at: Instant,
        conn: ConnectionId,
        (host, port): (&str, u16),
        broker: Option<i32>,
        wire: &Wire,
    ) -> Result<(), Failure> {
        let fail = |what| Err(Failure::new(Oracle::Connections, at, what));
        let address = (host.to_owned(), port);
        if !self.any_address && !self.addresses.contains(&address) {
            return fail(format!("{conn} to {host}:{port}, which nobody has named"));
        }
        // Of bootstrap addresses, several may be tried where one is slow or throttled.
        let open = |(_, link): &(&ConnectionId, &Link)| {
            let is_same = link.broker == broker && (broker.is_some() || link.address == address);
            is_same && link.state != State::Closing
        };
        // A broker that moved, or was gone for a while, may have old connections that only wait
        // for their last answers; the close may come behind the dial. Where acks are 0, the last
        // bytes may wait to be written.
        let may_wait = |(conn, link): &(&ConnectionId, &Link)| {
            let is_busy = self.limits.acks == 0
                || !wire.waiting_on(**conn).is_empty()
                || link.quiet_since == Some(at);
            link.state == State::Up && link.is_disowned && is_busy
        };
        let other = self.links.iter().filter(open).find(|other| !may_wait(other));
        if let Some((other, link)) = other {
            return fail(format!("{conn} to {broker:?} beside {other}: {link:?}"));
        }
        for link in self.links.values_mut().filter(|link| link.broker == broker) {
            link.is_old |= broker.is_some();
        }
        let link = Link {
            broker,
            address,
            state: State::Opening,
            requests: 0,
            quiet_since: None,
            is_disowned: false,
            is_old: false,
        };
        self.links.insert(conn, link);
        Ok(())
    }

    /// An answer came on `conn`, where `waiting` others are awaited. It may say that a broker is
    /// elsewhere, or not there; one that makes no sense (`None`) may say so of all.
    pub(crate) fn answered(
        &mut self,
        at: Instant,
        conn: ConnectionId,
        brokers: Option<&Brokers>,
        waiting: usize,
    ) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.quiet_since = (waiting == 0).then_some(at);
        }
        for link in self.links.values_mut() {
            let Some(id) = link.broker else { continue };
            link.is_disowned |= brokers.is_none_or(|brokers| match brokers.addresses.get(&id) {
                Some(address) => *address != link.address,
                None => brokers.is_all,
            });
        }
    }

    pub(crate) fn connected(&mut self, conn: ConnectionId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.state = State::Up;
        }
    }

    pub(crate) fn close(&mut self, conn: ConnectionId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.state = State::Closing;
        }
    }

    pub(crate) fn gone(&mut self, conn: ConnectionId) {
        self.links.remove(&conn);
    }

    /// A request that cannot be read goes out.
    pub(crate) fn sent_something(&mut self, conn: ConnectionId) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.requests += 1;
        }
    }

    /// A request goes out; `waiting` requests of the connection have no answer, this one included.
    pub(crate) fn sent(&mut self, at: Instant, sent: &Sent, waiting: usize) -> Result<(), Failure> {
        let fail = |oracle, what| Err(Failure::new(oracle, at, what));
        let conn = sent.conn;
        let Some(link) = self.links.get_mut(&conn).filter(|link| link.state == State::Up) else {
            return fail(Oracle::Connections, format!("{:?} on {conn}, which is not up", sent.api));
        };
        if link.is_old {
            let what = format!("{:?} on {conn}, which was replaced", sent.api);
            return fail(Oracle::Connections, what);
        }
        link.requests += 1;
        link.quiet_since = None;
        if (link.requests == 1) != (sent.api == ApiKey::ApiVersions) && link.requests < 3 {
            // A broker that does not speak our version is asked a second time.
            let again = link.requests == 2 && sent.version < NEWEST_VERSIONS;
            if !again {
                let what = format!("{:?} is request {} of {conn}", sent.api, link.requests);
                return fail(Oracle::Wire, what);
            }
        }
        if waiting > self.limits.in_flight && sent.api == ApiKey::Produce {
            let limit = self.limits.in_flight;
            return fail(Oracle::Wire, format!("{waiting} in flight on {conn}, limit {limit}"));
        }
        if let Some((acks, timeout)) = sent.acks
            && (acks, timeout) != (self.limits.acks, self.limits.timeout_ms)
        {
            let what = format!("acks {acks} and timeout {timeout}, set are {:?}", self.limits);
            return fail(Oracle::Wire, what);
        }
        let mut partitions = BTreeSet::new();
        for batch in &sent.batches {
            if !partitions.insert((batch.topic, batch.partition)) {
                let what = format!("t{}-{} twice in a request", batch.topic, batch.partition);
                return fail(Oracle::Wire, what);
            }
        }
        Ok(())
    }
}
