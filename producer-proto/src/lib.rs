//! The whole Kafka producer as one sans-IO state machine: metadata, partitioning, batching,
//! compression, in-flight bookkeeping, retries and idempotence, without a socket, thread, clock
//! or random source of its own.
//!
//! Bytes and time go in by [`Producer::handle_input`]; bytes come out by
//! [`Producer::poll_transmit`], things to do by [`Producer::poll_action`], what happened by
//! [`Producer::poll_event`], and the next deadline by [`Producer::poll_timeout`]. Whoever embeds
//! it owns sockets, sleeping and threads. If you do not want to own them, use `producer-tokio`.
//!
//! # The run loop
//!
//! After every input and every call from the application side, drain: actions, transmits, events,
//! in any order, until [`has_output`](Producer::has_output) is false: handing out bytes may make a
//! job, and its result more bytes. Then sleep until a socket is ready or
//! [`poll_timeout`](Producer::poll_timeout).
//!
//! ```
//! use producer_proto::{Action, Config, Event, Input, Instant, Producer, PushError, Record};
//! # use producer_proto::{ConnectErrorKind, ConnectionId, Transmit};
//! # struct Sockets;
//! # impl Sockets {
//! #     fn dial(&mut self, _: ConnectionId, _: &str, _: u16) {}
//! #     fn close(&mut self, _: ConnectionId) {}
//! #     fn queue(&mut self, _: Transmit) {}
//! #     fn wait(&mut self, _until: Option<Instant>) -> Vec<Input<'static>> {
//! #         vec![Input::ConnectFailed { conn: ConnectionId(0), kind: ConnectErrorKind::Refused }]
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut sockets = Sockets;
//! let start = std::time::Instant::now();
//! let clock = || Instant::from_micros(start.elapsed().as_micros() as u64);
//! let seed = [42; 32]; // from the system's random source
//! let mut producer = Producer::new(&Config::new("localhost:9092"), clock(), seed)?;
//!
//! let topic = producer.topic(clock(), "orders")?;
//! match producer.push(clock(), &Record::new(topic, 1_700_000_000_000, b"first")) {
//!     Ok(receipt) => println!("in {} at {}", receipt.batch, receipt.index),
//!     Err(PushError::TopicNotReady) => {} // again after Event::TopicReady
//!     Err(error) => return Err(error.into()),
//! }
//! producer.close(clock(), Some(clock() + std::time::Duration::from_secs(1)));
//!
//! # let mut turns = 0;
//! 'run: loop {
//!     while producer.has_output() {
//!         while let Some(action) = producer.poll_action() {
//!             match action {
//!                 Action::Connect { conn, host, port, .. } => sockets.dial(conn, &host, port),
//!                 Action::Close { conn } => sockets.close(conn),
//!                 Action::Run(job) => producer.handle_input(clock(), Input::Done(job.run())),
//!                 _ => {}
//!             }
//!         }
//!         while let Some(transmit) = producer.poll_transmit(clock()) {
//!             sockets.queue(transmit); // a `bytes::Buf`; report progress as Input::Written
//!         }
//!         while let Some(event) = producer.poll_event() {
//!             match event {
//!                 Event::Delivered { records, base_offset, .. } => {
//!                     println!("{} records at {base_offset:?}", records.len());
//!                 }
//!                 Event::Failed { error, persistence, .. } => {
//!                     println!("{error} ({persistence:?})");
//!                 }
//!                 Event::Closed => break 'run,
//!                 _ => {}
//!             }
//!         }
//!     }
//!     for input in sockets.wait(producer.poll_timeout()) {
//!         producer.handle_input(clock(), input); // connected, received, written, disconnected
//!     }
//!     producer.handle_input(clock(), Input::Timeout); // never wrong, needed when it is time
//! #   turns += 1;
//! #   if turns > 2 { break; }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! 1. [`handle_input`](Producer::handle_input) is infallible. Bad bytes close their connection;
//!    other brokers go on.
//! 2. A `now` earlier than the last one counts as the last one. Any jump forward is a normal
//!    input.
//! 3. Any number of inputs may precede a drain. The order of the polls never changes an outcome,
//!    only latency.
//! 4. After [`Input::Timeout`] and a full drain, `poll_timeout()` is `None` or later than `now`:
//!    no hot loop.
//! 5. Inputs for connections that are unknown or closed are ignored and counted. There is one
//!    [`ConnectionId`] per attempt, never reused. Every [`Action::Close`] is answered by
//!    [`Input::Disconnected`]: from then on the transport holds none of its bytes.
//! 6. How the inbound stream is cut into pieces changes nothing: equal bytes out between the same
//!    drain points; with other drain points, equal outcomes. A drain at a point that is drained
//!    changes nothing at all.
//! 7. Every accepted record gets exactly one outcome: delivered, or failed with
//!    [`NotPersisted`](Persistence::NotPersisted) or
//!    [`PossiblyPersisted`](Persistence::PossiblyPersisted). `NotPersisted` is a promise. The
//!    outcome is told at once; memory is released then, or when transport and jobs have given the
//!    bytes back, whichever is later. [`Event::Closed`] meets its deadline all the same, and
//!    [`Stats::lent_bytes`] shows what is still held.
//! 8. A batch that has its stamp (producer id, epoch, sequence) is frozen until a broker's answer
//!    proves that this stamp was not appended. Once it was handed out, its fate is unknown until
//!    then.
//! 9. An idle poll costs the same however many partitions, topics and brokers are known. Work is
//!    proportional to what changed.
//! 10. No input from a network or a caller makes the core panic.
//! 11. Successes of one partition come in append order; a failure or a cancellation may come
//!     earlier. No Produce goes to a broker after it, or newer metadata, has said that it is not
//!     the leader.
//!
//! # Memory
//!
//! `buffer.memory` bounds the capacity of all record buffers: open, queued, in flight, and lent to
//! transport and jobs. Half of it is reserved in equal shares for the brokers that lead something,
//! so a broker that takes nothing cannot starve the others. What is received is bounded per
//! connection by `receive.message.max.bytes`.
//!
//! # Cargo features
//!
//! `gzip`, `snappy`, `lz4`, `zstd` (all on by default) are the codecs; only `zstd` has C in it.
//! `lz4-hc` adds the other LZ4 levels through the C library. `marks` counts how often each branch
//! was taken that exists because something can go wrong, for tests.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backoff;
mod batch;
mod batches;
mod budget;
mod config;
mod conn;
mod description;
mod error;
mod error_code;
mod event;
mod ids;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod io;
mod job;
// Without the feature nobody can name the marks; hits are still written down.
#[cfg_attr(not(feature = "marks"), allow(unreachable_pub))]
mod marks;
mod metadata;
mod node;
mod outstanding;
mod partition;
mod partitioner;
#[cfg(planted_bugs)]
mod planted;
mod producer;
mod producer_id;
mod record;
mod rng;
mod spare;
mod stats;
mod time;
mod timers;
mod topics;
mod verdict;
mod wire;

pub use config::*;
pub use description::{
    BrokerDescription, ClusterDescription, PartitionDescription, TopicDescription,
};
pub use error::{
    DescribeError, FatalError, InvalidTopic, Phase, ProduceError, ProduceErrorKind, PushError,
    TopicError,
};
pub use error_code::ErrorCode;
pub use event::{BrokerState, Cancel, Event, Lane, Persistence, Receipt};
pub use ids::*;
pub use io::{Action, ConnectErrorKind, DisconnectReason, Input, Transmit};
pub use job::{Job, JobResult};
#[cfg(feature = "marks")]
pub use marks::{Mark, Marks};
pub use partitioner::*;
#[cfg(planted_bugs)]
pub use planted::PlantedBug;
pub use producer::Producer;
pub use record::{Header, Record};
pub use stats::{Peaks, Stats};
pub use time::Instant;
pub use timers::TimerKind;
