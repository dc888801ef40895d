//! Taking records back.

use std::time::Duration;

use producer_driver::proto::{Cancel, Persistence, ProduceErrorKind};
use producer_driver::{Delivery, Record, RecordError, SendErrorKind};
use producer_sim::{ApiKey, Rule};

use crate::callbacks::results;
use crate::rig::Rig;

fn send_all(rig: &mut Rig) -> Vec<Delivery> {
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let send = |value| rig.handle.try_send(Record::to("orders").partition(0).value(value)).unwrap();
    ["a", "b", "c"].map(send).into()
}

#[test]
fn cls_12_a_record_of_an_open_batch_is_taken_back_alone() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let deliveries = send_all(&mut rig);
    assert_eq!(deliveries[1].cancel(), Cancel::Cancelled);
    assert_eq!(deliveries[1].cancel(), Cancel::TooLate, "nothing is left to be taken back");
    let flush = rig.handle.flush();
    rig.run(flush);
    let error = deliveries[1].try_result().unwrap().unwrap_err();
    assert_eq!(error.error.kind(), ProduceErrorKind::Cancelled);
    assert_eq!(error.persistence, Persistence::NotPersisted);
    for (place, offset) in [(0, 0), (2, 1)] {
        let metadata = deliveries[place].try_result().unwrap().unwrap();
        assert_eq!(metadata.offset, Some(offset));
    }
    assert_eq!(rig.net.values("orders", 0), ["a", "c"]);
    assert_eq!(rig.handle.stats().records_cancelled, 1);
}

#[test]
fn cls_12_a_record_on_its_way_is_not() {
    let mut rig = Rig::new(|_| ());
    let deliveries = send_all(&mut rig);
    let rule = rig.net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).hold()));
    let flush = rig.handle.flush();
    while rig.net.values("orders", 0).is_empty() {
        rig.turn();
    }
    assert_eq!(deliveries[1].cancel(), Cancel::TooLate, "it is in flight");
    let now = rig.net.now();
    rig.net.with(|cluster| cluster.release(now, rule));
    rig.run(flush);
    assert!(deliveries[1].try_result().unwrap().is_ok());
    assert_eq!(deliveries[1].cancel(), Cancel::TooLate);
    assert_eq!(rig.net.values("orders", 0), ["a", "b", "c"]);
}

#[test]
fn a_record_that_waits_for_its_acceptance_is_taken_back_whether_or_not_it_still_waits() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let send = |value| rig.handle.send(Record::to("orders").partition(0).value(value));
    let [early, kept, late] = ["early", "kept", "late"].map(send);
    let refused = rig.handle.send(Record::to("or ders"));
    assert_eq!(early.cancel(), Cancel::Cancelled);
    assert_eq!(refused.cancel(), Cancel::Cancelled);
    let kept = rig.run(kept).unwrap();
    assert_eq!(late.cancel(), Cancel::Cancelled, "accepted, but its batch is open");
    rig.run(kept).unwrap();
    assert_eq!(rig.net.values("orders", 0), ["kept"]);
}

#[test]
fn a_thousand_records_taken_back_at_random_leave_nothing_behind() {
    let mut rig = Rig::new(|config| {
        config.buffer_memory = 64 * 1024;
        config.batch_size = 4 * 1024;
    });
    let (sink, seen) = results();
    let mut expected = Vec::new();
    let mut delivered = Vec::new();
    for i in 0..1_000_u32 {
        let value = format!("{i:04}");
        let admission = rig.handle.send(Record::to("orders").partition(0).value(&value));
        // Some are taken back while they wait, some from their batch, some too late.
        match i.wrapping_mul(2_654_435_761) >> 30 {
            0 => {
                if admission.cancel() == Cancel::TooLate {
                    expected.push(value);
                }
            }
            1 => {
                let delivery = rig.run(admission).unwrap();
                if delivery.cancel() == Cancel::TooLate {
                    expected.push(value);
                }
                delivered.push(delivery);
            }
            _ => {
                delivered.push(rig.run(admission).unwrap());
                expected.push(value);
            }
        }
    }
    drop(rig.handle.send_with(Record::to("orders").partition(0).value("last"), sink));
    expected.push("last".to_owned());
    let flush = rig.handle.flush();
    rig.run(flush);
    assert!(delivered.iter().all(Delivery::is_done));
    assert_eq!(rig.net.values("orders", 0), expected);
    assert_eq!(seen.lock().unwrap().len(), 1);
    let stats = rig.handle.stats();
    assert!(stats.records_cancelled > 100, "{stats:?}");
    assert_eq!((stats.records_outstanding, stats.buffered_bytes), (0, 0));
}

#[test]
fn a_record_dropped_while_it_waits_is_reported_to_its_interceptors() {
    let mut rig = Rig::new(|_| ());
    let log = crate::interceptors::install(&rig);
    drop(rig.handle.send(Record::to("orders").value("x")));
    rig.turn();
    let log = log.lock().unwrap();
    let [(_, Err(RecordError::Send(error)))] = &**log else { panic!("{log:?}") };
    assert_eq!(*error.kind(), SendErrorKind::Aborted);
}
