//! What every adapter of [`producer_proto`] shares, still without a socket, thread or runtime.
//!
//! An adapter joins two halves that [`pair`] makes:
//!
//! - a [`Handle`], which applications hold. It pushes records under a short lock, owns all
//!   waiting (for room, for metadata, for results), and its futures run on any executor or block
//!   a thread;
//! - a [`Driver`], which the adapter turns. It pumps bytes between the core and the adapter's
//!   sockets, hands in deadlines, and resolves what callers wait for. The adapter dials, reports
//!   readiness and sleeps; see [`Environment`] and [`Driver::turn`].
//!
//! Nothing here reads the network or starts a thread. The only clock is [`Clock`].
//!
//! Feature `net` adds what adapters over the system's own TCP share: how sockets are opened
//! ([`DialSettings`]), what is logged ([`log`]), and for async runtimes the whole task
//! ([`Task`]).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod api;
mod batches;
mod block;
mod breaker;
mod clock;
mod completion;
mod deliveries;
mod delivery;
mod dial;
mod driver;
mod error;
mod guard;
mod handle;
mod helpers;
mod hook;
mod interceptor;
mod job;
mod lock;
#[cfg(feature = "net")]
mod log;
mod mark;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "net")]
mod read_gate;
mod record;
mod replies;
#[cfg(feature = "net")]
mod resolve;
mod seed;
mod session;
mod shared;
mod slot;
#[cfg(feature = "net")]
mod socket;
mod stamps;
mod state;
#[cfg(feature = "net")]
mod task;
mod tickets;
mod typed;
mod waiting;

pub use block::send_all;
pub use breaker::CircuitBreaker;
pub use clock::Clock;
pub use deliveries::{Delivered, Deliveries, DeliverySender};
pub use delivery::{Delivery, RecordMetadata};
pub use dial::{Attempt, DialPlan, connect_error_kind};
pub use driver::{Dial, Driver, Environment, Interest, Next, pair};
pub use error::{DeliveryError, RecordError, RecordPart, SendError, SendErrorKind, WaitingFor};
pub use handle::Handle;
pub use helpers::{Helper, Helpers};
pub use hook::{Faults, RecordResult};
pub use interceptor::{Acknowledgement, BoxError, Draft, DraftHeader, Interceptor};
pub use job::Work;
#[cfg(feature = "net")]
pub use log::log;
#[cfg(feature = "net")]
pub use read_gate::{ReadGate, has_drained};
pub use record::{Record, Topic, TopicRef};
#[cfg(feature = "net")]
pub use resolve::{Answer, Resolve, Resolved, on_a_thread};
pub use seed::system_seed;
pub use session::{Filled, FlushEnd, Flushed, Session};
#[cfg(feature = "net")]
pub use socket::{DialSettings, connect_end, literal, look_up};
#[cfg(feature = "net")]
pub use task::{Runtime, Task};
#[cfg(feature = "serde")]
pub use typed::Json;
pub use typed::{BigEndian, Raw, Serializer, TypedProducer, TypedRecord, Utf8};
pub use waiting::{Admission, Reply};

pub use producer_proto as proto;
