//! The public facade, and the state behind it. What happens is in the modules below, one idea
//! each; they are all `impl Producer` because a record's way crosses all of them.

mod answers;
mod companions;
mod connections;
mod describe;
mod drain;
mod headers;
mod jobs;
mod leaders;
mod least_loaded;
mod lifecycle;
mod metadata;
mod outcome;
#[cfg(planted_bugs)]
mod planted;
mod produce_response;
mod producer_id;
mod push;
mod push_short;
mod ready;
mod responses;
mod sequences;
mod settle;
mod sticky;
mod time;
mod topic_errors;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::batch::BufferPool;
use crate::batches::Batches;
use crate::budget::{Budget, LaneIndex, NO_LEADER};
use crate::config::Settings;
use crate::conn::Conns;
use crate::error::{FatalError, InvalidTopic, PushError, TopicError};
use crate::event::{Cancel, Event, Lane, Receipt};
use crate::io::{Action, Input, Transmit};
use crate::marks::Marks;
use crate::metadata::Metadata;
use crate::node::{NodeIndex, Nodes};
use crate::outstanding::{Outstanding, Slot};
use crate::partition::Partition;
use crate::partitioner::Partitioner;
use crate::producer_id::ProducerIds;
use crate::rng::{Rng, Stream};
use crate::spare::give_back;
use crate::stats::{Peaks, Stats};
use crate::timers::{TimerKind, Timers};
use crate::topics::{PartitionIndex, TopicState, Topics};
use crate::wire::ProduceResponse;
use crate::{
    BatchId, BrokerId, Config, ConfigError, ConnectionId, DescribeId, FlushId, Instant, Job,
    Record, TopicId,
};
use answers::AnswerDue;
use describe::Questions;

/// The whole producer: a pure state machine without sockets, threads, clocks or random sources.
///
/// Applications push records and take [`Event`]s; the environment hands in [`Input`]s, writes
/// [`Transmit`]s, carries out [`Action`]s and comes back at [`poll_timeout`](Self::poll_timeout).
/// See the [crate documentation](crate) for the run loop and the contract.
pub struct Producer {
    settings: Settings,
    now: Instant,
    rng: Rng,
    /// Tells this producer's jobs from another's.
    instance: u64,
    topics: Topics,
    partitions: Vec<Partition>,
    batches: Batches,
    outstanding: Outstanding,
    nodes: Nodes,
    conns: Conns,
    next_conn: u64,
    metadata: Metadata,
    ids: ProducerIds,
    budget: Budget,
    pool: BufferPool,
    partitioner: Option<Box<dyn Partitioner>>,
    timers: Timers,
    /// While a connection is being closed from our side: batches that end are kept until the
    /// transport has answered.
    lent_to: Option<ConnectionId>,
    /// Open batches in the order in which their linger ends.
    lingering: VecDeque<Deadline>,
    /// Batches in the order in which they expire.
    expiring: VecDeque<Deadline>,
    /// Requests in the order in which their answers are due.
    answers: VecDeque<AnswerDue>,
    /// Nodes that may have something to hand out.
    dirty: VecDeque<NodeIndex>,
    flushes: VecDeque<Flush>,
    questions: Questions,
    next_flush: u64,
    next_job: u64,
    /// Jobs handed out: by ticket, the batch that waits for it.
    working: BTreeMap<u64, Slot>,
    /// Nothing was handed out and nobody has called since the last [`settle`](Self::settle).
    is_settled: bool,
    phase: Phase,
    fatal: Option<FatalError>,
    /// What last went wrong with a connection, until one works.
    trouble: Option<Arc<str>>,
    events: VecDeque<Event>,
    actions: VecDeque<Action>,
    stats: Stats,
    marks: Marks,
    #[cfg(planted_bugs)]
    planted: Option<crate::PlantedBug>,
    peaks: Peaks,
    scratch: Scratch,
}

/// Memory that is used again from call to call.
#[derive(Default)]
struct Scratch {
    response: ProduceResponse,
    scaffold: BytesMut,
    bodies: Vec<(usize, Bytes)>,
    taken: Vec<Taken>,
    request_batches: Vec<Vec<(PartitionIndex, Slot)>>,
}

/// A batch chosen for the request that is being put together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    topic: u32,
    index: i32,
    partition: PartitionIndex,
    slot: Slot,
}

