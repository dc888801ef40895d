//! A broker from before record batches: 0.10, whose format is message set v1.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use producer_driver::api::{Codec, Config, Header, Record};

use crate::describing::describe;
use crate::kafka::{Topic, bootstrap, script};
use crate::number;
use crate::records::Sample;
use crate::roundtrip::places;
use crate::runtime::{Runtime, Start};

fn config(bootstrap: &str) -> Config {
    let mut config = Config::new(bootstrap);
    config.enable_idempotence = Some(false);
    config.max_block = Duration::from_secs(20);
    config
}

/// Time of record 0. Not long ago, as this broker clears away what is older than a week; record
/// `i` has this plus `i` milliseconds, which tells the records apart.
fn epoch(records: u64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    i64::try_from(now).expect("a time") - i64::try_from(records).expect("a number")
}

async fn round_trip(start: Start<'_>, codec: Codec) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_LEGACY") else { return };
    let topic = Topic::name(&format!("legacy-{codec:?}"));
    let records = number("KAFKA_TEST_LEGACY_RECORDS", 10_000);
    let epoch = epoch(records);
    let mut config = config(&bootstrap);
    config.compression_type = codec;
    let producer = start(config);
    let mut deliveries = Vec::new();
    for index in 0..records {
        let sample = Sample::new(index);
        let mut record = Record::to(&topic).timestamp(epoch + index as i64);
        (record.key, record.value) = (sample.key.as_deref(), sample.value.as_deref());
        deliveries.push(producer.send(record).await.expect("accepted"));
    }
    producer.flush().await;
    let places = places(deliveries).await;
    producer.close(None).await;
    verify(&bootstrap, &topic, epoch, &places);
}

/// Reads the topic with the console consumer of the broker's own age. It prints neither partition
/// nor offset: these are as the producer was told, so each partition must have been told offsets
/// without a gap, and must come back in their order.
fn verify(bootstrap: &str, topic: &str, epoch: i64, places: &[(i32, i64)]) {
    let mut ends = std::collections::BTreeMap::new();
    for &(partition, offset) in places {
        let end = ends.entry(partition).or_insert(0);
        assert_eq!(offset, *end, "offsets of partition {partition}");
        *end += 1;
    }
    let mut consumer = script(["old-tool", "kafka.tools.ConsoleConsumer"]);
    consumer.args(["--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning"]);
    consumer.args(["--property", "print.timestamp=true", "--property", "print.key=true"]);
    consumer.args(["--max-messages", &places.len().to_string(), "--timeout-ms", "60000"]);
    let mut consumer = consumer.stdout(Stdio::piped()).spawn().expect("console consumer starts");
    let mut lines = BufReader::new(consumer.stdout.take().expect("piped"));
    let mut read = std::collections::BTreeMap::new();
    let (mut count, mut line) = (0, Vec::new());
    while lines.read_until(b'\n', &mut line).expect("console consumer's output") > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let mut fields = text.splitn(2, |&byte| byte == b'\t');
        let time = fields.next().and_then(|time| time.strip_prefix(b"CreateTime:"));
        let time = std::str::from_utf8(time.expect("a time")).expect("digits");
        let index = time.parse::<i64>().expect("a number") - epoch;
        let index = usize::try_from(index).expect("a record of ours");
        let sample = Sample::new(index as u64);
        let null = b"null".to_vec();
        let [key, value] =
            [sample.key, sample.value].map(|part| part.unwrap_or_else(|| null.clone()));
        let expected = [&key[..], b"\t", &value].concat();
        assert!(fields.next() == Some(&expected[..]), "bytes of record {index} differ");
        let (partition, offset) = places[index];
        let next = read.entry(partition).or_insert(0);
        assert_eq!(offset, *next, "record {index} in partition {partition}");
        *next += 1;
        count += 1;
        line.clear();
    }
    assert!(consumer.wait().expect("console consumer ends").success());
    assert_eq!((count, read), (places.len(), ends));
}

