//! What the fuzz targets do with an input: any bytes at all. A body panics when something is
//! wrong, and does nothing else; `fuzz_targets` hands it to libFuzzer, and a test of the main
//! workspace runs it over the committed corpora.

pub mod batches;
pub mod codecs;
pub mod connection;
pub mod frames;
pub mod operations;
pub mod responses;
pub mod settings;

/// A name, and what is done with an input.
pub type Target = (&'static str, fn(&[u8]));

/// The targets.
pub const TARGETS: [Target; 7] = [
    ("frames", frames::run),
    ("responses", responses::run),
    ("codecs", codecs::run),
    ("connection", connection::run),
    ("operations", operations::run),
    ("batches", batches::run),
    ("settings", settings::run),
];
