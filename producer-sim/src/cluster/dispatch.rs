//! From a frame to an answer: reading a request, letting rules at it, carrying it out.

use super::conn::{Answer, Conn, Pending, Wait};
use super::observe::{ReceivedBatch, ReceivedRequest, RequestBody};
use super::rule::{Fired, Moment};
use super::waiting::{Held, Waiting};
use super::{Cluster, ConnId, old_produce};
use crate::records::Batch;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ProduceRequest, RequestHeader, RequestKind, ResponseHeader, ResponseKind,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use producer_proto::{Instant, Uuid};
use std::sync::Arc;
use std::time::Duration;

/// What carrying out a request leads to.
pub(super) enum Outcome {
    Answer(Box<ResponseKind>),
    /// No answer is due (acks 0).
    Nothing,
    /// The answer comes when the followers have copied.
    Wait(Box<Waiting>),
    Close,
    /// The broker fails inside and never says anything on this connection again.
    Dead,
}

impl Cluster {
    /// Carries out whatever requests of a connection are due.
    pub(super) fn pump(&mut self, now: Instant, id: ConnId) {
        while let Some(conn) = self.conns.get_mut(&id) {
            if conn.is_finished() {
                self.conns.remove(&id);
                return;
            }
            if conn.closed || conn.dead || conn.paused {
                return;
            }
            if let Some(held) = &conn.waiting {
                if held.waiting.deadline <= now && self.try_complete(id) {
                    continue;
                }
                return;
            }
            let due = matches!(conn.stalled, Some((Wait::Until(at), _)) if at <= now);
            if due && let Some((_, pending)) = conn.stalled.take() {
                self.execute(now, id, pending);
                continue;
            }
            if conn.stalled.is_some() || conn.muted_until.is_some_and(|at| at > now) {
                return;
            }
            conn.muted_until = None;
            let Some((at, frame)) = conn.frames.pop_front() else { return };
            match self.read_request(at, id, frame) {
                Ok(pending) => match (wait(now, &pending.fired), self.conns.get_mut(&id)) {
                    (Some(wait), Some(conn)) => conn.stalled = Some((wait, pending)),
                    _ => self.execute(now, id, pending),
                },
                Err(what) => {
                    self.violation(at, id, what);
                    self.close_connection(id);
                }
            }
        }
    }

    fn read_request(&mut self, at: Instant, id: ConnId, frame: Bytes) -> Result<Pending, String> {
        let mut flaws = Vec::new();
        let (request, kind) = self.decode_request(at, id, frame, &mut flaws)?;
        for what in flaws {
            self.violation(at, id, what);
        }
        let fired = self.rules.fire(&request);
        self.request_count += 1;
        if self.config.request_history > 0 {
            if self.requests.len() >= self.config.request_history {
                self.requests.pop_front();
            }
            self.requests.push_back(request.clone());
        }
        Ok(Pending { request, kind, fired })
    }

    /// Reads a frame, which changes nothing; what is wrong with a request that can be read all the
    /// same goes to `flaws`.
    pub(super) fn decode_request(
        &self,
        at: Instant,
        id: ConnId,
        frame: Bytes,
        flaws: &mut Vec<String>,
    ) -> Result<(ReceivedRequest, RequestKind), String> {
        let broker = self.conns.get(&id).map_or(-1, |conn| conn.broker);
        let size = frame.len() + 4;
        let mut buffer = frame;
        let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = buffer.first_chunk::<8>() else {
            return Err(format!("frame of {} bytes holds no request header", buffer.len()));
        };
        let (key, version) = (i16::from_be_bytes([k0, k1]), i16::from_be_bytes([v0, v1]));
        let api = ApiKey::try_from(key).map_err(|()| format!("unknown API key {key}"))?;
        let supported = self.supports(broker, api, version);
        let correlation_id = i32::from_be_bytes([c0, c1, c2, c3]);
        let (client_id, kind) = if supported {
            let header_version = api.request_header_version(version);
            let header = RequestHeader::decode(&mut buffer, header_version)
                .map_err(|error| format!("header of {api:?} v{version}: {error:#}"))?;
            let kind = if old_produce::is_old(api, version) {
                let request = old_produce::decode(&mut buffer);
                RequestKind::Produce(request.map_err(|error| format!("{api:?}: {error}"))?)
            } else {
                RequestKind::decode(api, &mut buffer, version)
                    .map_err(|error| format!("{api:?} v{version}: {error:#}"))?
            };
            if !buffer.is_empty() {
                return Err(format!("{api:?} v{version}: {} bytes left over", buffer.len()));
            }
            (header.client_id.map(|id| id.to_string()), kind)
        } else if api == ApiKey::ApiVersions {
            // Its layout is not known; it is answered all the same, so that the client learns the
            // versions (KIP-511).
            (None, RequestKind::ApiVersions(Default::default()))
        } else {
            return Err(format!("{api:?} v{version} is not served here"));
        };
        let body = match &kind {
            RequestKind::Produce(produce) => self.produce_body(version, produce, flaws),
            other => RequestBody::Other(Box::new(other.clone())),
        };
        let conn = id;
        let bytes = size;
        let request = ReceivedRequest {
            at,
            broker,
            conn,
            api,
            version,
            correlation_id,
            client_id,
            bytes,
            body,
        };
        Ok((request, kind))
    }

