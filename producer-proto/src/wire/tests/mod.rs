//! The codec against Kafka's own bytes, and against bytes nobody should send.

mod golden;
mod hostile;
mod model;
mod requests;
mod responses;
mod varints;
mod versions;
