//! The whole Kafka producer as one sans-IO state machine.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backoff;
mod batch;
mod batches;
mod budget;
mod config;
mod conn;
mod error;
mod error_code;
mod event;
mod ids;
mod io;
mod job;
mod metadata;
mod node;
mod outstanding;
mod partition;
mod partitioner;
mod producer;
mod producer_id;
mod record;
mod rng;
mod stats;
mod time;
mod timers;
mod topics;
mod verdict;
mod wire;

pub use config::*;
pub use error::{
    FatalError, InvalidTopic, Phase, ProduceError, ProduceErrorKind, PushError, TopicError,
};
pub use error_code::ErrorCode;
pub use event::{BrokerState, Cancel, Event, Lane, Persistence, Receipt};
pub use ids::*;
pub use io::{Action, ConnectErrorKind, DisconnectReason, Input, Transmit};
pub use job::{Job, JobResult};
pub use partitioner::*;
pub use producer::Producer;
pub use record::{Header, Record};
pub use stats::Stats;
pub use time::Instant;
pub use timers::TimerKind;
