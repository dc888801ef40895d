//! What threads and tasks that send do for a driver that has more to do than it gets done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use std::{future::Future, pin::Pin};

use producer_driver::proto::{Cancel, Codec};
use producer_driver::{Admission, Interest, Next, Record};
use producer_sim::{ApiKey, Rule, RuleId};

use crate::rig::{Rig, is_ready};

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn send(rig: &Rig) -> Admission {
    rig.handle.send(Record::to("orders").partition(0).value(&[b'v'; 1_000]))
}

/// Brings everything up.
fn deliver_one(rig: &mut Rig) {
    let first = send(rig);
    let first = rig.run(first).unwrap();
    rig.run(first).unwrap();
}

/// A producer with two MiB on its way to a broker that holds its answers, of which the driver knows.
fn behind() -> (Rig, RuleId) {
    let mut rig = Rig::new(|_| ());
    deliver_one(&mut rig);
    let hold = rig.net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).hold()));
    for _ in 0..2_000 {
        assert!(is_ready(&mut send(&rig)), "the driver had no turn");
    }
    rig.turn();
    (rig, hold)
}

/// The first of the next records that is not ready at once.
fn one_that_gives_way(rig: &Rig) -> Admission {
    let waker = Waker::from(Arc::new(Count::default()));
    for _ in 0..40 {
        let mut admission = send(rig);
        if Pin::new(&mut admission).poll(&mut Context::from_waker(&waker)).is_pending() {
            return admission;
        }
    }
    panic!("no send gave way");
}

#[test]
fn a_task_that_only_sends_gives_way_once_per_batch() {
    let (mut rig, hold) = behind();
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut gave_way = 0;
    for _ in 0..160 {
        let mut admission = send(&rig);
        if Pin::new(&mut admission).poll(&mut context).is_pending() {
            gave_way += 1;
            assert_eq!(woken.0.load(Ordering::SeqCst), gave_way, "it is polled again at once");
            let Poll::Ready(delivery) = Pin::new(&mut admission).poll(&mut context) else {
                panic!("it had been accepted")
            };
            drop(delivery.unwrap());
        }
    }
    assert!((10..=11).contains(&gave_way), "{gave_way} of 160 records, sixteen to a batch");
    // A plain thread has nobody to give way to.
    for _ in 0..40 {
        drop(send(&rig).wait().unwrap());
    }

    let now = rig.net.now();
    rig.net.with(|cluster| cluster.release(now, hold));
    let flush = rig.handle.flush();
    rig.run(flush);
    for _ in 0..40 {
        assert!(is_ready(&mut send(&rig)), "all is done");
    }
    let close = rig.handle.close(None);
    rig.run(close);
    assert_eq!(rig.net.values("orders", 0).len(), 2_241);
}

/// Its executor runs one task after the other for long before it asks its reactor.
#[test]
fn where_a_task_gives_way_the_driver_looks_for_answers_without_a_reactor() {
    for is_cooperative in [false, true] {
        let (mut rig, hold) = behind();
        if is_cooperative {
            rig.driver.set_cooperative();
        }
        rig.is_reactor_mute = true;
        let now = rig.net.now();
        rig.net.with(|cluster| cluster.release(now, hold));
        let delivered = rig.handle.stats().records_delivered;
        let is_woken_by_a_poll = (0..40).any(|_| {
            let mut admission = send(&rig);
            rig.turn();
            let before = rig.wakes.count();
            !is_ready(&mut admission) && rig.wakes.count() > before
        });
        assert_eq!(is_woken_by_a_poll, is_cooperative);
        let patience = Duration::from_millis(if is_cooperative { 10_000 } else { 50 });
        let give_up = Instant::now() + patience;
        while rig.handle.stats().records_delivered == delivered && Instant::now() < give_up {
            rig.turn();
            drop(one_that_gives_way(&rig));
        }
        assert_eq!(rig.handle.stats().records_delivered > delivered, is_cooperative);
        rig.is_reactor_mute = false;
        let close = rig.handle.close(None);
        rig.run(close);
        assert_eq!(rig.net.values("orders", 0).len() as u64, rig.handle.stats().records_pushed);
    }
}

/// On another thread than the driver's, at the very moment of its turn: too late for that to look, and
/// too early to wake it.
#[test]
fn a_driver_that_looks_before_it_sleeps_does_not_sleep_over_what_it_finds() {
    let (mut rig, hold) = behind();
    rig.driver.set_cooperative();
    let now = rig.net.now();
    drop(one_that_gives_way(&rig));
    rig.net.with(|cluster| cluster.release(now, hold));
    let waker = Waker::from(rig.wakes.clone());
    while rig.driver.turn(&mut rig.host, &waker) == Next::Again {}

    rig.driver.look(|_| ());
    let hears_nothing = |_, _: &mut _, _| Interest::default();
    assert!(rig.driver.poll_ready(hears_nothing), "a stream is to be tried: there must be a turn");
    let delivered = rig.handle.stats().records_delivered;
    while rig.driver.turn(&mut rig.host, &waker) == Next::Again {}
    assert!(rig.handle.stats().records_delivered > delivered);
    assert!(!rig.driver.poll_ready(hears_nothing), "now it may sleep");
}

#[test]
fn what_gives_way_has_been_accepted_whatever_becomes_of_its_future() {
    let (mut rig, hold) = behind();
    drop(one_that_gives_way(&rig));
    let sent = rig.handle.stats().records_pushed;
    assert_eq!(one_that_gives_way(&rig).cancel(), Cancel::Cancelled);
    let cancelled = rig.handle.stats().records_pushed - 1;
    assert!(cancelled >= sent);
    let now = rig.net.now();
    rig.net.with(|cluster| cluster.release(now, hold));
    let close = rig.handle.close(None);
    rig.run(close);
    assert_eq!(rig.net.values("orders", 0).len() as u64, cancelled);
}

#[test]
fn senders_compress_what_the_driver_does_not_get_done() {
    let mut rig = Rig::new(|config| config.compression_type = Codec::Lz4);
    rig.driver.set_senders_help(true);
    deliver_one(&mut rig);
    rig.host.jobs = 0;
    let before = rig.handle.stats();
    for _ in 0..4_000 {
        drop(send(&rig).wait().unwrap());
    }
    // Without the driver: what has been compressed takes little room.
    let stats = rig.handle.stats();
    let sealed = stats.bytes_uncompressed - before.bytes_uncompressed;
    assert!(sealed > 3_000_000, "only {sealed} bytes compressed");
    assert!(stats.buffered_bytes < 1_000_000, "{} bytes buffered", stats.buffered_bytes);
    let close = rig.handle.close(None);
    rig.run(close);
    assert!((1..=12).contains(&rig.host.jobs), "{} jobs left for the driver", rig.host.jobs);
    assert_eq!(rig.net.values("orders", 0).len(), 4_001);
}
