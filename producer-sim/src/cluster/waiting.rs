//! Produce requests that wait for their followers (acks=all).

use super::observe::ReceivedRequest;
use super::rule::Fired;
use super::topic::Place;
use super::{Cluster, ConnId};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceResponse;
use producer_proto::Instant;

/// A request whose batches are appended and whose answer is not due yet. Nothing behind it on its
/// connection is begun.
pub(super) struct Held {
    pub(super) request: ReceivedRequest,
    pub(super) fired: Vec<Fired>,
    pub(super) waiting: Waiting,
}

/// What a request waits for.
#[derive(Debug)]
pub(super) struct Waiting {
    /// As it will be sent, but for the errors of those that do not make it.
    pub(super) response: ProduceResponse,
    pub(super) parts: Vec<Part>,
    /// When the time that the request gave is over.
    pub(super) deadline: Instant,
}

/// One partition's part of it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) place: Place,
    /// Where in the response it stands.
    pub(super) at: (usize, usize),
    /// The high watermark that it waits for.
    pub(super) required: i64,
    /// How often the broker's log had been replaced by then: what was appended goes with it.
    pub(super) replaced: u32,
}

impl Waiting {
    fn fail(&mut self, at: (usize, usize), error: ResponseError) {
        let topic = self.response.responses.get_mut(at.0);
        if let Some(entry) = topic.and_then(|topic| topic.partition_responses.get_mut(at.1)) {
            // Offset and time stay: a real broker leaves them in too.
            entry.error_code = error.code();
        }
    }
}

impl Cluster {
    /// Looks whether waiting requests can be answered, when something has moved.
    pub(super) fn complete_waiting(&mut self) {
        if std::mem::replace(&mut self.completing, true) {
            return; // what has moved is seen by the loop below, further up
        }
        while std::mem::take(&mut self.progress) {
            let waiting: Vec<ConnId> = self.waiting.iter().copied().collect();
            for id in waiting {
                if self.conns.get(&id).is_some_and(|conn| !conn.paused) && self.try_complete(id) {
                    self.pump(self.clock, id);
                }
            }
        }
        self.completing = false;
    }

    /// Answers the waiting request of a connection if everything is decided, or its time is over;
    /// whether none waits any more.
    pub(super) fn try_complete(&mut self, id: ConnId) -> bool {
        let now = self.clock;
        let conn = self.conns.get_mut(&id);
        let Some((broker, mut held)) =
            conn.and_then(|conn| Some((conn.broker, conn.waiting.take()?)))
        else {
            return !self.waiting.remove(&id);
        };
        let waiting = &mut held.waiting;
        for part in std::mem::take(&mut waiting.parts) {
            self.look(broker, waiting, part);
        }
        if waiting.parts.is_empty() {
            self.waiting.remove(&id);
            let Held { request, fired, waiting } = *held;
            let outcome = self.finish_produce(&request, waiting.response, &fired);
            self.conclude(now, id, &request, request.version, outcome, &fired);
            return true;
        }
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.waiting = Some(held);
        }
        false
    }

    /// Looks at one partition's part: it is done, has failed, or waits on.
    pub(super) fn look(&mut self, broker: i32, waiting: &mut Waiting, part: Part) {
        match self.verdict(broker, &part) {
            Some(Ok(())) => {}
            Some(Err(error)) => waiting.fail(part.at, error),
            None if waiting.deadline <= self.clock => {
                waiting.fail(part.at, ResponseError::RequestTimedOut);
            }
            None => waiting.parts.push(part),
        }
    }

    /// What is to be said of one partition, if that is decided.
    fn verdict(&mut self, broker: i32, part: &Part) -> Option<Result<(), ResponseError>> {
        let place = &part.place;
        let topic = self.topics.get_mut(&*place.topic).filter(|t| t.id == place.topic_id);
        let min_insync = topic.as_ref().map_or(1, |topic| topic.config.min_insync_replicas);
        let Some(partition) = topic.and_then(|topic| topic.partition(place.index)) else {
            return Some(Err(ResponseError::UnknownTopicOrPartition));
        };
        let is_kept = partition.replica(broker).is_some_and(|it| it.replaced == part.replaced);
        if !partition.is_leader(broker) || !is_kept {
            return Some(Err(ResponseError::NotLeaderOrFollower));
        }
        let leads = partition.image.leader == Some(broker);
        if !leads || partition.high_watermark < part.required {
            return None;
        }
        let enough = partition.image.isr.len() >= min_insync.min(partition.image.replicas.len());
        Some(if enough { Ok(()) } else { Err(ResponseError::NotEnoughReplicasAfterAppend) })
    }
}
