//! What the scenarios share.

use kafka_protocol::messages::{MetadataResponse, ProduceResponse};
use producer_proto::{Config, Event, Receipt};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Instant, Outcome, ResponseKind, Rule, TopicConfig, World,
};
use std::time::Duration;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The defaults, without linger.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.linger = Duration::ZERO;
    config
}

/// Brokers 1 to `brokers`; partition `i` of topic "t" is led by the `i`th of them, round and round.
pub(crate) fn cluster(brokers: i32, partitions: i32) -> Cluster {
    let mut cluster = Cluster::new(ClusterConfig::new(brokers));
    cluster.create_topic("t", TopicConfig::new(partitions));
    cluster
}

pub(crate) fn world(brokers: i32, partitions: i32, config: Config) -> World {
    World::new(cluster(brokers, partitions), config).unwrap()
}

/// A world whose producer has delivered one record to each partition of "t".
pub(crate) fn warm(brokers: i32, partitions: i32, config: Config) -> World {
    let mut world = world(brokers, partitions, config);
    for partition in 0..partitions {
        world.send_to("t", partition, b"warm");
    }
    assert!(world.settle());
    assert!(world.outcomes().all(|(_, outcome)| outcome.unwrap().is_delivered()));
    world
}

pub(crate) fn leader(world: &World, partition: i32) -> i32 {
    world.cluster.partition("t", partition).unwrap().leader.unwrap()
}

/// When requests of an API arrived from `since` on.
pub(crate) fn times(world: &World, api: ApiKey, since: Instant) -> Vec<Instant> {
    let requests = world.cluster.requests_of(api).into_iter();
    requests.map(|request| request.at).filter(|at| *at >= since).collect()
}

/// Asserts that the times lie so many milliseconds apart, ±20 % and the way there and back.
pub(crate) fn assert_spaced(times: &[Instant], expected: &[u64]) {
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= expected.len(), "{gaps:?} instead of {expected:?}");
    for (gap, expected) in gaps.iter().zip(expected) {
        let (least, most) = (ms(expected * 8 / 10), ms(expected * 12 / 10) + ms(5));
        assert!((least..=most).contains(gap), "{gaps:?} instead of {expected:?}");
    }
}

/// A rule that changes Metadata answers; once unless told otherwise.
pub(crate) fn edit_metadata(mut edit: impl FnMut(&mut MetadataResponse) + Send + 'static) -> Rule {
    Rule::on(ApiKey::Metadata).edit_response(move |response| {
        let ResponseKind::Metadata(response) = response else { panic!("not a Metadata answer") };
        edit(response);
    })
}

/// A rule that changes Produce answers; once unless told otherwise.
pub(crate) fn edit_produce(mut edit: impl FnMut(&mut ProduceResponse) + Send + 'static) -> Rule {
    Rule::on(ApiKey::Produce).edit_response(move |response| {
        let ResponseKind::Produce(response) = response else { panic!("not a Produce answer") };
        edit(response);
    })
}

pub(crate) fn outcome(world: &World, receipt: Receipt) -> &Outcome {
    world.outcome(receipt).unwrap_or_else(|| panic!("{receipt:?} has no outcome"))
}

pub(crate) fn assert_delivered(world: &World, receipt: Receipt) {
    let outcome = outcome(world, receipt);
    assert!(outcome.is_delivered(), "{outcome:?}");
}

/// The text of a failed record's error.
pub(crate) fn error_text(world: &World, receipt: Receipt) -> String {
    let outcome = outcome(world, receipt);
    outcome.error().unwrap_or_else(|| panic!("{outcome:?}")).to_string()
}

/// What the producer said about broken connections, with times.
pub(crate) fn connection_failures(world: &World) -> Vec<(Instant, String)> {
    let failed = |(at, event): (Instant, &Event)| match event {
        Event::Broker { state: producer_proto::BrokerState::Failed(text), .. } => {
            Some((at, text.to_string()))
        }
        _ => None,
    };
    world.events().filter_map(failed).collect()
}
