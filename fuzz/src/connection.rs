//! Everything that one connection may hear, in each of its phases: no panic, no hang, no record
//! without an outcome, nothing left behind.

use arbitrary::{Result, Unstructured};
use producer_proto::{Config, ConnectionId, Input, Receipt};
use producer_sim::{ApiKey, Cluster, ClusterConfig, NewRecord, Rule, TopicConfig, World};
use std::time::Duration;

const MAX_INPUTS: usize = 40;

/// What has happened on the connection before the input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It was asked for its versions.
    Versions,
    /// It was asked for metadata.
    Metadata,
    /// It was asked for a producer id.
    ProducerId,
    /// It is ready and has nothing to do.
    Idle,
    /// Produce requests are in flight.
    InFlight,
}

/// Phase, then frames and pieces of frames with some time between them.
pub fn run(input: &[u8]) {
    let mut from = Unstructured::new(input);
    // Input that ends too soon is no input.
    let Ok((mut world, conn)) = prepare(&mut from) else { return };
    for _ in 0..MAX_INPUTS {
        if from.is_empty() || hear(&mut world, conn, &mut from).is_err() {
            break;
        }
    }
    finish(&mut world);
}

/// A world with a connection in a phase. Broker 1 has answered nothing since.
fn prepare(from: &mut Unstructured<'_>) -> Result<(World, ConnectionId)> {
    let phases =
        [Phase::InFlight, Phase::Idle, Phase::ProducerId, Phase::Metadata, Phase::Versions];
    let phase = *from.choose(&phases)?;
    let mut config = Config::default();
    config.enable_idempotence = Some(from.arbitrary()?);
    if config.enable_idempotence == Some(false) && phase == Phase::ProducerId {
        config.enable_idempotence = Some(true);
    }
    config.linger = Duration::from_millis(1);
    config.request_timeout = Duration::from_secs(1);
    config.delivery_timeout = Some(Duration::from_secs(5));
    config.receive_message_max_bytes = 1 << 16;
    let mut cluster = Cluster::new(ClusterConfig::new(2));
    cluster.create_topic("t", TopicConfig::new(2));
    let apis = match phase {
        Phase::Versions => Some(ApiKey::ApiVersions),
        Phase::Metadata => Some(ApiKey::Metadata),
        Phase::ProducerId => Some(ApiKey::InitProducerId),
        Phase::Idle | Phase::InFlight => None,
    };
    if let Some(api) = apis {
        cluster.inject(Rule::on(api).broker(1).drop_answer().always());
    }
    config.bootstrap_servers = vec!["broker-1:9092".to_owned()];
    let mut world = World::new(cluster, config).expect("valid settings");
    world.topic("t");
    world.drain();
    world.run_for(Duration::from_millis(50));
    if matches!(phase, Phase::Idle | Phase::InFlight) {
        for partition in 0..2 {
            push(&mut world, partition);
        }
        assert!(world.settle(), "nothing stands in the way yet");
        world.cluster.inject(Rule::any().broker(1).drop_answer().always());
    }
    if phase == Phase::InFlight {
        for _ in 0..4 {
            push(&mut world, 0);
            let now = world.now();
            world.producer.flush(now);
            world.drain();
        }
        world.run_for(Duration::from_millis(5));
    }
    if phase == Phase::ProducerId {
        push(&mut world, 0);
        world.run_for(Duration::from_millis(20));
    }
    let conn = world.links(1).last().copied();
    // Without a connection there is nobody to hear.
    conn.map(|conn| (world, conn)).ok_or(arbitrary::Error::IncorrectFormat)
}

fn push(world: &mut World, partition: i32) -> Option<Receipt> {
    let record = NewRecord {
        topic: "t",
        partition: Some(partition),
        value: Some(b"value"),
        ..NewRecord::default()
    };
    world.try_push(&record).ok()
}

/// Bytes as they are, or as the body of a frame with a likely correlation id.
fn hear(world: &mut World, conn: ConnectionId, from: &mut Unstructured<'_>) -> Result<()> {
    let now = world.now();
    let (is_framed, wait): (bool, bool) = (from.arbitrary()?, from.arbitrary()?);
    let correlation = i32::from(from.arbitrary::<u8>()?);
    let len = from.int_in_range(0..=200)?.min(from.len());
    let bytes = from.bytes(len)?;
    let frame = if is_framed {
        let len = bytes.len() as i32 + 4;
        [&len.to_be_bytes(), &correlation.to_be_bytes(), bytes].concat()
    } else {
        bytes.to_vec()
    };
    let (head, tail) = frame.split_at(frame.len() / 2);
    for bytes in [head, tail] {
        world.producer.handle_input(now, Input::Received { conn, bytes });
        world.drain();
    }
    if wait {
        world.run_for(Duration::from_millis(from.int_in_range(0..=300)?));
    }
    Ok(())
}

/// The connection is reset, brokers answer again: all records get their outcomes, and new ones
/// get through unless the producer was told that it is of no use.
fn finish(world: &mut World) {
    world.cluster.clear_rules();
    world.cluster.close_connections(1);
    assert!(world.settle(), "{} records open", world.open_records());
    assert!(world.cluster.violations().is_empty(), "{:?}", world.cluster.violations());
    let stats = world.producer.stats();
    assert_eq!(stats.records_delivered + stats.records_failed, stats.records_pushed);
    assert!(world.close(Some(Duration::from_secs(5))), "closed by its deadline");
    world.run_for(Duration::from_secs(1));
    let stats = world.producer.stats();
    assert_eq!((stats.buffered_bytes, stats.lent_bytes), (0, 0));
    assert_eq!(world.producer.poll_timeout(), None);
}
