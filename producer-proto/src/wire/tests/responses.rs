//! Responses that Kafka's library wrote or that real brokers sent.

use serde_json::Value;

use super::golden::{hex, int, lines};
use super::model::{decode, expected};
use crate::wire::frame::FrameSplitter;
use crate::wire::header::{ApiKey, correlation_id, split_response};
use crate::wire::primitives::{DecodeReason, Reader};
use crate::wire::produce_response::ProduceResponse;

/// A golden response.
pub(super) struct Response {
    pub(super) api: ApiKey,
    pub(super) version: i16,
    pub(super) body: Vec<u8>,
    line: Value,
}

/// All responses of `messages.jsonl`.
pub(super) fn golden_responses() -> Vec<Response> {
    let lines = lines!("messages.jsonl").into_iter().filter(|line| line["kind"] == "response");
    lines
        .map(|line| Response {
            api: ApiKey::from_key(int(&line["key"])).expect("an API of ours"),
            version: int(&line["version"]),
            body: hex(&line["body"]),
            line,
        })
        .collect()
}

#[test]
fn golden_responses_decode_to_what_the_library_wrote() {
    let mut seen = std::collections::BTreeSet::new();
    for Response { api, version, body, line } in golden_responses() {
        let Some(json) = line.get("json") else { continue };
        let ours = decode(api, version, &body).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(ours, expected(api, version, json), "{line}");
        seen.insert((api, version));
    }
    for api in ApiKey::ALL {
        let (min, max) = api.supported();
        for version in min..=max {
            assert!(seen.contains(&(api, version)), "no golden response of {api} v{version}");
        }
    }
}

/// COD-10: unknown tagged fields in every struct and in the header change nothing.
#[test]
fn cod_10_unknown_tagged_fields_are_skipped() {
    let responses = golden_responses();
    let mut compared = 0;
    for tagged in &responses {
        let Some(same_as) = tagged.line.get("same_as") else { continue };
        let plain = responses
            .iter()
            .find(|plain| {
                (plain.api, plain.version) == (tagged.api, tagged.version)
                    && plain.line["variant"] == *same_as
            })
            .expect("the line it is the same as");
        let (api, version) = (tagged.api, tagged.version);
        let decoded = decode(api, version, &tagged.body);
        assert_eq!(decoded, decode(api, version, &plain.body), "{}", tagged.line);
        assert!(decoded.is_ok(), "{}", tagged.line);
        let mut frame = hex(&tagged.line["header"]);
        frame.extend_from_slice(&tagged.body);
        assert_eq!(split_response(api, version, &frame), Ok((7, &tagged.body[..])));
        compared += 1;
    }
    assert!(compared >= 10);
}

/// COD-09: the header of an ApiVersions response is version 0 in every version.
#[test]
fn cod_09_response_headers() {
    for line in lines!("headers.jsonl") {
        let api = ApiKey::from_key(int(&line["key"])).expect("an API of ours");
        let version = int(&line["version"]);
        let mut frame = hex(&line["response_header"]);
        frame.extend_from_slice(b"body");
        let id = int(&line["correlation_id"]);
        assert_eq!(split_response(api, version, &frame), Ok((id, &b"body"[..])), "{line}");
        assert_eq!(correlation_id(&frame), Ok(id));
        if api == ApiKey::ApiVersions {
            assert_eq!(line["response_header_version"], 0, "{line}");
        }
    }
}

#[test]
fn recorded_answers_of_real_brokers() {
    for line in lines!("exchanges.jsonl") {
        let api = ApiKey::from_key(int(&line["key"])).expect("an API of ours");
        let asked = int(&line["version"]);
        let bytes = hex(&line["response"]);
        let mut splitter = FrameSplitter::new(1 << 20);
        let mut input = &bytes[..];
        let frame = splitter.next_frame(&mut input).expect("a good frame").expect("a whole frame");
        assert!(input.is_empty());
        // Two lines ask ApiVersions for a version that does not exist: whatever we could have
        // asked, the answer is read the same way.
        let version = if asked < 0 { 4 } else { asked };
        let answered = line.get("response_version").map_or(version, int);
        let (_, body) = split_response(api, version, frame).expect("a header");
        let ours = decode(api, version, body).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(ours, expected(api, answered, &line["response_json"]), "{line}");
    }
}

/// One value decodes answer after answer: nothing of the one before shows, and no memory is
/// allocated when the answer is not longer.
#[test]
fn produce_responses_reuse_their_memory() {
    let mut reused = ProduceResponse::default();
    for Response { api, version, body, line } in golden_responses() {
        if api != ApiKey::Produce {
            continue;
        }
        let mut fresh = ProduceResponse::default();
        fresh.decode_into(&body, version).expect("golden");
        reused.decode_into(&body, version).expect("golden");
        assert_eq!(reused, fresh, "{line}");
        let memory = (reused.partitions.as_ptr(), reused.record_errors.as_ptr());
        reused.decode_into(&body, version).expect("golden");
        assert_eq!((reused.partitions.as_ptr(), reused.record_errors.as_ptr()), memory);
        reused.decode_into(&body[..body.len() - 1], version).expect_err("cut");
        assert_eq!(reused, ProduceResponse::default(), "nothing is left");
    }
}

/// HOS-04, one half: a body that goes on after its end is refused, and so is every body that
/// stops before it.
#[test]
fn hos_04_every_truncation_and_every_extension_is_an_error() {
    for Response { api, version, mut body, line } in golden_responses() {
        for cut in 0..body.len() {
            let result = decode(api, version, &body[..cut]);
            assert!(result.is_err(), "cut at {cut}: {line}");
        }
        body.extend_from_slice(&[0; 9]);
        let error = decode(api, version, &body).expect_err("9 bytes too many");
        assert_eq!(error.reason, DecodeReason::Trailing { left: 9 }, "{line}");
    }
    assert!(Reader::new(&[], true).finish().is_ok());
}
