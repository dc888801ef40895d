//! tokio, on both kinds of runtime.

use std::thread::{self, JoinHandle};

use producer_driver::Handle;
use producer_driver::proto::Config;
use producer_sim::conformance::{Adapter, Task};
use producer_tokio::Producer;
use tokio::runtime::{Builder, Handle as TokioHandle};
use tokio::sync::oneshot;

use crate::{Api, Subject};

/// `producer_tokio::Producer::spawn_on`.
#[derive(Debug)]
pub enum Tokio {
    /// All on one thread.
    CurrentThread,
    /// So many workers.
    Workers(usize),
}

impl Api for Producer {
    fn handle(&self) -> &Handle {
        self
    }
}

/// A runtime, and the thread that has it. Dropping it ends both.
#[derive(Debug)]
pub struct Runtime {
    handle: TokioHandle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Adapter for Tokio {
    type Host = Runtime;
    type Producer = Subject<Producer>;

    fn name(&self) -> &str {
        match self {
            Self::CurrentThread => "tokio, current thread",
            Self::Workers(_) => "tokio, worker threads",
        }
    }

    fn host(&self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::Workers(_) => Builder::new_multi_thread(),
        };
        if let Self::Workers(count) = self {
            builder.worker_threads(*count);
        }
        let runtime = builder.enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        // Ready with an error when the sender is dropped.
        let run = move || drop(runtime.block_on(stopped));
        let thread = thread::Builder::new().name("runtime".to_owned()).spawn(run).unwrap();
        Runtime { handle, stop: Some(stop), thread: Some(thread) }
    }

    fn start(&self, host: &Runtime, config: &Config, seed: [u8; 32]) -> Self::Producer {
        Subject(Producer::spawn_seeded(&host.handle, config.clone(), seed).unwrap())
    }

    fn spawn(&self, host: &Runtime, task: Task) {
        drop(host.handle.spawn(task));
    }

    fn threads_per_producer(&self) -> usize {
        0
    }

    fn ends_with_host(&self) -> bool {
        true
    }
}
