//! The producer in somebody's own loop: counted wake-ups, tokens, look-ups.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::{cluster, order, values};
use mio::{Events, Poll, Token, Waker};
use producer_mio::{Answer, Config, EventLoop, Handle, Record, SendErrorKind, StartError};

/// An address where nobody listens.
fn nowhere() -> Config {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Config::new(listener.local_addr().unwrap().to_string())
}

/// A loop with nothing but a producer in it.
#[derive(Debug)]
struct Loop {
    poll: Poll,
    events: Events,
    kafka: EventLoop,
}

impl Loop {
    fn new(config: &Config, tokens: Range<usize>) -> Result<(Handle, Self), StartError> {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(tokens.start)).unwrap());
        let (producer, kafka) = EventLoop::new(config, poll.registry(), tokens, waker)?;
        Ok((producer, Self { poll, events: Events::with_capacity(16), kafka }))
    }

    /// One round, which sleeps no longer than 50 ms. False when the producer is closed.
    fn round(&mut self) -> bool {
        if !self.kafka.turn() {
            return false;
        }
        let limit = Duration::from_millis(50);
        let timeout = self.kafka.next_timeout().map_or(limit, |timeout| timeout.min(limit));
        self.poll.poll(&mut self.events, Some(timeout)).unwrap();
        for event in &self.events {
            assert!(self.kafka.handle_event(event), "{event:?} is the producer's");
        }
        true
    }

    fn until(&mut self, mut is_done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_done() {
            assert!(self.round(), "closed too early");
            assert!(start.elapsed() < Duration::from_secs(10), "this takes too long");
        }
    }
}

#[test]
fn a_loop_delivers_and_sleeps_when_idle() {
    let net = cluster(3);
    let (producer, mut own) = Loop::new(&Config::new(net.bootstrap()), 10..100).unwrap();
    let admissions: Vec<_> = (0..4)
        .map(|partition| producer.send(Record::to("orders").partition(partition).value("x")))
        .collect();
    let flush = producer.flush();
    own.until(|| producer.stats().records_delivered == 4);
    flush.wait();
    for admission in admissions {
        admission.wait().unwrap().wait().unwrap();
    }
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_millis(50) {
        own.round();
        rounds += 1;
    }
    assert!(rounds < 8, "{rounds} rounds in 50 ms");
    let close = producer.close(None);
    while own.round() {}
    close.wait();
}

#[test]
fn other_threads_wake_the_loop() {
    let net = cluster(1);
    let (producer, mut own) = Loop::new(&Config::new(net.bootstrap()), 10..100).unwrap();
    let other = std::thread::spawn(move || {
        for i in 0..20 {
            producer.send(order(&i.to_string())).wait().unwrap().wait().unwrap();
        }
        producer.close(None).wait();
    });
    while own.round() {}
    other.join().unwrap();
    assert_eq!(values(&net, 0).len(), 20);
}

#[test]
fn names_are_looked_up_by_the_callers_resolver() {
    let net = cluster(1);
    let broker = net.addresses()[0];
    let config = Config::new(format!("kafka.example:{}", broker.port()));
    let (producer, mut own) = Loop::new(&config, 10..100).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    own.kafka.set_resolver(move |host: Arc<str>, _port: u16, answer: Answer| {
        assert_eq!(&*host, "kafka.example");
        // The first is forgotten, which is a failure like others.
        if count.fetch_add(1, Ordering::Relaxed) > 0 {
            answer.give(Ok(vec![broker]));
        }
    });
    let admission = producer.send(order("x"));
    own.until(|| producer.stats().records_delivered == 1);
    admission.wait().unwrap().wait().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn tokens_are_used_again_and_too_few_are_an_error() {
    let error = Loop::new(&nowhere(), 5..7).unwrap_err();
    assert!(error.to_string().contains("5..7"), "{error}");

    // Two sockets: one for the bootstrap connection, one for the broker, again and again.
    let net = cluster(1);
    let (producer, mut own) = Loop::new(&Config::new(net.bootstrap()), 5..8).unwrap();
    for i in 1..=10 {
        let _admission = producer.send(order("x"));
        own.until(|| producer.stats().records_delivered == i);
        net.with(|cluster| cluster.close_connections(1));
    }
}

#[test]
fn dropping_the_loop_answers_everybody() {
    let (producer, mut own) = Loop::new(&nowhere(), 10..100).unwrap();
    let (admission, flush) = (producer.send(order("x")), producer.flush());
    own.round();
    let start = Instant::now();
    drop(own);
    assert_eq!(*admission.wait().unwrap_err().kind(), SendErrorKind::Closed);
    flush.wait();
    producer.close(None).wait();
    assert!(start.elapsed() < Duration::from_millis(50));
}
