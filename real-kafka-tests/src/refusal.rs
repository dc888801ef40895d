//! What real brokers refuse, and how that is told.

use std::time::Duration;

use producer_driver::api::{Config, Record};

use crate::kafka::{Topic, bootstrap, run};
use crate::runtime::Runtime;

on_each_runtime!(a_record_that_the_topic_is_too_small_for);

/// The topic's own limit is below the producer's: the batch is split, and what is alone too
/// large fails with Kafka's name for it.
fn a_record_that_the_topic_is_too_small_for(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP") else { return };
    let topic = Topic::create(&bootstrap, "small", 1);
    run([
        "tool",
        "kafka.admin.ConfigCommand",
        "--bootstrap-server",
        &bootstrap,
        "--alter",
        "--topic",
        &topic.name,
        "--add-config",
        "max.message.bytes=2000",
    ]);
    let mut config = Config::new(&bootstrap);
    config.linger = Duration::from_millis(50);
    runtime.run_on_one_thread(async |start| {
        let producer = start(config);
        let (small, large) = (vec![b's'; 900], vec![b'l'; 3000]);
        let mut deliveries = Vec::new();
        for value in [&small, &large, &small, &small, &small] {
            let record = Record::to(&topic.name).partition(0).value(value);
            deliveries.push(producer.send(record).await.expect("accepted"));
        }
        producer.flush().await;
        let mut results = Vec::new();
        for delivery in deliveries {
            results.push(delivery.await);
        }
        let error = results.remove(1).expect_err("3000 bytes do not fit");
        assert_eq!(error.error.name(), "MESSAGE_TOO_LARGE");
        let offsets: Vec<_> =
            results.into_iter().map(|place| place.expect("fits").offset).collect();
        assert_eq!(offsets, [Some(0), Some(1), Some(2), Some(3)]);
        producer.close(None).await;
    });
}