    fn supports(&self, broker: i32, api: ApiKey, version: i16) -> bool {
        let spoken = match api {
            ApiKey::Produce => 0..=13,
            ApiKey::Metadata => 0..=13,
            ApiKey::ApiVersions => 0..=4,
            ApiKey::InitProducerId => 0..=5,
            _ => return false,
        };
        let advertised = self.brokers.get(&broker).and_then(|b| b.versions.get(&(api as i16)));
        // Brokers announce Produce 0 to 2 for the sake of old clients, and refuse them (KIP-896);
        // where nothing else is announced, they are meant.
        let meant = |max: i16| !old_produce::is_old(api, version) || max <= old_produce::NEWEST;
        spoken.contains(&version)
            && advertised.is_some_and(|&(min, max)| (min..=max).contains(&version) && meant(max))
    }

    /// Notes what a Produce request holds, and what it may not hold.
    fn produce_body(
        &self,
        version: i16,
        request: &ProduceRequest,
        flaws: &mut Vec<String>,
    ) -> RequestBody {
        let mut batches: Vec<ReceivedBatch> = Vec::new();
        for topic in &request.topic_data {
            let topic_id = Uuid(*topic.topic_id.as_bytes());
            let name = match topic_id.is_zero() {
                true => topic.name.to_string(),
                false => {
                    self.topic_name(topic_id).map_or_else(String::new, |name| name.to_string())
                }
            };
            if topic.partition_data.is_empty() {
                flaws.push(format!("Produce names topic {name:?} without a batch"));
            }
            for data in &topic.partition_data {
                let partition = data.index;
                let again = |b: &ReceivedBatch| {
                    (&b.topic, b.topic_id, b.partition) == (&name, topic_id, partition)
                };
                if batches.iter().any(again) {
                    flaws.push(format!("two batches for {name}-{partition}"));
                }
                let records = data.records.clone();
                let bytes = records.as_ref().map_or(0, Bytes::len);
                let read = |records| match version <= old_produce::NEWEST {
                    true => old_produce::batch(records, version).map(|(batch, _)| batch),
                    false => Batch::parse(records).map_err(|error| error.to_string()),
                };
                let batch = match records.map(read) {
                    Some(Ok(batch)) => {
                        let flaw =
                            self.config.verify_batches.then(|| batch.check().err()).flatten();
                        if let Some(error) = flaw {
                            flaws.push(format!("batch for {name}-{partition}: {error}"));
                        }
                        Some(batch)
                    }
                    Some(Err(error)) => {
                        flaws.push(format!("batch for {name}-{partition}: {error}"));
                        None
                    }
                    None => {
                        flaws.push(format!("null records for {name}-{partition}"));
                        None
                    }
                };
                batches.push(ReceivedBatch {
                    topic: name.clone(),
                    topic_id,
                    partition,
                    bytes,
                    digest: batch.as_ref().map_or(0, Batch::digest),
                    header: batch.map(|batch| batch.header),
                });
            }
        }
        RequestBody::Produce {
            acks: request.acks,
            timeout_ms: request.timeout_ms,
            transactional_id: request.transactional_id.as_ref().map(|id| id.to_string()),
            batches,
        }
    }

