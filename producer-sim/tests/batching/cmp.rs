//! Compression on the wire.

use crate::rig::{
    Draws, HOUR, batches, config, ms, noise, produces, settle, to, try_to, warm, world,
};
use producer_proto::{Codec, Persistence, Receipt};
use producer_sim::{ApiKey, Cluster, ClusterConfig, Jobs, Rule, TopicConfig, World};
use std::time::Duration;

const CODECS: [(Codec, u8); 5] =
    [(Codec::None, 0), (Codec::Gzip, 1), (Codec::Snappy, 2), (Codec::Lz4, 3), (Codec::Zstd, 4)];

#[test]
fn cmp_01_codecs() {
    for (codec, bits) in CODECS {
        for len in [1 << 10, 40 << 10, 900 << 10] {
            let mut config = config();
            config.compression_type = codec;
            let mut world = world(1, 1, config);
            // Half text, half noise: it shrinks, but not to nothing.
            let mut value = b"some text ".repeat(len / 20);
            value.extend(noise(7, 512));
            world.send_to("t", 0, &value);
            assert!(world.settle());
            let batch = batches(&world)[0];
            assert_eq!(batch.header.as_ref().unwrap().codec_bits(), bits, "{codec:?}");
            assert_eq!(batch.bytes < value.len(), bits != 0, "{codec:?} of {len}");
            let log = world.cluster.log("t", 0);
            assert!(log[0].value.as_deref() == Some(&value[..]), "{codec:?} of {len}");
            world.assert_clean();
        }
    }
}

const METADATA_AGE: Duration = ms(500);

/// Broker 1 is too old for zstd, broker 2 is not; partition 0 is led by 1, partition 1 by 2.
fn old_and_new(linger: Duration) -> World {
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(2));
    cluster.set_versions(1, ApiKey::Produce, 3, 6);
    let mut config = config();
    config.linger = linger;
    config.compression_type = Codec::Zstd;
    config.metadata_max_age = METADATA_AGE;
    World::new(cluster, config).unwrap()
}

fn assert_unsupported(world: &World, receipt: Receipt) {
    let outcome = world.outcome(receipt).unwrap();
    assert_eq!(outcome.error().unwrap().name(), "UNSUPPORTED_COMPRESSION_TYPE");
    assert_eq!(outcome.persistence(), Some(Persistence::NotPersisted));
}

#[test]
fn cmp_04_zstd_needs_produce_v7() {
    for linger in [ms(0), ms(5)] {
        let mut world = old_and_new(linger);
        let refused = world.send_to("t", 0, &[b'v'; 500]);
        let taken = world.send_to("t", 1, &[b'v'; 500]);
        assert!(world.settle());
        assert_unsupported(&world, refused);
        assert!(world.outcome(taken).unwrap().is_delivered());
        // Also once the version is known when the batch is closed, and when batches are full.
        let receipts: Vec<_> = (0..5).map(|_| world.send_to("t", 0, &[b'v'; 20_000])).collect();
        assert!(world.settle());
        receipts.into_iter().for_each(|receipt| assert_unsupported(&world, receipt));
        assert!(produces(&world).iter().all(|request| request.broker == 2));
        world.assert_clean();
    }
}

#[test]
fn cmp_04_a_zstd_batch_does_not_follow_its_leader_to_a_broker_that_is_too_old() {
    let mut world = old_and_new(ms(0));
    world.send_to("t", 1, b"warm");
    assert!(world.settle());
    let hold = world.cluster.inject(Rule::on(ApiKey::Produce).times(5).hold());
    let held: Vec<_> = (0..5).map(|_| world.send_to("t", 1, b"held")).collect();
    // Full, so it is sealed for broker 2, but its turn has not come when the leader moves.
    let refused = world.send_to("t", 1, &[b'v'; 20_000]);
    world.run_for(ms(10));
    world.cluster.move_leader("t", 1, Some(1));
    world.run_for(METADATA_AGE * 2);
    world.cluster.release(world.now(), hold);
    assert!(world.settle());
    assert!(held.iter().all(|receipt| world.outcome(*receipt).unwrap().is_delivered()));
    assert_unsupported(&world, refused);
    assert!(produces(&world).iter().all(|request| request.broker == 2));
    world.assert_clean();
}

#[test]
fn cmp_05_incompressible_data() {
    let mut config = config();
    config.compression_type = Codec::Gzip;
    config.linger = HOUR;
    config.delivery_timeout = Some(2 * HOUR);
    config.max_request_size = 64 << 10;
    let mut world = warm(1, 4, config);
    // Teaches the estimate that this topic shrinks well, and then betrays it.
    for _ in 0..2_000 {
        try_to(&mut world, 0, &[b'v'; 100]).unwrap();
        world.run_for(ms(1));
    }
    for i in 0..2_000 {
        world.send_to("t", (i % 4) as i32, &noise(i, 100));
    }
    assert!(settle(&mut world));
    for request in produces(&world) {
        assert!(request.bytes <= 64 << 10 || request.batches().len() == 1, "{}", request.bytes);
    }
    // It rose again: the last batches are of about batch.size.
    let last = batches(&world).into_iter().rev().skip(4).take(8).map(|batch| batch.bytes);
    last.for_each(|bytes| assert!(bytes <= 16_384, "{bytes}"));
    world.assert_clean();
}

#[test]
fn cmp_07_splits_stay_rare() {
    for good in [1, 25, 50, 75, 99] {
        let mut cluster = Cluster::new(ClusterConfig::new(1));
        // As tight as the producer's own limit.
        cluster.create_topic("t", TopicConfig::new(1).max_message_bytes(1_024));
        let mut config = config();
        config.compression_type = Codec::Gzip;
        config.batch_size = 1_024;
        config.linger = HOUR;
        config.delivery_timeout = Some(2 * HOUR);
        let mut world = World::new(cluster, config).unwrap();
        let mut draws = Draws::new(good);
        for i in 0..1_000 {
            let value = if draws.below(100) < good { vec![b'v'; 100] } else { noise(i, 100) };
            world.send_to("t", 0, &value);
        }
        assert!(settle(&mut world));
        let stats = world.producer.stats();
        assert!(
            stats.batches_split * 10 < stats.batches_sealed,
            "{good} % good: {} of {} batches split",
            stats.batches_split,
            stats.batches_sealed
        );
        assert_eq!(world.cluster.log_end("t", 0), 1_000);
        world.assert_clean();
    }
}

#[test]
fn cmp_10_memory_of_compressors() {
    let mut config = config();
    config.compression_type = Codec::Zstd;
    config.linger = ms(50);
    let mut world = world(1, 1_000, config);
    world.set_jobs(Jobs::After(ms(5)));
    for partition in 0..1_000 {
        world.push(&to(partition, &[b'v'; 100])).unwrap();
    }
    // A window of zstd is larger than all of this.
    let buffered = world.producer.stats().buffered_bytes;
    assert!(buffered < 1_000 * 512, "{buffered} bytes for 1,000 open batches");
    let mut most = 0;
    while world.open_records() > 0 && world.step(world.now() + HOUR) {
        most = most.max(world.producer.stats().buffered_bytes);
    }
    assert!(most < 1_000 * 512, "{most} bytes while they were compressed");
    assert_eq!(world.producer.stats().buffered_bytes, 0);
    world.assert_clean();
}
