//! A service that answers its clients when the record is in the log: each line `key value` that
//! comes over TCP becomes a record, and its answer says where it lies, or why it does not.
//!
//! ```sh
//! cargo run -p producer-tokio --example service                    # an embedded broker
//! cargo run -p producer-tokio --example service -- localhost:9092  # yours; topic "orders"
//! ```
//!
//! It brings some clients along, and ends when these have their answers.

use std::net::SocketAddr;
use std::time::Duration;
use std::{env, error, io};

use producer_sim::{ClusterConfig, NetCluster};
use producer_tokio::{Config, Delivery, Producer, Record, SendError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const CLIENTS: usize = 3;
const LINES: usize = 5;

/// How many lines of one client may wait for their answers before no more are read.
const PIPELINE: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn error::Error>> {
    let (bootstrap, _embedded) = match env::args().nth(1) {
        Some(bootstrap) => (bootstrap, None),
        None => {
            let net = NetCluster::start(ClusterConfig::new(1))?;
            (net.bootstrap(), Some(net))
        }
    };
    let producer = Producer::new(Config::new(bootstrap))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;

    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(client(address, number))).collect();
    let mut served = Vec::new();
    for _ in 0..CLIENTS {
        let (stream, _) = listener.accept().await?;
        served.push(tokio::spawn(serve(producer.clone(), stream)));
    }
    for task in served.into_iter().chain(clients) {
        task.await??;
    }
    // What a real service does when it is told to stop: no record is left behind.
    producer.close(Duration::from_secs(10)).await;
    Ok(())
}

/// Serves one client: lines are sent while earlier ones wait, and answered in their order.
async fn serve(producer: Producer, stream: TcpStream) -> io::Result<()> {
    let (input, output) = stream.into_split();
    let (accepted, answers) = mpsc::channel(PIPELINE);
    let answering = tokio::spawn(answer(answers, output));
    let mut lines = BufReader::new(input).lines();
    while let Some(line) = lines.next_line().await? {
        let (key, value) = line.split_once(' ').unwrap_or(("", &line));
        // Waits when the producer has no room: then this client is not read from either.
        let delivery = producer.send(Record::to("orders").key(key).value(value)).await;
        if accepted.send(delivery).await.is_err() {
            break; // the client is gone
        }
    }
    drop(accepted);
    answering.await.expect("answering does not panic")
}

/// Answers each line once its record has been acknowledged or has failed.
async fn answer(
    mut deliveries: mpsc::Receiver<Result<Delivery, SendError>>,
    mut output: impl AsyncWriteExt + Unpin,
) -> io::Result<()> {
    while let Some(delivery) = deliveries.recv().await {
        let answer = match delivery {
            Ok(delivery) => match delivery.await {
                Ok(place) => format!("ok {} {:?}\n", place.partition, place.offset),
                Err(error) => format!("lost {error}\n"),
            },
            Err(error) => format!("refused {error}\n"),
        };
        output.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn client(service: SocketAddr, number: usize) -> io::Result<()> {
    let (input, mut output) = TcpStream::connect(service).await?.into_split();
    for line in 0..LINES {
        output.write_all(format!("customer-{number} order-{line}\n").as_bytes()).await?;
    }
    let mut answers = BufReader::new(input).lines();
    for line in 0..LINES {
        let answer = answers.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        println!("client {number}, order {line}: {answer}");
    }
    Ok(())
}
