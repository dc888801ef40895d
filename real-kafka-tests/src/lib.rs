//! Tests against real Apache Kafka brokers. Each test is written once and run on every runtime
//! that there is an adapter for: `roundtrip::on_tokio::gzip`, `roundtrip::on_mio::gzip`, and so on.
//!
//! They run where environment variables name clusters, and say that they are skipped otherwise:
//!
//! - `KAFKA_BOOTSTRAP`: any cluster of version 4 without authentication. `KAFKA_TEST_REPLICATION`
//!   is the replication factor of the topics (1), `KAFKA_TEST_RECORDS` the number of records for
//!   each codec and runtime (50,000).
//! - `KAFKA_BOOTSTRAP_THREE`: the three brokers that `scripts/kafka.sh start three` has started,
//!   because they are killed. `KAFKA_TEST_CHAOS_RECORDS` records (200,000) flow meanwhile.
//! - `KAFKA_BOOTSTRAP_LEGACY`: a broker of 0.10, which is read back with a console consumer of its
//!   age. `KAFKA_TEST_LEGACY_RECORDS` is the number of records for each codec and runtime (10,000).
//!
//! `scripts/real-kafka-tests.sh` does all of it. What is in the topics is read back with Kafka's
//! own console consumer and compared byte by byte.

#[cfg(test)]
#[macro_use]
mod runtime;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod describing;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod legacy;
#[cfg(test)]
mod records;
#[cfg(test)]
mod refusal;
#[cfg(test)]
mod roundtrip;

/// A number in an environment variable.
#[cfg(test)]
fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}
