//! ApiVersions: what is served, and in which versions.

use crate::connection::{API_VERSIONS, INIT_PRODUCER_ID, METADATA, PRODUCE, Request};
use crate::output::Output;

const UNSUPPORTED_VERSION: i16 = 35;

/// Newest version of ApiVersions itself.
const NEWEST: i16 = 4;

/// API, first and last version. Fetch, ListOffsets and FindCoordinator are not served: librdkafka
/// concludes from their versions which message format and which codecs a broker has.
const SERVED: [[i16; 3]; 7] = [
    [PRODUCE, 3, 13],
    [1, 4, 12],
    [2, 1, 7],
    [METADATA, 0, 12],
    [10, 0, 4],
    [API_VERSIONS, 0, NEWEST],
    [INIT_PRODUCER_ID, 0, 5],
];

/// Answers, always. A version that is not known here is answered in version 0.
pub(crate) fn answer(request: &Request<'_>, output: &mut Output) -> bool {
    let is_known = (0..=NEWEST).contains(&request.version);
    let is_flexible = request.is_flexible && is_known;
    output.i16(if is_known { 0 } else { UNSUPPORTED_VERSION });
    output.length(SERVED.len(), is_flexible);
    for api in SERVED {
        for number in api {
            output.i16(number);
        }
        output.no_tags(is_flexible);
    }
    if is_known && request.version >= 1 {
        output.i32(0); // throttle time
    }
    output.no_tags(is_flexible);
    true
}
