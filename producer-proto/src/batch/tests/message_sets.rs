//! Message sets, against those that Kafka's own Java library wrote.

use serde_json::Value;

use super::golden::{parse_record, unhex};
use super::*;
use crate::batch::codec::decompress;

const GOLDEN: &str = include_str!("../../../tests/golden/message_sets.jsonl");

struct Golden {
    name: String,
    how: Sealing,
    raw: RawBatch,
    /// What a compressed set holds.
    inner: Vec<u8>,
    bytes: Vec<u8>,
}

fn golden() -> impl Iterator<Item = Golden> {
    GOLDEN.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let records: Vec<_> =
            line["records"].as_array().unwrap().iter().map(parse_record).collect();
        let compression = match line["codec"].as_str().unwrap() {
            "none" => NONE,
            "gzip" => compressions()[0],
            "snappy" => compressions()[1],
            "lz4" => compressions()[2],
            other => panic!("{other}"),
        };
        let format = if line["magic"] == 0 { Format::V0 } else { Format::V1 };
        Golden {
            name: line["name"].as_str().unwrap().to_owned(),
            how: Sealing { compression, format, limit: usize::MAX },
            raw: build(&records),
            inner: unhex(line["inner"].as_str().unwrap_or_default()),
            bytes: unhex(line["hex"].as_str().unwrap()),
        }
    })
}

fn sealed(raw: &RawBatch, how: &Sealing) -> SealedBatch {
    match seal_as(raw, how) {
        Some(Sealed::Whole(sealed)) => sealed,
        other => panic!("{other:?}"),
    }
}

fn set(sealed: &SealedBatch) -> &[u8] {
    &sealed.message_set.as_ref().expect("an old format").bytes
}

/// What stands before a wrapper's value, and the value.
fn wrapper(set: &[u8], format: Format) -> (&[u8], &[u8]) {
    set.split_at(format.entry_len(None, None))
}

#[test]
fn plain_sets_are_byte_for_byte_java_s() {
    let mut compared = 0;
    for golden in golden().filter(|golden| golden.how.compression == NONE) {
        let sealed = sealed(&golden.raw, &golden.how);
        assert_eq!(set(&sealed), golden.bytes, "{}", golden.name);
        assert_eq!(sealed.encoded_len(), golden.bytes.len());
        assert_eq!(sealed.format(), golden.how.format);
        compared += 1;
    }
    assert_eq!(compared, 6, "one, three and twenty messages of both formats");
}

/// Compressors differ; the wrapper and what it holds do not.
#[test]
fn compressed_sets_hold_what_java_s_hold() {
    let mut compared = 0;
    for golden in golden().filter(|golden| golden.how.compression != NONE) {
        let Golden { name, how, raw, inner, bytes } = golden;
        let plain = sealed(&raw, &Sealing { compression: NONE, ..how });
        assert_eq!(set(&plain), inner, "{name}");
        let whole = sealed(&raw, &how);
        let ours = set(&whole);
        if ours.len() == inner.len() {
            assert!(bytes.len() >= inner.len(), "{name} does not compress");
            continue;
        }
        let (head, value) = wrapper(ours, how.format);
        let (java, _) = wrapper(&bytes, how.format);
        // Size and CRC, and the value's length at the end, follow from the compressed bytes.
        assert_eq!(head[..8], java[..8], "{name}: offset of the last message");
        assert_eq!(head[16..head.len() - 4], java[16..java.len() - 4], "{name}");
        assert_eq!(head[12..16], crc_fast::crc32_iso_hdlc(&ours[16..]).to_be_bytes());
        let size = u32::from_be_bytes(head[8..12].try_into().unwrap());
        assert_eq!(size as usize, ours.len() - 12, "{name}");
        assert_eq!(head[head.len() - 4..], (value.len() as u32).to_be_bytes(), "{name}");
        let mut value = value.to_vec();
        if how.compression.codec == Codec::Lz4 {
            assert_eq!(value[..7], wrapper(&bytes, how.format).1[..7], "{name}: LZ4 frame header");
            value[6] = 0x82; // as the specification says and our reader wants
        }
        let back = decompress(how.compression.codec, &Bytes::from(value), inner.len());
        assert_eq!(back.expect("our own frame"), inner, "{name}");
        compared += 1;
    }
    assert!(compared >= 6, "only {compared} golden sets");
}

#[test]
fn records_with_headers_are_named_and_left_out() {
    let mut records: Vec<_> = (0..5).map(|i| record(i, None, Some(&[i as u8]))).collect();
    for with_headers in [0, 3] {
        records[with_headers].headers = vec![("name".into(), None)];
    }
    let raw = build(&records);
    let how = Sealing { format: Format::V1, ..v2(compressions()[0]) };
    let Some(Sealed::Headers(found)) = seal_as(&raw, &how) else { panic!("headers") };
    assert_eq!(found.refused, [0, 3]);
    assert_eq!(read_back(&found.whole).records, records);
    let kept = [1, 2, 4].map(|i: usize| records[i].clone());
    assert_eq!(read_back(&found.rest).records, kept);
    let rest = found.rest.to_raw().expect("our own");
    assert_eq!(sealed(&rest, &how).count, 3);
}

#[test]
fn a_set_that_grows_beyond_the_limit_is_split() {
    // Seven bytes as a record, 34 as a message.
    let records: Vec<_> = (0..100).map(|i| record(i, None, None)).collect();
    let raw = build(&records);
    let how = Sealing { format: Format::V1, limit: 1_000, ..v2(NONE) };
    assert!(raw.records.len() < how.limit);
    let Some(Sealed::Pieces(pieces)) = seal_as(&raw, &how) else { panic!("pieces") };
    let mut first = 0;
    for piece in &pieces {
        assert_eq!(piece.first, first);
        assert_eq!(set(&piece.sealed).len(), 34 * piece.sealed.count as usize);
        assert!(piece.sealed.encoded_len() <= how.limit);
        first += piece.sealed.count;
    }
    assert_eq!((first, pieces.len()), (100, 4));
    // A single message goes whole: it is within max.request.size as a record.
    let one = Sealing { limit: 1, ..how };
    assert_eq!(sealed(&build(&records[..1]), &one).encoded_len(), 34);
}

proptest! {
    /// Back to today's format nothing is lost, whatever the format and codec in between.
    #[test]
    fn a_set_keeps_the_v2_body_beside_it(
        mut records in any_records(12),
        codec in 0..4usize,
        magic in 0..2usize,
    ) {
        for record in &mut records {
            record.headers.clear();
        }
        let compression = [&[NONE][..], &compressions()[..3]].concat()[codec];
        let format = [Format::V0, Format::V1][magic];
        let sealed = sealed(&build(&records), &Sealing { format, ..v2(compression) });
        let back = seal(&sealed.to_raw().expect("our own"), &compression);
        prop_assert_eq!(back.format(), Format::V2);
        prop_assert_eq!(read_back(&back).records, records);
    }
}
