//! What a partition costs in memory that has nothing to send. One test, because the allocator's
//! numbers are the process's.

#[path = "../../producer-proto/tests/support/mod.rs"]
mod support;

use std::time::Duration;

use producer_proto::Config;
use support::Pair;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const FEW: i32 = 10;
const MANY: i32 = 100_010;

/// Bytes that a partition may cost.
const LIMIT: usize = 256;

/// A producer that knows so many partitions; `is_used`: each had a record that was delivered.
fn idle(partitions: i32, is_used: bool) -> Pair {
    let mut config = Config::new("b:9092");
    config.buffer_memory = 1 << 30;
    let mut pair = Pair::ready(&config, partitions);
    if is_used {
        for partition in 0..partitions {
            pair.push(Some(partition), b"a record");
        }
        pair.pass(config.linger + Duration::from_secs(1));
        assert_eq!(pair.delivered, partitions as u64);
    }
    pair
}

/// What is given back when a producer ends.
fn bytes_of(pair: Pair) -> usize {
    let Pair { producer, .. } = pair;
    let before = dhat::HeapStats::get().curr_bytes;
    drop(producer);
    before - dhat::HeapStats::get().curr_bytes
}

#[test]
fn an_idle_partition_costs_little_memory() {
    let _profiler = dhat::Profiler::builder().testing().build();
    for is_used in [false, true] {
        let (few, many) = (bytes_of(idle(FEW, is_used)), bytes_of(idle(MANY, is_used)));
        let per_partition = (many - few) / (MANY - FEW) as usize;
        println!("{per_partition} bytes per partition, used before: {is_used}");
        assert!(per_partition > 0, "nothing was counted");
        assert!(per_partition <= LIMIT, "{per_partition} bytes, used before: {is_used}");
    }
}
