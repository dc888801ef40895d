//! The wire protocol: bounded reading and writing of what a producer says to a broker and hears
//! from it. Written by hand for exactly the messages and versions we speak, so that a response is
//! decoded without intermediate objects and a Produce request never copies its records.
#![allow(dead_code, reason = "until the connection and the scheduler use every part")]

pub(crate) mod varint;

#[cfg(test)]
mod tests;
