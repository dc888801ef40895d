//! The table of errors, pinned.

use super::ErrorCode;

#[test]
fn names_are_dense_and_unknown_codes_survive() {
    let codes: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.0).collect();
    assert_eq!(codes, (-1..=133).collect::<Vec<i16>>());
    for code in ErrorCode::ALL {
        assert_ne!(code.name(), "UNKNOWN");
        assert!(code.description().ends_with('.'), "{code}");
    }
    assert_eq!(ErrorCode::NONE, ErrorCode::default());

    for code in [i16::MIN, -2, 134, 9_999, i16::MAX] {
        let unknown = ErrorCode(code);
        assert_eq!(unknown.to_string(), format!("UNKNOWN ({code})"));
        assert!(!unknown.is_retriable() && !unknown.needs_metadata_refresh());
        assert!(!unknown.refuses_append(), "what we do not know proves nothing");
    }
}

#[test]
fn ret_01_error_table() {
    let with = |test: fn(ErrorCode) -> bool| -> Vec<i16> {
        (i16::MIN..=i16::MAX).filter(|&code| test(ErrorCode(code))).collect()
    };
    assert_eq!(
        with(ErrorCode::is_retriable),
        [
            2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83,
            84, 88, 89, 100, 103, 106, 122, 123, 133
        ]
    );
    assert_eq!(
        with(ErrorCode::needs_metadata_refresh),
        [3, 5, 6, 9, 13, 56, 72, 74, 80, 83, 84, 100, 103]
    );
    for code in [-1, 8, 10, 17, 18, 21, 29, 31, 32, 35, 42, 43, 44, 45, 46, 47, 59, 76, 87, 90, 120]
    {
        assert!(!ErrorCode(code).is_retriable(), "{code} is final or has a rule of its own");
    }
    assert_eq!(with(ErrorCode::refuses_topic), [17, 29]);
}

#[test]
fn what_proves_that_nothing_was_appended() {
    let undecided = [
        ErrorCode::NONE,
        ErrorCode::UNKNOWN_SERVER_ERROR,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NETWORK_EXCEPTION,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER,
        // Also the answer when leadership or the disk is lost after the append.
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::KAFKA_STORAGE_ERROR,
    ];
    for code in undecided {
        assert!(!code.refuses_append(), "{code}");
    }
    for code in [2, 10, 17, 18, 19, 21, 29, 32, 42, 43, 44, 45, 47, 59, 74, 76, 87, 90, 100] {
        assert!(ErrorCode(code).refuses_append(), "{code}");
    }
}