on_each_runtime!(
    uncompressed,
    gzip,
    snappy,
    lz4,
    as_if_it_were_older_still,
    headers_are_refused_alone,
    what_it_cannot_do_is_named,
    topics_have_partitions_and_leaders,
);

fn uncompressed(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::None).await);
}

fn gzip(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Gzip).await);
}

fn snappy(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Snappy).await);
}

fn lz4(runtime: Runtime) {
    runtime.run(async |start| round_trip(start, Codec::Lz4).await);
}

/// Message set v0 by the setting for brokers that cannot be asked; this one takes it as well.
fn as_if_it_were_older_still(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_LEGACY") else { return };
    runtime.run_on_one_thread(async |start| {
        for (version, codec) in [("0.8", Codec::Gzip), ("0.9", Codec::Lz4)] {
            let topic = Topic::name("legacy-v0");
            let mut config =
                Config::from_properties([("assume.broker.version", version)]).expect("known");
            config.bootstrap_servers = vec![bootstrap.clone()];
            config.enable_idempotence = Some(false);
            config.compression_type = codec;
            let producer = start(config);
            let mut deliveries = Vec::new();
            for _ in 0..100 {
                let record = Record::to(&topic).partition(0).value("the same again and again");
                deliveries.push(producer.send(record).await.expect("accepted"));
            }
            let places = places(deliveries).await;
            assert!(places.into_iter().eq((0..100).map(|offset| (0, offset))));
            producer.close(None).await;
        }
    });
}

/// A record with headers fails alone, and the error says what the broker speaks.
fn headers_are_refused_alone(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_LEGACY") else { return };
    runtime.run_on_one_thread(async |start| {
        let topic = Topic::name("legacy-headers");
        let mut config = config(&bootstrap);
        config.linger = Duration::from_millis(50);
        let producer = start(config);
        let headers = [Header { name: "name", value: Some(b"value") }];
        let mut deliveries = Vec::new();
        for headers in [&[][..], &headers, &[]] {
            let record = Record::to(&topic).partition(0).value("v").headers(headers);
            deliveries.push(producer.send(record).await.expect("accepted"));
        }
        let mut results = Vec::new();
        for delivery in deliveries {
            results.push(delivery.await);
        }
        let error = results.remove(1).expect_err("has headers").to_string();
        for part in [&bootstrap, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "Produce 0 to 2", "headers"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        let offsets: Vec<_> =
            results.into_iter().map(|place| place.expect("fits").offset).collect();
        assert_eq!(offsets, [Some(0), Some(1)]);
        producer.close(None).await;
    });
}

/// What this broker cannot do fails with its name, its versions and the setting to change.
fn what_it_cannot_do_is_named(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_LEGACY") else { return };
    let mut zstd = config(&bootstrap);
    zstd.compression_type = Codec::Zstd;
    let no_ids = "InitProducerId: we speak 0 to 5, the broker does not announce it";
    runtime.run_on_one_thread(async |start| {
        for (config, parts) in [
            (Config::new(&bootstrap), [no_ids, "enable.idempotence=false"]),
            (zstd, ["compression.type = zstd", "Produce 7"]),
        ] {
            let producer = start(config);
            let record = Record::to("anything").value("v");
            let delivery = producer.send(record).await.expect("accepted");
            let error = delivery.await.expect_err("cannot be delivered").to_string();
            for part in [bootstrap.as_str()].into_iter().chain(parts) {
                assert!(error.contains(part), "{part:?} is not in: {error}");
            }
            producer.close(Duration::from_secs(1)).await;
        }
    });
}

/// A broker that creates what it is asked for is asked so that it does not.
fn topics_have_partitions_and_leaders(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_LEGACY") else { return };
    let topic = Topic::name("legacy-describe");
    runtime.run_on_one_thread(async |start| describe(start, config(&bootstrap), &topic).await);
}
