//! A close ends the thread before it returns. Alone in its file: the threads of other tests would
//! be counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use producer_mio::{Config, Producer, Record};
use producer_sim::{ClusterConfig, NetCluster};

/// How many threads of this process have this name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    // A thread may end between the two calls.
    names.filter(|it| it.as_ref().is_ok_and(|it| it.trim() == name)).count()
}

#[test]
fn the_thread_has_ended_when_close_returns() {
    let net = NetCluster::start(ClusterConfig::new(3)).unwrap();
    let producer = Producer::spawn(Config::new(net.bootstrap())).unwrap();
    producer.send_sync(Record::to("orders").value("x")).unwrap();
    assert_eq!(threads("producer"), 1);
    producer.close(None);
    // The system takes a thread off its list a moment after it has told who joined it.
    let end = Instant::now() + Duration::from_secs(5);
    while threads("producer") > 0 {
        assert!(Instant::now() < end, "the thread goes on");
        thread::yield_now();
    }
}
