//! A Kafka producer for [smol] and every other executor, over the sans-IO core
//! [`producer_proto`](proto).
//!
//! ```no_run
//! use producer_smol::{Config, Producer, Record};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let producer = Producer::spawn(Config::new("localhost:9092"))?;
//!     let delivery = producer.send(Record::to("orders").key("customer-7").value("{}")).await?;
//!     let metadata = delivery.await?;
//!     println!("partition {}, offset {:?}", metadata.partition, metadata.offset);
//!     producer.close(None).await;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! One future, the [`Driver`], does all the I/O. [`Producer::spawn`] runs it on smol's global
//! executor; [`Producer::new`] hands it out, for an executor of your choice: sockets and timers
//! are served by the reactor thread of [async-io](smol::Async), which every executor can use.
//! Names are looked up and batches compressed on smol's pool of blocking threads.
//!
//! # What dropping means
//!
//! - [`Admission`], from [`send`](Handle::send): before it is ready, gives up the record unless it
//!   has been accepted in the meantime.
//! - [`Delivery`]: nothing; the record is produced all the same.
//! - [`Reply`], from `flush`, `close`, `partitions_for`: nothing; the request goes on.
//! - the last [`Producer`]: a graceful close in the background, bounded by `delivery_timeout`, for
//!   as long as the [`Driver`] is polled. It neither blocks nor panics.
//! - the [`Driver`], or the executor that has it: an immediate close; every future above gets its
//!   answer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod runtime;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use producer_driver::{Task, pair, system_seed};

pub use producer_driver::api::*;

/// A producer whose connections live in a [`Driver`] on some executor.
///
/// Cheap to clone. It derefs to [`Handle`], which has everything that applications do: `send`,
/// `try_send`, `flush`, `close` and so on.
#[derive(Clone, Debug)]
pub struct Producer(Handle);

impl Producer {
    /// Makes a producer and the future that does its I/O, which must be polled by some executor:
    /// spawn it. Nothing is sent before the first record or topic.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use producer_smol::{Config, Producer};
    ///
    /// let executor = smol::Executor::new();
    /// let (producer, driver) = Producer::new(Config::new("localhost:9092"))?;
    /// executor.spawn(driver).detach();
    /// smol::block_on(executor.run(async { producer.close(None).await }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A setting is out of range or contradicts another.
    pub fn new(config: Config) -> Result<(Self, Driver), ConfigError> {
        Self::seeded(config, system_seed())
    }

    /// As [`new`](Self::new), with random choices that all follow from `seed`, for tests that are
    /// to be repeated: where its bytes go depends on nothing but its calls and what brokers answer.
    ///
    /// # Errors
    /// A setting is out of range or contradicts another.
    pub fn seeded(config: Config, seed: [u8; 32]) -> Result<(Self, Driver), ConfigError> {
        let (handle, driver) = pair(&config, seed)?;
        Ok((Self(handle), Driver(Task::new(&config, driver, runtime::Smol::default()))))
    }

    /// Starts a producer on smol's global executor, from anywhere.
    ///
    /// # Errors
    /// A setting is out of range or contradicts another.
    pub fn spawn(config: Config) -> Result<Self, ConfigError> {
        let (producer, driver) = Self::new(config)?;
        smol::spawn(driver).detach();
        Ok(producer)
    }
}

impl Deref for Producer {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

/// The future that does a producer's I/O. It is ready when the producer is closed; dropped before,
/// it ends the producer at once.
#[must_use = "a producer stands still unless this is polled: spawn it"]
pub struct Driver(Task<runtime::Smol>);

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
