//! HOS: what a hostile broker can make the producer spend. Memory is that of the process, as the
//! allocator counts it; work is counted in allocations and in bytes allocated, which grow with
//! every element that is built, copied or moved to a larger buffer. The simulated broker and its
//! network are counted too, so the bounds hold for the producer all the more.
//!
//! One test, because the counter is the process's.
#![allow(clippy::unwrap_used)]

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, NodeEndpoint, PartitionProduceResponse,
};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use producer_proto::Config;
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, Cut, ResponseError, ResponseKind, Rule, TopicConfig, World,
};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const KIB: u64 = 1 << 10;
/// What a producer at rest may hold besides: buffers that are kept, events, traces.
const SLACK: u64 = 256 * KIB;

fn config() -> Config {
    let mut config = Config::default();
    config.linger = Duration::ZERO;
    config
}

/// A producer with one broker and one partition.
fn world(config: Config) -> World {
    let mut cluster = Cluster::new(ClusterConfig::new(1));
    cluster.create_topic("t", TopicConfig::new(1));
    World::new(cluster, config).unwrap()
}

/// The same, connected, with a record delivered.
fn warm(config: Config) -> World {
    let mut world = world(config);
    world.send("t", b"v");
    assert!(world.settle());
    world
}

/// Lets the broker say something that nobody asked for.
fn say(world: &mut World, bytes: Vec<u8>) {
    let conn = *world.cluster.connections(1).last().unwrap();
    let now = world.now();
    world.cluster.send_raw(now, conn, bytes);
    world.run_for(Duration::from_millis(2));
}

fn held() -> u64 {
    dhat::HeapStats::get().curr_bytes as u64
}

#[test]
fn a_hostile_broker_costs_no_more_than_the_bytes_it_sends() {
    let _profiler = dhat::Profiler::builder().testing().build();
    a_length_alone_takes_no_memory();
    a_frame_in_pieces_is_held_once_and_up_to_the_limit();
    the_cost_of_an_answer_is_linear();
    the_cost_of_cuts_is_linear();
}

/// A frame of 100 MiB is announced, and nothing follows.
fn a_length_alone_takes_no_memory() {
    let mut world = warm(config());
    let before = held();
    say(&mut world, (100i32 << 20).to_be_bytes().to_vec());
    say(&mut world, vec![0; 100]);
    let growth = held().saturating_sub(before);
    assert!(growth < SLACK, "{growth} bytes for a frame of which 104 bytes came");
}

fn a_frame_in_pieces_is_held_once_and_up_to_the_limit() {
    const LIMIT: u64 = 1 << 20;
    let mut config = config();
    config.receive_message_max_bytes = LIMIT as usize;
    let mut world = warm(config);
    let (before, total) = (held(), dhat::HeapStats::get().total_bytes);
    say(&mut world, (LIMIT as i32).to_be_bytes().to_vec());
    for _ in 1..LIMIT / KIB {
        say(&mut world, vec![0x55; KIB as usize]);
    }
    let growth = held() - before;
    assert!(growth > LIMIT / 2, "the frame is not complete, so it is held: {growth}");
    assert!(growth < 2 * LIMIT + SLACK, "{growth} bytes held for a limit of {LIMIT}");
    let spent = dhat::HeapStats::get().total_bytes - total;
    assert!(spent < 16 * LIMIT, "{spent} bytes allocated to read {LIMIT}");
    // Its last bytes: nobody asked for it, so the connection goes, and with it the memory.
    say(&mut world, vec![0x55; KIB as usize]);
    assert_eq!(world.producer.stats().protocol_errors, 1);
    assert!(held().saturating_sub(before) < SLACK, "{} bytes kept", held() - before);
    // One byte more is refused by its length alone.
    world.send("t", b"v");
    assert!(world.settle());
    say(&mut world, (LIMIT as i32 + 1).to_be_bytes().to_vec());
    assert_eq!(world.producer.stats().protocol_errors, 2);
    assert!(held().saturating_sub(before) < SLACK);
}

/// Puts `n` of something into answers.
type Swell = fn(&mut ResponseKind, i32);

