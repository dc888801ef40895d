//! A producer inside somebody's event loop.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::event::Event;
use producer_driver::proto::{Config, ConfigError};
use producer_driver::{DialSettings, Driver, Handle, Interest, Next, Resolve, pair, system_seed};

use crate::alarm::Alarm;
use crate::dial::Dialler;
use crate::sources::{Socket, Sources};

/// A producer's sockets and deadlines as part of your own loop over a [`mio::Poll`]:
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use producer_mio::{Config, EventLoop, Record};
///
/// let mut poll = mio::Poll::new()?;
/// let mut events = mio::Events::with_capacity(256);
/// // One waker for the whole loop, yours and the producer's. Tokens from 1000 on are its own.
/// let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(1000))?);
/// let config = Config::new("localhost:9092");
/// let (producer, mut kafka) = EventLoop::new(&config, poll.registry(), 1000..2000, waker)?;
/// let delivery = producer.try_send(Record::to("orders").value("{}"));
/// while kafka.turn() {
///     poll.poll(&mut events, kafka.next_timeout())?;
///     for event in &events {
///         if !kafka.handle_event(event) {
///             // An event of yours.
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Nothing in it blocks: names are looked up elsewhere, see [`Resolve`]. Compression is done in
/// [`turn`](Self::turn), which takes as long as a few batches.
pub struct EventLoop {
    pub(crate) driver: Driver<Socket>,
    dialler: Dialler,
    sources: Arc<Sources>,
    tokens: Range<usize>,
    alarm: Arc<Alarm>,
    waker: Waker,
    next: Next,
}

/// Why a producer could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of range or contradicts another.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token range is too short.
    #[error("token range {0:?}: needs the waker's token and at least two for sockets")]
    Tokens(Range<usize>),
    /// The system refused a poll, its waker, or the thread.
    #[error("{what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
}

impl StartError {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { what, error }
    }
}

impl EventLoop {
    /// Makes a producer: the handle for the application, which other threads may use, too, and
    /// its part of the loop. Nothing is sent before the first record or topic.
    ///
    /// `tokens` is the producer's own. The first is never given to a socket: it is for `waker`,
    /// where that is not registered under another token of yours (a poll has one waker only).
    /// Each of the others serves a socket: one for each broker, and some to spare for connections
    /// that come and go. When they do not suffice, connections fail and are tried again.
    ///
    /// # Errors
    /// A setting is wrong, `tokens` has less than three, or the registry cannot be cloned.
    pub fn new(
        config: &Config,
        registry: &Registry,
        tokens: Range<usize>,
        waker: Arc<mio::Waker>,
    ) -> Result<(Handle, Self), StartError> {
        Self::seeded(config, registry, tokens, waker, system_seed())
    }

    /// As [`new`](Self::new), with random choices that all follow from `seed`, for tests that are
    /// to be repeated: where its bytes go depends on nothing but its calls and what brokers answer.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn seeded(
        config: &Config,
        registry: &Registry,
        tokens: Range<usize>,
        waker: Arc<mio::Waker>,
        seed: [u8; 32],
    ) -> Result<(Handle, Self), StartError> {
        if tokens.len() < 3 {
            return Err(StartError::Tokens(tokens));
        }
        let registry = registry.try_clone().map_err(StartError::system("mio registry"))?;
        let (handle, driver) = pair(config, seed)?;
        let sources = Sources::new(registry, tokens.start + 1..tokens.end);
        let alarm = Arc::new(Alarm::new(waker));
        let waker = Waker::from(alarm.clone());
        let dialler = Dialler::new(DialSettings::new(config), sources.clone(), waker.clone());
        let next = Next::Again;
        Ok((handle, Self { driver, dialler, sources, tokens, alarm, waker, next }))
    }

    /// Replaces how names are looked up, from the next look-up on.
    pub fn set_resolver(&mut self, resolver: impl Resolve + 'static) {
        self.dialler.resolver = Box::new(resolver);
    }

    /// Takes note of an event; call [`turn`](Self::turn) after the last one. False when its token
    /// is not in the producer's range.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        if !self.tokens.contains(&event.token().0) {
            return false;
        }
        // The waker's token, or of a socket that has just been dropped: neither has anything to
        // say but that there is something to do.
        let Some(conn) = self.sources.find(event.token()) else { return true };
        if !self.dialler.on_ready(conn) {
            let error = event.is_error();
            let is_ending = event.is_read_closed() || error;
            let ready = Interest {
                read: event.is_readable() || is_ending,
                write: event.is_writable() || event.is_write_closed() || error,
            };
            if let Some(socket) = self.driver.stream(conn).filter(|_| ready.read) {
                socket.readable(is_ending);
            }
            self.driver.set_ready(conn, ready);
        }
        true
    }

    /// Does all there is to do, up to a limit. To be called after every [`mio::Poll::poll`],
    /// whether it brought events, the waker's included, or ran into its timeout. False when the
    /// producer is closed and everybody has been told: drop this.
    pub fn turn(&mut self) -> bool {
        self.alarm.begin_turn();
        if !self.dialler.is_idle() {
            for (conn, result) in self.dialler.advance(Instant::now()) {
                match result {
                    Ok(socket) => self.driver.connected(conn, socket),
                    Err(kind) => self.driver.connect_failed(conn, kind),
                }
            }
        }
        if self.next != Next::Closed {
            self.next = self.driver.turn(&mut self.dialler, &self.waker);
        }
        self.next != Next::Closed
    }

    /// How long [`mio::Poll::poll`] may sleep before the next [`turn`](Self::turn), if no event
    /// comes; `None` for ever. To be asked right before that poll, by the thread that calls it: what
    /// this thread sends is not a reason to wake it, but makes this zero.
    pub fn next_timeout(&self) -> Option<Duration> {
        let is_called = self.alarm.begin_sleep();
        let deadline = match self.next {
            Next::Closed => return None,
            Next::Again => return Some(Duration::ZERO),
            Next::Sleep(_) if is_called => return Some(Duration::ZERO),
            Next::Sleep(deadline) => deadline,
        };
        let now = Instant::now();
        let deadline = deadline.into_iter().chain(self.dialler.deadline(now)).min()?;
        Some(deadline.saturating_duration_since(now))
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}
