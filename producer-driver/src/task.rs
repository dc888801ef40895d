//! The task that turns the driver on an async runtime: sockets, readiness, sleep. Feature `net`.

mod dial;

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use producer_proto::{Config, ConnectErrorKind, ConnectionId, Event};

use crate::driver::{Dial, Driver, Environment, Interest, Next};
use crate::job::Work;
use crate::socket::DialSettings;

/// How many turns the task takes before it lets others run.
const TURNS: usize = 4;

/// What an async runtime has to offer for a [`Task`].
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected non-blocking stream.
    type Stream: Read + Write + Send + 'static;

    /// A timer that is ready when its moment has come.
    type Timer: Future + Unpin + Send + 'static;

    /// A timer for this moment.
    fn timer(&self, at: Instant) -> Self::Timer;

    /// Sets the timer to another moment.
    fn reset(timer: &mut Self::Timer, at: Instant);

    /// Looks a name up without blocking the task.
    fn look_up(
        &self,
        host: Arc<str>,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Waits for a connect that has begun; [`connect_end`](crate::connect_end) says how it ended.
    fn finish_connect(
        &self,
        socket: TcpStream,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Ready when reading gives something: bytes, the end or an error. Leaves the waker if not.
    fn poll_readable(stream: &Self::Stream, context: &mut Context<'_>) -> Poll<()>;

    /// The same for writing.
    fn poll_writable(stream: &Self::Stream, context: &mut Context<'_>) -> Poll<()>;

    /// Lets the next read and the next write of this stream ask the system, even if the reactor has
    /// not said that it is ready.
    fn look(stream: &mut Self::Stream);

    /// Runs this now or on another thread.
    fn run(&self, work: Work);
}

/// The future that does all the I/O of one producer. Spawn it and forget it: it is ready when the
/// producer is closed. Dropped before, it ends the producer at once, see [`Driver`].
///
/// It keeps to its own bound of work for each poll, and wakes itself when there is more.
pub struct Task<R: Runtime> {
    driver: Driver<R::Stream>,
    host: Host<R>,
    alarm: R::Timer,
    /// When the alarm rings; `None` when it has rung.
    alarm_at: Option<Instant>,
}

impl<R: Runtime> Task<R> {
    /// A task for this driver.
    pub fn new(config: &Config, mut driver: Driver<R::Stream>, runtime: R) -> Self {
        driver.set_cooperative();
        let alarm = runtime.timer(Instant::now());
        let host = Host { settings: DialSettings::new(config), dials: Vec::new(), runtime };
        Self { driver, host, alarm, alarm_at: None }
    }

    /// Reports dials that have ended and sockets that have become ready; true when there were
    /// any.
    fn poll_network(&mut self, context: &mut Context<'_>) -> bool {
        let Self { driver, host, .. } = self;
        let before = host.dials.len();
        host.dials.retain_mut(|(conn, dial)| match dial.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(stream)) => {
                driver.connected(*conn, stream);
                false
            }
            Poll::Ready(Err(kind)) => {
                driver.connect_failed(*conn, kind);
                false
            }
        });
        driver.look(R::look);
        let is_ready = driver.poll_ready(|_, stream, interest| Interest {
            read: interest.read && R::poll_readable(stream, context).is_ready(),
            write: interest.write && R::poll_writable(stream, context).is_ready(),
        });
        is_ready || host.dials.len() < before
    }

    /// Whether the deadline has come; else the alarm is set. Setting it costs system calls on some
    /// runtimes, and deadlines mostly move away with each answer: an alarm that rings before the
    /// deadline stays, and is set anew when it has rung for nothing.
    fn is_due(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else { return false };
        loop {
            let rings_at = match self.alarm_at {
                Some(at) if at <= deadline => at,
                _ => {
                    R::reset(&mut self.alarm, deadline);
                    self.alarm_at = Some(deadline);
                    deadline
                }
            };
            if Pin::new(&mut self.alarm).poll(context).is_pending() {
                return false;
            }
            self.alarm_at = None;
            if rings_at >= deadline {
                return true;
            }
        }
    }
}

/// Nothing in it is pinned.
impl<R: Runtime> Unpin for Task<R> {}

impl<R: Runtime> Future for Task<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        for _ in 0..TURNS {
            task.poll_network(context);
            match task.driver.turn(&mut task.host, context.waker()) {
                Next::Again => {}
                Next::Closed => return Poll::Ready(()),
                Next::Sleep(deadline) => {
                    // The turn has used up what was ready: ask again, to be woken.
                    let is_moving = task.poll_network(context);
                    if !is_moving && !task.is_due(deadline, context) {
                        return Poll::Pending;
                    }
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

type Dialling<S> = Pin<Box<dyn Future<Output = Result<S, ConnectErrorKind>> + Send>>;

/// What the driver asks for.
struct Host<R: Runtime> {
    runtime: R,
    settings: DialSettings,
    dials: Vec<(ConnectionId, Dialling<R::Stream>)>,
}

impl<R: Runtime> Environment for Host<R> {
    fn connect(&mut self, dial: Dial) {
        let conn = dial.conn;
        self.dials.push((conn, Box::pin(dial::dial(self.runtime.clone(), self.settings, dial))));
    }

    fn stop_dialling(&mut self, conn: ConnectionId) {
        self.dials.retain(|(other, _)| *other != conn);
    }

    fn run(&mut self, work: Work) {
        self.runtime.run(work);
    }

    fn notice(&mut self, event: &Event) {
        crate::log::log(event);
    }
}
