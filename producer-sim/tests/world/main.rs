//! The world itself: a producer, a cluster and a network in virtual time, and that they can be
//! trusted: the same calls give the same run, cuts and windows change nothing, faults do what
//! they say.
#![allow(clippy::unwrap_used)]

mod network;
mod runs;
mod seeds;
mod storm;
