//! mio: a thread of its own for each producer.

use producer_driver::proto::Config;
use producer_driver::{Handle, Record, RecordResult};
use producer_mio::Producer;
use producer_sim::conformance::{Adapter, Task};

use crate::{Api, Subject};

/// `producer_mio::Producer::spawn`.
#[derive(Debug)]
pub struct Mio;

impl Api for Producer {
    fn handle(&self) -> &Handle {
        self
    }

    fn send_sync(&self, record: Record<'_>) -> RecordResult {
        Self::send_sync(self, record)
    }
}

impl Adapter for Mio {
    type Host = ();
    type Producer = Subject<Producer>;

    fn name(&self) -> &str {
        "mio"
    }

    fn host(&self) {}

    fn start(&self, (): &(), config: &Config, seed: [u8; 32]) -> Self::Producer {
        Subject(Producer::spawn_seeded(config.clone(), seed).unwrap())
    }

    fn spawn(&self, (): &(), task: Task) {
        // The futures need no executor in particular.
        smol::spawn(task).detach();
    }

    fn threads_per_producer(&self) -> usize {
        1
    }

    fn ends_with_host(&self) -> bool {
        false
    }
}
