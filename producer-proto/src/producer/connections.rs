//! Connections: opened when there is something to say, given up after too long, tried again after
//! a backoff, closed when idle.

use std::sync::Arc;

use crate::backoff::exponential;
use crate::batches::LastError;
use crate::conn::{Conn, ConnState, InFlight, Request};
use crate::event::{BrokerState, Event};
use crate::io::{Action, ConnectErrorKind, DisconnectReason};
use crate::marks::Mark;
use crate::node::NodeIndex;
use crate::rng::Stream;
use crate::timers::TimerKey;
use crate::topics::TopicState;
use crate::wire::{ApiKey, BrokerVersions};
use crate::{ConnectionId, ErrorCode, Instant, TopicId};

use super::{Phase, Producer};

/// Why a connection ends.
pub(super) enum Ending {
    /// The transport says so.
    Lost(DisconnectReason),
    /// The peer broke the protocol, as the text says.
    Protocol(String),
    /// The peer closed it when it was asked for its versions.
    Unanswered,
    /// It took too long to become ready.
    SetupTimeout,
    /// A request took too long.
    RequestTimeout,
    /// Nobody needs it any more.
    Unneeded,
}

impl Ending {
    fn code(&self) -> ErrorCode {
        match self {
            Self::RequestTimeout => ErrorCode::REQUEST_TIMED_OUT,
            _ => ErrorCode::NETWORK_EXCEPTION,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Lost(DisconnectReason::Eof) => "the peer closed the connection".to_owned(),
            Self::Lost(DisconnectReason::Reset) => "the connection was reset".to_owned(),
            Self::Lost(_) => "the connection was lost".to_owned(),
            Self::Unanswered => "the peer closed the connection when asked for its versions \
                                 (brokers before 0.10 do so: see assume.broker.version)"
                .to_owned(),
            Self::Protocol(text) => text.clone(),
            Self::SetupTimeout => "the connection took too long to set up".to_owned(),
            Self::RequestTimeout => "no answer within request.timeout.ms".to_owned(),
            Self::Unneeded => "closed".to_owned(),
        }
    }
}

impl Producer {
    /// Opens a connection to a node that has none, now or when its backoff is over.
    pub(super) fn ensure_connection(&mut self, node: NodeIndex) {
        let state = &self.nodes[node];
        if state.conn.is_some() || self.phase == Phase::Closed || !state.is_listed {
            return;
        }
        let dial_at = state.dial_at();
        if dial_at > self.now {
            self.marks.hit(Mark::DialHeldBack);
            self.timers.set(TimerKey::Reconnect(node), dial_at);
            return;
        }
        let id = ConnectionId(self.next_conn);
        self.next_conn += 1;
        let limit = self.settings.receive_message_max_bytes;
        self.conns.insert(id, Conn::new(node, limit, self.now));
        let draw = self.rng.draw(Stream::SetupJitter, u64::from(node), self.nodes[node].attempts);
        let setup = exponential(
            self.settings.socket_connection_setup_timeout,
            self.settings.socket_connection_setup_timeout_max,
            self.nodes[node].setup_failures,
            draw,
        );
        self.timers.set(TimerKey::Setup(id), self.now + setup);
        let state = &mut self.nodes[node];
        state.conn = Some(id);
        state.is_up = false;
        state.attempts += 1;
        state.last_attempt = Some(self.now);
        self.stats.connections_opened += 1;
        let (host, port, broker) = (state.host.clone(), state.port, state.id);
        self.actions.push_back(Action::Connect { conn: id, host, port, broker });
    }

    /// Opens connections to the leaders of a topic; true when all leaders are known and up.
    pub(super) fn bring_up_leaders(&mut self, topic: TopicId) -> bool {
        let known = self.topics.get(topic).filter(|topic| topic.state == TopicState::Ready);
        let Some(known) = known else { return false };
        let mut are_up = true;
        for at in known.partitions.clone() {
            match self.usable_leader(at) {
                Some(leader) if self.nodes[leader].is_up => {}
                Some(leader) => {
                    self.ensure_connection(leader);
                    are_up = false;
                }
                None => {
                    self.metadata.request();
                    are_up = false;
                }
            }
        }
        are_up
    }

