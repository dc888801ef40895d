//! Choosing the partition.
