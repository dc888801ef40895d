//! What an adapter has to show of itself.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use producer_proto::{Config, Persistence, Stats};

/// An adapter under test, and how its producers are started.
pub trait Adapter {
    /// What producers live on: a runtime, an executor with its thread; `()` where they bring all
    /// they need. Dropping it ends the producers on it, see
    /// [`ends_with_host`](Self::ends_with_host).
    type Host;
    /// What applications hold.
    type Producer: Producer;

    /// For messages.
    fn name(&self) -> &str;

    /// Makes what producers live on, with all its threads: those started later are taken for the
    /// producers' own.
    fn host(&self) -> Self::Host;

    /// Starts a producer. `seed` is all the randomness it has: see
    /// [`Producer::new`](producer_proto::Producer::new) of the core.
    fn start(&self, host: &Self::Host, config: &Config, seed: [u8; 32]) -> Self::Producer;

    /// Runs a task beside the producers: on the host where that is an executor.
    fn spawn(&self, host: &Self::Host, task: Task);

    /// How many threads a producer has of its own, beside the host's.
    fn threads_per_producer(&self) -> usize;

    /// Whether dropping the host ends its producers at once. A producer with a thread of its own
    /// has no host that could end it.
    fn ends_with_host(&self) -> bool;
}

/// Something to run to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running producer. Dropping the last clone closes it in the background.
pub trait Producer: Clone + Send + Sync + 'static {
    /// The result of a record, as it becomes known.
    type Delivery: Delivery;
    /// The acceptance of a record.
    type Sent: Future<Output = Result<Self::Delivery, Failure>> + Send + Unpin + 'static;

    /// Sends a record: it takes its place during this call. The future is ready when it has been
    /// accepted; dropped before that, it gives the place up.
    fn send(&self, message: &Message<'_>) -> Self::Sent;

    /// Sends a record and blocks until its outcome is known.
    fn send_sync(&self, message: &Message<'_>) -> Outcome;

    /// Asks for a topic, and waits until it is known or refused.
    fn look_up(&self, topic: &str) -> impl Future<Output = Result<i32, Failure>>;

    /// Ready when all that was sent before has its outcome.
    fn flush(&self) -> impl Future<Output = ()>;

    /// Begins to close; ready when the producer is closed, at the end of `timeout` at the latest.
    fn close(&self, timeout: Duration) -> impl Future<Output = ()>;

    /// The core's counters.
    fn stats(&self) -> Stats;
}

/// The result of an accepted record. Dropping it changes nothing for the record.
pub trait Delivery: Future<Output = Outcome> + Send + Unpin + 'static {
    /// Takes the record back. True is a promise: it is not in the log and never will be.
    fn cancel(&self) -> bool;
}

/// A record to send.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` leaves it to the producer.
    pub partition: Option<i32>,
    /// Milliseconds since the Unix epoch; `None` for the moment of the send.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> Message<'a> {
    /// A record for a partition of the topic that [`scenarios`](super::scenarios) use.
    pub(super) fn order(partition: i32, value: &'a [u8]) -> Self {
        let topic = super::rig::TOPIC;
        Self { topic, partition: Some(partition), timestamp: None, key: None, value }
    }
}

/// What became of a record.
pub type Outcome = Result<Place, Failure>;

/// Where a delivered record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset, if the broker gave one.
    pub offset: Option<i64>,
}

/// Why a record is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether it may be in the log all the same; `None` if it was never accepted.
    pub persistence: Option<Persistence>,
    /// The error as users read it.
    pub text: String,
}
