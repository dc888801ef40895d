//! One producer, one cluster and the network between them, in virtual time.

mod consistency;
mod control;
mod network;
mod outcome;

pub use control::NewRecord;
pub use network::{Cut, Fate, Jobs, Reach};
pub use outcome::Outcome;

use crate::{Cluster, Instant, Output};
use consistency::Content;
use network::{Happening, Link, Network};
use outcome::Outcomes;
use producer_proto::{
    Action, Config, ConfigError, ConnectErrorKind, ConnectionId, DisconnectReason, Event, Input,
    Producer, Receipt,
};
use std::time::Duration;

/// More turns than this at one instant is a loop that burns CPU.
const MAX_TURNS_PER_INSTANT: usize = 100_000;

/// A connection that the producer asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// When.
    pub at: Instant,
    /// The attempt.
    pub conn: ConnectionId,
    /// Host as asked for.
    pub host: String,
    /// Port as asked for.
    pub port: u16,
    /// The broker that the producer means to reach; `None` for a bootstrap address.
    pub broker: Option<i32>,
}

/// Drives a [`Producer`] against a [`Cluster`]: time jumps from one event to the next, and the
/// same calls always give the same run.
///
/// The producer's contract is asserted all the while: no connection id is used twice, nothing is
/// written to a connection that is not up, every record gets one outcome, and after a timeout
/// the next deadline lies in the future. A breach panics, which fails the test.
///
/// ```
/// use producer_sim::{Cluster, ClusterConfig, TopicConfig, World};
/// use producer_proto::Config;
/// let mut cluster = Cluster::new(ClusterConfig::new(3));
/// cluster.create_topic("orders", TopicConfig::new(6));
/// let mut world = World::new(cluster, Config::default())?;
/// let receipt = world.send("orders", b"value");
/// assert!(world.settle());
/// assert!(world.outcome(receipt).is_some_and(|outcome| outcome.is_delivered()));
/// world.assert_clean();
/// # Ok::<(), producer_proto::ConfigError>(())
/// ```
pub struct World {
    /// The brokers; script them and look at them at any time.
    pub cluster: Cluster,
    /// The producer. Call its application side directly where no helper fits, then
    /// [`World::drain`].
    pub producer: Producer,
    now: Instant,
    network: Network,
    outcomes: Outcomes,
    /// In the order of pushes.
    sent: Vec<(Receipt, Content)>,
    events: Vec<(Instant, Event)>,
    dials: Vec<Dial>,
    trace: u64,
}

impl World {
    /// A world with a producer of these settings; without bootstrap servers it gets the addresses
    /// of all brokers. The producer's seed is all zero.
    ///
    /// # Errors
    /// The settings are not valid.
    pub fn new(cluster: Cluster, config: Config) -> Result<Self, ConfigError> {
        Self::with_seed(cluster, config, [0; 32])
    }

