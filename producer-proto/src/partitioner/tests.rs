//! Placement of keys and records, with the vectors of other clients.

use super::load::LoadTable;
use super::murmur2::murmur2;
use super::*;

mod load;
mod sticky;

#[test]
fn prt_01_murmur2_vectors() {
    for (key, hash) in [
        ("", 275_646_681),
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
        ("giberish123456789", -1_890_243_828),
    ] {
        assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key:?}");
    }
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(murmur2(&all) as i32, -1_948_347_274);
}

#[test]
fn prt_01_murmur2_golden() {
    let text = include_str!("../../tests/golden/murmur2.jsonl");
    let mut lines = 0;
    for line in text.lines() {
        let vector: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = blob(&vector["key"]);
        assert_eq!(i64::from(murmur2(&key) as i32), vector["murmur2"].as_i64().unwrap(), "{line}");
        for (count, expected) in
            [1, 2, 3, 6, 12, 100, 1000].into_iter().zip(vector["partitions"].as_array().unwrap())
        {
            let partition = PartitionerKind::Murmur2.partition_for_key(&key, count).unwrap();
            assert_eq!(i64::from(partition), expected.as_i64().unwrap(), "{line}");
        }
        lines += 1;
    }
    assert!(lines > 1_500, "the vectors are there");
}

/// A key as the golden files write it.
fn blob(value: &serde_json::Value) -> Vec<u8> {
    if let Some(hex) = value.as_str() {
        return (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
    }
    if value["repeat"].is_string() {
        return blob(&value["repeat"]).repeat(value["times"].as_u64().unwrap() as usize);
    }
    let mut x = value["lcg"].as_u64().unwrap();
    (0..value["len"].as_u64().unwrap())
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 56) as u8
        })
        .collect()
}

#[test]
fn prt_02_placement_compatible_with_java() {
    for (key, partition) in [("foo", 16), ("bar", 45), ("baz", 80), ("kafka", 80), ("sarama", 11)] {
        assert_eq!(
            PartitionerKind::Murmur2.partition_for_key(key.as_bytes(), 100),
            Some(partition),
            "{key}"
        );
    }
}

#[test]
fn prt_03_an_empty_key_is_a_key() {
    assert_eq!(PartitionerKind::Murmur2.partition_for_key(b"", 17), Some(11));
    assert!(PartitionerKind::Fnv1a.partition_for_key(b"", 17).is_some());
    assert_eq!(PartitionerKind::Crc32.partition_for_key(b"", 17), None, "librdkafka differs");
    assert_eq!(PartitionerKind::RoundRobin.partition_for_key(b"key", 17), None);
}

#[test]
fn keys_go_where_sarama_and_librdkafka_put_them() {
    assert_eq!(fnv1a::fnv1a(b"foobar"), 0xbf9c_f968);
    assert_eq!(PartitionerKind::Fnv1a.partition_for_key(b"foobar", 10), Some(6));
    assert_eq!(PartitionerKind::Fnv1a.partition_for_key(b"key", 10), Some(8));
    assert_eq!(PartitionerKind::Crc32.partition_for_key(b"foobar", 10), Some(9));
    assert_eq!(PartitionerKind::Crc32.partition_for_key(b"key", 10), Some(7));
}

#[test]
fn no_number_of_partitions_is_out_of_bounds() {
    for kind in [PartitionerKind::Murmur2, PartitionerKind::Fnv1a, PartitionerKind::Crc32] {
        for count in [1, 2, 3, i32::MAX] {
            for key in ["a", "key", "foobar", "user-42", "kafka"] {
                let partition = kind.partition_for_key(key.as_bytes(), count).unwrap();
                assert!((0..count).contains(&partition), "{kind:?} {key} {count}");
            }
        }
        assert_eq!(kind.partition_for_key(b"a", 0), None);
        assert_eq!(kind.partition_for_key(b"a", -1), None);
    }
}

#[test]
fn round_robin_skips_leaderless_partitions() {
    let mut state = RoundRobinState::new(4);
    let take =
        |state: &mut RoundRobinState| -> Vec<i32> { (0..4).map(|_| state.choose()).collect() };
    assert_eq!(take(&mut state), [0, 1, 2, 3]);
    state.set_available(1, false);
    assert_eq!(take(&mut state), [0, 2, 3, 0]);
    state.resize(2);
    assert_eq!(take(&mut state), [0; 4], "partition 1 still has no leader");
    state.set_available(0, false);
    assert_eq!(take(&mut state), [1, 0, 1, 0], "without any leader, all take part");
    state.resize(3);
    assert_eq!(take(&mut state), [2; 4]);
}

#[test]
fn prt_12_a_failing_partitioner_fails_its_record_alone() {
    struct EveryThird(u32);
    impl Partitioner for EveryThird {
        fn partition(
            &mut self,
            _topic: &str,
            key: Option<&[u8]>,
            _value: Option<&[u8]>,
            _partitions: i32,
            available: &dyn Fn(i32) -> bool,
        ) -> Result<i32, PartitionerError> {
            self.0 += 1;
            match (self.0 % 6, key) {
                (0, _) => Err(PartitionerError::new("out of luck")),
                (3, _) => Ok(99),
                (5, _) => Ok(-1),
                (_, Some(key)) => Ok(i32::from(key[0]) % 2),
                (_, None) => Ok(i32::from(available(1))),
            }
        }
    }
    let mut user = EveryThird(0);
    let mut ask = |key| ask(&mut user, "t", key, None, 2, &|partition| partition == 1);
    assert_eq!(ask(Some(b"\x02")), Ok(0));
    assert_eq!(ask(None), Ok(1));
    let error = ask(None).unwrap_err().to_string();
    assert_eq!(error, "the partitioner failed: it chose partition 99 of t, which has 2");
    assert_eq!(ask(None), Ok(1));
    assert!(ask(None).unwrap_err().to_string().contains("chose partition -1"));
    assert_eq!(ask(None).unwrap_err().to_string(), "the partitioner failed: out of luck");
    assert_eq!(ask(Some(b"\x03")), Ok(1));
}
