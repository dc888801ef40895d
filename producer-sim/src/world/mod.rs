//! One producer, one cluster and the network between them, in virtual time.

mod conditions;
mod consistency;
mod control;
mod cut;
mod driver;
mod link;
mod network;
mod outcome;
mod watch;

pub use conditions::{Conditions, Driver, Micros};
pub use control::NewRecord;
pub use cut::Cut;
pub use network::{Fate, Jobs, Reach};
pub use outcome::Outcome;
pub(crate) use watch::Seen;

use crate::{Cluster, ConnId, Instant, Output};
use consistency::Content;
use link::Link;
use network::{Greeting, Happening, Network};
use outcome::Outcomes;
use producer_proto::{
    Action, Config, ConfigError, ConnectErrorKind, ConnectionId, DisconnectReason, Event, Input,
    Producer, Receipt,
};
use std::time::Duration;
use watch::Watch;

/// More turns than this at one instant is a loop that burns CPU.
const MAX_TURNS_PER_INSTANT: usize = 100_000;

/// More than this on the wire at one instant never ends. Without latency a window of two bytes
/// takes an event for each pair of them.
const MAX_EVENTS_PER_INSTANT: usize = 5_000_000;

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
    config: Config,
    now: Instant,
    network: Network,
    outcomes: Outcomes,
    /// In the order of pushes.
    sent: Vec<(Receipt, Content)>,
    events: Vec<(Instant, Event)>,
    dials: Vec<Dial>,
    trace: u64,
    driver: Driver,
    /// Until when the process stands still.
    asleep: Option<Instant>,
    slept: Duration,
    /// How late the timeout of this moment is noticed.
    lateness: Option<(Instant, Duration)>,
    /// What the first connection of this producer is called here: ids of producers that died are
    /// not used again.
    first_conn: u64,
    next_dial: u64,
    /// Draws of the driver so far.
    draws: u64,
    /// Events of the producer wait for the driver to take them.
    events_waiting: bool,
    /// Used again from call to call.
    open: Vec<(ConnectionId, ConnId)>,
    watch: Option<Watch>,
    /// Inputs that the producer got, and things that happened to brokers and on the network.
    happenings: u64,
    wake_ups: u64,
    /// Bytes that were on their way to a broker or from one.
    carried: u64,
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
            config,
            now,
            network: Network::new(),
            outcomes: Outcomes::default(),
            sent: Vec::new(),
            events: Vec::new(),
            dials: Vec::new(),
            trace: 0,
            driver: Driver::default(),
            asleep: None,
            slept: Duration::ZERO,
            lateness: None,
            first_conn: 0,
            next_dial: 0,
            draws: 0,
            events_waiting: false,
            open: Vec::new(),
            watch: None,
            happenings: 0,
            wake_ups: 0,
            carried: 0,
        })
    }

    /// The settings that the first producer got.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How much has happened: calls of the producer, and things that happened on the network.
    /// How often the producer was called because its deadline had come.
    pub(crate) fn wake_ups(&self) -> u64 {
        self.wake_ups
    }

    pub(crate) fn carried(&self) -> u64 {
        self.carried
    }

    pub(crate) fn happenings(&self) -> u64 {
        self.happenings
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Goes to the next moment at which something happens, but not beyond `limit`; `false` when
    /// there is no such moment.
    pub fn step(&mut self, limit: Instant) -> bool {
        self.drain();
        let sources = [self.network.peek(), self.cluster.poll_timeout(), self.next_call()];
        let Some(next) = sources.into_iter().flatten().min().filter(|at| *at <= limit) else {
            return false;
        };
        self.now = self.now.max(next);
        self.asleep = self.asleep_until();
        if self.is_timeout_first() {
            self.tell_time();
        }
        for turn in 0.. {
            assert!(turn < MAX_EVENTS_PER_INSTANT, "events without end at {:?}", self.now);
            let Some(happening) = self.network.pop(self.now) else { break };
            self.happenings += 1;
            if let Some(awake) = self.asleep.filter(|_| happening.calls_producer()) {
                self.network.postpone(awake, happening);
                continue;
            }
            self.happen(happening);
            self.drain();
        }
        self.cluster.advance(self.now);
        self.collect_answers();
        self.tell_time();
        true
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, host, port, broker } => {
                let conn = self.global(conn);
                self.mix(2, conn.0);
                assert!(conn.0 >= self.next_dial, "{conn} was used before");
                self.next_dial = conn.0 + 1;
                self.network.links.insert(conn, Link::default());
                let broker = broker.map(|broker| broker.0);
                let dial = Dial { at: self.now, conn, host: host.to_string(), port, broker };
                self.dial(&dial);
                match &mut self.watch {
                    Some(watch) => {
                        let Dial { at, host, .. } = dial;
                        watch.note(at, Seen::Connect { conn, host, port, broker });
                    }
                    None => self.dials.push(dial),
                }
            }
            Action::Close { conn } => {
                let conn = self.global(conn);
                self.mix(3, conn.0);
                self.see(|| Seen::Close { conn });
                // It may have been told, before this was taken, that the connection is gone.
                let Some(link) = self.network.links.get(&conn) else { return };
                let again = link.ending == Some(DisconnectReason::Requested);
                assert!(!again, "{conn} is closed already");
                // Unless the network has its own way, what the socket took is still sent.
                let fate = self.network.fate_of_close(conn);
                let late = self.draw_late(self.driver.close_late, conn.0);
                self.network.sever(self.now, conn, DisconnectReason::Requested, fate, late);
            }
            Action::Run(job) => self.run_job(job),
            other => panic!("the world cannot do {other:?}"),
        }
    }

    fn dial(&mut self, dial: &Dial) {
        let &Dial { conn: link, port, .. } = dial;
        // Where several brokers share an address, a proxy leads to the right one.
        let meant = dial.broker.filter(|&broker| self.cluster.is_at(broker, &dial.host, port));
        let advertised = meant.or_else(|| self.cluster.broker_at(&dial.host, port));
        let answer = self.now + self.network.conditions.latency.duration() * 2;
        let greeting = |reach| match reach {
            Reach::Closed => Greeting::Close,
            Reach::Mute => Greeting::Mute,
            _ => Greeting::Normal,
        };
        let (at, happening) = match (self.network.reach(&dial.host, port), advertised) {
            (Reach::BlackHole, _) => return,
            (Reach::Fails(kind), _) => (self.now, Happening::DialFailed { link, kind }),
            (reach @ Reach::Broker(broker), _) | (reach, Some(broker)) => {
                (answer, Happening::Dialled { link, broker, greeting: greeting(reach) })
            }
            (_, None) => (self.now, Happening::DialFailed { link, kind: ConnectErrorKind::Dns }),
        };
        self.network.schedule(at, happening);
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Dialled { link, broker, greeting } => self.dialled(link, broker, greeting),
            Happening::DialFailed { link, kind } => self.dial_failed(link, kind),
            Happening::ToBroker { link, remote, bytes } => {
                self.mix_bytes(6, link.0, &bytes);
                self.carried += bytes.len() as u64;
                self.cluster.receive(now, remote, &bytes);
                self.network.read_by_broker(link, bytes.len());
                self.write(link);
                self.collect_answers();
            }
            Happening::ClientGone { remote } => {
                self.network.orphans.remove(&remote);
                self.cluster.disconnect(now, remote);
            }
            Happening::ToClient { link, bytes } => {
                // That may be when the producer finds that it has waited too long, and closes.
                self.report_written(link);
                self.drain();
                self.carried += bytes.len() as u64;
                for piece in self.network.arrive(now, link, bytes) {
                    // The producer may have closed the connection over an earlier piece.
                    if self.is_read(link) {
                        self.mix_bytes(7, link.0, &piece);
                        if let Some(watch) = &mut self.watch {
                            watch.received(now, link, &piece);
                        }
                        let conn = self.local(link);
                        self.input(Input::Received { conn, bytes: &piece });
                        self.drain();
                    }
                }
            }
            Happening::Disconnected { link, reason } => {
                self.report_written(link);
                if self.network.links.remove(&link).is_some() {
                    self.mix(8, link.0);
                    self.see(|| Seen::Disconnected { conn: link });
                    self.input(Input::Disconnected { conn: self.local(link), reason });
                }
            }
            Happening::JobDone(result) => self.input(Input::Done(result)),
            Happening::Writable { link } => self.write(link),
            Happening::ReportWritten { link } => self.report_written(link),
            Happening::TakeEvents => drop(self.take_events()),
        }
    }

    fn dialled(&mut self, link: ConnectionId, broker: i32, greeting: Greeting) {
        let sloppy = self.driver.close_late > Micros(0);
        let Some(state) = self.network.links.get_mut(&link) else { return };
        if state.ending.is_some() {
            if sloppy {
                // The result of an attempt that was given up comes all the same.
                self.input(Input::Connected { conn: self.local(link) });
            }
            return;
        }
        let Ok(remote) = self.cluster.connect(self.now, broker) else {
            return self.dial_failed(link, ConnectErrorKind::Refused);
        };
        state.remote = Some(remote);
        state.broker = Some(broker);
        self.mix(4, link.0);
        self.see(|| Seen::Connected { conn: link });
        match greeting {
            Greeting::Normal => {}
            Greeting::Mute => self.network.deafen(link, true, true),
            Greeting::Close => {
                let soon = self.network.conditions.latency.duration();
                self.network.sever(self.now, link, DisconnectReason::Eof, Fate::Lost, soon);
            }
        }
        self.input(Input::Connected { conn: self.local(link) });
        self.collect_answers();
    }

    fn dial_failed(&mut self, link: ConnectionId, kind: ConnectErrorKind) {
        // Nothing to report when the producer gave the attempt up in the meantime.
        let waits = self.network.links.get(&link).is_some_and(|state| state.ending.is_none());
        if waits {
            self.network.links.remove(&link);
            self.mix(5, link.0);
            self.see(|| Seen::ConnectFailed { conn: link });
            self.input(Input::ConnectFailed { conn: self.local(link), kind });
        }
    }

    /// Puts what the brokers have to say on the wire.
    fn collect_answers(&mut self) {
        for remote in &self.network.orphans {
            while self.cluster.poll_output(self.now, *remote).is_some() {}
        }
        let mut open = std::mem::take(&mut self.open);
        let links = self.network.links.iter().filter(|(_, link)| link.ending.is_none());
        open.extend(links.filter_map(|(id, link)| link.remote.map(|remote| (*id, remote))));
        for (id, remote) in open.drain(..) {
            while let Some(output) = self.cluster.poll_output(self.now, remote) {
                match output {
                    Output::Bytes(bytes) => self.network.answer(self.now, id, bytes),
                    Output::Close => self.network.closed_by_broker(self.now, id),
                }
            }
        }
        self.open = open;
    }

    pub(crate) fn mix(&mut self, kind: u64, value: u64) {
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
