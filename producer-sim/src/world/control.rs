//! What tests call: sending, running, breaking things, looking.

use super::consistency::Content;
use super::link::Link;
use super::{Conditions, Cut, Dial, Driver, Fate, Jobs, Micros, Outcome, PATIENCE, Reach, World};
use crate::Instant;
use bytes::Bytes;
use producer_proto::{
    ConnectionId, DisconnectReason, Event, Header, PushError, Receipt, Record, TopicId,
};
use std::time::Duration;

/// Wall-clock time of records sent by the helpers, at [`Instant::ZERO`]: the default of
/// [`ClusterConfig`](crate::ClusterConfig).
const WALL_CLOCK: i64 = 1_700_000_000_000;

/// A record for [`World::push`], with a topic by name.
#[derive(Clone, Debug, Default)]
pub struct NewRecord<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// The partition, or `None` for the partitioner's choice.
    pub partition: Option<i32>,
    /// Create time; `None` for the world's clock.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [Header<'a>],
}

/// Sending.
impl World {
    /// Interns a topic.
    ///
    /// # Panics
    /// The name is not valid.
    pub fn topic(&mut self, name: &str) -> TopicId {
        match self.producer.topic(self.now, name) {
            Ok(topic) => topic,
            Err(error) => panic!("topic {name:?}: {error}"),
        }
    }

    /// Pushes a record once, without waiting.
    ///
    /// # Errors
    /// As [`Producer::push`](producer_proto::Producer::push).
    pub fn try_push(&mut self, new: &NewRecord<'_>) -> Result<Receipt, PushError> {
        let topic = self.topic(new.topic);
        let clock = WALL_CLOCK + (self.now().as_micros() / 1_000) as i64;
        let record = Record {
            topic,
            partition: new.partition,
            timestamp: new.timestamp.unwrap_or(clock),
            key: new.key,
            value: new.value,
            headers: new.headers,
        };
        let result = self.producer.push(self.now, &record);
        if let Ok(receipt) = result {
            let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
            let (key, value) = (bytes(new.key), bytes(new.value));
            self.remember(receipt, Content { topic: new.topic.to_owned(), key, value });
        }
        self.drain();
        result
    }

    /// Pushes a record; while the topic is not known or the buffer is full, lets time go on and
    /// tries again, for up to an hour.
    ///
    /// # Errors
    /// As [`Producer::push`](producer_proto::Producer::push).
    pub fn push(&mut self, record: &NewRecord<'_>) -> Result<Receipt, PushError> {
        let limit = self.now + PATIENCE;
        loop {
            let result = self.try_push(record);
            let retry = matches!(result, Err(PushError::TopicNotReady | PushError::Full { .. }));
            if !retry || !self.step(limit) {
                return result;
            }
        }
    }

    /// Sends a value to a topic, waiting where that is needed.
    ///
    /// # Panics
    /// The producer refuses the record.
    pub fn send(&mut self, topic: &str, value: &[u8]) -> Receipt {
        self.accepted(&NewRecord { topic, value: Some(value), ..NewRecord::default() })
    }

    /// Sends a value to a partition, waiting where that is needed.
    ///
    /// # Panics
    /// The producer refuses the record.
    pub fn send_to(&mut self, topic: &str, partition: i32, value: &[u8]) -> Receipt {
        let partition = Some(partition);
        self.accepted(&NewRecord { topic, partition, value: Some(value), ..NewRecord::default() })
    }

    fn accepted(&mut self, record: &NewRecord<'_>) -> Receipt {
        match self.push(record) {
            Ok(receipt) => receipt,
            Err(error) => panic!("{record:?} at {:?}: {error}", self.now),
        }
    }
}

/// Time.
impl World {
    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = self.now.max(end);
    }

    /// Lets time pass until `done`, for up to an hour; whether it came to that.
    #[must_use = "an hour may have passed in vain"]
    pub fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let limit = self.now + PATIENCE;
        self.drain();
        loop {
            if done(self) {
                return true;
            }
            if !self.step(limit) {
                return false;
            }
        }
    }

    /// Lets time pass until every record has its outcome, for up to an hour; whether they have.
    #[must_use = "an hour may have passed in vain"]
    pub fn settle(&mut self) -> bool {
        self.run_until(|world| world.open_records() == 0)
    }

    /// Closes the producer and runs until it says it is closed; whether it did within an hour.
    #[must_use = "an hour may have passed in vain"]
    pub fn close(&mut self, deadline: Option<Duration>) -> bool {
        let deadline = deadline.map(|time| self.now + time);
        self.producer.close(self.now, deadline);
        self.run_until(|world| world.events().any(|(_, event)| matches!(event, Event::Closed)))
    }
}

