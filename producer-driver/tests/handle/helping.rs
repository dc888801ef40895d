//! Jobs that are done on a few threads of a pool.

use std::time::Duration;

use producer_driver::proto::Codec;
use producer_driver::{Helpers, Record};

use crate::rig::Rig;

/// A producer that compresses with two helpers at most and has delivered a record.
fn rig() -> Rig {
    let mut rig = Rig::new(|config| {
        config.linger = Duration::from_secs(60);
        config.compression_type = Codec::Lz4;
    });
    let first = rig.handle.send(Record::to("orders").partition(0).value("first"));
    flush(&mut rig);
    assert!(rig.run(first).unwrap().is_done());
    rig.host.helpers = Some(Helpers::new(2));
    rig
}

/// Some forty batches, all of them handed out.
fn burst(rig: &mut Rig) {
    for _ in 0..640 {
        let record = Record::to("orders").partition(0).value(&[b'v'; 1_000]);
        drop(rig.handle.try_send(record).unwrap());
    }
    rig.host.jobs = 0;
    rig.turn();
    assert!(rig.host.jobs > 30, "only {}", rig.host.jobs);
}

/// Has everything delivered; what is left is compressed at once.
fn flush(rig: &mut Rig) {
    let helpers = rig.host.helpers.take();
    let flush = rig.handle.flush();
    rig.run(flush);
    rig.host.helpers = helpers;
}

#[test]
fn a_burst_of_jobs_takes_no_more_helpers_than_allowed() {
    let mut rig = rig();
    burst(&mut rig);
    assert_eq!(rig.host.asleep.len(), 2);
    // One of them does it all, and the other finds nothing left.
    rig.host.asleep.pop().unwrap().run();
    flush(&mut rig);
    assert_eq!(rig.net.values("orders", 0).len(), 641);
    rig.host.asleep.pop().unwrap().run();
    // They are gone: the next burst has two again.
    burst(&mut rig);
    assert_eq!(rig.host.asleep.len(), 2);
}

#[test]
fn jobs_of_a_pool_that_shuts_down_are_abandoned_not_lost() {
    let mut rig = rig();
    burst(&mut rig);
    drop(rig.host.asleep.pop());
    rig.turn();
    assert_eq!(rig.net.values("orders", 0).len(), 1, "there is another helper");
    drop(rig.host.asleep.pop());
    flush(&mut rig);
    assert_eq!(rig.net.values("orders", 0).len(), 641);
}
