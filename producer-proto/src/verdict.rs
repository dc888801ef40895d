//! What a broker's answer to a batch means: a pure table (behaviour per Kafka's protocol guide and
//! the Java client's sender).

use crate::ErrorCode;

/// What is to be done with a batch after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the log.
    Delivered,
    /// It is in the log, but the broker has forgotten where.
    DeliveredSomewhere,
    /// Try again after a backoff.
    Retry,
    /// The broker's sequence for this producer is not the batch's.
    OutOfOrder,
    /// The broker has no memory of this producer.
    UnknownProducer,
    /// Too large for the broker: split it.
    Split,
    /// Failed for good.
    Fail,
    /// Failed for good, and the epoch is used up (only with idempotence).
    FailAndBump,
    /// Failed for good, and so has the whole producer (only with idempotence).
    Fatal,
}

/// The table. Without idempotence there are no sequences to be out of order, and no error of one
/// batch makes the whole producer useless.
pub(crate) fn verdict(code: ErrorCode, idempotent: bool) -> Verdict {
    match code {
        ErrorCode::NONE => Verdict::Delivered,
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::DeliveredSomewhere,
        ErrorCode::MESSAGE_TOO_LARGE => Verdict::Split,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if idempotent => Verdict::OutOfOrder,
        ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => Verdict::UnknownProducer,
        ErrorCode::INVALID_PRODUCER_EPOCH if idempotent => Verdict::FailAndBump,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::PRODUCER_FENCED
        | ErrorCode::UNSUPPORTED_VERSION
            if idempotent =>
        {
            Verdict::Fatal
        }
        code if code.is_retriable() => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(codes: &[i16], idempotent: bool, expected: Verdict) {
        for &code in codes {
            assert_eq!(verdict(ErrorCode(code), idempotent), expected, "code {code}");
        }
    }

    #[test]
    fn ret_01_every_code_has_its_verdict() {
        for idempotent in [true, false] {
            all(&[0], idempotent, Verdict::Delivered);
            all(&[46], idempotent, Verdict::DeliveredSomewhere);
            all(&[10], idempotent, Verdict::Split);
            all(
                &[2, 3, 5, 6, 7, 9, 13, 19, 20, 56, 74, 75, 89, 100, 103],
                idempotent,
                Verdict::Retry,
            );
            all(
                &[-1, 8, 17, 18, 21, 29, 32, 42, 43, 44, 48, 76, 87, 120],
                idempotent,
                Verdict::Fail,
            );
            all(&[9_999, -2, i16::MIN], idempotent, Verdict::Fail);
        }
        all(&[45], true, Verdict::OutOfOrder);
        all(&[59], true, Verdict::UnknownProducer);
        all(&[47], true, Verdict::FailAndBump);
        all(&[31, 35, 49, 53, 90], true, Verdict::Fatal);
        all(&[31, 35, 45, 47, 49, 53, 59, 90], false, Verdict::Fail);
    }
}
