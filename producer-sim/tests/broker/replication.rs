//! Replicas that copy late, leaders that change, brokers that crash or pause: what acks=all and
//! acks=1 are answered, what is committed, and what is lost.

use crate::client::{batch, decode, drain, frame, produce_with};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, ConnId, ElectionError, Era, Failover, Instant, LostReason,
    Output, ResponseKind, TopicConfig,
};
use std::time::Duration;

const TIMEOUT: i32 = 1000;

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

/// Three brokers and one partition with three replicas, led by broker 1; two must be in sync.
/// Followers copy after 10 ms.
fn cluster() -> Cluster {
    cluster_of(ClusterConfig::new(3))
}

fn cluster_of(config: ClusterConfig) -> Cluster {
    let mut cluster = Cluster::new(config);
    cluster.create_topic("t", TopicConfig::new(1).replicated(3, 2));
    (1..=3).for_each(|id| cluster.set_replication_delay(id, millis(10)));
    cluster
}

/// Sends a batch of one record of producer 7.
fn send(cluster: &mut Cluster, now: Instant, conn: ConnId, acks: i16, sequence: i32) {
    let request = produce_with("t", 0, batch(7, 0, sequence, 1), acks, TIMEOUT);
    cluster.receive(now, conn, &frame(ApiKey::Produce, 12, sequence, &request));
    cluster.check().unwrap();
}

/// The answers that are there at `now`: error codes and base offsets.
fn answers(cluster: &mut Cluster, now: Instant, conn: ConnId) -> Vec<(i16, i64)> {
    cluster.advance(now);
    cluster.check().unwrap();
    let said = |output: &Output| match output {
        Output::Bytes(bytes) => {
            let (_, ResponseKind::Produce(mut r)) = decode(ApiKey::Produce, 12, bytes) else {
                panic!("not a Produce answer")
            };
            let partition: PartitionProduceResponse =
                r.responses.pop().unwrap().partition_responses.pop().unwrap();
            (partition.error_code, partition.base_offset)
        }
        Output::Close => (-1, -1),
    };
    drain(cluster, now, conn).iter().map(said).collect()
}

fn ends(cluster: &Cluster) -> Vec<i64> {
    cluster.replicas("t", 0).iter().map(|replica| replica.log_end).collect()
}

fn lost(cluster: &Cluster) -> Vec<(i64, bool, LostReason)> {
    cluster.lost().iter().map(|l| (l.base_offset(), l.committed, l.reason)).collect()
}

#[test]
fn acks_all_waits_for_the_followers_and_acks_1_does_not() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, 1, 0);
    assert_eq!(answers(&mut cluster, ms(0), conn), [(0, 0)]);
    assert_eq!(cluster.high_watermark("t", 0), 0);
    send(&mut cluster, ms(5), conn, -1, 1);
    assert_eq!(answers(&mut cluster, ms(9), conn), []);
    assert_eq!(ends(&cluster), [2, 0, 0]);
    assert_eq!(cluster.requests_waiting(), 1);
    // The fetch that set out for the first record brings both.
    assert_eq!(cluster.poll_timeout(), Some(ms(10)));
    assert_eq!(answers(&mut cluster, ms(10), conn), [(0, 1)]);
    assert_eq!(ends(&cluster), [2, 2, 2]);
    assert_eq!(cluster.committed("t", 0).len(), 2);
    assert_eq!(cluster.requests_waiting(), 0);
}

#[test]
fn a_connection_is_served_one_request_after_the_other() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    (0..3).for_each(|sequence| send(&mut cluster, ms(0), conn, -1, sequence));
    assert_eq!(cluster.log_end("t", 0), 1, "those behind a waiting request are not begun");
    assert_eq!(cluster.requests_to_come().len(), 2);
    assert_eq!(answers(&mut cluster, ms(10), conn), [(0, 0)]);
    assert_eq!(answers(&mut cluster, ms(30), conn), [(0, 1), (0, 2)]);
}

#[test]
fn a_follower_that_does_not_copy_lets_the_request_run_into_its_timeout() {
    let mut cluster = cluster();
    cluster.set_replication_delay(3, None);
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(999), conn), []);
    assert_eq!(answers(&mut cluster, ms(1000), conn), [(7, 0)], "with its offset");
    assert_eq!((cluster.log_end("t", 0), cluster.high_watermark("t", 0)), (1, 0));
    // The retry is a duplicate that waits as well, until the follower has left the ISR.
    send(&mut cluster, ms(1000), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(1100), conn), []);
    cluster.shrink_isr("t", 0, 3).unwrap();
    assert_eq!(answers(&mut cluster, ms(1100), conn), [(0, 0)]);
    assert_eq!(cluster.log_end("t", 0), 1);
}