/// The network.
impl World {
    /// Sets everything that the network does by itself.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.network.conditions = conditions;
    }

    /// Sets how the producer is driven.
    pub fn set_driver(&mut self, driver: Driver) {
        self.driver = driver;
    }

    /// Sets the one-way latency. Default 1 ms.
    pub fn set_latency(&mut self, latency: Duration) {
        self.network.conditions.latency = Micros(latency.as_micros() as u64);
    }

    /// Sets how answers are cut. Default whole.
    pub fn set_cut(&mut self, cut: Cut) {
        self.network.conditions.cut = cut;
    }

    /// Sets how many bytes a socket takes before the broker has read some (at least 1). Default
    /// unlimited.
    pub fn set_write_window(&mut self, bytes: usize) {
        self.network.conditions.window = bytes.max(1);
    }

    /// Sets when jobs are done. Default inline.
    pub fn set_jobs(&mut self, jobs: Jobs) {
        self.network.jobs = jobs;
    }

    /// Sets where an address leads; connections that are up stay.
    pub fn set_reach(&mut self, host: &str, port: u16, reach: Reach) {
        self.network.set_reach(host, port, reach);
    }

    /// Sets where the advertised address of a broker leads.
    ///
    /// # Panics
    /// There is no such broker, or it is down.
    pub fn set_broker_reach(&mut self, broker: i32, reach: Reach) {
        let specs = self.cluster.brokers();
        let Some(spec) = specs.into_iter().find(|spec| spec.id == broker).cloned() else {
            panic!("no broker {broker} is up");
        };
        self.set_reach(&spec.host, spec.port, reach);
    }

    /// Resets all connections to a broker. The producer hears of it at once; `fate` says what
    /// becomes of the requests under way.
    pub fn reset(&mut self, broker: i32, fate: Fate) {
        self.sever(broker, DisconnectReason::Reset, fate);
    }

    /// Half-closes all connections to a broker: the producer reads the end of the stream at once;
    /// `fate` says what becomes of the requests under way, and their answers are lost.
    pub fn half_close(&mut self, broker: i32, fate: Fate) {
        self.sever(broker, DisconnectReason::Eof, fate);
    }

    fn sever(&mut self, broker: i32, reason: DisconnectReason, fate: Fate) {
        for id in self.links(broker) {
            self.network.sever(self.now, id, reason, fate, Duration::ZERO);
        }
    }

    /// Stops the connections to a broker that are up now for `time`, `up` to the broker or `down`
    /// to the producer: nothing new arrives, nothing is lost.
    pub fn clog(&mut self, broker: i32, time: Duration, up: bool, down: bool) {
        for id in self.links(broker) {
            self.network.clog(id, self.now + time, up, down);
        }
    }

    /// Makes the connections to a broker that are up now swallow everything, `up` to the broker
    /// or `down` to the producer, and tells nobody.
    pub fn deafen(&mut self, broker: i32, up: bool, down: bool) {
        for id in self.links(broker) {
            self.network.deafen(id, up, down);
        }
    }

    /// The producer's connections to a broker that are up, oldest first.
    pub fn links(&self, broker: i32) -> Vec<ConnectionId> {
        let up = |link: &Link| link.broker == Some(broker) && link.ending.is_none();
        let to_broker = self.network.links.iter().filter(|(_, link)| up(link));
        to_broker.map(|(id, _)| *id).collect()
    }
}

/// Looking.
impl World {
    /// What became of a record, once the producer has said so.
    pub fn outcome(&self, receipt: Receipt) -> Option<&Outcome> {
        self.outcomes.get(receipt)
    }

    /// All accepted records with their outcomes, by batch and index.
    pub fn outcomes(&self) -> impl Iterator<Item = (Receipt, Option<&Outcome>)> {
        self.outcomes.all()
    }

    /// How many accepted records have no outcome yet.
    pub fn open_records(&self) -> usize {
        self.outcomes.open()
    }

    /// Everything the producer told the application, with its time.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = (Instant, &Event)> {
        self.events.iter().map(|(at, event)| (*at, event))
    }

    /// All connection attempts, oldest first.
    pub fn dials(&self) -> &[Dial] {
        &self.dials
    }

    /// The connections that are open or being opened, as far as the producer knows.
    pub fn open_connections(&self) -> impl Iterator<Item = &Dial> {
        let links = self.network.links.iter();
        let open = links.filter(|(_, link)| link.ending != Some(DisconnectReason::Requested));
        open.filter_map(|(id, _)| self.dials.iter().rev().find(|dial| dial.conn == *id))
    }

    /// A digest of everything that happened so far: two runs are the same if and only if theirs
    /// are (but for a collision).
    pub fn trace_hash(&self) -> u64 {
        self.trace
    }

    /// The values in a partition's log, as text.
    pub fn values(&self, topic: &str, partition: i32) -> Vec<String> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let log = self.cluster.log(topic, partition);
        log.iter().map(|record| record.value.as_deref().map_or_else(String::new, text)).collect()
    }

    /// Asserts that no broker found fault with any byte of the producer, and that every record
    /// has its outcome.
    ///
    /// # Panics
    /// It is not so.
    pub fn assert_clean(&self) {
        assert!(self.cluster.violations().is_empty(), "{:#?}", self.cluster.violations());
        let open: Vec<_> = self.outcomes().filter(|(_, outcome)| outcome.is_none()).collect();
        assert!(open.is_empty(), "records without an outcome: {open:?}");
    }
}
