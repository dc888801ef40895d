//! Dials in progress: look-ups, attempts and their time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::time::Instant;

use producer_driver::proto::{ConnectErrorKind, ConnectionId, Event};
use producer_driver::{
    Answer, Dial, DialPlan, DialSettings, Environment, Resolve, Resolved, Work, literal, log,
    on_a_thread,
};

use crate::sources::{Socket, Sources};

/// What the driver asks for, done without blocking.
pub(crate) struct Dialler {
    pub(crate) resolver: Box<dyn Resolve>,
    settings: DialSettings,
    sources: Arc<Sources>,
    waker: Waker,
    answers: (Sender<Resolved>, Receiver<Resolved>),
    dials: BTreeMap<ConnectionId, Stage>,
    ended: Vec<Ended>,
}

/// A dial and what became of it.
pub(crate) type Ended = (ConnectionId, Result<Socket, ConnectErrorKind>);

enum Stage {
    /// The name is being looked up, until then.
    LookUp { start: Instant, until: Option<Instant> },
    /// An address is being tried, until then.
    Connect { plan: DialPlan, socket: Socket, until: Option<Instant> },
}

impl Stage {
    fn until(&self) -> Option<Instant> {
        match self {
            Self::LookUp { until, .. } | Self::Connect { until, .. } => *until,
        }
    }
}

impl Dialler {
    pub(crate) fn new(settings: DialSettings, sources: Arc<Sources>, waker: Waker) -> Self {
        Self {
            resolver: Box::new(on_a_thread),
            settings,
            sources,
            waker,
            answers: channel(),
            dials: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// When to call [`advance`](Self::advance) at the latest: at once where a dial failed as soon as
    /// it began.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let ended = self.ended.first().map(|_| now);
        self.dials.values().filter_map(Stage::until).chain(ended).min()
    }

    /// Whether no dial is under way or has ended: then [`advance`](Self::advance) has nothing to say.
    pub(crate) fn is_idle(&self) -> bool {
        self.dials.is_empty() && self.ended.is_empty()
    }

    /// Goes on with what has been resolved and what has run out of time; gives the dials that
    /// have ended.
    pub(crate) fn advance(&mut self, now: Instant) -> impl Iterator<Item = Ended> {
        while let Ok((conn, addresses)) = self.answers.1.try_recv() {
            self.resolved(conn, addresses);
        }
        let is_late = |stage: &Stage| stage.until().is_some_and(|until| until <= now);
        let late: Vec<_> =
            self.dials.iter().filter(|(_, stage)| is_late(stage)).map(|(conn, _)| *conn).collect();
        for conn in late {
            match self.dials.remove(&conn) {
                Some(Stage::Connect { mut plan, .. }) => {
                    plan.timed_out();
                    self.attempt(conn, plan);
                }
                Some(Stage::LookUp { .. }) => self.ended.push((conn, Err(ConnectErrorKind::Dns))),
                None => {}
            }
        }
        self.ended.drain(..)
    }

    /// Something has happened to this connection's socket. False when it is no dial.
    pub(crate) fn on_ready(&mut self, conn: ConnectionId) -> bool {
        match self.dials.remove(&conn) {
            Some(Stage::Connect { mut plan, socket, until }) => match socket.connect_end() {
                Ok(()) => self.ended.push((conn, Ok(socket))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.dials.insert(conn, Stage::Connect { plan, socket, until });
                }
                Err(error) => {
                    tracing::debug!(%error, "connect failed");
                    plan.failed(&error);
                    drop(socket);
                    self.attempt(conn, plan);
                }
            },
            Some(look_up) => drop(self.dials.insert(conn, look_up)),
            None => return false,
        }
        true
    }

    fn resolved(&mut self, conn: ConnectionId, addresses: io::Result<Vec<SocketAddr>>) {
        let start = match self.dials.get(&conn) {
            Some(Stage::LookUp { start, .. }) => *start,
            // Too late, or given up.
            _ => return,
        };
        self.dials.remove(&conn);
        match addresses {
            Ok(addresses) => {
                self.attempt(conn, DialPlan::new(addresses, start, self.settings.limit));
            }
            Err(error) => {
                tracing::debug!(%error, "name look-up failed");
                self.ended.push((conn, Err(ConnectErrorKind::Dns)));
            }
        }
    }

    /// Tries the plan's addresses until one can be waited for.
    fn attempt(&mut self, conn: ConnectionId, mut plan: DialPlan) {
        while let Some(attempt) = plan.next(Instant::now()) {
            let socket = self.settings.begin_connect(attempt.address);
            match socket.and_then(|socket| self.sources.add(conn, socket)) {
                Ok(socket) => {
                    let until = Instant::now().checked_add(attempt.timeout);
                    self.dials.insert(conn, Stage::Connect { plan, socket, until });
                    return;
                }
                Err(error) => {
                    tracing::debug!(address = %attempt.address, %error, "connect failed");
                    plan.failed(&error);
                }
            }
        }
        self.ended.push((conn, Err(plan.failure())));
    }
}

impl Environment for Dialler {
    fn connect(&mut self, Dial { conn, host, port, .. }: Dial) {
        let start = Instant::now();
        if let Some(address) = literal(&host, port) {
            self.attempt(conn, DialPlan::new([address], start, self.settings.limit));
            return;
        }
        let until = start.checked_add(self.settings.limit);
        self.dials.insert(conn, Stage::LookUp { start, until });
        let answer = Answer::new(conn, self.answers.0.clone(), self.waker.clone());
        self.resolver.resolve(host, port, answer);
    }

    fn stop_dialling(&mut self, conn: ConnectionId) {
        self.dials.remove(&conn);
        self.ended.retain(|(other, _)| *other != conn);
    }

    fn run(&mut self, work: Work) {
        work.run();
    }

    fn notice(&mut self, event: &Event) {
        log(event);
    }
}
