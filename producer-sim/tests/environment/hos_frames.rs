//! HOS: frames that are none, bodies that are not what was asked for, bytes that nobody asked for.

use crate::common::*;
use bytes::Bytes;
use producer_proto::{Persistence, Receipt};
use producer_sim::{ApiKey, Instant, Output, Rule, World};
use std::sync::{Arc, Mutex};

const APIS: [ApiKey; 4] =
    [ApiKey::ApiVersions, ApiKey::Metadata, ApiKey::InitProducerId, ApiKey::Produce];

/// Spoils the first answer of an API to a fresh producer that sends one record. The connection is
/// closed, the next one comes after a backoff, and the record is delivered, once.
fn spoiled(api: ApiKey, what: &str, spoil: impl FnMut(&mut Vec<u8>) + Send + 'static) -> World {
    let mut world = world(1, 1, config());
    let rule = world.cluster.inject(Rule::on(api).edit_bytes(spoil));
    let receipt = world.send("t", b"v");
    assert!(world.settle(), "{api:?} {what}");
    assert_eq!(world.cluster.rule_hits(rule), 1, "{api:?} {what}");
    assert_delivered(&world, receipt);
    assert_eq!(world.producer.stats().protocol_errors, 1, "{api:?} {what}");
    let (closed, text) = connection_failures(&world).remove(0);
    assert!(text.contains("broker-1:9092"), "{text}");
    let next = world.dials().iter().find(|dial| dial.at >= closed).unwrap();
    let is_same_node = world.dials().iter().all(|dial| dial.broker.is_none() || dial.at > closed);
    assert!(!is_same_node || next.at - closed >= ms(40), "{api:?} {what}: no backoff");
    assert_eq!(world.values("t", 0), ["v"]);
    world.assert_clean();
    world.assert_exactly_once();
    world
}

/// The frame's length as its prefix says.
fn set_length(frame: &mut [u8], length: i32) {
    frame[..4].copy_from_slice(&length.to_be_bytes());
}

fn fit_length(frame: &mut [u8]) {
    set_length(frame, i32::try_from(frame.len() - 4).unwrap());
}

#[test]
fn hos_01_negative_frame_length() {
    for api in APIS {
        for length in [-1, i32::MIN] {
            let world = spoiled(api, "negative length", move |frame| set_length(frame, length));
            let (_, text) = &connection_failures(&world)[0];
            assert!(text.contains(&length.to_string()), "{text}");
        }
    }
}

#[test]
fn hos_01_what_was_in_flight_is_ambiguous() {
    let mut config = config();
    config.enable_idempotence = Some(false);
    config.retries = 0;
    let mut world = warm(1, 2, config);
    world.cluster.inject(Rule::on(ApiKey::Produce).edit_bytes(|frame| set_length(frame, -1)));
    let receipts: Vec<Receipt> = (0..2)
        .map(|partition| {
            let receipt = world.send_to("t", partition, b"v");
            world.drain();
            receipt
        })
        .collect();
    assert!(world.settle());
    for receipt in receipts {
        let outcome = outcome(&world, receipt);
        assert_eq!(outcome.persistence(), Some(Persistence::PossiblyPersisted), "{outcome:?}");
        assert!(error_text(&world, receipt).contains("frame length -1 is negative"));
    }
    world.assert_clean();
}

#[test]
fn hos_01_a_frame_above_the_limit() {
    let mut world = world(1, 1, {
        let mut config = config();
        config.receive_message_max_bytes = 10_000;
        config
    });
    world.cluster.inject(Rule::on(ApiKey::Metadata).edit_bytes(|frame| set_length(frame, 10_001)));
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    let (_, text) = &connection_failures(&world)[0];
    assert!(text.contains("10001") && text.contains("10000"), "{text}");
}

#[test]
fn hos_03_frame_shorter_than_a_header() {
    for api in APIS {
        for length in 0..4 {
            spoiled(api, "short frame", move |frame| set_length(frame, length));
        }
    }
}

#[test]
fn hos_04_body_longer_or_shorter_than_the_frame() {
    for api in APIS {
        spoiled(api, "9 bytes too many", |frame| {
            frame.extend_from_slice(&[0; 9]);
            fit_length(frame);
        });
        for missing in [1, 5, 9] {
            spoiled(api, "cut short", move |frame| {
                frame.truncate(frame.len() - missing);
                fit_length(frame);
            });
        }
    }
}

