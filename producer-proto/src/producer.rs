//! The public facade.

use crate::error::{FatalError, InvalidTopic, PushError, TopicError};
use crate::event::{Cancel, Event, Receipt};
use crate::io::{Action, Input, Transmit};
use crate::stats::Stats;
use crate::timers::TimerKind;
use crate::{BatchId, Config, ConfigError, FlushId, Instant, Record, TopicId};

/// The whole producer: a pure state machine.
pub struct Producer {
    stats: Stats,
}

impl Producer {
    /// Checks the settings and makes a producer. It does nothing until a record or a topic is
    /// pushed. `seed` decides every random choice: same seed, same inputs, same bytes.
    pub fn new(config: &Config, now: Instant, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let _ = (now, seed);
        config.validate()?;
        Ok(Self { stats: Stats::default() })
    }

    /// Interns a topic name, once; asks for its metadata when it is new.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, InvalidTopic> {
        let _ = name;
        Err(InvalidTopic::Empty)
    }
    /// The name of an interned topic.
    pub fn topic_name(&self, topic: TopicId) -> Option<&std::sync::Arc<str>> {
        let _ = topic;
        None
    }
    /// How many partitions the topic has, once known.
    pub fn partition_count(&self, topic: TopicId) -> Option<i32> {
        let _ = topic;
        None
    }
    /// What the cluster last said against the topic, while it is not known; for error texts.
    pub fn topic_error(&self, topic: TopicId) -> Option<TopicError> {
        let _ = topic;
        None
    }
    /// The last thing that went wrong with a connection while none works; for error texts.
    pub fn connection_trouble(&self) -> Option<std::sync::Arc<str>> {
        None
    }
    /// Encodes the record into the open batch of its partition, or says why not; never waits.
    pub fn push(&mut self, now: Instant, record: &Record<'_>) -> Result<Receipt, PushError> {
        let _ = (now, record);
        Err(PushError::Closed)
    }
    /// Takes a record out of its batch while that is open.
    pub fn cancel(&mut self, now: Instant, receipt: Receipt) -> Cancel {
        let _ = (now, receipt);
        Cancel::TooLate
    }
    /// Somebody has begun to wait for one more record of this batch.
    pub fn expedite(&mut self, now: Instant, batch: BatchId) {
        let _ = (now, batch);
    }
    /// Sends everything pushed so far without lingering; [`Event::Flushed`] when all has its outcome.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        let _ = now;
        FlushId(0)
    }
    /// Refuses further records, sends what there is, then closes; at the deadline at the latest.
    pub fn close(&mut self, now: Instant, deadline: Option<Instant>) {
        let _ = (now, deadline);
    }
    /// Fails every record that was never handed to a connection.
    pub fn abort_queued(&mut self, now: Instant) {
        let _ = now;
    }
    /// Takes one input. Infallible.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input);
    }
    /// The next bytes to write.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let _ = now;
        None
    }
    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }
    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    /// When to call with [`Input::Timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// What that deadline is for.
    pub fn timeout_reason(&self) -> Option<TimerKind> {
        None
    }
    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
    /// The fatal error, once there is one.
    pub fn fatal(&self) -> Option<&FatalError> {
        None
    }
    /// Whether [`Event::Closed`] has been given out or waits to be.
    pub fn is_closed(&self) -> bool {
        false
    }
}
