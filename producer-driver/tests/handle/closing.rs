//! Close, the last handle, and the driver that goes away.

use std::time::{Duration, Instant};

use producer_driver::proto::{Persistence, ProduceErrorKind};
use producer_driver::{Next, Record, SendErrorKind};
use producer_sim::{ApiKey, Rule};

use crate::rig::{Rig, is_ready};

fn record(value: &str) -> Record<'_> {
    Record::to("orders").partition(0).value(value)
}

#[test]
fn cls_04_a_graceful_close_delivers_everything_and_refuses_the_rest() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let sends: Vec<_> = (0..10).map(|i| rig.handle.send(record(&i.to_string()))).collect();
    let close = rig.handle.close(Duration::from_secs(30));
    let refused = rig.handle.send(record("late"));
    assert_eq!(*rig.run(refused).unwrap_err().kind(), SendErrorKind::Closed);
    rig.run(close);
    for admission in sends {
        let delivery = rig.run(admission).unwrap();
        assert!(delivery.is_done() && delivery.try_result().unwrap().is_ok());
    }
    assert_eq!(rig.net.values("orders", 0).len(), 10);
    assert_eq!(rig.settle(), Next::Closed);
    // Everything is answered after the end, too.
    assert!(is_ready(&mut rig.handle.close(None)));
    assert!(is_ready(&mut rig.handle.flush()));
    let count = rig.handle.partitions_for("another");
    assert_eq!(*rig.run(count).unwrap_err().kind(), SendErrorKind::Closed);
}

#[test]
fn cls_05_a_close_ends_at_its_deadline_and_tells_the_true_fate() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| {
        cluster.inject(Rule::on(ApiKey::Produce).hold());
    });
    let admission = rig.handle.send(record("sent"));
    let sent = rig.run(admission).unwrap();
    while rig.net.values("orders", 0).is_empty() {
        rig.turn();
    }
    let waiting = rig.handle.send(Record::to("orders").partition(9).value("waits"));
    let start = Instant::now();
    let close = rig.handle.close(Duration::from_millis(40));
    rig.run(close);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(40) && took < Duration::from_secs(2), "{took:?}");
    let error = sent.try_result().unwrap().unwrap_err();
    assert_eq!(error.persistence, Persistence::PossiblyPersisted);
    assert_eq!(error.error.kind(), ProduceErrorKind::Closed);
    assert_eq!(*rig.run(waiting).unwrap_err().kind(), SendErrorKind::Closed);
}

#[test]
fn cls_07_close_at_once_fails_what_waits_for_metadata() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| cluster.set_up(1, false));
    let waiting = rig.handle.send(record("waits"));
    let count = rig.handle.partitions_for("orders");
    let close = rig.handle.close(Duration::ZERO);
    let mut waiting = waiting;
    let result = rig.run(&mut waiting);
    assert_eq!(*result.unwrap_err().kind(), SendErrorKind::Closed);
    assert_eq!(*rig.run(count).unwrap_err().kind(), SendErrorKind::Closed);
    rig.run(close);
}

#[test]
fn the_last_handle_closes_in_the_background() {
    let mut rig = Rig::new(|config| config.linger = Duration::from_secs(60));
    let other = Rig::new(|_| ()).handle;
    let clone = rig.handle.clone();
    let admission = clone.send(record("x"));
    drop(clone);
    drop(std::mem::replace(&mut rig.handle, other));
    let delivery = rig.run(admission).unwrap();
    assert!(rig.run(delivery).is_ok());
    let give_up = Instant::now() + Duration::from_secs(5);
    while rig.settle() != Next::Closed {
        assert!(Instant::now() < give_up, "the producer did not close");
    }
    assert_eq!(rig.net.values("orders", 0), ["x"]);
}

#[test]
fn cls_a_driver_that_is_dropped_answers_everybody() {
    let mut rig = Rig::new(|_| ());
    rig.net.with(|cluster| {
        cluster.inject(Rule::on(ApiKey::Produce).hold());
    });
    let admission = rig.handle.send(record("sent"));
    let sent = rig.run(admission).unwrap();
    while rig.net.values("orders", 0).is_empty() {
        rig.turn();
    }
    let queued = rig.handle.try_send(Record::to("orders").partition(1).value("queued")).unwrap();
    let waiting = rig.handle.send(Record::to("unknown").value("waits"));
    let count = rig.handle.partitions_for("unknown");
    let flush = rig.handle.flush();
    let close = rig.handle.close(None);
    let Rig { driver, handle, .. } = rig;

    let start = Instant::now();
    drop(driver);
    assert!(start.elapsed() < Duration::from_millis(50));
    let fate = |result: Option<Result<_, producer_driver::DeliveryError>>| {
        result.unwrap().map(drop).unwrap_err().persistence
    };
    assert_eq!(fate(sent.try_result()), Persistence::PossiblyPersisted);
    assert_eq!(fate(queued.try_result()), Persistence::NotPersisted);
    // On a plain thread, which would block if anything was left open.
    assert_eq!(*waiting.wait().unwrap_err().kind(), SendErrorKind::Closed);
    assert_eq!(*count.wait().unwrap_err().kind(), SendErrorKind::Closed);
    flush.wait();
    close.wait();
    assert_eq!(*handle.send(record("late")).wait().unwrap_err().kind(), SendErrorKind::Closed);
    handle.flush().wait();
    handle.close(None).wait();
}

#[test]
fn blocking_waits_work_on_plain_threads() {
    let mut rig = Rig::new(|_| ());
    let handle = rig.handle.clone();
    let worker = std::thread::spawn(move || {
        let mut delivery = handle.send(record("x")).wait().unwrap();
        while delivery.wait_timeout(Duration::from_millis(1)).is_none() {}
        let offset = delivery.wait().unwrap().offset;
        handle.flush().wait();
        offset
    });
    while !worker.is_finished() {
        rig.turn();
        std::thread::yield_now();
    }
    assert_eq!(worker.join().unwrap(), Some(0));
}
