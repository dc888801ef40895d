//! Sends that wait for room in the buffer memory.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use producer_driver::proto::Config;
use producer_driver::{Admission, Record, SendErrorKind, WaitingFor};
use producer_sim::{ApiKey, Rule, RuleId};

use crate::rig::{Rig, is_ready, poll_once};

const BUFFER: usize = 20_000;

fn send(rig: &Rig, len: usize) -> Admission {
    rig.handle.send(Record::to("orders").partition(0).value(&vec![b'v'; len]))
}

/// A producer whose buffer is full of records that their broker does not acknowledge, and the
/// rule by which it holds its answers.
fn full(change: impl FnOnce(&mut Config)) -> (Rig, RuleId) {
    let mut rig = Rig::new(|config| {
        config.buffer_memory = BUFFER;
        config.linger = Duration::ZERO;
        config.enable_idempotence = Some(false);
        change(config);
    });
    let count = rig.handle.partitions_for("orders");
    rig.run(count).unwrap();
    let hold = rig.net.with(|cluster| cluster.inject(Rule::on(ApiKey::Produce).hold()));
    let fill = send(&rig, 15_000);
    drop(rig.run(fill).unwrap());
    rig.turn();
    (rig, hold)
}

fn release(rig: &mut Rig, hold: RuleId) {
    let now = rig.net.now();
    rig.net.with(|cluster| cluster.release(now, hold));
}

#[test]
fn mem_03_waits_exactly_max_block() {
    let max_block = Duration::from_millis(40);
    let (mut rig, hold) = full(|config| config.max_block = max_block);
    let buffered = rig.handle.stats().buffered_bytes;
    let start = Instant::now();
    let admission = send(&rig, 10_000);
    let error = rig.run(admission).unwrap_err();
    assert!(start.elapsed() >= max_block, "not before");
    let waited_for_memory =
        matches!(error.kind(), SendErrorKind::Timeout { waiting_for: WaitingFor::Memory(_), .. });
    assert!(waited_for_memory, "{error}");
    assert_eq!(rig.handle.stats().buffered_bytes, buffered, "available memory is unchanged");
    // Nobody waits any more: what comes next is the first in line.
    let mut next = send(&rig, 10_000);
    release(&mut rig, hold);
    drop(rig.run(&mut next).unwrap());
    let flush = rig.handle.flush();
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0).len(), 2);
    assert_eq!(rig.handle.stats().buffered_bytes, 0);
}

#[test]
fn mem_04_first_come_first_served() {
    let (mut rig, hold) = full(|_| ());
    let mut large = send(&rig, 16_000);
    let mut small = send(&rig, 100);
    rig.turn();
    // There is room for the small one, but it does not overtake.
    assert!(BUFFER - rig.handle.stats().buffered_bytes > 2_000);
    assert!(!is_ready(&mut small) && !is_ready(&mut large));
    release(&mut rig, hold);
    drop(rig.run(&mut large).unwrap());
    drop(rig.run(&mut small).unwrap());
    let flush = rig.handle.flush();
    rig.run(flush);
    let lengths = rig.net.values("orders", 0).iter().map(String::len).collect::<Vec<_>>();
    assert_eq!(lengths, [15_000, 16_000, 100]);
}

#[test]
fn mem_06_closing_wakes_waiters() {
    let (mut rig, _) = full(|_| ());
    let mut waiting = [send(&rig, 6_000), send(&rig, 6_000), send(&rig, 6_000)];
    rig.turn();
    let close = rig.handle.close(Duration::ZERO);
    rig.turn();
    for admission in &mut waiting {
        let Poll::Ready(result) = poll_once(pin!(admission)) else { panic!("still waits") };
        assert_eq!(*result.unwrap_err().kind(), SendErrorKind::Closed);
    }
    rig.run(close);
}

#[test]
fn mem_06_a_graceful_close_still_takes_those_who_wait() {
    let (mut rig, hold) = full(|_| ());
    let mut waiting = [send(&rig, 6_000), send(&rig, 6_000), send(&rig, 6_000)];
    let close = rig.handle.close(Duration::from_secs(30));
    rig.turn();
    assert!(waiting.iter_mut().all(|admission| !is_ready(admission)));
    release(&mut rig, hold);
    rig.run(close);
    for admission in waiting {
        let delivery = rig.run(admission).unwrap();
        assert!(delivery.try_result().unwrap().is_ok());
    }
}

#[test]
fn mem_10_cancelled_waiter_wakes_flush() {
    let (mut rig, hold) = full(|_| ());
    let waiting = send(&rig, 10_000);
    let flush = rig.handle.flush();
    rig.turn();
    drop(waiting);
    release(&mut rig, hold);
    rig.run(flush);
    assert_eq!(rig.net.values("orders", 0).len(), 1, "the record went with its caller");
}
