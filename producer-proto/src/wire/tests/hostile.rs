//! Bytes that no honest broker sends: an error or a harmless result, never a panic, never memory
//! or time beyond what the bytes justify.

use std::time::Duration;

use proptest::prelude::*;

use super::model::decode;
use super::responses::{Response, golden_responses};
use crate::wire::header::{ApiKey, split_response};
use crate::wire::metadata::{MetadataPartition, MetadataResponse};
use crate::wire::primitives::{DecodeError, DecodeReason, Reader};
use crate::wire::produce_response::{ProduceResponse, TopicRef};
use crate::wire::varint::put_uvarint;

const COMPACT_MAX: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

fn reason<T: std::fmt::Debug>(result: Result<T, DecodeError>) -> DecodeReason {
    result.expect_err("must be refused").reason
}

#[test]
fn hos_07_lengths_that_lie() {
    let ten_left = |length: &[u8]| [length, &[0; 10]].concat();
    for length in [i32::MAX, 11, -2, i32::MIN] {
        let bytes = ten_left(&length.to_be_bytes());
        let expected = DecodeReason::Length { length: length.into(), left: 10 };
        assert_eq!(reason(Reader::new(&bytes, false).array("array", 1)), expected);
        assert_eq!(reason(Reader::new(&bytes, false).skip_i32s("array")), expected);
    }
    let bytes = ten_left(&COMPACT_MAX);
    let expected = DecodeReason::Length { length: i64::from(u32::MAX) - 1, left: 10 };
    assert_eq!(reason(Reader::new(&bytes, true).array("array", 1)), expected);
    assert_eq!(reason(Reader::new(&bytes, true).span("string")), expected);
    let three_left = [0x7f, 0xff, b'a', b'b', b'c'];
    let expected = DecodeReason::Length { length: 32767, left: 3 };
    assert_eq!(reason(Reader::new(&three_left, false).span("string")), expected);
    assert_eq!(
        Reader::new(&three_left, false).span("host").expect_err("cut").to_string(),
        "host at byte 0: length 32767 does not fit the 3 bytes left"
    );
}

/// HOS-07: a count is measured with the smallest element, and room is made for no more elements
/// than take the memory of the bytes that are there.
#[test]
fn hos_07_counts_are_bounded_by_the_bytes_left() {
    let mut bytes = 5_i32.to_be_bytes().to_vec();
    bytes.resize(4 + 90, 0);
    assert_eq!(Reader::new(&bytes, false).array("array", 18), Ok(5));
    bytes.pop();
    let expected = DecodeReason::Length { length: 5, left: 89 };
    assert_eq!(reason(Reader::new(&bytes, false).array("array", 18)), expected);

    let reader = Reader::new(&bytes, false);
    assert_eq!(reader.capacity_for::<[u8; 1000]>(usize::MAX), 0);
    assert_eq!(reader.capacity_for::<u64>(usize::MAX), 93 / 8);
    assert_eq!(reader.capacity_for::<u64>(3), 3);
}

#[test]
fn hos_09_null_where_it_must_not_be() {
    let null = |api, version, body: &[u8]| {
        assert_eq!(reason(decode(api, version, body)), DecodeReason::Null, "{api} v{version}");
    };
    // Topics, a topic's name, its partitions, a partition's record errors.
    null(ApiKey::Produce, 3, &[0xff; 4]);
    null(ApiKey::Produce, 9, &[0]);
    null(ApiKey::Produce, 9, &[2, 0, 1, 0]);
    null(ApiKey::Produce, 9, &[2, 2, b't', 0, 0, 0, 0, 0]);
    null(ApiKey::Produce, 9, &[&[2, 2, b't', 2][..], &[0; 36]].concat());
    // Brokers, a broker's host, topics, a topic's name, its partitions.
    null(ApiKey::Metadata, 1, &[0xff; 4]);
    null(ApiKey::Metadata, 9, &[0, 0, 0, 0, 0]);
    null(ApiKey::Metadata, 9, &[&[0, 0, 0, 0, 2][..], &[0; 11]].concat());
    let no_brokers = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    null(ApiKey::Metadata, 9, &[&no_brokers[..], &[0]].concat());
    null(ApiKey::Metadata, 11, &[&no_brokers[..], &[2], &[0; 30]].concat());
    null(ApiKey::Metadata, 9, &[&no_brokers[..], &[2, 0, 0, 2, b't', 0, 0], &[0; 5]].concat());
    null(ApiKey::ApiVersions, 0, &[0, 0, 0xff, 0xff, 0xff, 0xff]);
    null(ApiKey::ApiVersions, 3, &[0, 0, 0]);
}

fn tags(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes, true);
    reader.skip_tags()?;
    reader.finish()
}

