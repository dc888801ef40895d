//! Codecs: framing, levels, determinism, incompressible data.

use super::*;

#[test]
fn cmp_01_every_codec_at_every_size_is_read_back() {
    for size in [1 << 10, 16 << 10, 65_535, 65_536, 200_000, 1 << 20] {
        let records = compressible(size);
        let raw = build(&records);
        for (compression, id) in compressions().into_iter().zip(1..) {
            let sealed = seal(&raw, &compression);
            assert_eq!(sealed.codec, compression.codec, "{size} bytes compress");
            assert!(sealed.records.len() < raw.records.len());
            assert_eq!(sealed.uncompressed_len, raw.records.len());
            let batch = read_back(&sealed);
            assert_eq!(batch.attributes, id);
            assert_eq!(batch.records, records);
        }
    }
}

#[test]
fn cmp_05_incompressible_data_goes_out_as_it_is() {
    let records = [record(0, None, Some(&noise(16_000)))];
    let raw = build(&records);
    for compression in compressions() {
        let sealed = seal(&raw, &compression);
        assert_eq!(sealed.codec, Codec::None, "{compression:?}");
        assert_eq!(sealed.records, raw.records);
        assert_eq!(read_back(&sealed).records, records);

        let mut ratio = CompressionRatio::new(compression.codec);
        let text = seal(&build(&compressible(16_000)), &compression);
        for _ in 0..50 {
            ratio.observe(&text);
        }
        let before = ratio.estimate(16_000);
        ratio.observe(&sealed);
        assert!(ratio.estimate(16_000) > before, "the estimate rises");
        assert!(ratio.estimate(raw.records.len()) >= sealed.encoded_len());
    }
}

#[test]
fn cmp_08_levels_differ() {
    let raw = build(&compressible(60_000));
    let levels = [
        (Codec::Gzip, 1, 9),
        (Codec::Zstd, -7, 19),
        #[cfg(feature = "lz4-hc")]
        (Codec::Lz4, 9, 17),
    ];
    for (codec, fast, small) in levels {
        let len = |level| {
            let sealed = seal(&raw, &Compression { codec, level });
            assert_eq!(read_back(&sealed).records.len(), raw.count as usize);
            sealed.records.len()
        };
        assert!(len(small) < len(fast), "{codec:?}");
    }
}

#[test]
fn cmp_09_the_same_bytes_on_every_thread_whatever_was_compressed_before() {
    let raws: Vec<_> =
        [900, 20_000, 150_000].map(|size| build(&compressible(size))).into_iter().collect();
    for compression in compressions() {
        let expected: Vec<_> = raws.iter().map(|raw| seal(raw, &compression).records).collect();
        std::thread::scope(|scope| {
            for turn in 0..5 {
                let (raws, expected) = (&raws, &expected);
                scope.spawn(move || {
                    for i in 0..20 {
                        // Every thread in an order of its own, with other codecs in between.
                        let pick = (i * 7 + turn) % raws.len();
                        let sealed = seal(&raws[pick], &compression);
                        assert_eq!(sealed.records, expected[pick], "{compression:?}");
                        let other = compressions()[(i + turn) % 4];
                        seal(&raws[(pick + 1) % raws.len()], &other);
                    }
                });
            }
        });
    }
}

#[test]
fn cmp_10_an_open_batch_holds_no_compressor() {
    // Contexts belong to the thread that seals; a batch is its buffer and a few words.
    assert!(size_of::<BatchBuilder>() <= 128);
    let sealed = seal(&build(&compressible(16_000)), &compressions()[3]);
    let bytes = sealed.records.try_into_mut().expect("the only handle");
    assert_eq!(bytes.capacity(), bytes.len(), "a sealed batch holds no more than its bytes");
}
