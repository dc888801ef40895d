//! The task that turns the driver: sockets, readiness, sleep.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use producer_driver::proto::{BrokerState, Config, ConnectErrorKind, ConnectionId, Event};
use producer_driver::{Dial, Driver, Environment, Interest, Next, Work};
use tokio::net::TcpStream;
use tokio::runtime::{self, RuntimeFlavor};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::dial::Dialler;

/// How many turns the task takes before it lets others run.
const TURNS: usize = 4;

/// Starts the task. It ends when the producer is closed; when the runtime drops it, the driver
/// closes the producer at once.
pub(crate) fn spawn(runtime: &runtime::Handle, config: &Config, driver: Driver<Socket>) {
    let workers = match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => None,
        _ => Some(runtime.clone()),
    };
    let host = Host { dialler: Dialler::new(config), dials: Vec::new(), workers };
    let sleep = {
        let _context = runtime.enter();
        Box::pin(sleep_until(Instant::now()))
    };
    // The task bounds its own turns. Under tokio's budget a busy socket would hide that a
    // deadline has passed.
    drop(runtime.spawn(unconstrained(Task { driver, host, sleep })));
}

struct Task {
    driver: Driver<Socket>,
    host: Host,
    sleep: Pin<Box<Sleep>>,
}

impl Future for Task {
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
                    if !is_moving && !task.is_due(deadline.map(Instant::from), context) {
                        return Poll::Pending;
                    }
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Task {
    /// Reports dials that have ended and sockets that have become ready; true when there were
    /// any.
    fn poll_network(&mut self, context: &mut Context<'_>) -> bool {
        let Self { driver, host, .. } = self;
        let before = host.dials.len();
        host.dials.retain_mut(|(conn, dial)| match dial.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(stream)) => {
                driver.connected(*conn, Socket(stream));
                false
            }
            Poll::Ready(Err(kind)) => {
                driver.connect_failed(*conn, kind);
                false
            }
        });
        let is_ready = driver.poll_ready(|_, Socket(stream), interest| Interest {
            read: interest.read && stream.poll_read_ready(context).is_ready(),
            write: interest.write && stream.poll_write_ready(context).is_ready(),
        });
        is_ready || host.dials.len() < before
    }

    fn is_due(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else { return false };
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(context).is_ready()
    }
}

type Dialling = Pin<Box<dyn Future<Output = Result<TcpStream, ConnectErrorKind>> + Send>>;

/// What the driver asks for.
struct Host {
    dialler: Dialler,
    dials: Vec<(ConnectionId, Dialling)>,
    /// Where jobs run; `None` for here, on a runtime with a single thread.
    workers: Option<runtime::Handle>,
}

impl Environment for Host {
    fn connect(&mut self, dial: Dial) {
        self.dials.push((dial.conn, Box::pin(self.dialler.dial(dial))));
    }

    fn stop_dialling(&mut self, conn: ConnectionId) {
        self.dials.retain(|(other, _)| *other != conn);
    }

    fn run(&mut self, work: Work) {
        match &self.workers {
            None => work.run(),
            Some(workers) => drop(workers.spawn_blocking(|| work.run())),
        }
    }

    fn notice(&mut self, event: &Event) {
        match event {
            Event::Broker { broker, state } => {
                let broker = broker.map(|broker| broker.0);
                match state {
                    BrokerState::Connected => tracing::info!(broker, "connected"),
                    BrokerState::Closed => tracing::debug!(broker, "connection closed"),
                    BrokerState::Failed(cause) => {
                        tracing::warn!(broker, cause = &**cause, "connection failed");
                    }
                    other => tracing::debug!(broker, state = ?other, "connection changed"),
                }
            }
            Event::Throttled { broker, duration } => {
                tracing::debug!(broker = broker.map(|broker| broker.0), ?duration, "throttled");
            }
            Event::Fatal(error) => tracing::error!(%error, "producer cannot go on"),
            other => tracing::debug!(event = ?other, "event"),
        }
    }
}

/// A tokio socket as the non-blocking stream that the driver pumps.
pub(crate) struct Socket(TcpStream);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
