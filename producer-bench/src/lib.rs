//! What the producer costs, as bodies that are written once and measured in two ways: instructions
//! counted by Valgrind, which are the same on every run (`cargo run --release -p producer-bench`),
//! and wall-clock time (`cargo bench -p producer-bench`).

mod cases;
mod counts;
mod driver;
mod payload;

#[path = "../../producer-proto/tests/support/mod.rs"]
mod support;

pub use cases::{Body, Case, Meter, all};
pub use counts::{Change, Counts, CountsError, TOLERANCE_PERCENT};
