//! What a broker remembers of producers, by its era, its clock and its logs; and quotas.

use crate::client::{TIME, ask, batch, drain, frame, produce, produce_with};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, ConnId, Era, Instant, Output, ResponseKind, TopicConfig,
};
use std::time::Duration;

fn cluster(config: ClusterConfig) -> (Cluster, ConnId) {
    let mut cluster = Cluster::new(config);
    cluster.create_topic("t", TopicConfig::new(1));
    let conn = cluster.connect(Instant::ZERO, 1).unwrap();
    (cluster, conn)
}

fn code(cluster: &mut Cluster, conn: ConnId, epoch: i16, sequence: i32) -> i16 {
    produce(cluster, conn, "t", 0, batch(7, epoch, sequence, 1)).error_code
}

#[test]
fn eras_differ_in_what_they_say_of_strangers_and_of_old_batches() {
    for (era, stranger, old) in [(Era::Modern, 0, 45), (Era::Legacy, 59, 46)] {
        let (mut cluster, conn) = cluster(ClusterConfig::new(1));
        cluster.set_era(1, era);
        assert_eq!(code(&mut cluster, conn, 0, 3), stranger, "{era:?}");
        cluster.forget_producers("t", 0);
        (0..6).for_each(|sequence| assert_eq!(code(&mut cluster, conn, 0, sequence), 0));
        assert_eq!(code(&mut cluster, conn, 0, 1), 0, "one of the last five is a duplicate");
        assert_eq!(code(&mut cluster, conn, 0, 0), old, "{era:?}");
        assert_eq!(code(&mut cluster, conn, 0, 7), 45, "a gap is a gap in any era");
    }
}

#[test]
fn only_old_brokers_forget_a_producer_with_its_last_record() {
    for (era, expected) in [(Era::Modern, 0), (Era::Legacy, 59)] {
        let (mut cluster, conn) = cluster(ClusterConfig::new(1));
        cluster.set_era(1, era);
        (0..2).for_each(|sequence| assert_eq!(code(&mut cluster, conn, 0, sequence), 0));
        cluster.advance_log_start("t", 0, 1);
        assert_eq!(code(&mut cluster, conn, 0, 1), 0, "still known by its second record");
        cluster.advance_log_start("t", 0, 2);
        assert_eq!(code(&mut cluster, conn, 0, 2), expected, "{era:?}");
    }
}

#[test]
fn a_producer_id_expires_by_the_timestamps_of_its_batches() {
    let mut config = ClusterConfig::new(1);
    config.producer_id_expiration = Some(Duration::from_secs(60));
    config.wall_clock_millis = TIME;
    let (mut cluster, conn) = cluster(config);
    assert_eq!(code(&mut cluster, conn, 0, 0), 0);
    let mut later = |at: u64, sequence: i32| {
        let now = Instant::from_millis(at);
        let request = produce_with("t", 0, batch(7, 0, sequence, 1), -1, 1000);
        cluster.receive(now, conn, &frame(ApiKey::Produce, 12, 1, &request));
        assert_eq!(drain(&mut cluster, now, conn).len(), 1);
        cluster.log_end("t", 0)
    };
    assert_eq!(later(59_999, 5), 1, "known, so there is a gap");
    assert_eq!(later(60_000, 5), 2, "forgotten, so any sequence will do");
}

/// Sends a batch and gives the answer's throttle time in milliseconds.
fn throttle(cluster: &mut Cluster, conn: ConnId, sequence: i32, size: &mut u64) -> i32 {
    let request = produce_with("t", 0, batch(7, 0, sequence, 60), -1, 1000);
    *size = frame(ApiKey::Produce, 12, 7, &request).len() as u64 - 4;
    match ask(cluster, conn, ApiKey::Produce, 12, &request) {
        ResponseKind::Produce(response) => response.throttle_time_ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quota_throttles_for_as_long_as_it_takes_to_be_below_it() {
    let (mut cluster, conn) = cluster(ClusterConfig::new(1));
    let mut size = 0;
    assert_eq!(throttle(&mut cluster, conn, 0, &mut size), 0, "no quota");
    // Ten seconds' worth are free at once, because the rate is taken over ten seconds at least.
    cluster.set_byte_rate(1, Some(size / 10));
    let excess = (size * 1000).div_ceil(size / 10) - 10_000;
    let muted = throttle(&mut cluster, conn, 60, &mut size);
    assert!(excess.abs_diff(muted as u64) <= 1, "{muted} instead of {excess}");
    let (mut cluster, conn) = cluster_with_rate(size / 20);
    let muted = throttle(&mut cluster, conn, 0, &mut size);
    let excess = (size * 1000).div_ceil(size / 20) - 10_000;
    assert!(excess.abs_diff(muted as u64) <= 1, "{muted} instead of {excess}");
    // Meanwhile nothing is read; afterwards it is.
    let request = produce_with("t", 0, batch(7, 0, 60, 1), -1, 1000);
    cluster.receive(Instant::ZERO, conn, &frame(ApiKey::Produce, 12, 1, &request));
    let end = Instant::from_millis(muted as u64);
    assert_eq!(cluster.poll_timeout(), Some(end));
    assert_eq!(drain(&mut cluster, Instant::from_millis(muted as u64 - 1), conn), []);
    assert!(matches!(drain(&mut cluster, end, conn).as_slice(), [Output::Bytes(_)]));
}

fn cluster_with_rate(rate: u64) -> (Cluster, ConnId) {
    let (mut cluster, conn) = cluster(ClusterConfig::new(1));
    cluster.set_byte_rate(1, Some(rate));
    (cluster, conn)
}