/// The deadline of a batch; void once the batch has moved on.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    partition: PartitionIndex,
    batch: BatchId,
}

struct Flush {
    id: FlushId,
    /// Over when every batch below this id has its outcome.
    mark: BatchId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Refuses records; closes when nothing is outstanding.
    Closing,
    Closed,
}

impl Producer {
    /// Makes a producer. Nothing is sent before the first topic is asked for.
    ///
    /// `now` is the first reading of the embedder's clock. `seed` decides every random choice:
    /// the same seed and the same inputs give the same bytes; adapters draw it from the system.
    ///
    /// # Errors
    /// The first setting that is out of range or contradicts another; see [`Config::validate`].
    pub fn new(config: &Config, now: Instant, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let settings = config.resolve()?;
        let rng = Rng::new(seed);
        let nodes = Nodes::new(&settings.bootstrap);
        let buffer = settings.batch_size.min(settings.buffer_memory);
        Ok(Self {
            now,
            instance: rng.draw(Stream::Instance, 0, 0),
            rng,
            topics: Topics::default(),
            partitions: Vec::new(),
            batches: Batches::default(),
            outstanding: Outstanding::default(),
            nodes,
            conns: Conns::default(),
            next_conn: 0,
            metadata: Metadata::new(),
            ids: ProducerIds::default(),
            budget: Budget::new(settings.buffer_memory),
            pool: BufferPool::new(buffer, settings.buffer_memory / 8),
            partitioner: None,
            timers: Timers::default(),
            lent_to: None,
            lingering: VecDeque::new(),
            expiring: VecDeque::new(),
            answers: VecDeque::new(),
            dirty: VecDeque::new(),
            flushes: VecDeque::new(),
            next_flush: 0,
            questions: Questions::default(),
            next_job: 0,
            working: BTreeMap::new(),
            is_settled: true,
            phase: Phase::Open,
            fatal: None,
            trouble: None,
            events: VecDeque::new(),
            actions: VecDeque::new(),
            stats: Stats::default(),
            marks: Marks::NONE,
            #[cfg(planted_bugs)]
            planted: None,
            peaks: Peaks::default(),
            scratch: Scratch::default(),
            settings,
        })
    }

    /// Replaces the built-in choice of partitions for records that name none. Takes effect with
    /// the next record; records already accepted keep their partition.
    pub fn set_partitioner(&mut self, partitioner: Box<dyn Partitioner>) {
        self.partitioner = Some(partitioner);
    }

    // ---- application side

    /// Interns a topic name and asks for its metadata if it is not known.
    ///
    /// The id is valid for the life of this producer. Calling again with the same name is cheap
    /// and gives the same id.
    ///
    /// # Errors
    /// A name that Kafka does not accept: empty, `.` or `..`, longer than 249 characters, or with
    /// characters outside `[a-zA-Z0-9._-]`.
    pub fn topic(&mut self, now: Instant, name: &str) -> Result<TopicId, InvalidTopic> {
        self.enter(now);
        let id = self.topics.intern(name, self.now, self.settings.compression.codec)?;
        if self.phase == Phase::Open {
            self.want_topic(id.0);
            self.settle();
        }
        Ok(id)
    }

    /// The name of an interned topic.
    pub fn topic_name(&self, topic: TopicId) -> Option<&Arc<str>> {
        self.topics.get(topic).map(|topic| &topic.name)
    }

    /// How many partitions the topic has; `None` while its metadata is not known.
    pub fn partition_count(&self, topic: TopicId) -> Option<i32> {
        let topic = self.topics.get(topic)?;
        (topic.state == TopicState::Ready).then_some(topic.count)
    }

    /// Dials the leaders of a topic's partitions that have no connection, before there is a record
    /// for them. True when every partition has a leader whose connection is ready. Until then ask
    /// again after [`Event::TopicReady`], after [`Event::Broker`], and when
    /// [`poll_timeout`](Self::poll_timeout) has come: this is what dials anew after a backoff.
    pub fn connect_leaders(&mut self, now: Instant, topic: TopicId) -> bool {
        self.enter(now);
        let are_up = self.bring_up_leaders(topic);
        self.settle();
        are_up
    }

