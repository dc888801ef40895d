//! Questions about the cluster: answered in every version, and without a trace in what the
//! producer knows.

use crate::common::*;
use producer_proto::{
    BrokerId, ClusterDescription, DescribeError, DescribeId, ErrorCode, Event, InvalidTopic,
    TopicDescription,
};
use producer_sim::{ApiKey, Fate, Instant, Reach, Rule, TopicConfig, World};
use std::time::Duration;

const PATIENCE: Duration = secs(5);

/// Asks, and lets time pass until there is an answer.
fn describe(
    world: &mut World,
    topics: Option<&[&str]>,
) -> Result<ClusterDescription, DescribeError> {
    let question = ask(world, topics);
    assert!(world.run_until(|world| answers(world, question).next().is_some()));
    answers(world, question).next().unwrap().1
}

fn ask(world: &mut World, topics: Option<&[&str]>) -> DescribeId {
    let now = world.now();
    let question = world.producer.describe(now, topics, now + PATIENCE).unwrap();
    world.drain();
    question
}

type Answer = Result<ClusterDescription, DescribeError>;

fn answers(world: &World, asked: DescribeId) -> impl Iterator<Item = (Instant, Answer)> {
    world.events().filter_map(move |(at, event)| match event {
        Event::Described { question, result } if *question == asked => Some((at, result.clone())),
        _ => None,
    })
}

fn leaders(topic: &TopicDescription) -> Vec<Option<i32>> {
    let numbers = topic.partitions.iter().map(|partition| partition.index);
    assert!(numbers.eq(0..topic.partitions.len() as i32));
    topic.partitions.iter().map(|partition| partition.leader.map(|id| id.0)).collect()
}

fn names(description: &ClusterDescription) -> Vec<&str> {
    description.topics.iter().map(|topic| &*topic.name).collect()
}

