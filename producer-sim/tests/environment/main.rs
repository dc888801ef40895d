//! What its environment does to a producer, scenario by scenario (see `SCENARIOS.md`): metadata,
//! connections, throttling, writing without answers, hostile brokers, and whether failures name
//! their cause.
#![allow(clippy::unwrap_used)]

mod ak0;
mod common;
mod con_handshake;
mod con_life;
mod con_loss;
mod describe;
mod faults;
mod hos_bodies;
mod hos_frames;
mod hos_values;
mod lockstep;
mod met_requests;
mod met_view;
mod met_who;
mod thr;