    /// What the cluster last said against a topic that is not known; for error texts.
    pub fn topic_error(&self, topic: TopicId) -> Option<TopicError> {
        let topic = self.topics.get(topic)?;
        let has_error = topic.state != TopicState::Ready && !topic.error.is_none();
        has_error.then(|| TopicError { topic: topic.name.clone(), code: topic.error })
    }

    /// What last went wrong with a connection, until a connection works; for error texts.
    pub fn connection_trouble(&self) -> Option<&Arc<str>> {
        self.trouble.as_ref()
    }

    /// Encodes a record into the open batch of its partition. Never waits and keeps no reference.
    ///
    /// # Errors
    /// The record was not taken and stays with the caller. [`PushError::TopicNotReady`] and
    /// [`PushError::Full`] pass by themselves, announced by [`Event::TopicReady`] and
    /// [`Event::Writable`]; the others are final for this record.
    pub fn push(&mut self, now: Instant, record: &Record<'_>) -> Result<Receipt, PushError> {
        self.enter(now);
        #[cfg(planted_bugs)]
        if self.planted.is_some() {
            let headers = self.planted_headers(record);
            return self.push_any(&Record { headers: &headers, ..*record });
        }
        if let Some(receipt) = self.push_short(record) {
            return Ok(receipt);
        }
        self.push_any(record)
    }

    /// As [`push`](Self::push), but only if the record can join an open batch and nothing else comes
    /// of it: then no time has to be read, and nothing becomes due. `None`, and nothing has changed:
    /// push it.
    #[inline(never)]
    pub fn join(&mut self, record: &Record<'_>) -> Option<Receipt> {
        #[cfg(planted_bugs)]
        if self.planted.is_some() {
            return None;
        }
        self.push_short(record)
    }

    /// Takes a record out of its batch, while that is open.
    pub fn cancel(&mut self, now: Instant, receipt: Receipt) -> Cancel {
        self.enter(now);
        self.is_settled = false;
        self.cancel_record(receipt)
    }

    /// Says that somebody has begun to wait for one more record of this batch. When every record
    /// of an open batch is waited for and nothing of its partition is in flight, the batch does
    /// not linger any longer: a lone sender is not held up, many senders still share batches.
    pub fn expedite(&mut self, now: Instant, batch: BatchId) {
        self.enter(now);
        self.is_settled = false;
        self.expedite_batch(batch);
    }

    /// Sends everything pushed so far without lingering. [`Event::Flushed`] follows when all of
    /// it has its outcome, whatever that is.
    pub fn flush(&mut self, now: Instant) -> FlushId {
        self.enter(now);
        self.start_flush()
    }

    /// Asks the cluster about these topics, or with `None` about all that the cluster lets us see;
    /// an empty list asks for the brokers only. [`Event::Described`] follows, once, at `deadline`
    /// at the latest.
    ///
    /// What is answered changes nothing of what the producer knows and does, and no topic is
    /// created by it, whatever the settings and the broker's age. A connection that is lost on the
    /// way, or a broker that knows of nobody, is a reason to ask again after a backoff.
    ///
    /// # Errors
    /// A name that Kafka does not accept; nothing is asked then.
    pub fn describe(
        &mut self,
        now: Instant,
        topics: Option<&[&str]>,
        deadline: Instant,
    ) -> Result<DescribeId, InvalidTopic> {
        self.enter(now);
        self.ask(topics, deadline)
    }

    /// Refuses further records, sends what there is, and closes: [`Event::Closed`] follows when
    /// every record has its outcome, at `deadline` at the latest. A second call may bring the
    /// deadline forward; after `Closed` it does nothing.
    pub fn close(&mut self, now: Instant, deadline: Option<Instant>) {
        self.enter(now);
        self.start_close(deadline);
    }

    /// Fails every record that was never handed to a connection, as `Aborted` and `NotPersisted`.
    /// What was handed out goes on.
    pub fn abort_queued(&mut self, now: Instant) {
        self.enter(now);
        self.abort_unsent();
        self.settle();
    }

    // ---- environment side

