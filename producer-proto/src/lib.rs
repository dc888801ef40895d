//! The whole Kafka producer as one sans-IO state machine.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod batch;
mod config;
mod error_code;
mod ids;
mod partitioner;
mod record;
mod time;
mod wire;

pub use config::*;
pub use error_code::ErrorCode;
pub use ids::*;
pub use partitioner::*;
pub use record::{Header, Record};
pub use time::Instant;