#[test]
fn hos_06_wrong_body_for_the_right_id() {
    for asked in APIS {
        for given in APIS.into_iter().filter(|given| *given != asked) {
            // A whole frame of another API, from another producer's session.
            let body = Arc::new(Mutex::new(Vec::new()));
            let kept = body.clone();
            let mut donor = world(1, 1, config());
            donor.cluster.inject(
                Rule::on(given).edit_bytes(move |frame| kept.lock().unwrap().clone_from(frame)),
            );
            donor.send("t", b"v");
            assert!(donor.settle());
            let body = body.lock().unwrap().clone();

            let mut world = world(1, 1, config());
            world.cluster.inject(Rule::on(asked).edit_bytes(move |frame| {
                let id: [u8; 4] = frame[4..8].try_into().unwrap();
                frame.clone_from(&body);
                frame[4..8].copy_from_slice(&id);
            }));
            let receipt = world.send("t", b"v");
            assert!(world.settle(), "{given:?} in answer to {asked:?}");
            assert_delivered(&world, receipt);
            assert_eq!(outcome(&world, receipt).offset(), Some(0), "by an answer of its own");
            assert_eq!(world.values("t", 0), ["v"]);
            world.assert_clean();
            world.assert_exactly_once();
        }
    }
}

/// An answer that says nothing, to any request.
fn empty_answer(correlation: i32) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 8];
    frame.extend_from_slice(&correlation.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame
}

#[test]
fn hos_24_answer_before_the_request_is_complete() {
    let mut config = config();
    config.batch_size = 1_000_000;
    let mut world = warm(1, 1, config);
    // A valid success answer, as it will look for the next request.
    let answer = Arc::new(Mutex::new(Vec::new()));
    let kept = answer.clone();
    world.cluster.inject(
        Rule::on(ApiKey::Produce).edit_bytes(move |frame| kept.lock().unwrap().clone_from(frame)),
    );
    world.send("t", b"second");
    assert!(world.settle());
    let mut answer = answer.lock().unwrap().clone();
    let id = i32::from_be_bytes(answer[4..8].try_into().unwrap());
    answer[4..8].copy_from_slice(&(id + 1).to_be_bytes());

    world.set_latency(ms(10));
    world.set_write_window(100_000);
    let receipt = world.send("t", &vec![7; 900_000]);
    world.run_for(ms(5));
    let conn = world.cluster.connections(1)[0];
    world.cluster.send_raw(world.now(), conn, answer);
    world.run_for(ms(14));
    assert!(world.outcome(receipt).is_none(), "no ack");
    assert_eq!(world.producer.stats().protocol_errors, 1);
    let (_, text) = &connection_failures(&world)[0];
    assert!(text.contains("not written yet"), "{text}");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(world.cluster.log_end("t", 0), 3);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn hos_25_broker_talks_first() {
    for first in [empty_answer(77), b"220 mail.example ESMTP\r\n".to_vec(), vec![0; 3]] {
        let mut world = world(1, 1, config());
        world.set_latency(std::time::Duration::ZERO);
        let is_whole = first.len() > 4;
        world.cluster.set_raw_peer(1, move |_, bytes| match bytes {
            [] => vec![Output::Bytes(Bytes::from(first.clone()))],
            _ => Vec::new(),
        });
        world.topic("t");
        world.run_for(secs(2));
        let dials: Vec<Instant> = world.dials().iter().map(|dial| dial.at).collect();
        if is_whole {
            assert_spaced(&dials, &[50, 100, 200, 400]);
            assert!(world.open_connections().count() <= 1);
        } else {
            // Three bytes say nothing yet: the setup timeout decides.
            assert_eq!(dials.len(), 1);
        }
    }
}

#[test]
fn hos_27_flood_of_unasked_frames() {
    let mut world = warm(2, 2, config());
    let link = world.links(1)[0];
    let conn = world.cluster.connections(1)[0];
    let flood: Vec<u8> = (0..1_000).flat_map(|i| empty_answer(1_000_000 + i)).collect();
    world.cluster.send_raw(world.now(), conn, flood);
    world.run_for(ms(5));
    assert_eq!(world.producer.stats().protocol_errors, 1, "closed at the first");
    assert!(!world.links(1).contains(&link));
    let receipts = [world.send_to("t", 0, b"v"), world.send_to("t", 1, b"v")];
    assert!(world.settle());
    for receipt in receipts {
        assert_delivered(&world, receipt);
    }
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn hos_29_no_decompressor_is_reachable_from_network_input() {
    // Batches are decompressed only to be split, and those are our own. What reads the network
    // does not know the codecs.
    let wire = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../producer-proto/src/wire");
    let mut files = 0;
    for entry in std::fs::read_dir(wire).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("codec") && !text.contains("decompress"), "{path:?}");
            files += 1;
        }
    }
    assert!(files > 5);
}
