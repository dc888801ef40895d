//! MET: what an answer changes in the view of the cluster.

use crate::common::*;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use producer_proto::Persistence;
use producer_sim::{ApiKey, Instant, NewRecord, ResponseError, Rule, TopicConfig};

/// The entry of topic "t".
fn topic_t(
    response: &mut kafka_protocol::messages::MetadataResponse,
) -> Option<&mut MetadataResponseTopic> {
    let is_t = |topic: &&mut MetadataResponseTopic| {
        topic.name.as_ref().is_some_and(|name| name.as_str() == "t")
    };
    response.topics.iter_mut().find(is_t)
}

#[test]
fn met_08_old_metadata_versions_carry_no_usable_epoch() {
    for (version, is_believed) in [(7, true), (8, true), (9, false), (13, false)] {
        let mut cluster = cluster(3, 1);
        for broker in 1..=3 {
            cluster.set_versions(broker, ApiKey::Metadata, 0, version);
        }
        cluster.change_partition("t", 0, |image| image.leader_epoch = 5);
        let mut config = config();
        config.metadata_max_age = secs(60);
        let mut world = producer_sim::World::new(cluster, config).unwrap();
        world.send_to("t", 0, b"v");
        assert!(world.settle());
        // Leader news with an older epoch.
        world.cluster.change_partition("t", 0, |image| {
            image.leader = Some(2);
            image.leader_epoch = 4;
        });
        world.run_for(secs(65));
        let since = world.now();
        world.send_to("t", 0, b"w");
        world.run_for(ms(10));
        let produce = world.cluster.requests_of(ApiKey::Produce);
        let broker = produce.iter().find(|request| request.at > since).unwrap().broker;
        assert_eq!(broker, if is_believed { 2 } else { 1 }, "Metadata {version}");
    }
}

/// While brokers are upgraded some answer without epochs: the leader that then has one is not a
/// newer leader, and a batch that waits for its backoff goes on to wait.
#[test]
fn met_08_an_epoch_that_becomes_known_ends_no_backoff() {
    let mut cluster = cluster(1, 1);
    let mut has_epochs = true;
    let by_turns = edit_metadata(move |response| {
        has_epochs = !has_epochs;
        for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.leader_epoch = if has_epochs { 0 } else { -1 };
        }
    });
    cluster.inject(by_turns.always());
    // It makes the producer ask for metadata again.
    let error = ResponseError::NotLeaderOrFollower;
    cluster.inject(Rule::on(ApiKey::Produce).error(error).times(4));
    let mut world = producer_sim::World::new(cluster, config()).unwrap();
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(times(&world, ApiKey::Metadata, Instant::ZERO).len(), 5);
    assert_spaced(&times(&world, ApiKey::Produce, Instant::ZERO), &[100, 200, 400, 800]);
}

#[test]
fn met_09_empty_broker_list() {
    let mut config = config();
    config.metadata_max_age = secs(60);
    let mut world = warm(3, 3, config);
    let since = world.now();
    let empty = edit_metadata(|response| {
        response.brokers.clear();
        response.topics.clear();
    });
    let empty = world.cluster.inject(empty.times(3));
    world.run_for(secs(62));
    assert_eq!(world.cluster.rule_hits(empty), 3);
    let asked = times(&world, ApiKey::Metadata, since);
    assert_spaced(&asked, &[100, 200, 400]);
    // The view is what it was: records flow without another question.
    let dials = world.dials().len();
    let asked = asked.len();
    let receipts: Vec<_> = (0..3).map(|partition| world.send_to("t", partition, b"v")).collect();
    assert!(world.settle());
    for receipt in receipts {
        assert_delivered(&world, receipt);
    }
    assert_eq!(world.dials().len(), dials);
    assert_eq!(times(&world, ApiKey::Metadata, since).len(), asked);
    world.assert_clean();
}

#[test]
fn met_12_partition_gone_for_good() {
    let mut world = warm(3, 2, config());
    let gone = edit_metadata(|response| {
        if let Some(topic) = topic_t(response) {
            topic.partitions.retain(|partition| partition.partition_index == 0);
        }
    });
    world.cluster.inject(gone.always());
    let refused = Rule::on(ApiKey::Produce).partition("t", 1).always();
    world.cluster.inject(refused.error(ResponseError::UnknownTopicOrPartition));
    // The first finds out, the second is never sent.
    let sent = world.send_to("t", 1, b"sent");
    world.run_for(secs(10));
    let waiting = world.send_to("t", 1, b"waiting");
    let others: Vec<_> = (0..5)
        .map(|_| {
            let receipt = world.send_to("t", 0, b"v");
            world.run_for(secs(20));
            receipt
        })
        .collect();
    assert!(world.settle());
    for receipt in others {
        assert_delivered(&world, receipt);
    }
    for receipt in [sent, waiting] {
        assert_eq!(outcome(&world, receipt).error().unwrap().name(), "DELIVERY_TIMEOUT");
    }
    let waiting = outcome(&world, waiting);
    assert_eq!(waiting.persistence(), Some(Persistence::NotPersisted), "{waiting:?}");
    assert_eq!(waiting.error().unwrap().attempts(), 0);
    world.assert_clean();
}

#[test]
fn met_13_leader_not_in_the_broker_list() {
    let mut cluster = cluster(3, 2);
    cluster.change_partition("t", 0, |image| image.leader = Some(9));
    let mut world = producer_sim::World::new(cluster, config()).unwrap();
    let other = world.send_to("t", 1, b"v");
    let receipt = world.send_to("t", 0, b"v");
    world.run_for(secs(5));
    assert_delivered(&world, other);
    assert!(world.outcome(receipt).is_none());
    let asked = times(&world, ApiKey::Metadata, Instant::ZERO);
    assert!((5..=11).contains(&asked.len()), "{} requests in 5 s", asked.len());
    world.cluster.change_partition("t", 0, |image| image.leader = Some(1));
    assert!(world.settle());
    assert_delivered(&world, receipt);
    world.assert_clean();
}

