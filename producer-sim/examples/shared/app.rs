//! The application of both examples that own their I/O: numbers for the topic "numbers".

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, UNIX_EPOCH};
use std::{array, env, error};

use producer_proto::{Config, Event, Instant, Producer, PushError, Record, TopicId};
use producer_sim::{ClusterConfig, NetCluster};

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

const RECORDS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct App {
    /// The core.
    pub(crate) producer: Producer,
    start: std::time::Instant,
    topic: TopicId,
    pushed: usize,
    delivered: usize,
    _embedded: Option<NetCluster>,
}

impl App {
    /// Sends to the address in the first argument, or else to an embedded broker.
    pub(crate) fn new() -> Result<Self> {
        let (bootstrap, embedded) = match env::args().nth(1) {
            Some(bootstrap) => (bootstrap, None),
            None => {
                let net = NetCluster::start(ClusterConfig::new(1))?;
                (net.bootstrap(), Some(net))
            }
        };
        let random = array::from_fn(|_| RandomState::new().hash_one(0) as u8);
        let mut producer = Producer::new(&Config::new(bootstrap), Instant::ZERO, random)?;
        let topic = producer.topic(Instant::ZERO, "numbers")?;
        let start = std::time::Instant::now();
        Ok(Self { producer, start, topic, pushed: 0, delivered: 0, _embedded: embedded })
    }

    /// The core has no clock: every call is told the time.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Puts records in until the core takes no more for now; closes when all are in, or when that
    /// takes too long.
    pub(crate) fn push(&mut self) -> Result<()> {
        while self.pushed < RECORDS && self.start.elapsed() < PATIENCE {
            let millis = UNIX_EPOCH.elapsed()?.as_millis() as i64;
            let value = self.pushed.to_string();
            let record = Record::new(self.topic, millis, value.as_bytes());
            match self.producer.push(self.now(), &record) {
                Ok(_) => self.pushed += 1,
                Err(PushError::TopicNotReady | PushError::Full { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        // A second close changes nothing.
        self.producer.close(self.now(), Some(self.now() + PATIENCE));
        Ok(())
    }

    /// Takes the core's events; whether the last of them has come.
    pub(crate) fn is_done(&mut self) -> Result<bool> {
        while let Some(event) = self.producer.poll_event() {
            match event {
                Event::Delivered { records, .. } => self.delivered += records.len(),
                Event::Failed { error, persistence, .. } => println!("{error} ({persistence:?})"),
                Event::TopicFailed { error, .. } => return Err(error.into()),
                Event::Fatal(error) => return Err(error.into()),
                Event::Closed => {
                    let (delivered, time) = (self.delivered, self.start.elapsed());
                    println!("{delivered} of {RECORDS} records delivered in {time:?}");
                    return if delivered == RECORDS { Ok(true) } else { Err("incomplete".into()) };
                }
                _ => {}
            }
        }
        Ok(false)
    }
}
