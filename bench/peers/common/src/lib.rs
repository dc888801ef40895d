//! What the load generators in Rust share: the options, the payload, the pacing, and the line of
//! numbers that each of them prints.

mod latency;
mod options;
mod paced;
mod payload;
mod report;
mod usage;

pub use latency::{measure_each, measure_paced};
pub use options::{Compression, Measure, Options};
pub use paced::{Outcomes, Rate, Settled, send_paced};
pub use payload::Payload;
pub use report::{print_latency, print_paced, print_throughput};
pub use usage::{Span, Usage};
