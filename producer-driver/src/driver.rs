//! The environment's half: bytes, time and jobs between the core and an adapter.

mod inbox;
mod link;

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant as StdInstant};

use producer_proto::{
    Action, BrokerId, Config, ConfigError, ConnectErrorKind, ConnectionId, DisconnectReason, Event,
    Input, Instant, Job,
};

use crate::handle::Handle;
use crate::job::Work;
use crate::shared::Shared;
use crate::state::Drained;
use inbox::Inbox;
use link::{Link, Links};

/// What the system makes 100 microseconds of.
const PAUSE: Duration = Duration::from_micros(50);

/// How often one turn goes round before it gives the thread back.
const ROUNDS: usize = 8;

/// How many bytes jobs work on in one turn, the last job being done to its end. The sockets have
/// theirs in between: what is compressed leaves before more is.
const JOB_BYTES: usize = 128 * 1024;

/// Lingering for less than this means that latency counts.
const PATIENT_LINGER: Duration = Duration::from_millis(1);

/// Makes a producer: the handle for the application, the driver for the adapter. Nothing happens
/// before the driver is turned.
///
/// `S` is the adapter's stream: non-blocking, and already connected when it comes in. `seed` is
/// best drawn by [`system_seed`](crate::system_seed).
///
/// # Errors
/// The first setting that is out of range or contradicts another.
pub fn pair<S: Read + Write>(
    config: &Config,
    seed: [u8; 32],
) -> Result<(Handle, Driver<S>), ConfigError> {
    let shared = Shared::new(config, seed)?;
    let driver = Driver {
        shared: shared.clone(),
        links: Links::default(),
        dialling: BTreeSet::new(),
        inputs: Vec::new(),
        drained: Drained::default(),
        inbox: Inbox::new(),
        jobs: VecDeque::new(),
        is_patient: config.linger >= PATIENT_LINGER,
        pauses: false,
        is_pausing: false,
        is_closed: false,
        #[cfg(feature = "metrics")]
        meter: crate::metrics::Meter::new(config),
    };
    Ok((Handle::new(shared), driver))
}

/// What a [`Driver`] asks of its adapter, during [`Driver::turn`]. No call may block.
pub trait Environment {
    /// Resolve a name and connect to it, all its addresses if need be, see
    /// [`DialPlan`](crate::DialPlan); then call [`Driver::connected`] or
    /// [`Driver::connect_failed`].
    fn connect(&mut self, dial: Dial);

    /// The result of this dial is not wanted any more. It may be dropped, and does no harm if it
    /// comes all the same.
    fn stop_dialling(&mut self, conn: ConnectionId);

    /// Run this now or on another thread.
    fn run(&mut self, work: Work);

    /// Something for the log: a broker came or went, asked for a pause, or the producer has met
    /// an error that it cannot survive.
    fn notice(&mut self, event: &Event);
}

/// An address to connect to.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The attempt.
    pub conn: ConnectionId,
    /// Name or address.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// The broker behind it; `None` for a bootstrap address.
    pub broker: Option<BrokerId>,
}

/// What a stream is ready for, or waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Reading: there are bytes, an end, or an error.
    pub read: bool,
    /// Writing.
    pub write: bool,
}

/// What to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the driver stands still until it is turned again"]
pub enum Next {
    /// There is more to do: let others run, then turn again.
    Again,
    /// Sleep until this moment (for ever if there is none), until a stream is ready for what it
    /// waits for, or until the waker given to the turn is called; then turn again.
    Sleep(Option<StdInstant>),
    /// The producer is closed, all streams are dropped, everybody has been told. Drop the driver.
    Closed,
}

/// The environment's half of a producer, with its connections of type `S`.
///
/// An adapter's loop: report dials that ended and streams that became ready, [`turn`](Self::turn),
/// sleep as that says. Everything else is in here, and bounded: a busy connection starves neither
/// the others nor the deadlines.
///
/// Dropping it, as when a runtime shuts down, ends the producer at once: connections are closed,
/// every delivery, ticket, flush and close gets its answer, and further sends are refused.
pub struct Driver<S> {
    shared: Arc<Shared>,
    links: Links<S>,
    dialling: BTreeSet<ConnectionId>,
    /// What happened to connections, for the next drain.
    inputs: Vec<Input<'static>>,
    drained: Drained,
    inbox: Inbox,
    /// Work that the core asked for and the environment has not got yet.
    jobs: VecDeque<Job>,
    is_patient: bool,
    /// Whether the adapter can pause.
    pauses: bool,
    is_pausing: bool,
    is_closed: bool,
    #[cfg(feature = "metrics")]
    meter: crate::metrics::Meter,
}