#[test]
fn below_min_isr_nothing_is_appended_and_what_was_is_not_committed() {
    for (era, code) in [(Era::Modern, 7), (Era::Legacy, 20)] {
        let mut cluster = cluster();
        cluster.set_era(1, era);
        let conn = cluster.connect(ms(0), 1).unwrap();
        send(&mut cluster, ms(0), conn, -1, 0);
        cluster.shrink_isr("t", 0, 2).unwrap();
        cluster.shrink_isr("t", 0, 3).unwrap();
        assert_eq!(answers(&mut cluster, ms(1000), conn), [(code, 0)], "{era:?}");
        send(&mut cluster, ms(1000), conn, -1, 1);
        assert_eq!(answers(&mut cluster, ms(1000), conn), [(19, -1)], "{era:?}");
        assert_eq!(cluster.log_end("t", 0), 1);
    }
}

#[test]
fn a_clean_election_keeps_what_is_committed_and_answers_those_who_wait() {
    let mut cluster = cluster();
    cluster.set_replication_delay(3, None);
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(20), conn), []);
    assert_eq!(ends(&cluster), [1, 1, 0]);
    cluster.elect("t", 0, 2).unwrap();
    assert_eq!(answers(&mut cluster, ms(20), conn), [(6, 0)]);
    assert_eq!(cluster.log_end("t", 0), 1, "the new leader had copied it");
    assert_eq!(lost(&cluster), []);
    // There, the retry is recognised: the state came with the log.
    cluster.shrink_isr("t", 0, 3).unwrap();
    let conn = cluster.connect(ms(20), 2).unwrap();
    send(&mut cluster, ms(20), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(40), conn), [(0, 0)]);
    assert_eq!(cluster.log_end("t", 0), 1);
}

#[test]
fn what_only_the_old_leader_had_is_truncated() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, 1, 0);
    cluster.elect("t", 0, 2).unwrap();
    assert_eq!(lost(&cluster), [(0, false, LostReason::Deposed)]);
    assert_eq!(cluster.lost()[0].records().len(), 1);
    assert_eq!(ends(&cluster), [1, 0, 0]);
    let conn = cluster.connect(ms(0), 2).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(10), conn), [(0, 0)], "no duplicate: it was not there");
    assert_eq!(ends(&cluster), [1, 1, 1]);
    assert_eq!(cluster.replica_log("t", 0, 1), cluster.committed("t", 0));
    assert_eq!(cluster.partition("t", 0).unwrap().leader_epoch, 1);
}

#[test]
fn an_unclean_election_loses_committed_records_and_another_brings_them_back() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    cluster.set_replication_delay(3, None);
    cluster.shrink_isr("t", 0, 3).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(10), conn), [(0, 0)]);
    assert_eq!(cluster.elect("t", 0, 3), Err(ElectionError::NotInSync));
    cluster.crash(1, 0);
    cluster.crash(2, 0);
    cluster.elect_unclean("t", 0, 3).unwrap();
    assert_eq!(lost(&cluster), [(0, true, LostReason::UncleanElection)]);
    assert_eq!((cluster.log_end("t", 0), cluster.high_watermark("t", 0)), (0, 0));
    cluster.check().unwrap();
    cluster.restart(1);
    assert_eq!(ends(&cluster), [1, 1, 0], "it has not copied from the new leader yet");
    cluster.elect_unclean("t", 0, 1).unwrap();
    assert_eq!(lost(&cluster), []);
    assert_eq!(cluster.log("t", 0).len(), 1);
    cluster.check().unwrap();
}

#[test]
fn a_lost_tail_is_lost_only_where_no_other_replica_was_in_sync() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    (0..2).for_each(|sequence| send(&mut cluster, ms(0), conn, -1, sequence));
    assert_eq!(answers(&mut cluster, ms(20), conn), [(0, 0), (0, 1)]);
    cluster.crash(1, 1);
    assert_eq!(cluster.partition("t", 0).unwrap().leader, Some(2));
    assert_eq!((ends(&cluster), lost(&cluster)), (vec![1, 2, 2], vec![]));
    assert_eq!(answers(&mut cluster, ms(20), conn), [(-1, -1)], "its connections die");
    cluster.restart(1);
    cluster.advance(ms(30));
    assert_eq!(ends(&cluster), [2, 2, 2]);
    cluster.shrink_isr("t", 0, 3).unwrap();
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [2]);
    cluster.crash(2, 1);
    assert_eq!(lost(&cluster), [(1, true, LostReason::LostTail)]);
    cluster.restart(2);
    cluster.advance(ms(50));
    cluster.check().unwrap();
    assert_eq!(ends(&cluster), [1, 1, 1], "followers truncate what their leader lost");
}

#[test]
fn a_paused_broker_goes_on_where_it_stopped() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    cluster.pause(1);
    send(&mut cluster, ms(0), conn, 1, 0);
    assert_eq!(answers(&mut cluster, ms(500), conn), []);
    assert!(cluster.connect(ms(500), 1).is_ok(), "the system's backlog takes it");
    assert_eq!(cluster.requests_to_come().len(), 1);
    cluster.elect("t", 0, 2).unwrap();
    // It has not heard of its fall when it carries out what it had read before.
    cluster.resume(1);
    assert_eq!(answers(&mut cluster, ms(500), conn), [(0, 0)]);
    assert_eq!(lost(&cluster), [(0, false, LostReason::Deposed)]);
    send(&mut cluster, ms(500), conn, 1, 1);
    assert_eq!(answers(&mut cluster, ms(500), conn), [(6, -1)]);
    assert_eq!(cluster.log_end("t", 0), 0);
}

