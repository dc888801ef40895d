//! Asking for a producer id (InitProducerId, KIP-98).

use std::sync::Arc;

use bytes::BytesMut;

use crate::backoff::exponential;
use crate::batches::{LastError, State};
use crate::conn::{Outgoing, Request};
use crate::marks::Mark;
use crate::rng::Stream;
use crate::timers::TimerKey;
use crate::wire::{
    ApiKey, DecodeError, InitProducerIdRequest, InitProducerIdResponse, encode_request,
};
use crate::{ConnectionId, ErrorCode};

use super::{Phase, Producer};

impl Producer {
    /// Asks for a producer id when one is needed and some connection can be asked.
    pub(super) fn drive_producer_id(&mut self) {
        if !self.settings.idempotence || !self.ids.is_wanted() || self.phase == Phase::Closed {
            return;
        }
        if self.fatal.is_some() || self.ids.retry_at > self.now {
            return;
        }
        if self.ids.failures > 0 && self.stats.batches_outstanding == 0 {
            // It went wrong before, and nobody waits for it: the next record asks again.
            return;
        }
        let Some(id) = self.any_ready_connection() else { return };
        let Some(conn) = self.conns.get(&id) else { return };
        match conn.versions.pick(ApiKey::InitProducerId) {
            Ok(version) => self.ask_producer_id(id, version),
            Err(unsupported) => {
                let broker = self.nodes[conn.node].describe();
                let message =
                    format!("{broker}: {unsupported}; enable.idempotence=false does without it");
                self.producer_id_refused(ErrorCode::UNSUPPORTED_VERSION, message.into());
            }
        }
    }

    fn ask_producer_id(&mut self, id: ConnectionId, version: i16) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            // Java's value; without a transactional id brokers do not look at it.
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
        };
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let correlation = conn.correlation();
        let mut bytes = BytesMut::new();
        encode_request(&mut bytes, &request, version, correlation, Some(&self.settings.client_id));
        let (bytes, kind) = (bytes.freeze(), Request::InitProducerId);
        conn.outbox.push_back(Outgoing { bytes, correlation, version, kind });
        let node = conn.node;
        self.ids.asked = Some(id);
        self.ids.attempts += 1;
        self.wake(node);
    }

    /// The request failed; the next one comes after a backoff.
    pub(super) fn producer_id_later(&mut self, problem: Arc<str>) {
        self.marks.hit(Mark::ProducerIdLater);
        self.ids.trouble = Some(problem);
        let draw = self.rng.draw(Stream::ProducerIdJitter, 0, self.ids.attempts);
        let backoff = exponential(
            self.settings.retry_backoff,
            self.settings.retry_backoff_max,
            self.ids.failures,
            draw,
        );
        self.ids.asked = None;
        self.ids.failures += 1;
        self.ids.retry_at = self.now + backoff;
        self.timers.set(TimerKey::ProducerId, self.ids.retry_at);
    }

    /// Reads the answer; gives its throttle time.
    pub(super) fn on_init_producer_id(
        &mut self,
        body: &[u8],
        version: i16,
    ) -> Result<i32, DecodeError> {
        let response = InitProducerIdResponse::decode(body, version)?;
        let code = ErrorCode(response.error_code);
        let is_usable = response.producer_id >= 0 && response.producer_epoch >= 0;
        if code.is_none() && is_usable {
            self.ids.adopt(response.producer_id, response.producer_epoch);
            self.timers.clear(TimerKey::ProducerId);
            for node in self.nodes.all() {
                if !self.nodes[node].ready.is_empty() {
                    self.wake(node);
                }
            }
        } else if code.is_none() {
            let (id, epoch) = (response.producer_id, response.producer_epoch);
            let problem = format!("InitProducerId gave id {id} and epoch {epoch}");
            self.producer_id_later(problem.into());
        } else if code.is_retriable() {
            self.producer_id_later(format!("InitProducerId: {code}").into());
        } else {
            self.producer_id_refused(code, code.description().into());
        }
        Ok(response.throttle_ms)
    }

    /// No id is to be had: what waits for one fails. Where the reason may pass, later records ask
    /// again; otherwise the producer is of no use.
    fn producer_id_refused(&mut self, code: ErrorCode, message: Arc<str>) {
        self.producer_id_later(format!("InitProducerId: {code}: {message}").into());
        let may_pass = [ErrorCode::CLUSTER_AUTHORIZATION_FAILED, ErrorCode::UNSUPPORTED_VERSION];
        if !may_pass.contains(&code) {
            return self.become_fatal(code, message);
        }
        self.marks.hit(Mark::ProducerIdRefused);
        let waiting = self
            .unfinished()
            .into_iter()
            .filter(|&slot| !matches!(self.batches[slot].state, State::InFlight(_)));
        let waiting = waiting.collect();
        let error = LastError { code, message: Some(message) };
        self.fail_all(waiting, |producer, slot| producer.broker_error(slot, &error));
    }
}
