//! Brokers die while records flow.

use std::time::Duration;

use producer_tokio::{Config, Producer};
use tokio::sync::watch;

use crate::kafka::{Topic, bootstrap, run};
use crate::number;
use crate::roundtrip::{places, send};

/// Records between two pauses, and their length: 200,000 records take 25 s, so that whoever dies
/// for a third of the way stays dead for longer than the cluster takes to choose another leader.
const BURST: u64 = 400;
const PAUSE: Duration = Duration::from_millis(50);

/// Replication 3: while records flow, a broker is killed with -9 and revived, and then another.
/// Nothing lost, nothing doubled, order kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_brokers_are_killed_and_revived() {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_THREE") else { return };
    let topic = Topic::create(&bootstrap, "chaos", 3);
    let producer = Producer::new(Config::new(&bootstrap)).expect("valid settings");

    let records = number("KAFKA_TEST_CHAOS_RECORDS", 200_000);
    let (sent, mut percent) = watch::channel(0);
    let deaths = tokio::spawn(async move {
        for (at, what, broker) in
            [(10, "kill", "1"), (40, "revive", "1"), (50, "kill", "2"), (80, "revive", "2")]
        {
            percent.wait_for(|percent| *percent >= at).await.expect("records flow");
            eprintln!("{at} % sent: {what} {broker}");
            let act = move || drop(run([what, "three", broker]));
            tokio::task::spawn_blocking(act).await.expect("the script works");
        }
    });

    let mut deliveries = Vec::new();
    for index in 0..records {
        deliveries.push(send(&producer, &topic.name, index).await);
        if index % BURST == 0 {
            sent.send_replace(index * 100 / records);
            tokio::time::sleep(PAUSE).await;
        }
    }
    deaths.await.expect("brokers were killed and revived");
    let places = places(deliveries).await;
    let stats = producer.stats();
    producer.close(None).await;
    eprintln!("on the way: {stats:?}");
    topic.verify(&places);
}
