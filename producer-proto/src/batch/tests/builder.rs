//! Appending, cancelling, stamping.

use super::*;
use crate::batch::crc::Hashed;

#[test]
fn cod_03_null_versus_empty() {
    let choices: [Option<&[u8]>; 3] = [None, Some(b""), Some(b"x")];
    for key in choices {
        for value in choices {
            let raw = build(&[record(5, key, value)]);
            assert_eq!(read_back(&seal(&raw, &NONE)).records, [record(5, key, value)]);
            // Length, attributes, two deltas, then the key's length.
            let key_byte = match key {
                None => 1,
                Some(key) => key.len() as u8 * 2,
            };
            assert_eq!(raw.records[4], key_byte, "{key:?}");
        }
    }
}

#[test]
fn cod_04_headers_keep_order_duplicates_nulls_and_empty_names() {
    let mut one = record(5, None, None);
    one.headers = vec![
        ("dup".into(), Some(b"1".to_vec())),
        ("dup".into(), None),
        (String::new(), Some(Vec::new())),
        ("dup".into(), Some(b"1".to_vec())),
    ];
    let mut many = record(6, None, Some(b"v"));
    many.headers = (0..200).map(|i| (format!("h{i}"), None)).collect();
    let records = [one, many];
    assert_eq!(read_back(&seal(&build(&records), &NONE)).records, records);
}

#[test]
fn cod_05_varint_edges() {
    let edges: [(i64, usize); 14] = [
        (0, 1),
        (-1, 1),
        (63, 1),
        (64, 2),
        (-64, 1),
        (-65, 2),
        (8_191, 2),
        (8_192, 3),
        (-8_192, 2),
        (-8_193, 3),
        (i64::from(i32::MAX), 5),
        (i64::from(i32::MIN), 5),
        (i64::MAX, 10),
        (i64::MIN, 10),
    ];
    for (value, len) in edges {
        let zigzag = varint::zigzag64(value);
        assert_eq!(varint::encoded_len(zigzag), len, "{value}");
        let mut out = [0xff; 12];
        assert_eq!(varint::put(&mut out, 1, zigzag), 1 + len, "{value}");
        let mut wire = Vec::new();
        crate::wire::varint::put_varlong(&mut wire, value);
        assert_eq!(out[1..=len], wire, "{value}");
        let mut rest = &out[1..];
        assert_eq!(varint::take(&mut rest).map(varint::unzigzag64), Some(value));
        assert_eq!(rest.len(), 11 - len);
    }
}

#[test]
fn cod_06_negative_timestamp_delta() {
    let records = [1_000, 400, 2_000].map(|timestamp| record(timestamp, None, Some(b"v")));
    let batch = read_back(&seal(&build(&records), &NONE));
    assert_eq!((batch.base_timestamp, batch.max_timestamp), (1_000, 2_000));
    assert_eq!(batch.records, records);
}

#[test]
fn cod_07_sequence_wraps_inside_a_batch() {
    let base = i32::MAX - 1;
    let sequences: Vec<i32> = (0..4).map(|n| sequence_add(base, n)).collect();
    assert_eq!(sequences, [i32::MAX - 1, i32::MAX, 0, 1]);
    assert_eq!(sequence_add(base, 4), 2, "the next batch's");
    assert_eq!(sequence_add(i32::MAX, i32::MAX as u32 + 1), i32::MAX, "once round");

    let records = vec![record(0, None, None); 4];
    let sealed = seal(&build(&records), &NONE);
    let stamp = Stamp { producer_id: 4_000, epoch: 7, sequence: base };
    let batch = reader::read(&whole(&sealed, Some(stamp), true)).unwrap();
    assert_eq!((batch.producer_id, batch.epoch, batch.base_sequence), (4_000, 7, base));
    assert_eq!(batch.attributes, 0x10);
}

#[test]
fn cod_16_more_records_than_sixteen_bits_can_count() {
    let records = vec![record(1, None, Some(b"")); 131_082];
    let batch = read_back(&seal(&build(&records), &NONE));
    assert_eq!(batch.records.len(), 131_082);
}

#[test]
fn a_stamp_changes_nothing_but_header_and_crc() {
    let sealed = seal(&build(&compressible(16_000)), &NONE);
    let body = sealed.records.clone();
    for sequence in 0..50 {
        let stamp = Stamp { producer_id: 1, epoch: 0, sequence };
        reader::read(&whole(&sealed, Some(stamp), false)).unwrap();
    }
    assert_eq!(sealed.records.as_ptr(), body.as_ptr());
}

#[test]
fn a_full_batch_gives_its_buffer_back() {
    let mut pool = BufferPool::new(16_384, 1 << 20);
    let buffer = pool.take(16_384);
    let address = buffer.as_ptr();
    let mut builder = BatchBuilder::new(buffer, 16_384);
    while builder.len() < 16_000 {
        append(&mut builder, &record(0, None, Some(&[7; 100])));
    }
    let sealed = seal(&builder.finish(), &NONE);
    assert_eq!(sealed.records.as_ptr(), address, "never copied");
    pool.give(sealed.records);
    let again = pool.take(16_384);
    assert_eq!(again.as_ptr(), address);
}

