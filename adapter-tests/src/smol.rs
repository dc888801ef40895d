//! smol: an executor with one thread, and async-io's reactor.

use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use producer_driver::Handle;
use producer_driver::proto::Config;
use producer_sim::conformance::{Adapter, Task};
use producer_smol::Producer;
use smol::Executor;
use smol::channel::{Sender, bounded};

use crate::{Api, Subject};

/// `producer_smol::Producer::new`, spawned on an executor.
#[derive(Debug)]
pub struct Smol;

impl Api for Producer {
    fn handle(&self) -> &Handle {
        self
    }
}

/// An executor, and the thread that runs it. Dropping it ends both.
#[derive(Debug)]
pub struct Running {
    executor: Arc<Executor<'static>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Adapter for Smol {
    type Host = Running;
    type Producer = Subject<Producer>;

    fn name(&self) -> &str {
        "smol"
    }

    fn host(&self) -> Running {
        // The first socket starts the reactor, which stays.
        drop(smol::Async::<UdpSocket>::bind(([127, 0, 0, 1], 0)).unwrap());
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = bounded::<()>(1);
        let own = executor.clone();
        // Ready with an error when the sender is dropped.
        let run = move || {
            let _ended = smol::block_on(own.run(stopped.recv()));
        };
        let thread = thread::Builder::new().name("executor".to_owned()).spawn(run).unwrap();
        Running { executor, stop: Some(stop), thread: Some(thread) }
    }

    fn start(&self, host: &Running, config: &Config, seed: [u8; 32]) -> Self::Producer {
        let (producer, driver) = Producer::seeded(config.clone(), seed).unwrap();
        host.executor.spawn(driver).detach();
        Subject(producer)
    }

    fn spawn(&self, host: &Running, task: Task) {
        host.executor.spawn(task).detach();
    }

    fn threads_per_producer(&self) -> usize {
        0
    }

    fn ends_with_host(&self) -> bool {
        true
    }
}