#[test]
fn every_version_tells_topics_partitions_and_leaders_and_creates_nothing() {
    for version in 0..=13 {
        let mut cluster = cluster(3, 4);
        cluster.create_topic("other", TopicConfig::new(1));
        cluster.move_leader("t", 2, None);
        (1..=3).for_each(|broker| cluster.set_versions(broker, ApiKey::Metadata, version, version));
        let mut world = World::new(cluster, config()).unwrap();

        let all = describe(&mut world, None).unwrap();
        assert_eq!(names(&all), ["other", "t"], "version {version}");
        assert_eq!(leaders(&all.topics[1]), [Some(1), Some(2), None, Some(1)]);
        assert!(all.topics.iter().all(|topic| topic.error.is_none()));
        let without_leader = all.topics[1].partitions[2].error;
        assert_eq!(without_leader, ErrorCode::LEADER_NOT_AVAILABLE);
        let brokers: Vec<_> = all.brokers.iter().map(|it| (it.id.0, &*it.host, it.port)).collect();
        assert_eq!(
            brokers,
            [1, 2, 3].map(|id| (id, ["broker-1", "broker-2", "broker-3"][id as usize - 1], 9092))
        );
        assert_eq!(all.cluster_id.is_some(), version >= 2);
        assert_eq!(all.topics[1].id.is_zero(), version < 10);
        assert_eq!(all.topics[1].partitions[0].leader_epoch.is_some(), version >= 9);

        let some = describe(&mut world, Some(&["t", "absent", "other", "t"])).unwrap();
        assert_eq!(names(&some), ["t", "absent", "other"], "version {version}");
        assert_eq!(some.topics[1].error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(some.topics[1].partitions.is_empty());
        assert!(some.topics[0] == all.topics[1] && some.topics[2] == all.topics[0]);

        let none = describe(&mut world, Some(&[])).unwrap();
        assert!(none.topics.is_empty() && none.brokers.len() == 3, "version {version}");
        assert_eq!(names(&describe(&mut world, None).unwrap()), ["other", "t"], "none is new");
        world.assert_clean();
    }
}

#[test]
fn the_producer_learns_nothing_by_it_and_forgets_nothing() {
    let mut world = warm(3, 3, config());
    world.cluster.move_leader("t", 0, Some(3));
    let since = world.now();
    let answer = describe(&mut world, Some(&["t", "new"])).unwrap();
    assert_eq!(leaders(&answer.topics[0]), [Some(3), Some(2), Some(3)]);
    assert_eq!(times(&world, ApiKey::Metadata, since).len(), 1);
    let asked = *world.cluster.requests_of(ApiKey::Metadata).last().unwrap();
    assert_eq!(asked.metadata_topics().unwrap(), ["t", "new"]);
    // It still goes to the leader it knows, which refuses and names the new one.
    let before = world.producer.stats().errors_retriable;
    let receipt = world.send_to("t", 0, b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    assert_eq!(world.producer.stats().errors_retriable, before + 1);
    assert!(
        !world.events().any(|(at, event)| at >= since && matches!(event, Event::TopicReady(_)))
    );
    world.assert_clean();
    world.assert_exactly_once();
}

#[test]
fn a_fresh_producer_asks_whoever_it_can_reach_of_the_bootstrap_list() {
    let mut config = config();
    config.bootstrap_servers = vec!["gone:1".into(), "broker-2:9092".into()];
    let mut world = World::new(cluster(3, 3), config).unwrap();
    assert_eq!(names(&describe(&mut world, None).unwrap()), ["t"]);
    let receipt = world.send("t", b"v");
    assert!(world.settle());
    assert_delivered(&world, receipt);
    world.assert_clean();
}

#[test]
fn without_a_broker_the_answer_is_its_absence_at_the_deadline() {
    for reach in [Reach::BlackHole, Reach::Fails(producer_proto::ConnectErrorKind::Refused)] {
        let mut world = world(2, 1, config());
        (1..=2).for_each(|broker| world.set_broker_reach(broker, reach));
        let since = world.now();
        let question = ask(&mut world, None);
        world.run_for(PATIENCE * 4);
        let answers: Vec<_> = answers(&world, question).collect();
        let [(at, Err(DescribeError::TimedOut { after, cause }))] = &answers[..] else {
            panic!("{answers:?}");
        };
        assert_eq!((*at - since, *after), (PATIENCE, PATIENCE));
        if reach != Reach::BlackHole {
            let cause = cause.as_deref().unwrap();
            assert!(cause.contains("broker-") && cause.contains("connection refused"), "{cause}");
        }
        world.assert_clean();
    }
}

#[test]
fn what_is_lost_on_the_way_is_asked_again_after_a_backoff() {
    let mut world = warm(1, 1, config());
    world.set_latency(Duration::ZERO);
    world.cluster.inject(edit_metadata(|response| response.brokers.clear()).times(2));
    let since = world.now();
    let answer = describe(&mut world, None).unwrap();
    assert_eq!(names(&answer), ["t"]);
    assert_spaced(&times(&world, ApiKey::Metadata, since), &[100, 200]);

    let rule = world.cluster.inject(Rule::on(ApiKey::Metadata).drop_answer());
    let question = ask(&mut world, Some(&["t"]));
    assert!(world.run_until(|world| world.cluster.rule_hits(rule) > 0));
    world.reset(1, Fate::Lost);
    assert!(world.run_until(|world| answers(world, question).next().is_some()));
    assert_eq!(names(&answers(&world, question).next().unwrap().1.unwrap()), ["t"]);
    world.assert_clean();
}

#[test]
fn a_close_answers_what_is_open_and_a_closed_producer_says_so() {
    let mut world = world(1, 1, config());
    world.set_broker_reach(1, Reach::BlackHole);
    let open = [ask(&mut world, None), ask(&mut world, Some(&["t"]))];
    assert!(world.close(None));
    let late = ask(&mut world, None);
    world.run_for(PATIENCE * 2);
    for question in open.into_iter().chain([late]) {
        let answers: Vec<_> = answers(&world, question).map(|(_, answer)| answer).collect();
        assert_eq!(answers, [Err(DescribeError::Closed)]);
    }
    let closed_at = world.events().position(|(_, event)| matches!(event, Event::Closed)).unwrap();
    let told = world.events().take(closed_at);
    assert_eq!(told.filter(|(_, event)| matches!(event, Event::Described { .. })).count(), 2);
}

#[test]
fn a_name_that_kafka_does_not_accept_is_refused_at_once() {
    let mut world = world(1, 1, config());
    let now = world.now();
    let refused = world.producer.describe(now, Some(&["t", "no blank"]), now + PATIENCE);
    let expected = InvalidTopic::Character { name: "no blank".into(), character: ' ' };
    assert_eq!(refused, Err(expected));
    assert!(!world.producer.has_output());
}

#[test]
fn of_what_makes_no_sense_the_rest_is_told() {
    let mut world = warm(2, 2, config());
    world.cluster.inject(edit_metadata(|response| {
        response.brokers.push(response.brokers[0].clone());
        response.brokers.push(response.brokers[0].clone().with_port(-7));
        let mut topic = response.topics[0].clone();
        topic.partitions.push(topic.partitions[0].clone());
        topic.partitions.push(topic.partitions[0].clone().with_partition_index(-1));
        topic.partitions[1].leader_id = (-5).into();
        response.topics = vec![topic.clone(), topic];
    }));
    let before = world.producer.stats().bad_metadata_entries;
    let answer = describe(&mut world, None).unwrap();
    assert_eq!(answer.brokers.iter().map(|it| it.id).collect::<Vec<_>>(), [1, 2].map(BrokerId));
    assert_eq!((names(&answer), answer.topics[0].partitions.len()), (vec!["t"], 2));
    assert_eq!(leaders(&answer.topics[0]).iter().filter(|leader| leader.is_none()).count(), 1);
    assert_eq!(world.producer.stats().bad_metadata_entries, before + 5);
    world.assert_clean();
}
