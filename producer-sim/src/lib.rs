//! A simulated Kafka cluster for tests without a broker.
//!
//! [`Cluster`] is the cluster itself: brokers as sans-IO servers over shared logs, in virtual
//! time. Scripts ([`Rule`]) make it answer with errors, late, never or with damaged bytes; its
//! [`log`](Cluster::log) and its list of [`requests`](Cluster::requests) tell what really
//! happened. Replicas copy, leaders change and brokers die as in Kafka once told to
//! ([`set_replication_delay`](Cluster::set_replication_delay), [`elect`](Cluster::elect),
//! [`crash`](Cluster::crash), [`pause`](Cluster::pause), [`Failover`]); [`Cluster::lost`] says what
//! that cost. With feature `net` the same brokers listen on loopback sockets.
//!
//! Messages are read and written with the `kafka-protocol` crate and record batches with a reader
//! of this crate's own ([`records`]), so that nothing is shared with the producer's codec: every
//! run is a test of one implementation against another. A request is read to its last byte;
//! whatever is wrong with one shows up in [`Cluster::violations`].
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod cluster;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "net")]
mod net;
pub mod records;
pub mod run;
mod world;

pub use cluster::*;
pub use kafka_protocol::ResponseError;
pub use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
#[cfg(feature = "net")]
pub use net::{Line, NetCluster, Shape, Traffic};
pub use producer_proto::{Instant, Uuid};
pub use world::*;
