//! A producer and a cluster with nothing between them: bytes arrive at once, and the test decides
//! how many inputs come before the producer is polled, and in which order it is polled.

use producer_proto::{
    Action, Config, ConnectErrorKind, ConnectionId, DisconnectReason, Event, Input, Instant,
    JobResult, Producer, Receipt, Record,
};
use producer_sim::{Cluster, ClusterConfig, ConnId, Output, TopicConfig};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Poll {
    Transmit,
    Action,
    Event,
}

pub(crate) enum Pending {
    Connected(ConnectionId),
    Refused(ConnectionId),
    Bytes(ConnectionId, Vec<u8>),
    Written(ConnectionId, usize),
    Gone(ConnectionId, DisconnectReason),
    Done(JobResult),
}

pub(crate) struct Direct {
    pub(crate) cluster: Cluster,
    pub(crate) producer: Producer,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    /// What the producer has not been told yet, oldest first.
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) conns: BTreeMap<ConnectionId, ConnId>,
    pub(crate) order: [Poll; 3],
}

impl Direct {
    /// Two brokers and topic "t".
    pub(crate) fn new(partitions: i32, mut config: Config, order: [Poll; 3]) -> Self {
        let mut cluster = Cluster::new(ClusterConfig::new(2));
        cluster.create_topic("t", TopicConfig::new(partitions));
        config.bootstrap_servers = vec!["broker-1:9092".to_owned()];
        let now = Instant::from_millis(1);
        Self {
            cluster,
            producer: Producer::new(&config, now, [0; 32]).unwrap(),
            now,
            events: Vec::new(),
            pending: VecDeque::new(),
            conns: BTreeMap::new(),
            order,
        }
    }

    /// Asks the producer for everything it has.
    pub(crate) fn drain(&mut self) {
        let mut quiet = 0;
        for poll in self.order.into_iter().cycle() {
            let found = match poll {
                Poll::Transmit => self.transmit(),
                Poll::Action => self.act(),
                Poll::Event => self.event(),
            };
            quiet = if found { 0 } else { quiet + 1 };
            if quiet == 3 {
                return;
            }
        }
    }

    fn transmit(&mut self) -> bool {
        let Some(transmit) = self.producer.poll_transmit(self.now) else { return false };
        let conn = transmit.conn();
        let bytes = transmit.into_chunks().flatten().collect::<Vec<u8>>();
        if let Some(remote) = self.conns.get(&conn) {
            self.cluster.receive(self.now, *remote, &bytes);
        }
        self.pending.push_back(Pending::Written(conn, bytes.len()));
        true
    }

    fn act(&mut self) -> bool {
        match self.producer.poll_action() {
            None => return false,
            Some(Action::Connect { conn, host, port, .. }) => {
                let remote = self.cluster.broker_at(&host, port);
                match remote.map(|broker| self.cluster.connect(self.now, broker)) {
                    Some(Ok(remote)) => {
                        self.conns.insert(conn, remote);
                        self.pending.push_back(Pending::Connected(conn));
                    }
                    _ => self.pending.push_back(Pending::Refused(conn)),
                }
            }
            Some(Action::Close { conn }) => {
                if let Some(remote) = self.conns.remove(&conn) {
                    self.cluster.disconnect(self.now, remote);
                }
                self.pending.push_back(Pending::Gone(conn, DisconnectReason::Requested));
            }
            Some(Action::Run(job)) => self.pending.push_back(Pending::Done(job.run())),
            Some(other) => panic!("{other:?}"),
        }
        true
    }

    fn event(&mut self) -> bool {
        let event = self.producer.poll_event();
        self.events.extend(event.clone());
        event.is_some()
    }

    /// Takes what the brokers have to say.
    pub(crate) fn collect(&mut self) {
        self.cluster.advance(self.now);
        for (conn, remote) in self.conns.clone() {
            while let Some(output) = self.cluster.poll_output(self.now, remote) {
                self.pending.push_back(match output {
                    Output::Bytes(bytes) => Pending::Bytes(conn, bytes.to_vec()),
                    Output::Close => {
                        self.conns.remove(&conn);
                        Pending::Gone(conn, DisconnectReason::Eof)
                    }
                });
            }
        }
    }

    /// Tells the producer the oldest thing it does not know; false if there is none.
    pub(crate) fn tell(&mut self) -> bool {
        let Some(pending) = self.pending.pop_front() else { return false };
        let input = match &pending {
            Pending::Connected(conn) => Input::Connected { conn: *conn },
            Pending::Refused(conn) => {
                Input::ConnectFailed { conn: *conn, kind: ConnectErrorKind::Refused }
            }
            Pending::Bytes(conn, bytes) => Input::Received { conn: *conn, bytes },
            Pending::Written(conn, bytes) => Input::Written { conn: *conn, bytes: *bytes },
            Pending::Gone(conn, reason) => Input::Disconnected { conn: *conn, reason: *reason },
            Pending::Done(_) => Input::Timeout,
        };
        self.producer.handle_input(self.now, input);
        if let Pending::Done(result) = pending {
            self.producer.handle_input(self.now, Input::Done(result));
        }
        true
    }

    /// Goes on until nothing is left to be said at this moment, with a drain after each input or
    /// only when all inputs have been told.
    pub(crate) fn turn(&mut self, drain_each: bool) {
        self.drain();
        self.collect();
        while !self.pending.is_empty() {
            while self.tell() {
                if drain_each {
                    self.drain();
                }
            }
            self.drain();
            self.collect();
        }
    }

    /// Goes on for a while.
    pub(crate) fn run_for(&mut self, time: Duration, drain_each: bool) {
        let end = self.now + time;
        self.turn(drain_each);
        loop {
            let next = [self.producer.poll_timeout(), self.cluster.poll_timeout()];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.producer.handle_input(self.now, Input::Timeout);
            self.turn(drain_each);
        }
        self.now = end;
    }

    /// Pushes a value to a partition, waiting for the topic.
    pub(crate) fn push(&mut self, partition: i32, value: &[u8]) -> Receipt {
        let topic = self.producer.topic(self.now, "t").unwrap();
        let record = Record {
            topic,
            partition: Some(partition),
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(value),
            headers: &[],
        };
        for _ in 0..100 {
            if let Ok(receipt) = self.producer.push(self.now, &record) {
                return receipt;
            }
            self.run_for(Duration::from_millis(100), true);
        }
        panic!("the record is never taken");
    }
}
