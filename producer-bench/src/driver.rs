//! The driver's handle, with and without its turns: no socket, the broker is in memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use producer_driver::proto::{Config, ConnectionId, Event};
use producer_driver::{
    Delivery, Dial, Driver, Environment, Handle, Interest, Next, Record, Topic, Work, pair,
};

use crate::cases::{Body, Case, Meter, warm_up};
use crate::payload::{keys, values};
use crate::support::MiniBroker;

/// Records per run.
const RECORDS: u64 = 20_000;

/// Records that are handed in together.
const HANDFUL: usize = 100;

/// Records between two turns of the driver.
const STRIDE: usize = 1_000;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, is_keyed) in [("unkeyed/100", false), ("keyed/100", true)] {
        let name = format!("handle/send/{name}");
        cases.push(Case::new(name, "record", RECORDS, move || send(is_keyed)));
    }
    cases.push(Case::new("handle/admit/unkeyed/100", "record", RECORDS, admit));
    cases.push(Case::new("handle/some/unkeyed/100", "record", RECORDS, send_some));
    cases.push(Case::new("handle/whole/unkeyed/100", "record", RECORDS, || whole(false)));
    cases.push(Case::new("handle/whole/keyed/100", "record", RECORDS, || whole(true)));
    cases.push(Case::new("handle/lone-send", "record", LONE_SENDS, lone_send));
    cases
}

const LONE_SENDS: u64 = 1_000;

/// A connection to the broker in memory.
struct Stream(MiniBroker);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.outbound.len().min(buffer.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..count].copy_from_slice(&self.0.outbound[..count]);
        self.0.outbound.drain(..count);
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.receive(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().for_each(|slice| self.0.receive(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Host(VecDeque<Dial>);

impl Environment for Host {
    fn connect(&mut self, dial: Dial) {
        self.0.push_back(dial);
    }

    fn stop_dialling(&mut self, conn: ConnectionId) {
        self.0.retain(|dial| dial.conn != conn);
    }

    fn run(&mut self, work: Work) {
        work.run();
    }

    fn notice(&mut self, event: &Event) {
        assert!(matches!(event, Event::Broker { .. }), "{event:?}");
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

struct Rig {
    handle: Handle,
    topic: Topic,
    driver: Driver<Stream>,
    host: Host,
    waker: Waker,
    values: Vec<Vec<u8>>,
    keys: Vec<[u8; 8]>,
    next: usize,
    waiting: VecDeque<Delivery>,
}

impl Rig {
    fn new(linger: Duration) -> Self {
        let mut config = Config::new("b:9092");
        config.linger = linger;
        let (handle, driver) = pair(&config, [1; 32]).expect("valid settings");
        let topic = handle.topic("t").expect("a valid name");
        let mut rig = Self {
            handle,
            topic,
            driver,
            host: Host::default(),
            waker: Waker::from(Arc::new(Nobody)),
            values: values(100),
            keys: keys(),
            next: 0,
            waiting: VecDeque::new(),
        };
        rig.turn();
        rig
    }

    /// Turns the driver until it would sleep.
    fn turn(&mut self) {
        loop {
            while let Some(dial) = self.host.0.pop_front() {
                self.driver.connected(dial.conn, Stream(MiniBroker::new(4)));
            }
            let next = self.driver.turn(&mut self.host, &self.waker);
            let is_ready = self.driver.poll_ready(|_, stream, interest| Interest {
                read: interest.read && !stream.0.outbound.is_empty(),
                write: interest.write,
            });
            if matches!(next, Next::Sleep(_)) && !is_ready && self.host.0.is_empty() {
                return;
            }
        }
    }

    fn send(&mut self, is_keyed: bool) {
        let at = self.next % self.values.len();
        self.next += 1;
        let mut record = Record::to(&self.topic).value(&self.values[at]);
        record.key = is_keyed.then_some(&self.keys[at]);
        self.waiting.push_back(self.handle.try_send(record).expect("room"));
    }

    /// Awaits the acceptance of a record, which is at once.
    fn admit(&mut self) {
        let at = self.next % self.values.len();
        self.next += 1;
        let admission = self.handle.send(Record::to(&self.topic).value(&self.values[at]));
        let accepted = pin!(admission).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(delivery)) = accepted else { panic!("{accepted:?}") };
        self.waiting.push_back(delivery);
    }

    fn send_some(&mut self) {
        let at = (self.next..).take(HANDFUL).map(|at| at % self.values.len());
        let records: Vec<_> =
            at.map(|at| Record::to(&self.topic).value(&self.values[at])).collect();
        self.next += HANDFUL;
        let sent = self.handle.send_some(&records);
        assert_eq!(sent.len(), HANDFUL);
        self.waiting.extend(sent.into_iter().map(|admission| admission.wait().expect("room")));
    }

    /// Reads the results that are there.
    fn take_results(&mut self) {
        while let Some(result) = self.waiting.front().and_then(Delivery::try_result) {
            std::hint::black_box(result.expect("delivered"));
            self.waiting.pop_front();
        }
    }
}

/// Long, because the clock is real: only full batches are sent.
const LINGER: Duration = Duration::from_secs(60);

/// What the caller's thread pays to hand a record in.
fn send(is_keyed: bool) -> Body {
    let mut rig = Rig::new(LINGER);
    warm_up(move |meter: &mut dyn Meter| {
        for _ in 0..RECORDS / STRIDE as u64 {
            meter.measure(&mut || (0..STRIDE).for_each(|_| rig.send(is_keyed)));
            rig.turn();
            rig.take_results();
        }
    })
}

/// What a task pays to hand a record in and find it accepted.
fn admit() -> Body {
    let mut rig = Rig::new(LINGER);
    warm_up(move |meter: &mut dyn Meter| {
        for _ in 0..RECORDS / STRIDE as u64 {
            meter.measure(&mut || (0..STRIDE).for_each(|_| rig.admit()));
            rig.turn();
            rig.take_results();
        }
    })
}

/// What a caller pays that hands in a hundred records at a time.
fn send_some() -> Body {
    let mut rig = Rig::new(LINGER);
    warm_up(move |meter: &mut dyn Meter| {
        for _ in 0..RECORDS / STRIDE as u64 {
            meter.measure(&mut || (0..STRIDE / HANDFUL).for_each(|_| rig.send_some()));
            rig.turn();
            rig.take_results();
        }
    })
}

/// All that a record costs until its result is read, the broker's share included.
fn whole(is_keyed: bool) -> Body {
    let mut rig = Rig::new(LINGER);
    warm_up(move |meter: &mut dyn Meter| {
        for _ in 0..RECORDS / STRIDE as u64 {
            meter.measure(&mut || {
                (0..STRIDE).for_each(|_| rig.send(is_keyed));
                rig.turn();
                rig.take_results();
            });
        }
    })
}

/// A record that is sent, answered and read before the next one.
fn lone_send() -> Body {
    let mut rig = Rig::new(Duration::ZERO);
    warm_up(move |meter: &mut dyn Meter| {
        meter.measure(&mut || {
            for _ in 0..LONE_SENDS {
                rig.send(false);
                rig.turn();
                rig.take_results();
                assert!(rig.waiting.is_empty());
            }
        });
    })
}