    /// The connection, unless it is unknown or being closed.
    pub(super) fn live_conn(&mut self, id: ConnectionId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(&id).filter(|conn| conn.state != ConnState::Closing);
        if conn.is_none() {
            self.stats.stale_inputs += 1;
            self.marks.hit(Mark::InputAfterClose);
        }
        conn
    }

    pub(super) fn on_connected(&mut self, id: ConnectionId) {
        let assumed = self.settings.assume_broker_version;
        let Some(conn) = self.live_conn(id) else { return };
        if conn.state != ConnState::Connecting {
            self.stats.stale_inputs += 1;
            return;
        }
        if let Some(broker) = assumed {
            conn.versions = BrokerVersions::assumed(broker);
            conn.state = ConnState::Ready;
            return self.on_connection_ready(id);
        }
        #[cfg(planted_bugs)]
        self.planted_connected(id);
        let (_, version) = ApiKey::ApiVersions.supported();
        self.ask_api_versions(id, version);
    }

    pub(super) fn on_connect_failed(&mut self, id: ConnectionId, kind: ConnectErrorKind) {
        let Some(conn) = self.conns.get(&id) else {
            self.stats.stale_inputs += 1;
            return;
        };
        let (node, was_closing) = (conn.node, conn.state == ConnState::Closing);
        self.drop_connection(id);
        if was_closing {
            return;
        }
        self.marks.hit(Mark::ConnectFailed);
        let problem = match kind {
            ConnectErrorKind::Dns => "host name does not resolve",
            ConnectErrorKind::Refused => "connection refused",
            ConnectErrorKind::TimedOut => "no answer to the connection attempt",
            ConnectErrorKind::Unreachable => "address is unreachable",
            ConnectErrorKind::Tls => "TLS handshake failed",
            ConnectErrorKind::Other => "connection attempt failed",
        };
        self.stats.connections_failed += 1;
        self.back_off(node, false, self.now);
        self.metadata.waits_for_source = false;
        self.report_failure(node, problem);
    }

    /// ApiVersions is through: requests may flow.
    pub(super) fn on_connection_ready(&mut self, id: ConnectionId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (node, versions) = (conn.node, conn.versions);
        self.timers.clear(TimerKey::Setup(id));
        self.timers.set(TimerKey::Idle(id), self.now + self.settings.connections_max_idle);
        let state = &mut self.nodes[node];
        state.is_up = true;
        state.failures = 0;
        state.setup_failures = 0;
        state.trouble = None;
        state.versions = Some(versions);
        self.trouble = None;
        self.metadata.waits_for_source = false;
        self.stats.connections_ready += 1;
        let broker = state.id;
        self.events.push_back(Event::Broker { broker, state: BrokerState::Connected });
        if broker.is_some() {
            self.retire_bootstrap();
        }
        self.wake(node);
    }

    /// Bootstrap connections have done their work when a broker can be asked instead.
    fn retire_bootstrap(&mut self) {
        for node in self.nodes.bootstrap() {
            if let Some(id) = self.nodes[node].conn {
                self.supersede(id);
            }
        }
    }

    /// Takes a connection out of use; it is closed when nothing is in flight on it any more.
    pub(super) fn supersede(&mut self, id: ConnectionId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.is_superseded = true;
        let node = conn.node;
        if conn.is_quiet() || !conn.is_ready() {
            return self.close_connection(id, Ending::Unneeded);
        }
        if self.nodes[node].id.is_some() {
            // Its broker may be dialled elsewhere at once; what was not handed out is asked there.
            let unsent = std::mem::take(&mut conn.outbox);
            self.marks.hit(Mark::SupersededBusy);
            self.detach(id);
            for outgoing in unsent {
                self.request_ended(id, node, outgoing.kind, &Ending::Unneeded);
            }
            self.close_if_superseded(id);
        }
    }