#[test]
fn hos_11_tagged_field_abuse() {
    let count = [&COMPACT_MAX[..], &[0; 10]].concat();
    let length = i64::from(u32::MAX);
    assert_eq!(reason(tags(&count)), DecodeReason::Length { length, left: 10 });
    let size = [&[1, 7][..], &COMPACT_MAX, &[0; 3]].concat();
    assert_eq!(reason(tags(&size)), DecodeReason::Length { length, left: 3 });
    assert_eq!(reason(tags(&[2, 7, 0, 3, 0])), DecodeReason::TagOrder { tag: 3 });
    assert_eq!(reason(tags(&[2, 7, 0, 7, 0])), DecodeReason::TagOrder { tag: 7 });
    assert_eq!(tags(&[2, 7, 1, 0xaa, 100, 0]), Ok(()));
    // A known field that is longer or shorter than its content.
    let partition =
        |tag: &[u8]| [&[2, 2, b't', 2][..], &[0; 30], &[1, 0, 1, 0], tag, &[0; 6]].concat();
    let leader = [&[9][..], &[0; 9]].concat();
    assert!(decode(ApiKey::Produce, 10, &partition(&leader)).is_ok());
    let long = [&[10][..], &[0; 10]].concat();
    let left = DecodeReason::Trailing { left: 1 };
    assert_eq!(reason(decode(ApiKey::Produce, 10, &partition(&long))), left);
    let short = [&[7][..], &[0; 7]].concat();
    let cut = DecodeReason::Truncated { left: 3 };
    assert_eq!(reason(decode(ApiKey::Produce, 10, &partition(&short))), cut);
}

/// HOS-11: a megabyte of empty tagged fields, in the header and in a body.
#[test]
fn hos_11_many_tagged_fields_take_linear_time() {
    let mut fields = Vec::new();
    put_uvarint(&mut fields, 300_000);
    for tag in 10..300_010 {
        put_uvarint(&mut fields, tag);
        fields.push(0);
    }
    assert_eq!(tags(&fields), Ok(()));
    let frame = [&[0, 0, 0, 7][..], &fields, b"body"].concat();
    assert_eq!(split_response(ApiKey::Produce, 9, &frame), Ok((7, &b"body"[..])));
}

/// Replaces the first occurrence of `from` in the body of a golden Metadata or Produce response.
fn with_replaced(api: ApiKey, version: i16, from: &str, to: u8) -> Vec<u8> {
    let golden = golden_responses();
    let contains = |body: &[u8]| body.windows(from.len()).position(|at| at == from.as_bytes());
    let (mut body, at) = golden
        .into_iter()
        .filter(|response| (response.api, response.version) == (api, version))
        .find_map(|response| contains(&response.body).map(|at| (response.body, at)))
        .expect("a golden response with that text");
    body[at] = to;
    body
}

/// HOS-12: a broker or topic whose name is not UTF-8 is left out, the others stay.
#[test]
fn hos_12_metadata_that_is_not_utf8() {
    for version in [1, 8, 9, 13] {
        let decode = |from, to| {
            let body = with_replaced(ApiKey::Metadata, version, from, to);
            MetadataResponse::decode(&body, version).expect("otherwise good")
        };
        let intact = decode("broker-2", b'B');
        assert_eq!((intact.brokers.len(), intact.refused), (3, 0));
        let host = decode("broker-2", 0xff);
        assert_eq!((host.brokers.len(), host.topics.len(), host.refused), (2, 3, 1));
        assert_eq!(host.topics, intact.topics);
        let topic = decode("payments", 0xff);
        assert_eq!((topic.brokers.len(), topic.topics.len(), topic.refused), (3, 2, 1));
    }
    let body = with_replaced(ApiKey::Metadata, 12, "q1Sh-9", 0xff);
    let response = MetadataResponse::decode(&body, 12).expect("only for display");
    assert!(response.cluster_id.expect("an id").starts_with('\u{fffd}'));
}

/// HOS-12: text for people is shown as well as it can be.
#[test]
fn hos_12_produce_responses_that_are_not_utf8() {
    let mut response = ProduceResponse::default();
    let body = with_replaced(ApiKey::Produce, 9, "Something", 0xff);
    response.decode_into(&body, 9).expect("otherwise good");
    let message = response.record_errors[0].message.expect("a message");
    assert_eq!(message.text_lossy(&body), "\u{fffd}omething about element 0");
    assert_eq!(message.text(&body), None);

    let body = with_replaced(ApiKey::Produce, 9, "orders", 0xff);
    response.decode_into(&body, 9).expect("otherwise good");
    let TopicRef::Name(name) = response.partitions[0].topic else { panic!("by name") };
    assert_eq!(name.bytes(&body), b"\xffrders");

    let body = with_replaced(ApiKey::Produce, 10, "broker-", 0xff);
    response.decode_into(&body, 10).expect("otherwise good");
    let intact = with_replaced(ApiKey::Produce, 10, "broker-", b'B');
    let mut other = ProduceResponse::default();
    other.decode_into(&intact, 10).expect("good");
    assert_eq!(response.node_endpoints.len() + 1, other.node_endpoints.len());
}

