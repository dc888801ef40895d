//! Every response in every version from arbitrary bytes: an error at worst, and of what is read
//! not a byte may be missing or left over.

use producer_proto::internals::{APIS, describe_frame};

/// UNSUPPORTED_VERSION: what ApiVersions may answer in version 0, whatever was asked.
const FALLBACK: &str = "error 35";

/// Which API, which version, and the frame.
pub fn run(input: &[u8]) {
    let &[which, version, ref frame @ ..] = input else { return };
    let (api, min, max) = APIS[usize::from(which) % APIS.len()];
    let version = min + i16::from(version) % (max - min + 1);
    let Ok(lines) = describe_frame(api, version, frame) else { return };
    assert_eq!(describe_frame(api, version, frame).as_ref(), Ok(&lines), "twice the same");
    if lines.iter().any(|line| line.contains(FALLBACK)) {
        return;
    }
    let longer = [frame, &[0]].concat();
    for other in [&frame[..frame.len() - 1], &longer] {
        let read = describe_frame(api, version, other);
        assert!(read.is_err(), "{lines:?} also from {} bytes: {read:?}", other.len());
    }
}