#[test]
fn met_21_topic_recreated_under_produce_13() {
    let mut world = warm(3, 1, config());
    let old = world.cluster.topic_id("t").unwrap();
    let new = world.cluster.create_topic("t", TopicConfig::new(1));
    assert_ne!(old, new);
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(outcome(&world, receipt).offset(), Some(0));
    assert!(outcome(&world, receipt).at() < world.now() + secs(1));
    let sent = world.cluster.requests_of(ApiKey::Produce);
    let ids: Vec<_> = sent.iter().map(|request| request.batches()[0].topic_id).collect();
    assert_eq!(ids, [old, old, new]);
    let header = sent[2].batches()[0].header.clone().unwrap();
    assert_eq!(header.base_sequence, 0, "fresh sequences");
    assert_eq!(world.values("t", 0), ["v"]);
    world.assert_clean();
}

#[test]
fn met_21_topic_recreated_with_batches_in_flight() {
    for version in [12, 13] {
        for step in 0..6 {
            let mut cluster = cluster(2, 2);
            for broker in 1..=2 {
                cluster.set_versions(broker, ApiKey::Produce, 3, version);
            }
            let mut world = producer_sim::World::new(cluster, config()).unwrap();
            world.send_to("t", 0, b"warm");
            assert!(world.settle());
            let first: Vec<_> = (0..4)
                .map(|i| {
                    let receipt = world.send_to("t", 0, format!("old {i}").as_bytes());
                    world.drain();
                    receipt
                })
                .collect();
            world.run_for(std::time::Duration::from_micros(step * 500));
            world.cluster.create_topic("t", TopicConfig::new(2));
            let unknown = NewRecord { topic: "t", partition: Some(9), ..NewRecord::default() };
            let _makes_it_ask = world.try_push(&unknown).unwrap_err();
            let rest: Vec<_> =
                (0..4).map(|i| world.send_to("t", 0, format!("new {i}").as_bytes())).collect();
            assert!(world.settle());
            for receipt in first.into_iter().chain(rest) {
                assert_delivered(&world, receipt);
            }
            let values = world.values("t", 0);
            let news = ["new 0", "new 1", "new 2", "new 3"];
            assert!(values.ends_with(&news.map(str::to_owned)), "{version}, {step}: {values:?}");
            assert!(values.is_sorted_by_key(|value| !value.starts_with("old")), "{values:?}");
            // Once all is settled, the new log has a sequence of its own.
            let last = world.send_to("t", 0, b"last");
            assert!(world.settle());
            assert_delivered(&world, last);
            world.assert_clean();
        }
    }
}

#[test]
fn met_22_odd_partition_lists() {
    let mut world = world(3, 6, config());
    world.cluster.inject(edit_metadata(|response| {
        let Some(topic) = topic_t(response) else { return };
        // Of partition 0 a newer and an older leader, no partition 3, the rest backwards.
        let mut newer = topic.partitions.iter().find(|p| p.partition_index == 0).unwrap().clone();
        newer.leader_epoch = 7;
        topic.partitions.retain(|partition| partition.partition_index != 3);
        for partition in &mut topic.partitions {
            if partition.partition_index == 0 {
                partition.leader_id = 3.into();
            }
        }
        topic.partitions.sort_by_key(|partition| -partition.partition_index);
        topic.partitions.insert(0, newer);
    }));
    let receipts: Vec<_> = (0..6).map(|partition| world.send_to("t", partition, b"v")).collect();
    let topic = world.topic("t");
    assert_eq!(world.producer.partition_count(topic), Some(6));
    world.run_for(ms(20));
    for (partition, receipt) in receipts.iter().enumerate() {
        let outcome = world.outcome(*receipt);
        assert_eq!(outcome.is_some(), partition != 3, "partition {partition}");
    }
    assert!(world.settle());
    assert_eq!(world.producer.stats().batches_retried, 0, "each went to its leader at once");
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn met_23_broker_address_moves() {
    let mut world = warm(3, 6, config());
    let old = world.links(1);
    let held = world.cluster.inject(Rule::on(ApiKey::Produce).broker(1).hold());
    let in_flight = world.send_to("t", 0, b"in flight");
    world.run_for(ms(5));
    world.cluster.set_address(1, "moved", 9999);
    // An unknown partition makes the producer ask.
    let unknown =
        NewRecord { topic: "t", partition: Some(99), value: Some(b"v"), ..NewRecord::default() };
    let _not_ready = world.try_push(&unknown).unwrap_err();
    world.run_for(ms(200));
    let next = world.send_to("t", 3, b"next");
    world.run_for(ms(20));
    assert_delivered(&world, next);
    let dial = world.dials().last().unwrap();
    assert_eq!((dial.host.as_str(), dial.port), ("moved", 9999));
    let links = world.links(1);
    assert!(links.len() == 2 && links[0] == old[0], "the old one waits for its answer: {links:?}");
    assert!(world.outcome(in_flight).is_none());
    world.cluster.release(world.now(), held);
    world.run_for(ms(20));
    assert_delivered(&world, in_flight);
    assert_eq!(world.links(1), [dial_of(&world)]);
    assert_eq!(world.producer.stats().batches_retried, 0);
    world.assert_clean();
    world.assert_exactly_once();
}

fn dial_of(world: &producer_sim::World) -> producer_proto::ConnectionId {
    world.dials().last().unwrap().conn
}
