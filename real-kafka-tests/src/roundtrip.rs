//! What goes in comes out: every codec, keys, headers, timestamps, mixed sizes.

use std::time::Duration;

use producer_driver::api::{Acks, Codec, Config, Delivery, Handle, Header, Record};

use crate::kafka::{PARTITIONS, Topic, bootstrap};
use crate::number;
use crate::records::Sample;
use crate::runtime::{Runtime, Start};

/// Sends record `index` of the samples.
pub(crate) async fn send(producer: &Handle, topic: &str, index: u64) -> Delivery {
    let sample = Sample::new(index);
    let headers: Vec<Header<'_>> = sample
        .headers
        .iter()
        .map(|(name, value)| Header { name, value: value.as_deref() })
        .collect();
    let mut record = Record::to(topic).timestamp(sample.timestamp).headers(&headers);
    record.key = sample.key.as_deref();
    record.value = sample.value.as_deref();
    producer.send(record).await.expect("accepted")
}

/// Waits for all results: the place of each record.
pub(crate) async fn places(deliveries: Vec<Delivery>) -> Vec<(i32, i64)> {
    let mut places = Vec::with_capacity(deliveries.len());
    for (index, delivery) in deliveries.into_iter().enumerate() {
        let place = delivery.await.unwrap_or_else(|error| panic!("record {index}: {error}"));
        places.push((place.partition, place.offset.expect("acks=all gives an offset")));
    }
    places
}

async fn round_trip(start: Start<'_>, codec: Codec, configure: impl FnOnce(&mut Config)) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP") else { return };
    let topic = Topic::create(
        &bootstrap,
        &format!("{codec:?}").to_lowercase(),
        number("KAFKA_TEST_REPLICATION", 1),
    );
    let mut config = Config::new(&bootstrap);
    config.compression_type = codec;
    configure(&mut config);
    let producer = start(config);
    let mut deliveries = Vec::new();
    for index in 0..number("KAFKA_TEST_RECORDS", 50_000) {
        deliveries.push(send(&producer, &topic.name, index).await);
    }
    producer.flush().await;
    let places = places(deliveries).await;
    producer.close(None).await;
    topic.verify(&places);
}

on_each_runtime!(
    uncompressed,
    gzip,
    snappy,
    lz4,
    zstd,
    plain_and_large,
    a_topic_appears_when_it_is_first_used,
    acks_0_gives_no_offset,
);

fn uncompressed(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::None, |_| {}).await);
}

fn gzip(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Gzip, |_| {}).await);
}

fn snappy(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Snappy, |_| {}).await);
}

fn lz4(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Lz4, |_| {}).await);
}

fn zstd(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Zstd, |_| {}).await);
}

/// Without idempotence, on one thread, in large batches.
fn plain_and_large(runtime: Runtime) {
    runtime.run_on_one_thread(async |start| {
        round_trip(start, Codec::Lz4, |config| {
            config.enable_idempotence = Some(false);
            config.batch_size = 500_000;
            config.linger = Duration::from_millis(20);
        })
        .await;
    });
}

/// The first record makes the topic, where the cluster allows that.
fn a_topic_appears_when_it_is_first_used(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP") else { return };
    runtime.run_on_one_thread(async |start| {
        let topic = Topic::named(&bootstrap, "auto-create");
        let producer = start(Config::new(&bootstrap));
        let delivery = send(&producer, &topic.name, 0).await;
        assert_eq!(&**delivery.topic(), topic.name);
        assert_eq!(delivery.await.expect("delivered").offset, Some(0));
        producer.close(None).await;
    });
}

/// Acks 0 gives no offset, and yet everything arrives on a connection that holds.
fn acks_0_gives_no_offset(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP") else { return };
    runtime.run_on_one_thread(async |start| {
        let topic = Topic::create(&bootstrap, "acks0", 1);
        // A broker is named as the leader of a new partition before it leads. It closes the
        // connection then, with all that is on it, instead of an answer that nobody waits for.
        let producer = start(Config::new(&bootstrap));
        for partition in 0..PARTITIONS {
            let record = Record::to(&topic.name).partition(partition);
            let delivery = producer.send(record).await.expect("accepted");
            delivery.await.expect("a leader that leads");
        }
        producer.close(None).await;

        let mut config = Config::new(&bootstrap);
        config.acks = Acks::None;
        let producer = start(config);
        let mut deliveries = Vec::new();
        for index in 0..1000 {
            deliveries.push(send(&producer, &topic.name, index).await);
        }
        producer.close(None).await;
        for delivery in deliveries {
            assert_eq!(delivery.await.expect("handed over").offset, None);
        }
        assert_eq!(topic.end_offsets(), 1000 + PARTITIONS as u64);
    });
}
