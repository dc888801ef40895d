//! Brokers and bootstrap addresses: where connections lead, and when they may be tried.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::topics::PartitionIndex;
use crate::wire::BrokerVersions;
use crate::{BrokerId, ConnectionId, Instant};

/// A broker that is out of the list and could not be reached is remembered for so long after its
/// backoff: should it come back, the backoff goes on growing.
const FAILURES_KEPT: Duration = Duration::from_secs(300);

/// Index of a node in the table of nodes.
pub(crate) type NodeIndex = u32;

/// A broker, or an address of the bootstrap list.
pub(crate) struct Node {
    /// `None` for a bootstrap address.
    pub(crate) id: Option<BrokerId>,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// Whether the last metadata listed it (always true for a bootstrap address).
    pub(crate) is_listed: bool,
    /// Its connection, from the attempt to open it until it ends.
    pub(crate) conn: Option<ConnectionId>,
    /// Whether that connection is ready for requests.
    pub(crate) is_up: bool,
    /// Connections lost or failed since it was last ready.
    pub(crate) failures: u32,
    /// Connection attempts in a row that never became ready.
    pub(crate) setup_failures: u32,
    /// What last went wrong with its connection, until one is ready.
    pub(crate) trouble: Option<Arc<str>>,
    /// Not dialled before this.
    pub(crate) retry_at: Instant,
    /// Where it was before, until when it was not to be dialled there, and after how many failures:
    /// should it be there again, the backoff goes on growing.
    left: Option<Box<Left>>,
    pub(crate) last_attempt: Option<Instant>,
    /// Attempts so far; keys the jitter.
    pub(crate) attempts: u64,
    /// Nothing is written to it before this (KIP-219).
    pub(crate) throttled_until: Instant,
    /// What its last connection negotiated.
    pub(crate) versions: Option<BrokerVersions>,
    /// Partitions with something to send, each once, in fair rotation.
    pub(crate) ready: VecDeque<PartitionIndex>,
    /// Partitions it leads.
    pub(crate) leads: u32,
    /// Since when it has been unable to take data that waits for it.
    pub(crate) unable_since: Option<Instant>,
    /// It has been so for longer than unkeyed records are to wait for it.
    pub(crate) is_slow: bool,
    /// Whether it stands in the queue of nodes to be looked at by `poll_transmit`.
    pub(crate) is_dirty: bool,
}

/// An address that a broker has left.
struct Left {
    host: Arc<str>,
    port: u16,
    retry_at: Instant,
    failures: u32,
    setup_failures: u32,
}

impl Node {
    fn new(id: Option<BrokerId>, host: Arc<str>, port: u16) -> Self {
        Self {
            id,
            host,
            port,
            is_listed: true,
            conn: None,
            is_up: false,
            failures: 0,
            setup_failures: 0,
            trouble: None,
            retry_at: Instant::ZERO,
            left: None,
            last_attempt: None,
            attempts: 0,
            throttled_until: Instant::ZERO,
            versions: None,
            ready: VecDeque::new(),
            leads: 0,
            unable_since: None,
            is_slow: false,
            is_dirty: false,
        }
    }

    /// `host:port`, with brackets round an IPv6 address.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Not dialled before this: a connection that may not be written to would be closed as idle,
    /// and opened again.
    pub(crate) fn dial_at(&self) -> Instant {
        self.retry_at.max(self.throttled_until)
    }

    pub(crate) fn is_at(&self, host: &str, port: u16) -> bool {
        (&*self.host, self.port) == (host, port)
    }

    /// Moves to another address, which may be dialled at once if the node was not there before.
    fn move_to(&mut self, host: Arc<str>, port: u16) {
        let before = self.left.take().filter(|left| (&left.host, left.port) == (&host, port));
        let new = match before {
            Some(before) => *before,
            None => Left { host, port, retry_at: Instant::ZERO, failures: 0, setup_failures: 0 },
        };
        self.left = Some(Box::new(Left {
            host: std::mem::replace(&mut self.host, new.host),
            port: std::mem::replace(&mut self.port, new.port),
            retry_at: std::mem::replace(&mut self.retry_at, new.retry_at),
            failures: std::mem::replace(&mut self.failures, new.failures),
            setup_failures: std::mem::replace(&mut self.setup_failures, new.setup_failures),
        }));
    }

    /// For error texts.
    pub(crate) fn describe(&self) -> String {
        match self.id {
            Some(id) => format!("broker {} at {}", id.0, self.address()),
            None => format!("bootstrap server {}", self.address()),
        }
    }

    /// Whether nothing is known of it that may still be needed, its backoff included, and how far
    /// that has grown.
    fn is_forgotten(&self, now: Instant) -> bool {
        let kept = if self.failures > 0 { FAILURES_KEPT } else { Duration::ZERO };
        self.id.is_some()
            && !self.is_listed
            && self.conn.is_none()
            && self.retry_at + kept <= now
            && self.leads == 0
            && self.ready.is_empty()
            && !self.is_dirty
    }
}