    pub(super) fn topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        self.topics.values().find(|topic| topic.id == id).map(|topic| Arc::clone(&topic.name))
    }

    fn execute(&mut self, now: Instant, id: ConnId, pending: Pending) {
        let Pending { request, kind, fired } = pending;
        if fired.iter().any(|f| f.effects.close == Some(Moment::Before)) {
            return self.close_connection(id);
        }
        let supported = self.supports(request.broker, request.api, request.version);
        let outcome = match kind {
            RequestKind::Produce(produce) => self.produce(now, &request, produce, &fired),
            RequestKind::Metadata(metadata) => self.metadata(&request, metadata, &fired),
            RequestKind::ApiVersions(versions) => {
                self.api_versions(&request, &versions, supported, &fired)
            }
            RequestKind::InitProducerId(init) => self.init_producer_id(&init, &fired),
            _ => Outcome::Close,
        };
        let version = if supported { request.version } else { 0 };
        self.conclude(now, id, &request, version, outcome, &fired);
        self.complete_waiting();
    }

    /// Does what a request led to.
    pub(super) fn conclude(
        &mut self,
        now: Instant,
        id: ConnId,
        request: &ReceivedRequest,
        version: i16,
        outcome: Outcome,
        fired: &[Fired],
    ) {
        if fired.iter().any(|f| f.effects.close == Some(Moment::After)) {
            return self.close_connection(id);
        }
        match outcome {
            Outcome::Answer(response) => {
                self.answer(now, id, request, version, *response, fired);
            }
            Outcome::Nothing => {
                let throttle = self.quota_throttle(now, request);
                if let Some(conn) = self.conns.get_mut(&id).filter(|_| !throttle.is_zero()) {
                    conn.muted_until = Some(now + throttle);
                }
            }
            Outcome::Wait(waiting) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    let (request, fired) = (request.clone(), fired.to_vec());
                    conn.waiting = Some(Box::new(Held { request, fired, waiting: *waiting }));
                    self.waiting.insert(id);
                }
            }
            Outcome::Close => self.close_connection(id),
            Outcome::Dead => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.dead = true;
                }
            }
        }
    }

    fn answer(
        &mut self,
        now: Instant,
        id: ConnId,
        request: &ReceivedRequest,
        version: i16,
        mut response: ResponseKind,
        fired: &[Fired],
    ) {
        let quota = self.brokers.get(&request.broker).map_or(Duration::ZERO, |b| b.throttle);
        let quota = quota.max(self.quota_throttle(now, request));
        let throttle = fired.iter().filter_map(|f| f.effects.throttle).fold(quota, Duration::max);
        set_throttle(&mut response, throttle);
        for f in fired {
            f.effects.edit_response(&mut response);
        }
        let mut frame = match encode(request, version, &response) {
            Ok(frame) => frame,
            Err(what) => {
                self.violation(now, id, format!("the edited answer cannot be encoded: {what}"));
                return self.close_connection(id);
            }
        };
        for f in fired {
            f.effects.edit_bytes(&mut frame);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !throttle.is_zero() {
            conn.muted_until = Some(now + throttle);
        }
        conn.queue_answer(now, Bytes::from(frame), fired);
    }
}

impl Conn {
    fn queue_answer(&mut self, now: Instant, frame: Bytes, fired: &[Fired]) {
        if self.client_gone || self.closed {
            return;
        }
        let delay =
            fired.iter().filter_map(|f| f.effects.delay).fold(Duration::ZERO, Duration::max);
        let holder = fired.iter().find(|f| f.effects.hold_answer);
        self.answers.push_back(if fired.iter().any(|f| f.effects.drop_answer) {
            Answer::Never
        } else if let Some(holder) = holder {
            Answer::Held(holder.id, frame)
        } else {
            Answer::At(now + delay, frame)
        });
    }
}

fn wait(now: Instant, fired: &[Fired]) -> Option<Wait> {
    if let Some(holder) = fired.iter().find(|f| f.effects.hold_request) {
        return Some(Wait::Released(holder.id));
    }
    fired.iter().filter_map(|f| f.effects.stall).max().map(|stall| Wait::Until(now + stall))
}

fn set_throttle(response: &mut ResponseKind, throttle: Duration) {
    let millis = i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX);
    match response {
        ResponseKind::Produce(r) => r.throttle_time_ms = millis,
        ResponseKind::Metadata(r) => r.throttle_time_ms = millis,
        ResponseKind::ApiVersions(r) => r.throttle_time_ms = millis,
        ResponseKind::InitProducerId(r) => r.throttle_time_ms = millis,
        _ => {}
    }
}

/// A whole frame with its length prefix.
fn encode(
    request: &ReceivedRequest,
    version: i16,
    response: &ResponseKind,
) -> Result<Vec<u8>, String> {
    let mut buffer = BytesMut::new();
    buffer.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(request.correlation_id)
        .encode(&mut buffer, request.api.response_header_version(version))
        .map_err(|error| format!("{error:#}"))?;
    match response {
        ResponseKind::Produce(response) if old_produce::is_old(request.api, version) => {
            old_produce::encode(response, version, &mut buffer);
        }
        _ => response.encode(&mut buffer, version).map_err(|error| format!("{error:#}"))?,
    }
    let length = i32::try_from(buffer.len() - 4).map_err(|error| error.to_string())?;
    buffer[..4].copy_from_slice(&length.to_be_bytes());
    Ok(buffer.into())
}
