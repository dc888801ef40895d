//! The same brokers on real sockets, spoken to by hand.

use crate::client::{batch, decode, frame, produce_request};
use producer_sim::{ApiKey, ClusterConfig, NetCluster, ResponseKind, Rule, TopicConfig};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn start() -> NetCluster {
    let net = NetCluster::start(ClusterConfig::new(2)).unwrap();
    net.with(|cluster| cluster.create_topic("t", TopicConfig::new(2)));
    net
}

fn connect(net: &NetCluster) -> TcpStream {
    let stream = TcpStream::connect(net.addresses()[0]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes).unwrap();
    let length = u32::from_be_bytes(*bytes.first_chunk().unwrap());
    bytes.resize(4 + usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut bytes[4..]).unwrap();
    bytes
}

fn ask(stream: &mut TcpStream, correlation: i32) -> (i32, i16) {
    let request = produce_request("t", 0, batch(-1, -1, -1, 3));
    stream.write_all(&frame(ApiKey::Produce, 9, correlation, &request)).unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> (i32, i16) {
    match decode(ApiKey::Produce, 9, &read_frame(stream)) {
        (id, ResponseKind::Produce(r)) => (id, r.responses[0].partition_responses[0].error_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_answers_over_tcp() {
    let net = start();
    let mut stream = connect(&net);
    assert_eq!(ask(&mut stream, 5), (5, 0));
    net.with(|cluster| {
        assert_eq!(cluster.log_end("t", 0), 3);
        assert_eq!(cluster.violations(), []);
        assert_eq!(cluster.connections(1).len(), 1);
    });
    drop(stream);
}

#[test]
fn late_and_held_answers_arrive_without_further_requests() {
    let net = start();
    let mut stream = connect(&net);
    net.with(|cluster| cluster.inject(Rule::any().delay(Duration::from_millis(20))));
    let before = Instant::now();
    assert_eq!(ask(&mut stream, 1), (1, 0));
    assert!(before.elapsed() >= Duration::from_millis(20));
    let held = net.with(|cluster| cluster.inject(Rule::any().hold()));
    let request = produce_request("t", 0, batch(-1, -1, -1, 3));
    stream.write_all(&frame(ApiKey::Produce, 9, 2, &request)).unwrap();
    while net.with(|cluster| cluster.rule_hits(held)) == 0 {
        std::thread::yield_now();
    }
    net.with(|cluster| cluster.release(net.now(), held));
    assert_eq!(answer(&mut stream), (2, 0));
}

#[test]
fn a_stopped_cluster_leaves_no_client_waiting() {
    let net = start();
    let mut stream = connect(&net);
    assert_eq!(ask(&mut stream, 1), (1, 0));
    let address = net.addresses()[0];
    drop(net);
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(_) => panic!("unasked bytes"),
    }
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_broker_that_went_down_closes_its_connections() {
    let net = start();
    let mut stream = connect(&net);
    assert_eq!(ask(&mut stream, 1), (1, 0));
    net.with(|cluster| cluster.set_up(1, false));
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}