/// HOS-17: no table is sized by a partition's number, and parsing is linear.
#[test]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures real time")]
fn hos_17_a_million_partitions() {
    const PARTITIONS: i32 = 1_000_000;
    let mut body = vec![0; 4]; // throttle time
    body.extend_from_slice(&[0; 4]); // brokers
    body.extend_from_slice(&[0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 1]); // cluster, controller, topics
    body.extend_from_slice(&[0, 0, 0, 1, b't', 0]);
    body.extend_from_slice(&PARTITIONS.to_be_bytes());
    for i in 0..PARTITIONS {
        let index = [i, i32::MAX, -1, i32::MIN][i as usize % 4];
        body.extend_from_slice(&[0, 0]);
        body.extend([index, 1, 5, 3, 1, 2, 3, 3, 1, 2, 3, 0].iter().flat_map(|n| n.to_be_bytes()));
    }
    assert!(body.len() >= 50_000_000);
    let start = std::time::Instant::now();
    let response = MetadataResponse::decode(&body, 7).expect("well-formed");
    let elapsed = start.elapsed();
    let [topic] = &response.topics[..] else { panic!("one topic") };
    assert_eq!(topic.partitions.len(), PARTITIONS as usize);
    let last = MetadataPartition { error_code: 0, index: i32::MIN, leader: 1, leader_epoch: -1 };
    assert_eq!(topic.partitions.last(), Some(&last));
    let limit = if cfg!(debug_assertions) { 10 } else { 1 };
    assert!(elapsed < Duration::from_secs(limit), "{elapsed:?}");
}

/// Every byte of every golden response (of the long ones a sample) is changed in turn: the result
/// may be an error or another message.
#[test]
fn hos_04_corrupted_bytes_never_panic() {
    let mut refused = 0;
    let mut decoded = 0;
    for Response { api, version, mut body, .. } in golden_responses() {
        let step = body.len().div_ceil(100).max(1);
        for at in (0..body.len()).step_by(step) {
            for flip in [0x01, 0x80, 0xff] {
                body[at] ^= flip;
                match decode_only(api, version, &body) {
                    Ok(()) => decoded += 1,
                    Err(_) => refused += 1,
                }
                body[at] ^= flip;
            }
        }
    }
    assert!(refused > 1000 && decoded > 1000, "{refused} refused, {decoded} decoded");
}

/// Decodes and looks at every part that refers to the body.
fn decode_only(api: ApiKey, version: i16, body: &[u8]) -> Result<(), DecodeError> {
    match api {
        ApiKey::Produce => {
            let mut response = ProduceResponse::default();
            let result = response.decode_into(body, version);
            if result.is_err() {
                assert!(response.partitions.is_empty() && response.record_errors.is_empty());
            }
            for partition in &response.partitions {
                for error in response.record_errors_of(partition) {
                    error.message.map(|message| message.text_lossy(body));
                }
                partition.error_message.map(|message| message.text_lossy(body));
            }
            result
        }
        ApiKey::Metadata => MetadataResponse::decode(body, version).map(drop),
        _ => decode(api, version, body).map(drop),
    }
}

proptest! {
    /// Random bytes into every decoder; small values are likely, so that lengths often fit.
    #[test]
    fn random_bytes_never_panic(
        body in prop::collection::vec(prop_oneof![3 => 0..8_u8, 1 => any::<u8>()], 0..300),
    ) {
        for api in ApiKey::ALL {
            let (min, max) = api.supported();
            for version in min..=max {
                let _ = decode_only(api, version, &body);
                let _ = split_response(api, version, &body);
            }
        }
    }

    /// A piece of one golden response put into another of the same API.
    #[test]
    fn spliced_responses_never_panic(
        from in any::<prop::sample::Index>(),
        into in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0..64_usize,
    ) {
        thread_local!(static GOLDEN: Vec<Response> = golden_responses());
        GOLDEN.with(|golden| {
            let from = &golden[from.index(golden.len())];
            let into = &golden[into.index(golden.len())];
            let at = at.index(into.body.len());
            let mut body = into.body.clone();
            body.splice(at..at, from.body.iter().copied().take(length));
            let _ = decode_only(into.api, into.version, &body);
        });
    }
}
