//! Splitting.

use super::*;
use crate::batch::split::SplitError;

fn pieces(sealed: &SealedBatch, target: usize, compression: Compression) -> Vec<Piece> {
    split(sealed, target, &v2(compression)).expect("a batch we sealed")
}

fn joined(pieces: &[Piece]) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    for piece in pieces {
        assert_eq!(piece.first as usize, records.len());
        let batch = read_back(&piece.sealed);
        assert_eq!(batch.base_timestamp, batch.records[0].timestamp);
        records.extend(batch.records);
    }
    records
}

#[test]
fn spl_05_split_keeps_content_and_codec() {
    let mut records = compressible(20_000);
    records[3].key = None;
    records[4].value = None;
    records[5].headers = vec![("dup".into(), None), ("dup".into(), Some(Vec::new()))];
    records[90].timestamp = -1;
    let raw = build(&records);
    for compression in compressions().into_iter().chain([NONE]) {
        let sealed = seal(&raw, &compression);
        assert_eq!(sealed.codec, compression.codec);
        let pieces = pieces(&sealed, 4_096, compression);
        assert!(pieces.len() >= 4);
        assert_eq!(joined(&pieces), records);
        for piece in &pieces {
            assert_eq!(piece.sealed.codec, compression.codec);
            assert!(61 + piece.sealed.uncompressed_len <= 4_096);
        }
    }
}

#[test]
fn a_batch_of_two_always_becomes_two() {
    let records = [record(0, None, Some(b"a")), record(0, None, Some(b"b"))];
    let sealed = seal(&build(&records), &NONE);
    for target in [0, 61, 1_000, usize::MAX] {
        let pieces = pieces(&sealed, target, NONE);
        assert_eq!(pieces.len(), 2, "target {target}");
        assert_eq!(joined(&pieces), records);
    }
}

#[test]
fn a_batch_of_one_stays_one() {
    let records = [record(3, Some(b"k"), Some(b"a"))];
    let sealed = seal(&build(&records), &NONE);
    assert_eq!(joined(&pieces(&sealed, 0, NONE)), records);
}

#[test]
fn hos_29_only_what_we_sealed_is_taken_apart() {
    let raw = build(&compressible(20_000));
    for compression in compressions() {
        let sealed = seal(&raw, &compression);
        let damaged = |change: &dyn Fn(&mut SealedBatch)| {
            let mut batch = sealed.clone();
            change(&mut batch);
            split(&batch, 1_000, &v2(compression)).map(|pieces| pieces.len())
        };
        assert_eq!(
            damaged(&|batch| batch.records = batch.records.slice(..batch.records.len() - 9)),
            Err(SplitError::Decompress),
            "cut"
        );
        assert_eq!(
            damaged(&|batch| batch.records = Bytes::from(noise(500))),
            Err(SplitError::Decompress),
            "not compressed data"
        );
        assert_eq!(
            damaged(&|batch| batch.uncompressed_len -= 1),
            Err(SplitError::Decompress),
            "never more than was said"
        );
        assert_eq!(damaged(&|batch| batch.uncompressed_len += 1), Err(SplitError::Decompress));
        let expected = sealed.count + 1;
        assert_eq!(damaged(&|batch| batch.count = expected), Err(SplitError::Records { expected }));
    }
    let other = SealedBatch {
        records: Bytes::from(noise(500)),
        uncompressed_len: 500,
        ..seal(&raw, &NONE)
    };
    assert!(matches!(split(&other, 100, &v2(NONE)), Err(SplitError::Records { .. })));
}

proptest! {
    #[test]
    fn pieces_one_after_the_other_are_the_batch(
        records in any_records(40),
        target in 0usize..2_000,
        codec in 0usize..5,
    ) {
        let compression = compressions().get(codec).copied().unwrap_or(NONE);
        let sealed = seal(&build(&records), &compression);
        let pieces = pieces(&sealed, target, compression);
        prop_assert_eq!(&joined(&pieces), &records);
        prop_assert!(pieces.len() >= 2 || records.len() == 1);
        for piece in &pieces {
            prop_assert!(piece.sealed.count == 1 || 61 + piece.sealed.uncompressed_len <= target);
        }
    }
}
