//! What becomes of records that are on their way: retries and timeouts, order, idempotence,
//! splits, flush and close; the contract of the core, rule by rule; and a model of all of it
//! under random faults. Tests are named after their scenarios (see `SCENARIOS.md`).
#![allow(clippy::unwrap_used)]

mod branches;
mod cls;
mod contract;
mod direct;
mod hostile;
mod idp;
mod idp_late;
mod model;
mod ord;
mod pain;
mod ret;
mod rig;
mod spl;
