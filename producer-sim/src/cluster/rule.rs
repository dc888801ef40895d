//! Scripted behaviour: what a broker does to the nth request of some kind.

use super::observe::ReceivedRequest;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ResponseKind};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Identifies an injected [`Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u64);

/// Before or after a request takes effect (a batch is appended, a topic created, an id given out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request has no effect.
    Before,
    /// The request has its effect, and only the answer is wrong.
    After,
}

type Edit<T> = Arc<Mutex<dyn FnMut(&mut T) + Send>>;
type Predicate = Arc<dyn Fn(&ReceivedRequest) -> bool + Send + Sync>;

/// The leader that an answer names (Produce 10 and later, KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaderHint {
    pub(super) leader: i32,
    pub(super) epoch: i32,
    pub(super) with_endpoint: bool,
}

/// What a rule does to a request.
#[derive(Clone, Default)]
pub(super) struct Effects {
    pub(super) error: Option<(i16, Moment)>,
    pub(super) message: Option<String>,
    pub(super) record_errors: Vec<(i32, Option<String>)>,
    pub(super) leader_hint: Option<LeaderHint>,
    pub(super) omit: bool,
    pub(super) throttle: Option<Duration>,
    pub(super) delay: Option<Duration>,
    pub(super) hold_answer: bool,
    pub(super) drop_answer: bool,
    pub(super) stall: Option<Duration>,
    pub(super) hold_request: bool,
    pub(super) close: Option<Moment>,
    pub(super) edit_response: Option<Edit<ResponseKind>>,
    pub(super) edit_bytes: Option<Edit<Vec<u8>>>,
}

/// One piece of a script: which requests, and what happens to them.
///
/// A rule without filters matches every request. Rules are tried in the order in which they were
/// injected; of those that aim at the same partition (or at none) only the first fires for one
/// request, so injecting three errors for one API answers them one after the other. A rule fires
/// once unless [`Rule::times`] or [`Rule::always`] say otherwise.
///
/// ```
/// use producer_sim::{ApiKey, ResponseError, Rule};
/// // The second Produce for partition 0 of "orders" is appended but answered with a timeout.
/// let rule = Rule::on(ApiKey::Produce)
///     .partition("orders", 0)
///     .nth(2)
///     .error_after(ResponseError::RequestTimedOut);
/// ```
#[derive(Clone)]
pub struct Rule {
    broker: Option<i32>,
    api: Option<ApiKey>,
    topic: Option<String>,
    partition: Option<i32>,
    predicate: Option<Predicate>,
    skip: u64,
    times: u64,
    effects: Effects,
}

impl Rule {
    /// A rule for all requests of all APIs.
    pub fn any() -> Self {
        Self {
            broker: None,
            api: None,
            topic: None,
            partition: None,
            predicate: None,
            skip: 0,
            times: 1,
            effects: Effects::default(),
        }
    }

    /// A rule for the requests of one API.
    pub fn on(api: ApiKey) -> Self {
        Self { api: Some(api), ..Self::any() }
    }

    /// Only at this broker.
    pub fn broker(mut self, id: i32) -> Self {
        self.broker = Some(id);
        self
    }

    /// Only Produce requests that hold a batch for this topic, or Metadata requests that name it;
    /// errors go to that topic's entries alone.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only Produce requests that hold a batch for this partition; errors go to that entry alone.
    pub fn partition(mut self, topic: impl Into<String>, partition: i32) -> Self {
        self.topic = Some(topic.into());
        self.partition = Some(partition);
        self
    }

    /// Only requests for which `predicate` is true.
    pub fn matching(
        mut self,
        predicate: impl Fn(&ReceivedRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    /// Starts with the `n`th matching request, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// Fires for this many matching requests.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Fires for every matching request.
    pub fn always(self) -> Self {
        self.times(u64::MAX)
    }

    /// Answers with an error; the request has no effect.
    pub fn error(self, error: ResponseError) -> Self {
        self.error_code(error.code(), Moment::Before)
    }

    /// Answers with an error although the request has its effect.
    pub fn error_after(self, error: ResponseError) -> Self {
        self.error_code(error.code(), Moment::After)
    }

    /// Answers with any error code, known or not; 0 with [`Moment::Before`] acknowledges what
    /// never happened.
    pub fn error_code(mut self, code: i16, moment: Moment) -> Self {
        self.effects.error = Some((code, moment));
        self
    }

    /// Adds a message to the error (Produce 8 and later).
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.effects.message = Some(message.into());
        self
    }

    /// Adds a record error to the partition's answer (Produce 8 and later, KIP-467).
    pub fn record_error(mut self, index: i32, message: Option<&str>) -> Self {
        self.effects.record_errors.push((index, message.map(str::to_owned)));
        self
    }

    /// Names a leader in the partition's answer, with its address if the cluster has such a broker
    /// (Produce 10 and later, KIP-951).
    pub fn leader_hint(mut self, leader: i32, epoch: i32) -> Self {
        self.effects.leader_hint = Some(LeaderHint { leader, epoch, with_endpoint: true });
        self
    }

    /// The same as [`Rule::leader_hint`], but leaves the address out.
    pub fn leader_hint_without_endpoint(mut self, leader: i32, epoch: i32) -> Self {
        self.effects.leader_hint = Some(LeaderHint { leader, epoch, with_endpoint: false });
        self
    }

    /// Leaves the partition (or topic) out of the answer.
    pub fn omit(mut self) -> Self {
        self.effects.omit = true;
        self
    }

    /// Sets the answer's throttle time and stops reading from the connection for so long, as
    /// brokers do since 2.0 (KIP-219).
    pub fn throttle(mut self, time: Duration) -> Self {
        self.effects.throttle = Some(time);
        self
    }

    /// Sends the answer this much later. The broker goes on with later requests of the connection
    /// meanwhile, so this looks like a slow network.
    pub fn delay(mut self, time: Duration) -> Self {
        self.effects.delay = Some(time);
        self
    }

    /// Holds the answer (and those behind it) until [`Cluster::release`](super::Cluster::release).
    pub fn hold(mut self) -> Self {
        self.effects.hold_answer = true;
        self
    }

    /// Never sends the answer, nor any later one of the connection: a half-dead network.
    pub fn drop_answer(mut self) -> Self {
        self.effects.drop_answer = true;
        self
    }

    /// Begins with the request this much later; the requests behind it wait, as with a slow
    /// broker. It is carried out even when the client has gone by then.
    pub fn stall(mut self, time: Duration) -> Self {
        self.effects.stall = Some(time);
        self
    }

    /// Does not begin with the request before [`Cluster::release`](super::Cluster::release).
    pub fn hold_request(mut self) -> Self {
        self.effects.hold_request = true;
        self
    }

    /// Closes the connection instead of carrying the request out.
    pub fn close_before(mut self) -> Self {
        self.effects.close = Some(Moment::Before);
        self
    }

    /// Carries the request out and closes the connection instead of answering.
    pub fn close_after(mut self) -> Self {
        self.effects.close = Some(Moment::After);
        self
    }

    /// Changes the answer before it is encoded.
    pub fn edit_response(mut self, edit: impl FnMut(&mut ResponseKind) + Send + 'static) -> Self {
        self.effects.edit_response = Some(Arc::new(Mutex::new(edit)));
        self
    }

    /// Changes the answer's bytes: the whole frame, with its length prefix.
    pub fn edit_bytes(mut self, edit: impl FnMut(&mut Vec<u8>) + Send + 'static) -> Self {
        self.effects.edit_bytes = Some(Arc::new(Mutex::new(edit)));
        self
    }

    fn matches(&self, request: &ReceivedRequest) -> bool {
        self.broker.is_none_or(|broker| broker == request.broker)
            && self.api.is_none_or(|api| api == request.api)
            && self.topic.as_deref().is_none_or(|topic| self.names(topic, request))
            && self.predicate.as_ref().is_none_or(|predicate| predicate(request))
    }

    fn names(&self, topic: &str, request: &ReceivedRequest) -> bool {
        match self.partition {
            Some(partition) => {
                request.batches().iter().any(|b| b.topic == topic && b.partition == partition)
            }
            None => request.names_topic(topic),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, api, topic, partition, skip, times, .. } = self;
        write!(f, "Rule({broker:?} {api:?} {topic:?} {partition:?} skip {skip} times {times})")
    }
}

/// A rule that fires for the request at hand.
#[derive(Clone)]
pub(super) struct Fired {
    pub(super) id: RuleId,
    pub(super) topic: Option<String>,
    pub(super) partition: Option<i32>,
    pub(super) effects: Effects,
}

impl Fired {
    pub(super) fn is_about(&self, topic: &str, partition: i32) -> bool {
        self.is_about_topic(topic) && self.partition.is_none_or(|p| p == partition)
    }

    pub(super) fn is_about_topic(&self, topic: &str) -> bool {
        self.topic.as_deref().is_none_or(|t| t == topic)
    }
}

impl Effects {
    pub(super) fn edit_response(&self, response: &mut ResponseKind) {
        if let Some(edit) = &self.edit_response {
            edit.lock().unwrap_or_else(PoisonError::into_inner)(response);
        }
    }

    pub(super) fn edit_bytes(&self, frame: &mut Vec<u8>) {
        if let Some(edit) = &self.edit_bytes {
            edit.lock().unwrap_or_else(PoisonError::into_inner)(frame);
        }
    }
}

/// All injected rules.
#[derive(Default)]
pub(super) struct Rules {
    next: u64,
    live: Vec<(RuleId, Rule)>,
    hits: BTreeMap<RuleId, u64>,
}

impl Rules {
    pub(super) fn inject(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.live.push((id, rule));
        id
    }

    pub(super) fn remove(&mut self, id: RuleId) {
        self.live.retain(|(live, _)| *live != id);
    }

    pub(super) fn clear(&mut self) {
        self.live.clear();
    }

    pub(super) fn hits(&self, id: RuleId) -> u64 {
        self.hits.get(&id).copied().unwrap_or(0)
    }

    /// The rules that fire for this request; counts them down.
    pub(super) fn fire(&mut self, request: &ReceivedRequest) -> Vec<Fired> {
        let mut fired: Vec<Fired> = Vec::new();
        for (id, rule) in &mut self.live {
            if rule.times == 0 || !rule.matches(request) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if fired.iter().any(|f| f.topic == rule.topic && f.partition == rule.partition) {
                continue;
            }
            if rule.times != u64::MAX {
                rule.times -= 1;
            }
            *self.hits.entry(*id).or_default() += 1;
            fired.push(Fired {
                id: *id,
                topic: rule.topic.clone(),
                partition: rule.partition,
                effects: rule.effects.clone(),
            });
        }
        self.live.retain(|(_, rule)| rule.times > 0);
        fired
    }
}
