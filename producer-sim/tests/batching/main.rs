//! Scenarios of the way from a record to a request: codec (COD), compression (CMP), partitioner
//! (PRT), accumulator (ACC) and memory (MEM), and old pains of other clients on the same way.
#![allow(clippy::unwrap_used)]

mod acc;
mod cmp;
mod cod;
mod mem;
mod old;
mod pain;
mod prt;
mod rig;
