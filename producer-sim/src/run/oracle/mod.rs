//! The oracles that judge what crosses the producer's border, one file each.

mod errors;
mod fairness;
mod leaders;
mod links;
mod pace;
mod rest;
mod stamps;

pub(crate) use errors::Errors;
pub(crate) use fairness::{Fairness, Patience};
pub(crate) use leaders::Leaders;
pub(crate) use links::{Limits, Links};
pub(crate) use pace::{Backoffs, Pace};
pub(crate) use rest::{Rest, baseline};
pub(crate) use stamps::Stamps;
