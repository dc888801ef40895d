//! Sends the lines of a file, this one, as a smol program would: a task reads and sends, another
//! takes the results as they come, and memory stays bounded however long the file is.
//!
//! ```sh
//! cargo run -p producer-smol --example lines                    # an embedded broker
//! cargo run -p producer-smol --example lines -- localhost:9092  # yours; topic "lines"
//! ```

use std::time::Duration;
use std::{env, error};

use producer_sim::{ClusterConfig, NetCluster};
use producer_smol::{Config, Deliveries, DeliverySender, Producer, Record};
use smol::fs::File;
use smol::io::{AsyncBufReadExt, BufReader};
use smol::stream::StreamExt;

/// What goes with a record and comes back with its result: the line's number.
type Line = usize;

fn main() -> Result<(), Box<dyn error::Error>> {
    let (bootstrap, _embedded) = match env::args().nth(1) {
        Some(bootstrap) => (bootstrap, None),
        None => {
            let net = NetCluster::start(ClusterConfig::new(1))?;
            (net.bootstrap(), Some(net))
        }
    };
    // The producer's driver is a task of this executor, beside the program's own.
    let executor = smol::Executor::new();
    let (producer, driver) = Producer::new(Config::new(bootstrap))?;
    executor.spawn(driver).detach();
    smol::block_on(executor.run(async {
        let (sender, results) = producer.deliveries();
        let printing = executor.spawn(print(results));
        let sent = send(sender).await?;
        let delivered = printing.await;
        producer.close(Duration::from_secs(10)).await;
        println!("{delivered} of {sent} lines delivered");
        if delivered < sent { Err("not every line was delivered".into()) } else { Ok(()) }
    }))
}

/// Sends each line; waits while the producer has no room.
async fn send(sender: DeliverySender<Line>) -> std::io::Result<usize> {
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/lines.rs")).await?;
    let mut lines = BufReader::new(file).lines().enumerate();
    let mut sent = 0;
    while let Some((number, line)) = lines.next().await {
        sender.send(Record::to("lines").value(&line?), number + 1).await;
        sent += 1;
    }
    Ok(sent)
}

/// Tells where each line lies; ends when the sender is gone and every result is told.
async fn print(mut results: Deliveries<Line>) -> usize {
    let mut delivered = 0;
    while let Some(result) = results.next().await {
        match result.result {
            Ok(place) => {
                println!("line {} has offset {:?}", result.context, place.offset);
                delivered += 1;
            }
            Err(error) => println!("line {} is lost: {error}", result.context),
        }
    }
    delivered
}
