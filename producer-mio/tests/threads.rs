//! One thread while the producer lives, none after. Alone in its file: the threads of other tests
//! would be counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::{Duration, Instant};
use std::{fs, thread};

use common::{cluster, nowhere, order, values};
use producer_mio::{Config, Producer};

/// How many threads of this process have this name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    // A thread may end between the two calls.
    names.filter(|it| it.as_ref().is_ok_and(|it| it.trim() == name)).count()
}

#[test]
fn a_producer_has_one_thread_which_ends_with_the_close() {
    let net = cluster(20);
    let producer = Producer::spawn(Config::new(net.bootstrap())).unwrap();
    for _ in 0..50 {
        producer.send_sync(order("x")).unwrap();
    }
    assert_eq!(threads("producer"), 1);
    producer.close(None);
    assert_eq!(threads("producer"), 0);
    assert_eq!(values(&net, 0).len(), 50);

    // Dropped without a close, with records that cannot be delivered.
    let mut config = nowhere();
    config.linger = Duration::ZERO;
    config.request_timeout = Duration::from_millis(10);
    config.delivery_timeout = Some(Duration::from_millis(20));
    config.max_block = Duration::from_millis(20);
    let producer = Producer::spawn(config).unwrap();
    let admission = producer.handle().send(order("x"));
    drop(producer);
    // The answer comes from the thread: from here on it has its name.
    admission.wait().unwrap_err();
    let begin = Instant::now();
    while threads("producer") > 0 {
        assert!(begin.elapsed().as_secs() < 10, "the thread does not end");
        thread::sleep(Duration::from_millis(1));
    }
}