    /// The same as [`World::new`] with a seed for the producer.
    ///
    /// # Errors
    /// The settings are not valid.
    pub fn with_seed(
        cluster: Cluster,
        mut config: Config,
        seed: [u8; 32],
    ) -> Result<Self, ConfigError> {
        if config.bootstrap_servers.is_empty() {
            let brokers = cluster.brokers();
            config.bootstrap_servers =
                brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
        }
        let now = Instant::from_millis(1);
        Ok(Self {
            producer: Producer::new(&config, now, seed)?,
            cluster,
            now,
            network: Network::new(),
            outcomes: Outcomes::default(),
            sent: Vec::new(),
            events: Vec::new(),
            dials: Vec::new(),
            trace: 0,
        })
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Takes everything the producer has to say and does what it asks for. Needed after calls on
    /// [`World::producer`] directly; every other method does it.
    pub fn drain(&mut self) {
        for _ in 0..MAX_TURNS_PER_INSTANT {
            let mut quiet = true;
            while let Some(transmit) = self.producer.poll_transmit(self.now) {
                quiet = false;
                let conn = transmit.conn();
                let link = self.network.links.get(&conn);
                let up = link.is_some_and(Link::takes_bytes);
                assert!(up, "bytes for {conn}, which is not up");
                let count = self.network.transmit(self.now, transmit);
                self.written(conn, count);
            }
            while let Some(action) = self.producer.poll_action() {
                quiet = false;
                self.act(action);
            }
            while let Some(event) = self.producer.poll_event() {
                quiet = false;
                self.outcomes.note(self.now, &event);
                self.events.push((self.now, event));
            }
            if quiet {
                return;
            }
        }
        panic!("the producer never goes quiet at {:?}", self.now);
    }

    /// Goes to the next moment at which something happens, but not beyond `limit`; `false` when
    /// there is no such moment.
    pub fn step(&mut self, limit: Instant) -> bool {
        self.drain();
        let sources =
            [self.network.peek(), self.cluster.poll_timeout(), self.producer.poll_timeout()];
        let Some(next) = sources.into_iter().flatten().min().filter(|at| *at <= limit) else {
            return false;
        };
        self.now = self.now.max(next);
        for turn in 0.. {
            assert!(turn < MAX_TURNS_PER_INSTANT, "events without end at {:?}", self.now);
            let Some(happening) = self.network.pop(self.now) else { break };
            self.happen(happening);
            self.drain();
        }
        self.cluster.advance(self.now);
        self.collect_answers();
        if self.producer.poll_timeout().is_some_and(|at| at <= self.now) {
            self.mix(1, self.now.as_micros());
            self.producer.handle_input(self.now, Input::Timeout);
            self.drain();
            let next = self.producer.poll_timeout();
            assert!(
                next.is_none_or(|at| at > self.now),
                "after a timeout at {:?} the next deadline is {next:?} ({:?}): a hot loop",
                self.now,
                self.producer.timeout_reason(),
            );
        }
        true
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, host, port, broker } => {
                self.mix(2, conn.0);
                assert!(self.dials.iter().all(|dial| dial.conn != conn), "{conn} was used before");
                self.network.links.insert(conn, Link::default());
                let broker = broker.map(|broker| broker.0);
                let dial = Dial { at: self.now, conn, host: host.to_string(), port, broker };
                self.dial(&dial);
                self.dials.push(dial);
            }
            Action::Close { conn } => {
                self.mix(3, conn.0);
                let ending = self.network.links.get(&conn).map(|link| link.ending);
                let again = ending.is_none_or(|end| end == Some(DisconnectReason::Requested));
                assert!(!again, "{conn} is closed already");
                // What the socket took is still sent before it closes.
                self.network.sever(self.now, conn, DisconnectReason::Requested, Fate::Arrive);
            }
            Action::Run(job) => match self.network.jobs {
                Jobs::Inline => self.producer.handle_input(self.now, Input::Done(job.run())),
                Jobs::Abandon => self.producer.handle_input(self.now, Input::Done(job.abandon())),
                Jobs::After(delay) => {
                    self.network.schedule(self.now + delay, Happening::JobDone(job.run()));
                }
            },
            other => panic!("the world cannot do {other:?}"),
        }
    }

    fn dial(&mut self, dial: &Dial) {
        let &Dial { conn: link, port, .. } = dial;
        // Where several brokers share an address, a proxy leads to the right one.
        let meant = dial.broker.filter(|&broker| self.cluster.is_at(broker, &dial.host, port));
        let advertised = meant.or_else(|| self.cluster.broker_at(&dial.host, port));
        let answer = self.now + self.network.latency * 2;
        let (at, happening) = match (self.network.reach(&dial.host, port), advertised) {
            (Reach::Normal, Some(broker)) | (Reach::Broker(broker), _) => {
                (answer, Happening::Dialled { link, broker })
            }
            (Reach::Normal, None) => {
                (self.now, Happening::DialFailed { link, kind: ConnectErrorKind::Dns })
            }
            (Reach::Fails(kind), _) => (self.now, Happening::DialFailed { link, kind }),
            (Reach::BlackHole, _) => return,
        };
        self.network.schedule(at, happening);
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Dialled { link, broker } => {
                let Some(state) = self.network.links.get_mut(&link) else { return };
                if state.ending.is_some() {
                    return;
                }
                match self.cluster.connect(now, broker) {
                    Ok(remote) => {
                        state.remote = Some(remote);
                        state.broker = Some(broker);
                        self.mix(4, link.0);
                        self.producer.handle_input(now, Input::Connected { conn: link });
                        self.collect_answers();
                    }
                    Err(_) => self.dial_failed(link, ConnectErrorKind::Refused),
                }
            }
            Happening::DialFailed { link, kind } => self.dial_failed(link, kind),
            Happening::ToBroker { link, remote, bytes } => {
                self.mix_bytes(6, link.0, &bytes);
                self.cluster.receive(now, remote, &bytes);
                self.network.read_by_broker(link, bytes.len());
                let count = self.network.write(now, link);
                self.written(link, count);
                self.collect_answers();
            }
            Happening::ClientGone { remote } => {
                self.network.orphans.remove(&remote);
                self.cluster.disconnect(now, remote);
            }
            Happening::ToClient { link, bytes } => {
                for piece in self.network.arrive(now, link, bytes) {
                    // The producer may have closed the connection over an earlier piece.
                    if self.network.links.get(&link).is_some_and(Link::takes_bytes) {
                        self.mix_bytes(7, link.0, &piece);
                        let input = Input::Received { conn: link, bytes: &piece };
                        self.producer.handle_input(now, input);
                        self.drain();
                    }
                }
            }
            Happening::Disconnected { link, reason } => {
                if self.network.links.remove(&link).is_some() {
                    self.mix(8, link.0);
                    self.producer.handle_input(now, Input::Disconnected { conn: link, reason });
                }
            }
            Happening::JobDone(result) => self.producer.handle_input(now, Input::Done(result)),
        }
    }

    fn dial_failed(&mut self, link: ConnectionId, kind: ConnectErrorKind) {
        // Nothing to report when the producer gave the attempt up in the meantime.
        let waits = self.network.links.get(&link).is_some_and(|state| state.ending.is_none());
        if waits {
            self.network.links.remove(&link);
            self.mix(5, link.0);
            self.producer.handle_input(self.now, Input::ConnectFailed { conn: link, kind });
        }
    }

    fn written(&mut self, conn: ConnectionId, bytes: usize) {
        if bytes > 0 {
            self.producer.handle_input(self.now, Input::Written { conn, bytes });
        }
    }

    /// Puts what the brokers have to say on the wire.
    fn collect_answers(&mut self) {
        for remote in &self.network.orphans {
            while self.cluster.poll_output(self.now, *remote).is_some() {}
        }
        let open: Vec<_> = self
            .network
            .links
            .iter()
            .filter(|(_, link)| link.ending.is_none())
            .filter_map(|(id, link)| link.remote.map(|remote| (*id, remote)))
            .collect();
        for (id, remote) in open {
            while let Some(output) = self.cluster.poll_output(self.now, remote) {
                match output {
                    Output::Bytes(bytes) => self.network.answer(self.now, id, bytes),
                    Output::Close => self.network.closed_by_broker(self.now, id),
                }
            }
        }
    }

    fn mix(&mut self, kind: u64, value: u64) {
        for part in [self.now.as_micros(), kind, value] {
            self.trace = (self.trace.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn mix_bytes(&mut self, kind: u64, link: u64, bytes: &[u8]) {
        self.mix(kind, link);
        self.mix(kind, crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes));
    }
}

/// How long [`World::settle`] and [`World::run_until`] go on in vain.
const PATIENCE: Duration = Duration::from_secs(3600);
