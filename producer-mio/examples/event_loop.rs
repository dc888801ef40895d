//! A UDP service that puts each datagram into Kafka and answers with its place: one thread, one
//! mio loop, with the service's socket next to those of the producer.
//!
//! ```sh
//! cargo run -p producer-mio --example event_loop                    # an embedded broker
//! cargo run -p producer-mio --example event_loop -- localhost:9092  # yours; topic "datagrams"
//! ```
//!
//! It brings one client along, and ends when that has its answers.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::{env, io, thread};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use producer_mio::{Config, DeliverySender, EventLoop, Record};
use producer_sim::{ClusterConfig, NetCluster};

/// The service's socket. The producer's tokens are those from 100 on, its first is the waker's.
const SERVICE: Token = Token(0);
const WAKER: Token = Token(100);

/// How many datagrams the client sends.
const DATAGRAMS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let (bootstrap, _embedded) = match env::args().nth(1) {
        Some(bootstrap) => (bootstrap, None),
        None => {
            let net = NetCluster::start(ClusterConfig::new(1))?;
            (net.bootstrap(), Some(net))
        }
    };

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    let mut service = UdpSocket::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut service, SERVICE, Interest::READABLE)?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let config = Config::new(bootstrap);
    let (producer, mut kafka) = EventLoop::new(&config, poll.registry(), WAKER.0..1_000, waker)?;
    // Each result comes with the address of whoever is to be told.
    let (sender, mut results) = producer.deliveries();

    let address = service.local_addr()?;
    let client = thread::spawn(move || client(address));
    let mut answered = 0;
    while kafka.turn() {
        while let Some(delivered) = results.try_next() {
            let answer = match delivered.result {
                Ok(place) => format!("partition {}, offset {:?}", place.partition, place.offset),
                Err(error) => format!("lost: {error}"),
            };
            service.send_to(answer.as_bytes(), delivered.context)?;
            answered += 1;
            if answered == DATAGRAMS {
                // The close goes on without anybody waiting for it: `turn` says when it is done.
                drop(producer.close(None));
            }
        }
        match poll.poll(&mut events, kafka.next_timeout()) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled?,
        }
        for event in &events {
            if !kafka.handle_event(event) && event.token() == SERVICE {
                receive(&service, &sender)?;
            }
        }
    }
    client.join().expect("the client does not panic")?;
    Ok(())
}

/// Takes all datagrams that are there; mio tells of new ones only.
fn receive(service: &UdpSocket, sender: &DeliverySender<SocketAddr>) -> io::Result<()> {
    let mut buffer = [0; 1_500];
    loop {
        match service.recv_from(&mut buffer) {
            Ok((length, peer)) => {
                let record = Record::to("datagrams").value(&buffer[..length]);
                // That it is accepted needs no waiting for: if not, that is its result.
                drop(sender.send(record, peer));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn client(service: SocketAddr) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0))?;
    for i in 0..DATAGRAMS {
        socket.send_to(format!("datagram {i}").as_bytes(), service)?;
    }
    let mut buffer = [0; 1_500];
    for _ in 0..DATAGRAMS {
        let length = socket.recv(&mut buffer)?;
        println!("{}", String::from_utf8_lossy(&buffer[..length]));
    }
    Ok(())
}
