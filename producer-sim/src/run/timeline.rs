//! A run as it looks from above: who was connected when, which request took how long, what went
//! wrong, what was told, and how much memory was taken.

use super::story;
use super::wire::{Answered, Said, Sent};
use crate::Instant;
use crate::world::Seen;
use kafka_protocol::messages::ApiKey;
use producer_proto::{ConnectionId, ErrorCode, Event};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A run as it looks from above, for a drawing; from [`run_and_draw`](super::run_and_draw).
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Connections, in the order in which they were asked for.
    pub connections: Vec<Connection>,
    /// Requests, in the order in which they were handed out.
    pub requests: Vec<Request>,
    /// What was done to the cluster, the network or the driver, and when.
    pub faults: Vec<(Instant, String)>,
    /// What the producer told about records.
    pub outcomes: Vec<OutcomeTold>,
    /// Bytes that the producer had buffered, whenever that changed.
    pub buffered: Vec<(Instant, usize)>,
    /// When everything was delivered, and the hour of rest began; the end of a run that failed
    /// earlier.
    pub end: Instant,
}

/// A connection of the producer.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The broker, or `None` for a bootstrap address.
    pub broker: Option<i32>,
    /// When it was asked for.
    pub asked: Instant,
    /// When it was up.
    pub up: Option<Instant>,
    /// When it was gone; `None` if it outlived the run.
    pub gone: Option<Instant>,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The broker, or `None` for a bootstrap address.
    pub broker: Option<i32>,
    /// Its kind, as the protocol names it.
    pub api: String,
    /// When it was handed out.
    pub sent: Instant,
    /// When it was answered, or its connection was gone.
    pub done: Option<Instant>,
    /// Whether it carries a batch that was sent before.
    pub is_retry: bool,
    /// What became of it.
    pub end: RequestEnd,
    /// What it holds and, once answered, the answer.
    pub text: String,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// It was still waiting for its answer when the run ended.
    Open,
    /// No answer is due: acks 0.
    Unasked,
    /// It was answered without an error.
    Answered,
    /// The answer held an error.
    Refused(ErrorCode),
    /// Its connection was gone first.
    Lost,
}

/// An outcome that the producer told.
#[derive(Clone, Debug)]
pub struct OutcomeTold {
    /// When.
    pub at: Instant,
    /// Of so many records.
    pub records: u32,
    /// Whether they were delivered.
    pub is_delivered: bool,
    /// All of it, in words.
    pub text: String,
}

/// Puts a timeline together.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) timeline: Timeline,
    connections: BTreeMap<ConnectionId, usize>,
    /// Requests without an answer, oldest first.
    waiting: BTreeMap<ConnectionId, VecDeque<usize>>,
    /// Digests of batches that were sent.
    sent: BTreeSet<u64>,
}

impl Recorder {
    /// Another producer takes over, with connections of its own.
    pub(super) fn new_instance(&mut self, at: Instant) {
        for conn in std::mem::take(&mut self.connections).into_values() {
            self.timeline.connections[conn].gone.get_or_insert(at);
        }
        for request in std::mem::take(&mut self.waiting).into_values().flatten() {
            self.end(request, at, RequestEnd::Lost);
        }
    }

    /// What needs no reading.
    pub(super) fn seen(&mut self, at: Instant, seen: &Seen) {
        match *seen {
            Seen::Connect { conn, broker, .. } => {
                self.connections.insert(conn, self.timeline.connections.len());
                let connection = Connection { broker, asked: at, up: None, gone: None };
                self.timeline.connections.push(connection);
            }
            Seen::Connected { conn } => {
                if let Some(connection) = self.connection(conn) {
                    connection.up = Some(at);
                }
            }
            Seen::ConnectFailed { conn } | Seen::Close { conn } | Seen::Disconnected { conn } => {
                if let Some(connection) = self.connection(conn) {
                    connection.gone.get_or_insert(at);
                }
                for request in self.waiting.remove(&conn).unwrap_or_default() {
                    self.end(request, at, RequestEnd::Lost);
                }
            }
            Seen::Transmit { .. } | Seen::Answer { .. } | Seen::Event(_) | Seen::Timeout => {}
        }
    }

    pub(super) fn request(&mut self, at: Instant, broker: Option<i32>, sent: &Sent) {
        let mut is_retry = false;
        for batch in &sent.batches {
            is_retry |= !self.sent.insert(batch.digest);
        }
        let is_unasked = sent.acks.is_some_and(|(acks, _)| acks == 0);
        if !is_unasked {
            let waiting = self.waiting.entry(sent.conn).or_default();
            waiting.push_back(self.timeline.requests.len());
        }
        self.timeline.requests.push(Request {
            broker,
            api: format!("{:?}", sent.api),
            sent: at,
            done: is_unasked.then_some(at),
            is_retry,
            end: if is_unasked { RequestEnd::Unasked } else { RequestEnd::Open },
            text: story::request(broker, sent).1,
        });
    }

    pub(super) fn answer(&mut self, at: Instant, broker: Option<i32>, answered: &Answered) {
        let Some(request) =
            self.waiting.get_mut(&answered.conn).and_then(|waiting| waiting.pop_front())
        else {
            return;
        };
        let code = match &answered.said {
            Said::Produce(answers) => answers.iter().map(|a| a.code).find(|code| *code != 0),
            Said::Metadata(_, codes) => codes.first().copied(),
            Said::Other(code) => Some(*code).filter(|code| *code != 0),
        };
        let end = code.map_or(RequestEnd::Answered, |code| RequestEnd::Refused(ErrorCode(code)));
        self.end(request, at, end);
        let text = &mut self.timeline.requests[request].text;
        text.push('\n');
        text.push_str(&story::answer(broker, answered).1);
    }

    /// An answer that cannot be read may have ended a request all the same.
    pub(super) fn unread(&mut self, at: Instant, conn: ConnectionId, still_waiting: usize) {
        while let Some(waiting) = self.waiting.get_mut(&conn)
            && waiting.len() > still_waiting
            && let Some(request) = waiting.pop_front()
        {
            self.end(request, at, RequestEnd::Answered);
        }
    }

    pub(super) fn event(&mut self, at: Instant, event: &Event, text: impl FnOnce() -> String) {
        let (is_delivered, records) = match event {
            Event::Delivered { records, .. } => (true, records.len() as u32),
            Event::Failed { records, .. } => (false, records.len() as u32),
            _ => return,
        };
        let told = OutcomeTold { at, records, is_delivered, text: text() };
        self.timeline.outcomes.push(told);
    }

    pub(super) fn buffered(&mut self, at: Instant, bytes: usize) {
        if self.timeline.buffered.last().is_none_or(|(_, last)| *last != bytes) {
            self.timeline.buffered.push((at, bytes));
        }
    }

    fn connection(&mut self, conn: ConnectionId) -> Option<&mut Connection> {
        self.timeline.connections.get_mut(*self.connections.get(&conn)?)
    }

    fn end(&mut self, request: usize, at: Instant, end: RequestEnd) {
        let request = &mut self.timeline.requests[request];
        (request.done, request.end) = (Some(at), end);
    }
}

impl Request {
    /// Whether it is a Produce request.
    pub fn is_produce(&self) -> bool {
        self.api == format!("{:?}", ApiKey::Produce)
    }
}
