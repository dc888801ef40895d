//! Whole runs from a seed: a script of what happens, the engine that carries it out, and the
//! oracles that judge every moment of it.

mod app;
mod audit;
mod content;
mod engine;
mod entropy;
mod expand;
mod faults;
mod judge;
mod ledger;
mod murmur2;
mod oracle;
mod phases;
mod plan;
#[cfg(planted_bugs)]
mod planted;
mod report;
mod script;
mod verdict;
mod wire;

pub(crate) use entropy::mix;
pub use entropy::{Entropy, Seed, Stream, Tape};
pub use expand::Size;
#[cfg(planted_bugs)]
pub use planted::plant;
pub use report::{Report, run};
pub use script::*;
pub use verdict::{Failure, Oracle};
