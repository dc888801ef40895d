//! SPL: batches that a broker finds too large.

use crate::rig::*;
use producer_proto::Persistence::NotPersisted;
use producer_proto::{Codec, ErrorCode, Header, ProduceErrorKind};
use producer_sim::{ApiKey, NewRecord, ResponseError, Rule};
use std::time::Duration;

const TOO_LARGE: ProduceErrorKind = ProduceErrorKind::Kafka(ErrorCode::MESSAGE_TOO_LARGE);

#[test]
fn spl_01_split_and_deliver() {
    let mut world = world(1, 1, config());
    world.topic("t");
    world.run_for(ms(100));
    refuse(&mut world, ResponseError::MessageTooLarge);
    let receipts = batch(&mut world, 0, &["a", "b"]);
    assert!(settle(&mut world));
    let offsets: Vec<_> = receipts.iter().map(|r| world.outcome(*r).unwrap().offset()).collect();
    assert_eq!(offsets, [Some(0), Some(1)]);
    batch(&mut world, 0, &["c"]);
    assert!(settle(&mut world));
    assert_eq!(stamps(&world, 0), [(0, 0, 2), (0, 0, 1), (0, 1, 1), (0, 2, 1)]);
    let sent = produces(&world);
    assert!(sent[2].at > sent[1].at, "one after the other");
    assert_eq!(world.producer.stats().batches_split, 1);
    assert_empty(&world);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn spl_03_one_record_too_large() {
    let mut world = warm(1, 1, config());
    refuse(&mut world, ResponseError::MessageTooLarge);
    let large = batch(&mut world, 0, &["large"])[0];
    let next = batch(&mut world, 0, &["next"])[0];
    assert!(settle(&mut world));
    assert_eq!(failure(&world, large), (TOO_LARGE, NotPersisted));
    assert!(is_delivered(&world, next));
    assert_eq!(produces(&world).len(), 1 + 2 + 1, "the next had been refused behind the gap");
    assert_empty(&world);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn spl_04_split_again() {
    let small = "s".repeat(100);
    let large = "l".repeat(400);
    let value = |i| if i % 5 == 3 { large.as_str() } else { small.as_str() };
    let values: Vec<&str> = (0..16).map(value).collect();
    for codec in [Codec::None, Codec::Lz4] {
        let mut config = config();
        config.compression_type = codec;
        let mut world = warm(1, 1, config);
        // Room for one small record, not for two.
        let limit = if codec == Codec::None { 190 } else { 115 };
        world.cluster.configure_topic("t", |topic| topic.max_message_bytes = limit);
        let before = produces(&world).len();
        let receipts = batch(&mut world, 0, &values);
        assert!(settle(&mut world));
        for (receipt, value) in receipts.iter().zip(&values) {
            let fits = codec != Codec::None || value.len() == 100;
            assert_eq!(is_delivered(&world, *receipt), fits, "{codec:?}, {} bytes", value.len());
            if !fits {
                assert_eq!(failure(&world, *receipt), (TOO_LARGE, NotPersisted));
            }
        }
        let requests = produces(&world).len() - before;
        assert!(requests <= 2 * values.len(), "{codec:?}: {requests} requests");
        assert_empty(&world);
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn spl_05_split_keeps_content() {
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for (codec, bits) in codecs.into_iter().zip(0_u8..) {
        let mut config = config();
        config.compression_type = codec;
        config.linger = ms(10);
        let mut world = world(1, 1, config);
        world.topic("t");
        world.run_for(ms(100));
        refuse(&mut world, ResponseError::MessageTooLarge);
        let headers =
            [Header { name: "name", value: Some(b"value") }, Header { name: "name", value: None }];
        let record = |timestamp, key, value, headers| NewRecord {
            topic: "t",
            partition: Some(0),
            timestamp: Some(timestamp),
            key,
            value,
            headers,
        };
        let time = 1_700_000_000_000;
        let records = [
            record(time + 5, None, Some(&b"first"[..]), &headers[..]),
            record(time, Some(&b"key"[..]), None, &[]),
            record(time + 9, Some(&b""[..]), Some(&b""[..]), &headers[1..]),
        ];
        for record in &records {
            world.try_push(record).unwrap();
        }
        assert!(settle(&mut world));
        assert_eq!(world.producer.stats().batches_split, 1);
        let log = world.cluster.log("t", 0);
        assert_eq!(log.len(), 3);
        for (found, sent) in log.iter().zip(&records) {
            assert_eq!(Some(found.timestamp), sent.timestamp);
            assert_eq!((found.key.as_deref(), found.value.as_deref()), (sent.key, sent.value));
            let found = found.headers.iter().map(|(name, value)| (&name[..], value.as_deref()));
            let sent = sent.headers.iter().map(|header| (header.name, header.value));
            assert!(found.eq(sent), "{codec:?}");
        }
        let used = batches(&world, 0).into_iter().map(|b| b.header.as_ref().unwrap().codec_bits());
        assert!(used.into_iter().all(|found| found == bits || found == 0), "{codec:?}");
        world.assert_clean();
        world.assert_exactly_once();
    }
}

#[test]
fn spl_06_split_keeps_age() {
    let mut world = warm(1, 1, config());
    world.cluster.set_up(1, false);
    world.run_for(ms(10));
    let start = world.now();
    let receipts = batch(&mut world, 0, &["a", "b"]);
    world.run_for(Duration::from_secs(117));
    refuse(&mut world, ResponseError::MessageTooLarge);
    let short = Rule::on(ApiKey::Produce).partition("t", 0).always();
    world.cluster.inject(short.error(ResponseError::NotEnoughReplicas));
    world.cluster.set_up(1, true);
    assert!(settle(&mut world));
    assert_eq!(world.producer.stats().batches_split, 1);
    for receipt in receipts {
        assert!(matches!(failure(&world, receipt).0, ProduceErrorKind::DeliveryTimeout(_)));
        assert_eq!(failure(&world, receipt).1, NotPersisted);
        assert_eq!(world.outcome(receipt).unwrap().at() - start, Duration::from_secs(120));
    }
    assert_empty(&world);
}

#[test]
fn spl_01_a_split_while_others_are_in_flight_keeps_order() {
    for job in [producer_sim::Jobs::Inline, producer_sim::Jobs::After(ms(20))] {
        let mut config = config();
        config.compression_type = Codec::Zstd;
        let mut world = warm(1, 1, config);
        world.set_jobs(job);
        refuse(&mut world, ResponseError::MessageTooLarge);
        for values in [&["1", "2", "3", "4"][..], &["5"], &["6", "7"]] {
            batch(&mut world, 0, values);
        }
        assert!(settle(&mut world));
        assert_eq!(world.values("t", 0), ["warm", "1", "2", "3", "4", "5", "6", "7"]);
        assert_empty(&world);
        world.assert_clean();
        world.assert_exactly_once();
    }
}