    /// Takes an input. Never fails: what makes no sense is counted in [`Stats`] and ignored, and
    /// bytes that make no sense close their connection.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.enter(now);
        match input {
            // Nothing else makes time count: of a deadline and an answer that have waited together,
            // as in a process that stood still, the answer goes first, however it is cut.
            Input::Timeout => self.advance(),
            Input::Connected { conn } => self.on_connected(conn),
            Input::ConnectFailed { conn, kind } => self.on_connect_failed(conn, kind),
            Input::Received { conn, bytes } => self.on_received(conn, bytes),
            Input::Written { conn, bytes } => {
                let is_at_rest = self.is_at_rest();
                if !self.on_written(conn, bytes) && is_at_rest {
                    return;
                }
            }
            Input::Disconnected { conn, reason } => self.on_disconnected(conn, reason),
            Input::Done(result) => self.on_job_done(result),
        }
        self.settle();
    }

    /// The next bytes to write, if any. One request per connection at a time: the next one comes
    /// after [`Input::Written`] has covered this one.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.enter(now);
        if self.dirty.is_empty() && self.is_at_rest() {
            return None;
        }
        let transmit = self.next_transmit();
        self.is_settled = false;
        if transmit.is_none() {
            self.settle();
        }
        transmit
    }

    /// The next thing to do, if any.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next piece of work, if any, ahead of actions of other kinds, which stay: for a thread
    /// that does it at once. [`poll_action`](Self::poll_action) gives it as well.
    pub fn poll_job(&mut self) -> Option<Job> {
        let at = self.actions.iter().position(|action| matches!(action, Action::Run(_)))?;
        match self.actions.remove(at) {
            Some(Action::Run(job)) => Some(job),
            _ => None,
        }
    }

    /// How many jobs are handed out, or about to be, whose result has not been handed in.
    pub fn jobs_outstanding(&self) -> usize {
        self.working.len()
    }

    /// The next thing that happened, if any.
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            return None;
        }
        give_back(&mut self.events);
        self.events.pop_front()
    }

    /// Whether a poll may give something now. Not at all after a full drain; then `true` means
    /// that a call from the application side has made work for the environment, which an embedder
    /// with several threads has to wake up.
    pub fn has_output(&self) -> bool {
        !self.dirty.is_empty() || !self.actions.is_empty() || !self.events.is_empty()
    }

    /// When to call [`handle_input`](Self::handle_input) with [`Input::Timeout`] at the latest;
    /// `None` when nothing waits for time to pass. It changes with every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.first_deadline();
        (first != Instant::MAX).then_some(first)
    }

    /// What [`poll_timeout`](Self::poll_timeout) is for; for diagnostics.
    pub fn timeout_reason(&self) -> Option<TimerKind> {
        self.first_deadline_kind()
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How often each branch was taken that exists because something can go wrong.
    #[cfg(feature = "marks")]
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The largest values since the last call, which begins anew: for maxima over windows. One
    /// reader; a second one would see only what came after the first.
    pub fn take_peaks(&mut self) -> Peaks {
        std::mem::take(&mut self.peaks)
    }

    /// The error that made this producer unusable, if there is one.
    pub fn fatal(&self) -> Option<&FatalError> {
        self.fatal.as_ref()
    }

    /// Whether the producer is closed: [`Event::Closed`] was or is about to be given out.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Lets the sequence of a partition that has sent nothing yet begin with `first` instead of 0;
    /// no effect before there is a producer id. For tests of what happens where sequences wrap,
    /// which is beyond what a test can send.
    #[doc(hidden)]
    pub fn begin_sequence_at(&mut self, topic: TopicId, partition: i32, first: i32) {
        let Some(topic) = self.topics.get(topic) else { return };
        let at = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
        if let (Some(&at), Some(current)) = (at, self.ids.current()) {
            let sequence = &mut self.partition_mut(at).sequence;
            sequence.restart(current);
            sequence.next = first;
        }
    }

    // ---- common to the modules below

    /// Time never goes back.
    fn enter(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn public_lane(&self, lane: LaneIndex) -> Lane {
        if lane == NO_LEADER {
            return Lane::NoLeader;
        }
        self.nodes[lane].id.map_or(Lane::NoLeader, Lane::Broker)
    }

    fn broker_of(&self, node: NodeIndex) -> Option<BrokerId> {
        self.nodes[node].id
    }

    fn partition(&self, at: PartitionIndex) -> &Partition {
        &self.partitions[at as usize]
    }

    fn partition_mut(&mut self, at: PartitionIndex) -> &mut Partition {
        &mut self.partitions[at as usize]
    }
}
