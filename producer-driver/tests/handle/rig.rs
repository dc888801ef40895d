//! A driver on simulated brokers in memory: no sockets, and the test turns it by hand.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use producer_driver::proto::{self, Config, ConnectErrorKind, ConnectionId, Event};
use producer_driver::{
    Dial, Driver, Environment, Handle, Helper, Helpers, Interest, Next, Work, pair,
};
use producer_sim::{Cluster, ClusterConfig, ConnId, Output, TopicConfig};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Rig {
    pub(crate) net: Net,
    pub(crate) handle: Handle,
    pub(crate) driver: Driver<Stream>,
    pub(crate) host: Host,
    pub(crate) wakes: Arc<Wakes>,
    /// The thread is kept so busy that its reactor says nothing.
    pub(crate) is_reactor_mute: bool,
}

/// The cluster and its clock.
#[derive(Clone)]
pub(crate) struct Net {
    cluster: Arc<Mutex<Cluster>>,
    start: Instant,
}

/// Counts how often the driver was woken.
#[derive(Default)]
pub(crate) struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the driver asked for.
#[derive(Default)]
pub(crate) struct Host {
    dials: VecDeque<Dial>,
    pub(crate) stopped: Vec<ConnectionId>,
    pub(crate) notices: Vec<Event>,
    pub(crate) jobs: u32,
    /// Who does the jobs; nobody: they are done at once.
    pub(crate) helpers: Option<Helpers>,
    /// Helpers that a pool would run.
    pub(crate) asleep: Vec<Helper>,
}

impl Environment for Host {
    fn connect(&mut self, dial: Dial) {
        self.dials.push_back(dial);
    }

    fn stop_dialling(&mut self, conn: ConnectionId) {
        self.dials.retain(|dial| dial.conn != conn);
        self.stopped.push(conn);
    }

    fn run(&mut self, work: Work) {
        self.jobs += 1;
        match &self.helpers {
            Some(helpers) => self.asleep.extend(helpers.add(work)),
            None => work.run(),
        }
    }

    fn notice(&mut self, event: &Event) {
        self.notices.push(event.clone());
    }
}

/// A connection to a simulated broker.
pub(crate) struct Stream {
    net: Net,
    conn: ConnId,
    unread: VecDeque<u8>,
    is_closed: bool,
}

impl Stream {
    fn is_readable(&mut self) -> bool {
        let now = self.net.now();
        while let Some(output) =
            self.net.with(|cluster| cluster.poll_output(now, self.conn)).as_ref()
        {
            match output {
                Output::Bytes(bytes) => self.unread.extend(bytes),
                Output::Close => self.is_closed = true,
            }
        }
        self.is_closed || !self.unread.is_empty()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_readable() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.unread.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An odd limit, so that frames are cut at all kinds of places.
        let count = bytes.len().min(1_237);
        let now = self.net.now();
        self.net.with(|cluster| cluster.receive(now, self.conn, &bytes[..count]));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Net {
    pub(crate) fn now(&self) -> proto::Instant {
        proto::Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    pub(crate) fn with<R>(&self, action: impl FnOnce(&mut Cluster) -> R) -> R {
        action(&mut self.cluster.lock().unwrap())
    }

    /// The values of a partition, in order.
    pub(crate) fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let log = self.with(|cluster| cluster.log(topic, partition));
        log.iter().map(|record| text(record.value.as_deref().unwrap_or_default())).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Rig {
    /// One broker with the topic "orders" of two partitions.
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let wall_clock_millis = wall.as_millis() as i64;
        let mut cluster =
            Cluster::new(ClusterConfig { wall_clock_millis, ..ClusterConfig::new(1) });
        cluster.create_topic("orders", TopicConfig::new(2));
        let mut config = Config::new("broker-1:9092");
        config.linger = Duration::from_millis(1);
        change(&mut config);
        let (handle, driver) = pair(&config, [7; 32]).unwrap();
        let net = Net { cluster: Arc::new(Mutex::new(cluster)), start: Instant::now() };
        let wakes = Arc::new(Wakes::default());
        Self { net, handle, driver, host: Host::default(), wakes, is_reactor_mute: false }
    }

    /// As an adapter's loop: turns the driver until it wants to sleep.
    pub(crate) fn settle(&mut self) -> Next {
        let waker = Waker::from(self.wakes.clone());
        loop {
            while let Some(dial) = self.host.dials.pop_front() {
                let now = self.net.now();
                let connected = self.net.with(|cluster| {
                    let broker = cluster.broker_at(&dial.host, dial.port)?;
                    cluster.connect(now, broker).ok()
                });
                match connected {
                    Some(conn) => {
                        let net = self.net.clone();
                        let unread = VecDeque::new();
                        let stream = Stream { net, conn, unread, is_closed: false };
                        self.driver.connected(dial.conn, stream);
                    }
                    None => self.driver.connect_failed(dial.conn, ConnectErrorKind::Refused),
                }
            }
            let is_heard = !self.is_reactor_mute;
            self.driver.look(|_| ());
            let is_ready = self.driver.poll_ready(|_, stream, interest| Interest {
                read: is_heard && interest.read && stream.is_readable(),
                write: interest.write,
            });
            let next = self.driver.turn(&mut self.host, &waker);
            let is_asleep = matches!(next, Next::Sleep(_)) && !is_ready;
            if next == Next::Closed || (is_asleep && self.host.dials.is_empty()) {
                return next;
            }
        }
    }

    /// The same, where the sleep does not matter.
    pub(crate) fn turn(&mut self) {
        let _ = self.settle();
    }

    /// Turns the driver, in real time, until `future` is ready.
    pub(crate) fn run<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Poll::Ready(output) = poll_once(future.as_mut()) {
                return output;
            }
            assert!(Instant::now() < give_up, "what a test waits for did not happen");
            self.turn();
            std::thread::yield_now();
        }
    }
}

pub(crate) fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether a future is ready; it is gone then.
pub(crate) fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    poll_once(std::pin::Pin::new(future)).is_ready()
}