impl<S: Read + Write> Driver<S> {
    /// A dial has ended well. Late results of dials that are not wanted any more are dropped.
    pub fn connected(&mut self, conn: ConnectionId, stream: S) {
        if self.dialling.remove(&conn) {
            self.links.insert(conn, Link::new(stream));
            self.inputs.push(Input::Connected { conn });
        }
    }

    /// A dial has failed.
    pub fn connect_failed(&mut self, conn: ConnectionId, kind: ConnectErrorKind) {
        if self.dialling.remove(&conn) {
            self.inputs.push(Input::ConnectFailed { conn, kind });
        }
    }

    /// A stream is ready for something; for adapters that are told so (mio). Unknown connections
    /// are ignored.
    pub fn set_ready(&mut self, conn: ConnectionId, ready: Interest) {
        if let Some(link) = self.links.get_mut(conn) {
            link.set_ready(ready);
        }
    }

    /// Asks `poll` of every stream that waits for something, whether it is ready; for adapters
    /// that have to ask, and leave their waker by asking. True when one is ready, also by an earlier
    /// call or because of [`look`](Self::look): turn again, for nothing else would wake the adapter.
    pub fn poll_ready(
        &mut self,
        mut poll: impl FnMut(ConnectionId, &mut S, Interest) -> Interest,
    ) -> bool {
        let mut is_any = false;
        for (conn, link) in self.links.iter_mut() {
            let interest = link.interest();
            if interest != Interest::default() {
                let ready = poll(conn, &mut link.stream, interest);
                link.set_ready(ready);
            }
            is_any |= link.is_busy();
        }
        is_any
    }

    /// Says that turns are taken by a task, which tasks that send may keep from its thread, and from
    /// the thread's reactor for longer still. When such a task gives way, see
    /// [`Admission`](crate::Admission), the driver is woken, and [`look`](Self::look) is worth its
    /// call before [`poll_ready`](Self::poll_ready).
    pub fn set_cooperative(&mut self) {
        self.shared.set_cooperative();
    }

    /// If a task has given way since the last call: has streams tried that an answer is due on, or
    /// that did not take all bytes, whatever the reactor has said of them. `prepare` is called with
    /// each of them, to let its next read and its next write ask the system.
    pub fn look(&mut self, mut prepare: impl FnMut(&mut S)) {
        if !self.shared.take_gave_way() {
            return;
        }
        for (_, link) in self.links.iter_mut() {
            if link.is_expectant() {
                prepare(&mut link.stream);
                link.set_ready(Interest { read: true, write: true });
            }
        }
    }

    /// The stream of a connection that is up.
    pub fn stream(&mut self, conn: ConnectionId) -> Option<&mut S> {
        self.links.get_mut(conn).map(|link| &mut link.stream)
    }

    /// Lets threads that send compress a batch now and then, when they fill batches faster than
    /// these are compressed; or not, as from the beginning. For an adapter whose calls may block.
    pub fn set_senders_help(&mut self, help: bool) {
        self.shared.set_senders_help(help);
    }

    /// Lets turns ask for pauses of 50 to 100 microseconds, or not, as from the beginning; for an
    /// adapter whose thread may sleep, see [`is_pausing`](Self::is_pausing).
    pub fn set_pauses(&mut self, pauses: bool) {
        self.pauses = pauses && self.is_patient;
    }

    /// Whether to do nothing for a moment before the next turn, which [`Next::Again`] asked for.
    ///
    /// Of many small batches each would end a short sleep, and to fall asleep and to be woken costs
    /// more than all else that the driver does for them. So while hundreds of records are on their
    /// way, the linger is at least a millisecond, and nobody waits for room or for a flush, turns
    /// are for what comes in such a moment. Only if [`set_pauses`](Self::set_pauses) was called.
    pub fn is_pausing(&self) -> bool {
        self.is_pausing
    }

    /// Blocks for a moment where turns ask for it, and lets them ask from now on; to be called
    /// before each sleep by a thread that serves nobody else.
    pub fn pause(&mut self) {
        self.set_pauses(true);
        if self.is_pausing {
            std::thread::sleep(PAUSE);
        }
    }

    /// Does all there is to do, up to a limit. `waker` is what wakes the adapter from the sleep
    /// that may follow; it can be called from any thread, also during the turn.
    pub fn turn(&mut self, environment: &mut impl Environment, waker: &Waker) -> Next {
        let next = self.turn_round(environment, waker);
        #[cfg(feature = "metrics")]
        let next = {
            let (now, stats) = (StdInstant::now(), self.shared.stats());
            self.meter.report(now, stats, || self.shared.take_peaks(), next)
        };
        next
    }