#[test]
fn a_broker_that_lags_acts_by_what_it_knows() {
    let mut cluster = cluster();
    (1..=2).for_each(|id| cluster.set_metadata_delay(id, Duration::from_millis(200)));
    let (old, new) = (cluster.connect(ms(0), 1).unwrap(), cluster.connect(ms(0), 2).unwrap());
    cluster.elect("t", 0, 2).unwrap();
    send(&mut cluster, ms(100), old, 1, 0);
    assert_eq!(answers(&mut cluster, ms(100), old), [(0, 0)]);
    send(&mut cluster, ms(100), old, -1, 1);
    send(&mut cluster, ms(100), new, -1, 0);
    assert_eq!(answers(&mut cluster, ms(199), old), []);
    assert_eq!(answers(&mut cluster, ms(199), new), [(6, -1)], "it does not know that it leads");
    assert_eq!(answers(&mut cluster, ms(200), old), [(6, 1)]);
    send(&mut cluster, ms(200), new, -1, 0);
    assert_eq!(answers(&mut cluster, ms(210), new), [(0, 0)]);
    assert_eq!(ends(&cluster), [1, 1, 1]);
    assert_eq!(lost(&cluster).len(), 2);
    assert!(cluster.lost().iter().all(|l| !l.committed));
}

#[test]
fn the_controller_moves_leaders_away_from_a_dead_broker_and_back_in_sync() {
    let mut config = ClusterConfig::new(3);
    config.failover = Some(Failover {
        session_timeout: Duration::from_secs(1),
        replica_lag_max: Duration::from_secs(2),
        unclean: false,
    });
    let mut cluster = cluster_of(config);
    cluster.crash(1, 0);
    cluster.advance(ms(999));
    assert_eq!(cluster.partition("t", 0).unwrap().leader, Some(1));
    cluster.advance(ms(1000));
    let image = cluster.partition("t", 0).unwrap().clone();
    assert_eq!((image.leader, image.isr), (Some(2), vec![2, 3]));
    cluster.pause(3);
    let conn = cluster.connect(ms(1000), 2).unwrap();
    send(&mut cluster, ms(1000), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(1999), conn), []);
    // Its session ends, and with it the wait; but one of two is too few.
    assert_eq!(answers(&mut cluster, ms(2000), conn), [(7, 0)]);
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [2]);
    cluster.restart(1);
    cluster.advance(ms(2010));
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [2, 1]);
    assert_eq!(cluster.high_watermark("t", 0), 1);
    cluster.resume(3);
    cluster.advance(ms(2020));
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [2, 1, 3]);
    cluster.elect_preferred("t", 0).unwrap();
    assert_eq!(cluster.partition("t", 0).unwrap().leader, Some(1));
    cluster.check().unwrap();
}

#[test]
fn a_slow_follower_leaves_the_isr_and_comes_back() {
    let mut config = ClusterConfig::new(3);
    config.failover =
        Some(Failover { replica_lag_max: Duration::from_millis(500), ..Failover::default() });
    let mut cluster = cluster_of(config);
    cluster.set_replication_delay(3, None);
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(100), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(599), conn), []);
    assert_eq!(answers(&mut cluster, ms(600), conn), [(0, 0)]);
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [1, 2]);
    cluster.set_replication_delay(3, millis(10));
    cluster.advance(ms(610));
    assert_eq!(cluster.partition("t", 0).unwrap().isr, [1, 2, 3]);
}

#[test]
fn a_deleted_topic_answers_those_who_wait_and_excuses_its_records() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    assert_eq!(answers(&mut cluster, ms(10), conn), [(0, 0)]);
    send(&mut cluster, ms(10), conn, -1, 1);
    cluster.create_topic("t", TopicConfig::new(1).replicated(3, 2));
    assert_eq!(answers(&mut cluster, ms(10), conn), [(3, 1)]);
    let reason = LostReason::TopicDeleted;
    assert_eq!(lost(&cluster), [(0, true, reason), (1, false, reason)]);
    assert_eq!(cluster.log_end("t", 0), 0);
}

/// What a client that has gone had sent dies with the broker that had not begun with it.
#[test]
fn a_crash_takes_requests_along_whose_client_has_gone() {
    let mut cluster = cluster();
    let conn = cluster.connect(ms(0), 1).unwrap();
    send(&mut cluster, ms(0), conn, -1, 0);
    send(&mut cluster, ms(0), conn, -1, 1);
    cluster.disconnect(ms(1), conn);
    assert_eq!(ends(&cluster), [1, 0, 0], "the second waits for the first");
    cluster.crash(1, 0);
    cluster.pause(1);
    cluster.restart(1);
    assert!(!cluster.is_paused(1), "a broker that does not run cannot stand still");
    cluster.advance(ms(2_000));
    assert_eq!(ends(&cluster), [1, 1, 1]);
    cluster.check().unwrap();
}