pub(crate) struct Nodes {
    list: Vec<Node>,
    by_broker: BTreeMap<i32, NodeIndex>,
    bootstrap: usize,
}

impl Nodes {
    pub(crate) fn new(bootstrap: &[(Arc<str>, u16)]) -> Self {
        let list = bootstrap.iter().map(|(host, port)| Node::new(None, host.clone(), *port));
        Self { list: list.collect(), by_broker: BTreeMap::new(), bootstrap: bootstrap.len() }
    }

    pub(crate) fn by_broker(&self, id: i32) -> Option<NodeIndex> {
        self.by_broker.get(&id).copied()
    }

    /// The node of that broker id, made if need be, listed and at that address. The second part
    /// tells whether it had another address before.
    pub(crate) fn list_broker(
        &mut self,
        now: Instant,
        id: i32,
        host: Arc<str>,
        port: u16,
    ) -> (NodeIndex, bool) {
        if let Some(&index) = self.by_broker.get(&id) {
            let node = &mut self.list[index as usize];
            node.is_listed = true;
            let moved = !node.is_at(&host, port);
            if moved {
                node.move_to(host, port);
            }
            return (index, moved);
        }
        let node = Node::new(Some(BrokerId(id)), host, port);
        // A cluster that names ever new brokers must not make this table grow without end.
        let index = match self.list.iter().position(|node| node.is_forgotten(now)) {
            Some(index) => {
                if let Some(old) = self.list[index].id {
                    self.by_broker.remove(&old.0);
                }
                self.list[index] = node;
                index
            }
            None => {
                self.list.push(node);
                self.list.len() - 1
            }
        };
        let index = NodeIndex::try_from(index).expect("fewer nodes than bytes of memory");
        self.by_broker.insert(id, index);
        (index, false)
    }

    /// Bootstrap addresses.
    pub(crate) fn bootstrap(&self) -> std::ops::Range<NodeIndex> {
        0..self.bootstrap as NodeIndex
    }

    /// Brokers that metadata lists now.
    pub(crate) fn listed_brokers(&self) -> impl Iterator<Item = NodeIndex> + Clone {
        self.by_broker.values().copied().filter(|&index| self.list[index as usize].is_listed)
    }

    pub(crate) fn all(&self) -> std::ops::Range<NodeIndex> {
        0..self.list.len() as NodeIndex
    }
}

impl std::ops::Index<NodeIndex> for Nodes {
    type Output = Node;

    fn index(&self, index: NodeIndex) -> &Node {
        &self.list[index as usize]
    }
}

impl std::ops::IndexMut<NodeIndex> for Nodes {
    fn index_mut(&mut self, index: NodeIndex) -> &mut Node {
        &mut self.list[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_comes_back_to_an_address_is_not_dialled_sooner() {
        let mut nodes = Nodes::new(&[]);
        let (now, later) = (Instant::from_millis(1), Instant::from_millis(9));
        let (one, _) = nodes.list_broker(now, 1, "a".into(), 1);
        (nodes[one].failures, nodes[one].setup_failures, nodes[one].retry_at) = (3, 2, later);
        nodes.list_broker(now, 1, "b".into(), 1);
        assert_eq!((nodes[one].failures, nodes[one].retry_at), (0, Instant::ZERO));
        nodes.list_broker(now, 1, "a".into(), 1);
        let node = &nodes[one];
        assert_eq!((node.failures, node.setup_failures, node.retry_at), (3, 2, later));
        nodes.list_broker(now, 1, "c".into(), 1);
        assert_eq!(nodes[one].failures, 0, "it was never there");
    }

    #[test]
    fn a_broker_keeps_its_node_when_its_address_moves_and_forgotten_nodes_are_used_again() {
        let mut nodes = Nodes::new(&[("seed".into(), 9092)]);
        let now = Instant::from_millis(1);
        let (one, moved) = nodes.list_broker(now, 1, "a".into(), 1);
        assert!(!moved);
        assert_eq!(nodes.list_broker(now, 1, "b".into(), 1), (one, true));
        nodes[one].is_listed = false;
        nodes[one].leads = 1;
        let (two, _) = nodes.list_broker(now, 2, "c".into(), 1);
        assert_ne!(two, one, "a partition still names it");
        nodes[one].leads = 0;
        nodes[one].retry_at = Instant::from_millis(2);
        let (three, _) = nodes.list_broker(now, 3, "d".into(), 1);
        assert_ne!(three, one, "its backoff is not over");
        (nodes[one].retry_at, nodes[one].failures) = (now, 1);
        let (other, _) = nodes.list_broker(now, 5, "f".into(), 1);
        assert_ne!(other, one, "its next backoff is to be longer");
        let now = now + FAILURES_KEPT;
        assert_eq!(nodes.list_broker(now, 4, "e".into(), 1), (one, false));
        assert_eq!(nodes.by_broker(1), None);
        assert_eq!(nodes.listed_brokers().collect::<Vec<_>>(), [two, three, one, other]);
    }
}
