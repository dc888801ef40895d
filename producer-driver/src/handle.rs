//! What applications hold.

use std::sync::Arc;
use std::time::Duration;

use producer_proto::{ClusterDescription, DescribeError, Partitioner, Stats};

use crate::breaker::CircuitBreaker;
use crate::deliveries::{self, Deliveries, DeliverySender};
use crate::delivery::Delivery;
use crate::error::SendError;
use crate::hook::{Faults, RecordResult};
use crate::interceptor::Interceptor;
use crate::record::{Record, Topic, TopicRef};
use crate::shared::Shared;
use crate::waiting::{Admission, Reply};

/// The application's side of a producer: cheap to clone, and free to use from any number of
/// threads and tasks at once.
///
/// No call waits for the cluster or does I/O; what takes time is a future that works on any executor
/// and can also be waited for on a plain thread. Every future says what dropping it means. Under
/// load a call that sends may take longer than usual: when other threads send at the same time, it may
/// stand back for tenths of a millisecond; and where the adapter says so, as `producer-mio`'s thread
/// does, it may compress a batch.
///
/// When the last handle is dropped, the producer closes in the background: what was accepted is
/// still sent, bounded by `delivery_timeout`.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Last>);

/// Held by all handles, and by nothing else.
#[derive(Debug)]
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.close_unattended();
    }
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Last(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Looks a topic up once, so that sends need not; asks for its metadata.
    ///
    /// # Errors
    /// A name that Kafka does not accept.
    pub fn topic(&self, name: &str) -> Result<Topic, SendError> {
        self.shared().topic(name)
    }

    /// Sends a record: it is accepted, or takes its place in the queue of records that wait for
    /// room or for their topic's metadata, **during this call**. The future only waits for that
    /// place to be reached, at most for `max_block`, and gives the record's [`Delivery`].
    ///
    /// Records for the same partition are produced in the order of the calls.
    ///
    /// Dropping the future before it is ready gives up the record's place, unless it has been
    /// accepted in the meantime. See [`Admission`].
    ///
    /// # Errors
    /// Why the record was not accepted; see [`SendErrorKind`](crate::SendErrorKind). Nothing of it
    /// was kept.
    #[inline(always)]
    pub fn send(&self, record: Record<'_>) -> Admission {
        self.shared().send(&record)
    }

    /// Sends records in their order, up to the first that has to wait: one admission for each of
    /// these, as from [`send`](Self::send), and that of the one that waits is the last. So at least
    /// one, unless there are no records; send the rest when the last is ready. Cheaper than as many
    /// sends: the lock is taken for a run of records at a time, and they share a timestamp.
    ///
    /// ```
    /// # async fn example(handle: producer_driver::Handle, mut records: &[producer_driver::Record<'_>])
    /// # -> Result<(), producer_driver::SendError> {
    /// let mut deliveries = Vec::new();
    /// while !records.is_empty() {
    ///     let sent = handle.send_some(records);
    ///     records = &records[sent.len()..];
    ///     for admission in sent {
    ///         deliveries.push(admission.await?);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping an admission means what it means after `send`.
    #[must_use = "there are as many admissions as records were sent"]
    pub fn send_some(&self, records: &[Record<'_>]) -> Vec<Admission> {
        self.shared().send_some(records)
    }

    /// Sends a record if that is possible at once; never waits, and never overtakes a record of
    /// the same topic that waits.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`Full`](crate::SendErrorKind::Full) or
    /// [`NotReady`](crate::SendErrorKind::NotReady) where that would wait.
    #[inline]
    pub fn try_send(&self, record: Record<'_>) -> Result<Delivery, SendError> {
        match self.shared().join(&record) {
            Some(delivery) => Ok(delivery),
            None => self.shared().try_send(&record),
        }
    }

    /// Sends a record as [`send`](Self::send) does, and has `callback` called with its result,
    /// exactly once, one that was not accepted included. The reply says that the record has been
    /// accepted or refused, which is what to wait for to be held back when there is no room;
    /// dropping it changes nothing.
    ///
    /// Callbacks run outside the producer's lock, usually on the thread that turns the driver:
    /// they must be quick and must not wait for anything of the producer; sending more is fine.
    /// Successes of one partition come in the order of the records. The callback of a record that
    /// is refused at once runs during this call. A panic is caught and counted in
    /// [`faults`](Self::faults).
    pub fn send_with(
        &self,
        record: Record<'_>,
        callback: impl FnOnce(RecordResult) + Send + 'static,
    ) -> Reply<()> {
        self.shared().send_with(&record, Box::new(callback))
    }

    /// Makes a sender whose results, each with a value of the caller's, come as one stream.
    pub fn deliveries<C: Send + 'static>(&self) -> (DeliverySender<C>, Deliveries<C>) {
        deliveries::channel(self.clone())
    }

    /// Replaces the interceptors; they see every record sent from now on, in this order. Without
    /// any, records pay nothing for them.
    pub fn set_interceptors(&self, interceptors: Vec<Box<dyn Interceptor>>) {
        self.shared().set_interceptors(interceptors);
    }

    /// Replaces the choice of partitions for records that name none, from the next record on.
    ///
    /// It is called under the producer's lock: it must be quick and must not call the producer.
    /// When it fails or panics, that one record is refused.
    pub fn set_partitioner(&self, partitioner: impl Partitioner + 'static) {
        self.shared().set_partitioner(Box::new(partitioner));
    }

    /// How many partitions a topic has; asks the cluster if that is not known, for at most
    /// `max_block`. Dropping the future changes nothing.
    ///
    /// # Errors
    /// The name is not valid, the cluster refuses the topic or does not answer, or the producer
    /// is closed.
    pub fn partitions_for<'a>(
        &self,
        topic: impl Into<TopicRef<'a>>,
    ) -> Reply<Result<i32, SendError>> {
        self.shared().partitions_for(topic.into())
    }

    /// Asks the cluster about these topics, or with `None` about all that it lets us see: their
    /// partitions and leaders, and the brokers. Takes `max_block` at most. It is asked anew each
    /// time, changes nothing of what the producer knows, and creates no topic. Dropping the future
    /// changes nothing.
    ///
    /// What the cluster says against a single topic is in its
    /// [`error`](producer_proto::TopicDescription::error).
    ///
    /// # Errors
    /// A name is not valid, no broker answers in time, or the producer is closed.
    pub fn describe(
        &self,
        topics: Option<&[&str]>,
    ) -> Reply<Result<ClusterDescription, DescribeError>> {
        self.shared().describe(topics)
    }

    /// Brings up what sends to these topics will need: their metadata, and the connections to the
    /// leaders of all their partitions. Takes `max_block` at most. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    /// A name is not valid, the cluster refuses a topic or does not answer, a partition has no
    /// leader, a leader cannot be reached, or the producer is closed. What is up stays up.
    pub fn warm_up(&self, topics: &[&str]) -> Reply<Result<(), SendError>> {
        self.shared().warm_up(topics)
    }

    /// Sends everything without lingering, and gives an answer when every record sent before
    /// this call has its result, whatever that is; those that wait for their acceptance
    /// included. Bounded by `max_block` and `delivery_timeout`.
    ///
    /// Dropping the future changes nothing: the flush goes on.
    pub fn flush(&self) -> Reply<()> {
        self.shared().flush()
    }

    /// Refuses further records, sends what there is, and closes all connections. At the end of
    /// `timeout` at the latest every record has its result; without one that is bounded by
    /// `max_block` and `delivery_timeout`.
    ///
    /// A second call may bring the end forward. Dropping the future changes nothing: the close
    /// goes on.
    pub fn close(&self, timeout: impl Into<Option<Duration>>) -> Reply<()> {
        self.shared().close(timeout.into())
    }

    /// Drops every record that was never handed to a connection: those that wait for their
    /// acceptance fail with [`Aborted`](crate::SendErrorKind::Aborted), accepted ones with
    /// [`Aborted`](producer_proto::ProduceErrorKind::Aborted), and none of them is in the log.
    /// What is on its way goes on.
    pub fn abort_queued(&self) {
        self.shared().abort_queued();
    }

    /// Makes sends to topics without a leader fail at once after some failures; `None`, the
    /// default, lets each of them wait. All circuits are closed by this call.
    pub fn set_circuit_breaker(&self, settings: Option<CircuitBreaker>) {
        self.shared().set_circuit_breaker(settings);
    }

    /// Whether a batch is sent before its linger is over when every record of it is waited for
    /// (see [`Delivery`]) and nothing of its partition is on its way: true by default, so that a
    /// lone sender does not wait for company that never comes. With false every batch lingers.
    pub fn set_expedite(&self, expedite: bool) {
        self.shared().set_expedite(expedite);
    }

    /// How often callbacks and interceptors have failed.
    pub fn faults(&self) -> Faults {
        self.shared().faults()
    }

    /// The counters as they are now.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }
}