const CASES: [(&str, ApiKey, Swell); 9] = [
    ("partitions of a topic", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        let partition = |i| {
            MetadataResponsePartition::default().with_partition_index(i).with_leader_id(1.into())
        };
        r.topics.iter_mut().for_each(|topic| topic.partitions.extend((1..n).map(partition)));
    }),
    ("the same partition", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        let partition = |_| MetadataResponsePartition::default().with_leader_id(1.into());
        r.topics.iter_mut().for_each(|topic| topic.partitions.extend((1..n).map(partition)));
    }),
    ("topics that nobody asked for", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        r.topics.extend((0..n).map(|i| {
            let name = TopicName(StrBytes::from_string(format!("topic-{i}")));
            MetadataResponseTopic::default().with_name(Some(name))
        }));
    }),
    ("brokers", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        r.brokers.extend((2..n).map(|i| {
            let host = StrBytes::from_string(format!("broker-{i}"));
            MetadataResponseBroker::default().with_node_id(i.into()).with_host(host).with_port(9092)
        }));
    }),
    ("brokers of one id", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        r.brokers.extend((0..n).map(|i| {
            let host = StrBytes::from_string(format!("other-{i}"));
            MetadataResponseBroker::default().with_node_id(2.into()).with_host(host).with_port(9092)
        }));
    }),
    ("replicas of a partition", ApiKey::Metadata, |response, n| {
        let ResponseKind::Metadata(r) = response else { return };
        for partition in r.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.replica_nodes.extend((0..n).map(BrokerId));
        }
    }),
    ("API versions", ApiKey::ApiVersions, |response, n| {
        let ResponseKind::ApiVersions(r) = response else { return };
        let key = |i: i32| ApiVersion::default().with_api_key((i % 30_000) as i16 + 1_000);
        r.api_keys.extend((0..n).map(key));
    }),
    ("partitions that were not sent", ApiKey::Produce, |response, n| {
        let ResponseKind::Produce(r) = response else { return };
        let partition = |i| PartitionProduceResponse::default().with_index(i);
        r.responses.iter_mut().for_each(|t| t.partition_responses.extend((1..n).map(partition)));
        r.node_endpoints.extend((2..n).map(|i| NodeEndpoint::default().with_node_id(i.into())));
    }),
    ("record errors", ApiKey::Produce, |response, n| {
        let ResponseKind::Produce(r) = response else { return };
        for partition in r.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            partition.error_code = ResponseError::InvalidRecord.code();
            let error = |i| BatchIndexAndErrorMessage::default().with_batch_index(i);
            partition.record_errors.extend((0..n).map(error));
        }
    }),
];

/// Allocations and bytes allocated until one record has its outcome, with every answer of an API
/// swollen.
fn cost(api: ApiKey, swell: Swell, n: i32) -> (u64, u64) {
    let mut world = world(config());
    world.cluster.inject(Rule::on(api).always().edit_response(move |r| swell(r, n)));
    let before = dhat::HeapStats::get();
    world.send("t", b"v");
    assert!(world.settle());
    let after = dhat::HeapStats::get();
    (after.total_blocks - before.total_blocks, after.total_bytes - before.total_bytes)
}

/// Four times as much of it costs four times as much, not sixteen.
fn the_cost_of_an_answer_is_linear() {
    for (what, api, swell) in CASES {
        let (small, large) = (cost(api, swell, 2_000), cost(api, swell, 8_000));
        for (unit, small, large) in [("allocations", small.0, large.0), ("bytes", small.1, large.1)]
        {
            assert!(large < 6 * small, "{what}: {small} {unit} for 2,000, {large} for 8,000");
        }
    }
}

/// An answer of `n` partitions, byte by byte.
fn cost_of_cuts(n: i32) -> (u64, u64) {
    let mut world = world(config());
    world.set_cut(Cut::Every(1));
    let (_, api, swell) = CASES[0];
    world.cluster.inject(Rule::on(api).edit_response(move |r| swell(r, n)));
    let before = dhat::HeapStats::get();
    world.send("t", b"v");
    assert!(world.settle());
    let after = dhat::HeapStats::get();
    (after.total_blocks - before.total_blocks, after.total_bytes - before.total_bytes)
}

fn the_cost_of_cuts_is_linear() {
    let (small, large) = (cost_of_cuts(500), cost_of_cuts(2_000));
    assert!(large.0 < 6 * small.0, "{} allocations, then {}", small.0, large.0);
    assert!(large.1 < 6 * small.1, "{} bytes, then {}", small.1, large.1);
}