#[test]
fn buffers_grow_by_doubling_up_to_the_usual_size() {
    let mut builder = BatchBuilder::new(vec![0; 100], 1_000);
    let mut capacities = vec![builder.capacity()];
    for _ in 0..12 {
        append(&mut builder, &record(0, None, Some(&[0; 90])));
        if capacities.last() != Some(&builder.capacity()) {
            capacities.push(builder.capacity());
        }
    }
    assert_eq!(capacities[..5], [100, 200, 400, 800, 1_000]);
    let before = (builder.len(), builder.capacity_after(5_000));
    append(&mut builder, &record(0, None, Some(&[0; 4_990])));
    assert_eq!(builder.capacity(), builder.len());
    assert!(builder.capacity() <= before.1 && before.1 == before.0 + 5_000);
}

#[test]
fn cancelling_leaves_a_hole_and_renumbers_the_rest() {
    let records: Vec<_> = (0..200).map(|i| record(1_000 - i, None, Some(&[i as u8]))).collect();
    let mut builder = new_builder();
    for record in &records {
        append(&mut builder, record);
    }
    for index in [150, 0, 63] {
        assert!(builder.cancel(index));
        assert!(!builder.cancel(index), "twice");
    }
    assert!(!builder.cancel(200), "never appended");
    assert_eq!((builder.count(), builder.live()), (200, 197));
    assert_eq!(append(&mut builder, &record(5, None, None)), 200, "indexes go on");

    let raw = builder.finish();
    assert_eq!((raw.count, &*raw.holes), (198, &[0, 63, 150][..]));
    assert_eq!(raw.max_timestamp, 999, "the newest record is gone");
    let batch = read_back(&seal(&raw, &NONE));
    let mut expected = records;
    for index in [150, 63, 0] {
        expected.remove(index);
    }
    expected.push(record(5, None, None));
    assert_eq!(batch.records, expected);
}

#[test]
fn a_batch_whose_records_are_all_cancelled_is_empty() {
    let mut builder = new_builder();
    append(&mut builder, &record(7, None, Some(b"a")));
    append(&mut builder, &record(9, None, Some(b"b")));
    assert!(builder.cancel(1) && builder.cancel(0));
    assert_eq!(builder.live(), 0);
    let raw = builder.finish();
    assert_eq!((raw.count, raw.records.len(), &*raw.holes), (0, 0, &[0, 1][..]));
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(records in any_records(40)) {
        let raw = build(&records);
        prop_assert_eq!(raw.count as usize, records.len());
        prop_assert!(raw.holes.is_empty());
        for compression in compressions().into_iter().chain([NONE]) {
            prop_assert_eq!(&read_back(&seal(&raw, &compression)).records, &records);
        }
    }

    #[test]
    fn cancelled_records_are_gone_and_no_others(
        records in prop::collection::vec((any_record(), any::<bool>()), 1..60)
    ) {
        let mut builder = new_builder();
        for (record, _) in &records {
            append(&mut builder, record);
        }
        for (index, _) in records.iter().enumerate().filter(|(_, (_, keep))| !keep) {
            prop_assert!(builder.cancel(index as u32));
        }
        let before = builder.len();
        let raw = builder.finish();
        prop_assert!(raw.records.len() <= before, "cancelling never makes a batch larger");
        let kept: Vec<_> = records.iter().filter(|(_, keep)| *keep).map(|(r, _)| r.clone()).collect();
        prop_assert_eq!(raw.count as usize, kept.len());
        prop_assert_eq!(raw.holes.len(), records.len() - kept.len());
        if !kept.is_empty() {
            prop_assert_eq!(read_back(&seal(&raw, &NONE)).records, kept);
        }
    }

    #[test]
    fn cod_11_size_estimate_is_an_upper_bound(records in any_records(60), batch_size in 100usize..2_000) {
        let ratio = CompressionRatio::new(Codec::None);
        let mut builder = new_builder();
        for record in &records {
            let headers = headers(record);
            let payload =
                Payload::measure(record.key.as_deref(), record.value.as_deref(), &headers).unwrap();
            let len = builder.encoded_len(record.timestamp, &payload);
            if !builder.has_room(len, &ratio, batch_size, usize::MAX) {
                break;
            }
            prop_assert!(61 + len <= payload.size_upper_bound());
            builder.append(record.timestamp, &payload);
            prop_assert_eq!(ratio.estimate(builder.len()), 61 + builder.len());
        }
        let many = builder.count() > 1;
        let sealed = seal(&builder.finish(), &NONE);
        prop_assert!(!many || sealed.encoded_len() <= batch_size);
    }
}

#[test]
fn a_large_batch_is_hashed_on_its_way_and_has_the_same_crc() {
    let ratio = CompressionRatio::new(Codec::None);
    let fill = || {
        let mut builder = BatchBuilder::new(vec![0; 200_000], 200_000);
        let mut hashed = Vec::new();
        for i in 0..180 {
            append(&mut builder, &record(1_000 + i, None, Some(&[i as u8; 1_000])));
            builder.make_room(&ratio, 200_000, 200_000, 200_000, 1_000);
            hashed.push(builder.hashed.len());
        }
        hashed.dedup();
        assert!(hashed.len() > 5, "{hashed:?}");
        builder
    };
    let raw = fill().finish();
    let plain = RawBatch { hashed: Hashed::default(), ..raw.clone() };
    assert!(raw.hashed.len() > 150_000);
    assert_eq!(seal(&raw, &NONE).body_crc, seal(&plain, &NONE).body_crc);

    let mut builder = fill();
    assert!(builder.cancel(3));
    let sealed = seal(&builder.finish(), &NONE);
    assert_eq!(read_back(&sealed).records.len(), 179);
}
