//! Brokers die while records flow.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use producer_driver::api::Config;

use crate::kafka::{Topic, bootstrap, run};
use crate::number;
use crate::roundtrip::{places, send};
use crate::runtime::Runtime;

/// Pauses on the way, and their length: all records take 25 s, however many they are, so that
/// whoever dies for a third of the way stays dead for longer than the cluster takes to choose
/// another leader.
const PAUSES: u64 = 500;
const PAUSE: Duration = Duration::from_millis(50);

on_each_runtime!(two_brokers_are_killed_and_revived);

/// Replication 3: while records flow, a broker is killed with -9 and revived, and then another.
/// Nothing lost, nothing doubled, order kept.
fn two_brokers_are_killed_and_revived(runtime: Runtime) {
    let Some(bootstrap) = bootstrap("KAFKA_BOOTSTRAP_THREE") else { return };
    let topic = Topic::create(&bootstrap, "chaos", 3);
    let records = number("KAFKA_TEST_CHAOS_RECORDS", 200_000);
    let (sent, percent) = mpsc::channel();
    let deaths = thread::spawn(move || {
        for (at, what, broker) in
            [(10, "kill", "1"), (40, "revive", "1"), (50, "kill", "2"), (80, "revive", "2")]
        {
            while percent.recv().expect("records flow") < at {}
            eprintln!("{at} % sent: {what} {broker}");
            run([what, "three", broker]);
        }
    });
    runtime.run(async |start| {
        let producer = start(Config::new(&bootstrap));
        let burst = records.div_ceil(PAUSES);
        let mut deliveries = Vec::new();
        for index in 0..records {
            deliveries.push(send(&producer, &topic.name, index).await);
            if index % burst == 0 {
                // Nobody listens any more once all have died and come back.
                let _ = sent.send(index * 100 / records);
                smol::Timer::after(PAUSE).await;
            }
        }
        deaths.join().expect("brokers were killed and revived");
        let places = places(deliveries).await;
        let stats = producer.stats();
        producer.close(None).await;
        eprintln!("on the way: {stats:?}");
        topic.verify(&places);
    });
}
