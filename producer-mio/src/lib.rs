//! A Kafka producer for [mio], over the sans-IO core [`producer_proto`](proto): in a thread
//! of its own behind a blocking API, or inside your event loop.
//!
//! ```no_run
//! use std::time::Duration;
//! use producer_mio::{Config, Producer, Record};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let producer = Producer::spawn(Config::new("localhost:9092"))?;
//! let delivery = producer.send(Record::to("orders").key("customer-7").value("{}"))?;
//! let metadata = delivery.wait()?;
//! println!("partition {}, offset {:?}", metadata.partition, metadata.offset);
//! producer.close(Duration::from_secs(10));
//! # Ok(())
//! # }
//! ```
//!
//! [`Producer`] has one thread, whatever the number of brokers. [`EventLoop`] has none: it
//! registers its sockets in your own [`mio::Poll`]. Both look names up on a thread that lives as
//! long as the look-up, unless you bring a [`Resolve`] of your own; an address as host needs none.
//!
//! # What dropping means
//!
//! - [`Delivery`]: nothing; the record is produced all the same.
//! - the last [`Producer`]: a graceful close in the background, bounded by `delivery_timeout`. It
//!   does not block. The thread ends with the close.
//! - the [`EventLoop`]: an immediate close; whoever waits for something gets an answer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod alarm;
mod dial;
mod event_loop;
mod producer;
mod sources;

pub use event_loop::{EventLoop, StartError};
pub use producer::Producer;
pub use producer_driver::{Answer, Resolve};

pub use producer_driver::api::*;
