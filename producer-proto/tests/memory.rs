//! What the core asks of the allocator, counted. One test, because the counter is the process's.

mod support;

use std::time::Duration;

use producer_proto::Config;
use support::Pair;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[test]
fn records_cost_no_allocation_and_sparse_partitions_little_memory() {
    let _profiler = dhat::Profiler::builder().testing().build();
    steady_state_allocates_per_request_not_per_record();
    payload_is_copied_once();
    sparse_partitions_hold_little();
    a_burst_leaves_little_behind();
    a_batch_that_stays_does_not_keep_what_comes_and_goes();
}

fn steady_state_allocates_per_request_not_per_record() {
    for (partition, batch_size) in [(Some(0), 16_384), (None, 16_384), (None, 131_072)] {
        let mut config = Config::new("b:9092");
        config.batch_size = batch_size;
        let mut pair = Pair::ready(&config, 4);
        let value = [b'x'; 100];
        let round = |pair: &mut Pair, records: u64| {
            for _ in 0..records {
                pair.push(partition, &value);
                pair.drive();
            }
        };
        round(&mut pair, 20_000);
        let (before, batches) = (dhat::HeapStats::get(), pair.broker.batches);
        round(&mut pair, 50_000);
        let after = dhat::HeapStats::get();
        let blocks = after.total_blocks - before.total_blocks;
        let batches = pair.broker.batches - batches;
        assert!(batches > 30, "{batches} batches");
        assert!(
            blocks <= 12 * batches,
            "{blocks} allocations for {batches} batches of batch.size {batch_size}"
        );
    }
}

fn payload_is_copied_once() {
    let config = Config::new("b:9092");
    let mut pair = Pair::ready(&config, 4);
    let value = vec![b'x'; 1_000];
    for _ in 0..2_000 {
        pair.push(None, &value);
        pair.drive();
    }
    let before = dhat::HeapStats::get();
    let records = 10_000;
    for _ in 0..records {
        pair.push(None, &value);
        pair.drive();
    }
    let after = dhat::HeapStats::get();
    // A second copy would need memory to copy to, be it only while a buffer grows.
    let bytes = after.total_bytes - before.total_bytes;
    let payload = records * value.len() as u64;
    assert!(bytes * 10 <= payload, "{bytes} bytes allocated for {payload} bytes of payload");
}

fn sparse_partitions_hold_little() {
    const PARTITIONS: i32 = 100_000;
    let mut config = Config::new("b:9092");
    config.linger = Duration::from_secs(60);
    config.buffer_memory = 1 << 30;
    let before = dhat::HeapStats::get();
    let mut pair = Pair::ready(&config, PARTITIONS);
    let idle = dhat::HeapStats::get();
    for partition in 0..PARTITIONS {
        pair.push(Some(partition), b"one small record");
    }
    let holding = dhat::HeapStats::get();
    let per_partition = |bytes: usize| bytes / PARTITIONS as usize;
    let idle_bytes = idle.curr_bytes - before.curr_bytes;
    let held = holding.curr_bytes - before.curr_bytes;
    assert!(per_partition(idle_bytes) <= 256, "{} bytes when idle", per_partition(idle_bytes));
    assert!(held < 100_000_000, "{held} bytes for {PARTITIONS} partitions with a record each");
    pair.pass(Duration::from_secs(61));
    assert_eq!(pair.delivered, PARTITIONS as u64);
}

fn a_burst_leaves_little_behind() {
    let after = |partitions: i32| {
        let mut config = Config::new("b:9092");
        config.buffer_memory = 1 << 30;
        let mut pair = Pair::ready(&config, partitions);
        for partition in 0..partitions {
            pair.push(Some(partition), b"one small record");
        }
        pair.pass(config.linger);
        assert_eq!(pair.delivered, partitions as u64);
        let Pair { producer, .. } = pair;
        let before = dhat::HeapStats::get().curr_bytes;
        drop(producer);
        before - dhat::HeapStats::get().curr_bytes
    };
    let per_partition = (after(100_010) - after(10)) / 100_000;
    assert!(per_partition > 0, "nothing was counted");
    assert!(per_partition <= 256, "{per_partition} bytes when idle again");
}

fn a_batch_that_stays_does_not_keep_what_comes_and_goes() {
    const BATCHES: u64 = 40_000;
    let mut config = Config::new("b:9092");
    config.linger = Duration::from_secs(60);
    config.batch_size = 200;
    let mut pair = Pair::ready(&config, 2);
    pair.push(Some(0), b"stays");
    let come_and_go = |pair: &mut Pair, batches: u64| {
        let expected = pair.broker.batches + batches;
        for _ in 0..batches {
            pair.push(Some(1), &[b'x'; 200]);
            pair.drive();
        }
        assert_eq!(pair.broker.batches, expected);
    };
    come_and_go(&mut pair, 1_000);
    let before = dhat::HeapStats::get().curr_bytes;
    come_and_go(&mut pair, BATCHES);
    let grown = dhat::HeapStats::get().curr_bytes.saturating_sub(before);
    // A place in the ring of ids, which doubles when it is full, and two queues of deadlines as long
    // as they may be.
    let limit = 2 * 8 * BATCHES as usize + 1_600_000;
    assert!(grown <= limit, "{grown} bytes more after {BATCHES} batches");
}
