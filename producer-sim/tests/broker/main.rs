//! The simulated brokers against what Kafka's own library wrote and what real brokers answered
//! (`golden/`, recorded from Apache Kafka 4.3.0), and the scripting of faults.
#![allow(clippy::unwrap_used)]

mod client;
mod exchanges;
mod fidelity;
mod golden;
mod message_sets;
#[cfg(feature = "net")]
mod net;
mod records;
mod replication;
mod rules;
mod states;
mod upheaval;