    pub(super) fn close_if_superseded(&mut self, id: ConnectionId) {
        if self.conns.get(&id).is_some_and(|conn| conn.is_superseded && conn.is_quiet()) {
            self.close_connection(id, Ending::Unneeded);
        }
    }

    /// Ends a connection from our side. Its requests end now; its bytes come back with the
    /// transport's answer.
    pub(super) fn close_connection(&mut self, id: ConnectionId, ending: Ending) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.state == ConnState::Closing {
            return;
        }
        let was_ready = conn.is_ready();
        conn.state = ConnState::Closing;
        self.actions.push_back(Action::Close { conn: id });
        self.end_requests(id, was_ready, &ending);
    }

    /// The transport says that a connection is gone.
    pub(super) fn connection_ended(&mut self, id: ConnectionId, reason: DisconnectReason) {
        let Some(conn) = self.conns.get_mut(&id) else {
            self.stats.stale_inputs += 1;
            return;
        };
        if conn.state != ConnState::Closing {
            let was_ready = conn.is_ready();
            let is_asked = matches!(conn.state, ConnState::Negotiating { .. });
            let is_unanswered = is_asked && reason == DisconnectReason::Eof;
            conn.state = ConnState::Closing;
            if is_unanswered {
                self.marks.hit(Mark::VersionsUnanswered);
            }
            let ending = if is_unanswered { Ending::Unanswered } else { Ending::Lost(reason) };
            self.end_requests(id, was_ready, &ending);
        }
        self.drop_connection(id);
    }

    /// What a connection's end means for its node, its requests and everybody who waits.
    fn end_requests(&mut self, id: ConnectionId, was_ready: bool, ending: &Ending) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let node = conn.node;
        let in_flight = std::mem::take(&mut conn.in_flight);
        let outbox = std::mem::take(&mut conn.outbox);
        let (was_quiet, last_used) = (in_flight.is_empty(), conn.last_used);
        let is_unconfirmed = conn.is_unconfirmed && matches!(ending, Ending::Lost(_));
        let was_attached = self.detach(id);
        self.metadata.waits_for_source = false;
        if was_ready {
            self.stats.connections_ready -= 1;
        } else {
            self.stats.connections_failed += 1;
        }
        if was_attached {
            let since = if was_ready && was_quiet { last_used } else { self.now };
            self.back_off(node, was_ready, since);
        }
        let is_harmless = matches!(ending, Ending::Unneeded)
            || (was_ready && was_quiet && matches!(ending, Ending::Lost(_)));
        if is_unconfirmed {
            // Brokers close the connection over a Produce without an answer that they refuse.
            self.marks.hit(Mark::UnconfirmedLost);
            self.metadata.request();
        }
        if is_harmless {
            let broker = self.broker_of(node);
            self.events.push_back(Event::Broker { broker, state: BrokerState::Closed });
        } else {
            self.report_failure(node, &ending.text());
        }
        self.stats.requests_in_flight -= in_flight.len() as u64;
        if matches!(ending, Ending::RequestTimeout) {
            self.stats.requests_timed_out += in_flight.len() as u64;
        }
        if matches!(ending, Ending::Lost(_)) && !in_flight.is_empty() {
            self.marks.hit(Mark::LostInFlight);
        }
        for outgoing in outbox {
            self.request_ended(id, node, outgoing.kind, ending);
        }
        for InFlight { kind, .. } in in_flight {
            self.request_ended(id, node, kind, ending);
        }
        if self.has_ready(node) {
            self.wake(node);
        }
    }

    fn request_ended(&mut self, id: ConnectionId, node: NodeIndex, kind: Request, ending: &Ending) {
        let message = || format!("{}: {}", self.nodes[node].describe(), ending.text()).into();
        match kind {
            Request::ApiVersions => {}
            Request::Metadata(_) => self.metadata_lost(),
            Request::Describe(question) => self.ask_again(question, message()),
            Request::InitProducerId => self.producer_id_later(message()),
            Request::Produce { batches, .. } => {
                let error = LastError { code: ending.code(), message: Some(message()) };
                // A transport that has not said so may still hold the bytes of what ends here.
                let is_gone = matches!(ending, Ending::Lost(_));
                self.lent_to = (!is_gone).then_some(id);
                self.on_request_lost(batches, &error);
                self.lent_to = None;
            }
        }
    }

    /// The node has no connection any more; false if it had another one already.
    fn detach(&mut self, id: ConnectionId) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        let node = conn.node;
        for key in [TimerKey::Setup(id), TimerKey::Request(id), TimerKey::Idle(id)] {
            let keeps = key == TimerKey::Request(id) && !conn.in_flight.is_empty();
            if !keeps {
                self.timers.clear(key);
            }
        }
        let state = &mut self.nodes[node];
        if state.conn != Some(id) {
            return false;
        }
        state.conn = None;
        state.is_up = false;
        true
    }

    fn drop_connection(&mut self, id: ConnectionId) {
        self.detach(id);
        if let Some(conn) = self.conns.remove(&id) {
            for slot in conn.lent {
                self.free(slot);
            }
        }
    }

    /// Sets when a node may be dialled again: exponentially later with each failure since it was
    /// last ready.
    fn back_off(&mut self, node: NodeIndex, was_ready: bool, since: Instant) {
        let draw =
            self.rng.draw(Stream::ReconnectJitter, u64::from(node), self.nodes[node].attempts);
        let state = &mut self.nodes[node];
        let backoff = exponential(
            self.settings.reconnect_backoff,
            self.settings.reconnect_backoff_max,
            state.failures,
            draw,
        );
        state.retry_at = since + backoff;
        state.failures += 1;
        if !was_ready {
            state.setup_failures += 1;
        }
    }

    fn report_failure(&mut self, node: NodeIndex, problem: &str) {
        let text: Arc<str> = format!("{}: {problem}", self.nodes[node].describe()).into();
        if !self.nodes[node].is_up {
            self.trouble = Some(text.clone());
            self.nodes[node].trouble = Some(text.clone());
        }
        let broker = self.broker_of(node);
        self.events.push_back(Event::Broker { broker, state: BrokerState::Failed(text) });
        self.metadata.request();
        if self.has_ready(node) {
            self.wake(node);
        }
    }

    // ---- timers

    pub(super) fn on_setup_timeout(&mut self, id: ConnectionId) {
        self.marks.hit(Mark::SetupTimeout);
        self.close_connection(id, Ending::SetupTimeout);
    }

    pub(super) fn on_idle_timer(&mut self, id: ConnectionId) {
        let Some(node) = self.conns.get(&id).map(|conn| conn.node) else { return };
        // What only waits for a throttle to end needs the connection then.
        let needed_until = match self.has_ready(node) {
            true => self.nodes[node].throttled_until,
            false => Instant::ZERO,
        };
        let Some(conn) = self.conns.get(&id) else { return };
        let idle_at = conn.last_used.max(needed_until) + self.settings.connections_max_idle;
        if conn.is_quiet() && idle_at <= self.now {
            self.marks.hit(Mark::IdleClosed);
            self.close_connection(id, Ending::Unneeded);
        } else {
            // What is under way ends later than now, and the idle time begins after it.
            let next = match conn.is_quiet() {
                true => idle_at,
                false => self.now + self.settings.connections_max_idle,
            };
            self.timers.set(TimerKey::Idle(id), next);
        }
    }

    pub(super) fn on_reconnect_timer(&mut self, node: NodeIndex) {
        if self.has_ready(node) {
            self.ensure_connection(node);
        }
    }

    pub(super) fn on_throttle_over(&mut self, node: NodeIndex) {
        self.metadata.waits_for_source = false;
        self.wake(node);
    }

    /// Closes everything, for good.
    pub(super) fn close_all_connections(&mut self) {
        let ids: Vec<_> = self.conns.ids().collect();
        for id in ids {
            self.close_connection(id, Ending::Unneeded);
        }
    }
}
