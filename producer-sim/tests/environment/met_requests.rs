//! MET: when metadata is asked for, and what for.

use crate::common::*;
use producer_proto::Event;
use producer_sim::{ApiKey, NewRecord, Reach, ResponseError, Rule, TopicConfig, World};
use std::time::Duration;

#[test]
fn met_02_new_topic_asks_only_for_itself() {
    let mut cluster = cluster(3, 3);
    for i in 0..50 {
        cluster.create_topic(&format!("known-{i}"), TopicConfig::new(2));
    }
    cluster.create_topic("x", TopicConfig::new(2));
    let mut world = World::new(cluster, config()).unwrap();
    for i in 0..50 {
        world.send(&format!("known-{i}"), b"v");
    }
    assert!(world.settle());
    let before = times(&world, ApiKey::Metadata, world.now()).len();
    let since = world.now();
    world.send("x", b"v");
    for i in 0..50 {
        world.send(&format!("known-{i}"), b"w");
    }
    assert!(world.settle());
    let asked: Vec<_> = world.cluster.requests_of(ApiKey::Metadata);
    let asked: Vec<_> = asked.iter().filter(|request| request.at > since).collect();
    assert_eq!(asked.len(), before + 1);
    assert_eq!(asked[0].metadata_topics().unwrap(), ["x"]);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn a_topic_that_is_waited_for_through_a_long_outage_is_not_forgotten() {
    let mut world = World::new(cluster(1, 1), config()).unwrap();
    world.set_broker_reach(1, Reach::BlackHole);
    let record = NewRecord { topic: "t", value: Some(b"v"), ..NewRecord::default() };
    world.try_push(&record).unwrap_err();
    world.run_for(secs(400));
    world.set_broker_reach(1, Reach::Normal);
    world.run_for(secs(60));
    assert!(world.events().any(|(_, event)| matches!(event, Event::TopicReady(_))));
    world.try_push(&record).unwrap();
}

#[test]
fn met_03_full_refresh_by_age() {
    let mut config = config();
    config.metadata_max_idle = secs(3600);
    let mut world = warm(3, 3, config);
    let last = *times(&world, ApiKey::Metadata, producer_sim::Instant::ZERO).last().unwrap();
    world.run_for(secs(598));
    let refreshes = times(&world, ApiKey::Metadata, last + ms(1));
    assert_eq!(refreshes.len(), 1);
    let age = refreshes[0] - last;
    assert!(age >= secs(300) && age <= secs(300) + ms(10), "{age:?}");
    let request = *world.cluster.requests_of(ApiKey::Metadata).last().unwrap();
    assert_eq!(request.metadata_topics().unwrap(), ["t"]);
}

/// The application asks for a partition that does not exist, each millisecond.
fn nag(world: &mut World, time: Duration) {
    let end = world.now() + time;
    while world.now() < end {
        let nothing = NewRecord {
            topic: "t",
            partition: Some(99),
            value: Some(b"v"),
            ..NewRecord::default()
        };
        let _not_ready = world.try_push(&nothing).unwrap_err();
        world.run_for(ms(1));
    }
}

#[test]
fn met_04_failed_update_backs_off() {
    let mut world = warm(3, 3, config());
    world.set_latency(Duration::ZERO);
    world.run_for(secs(10));
    world.cluster.inject(edit_metadata(|response| response.brokers.clear()).times(6));
    let since = world.now();
    nag(&mut world, secs(5));
    assert_spaced(&times(&world, ApiKey::Metadata, since), &[100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn met_04_new_topics_do_not_shorten_the_backoff_either() {
    let mut world = warm(3, 3, config());
    world.set_latency(Duration::ZERO);
    world.run_for(secs(10));
    world.cluster.inject(edit_metadata(|response| response.brokers.clear()).times(6));
    let since = world.now();
    for i in 0..4_000 {
        world.topic(&format!("new-{}", i % 100));
        world.run_for(ms(1));
    }
    assert_spaced(&times(&world, ApiKey::Metadata, since), &[100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn met_05_unchanged_answers_back_off() {
    let mut world = warm(3, 3, config());
    world.set_latency(Duration::ZERO);
    world.run_for(secs(10));
    let since = world.now();
    nag(&mut world, secs(5));
    let asked = times(&world, ApiKey::Metadata, since);
    assert_spaced(&asked, &[100, 200, 400, 800, 1000, 1000]);
    world.cluster.move_leader("t", 0, Some(2));
    let since = world.now();
    nag(&mut world, secs(3));
    let asked = times(&world, ApiKey::Metadata, since);
    assert_spaced(&asked, &[100, 100, 200, 400]);
}

#[test]
fn met_06_idle_topic_leaves_used_topic_stays() {
    let mut cluster = cluster(3, 1);
    for name in ["unused", "used", "queued"] {
        cluster.create_topic(name, TopicConfig::new(1));
    }
    let mut config = config();
    config.delivery_timeout = Some(secs(3600));
    let mut world = World::new(cluster, config).unwrap();
    for name in ["unused", "used", "queued"] {
        world.send(name, b"first");
    }
    assert!(world.settle());
    world.cluster.move_leader("queued", 0, None);
    let waiting = world.send("queued", b"second");
    for _ in 0..5 {
        world.run_for(secs(150));
        world.send("used", b"v");
    }
    let asked = world.cluster.requests_of(ApiKey::Metadata);
    let last = asked.iter().rfind(|request| request.metadata_topics().unwrap().len() > 1);
    let mut names = last.unwrap().metadata_topics().unwrap();
    names.sort();
    assert_eq!(names, ["queued", "used"]);
    assert!(world.outcome(waiting).is_none());
    world.cluster.move_leader("queued", 0, Some(1));
    assert!(world.settle());
    assert_delivered(&world, waiting);
    // What has left comes back when it is used.
    let again = world.send("unused", b"second");
    assert!(world.settle());
    assert_delivered(&world, again);
    world.assert_clean();
}

#[test]
fn met_14_all_partitions_leader_not_available_at_first_load() {
    let mut world = world(3, 3, config());
    let unready = edit_metadata(|response| {
        for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.error_code = ResponseError::LeaderNotAvailable.code();
            partition.leader_id = (-1).into();
        }
    });
    let unready = world.cluster.inject(unready);
    let receipt = world.send("t", b"v");
    assert_eq!(world.cluster.rule_hits(unready), 1);
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert!(outcome(&world, receipt).at() < producer_sim::Instant::from_millis(500));
    world.assert_clean();
}

#[test]
fn met_15_topic_level_fatal_errors() {
    let mut cluster = cluster(3, 3);
    cluster.create_topic("b", TopicConfig::new(1));
    let mut world = World::new(cluster, config()).unwrap();
    let refusal = |name: &str, error| Rule::on(ApiKey::Metadata).topic(name).always().error(error);
    world.cluster.inject(refusal("a", ResponseError::InvalidTopicException));
    let denied = world.cluster.inject(refusal("b", ResponseError::TopicAuthorizationFailed));
    for topic in ["a", "b"] {
        let record = NewRecord { topic, value: Some(b"v"), ..NewRecord::default() };
        let _not_ready = world.try_push(&record).unwrap_err();
    }
    let fine = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, fine);
    let refused: Vec<String> = world
        .events()
        .filter_map(|(_, event)| match event {
            Event::TopicFailed { error, .. } => {
                Some(format!("{} {}", error.topic, error.code.name()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["a INVALID_TOPIC_EXCEPTION", "b TOPIC_AUTHORIZATION_FAILED"]);
    world.cluster.remove_rule(denied);
    let granted = world.send("b", b"v");
    assert!(world.settle());
    assert_delivered(&world, granted);
    world.assert_clean();
}

#[test]
fn met_15_what_waits_in_a_refused_topic_fails_with_that_error() {
    let mut world = warm(3, 3, config());
    world.cluster.move_leader("t", 0, None);
    nag(&mut world, ms(250));
    let receipt = world.send_to("t", 0, b"v");
    world.run_for(ms(250));
    assert!(world.outcome(receipt).is_none());
    let denied = Rule::on(ApiKey::Metadata).always();
    world.cluster.inject(denied.error(ResponseError::TopicAuthorizationFailed));
    assert!(world.settle());
    let outcome = outcome(&world, receipt);
    assert_eq!(outcome.error().unwrap().name(), "TOPIC_AUTHORIZATION_FAILED");
    assert_eq!(outcome.persistence(), Some(producer_proto::Persistence::NotPersisted));
    assert!(error_text(&world, receipt).contains("TOPIC_AUTHORIZATION_FAILED"));
    world.assert_clean();
}

#[test]
fn a_known_topic_outlives_an_error_that_does_not_refuse_it() {
    let mut world = warm(3, 3, config());
    world.cluster.move_leader("t", 0, None);
    nag(&mut world, ms(250));
    let receipt = world.send_to("t", 0, b"v");
    let broken = Rule::on(ApiKey::Metadata).times(3).error(ResponseError::UnknownServerError);
    let broken = world.cluster.inject(broken);
    world.run_for(secs(5));
    assert_eq!(world.cluster.rule_hits(broken), 3);
    assert!(world.outcome(receipt).is_none());
    world.cluster.move_leader("t", 0, Some(2));
    world.run_for(secs(2));
    assert_delivered(&world, receipt);
    assert!(!world.events().any(|(_, event)| matches!(event, Event::TopicFailed { .. })));
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn a_refused_topic_is_asked_for_as_long_as_it_has_batches() {
    let mut config = config();
    config.request_timeout = secs(5);
    config.metadata_max_age = secs(2);
    let mut world = warm(3, 3, config);
    world.cluster.inject(Rule::on(ApiKey::Produce).drop_answer());
    let in_flight = world.send_to("t", 0, b"v");
    let denied = Rule::on(ApiKey::Metadata).error(ResponseError::TopicAuthorizationFailed);
    let denied = world.cluster.inject(denied);
    world.run_for(secs(4));
    assert_eq!(world.cluster.rule_hits(denied), 1);
    assert!(world.outcome(in_flight).is_none());
    world.run_for(secs(4));
    assert_delivered(&world, in_flight);
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn met_16_auto_create_delay() {
    let mut cluster = cluster(3, 3);
    cluster.create_topic("slow", TopicConfig::new(1));
    cluster.set_hidden("slow", true);
    let mut world = World::new(cluster, config()).unwrap();
    let unknown = Rule::on(ApiKey::Metadata).always();
    let unknown = world.cluster.inject(unknown.error(ResponseError::UnknownTopicOrPartition));
    world.topic("slow");
    world.run_for(secs(3));
    // 100, 100, 200, 400, 800, 1000 ms apart, each perhaps a fifth sooner.
    let asked = times(&world, ApiKey::Metadata, producer_sim::Instant::ZERO).len();
    assert!(asked <= 8, "{asked} requests in 3 s");
    world.cluster.remove_rule(unknown);
    world.cluster.set_hidden("slow", false);
    let receipt = world.send("slow", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    world.assert_clean();
}

#[test]
fn met_18_one_request_at_a_time() {
    let mut world = warm(3, 3, config());
    world.run_for(secs(10));
    let since = world.now();
    world.cluster.inject(Rule::on(ApiKey::Metadata).drop_answer());
    for i in 0..100 {
        world.topic(&format!("new-{i}"));
        world.run_for(ms(290));
    }
    let asked = times(&world, ApiKey::Metadata, since);
    assert_eq!(asked.len(), 1);
    world.run_for(secs(3));
    let asked = world.cluster.requests_of(ApiKey::Metadata);
    let brokers: Vec<i32> =
        asked.iter().filter(|request| request.at >= since).map(|request| request.broker).collect();
    assert!(brokers.len() > 1 && brokers[1] != brokers[0], "asked brokers {brokers:?}");
    world.assert_clean();
}

#[test]
fn met_19_no_refresh_loop() {
    let mut world = warm(3, 3, config());
    world.run_for(secs(10));
    let since = world.now();
    world.cluster.inject(Rule::on(ApiKey::Produce).error(ResponseError::KafkaStorageError));
    let receipt = world.send_to("t", 0, b"v");
    world.run_for(secs(3));
    assert_delivered(&world, receipt);
    let asked = times(&world, ApiKey::Metadata, since).len();
    assert!((1..=2).contains(&asked), "{asked} requests for one error");

    // While metadata errs too: about one per second.
    world
        .cluster
        .inject(Rule::on(ApiKey::Produce).always().error(ResponseError::KafkaStorageError));
    world.cluster.inject(edit_metadata(|response| response.brokers.clear()).always());
    world.send_to("t", 0, b"w");
    world.run_for(secs(10));
    let since = world.now();
    world.run_for(secs(20));
    let asked = times(&world, ApiKey::Metadata, since).len();
    assert!((16..=25).contains(&asked), "{asked} requests in 20 s");
}
