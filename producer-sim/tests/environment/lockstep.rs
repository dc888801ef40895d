//! A producer and a cluster without a network between them: every input is given by hand, in
//! pieces of any size.

use crate::common::*;
use bytes::Buf;
use producer_proto::{
    Action, Config, ConnectionId, DisconnectReason, Input, Instant, Producer, Receipt, Record,
};
use producer_sim::{Cluster, ConnId, Output};
use std::collections::BTreeMap;

pub(crate) struct Lockstep {
    pub(crate) producer: Producer,
    pub(crate) cluster: Cluster,
    pub(crate) now: Instant,
    conns: BTreeMap<ConnectionId, ConnId>,
    /// Where the inbound bytes of all connections together are cut, beside each `piece`.
    pub(crate) cut: usize,
    pub(crate) piece: usize,
    /// How many bytes the transport writes at a time.
    pub(crate) write: usize,
    received: usize,
    /// What the producer said, in order.
    pub(crate) events: Vec<String>,
    /// What it sent, by connection.
    pub(crate) sent: BTreeMap<ConnectionId, Vec<u8>>,
}

impl Lockstep {
    pub(crate) fn new(cluster: Cluster, mut config: Config) -> Self {
        let brokers = cluster.brokers();
        config.bootstrap_servers =
            brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
        let now = Instant::from_millis(1);
        Self {
            producer: Producer::new(&config, now, [0; 32]).unwrap(),
            cluster,
            now,
            conns: BTreeMap::new(),
            cut: usize::MAX,
            piece: usize::MAX,
            write: usize::MAX,
            received: 0,
            events: Vec::new(),
            sent: BTreeMap::new(),
        }
    }

    /// How many bytes the brokers have sent so far.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// The next bytes to be written, if any, with actions and events taken on the way.
    pub(crate) fn take(&mut self) -> Option<(ConnectionId, Vec<u8>)> {
        loop {
            let transmit = self.producer.poll_transmit(self.now).map(|mut transmit| {
                (transmit.conn(), transmit.copy_to_bytes(transmit.remaining()).to_vec())
            });
            let mut quiet = true;
            while let Some(action) = self.producer.poll_action() {
                quiet = false;
                self.act(action);
            }
            while let Some(event) = self.producer.poll_event() {
                self.events.push(format!("{event:?}"));
            }
            if let Some((conn, bytes)) = transmit {
                self.sent.entry(conn).or_default().extend_from_slice(&bytes);
                return Some((conn, bytes));
            }
            if quiet {
                return None;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, host, port, .. } => {
                let broker = self.cluster.broker_at(&host, port).unwrap();
                let remote = self.cluster.connect(self.now, broker).unwrap();
                self.conns.insert(conn, remote);
                self.input(Input::Connected { conn });
            }
            Action::Close { conn } => {
                let remote = self.conns.remove(&conn).unwrap();
                self.cluster.disconnect(self.now, remote);
                let reason = DisconnectReason::Requested;
                self.input(Input::Disconnected { conn, reason });
            }
            Action::Run(job) => self.input(Input::Done(job.run())),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.producer.handle_input(self.now, input);
    }

    /// Hands bytes to a broker, a few at a time, and reports them as written.
    pub(crate) fn deliver(&mut self, conn: ConnectionId, bytes: &[u8]) {
        for part in bytes.chunks(self.write.min(bytes.len().max(1))) {
            if let Some(remote) = self.conns.get(&conn) {
                self.cluster.receive(self.now, *remote, part);
            }
            self.input(Input::Written { conn, bytes: part.len() });
        }
    }

    /// Hands what the brokers answered to the producer, in pieces.
    fn answer(&mut self) -> bool {
        let mut any = false;
        for (conn, remote) in self.conns.clone() {
            while let Some(output) = self.cluster.poll_output(self.now, remote) {
                any = true;
                match output {
                    Output::Bytes(bytes) => self.receive(conn, &bytes),
                    Output::Close => {
                        self.conns.remove(&conn);
                        let reason = DisconnectReason::Eof;
                        self.input(Input::Disconnected { conn, reason });
                    }
                }
            }
        }
        any
    }

    pub(crate) fn receive(&mut self, conn: ConnectionId, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let to_cut = self.cut.checked_sub(self.received).filter(|&n| n > 0);
            let size = rest.len().min(self.piece).min(to_cut.unwrap_or(usize::MAX));
            let (piece, tail) = rest.split_at(size);
            self.received += size;
            rest = tail;
            self.input(Input::Received { conn, bytes: piece });
        }
    }

    /// Goes on at this moment until nobody has anything to say.
    pub(crate) fn run(&mut self) {
        loop {
            let mut quiet = true;
            while let Some((conn, bytes)) = self.take() {
                quiet = false;
                self.deliver(conn, &bytes);
            }
            if !self.answer() && quiet {
                return;
            }
        }
    }

    /// Goes on for so many milliseconds.
    pub(crate) fn run_for(&mut self, millis: u64) {
        let end = self.now + ms(millis);
        self.run();
        while let Some(next) = self.producer.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(next);
            self.input(Input::Timeout);
            self.run();
        }
        self.now = end;
    }

    /// Pushes to a partition of "t".
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
        self.producer.push(self.now, &record).unwrap()
    }

    /// Makes the topic known.
    pub(crate) fn learn(&mut self) {
        self.producer.topic(self.now, "t").unwrap();
        self.run_for(1);
    }
}
