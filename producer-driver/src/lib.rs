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
#![forbid(unsafe_code)]
#![deny(missing_docs)]

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
mod hook;
mod interceptor;
mod job;
mod record;
mod replies;
mod seed;
mod session;
mod shared;
mod slot;
mod state;
mod tickets;
mod typed;
mod waiting;

pub use breaker::CircuitBreaker;
pub use clock::Clock;
pub use deliveries::{Delivered, Deliveries, DeliverySender};
pub use delivery::{Delivery, RecordMetadata};
pub use dial::{Attempt, DialPlan, connect_error_kind};
pub use driver::{Dial, Driver, Environment, Interest, Next, pair};
pub use error::{DeliveryError, RecordError, RecordPart, SendError, SendErrorKind, WaitingFor};
pub use handle::Handle;
pub use hook::{Faults, RecordResult};
pub use interceptor::{Acknowledgement, BoxError, Draft, DraftHeader, Interceptor};
pub use job::Work;
pub use record::{Record, Topic, TopicRef};
pub use seed::system_seed;
pub use session::{Filled, FlushEnd, Flushed, Session};
#[cfg(feature = "serde")]
pub use typed::Json;
pub use typed::{BigEndian, Raw, Serializer, TypedProducer, TypedRecord, Utf8};
pub use waiting::{Admission, Reply};

pub use producer_proto as proto;
