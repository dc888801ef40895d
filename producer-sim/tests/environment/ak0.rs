//! AK0: `acks=0`, where no answer comes.

use crate::common::*;
use crate::lockstep::Lockstep;
use producer_proto::{Acks, Config, DisconnectReason, Input};
use producer_sim::{ApiKey, Fate, NewRecord, TopicConfig, World};

fn no_acks() -> Config {
    let mut config = config();
    config.acks = Acks::None;
    config
}

#[test]
fn ak0_01_done_when_written() {
    let mut session = Lockstep::new(cluster(1, 1), no_acks());
    session.learn();
    session.push(0, b"warm");
    session.run();
    session.push(0, &[7; 5_000]);
    let (conn, bytes) = session.take().unwrap();
    for _ in 1..bytes.len() {
        session.input(Input::Written { conn, bytes: 1 });
        assert!(session.take().is_none());
    }
    assert_eq!(session.producer.stats().records_delivered, 1, "not before the last byte");
    session.input(Input::Written { conn, bytes: 1 });
    assert_eq!(session.producer.stats().records_delivered, 2);
    assert!(session.take().is_none());
    let said = session.events.last().unwrap();
    assert!(said.starts_with("Delivered") && said.contains("base_offset: None"), "{said}");
}

#[test]
fn ak0_02_cut_while_writing() {
    let mut world = warm(1, 1, no_acks());
    world.set_latency(ms(10));
    world.set_write_window(2_000);
    let receipt = world.send("t", &[7; 10_000]);
    world.run_for(ms(15));
    assert!(world.outcome(receipt).is_none());
    let dials = world.dials().len();
    world.reset(1, Fate::Lost);
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(outcome(&world, receipt).offset(), None);
    assert_eq!(world.dials().len(), dials + 1);
    world.run_for(secs(1));
    assert_eq!(world.cluster.log_end("t", 0), 2);
    world.assert_clean();
}

#[test]
fn ak0_03_next_answer_belongs_to_the_next_request() {
    let mut cluster = cluster(1, 1);
    cluster.create_topic("other", TopicConfig::new(1));
    let mut world = World::new(cluster, no_acks()).unwrap();
    world.send("t", b"warm");
    assert!(world.settle());
    let dials = world.dials().len();
    let answers = world.producer.stats().responses;
    let first = world.send("t", b"1");
    world.drain();
    world.topic("other");
    world.drain();
    let second = world.send("t", b"2");
    world.run_for(secs(1));
    assert_delivered(&world, first);
    assert_delivered(&world, second);
    let order: Vec<ApiKey> = world.cluster.requests().map(|request| request.api).collect();
    assert!(order.ends_with(&[ApiKey::Produce, ApiKey::Metadata, ApiKey::Produce]), "{order:?}");
    assert_eq!(world.producer.stats().responses, answers + 1);
    let other = world.topic("other");
    assert_eq!(world.producer.partition_count(other), Some(1), "its answer was understood");
    assert_eq!(world.dials().len(), dials);
    assert_eq!(world.producer.stats().requests_in_flight, 0);
    assert_eq!(world.values("t", 0), ["warm", "1", "2"]);
    world.assert_clean();
}

#[test]
fn ak0_04_unexpected_answer() {
    let mut world = warm(1, 1, no_acks());
    world.send("t", b"v");
    world.run_for(ms(5));
    let produce = *world.cluster.requests_of(ApiKey::Produce).last().unwrap();
    let (conn, correlation) = (produce.conn, produce.correlation_id);
    let links = world.links(1);
    let mut answer = vec![0, 0, 0, 9];
    answer.extend_from_slice(&correlation.to_be_bytes());
    answer.extend_from_slice(&[0; 5]);
    world.cluster.send_raw(world.now(), conn, answer);
    world.run_for(ms(5));
    assert_eq!(world.producer.stats().protocol_errors, 1);
    assert!(!world.links(1).contains(&links[0]));
    let next = world.send("t", b"w");
    assert!(world.settle());
    assert_delivered(&world, next);
    world.run_for(secs(1));
    assert_eq!(world.values("t", 0), ["warm", "v", "w"]);
    world.assert_clean();
}

#[test]
fn ak0_05_broker_signals_an_error_by_closing() {
    let mut world = warm(2, 2, no_acks());
    world.run_for(secs(10));
    let since = world.now();
    world.cluster.move_leader("t", 0, Some(2));
    let lost = world.send_to("t", 0, b"lost");
    assert!(world.settle());
    assert_delivered(&world, lost);
    world.run_for(ms(500));
    assert!(!times(&world, ApiKey::Metadata, since).is_empty(), "it asks who leads");
    world.send_to("t", 0, b"later");
    assert!(world.settle());
    world.run_for(secs(1));
    assert_eq!(world.values("t", 0), ["warm", "later"]);
    world.assert_clean();
}

#[test]
fn ak0_05_an_idle_connection_that_is_closed_is_no_reason_to_ask_for_ever() {
    let mut world = warm(2, 2, no_acks());
    world.run_for(secs(60));
    let since = world.now();
    world.cluster.close_connections(1);
    world.run_for(secs(60));
    assert!(times(&world, ApiKey::Metadata, since).len() <= 1);
    assert!(connection_failures(&world).is_empty());
}

#[test]
fn ak0_06_back_pressure_still_works() {
    let mut config = no_acks();
    config.buffer_memory = 4 << 20;
    config.request_timeout = secs(60);
    let mut world = warm(1, 1, config);
    world.set_write_window(1 << 20);
    world.deafen(1, true, false);
    let delivered = world.producer.stats().records_delivered;
    let value = vec![7; 100_000];
    let mut taken = 0;
    for _ in 0..1_000 {
        let record = NewRecord { topic: "t", value: Some(&value), ..NewRecord::default() };
        taken += usize::from(world.try_push(&record).is_ok());
        world.run_for(ms(1));
        assert!(world.producer.stats().buffered_bytes <= 4 << 20);
    }
    assert!(taken < 60, "{taken} of 1,000 records of 100 kB taken");
    let done = world.producer.stats().records_delivered - delivered;
    assert!(done <= 10, "{done} records done, but only 1 MiB was written");
}

#[test]
fn ak0_02_nothing_counts_as_done_on_a_connection_that_died() {
    let mut session = Lockstep::new(cluster(1, 1), no_acks());
    session.learn();
    session.push(0, b"warm");
    session.run();
    session.push(0, b"v");
    let (conn, bytes) = session.take().unwrap();
    session.input(Input::Written { conn, bytes: bytes.len() - 1 });
    session.input(Input::Disconnected { conn, reason: DisconnectReason::Reset });
    session.input(Input::Written { conn, bytes: 1 });
    assert_eq!(session.producer.stats().records_delivered, 1);
    session.run_for(300);
    assert_eq!(session.producer.stats().records_delivered, 2);
    assert_eq!(session.cluster.log_end("t", 0), 2);
}

#[test]
fn ak0_01_no_offset_is_made_up() {
    let mut world: World = warm(1, 1, no_acks());
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    let outcome = outcome(&world, receipt);
    assert!(outcome.is_delivered() && outcome.offset().is_none());
}
