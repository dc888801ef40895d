//! Choosing versions, also with brokers that talk nonsense.

use crate::OldBroker;
use crate::wire::api_versions::ApiVersionsResponse;
use crate::wire::header::ApiKey;
use crate::wire::versions::{BrokerVersions, Unsupported};

/// A version 0 ApiVersions response.
fn body(error_code: i16, ranges: &[(i16, i16, i16)]) -> Vec<u8> {
    let mut body = error_code.to_be_bytes().to_vec();
    body.extend_from_slice(&(ranges.len() as i32).to_be_bytes());
    for (key, min, max) in ranges {
        body.extend([key, min, max].into_iter().flat_map(|field| field.to_be_bytes()));
    }
    body
}

fn announced(ranges: &[(i16, i16, i16)]) -> BrokerVersions {
    ApiVersionsResponse::decode(&body(0, ranges), 0).expect("well-formed").versions
}

#[test]
fn the_highest_common_version_is_picked() {
    // Brokers announce Produce from version 0 although they refuse those below 3.
    let versions = announced(&[(0, 0, 11), (3, 0, 13), (18, 0, 4), (22, 0, 6), (999, 0, 1)]);
    assert_eq!(ApiKey::ALL.map(|api| versions.pick(api)), [Ok(11), Ok(13), Ok(4), Ok(5)]);
    let older = announced(&[(0, 0, 3), (3, 0, 1)]);
    assert_eq!(older.pick(ApiKey::Produce), Ok(3));
    assert_eq!(older.pick(ApiKey::Metadata), Ok(1));
}

#[test]
fn a_cap_lowers_the_choice() {
    let versions = announced(&[(0, 3, 13)]);
    assert_eq!(versions.pick_up_to(ApiKey::Produce, 12), Ok(12));
    assert_eq!(versions.pick_up_to(ApiKey::Produce, 99), Ok(13));
    assert!(versions.pick_up_to(ApiKey::Produce, 2).is_err());
    assert!(announced(&[(0, 13, 14)]).pick_up_to(ApiKey::Produce, 12).is_err());
}

#[test]
fn a_floor_refuses_what_is_below() {
    assert_eq!(announced(&[(0, 0, 3)]).pick_from(ApiKey::Produce, 3), Ok(3));
    let error = announced(&[(0, 0, 2)]).pick_from(ApiKey::Produce, 3).expect_err("too old");
    let text = "no common version of Produce: we speak 3 to 13, the broker announces 0 to 2";
    assert_eq!(error.to_string(), text);
}

#[test]
fn brokers_that_cannot_be_asked_have_versions_all_the_same() {
    for (broker, produce) in [(OldBroker::V0_8, 0), (OldBroker::V0_9, 1)] {
        let versions = BrokerVersions::assumed(broker);
        assert_eq!(versions.pick(ApiKey::Produce), Ok(produce));
        assert_eq!(versions.pick(ApiKey::Metadata), Ok(0));
        assert!(versions.pick(ApiKey::InitProducerId).is_err());
    }
}

#[test]
fn an_unsupported_api_is_named_with_both_ranges() {
    let theirs = Some((14, 15));
    let error = announced(&[(0, 14, 15)]).pick(ApiKey::Produce).expect_err("too new");
    assert_eq!(error, Unsupported { api: ApiKey::Produce, ours: (0, 13), theirs });
    let text = "no common version of Produce: we speak 0 to 13, the broker announces 14 to 15";
    assert_eq!(error.to_string(), text);
    let error = announced(&[]).pick(ApiKey::Metadata).expect_err("not announced");
    let text = "no common version of Metadata: we speak 0 to 13, the broker does not announce it";
    assert_eq!(error.to_string(), text);
}

/// HOS-18: what cannot be used counts as unsupported.
#[test]
fn hos_18_nonsense_ranges() {
    for range in [(9, 5), (-5, -1), (0, -1), (i16::MAX, i16::MIN), (14, 20), (i16::MAX, i16::MAX)] {
        let versions = announced(&[(0, range.0, range.1)]);
        let error = versions.pick(ApiKey::Produce).expect_err("unusable");
        assert_eq!(error.theirs, Some(range));
    }
    assert_eq!(announced(&[(0, i16::MIN, i16::MAX)]).pick(ApiKey::Produce), Ok(13));
    assert_eq!(announced(&[(0, -7, 9)]).pick(ApiKey::Produce), Ok(9));
}

/// HOS-18: an API announced twice is used in the versions that both entries allow.
#[test]
fn hos_18_duplicate_keys() {
    for ranges in [[(0, 3, 9), (0, 7, 13)], [(0, 7, 13), (0, 3, 9)]] {
        assert_eq!(announced(&ranges).pick(ApiKey::Produce), Ok(9));
    }
    assert!(announced(&[(0, 3, 5), (0, 7, 13)]).pick(ApiKey::Produce).is_err());
}

#[test]
fn hos_18_ten_thousand_keys() {
    let ranges: Vec<_> = (0..10_000).map(|key| (key, 0, 7)).collect();
    assert_eq!(announced(&ranges).pick(ApiKey::Produce), Ok(7));
}

/// A broker that does not know the version of the request answers in version 0, with or without
/// the range to use instead.
#[test]
fn an_unsupported_version_is_answered_in_version_0() {
    for asked in 0..=4 {
        let response = ApiVersionsResponse::decode(&body(35, &[(18, 0, 2)]), asked).expect("v0");
        assert_eq!(response.error_code, 35);
        assert_eq!(response.versions.pick(ApiKey::ApiVersions), Ok(2));
        let response = ApiVersionsResponse::decode(&body(35, &[]), asked).expect("v0, no keys");
        assert_eq!(response.versions.range(ApiKey::ApiVersions), None);
    }
    // The same error in the version that was asked for.
    let flexible = [0, 35, 1, 0, 0, 0, 0, 0];
    assert_eq!(ApiVersionsResponse::decode(&flexible, 3).expect("v3").error_code, 35);
    assert!(ApiVersionsResponse::decode(&[0, 35, 9], 3).is_err());
}
