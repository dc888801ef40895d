//! What the way of a record through the handle asks of the allocator, counted. One test, because
//! the counter is the process's.

use producer_bench::{Meter, all};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Counts allocations.
#[derive(Default)]
struct Blocks(u64);

impl Meter for Blocks {
    fn measure(&mut self, work: &mut dyn FnMut()) {
        let before = dhat::HeapStats::get().total_blocks;
        work();
        self.0 += dhat::HeapStats::get().total_blocks - before;
    }
}

/// Records of 100 bytes that a batch of 16 KiB has at least, keys and all.
const RECORDS_PER_BATCH: u64 = 120;

#[test]
fn the_handle_allocates_per_batch_and_not_per_record() {
    let _profiler = dhat::Profiler::builder().testing().build();
    // A batch costs its completion, and on its whole way what the core, its request, the broker's
    // answer and its events cost.
    let limits = [
        ("handle/send/unkeyed/100", 2),
        ("handle/send/keyed/100", 2),
        ("handle/admit/unkeyed/100", 2),
        // And the two lists of a hundred.
        ("handle/some/unkeyed/100", 5),
        ("handle/whole/unkeyed/100", 12),
        ("handle/whole/keyed/100", 12),
    ];
    for (name, per_batch) in limits {
        let case = all().into_iter().find(|case| case.name == name).expect("a case of that name");
        let mut blocks = Blocks::default();
        (case.prepare)()(&mut blocks);
        let limit = per_batch * case.units / RECORDS_PER_BATCH;
        assert!(blocks.0 > 0, "{name}: nothing was counted");
        assert!(blocks.0 <= limit, "{name}: {} allocations, more than {limit}", blocks.0);
    }
}
