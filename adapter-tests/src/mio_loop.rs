//! mio, in somebody's own loop.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};

use mio::{Events, Poll, Registry, Token, Waker};
use producer_driver::Handle;
use producer_driver::proto::Config;
use producer_mio::EventLoop;
use producer_sim::conformance::{Adapter, Task};

use crate::{Api, Subject};

/// `producer_mio::EventLoop`: any number of producers in one loop.
#[derive(Debug)]
pub struct MioLoop;

impl Api for Handle {
    fn handle(&self) -> &Handle {
        self
    }
}

/// How many tokens each producer gets. The first of all is the waker's.
const TOKENS: usize = 1_000;

/// A loop, and its thread. Dropping it ends both.
#[derive(Debug)]
pub struct Loop {
    registry: Registry,
    waker: Arc<Waker>,
    producers: AtomicUsize,
    incoming: Option<Sender<EventLoop>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(self.incoming.take());
        self.waker.wake().unwrap();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Turns all producers until there can be no more.
fn run(mut poll: Poll, incoming: &Receiver<EventLoop>) {
    let mut events = Events::with_capacity(64);
    let mut producers: Vec<EventLoop> = Vec::new();
    loop {
        // One wake-up may stand for several calls.
        loop {
            match incoming.try_recv() {
                Ok(producer) => producers.push(producer),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        producers.retain_mut(EventLoop::turn);
        let timeout = producers.iter().filter_map(EventLoop::next_timeout).min();
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.unwrap(),
        }
        for event in &events {
            let _is_taken = producers.iter_mut().any(|producer| producer.handle_event(event));
        }
    }
}

impl Adapter for MioLoop {
    type Host = Loop;
    type Producer = Subject<Handle>;

    fn name(&self) -> &str {
        "mio, in a loop"
    }

    fn host(&self) -> Loop {
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let waker = Arc::new(Waker::new(&registry, Token(0)).unwrap());
        let (tell, incoming) = channel();
        let run = move || run(poll, &incoming);
        let thread = thread::Builder::new().name("loop".to_owned()).spawn(run).unwrap();
        Loop {
            registry,
            waker,
            producers: AtomicUsize::new(0),
            incoming: Some(tell),
            thread: Some(thread),
        }
    }

    fn start(&self, host: &Loop, config: &Config, seed: [u8; 32]) -> Self::Producer {
        let number = host.producers.fetch_add(1, Ordering::Relaxed);
        let tokens = 1 + number * TOKENS..1 + (number + 1) * TOKENS;
        let (producer, event_loop) =
            EventLoop::seeded(config, &host.registry, tokens, host.waker.clone(), seed).unwrap();
        host.incoming.as_ref().unwrap().send(event_loop).unwrap();
        host.waker.wake().unwrap();
        Subject(producer)
    }

    fn spawn(&self, _: &Loop, task: Task) {
        smol::spawn(task).detach();
    }

    fn threads_per_producer(&self) -> usize {
        0
    }

    fn ends_with_host(&self) -> bool {
        true
    }
}
