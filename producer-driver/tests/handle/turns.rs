//! What one turn of the driver does, and what it leaves for the next one.

use std::task::Waker;
use std::time::Duration;

use producer_driver::proto::Codec;
use producer_driver::{Next, Record};
use producer_sim::{ApiKey, Rule};

use crate::rig::Rig;

/// A producer that has delivered a record.
fn ready(codec: Codec) -> Rig {
    let mut rig = Rig::new(|config| {
        config.linger = Duration::from_secs(60);
        config.compression_type = codec;
    });
    let admission = rig.handle.send(Record::to("orders").partition(0).value("first"));
    let flush = rig.handle.flush();
    rig.run(flush);
    assert!(rig.run(admission).unwrap().is_done());
    rig.turn();
    rig.host.jobs = 0;
    rig
}

fn send(rig: &Rig, records: u32) {
    for _ in 0..records {
        let record = Record::to("orders").partition(0).value(&[b'v'; 1_000]);
        drop(rig.handle.try_send(record).unwrap());
    }
}

fn turn(rig: &mut Rig) -> Next {
    let waker = Waker::from(rig.wakes.clone());
    rig.driver.turn(&mut rig.host, &waker)
}

#[test]
fn what_is_compressed_leaves_before_the_rest_is_compressed() {
    let mut rig = ready(Codec::Lz4);
    // Some forty batches.
    send(&rig, 640);
    assert_eq!((turn(&mut rig), rig.host.jobs), (Next::Again, 9));
    assert_eq!((turn(&mut rig), rig.host.jobs), (Next::Again, 18));
    assert!(rig.net.values("orders", 0).len() > 1, "the broker has the first ones");

    let flush = rig.handle.flush();
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0).len(), 641);
    assert!(rig.host.jobs > 18);
}

#[test]
fn while_records_flow_the_driver_pauses_and_nobody_wakes_it() {
    let mut rig = ready(Codec::None);
    rig.driver.set_pauses(true);
    send(&rig, 20);
    assert!(matches!(turn(&mut rig), Next::Sleep(_)), "these are few");
    assert!(!rig.driver.is_pausing());

    // The answer may be late: the records are under way.
    rig.net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).hold()));
    let before = rig.wakes.count();
    send(&rig, 300);
    assert_eq!(rig.wakes.count(), before + 1, "it slept");
    assert_eq!(turn(&mut rig), Next::Again);
    assert!(rig.driver.is_pausing());
    send(&rig, 20);
    assert_eq!(rig.wakes.count(), before + 1, "it does not sleep, it pauses");

    // When nothing comes in a pause it sleeps, however much is under way.
    while turn(&mut rig) == Next::Again {}
    assert!(!rig.driver.is_pausing());
    let flush = rig.handle.flush();
    assert_eq!(rig.wakes.count(), before + 2);
    rig.turn();
    assert!(!rig.driver.is_pausing(), "somebody waits for the flush");
    drop(flush);
}
