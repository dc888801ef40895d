//! The bodies, timed.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use producer_bench::{Meter, all};

#[derive(Default)]
struct Timed(Duration);

impl Meter for Timed {
    fn measure(&mut self, work: &mut dyn FnMut()) {
        let start = Instant::now();
        work();
        self.0 += start.elapsed();
    }
}

fn cases(criterion: &mut Criterion) {
    for case in all() {
        let mut group = criterion.benchmark_group("producer");
        group.throughput(Throughput::Elements(case.units));
        group.sample_size(10);
        group.bench_function(&case.name, |bencher| {
            let mut body = (case.prepare)();
            bencher.iter_custom(|runs| {
                let mut meter = Timed::default();
                (0..runs).for_each(|_| body(&mut meter));
                meter.0
            });
        });
        group.finish();
    }
}

criterion_group!(benches, cases);
criterion_main!(benches);