    fn turn_round(&mut self, environment: &mut impl Environment, waker: &Waker) -> Next {
        self.is_pausing = false;
        let mut may_pause = false;
        let mut now = None;
        for _ in 0..ROUNDS {
            self.transfer();
            may_pause |= self.pauses && !self.inbox.is_empty();
            // What was only written does not make it later; to read the clock takes a while.
            let now = match now {
                Some(now) if !self.inbox.has_read() => now,
                _ => *now.insert(self.shared.clock.now()),
            };
            let sleep = self.drain(now, waker, may_pause);
            self.carry_out(environment);
            if self.is_closed {
                return Next::Closed;
            }
            if self.work(environment) {
                // Adapters may learn only between turns what has become ready meanwhile.
                return Next::Again;
            }
            if self.is_pausing {
                return Next::Again;
            }
            if let Some(deadline) = sleep {
                return Next::Sleep(deadline);
            }
        }
        Next::Again
    }

    /// Writes and reads on every stream that is ready.
    fn transfer(&mut self) {
        let Self { shared, links, inputs, inbox, .. } = self;
        links.retain(|conn, link| match link.transfer(conn, inbox, shared) {
            None => true,
            Some(reason) => {
                inputs.push(Input::Disconnected { conn, reason });
                false
            }
        });
    }

    /// Hands in what happened, takes out what came of it, all under one hold of the lock. Gives
    /// the deadline to sleep until when nothing is left to do but to tell callers.
    #[expect(clippy::option_option, reason = "whether to sleep, and whether there is a deadline")]
    fn drain(
        &mut self,
        now: Instant,
        waker: &Waker,
        may_pause: bool,
    ) -> Option<Option<StdInstant>> {
        let is_busy = !self.jobs.is_empty() || self.links.is_busy();
        let mut state = self.shared.lock_to_drain();
        state.begin_turn(waker);
        self.inbox.hand_in(now, &mut state.core);
        for input in self.inputs.drain(..) {
            state.core.handle_input(now, input);
        }
        state.drain(now, &mut self.drained);
        let (is_behind, compresses) = (state.is_behind(), state.core.jobs_outstanding() > 0);
        state.set_load(is_behind, compresses);
        if is_busy || self.drained.has_work() {
            return None;
        }
        if may_pause && state.is_flowing() {
            // It stays awake for everybody else.
            self.is_pausing = true;
            return None;
        }
        let deadline = state.end_turn();
        drop(state);
        Some(deadline.and_then(|deadline| self.shared.clock.deadline(deadline)))
    }

    /// Does what the core asked for, and tells callers what they wait for.
    fn carry_out(&mut self, environment: &mut impl Environment) {
        for transmit in self.drained.transmits.drain(..) {
            if let Some(link) = self.links.get_mut(transmit.conn()) {
                link.session.queue(transmit);
            }
        }
        self.drained.replies.deliver();
        for action in self.drained.actions.drain(..) {
            match action {
                Action::Connect { conn, host, port, broker } => {
                    self.dialling.insert(conn);
                    environment.connect(Dial { conn, host, port, broker });
                }
                Action::Close { conn } => {
                    if self.dialling.remove(&conn) {
                        environment.stop_dialling(conn);
                    }
                    self.links.remove(conn);
                    let reason = DisconnectReason::Requested;
                    self.inputs.push(Input::Disconnected { conn, reason });
                }
                Action::Run(job) => self.jobs.push_back(job),
                _ => {}
            }
        }
        for event in self.drained.notices.drain(..) {
            environment.notice(&event);
        }
        if self.drained.is_closed {
            self.drained.is_closed = false;
            self.is_closed = true;
            for conn in std::mem::take(&mut self.dialling) {
                environment.stop_dialling(conn);
            }
            self.links = Links::default();
            let closers = self.shared.lock().take_closers();
            for closer in closers {
                closer.fill(());
            }
        }
    }

    /// Has some of the work done, after what is ready to be written; false when there is none.
    fn work(&mut self, environment: &mut impl Environment) -> bool {
        if self.jobs.is_empty() {
            return false;
        }
        self.transfer();
        let mut left = JOB_BYTES;
        while left > 0
            && let Some(job) = self.jobs.pop_front()
        {
            left = left.saturating_sub(job.size());
            environment.run(Work::new(job, self.shared.clone()));
        }
        true
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        let mut inputs = std::mem::take(&mut self.inputs);
        let reason = DisconnectReason::Requested;
        let links = std::mem::take(&mut self.links).into_ids();
        inputs.extend(links.map(|conn| Input::Disconnected { conn, reason }));
        let kind = ConnectErrorKind::Other;
        let dials = std::mem::take(&mut self.dialling).into_iter();
        inputs.extend(dials.map(|conn| Input::ConnectFailed { conn, kind }));
        inputs.extend(self.jobs.drain(..).map(|job| Input::Done(job.abandon())));
        let now = self.shared.clock.now();
        self.shared.lock().end(now, inputs, &mut self.drained);
        self.drained.replies.deliver();
    }
}
