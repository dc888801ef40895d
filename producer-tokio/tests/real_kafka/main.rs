//! Tests against real Apache Kafka brokers.
//!
//! They run where environment variables name clusters, and say that they are skipped otherwise:
//!
//! - `KAFKA_BOOTSTRAP`: any cluster of version 4 without authentication. `KAFKA_TEST_REPLICATION`
//!   is the replication factor of the topics (1), `KAFKA_TEST_RECORDS` the number of records for
//!   each codec.
//! - `KAFKA_BOOTSTRAP_THREE`: the three brokers that `scripts/kafka.sh start three` has started,
//!   because they are killed. `KAFKA_TEST_CHAOS_RECORDS` records flow meanwhile.
//! - `KAFKA_BOOTSTRAP_LEGACY`: a broker of 0.10, which is read back with a console consumer of its
//!   age.
//!
//! `scripts/real-kafka-tests.sh` does all of it. What is in the topics is read back with Kafka's
//! own console consumer and compared byte by byte.

mod chaos;
mod kafka;
mod legacy;
mod records;
mod refusal;
mod roundtrip;

use std::env;

/// A number in an environment variable.
fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}
