//! A Kafka producer for [tokio], over the sans-IO core [`producer_proto`].
//!
//! ```no_run
//! use producer_tokio::{Config, Producer, Record};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::new(Config::new("localhost:9092"))?;
//! let delivery = producer.send(Record::to("orders").key("customer-7").value("{}")).await?;
//! let metadata = delivery.await?;
//! println!("partition {}, offset {:?}", metadata.partition, metadata.offset);
//! producer.close(None).await;
//! # Ok(())
//! # }
//! ```
//!
//! One task does all the I/O; it runs on the current-thread and on the multi-thread runtime, which
//! needs its I/O and time drivers (`enable_all`). The futures that [`Producer`] gives out are not
//! tied to tokio: they work on any executor, and can be waited for on plain threads.
//!
//! # What dropping means
//!
//! - [`Admission`], from [`send`](Handle::send): before it is ready, gives up the record unless it
//!   has been accepted in the meantime.
//! - [`Delivery`]: nothing; the record is produced all the same. [`Delivery::cancel`] takes it back.
//! - [`Deliveries`]: the results that are left; nothing for the records.
//! - [`Reply`], from `flush`, `close`, `partitions_for`: nothing; the request goes on.
//! - the last [`Producer`]: a graceful close in the background, bounded by `delivery_timeout`. It
//!   neither blocks nor panics, inside or outside a runtime.
//! - the runtime: an immediate close; every future above gets its answer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod runtime;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples for those who come from another client, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-java.md")]
#[doc = include_str!("../../docs/from-sarama.md")]
struct Guides;

use std::ops::Deref;

use producer_driver::{pair, system_seed};
use tokio::runtime::Handle as TokioHandle;

pub use producer_driver::api::*;

/// A producer whose connections live in a task of a tokio runtime.
///
/// Cheap to clone. It derefs to [`Handle`], which has everything that applications do: `send`,
/// `try_send`, `flush`, `close` and so on.
#[derive(Clone, Debug)]
pub struct Producer(Handle);

/// Why a producer could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of range or contradicts another.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// [`Producer::new`] was called outside a tokio runtime.
    #[error("no tokio runtime here: call Producer::new inside one, or use Producer::spawn_on")]
    NoRuntime,
}

impl Producer {
    /// Starts a producer on the runtime that this is called in. Nothing is sent before the first
    /// record or topic.
    ///
    /// # Errors
    /// A setting is wrong, or there is no runtime.
    ///
    /// # Panics
    /// When the runtime was built without its time driver.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let runtime = TokioHandle::try_current().map_err(|_| StartError::NoRuntime)?;
        Self::spawn_on(&runtime, config)
    }

    /// Starts a producer on this runtime, from anywhere.
    ///
    /// # Errors
    /// A setting is wrong.
    ///
    /// # Panics
    /// When the runtime was built without its time driver.
    pub fn spawn_on(runtime: &TokioHandle, config: Config) -> Result<Self, StartError> {
        Self::spawn_seeded(runtime, config, system_seed())
    }

    /// Starts a producer whose random choices all follow from `seed`, for tests that are to be
    /// repeated: where its bytes go depends on nothing but its calls and what brokers answer.
    ///
    /// # Errors
    /// A setting is wrong.
    ///
    /// # Panics
    /// When the runtime was built without its time driver.
    pub fn spawn_seeded(
        runtime: &TokioHandle,
        config: Config,
        seed: [u8; 32],
    ) -> Result<Self, StartError> {
        let (handle, driver) = pair(&config, seed)?;
        runtime::spawn(runtime, &config, driver);
        Ok(Self(handle))
    }
}

impl Deref for Producer {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}
