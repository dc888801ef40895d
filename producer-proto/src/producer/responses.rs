//! Bytes in: frames, the answers in them, and what a connection does with each.

use bytes::BytesMut;

use crate::conn::{ConnState, InFlight, Outgoing, Request};
use crate::io::DisconnectReason;
use crate::marks::Mark;
use crate::timers::TimerKey;
use crate::wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, FrameSplitter, MetadataResponse,
    correlation_id, encode_request, split_response,
};
use crate::{ConnectionId, ErrorCode};

use super::Producer;
use super::connections::Ending;

impl Producer {
    pub(super) fn on_received(&mut self, id: ConnectionId, bytes: &[u8]) {
        let limit = self.settings.receive_message_max_bytes;
        let Some(conn) = self.live_conn(id) else { return };
        // The splitter lends its frames; it is out of the connection while they are looked at.
        let mut splitter = std::mem::replace(&mut conn.splitter, FrameSplitter::new(limit));
        self.stats.bytes_in += bytes.len() as u64;
        let mut rest = bytes;
        let result = loop {
            match splitter.next_frame(&mut rest) {
                Ok(Some(frame)) => {
                    if let Err(problem) = self.on_frame(id, frame) {
                        break Err(problem);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.to_string()),
            }
        };
        match (result, self.conns.get_mut(&id)) {
            (Ok(()), Some(conn)) => conn.splitter = splitter,
            (Err(problem), Some(conn)) if conn.state != ConnState::Closing => {
                self.stats.protocol_errors += 1;
                self.marks.hit(Mark::ProtocolBroken);
                self.close_connection(id, Ending::Protocol(problem));
            }
            _ => {}
        }
    }

    /// False when nothing has come of it.
    pub(super) fn on_written(&mut self, id: ConnectionId, bytes: usize) -> bool {
        let wants_no_answer = self.wants_no_answer();
        let Some(conn) = self.live_conn(id) else { return false };
        conn.wrote(bytes);
        let node = conn.node;
        let has_ended = wants_no_answer || conn.is_superseded;
        #[cfg(planted_bugs)]
        self.planted_written(id);
        while let Some(request) =
            self.conns.get_mut(&id).and_then(|conn| conn.take_written_without_answer())
        {
            self.stats.requests_in_flight -= 1;
            if let Request::Produce { batches, .. } = request.kind {
                self.on_request_written(batches);
            }
        }
        if self.conns.get(&id).is_some_and(|conn| conn.is_write_idle()) {
            self.wake_if_loaded(node, id);
        }
        self.close_if_superseded(id);
        has_ended
    }

    fn on_frame(&mut self, id: ConnectionId, frame: &[u8]) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        if conn.state == ConnState::Closing {
            return Ok(());
        }
        let node = conn.node;
        let received = correlation_id(frame).map_err(|error| error.to_string())?;
        let Some(front) = conn.in_flight.front() else {
            return Err(format!("an answer ({received}) to no request"));
        };
        if front.correlation != received {
            let expected = front.correlation;
            return Err(format!("an answer to request {received} instead of {expected}"));
        }
        if matches!(front.kind, Request::Produce { without_answer: true, .. }) {
            return Err("an answer to a request with acks=0".to_owned());
        }
        if !conn.is_written(front) {
            return Err("an answer to a request that is not written yet".to_owned());
        }
        let (api, version) = (front.kind.api(), front.version);
        let (_, body) = split_response(api, version, frame).map_err(|error| error.to_string())?;
        let Some(mut request) = conn.in_flight.pop_front() else { return Ok(()) };
        conn.last_used = self.now;
        conn.is_unconfirmed = false;
        let result = self.on_answer_body(id, &mut request, body);
        if let Err(problem) = result {
            // It counts as lost with the rest of what is in flight.
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.in_flight.push_front(request);
            }
            return Err(format!("{api} answer, version {version}: {problem}"));
        }
        self.note_answered(&request);
        self.wake_if_loaded(node, id);
        self.close_if_superseded(id);
        Ok(())
    }

    fn note_answered(&mut self, request: &InFlight) {
        self.stats.responses += 1;
        self.stats.requests_in_flight -= 1;
        let took = self.now.saturating_since(request.sent).as_micros();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        self.stats.request_micros += took;
        self.stats.request_micros_max = self.stats.request_micros_max.max(took);
        self.peaks.request_micros = self.peaks.request_micros.max(took);
    }

    fn on_answer_body(
        &mut self,
        id: ConnectionId,
        request: &mut InFlight,
        body: &[u8],
    ) -> Result<(), String> {
        let node = self.conns.get(&id).map_or(0, |conn| conn.node);
        let version = request.version;
        let text = |error: crate::wire::DecodeError| error.to_string();
        match &request.kind {
            Request::ApiVersions => {
                let response = ApiVersionsResponse::decode(body, version).map_err(text)?;
                self.on_api_versions(id, version, &response)?;
                self.note_throttle(id, node, request, response.throttle_ms);
            }
            Request::Metadata(scope) => {
                let scope = scope.clone();
                let response = MetadataResponse::decode(body, version).map_err(text)?;
                self.note_throttle(id, node, request, response.throttle_ms);
                self.on_metadata(&scope, version, &response);
            }
            Request::Describe(question) => {
                let question = *question;
                let response = MetadataResponse::decode(body, version).map_err(text)?;
                self.note_throttle(id, node, request, response.throttle_ms);
                self.on_description(question, &response);
            }
            Request::InitProducerId => {
                let throttle = self.on_init_producer_id(body, version).map_err(text)?;
                self.note_throttle(id, node, request, throttle);
            }
            Request::Produce { .. } => {
                self.on_produce_response(id, node, request, body).map_err(text)?;
            }
        }
        Ok(())
    }

    fn on_api_versions(
        &mut self,
        id: ConnectionId,
        asked: i16,
        response: &ApiVersionsResponse,
    ) -> Result<(), String> {
        let code = ErrorCode(response.error_code);
        if code == ErrorCode::UNSUPPORTED_VERSION {
            // Strictly lower each time, so that it ends.
            let (_, ours) = ApiKey::ApiVersions.supported();
            let theirs = response.versions.range(ApiKey::ApiVersions).map_or(0, |(_, max)| max);
            let next = theirs.min(ours).max(0);
            if next >= asked {
                return Err(format!("ApiVersions {asked} refused, {theirs} offered instead"));
            }
            self.marks.hit(Mark::VersionsDowngraded);
            self.ask_api_versions(id, next);
            return Ok(());
        }
        if !code.is_none() {
            return Err(format!("ApiVersions refused: {code}"));
        }
        response.versions.pick(ApiKey::Metadata).map_err(|unsupported| unsupported.to_string())?;
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        conn.versions = response.versions;
        conn.state = ConnState::Ready;
        self.on_connection_ready(id);
        Ok(())
    }

    pub(super) fn ask_api_versions(&mut self, id: ConnectionId, version: i16) {
        let request = ApiVersionsRequest {
            software_name: &self.settings.client_software_name,
            software_version: &self.settings.client_software_version,
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let correlation = conn.correlation();
        let mut bytes = BytesMut::new();
        let client = &self.settings.client_id;
        encode_request(&mut bytes, &request, version, correlation, Some(client));
        conn.state = ConnState::Negotiating { version };
        let (bytes, kind) = (bytes.freeze(), Request::ApiVersions);
        conn.outbox.push_back(Outgoing { bytes, correlation, version, kind });
        let node = conn.node;
        self.wake(node);
    }

    /// Honours a throttle time (KIP-219): nothing is written to the node until it is over, and
    /// what is in flight may take that much longer.
    pub(super) fn note_throttle(
        &mut self,
        id: ConnectionId,
        node: u32,
        request: &InFlight,
        throttle_ms: i32,
    ) {
        let Ok(millis) = u64::try_from(throttle_ms) else { return };
        #[cfg(planted_bugs)]
        if self.has_bug(crate::PlantedBug::ThrottleIgnored) {
            return;
        }
        if millis == 0 || !request.kind.api().client_throttles(request.version) {
            return;
        }
        let duration = std::time::Duration::from_millis(millis);
        let until = self.now + duration;
        let before = self.nodes[node].throttled_until.max(self.now);
        if until > before {
            self.nodes[node].throttled_until = until;
            self.timers.set(TimerKey::Throttle(node), until);
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.throttled += until.saturating_since(before);
                let is_awaited = !conn.in_flight.is_empty();
                self.marks.hit(if is_awaited { Mark::ThrottledInFlight } else { Mark::Throttled });
            }
        } else {
            self.marks.hit(Mark::ThrottleShorter);
        }
        let micros = millis.saturating_mul(1_000);
        self.stats.throttle_micros += micros;
        self.peaks.throttle_micros = self.peaks.throttle_micros.max(micros);
        let broker = self.broker_of(node);
        self.events.push_back(crate::Event::Throttled { broker, duration });
    }

    pub(super) fn on_disconnected(&mut self, id: ConnectionId, reason: DisconnectReason) {
        self.connection_ended(id, reason);
    }
}
