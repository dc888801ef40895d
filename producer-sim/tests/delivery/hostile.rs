//! Rule 10 of the contract: no input from a network or a caller makes the core panic, hang or
//! forget a record.

use crate::direct::{Direct, Pending, Poll};
use crate::rig::*;
use producer_proto::{
    BatchId, Cancel, ConnectionId, DisconnectReason, Event, Header, Input, Instant, Receipt, Record,
};
use std::time::Duration;

/// Damages an answer.
fn damage(bytes: &mut Vec<u8>, draws: &mut Draws) {
    let len = bytes.len() as u64;
    match draws.below(6) {
        0 => bytes.truncate(draws.below(len) as usize),
        1 => bytes.insert(draws.below(len) as usize, draws.below(256) as u8),
        2 => bytes.push(0),
        3 => {
            let extreme =
                draws.pick(&[[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0; 4]]);
            let at = draws.below(len) as usize;
            let end = bytes.len().min(at + 4);
            bytes[at..end].copy_from_slice(&extreme[..end - at]);
        }
        // Past length and correlation id, so that the message itself is read.
        4 if len > 9 => bytes[8 + draws.below(len - 8) as usize] = draws.below(256) as u8,
        _ => bytes[draws.below(len) as usize] ^= 1 << draws.below(8),
    }
}

fn nonsense(direct: &mut Direct, draws: &mut Draws) {
    let conns: Vec<_> = direct.conns.keys().copied().collect();
    let known = conns.get(draws.below(conns.len() as u64 + 1) as usize).copied();
    let conn = known.unwrap_or(ConnectionId(draws.below(20)));
    let now = direct.now;
    let producer = &mut direct.producer;
    match draws.below(6) {
        0 => producer.handle_input(now, Input::Connected { conn }),
        1 => {
            let noise: Vec<u8> = (0..draws.below(40)).map(|_| draws.below(256) as u8).collect();
            producer.handle_input(now, Input::Received { conn, bytes: &noise });
        }
        2 => {
            let bytes = draws.pick(&[0, 1, 1_000, usize::MAX]);
            producer.handle_input(now, Input::Written { conn, bytes });
        }
        3 => {
            let reason = DisconnectReason::Reset;
            producer.handle_input(now, Input::Disconnected { conn, reason });
        }
        4 => {
            let receipt = Receipt { batch: BatchId(draws.below(30)), index: draws.below(5) as u32 };
            let _: Cancel = producer.cancel(now, receipt);
            producer.expedite(now, receipt.batch);
        }
        _ => producer.handle_input(Instant::from_millis(draws.below(1_000)), Input::Timeout),
    }
}

#[test]
fn contract_10_no_bytes_make_it_panic_or_forget_a_record() {
    let (mut damaged, mut delivered) = (0, 0);
    for seed in 0..400 {
        let mut draws = Draws::new(seed);
        let mut config = one_second();
        config.enable_idempotence = Some(draws.one_in(2));
        let order = [Poll::Transmit, Poll::Action, Poll::Event];
        let mut direct = Direct::new(3, config, order);
        direct.push(0, b"first");
        let mut pushed = 1;
        let topic = direct.producer.topic(direct.now, "t").unwrap();
        for _ in 0..60 {
            let value = Some(&b"value"[..]);
            let partition = Some(draws.below(3) as i32);
            let record = Record { topic, partition, timestamp: 0, key: None, value, headers: &[] };
            let pushes = direct.producer.push(direct.now, &record);
            pushed += u64::from(pushes.is_ok());
            if draws.one_in(4) {
                nonsense(&mut direct, &mut draws);
            }
            direct.drain();
            direct.collect();
            for pending in &mut direct.pending {
                if let Pending::Bytes(_, bytes) = pending
                    && draws.one_in(5)
                {
                    damage(bytes, &mut draws);
                    damaged += 1;
                }
            }
            while direct.tell() {}
            direct.now = direct.now + draws.millis(40);
            direct.producer.handle_input(direct.now, Input::Timeout);
        }
        let deadline = direct.now + Duration::from_secs(5);
        direct.producer.close(direct.now, Some(deadline));
        direct.run_for(Duration::from_secs(6), false);
        assert!(matches!(direct.events.last(), Some(Event::Closed)), "seed {seed}");
        let stats = direct.producer.stats();
        assert_eq!(stats.records_pushed, pushed, "seed {seed}");
        assert_eq!(stats.records_delivered + stats.records_failed, pushed, "seed {seed}");
        assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0), "seed {seed}");
        delivered += stats.records_delivered;
    }
    assert!(damaged > 1_000 && delivered > 1_000, "{damaged} damaged, {delivered} delivered");
}

#[test]
fn contract_10_no_caller_makes_it_panic() {
    let mut world = warm(1, 2, config());
    let mut other = warm(1, 1, config());
    for i in 0..8 {
        other.topic(&format!("other-{i}"));
    }
    let foreign = other.topic("other-8");
    let (topic, now) = (world.topic("t"), world.now());
    let plain =
        Record { topic, partition: None, timestamp: 0, key: None, value: None, headers: &[] };
    let many = vec![Header { name: "", value: None }; 70_000];
    let large = vec![0; 2 << 20];
    let odd = [
        Record { topic: foreign, ..plain },
        Record { partition: Some(-1), ..plain },
        Record { partition: Some(i32::MIN), ..plain },
        Record { partition: Some(i32::MAX), ..plain },
        Record { timestamp: i64::MIN, ..plain },
        Record { timestamp: i64::MAX, ..plain },
        Record { timestamp: -1, ..plain },
        Record { headers: &many, ..plain },
        Record { value: Some(&large), ..plain },
        Record { key: Some(&large), ..plain },
        plain,
    ];
    let taken = odd.iter().filter(|record| world.producer.push(now, record).is_ok()).count() as u64;
    for name in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
        assert!(world.producer.topic(now, name).is_err(), "{name:?}");
    }
    for batch in [0, 1, 5, u64::MAX] {
        for index in [0, 1, u32::MAX] {
            world.producer.cancel(now, Receipt { batch: BatchId(batch), index });
        }
        world.producer.expedite(now, BatchId(batch));
    }
    world.producer.close(now, Some(Instant::MAX));
    world.producer.close(now, Some(Instant::ZERO));
    world.producer.flush(Instant::MAX);
    world.producer.abort_queued(now);
    while world.producer.poll_event().is_some() {}
    let stats = world.producer.stats();
    assert_eq!(stats.records_delivered + stats.records_failed, 2 + taken);
    assert!(world.producer.is_closed());
}
