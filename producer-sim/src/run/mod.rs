//! Whole runs from a seed: a script of what happens, the engine that carries it out, and the
//! oracles that judge every moment of it.
//!
//! A seed leads to a [`Script`]: cluster, settings, network, what the application does and what
//! goes wrong, each with its time. Running it is a function of the script alone, so a failure can
//! be had again, made smaller ([`shrink`]), told ([`run_and_tell`]) and drawn ([`run_and_draw`]).
//! A run ends with everything healed but what was broken for good: then all must be delivered soon, an hour passes without
//! work, the producer closes, the last late requests arrive, and what the producer said is held
//! against the logs.
//!
//! ```
//! use producer_sim::run::{Profile, Script, Seed, Size, run};
//! let script = Script::draw(&mut Seed(7), Profile::Honest, Size::Short);
//! let report = run(&script)?;
//! assert_eq!(report.failure, None);
//! # Ok::<(), producer_proto::ConfigError>(())
//! ```

mod app;
mod audit;
mod careful;
#[cfg(test)]
mod closing;
mod content;
mod engine;
mod entropy;
mod expand;
mod faults;
mod heal;
mod judge;
mod ledger;
mod lie;
mod murmur2;
mod oracle;
mod phases;
mod plan;
#[cfg(planted_bugs)]
mod planted;
mod report;
mod script;
mod shrink;
mod story;
#[cfg(test)]
mod tests;
mod timeline;
mod variants;
mod verdict;
mod wire;

pub(crate) use entropy::mix;
pub use entropy::{Entropy, Seed, Stream, Tape};
pub use expand::Size;
#[cfg(planted_bugs)]
pub use planted::plant;
pub use report::{Report, run, run_and_draw, run_and_tell, run_within};
pub use script::*;
pub use shrink::shrink;
pub use timeline::{Connection, OutcomeTold, Request, RequestEnd, Timeline};
pub use variants::compare_variants;
pub use verdict::{Failure, Oracle};
