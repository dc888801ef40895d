//! A producer with a thread of its own, and the blocking API.

use std::io::ErrorKind;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use mio::{Events, Poll, Token};
use producer_driver::proto::Config;
use producer_driver::{
    Delivery, Handle, Record, RecordResult, SendError, TopicRef, send_all, system_seed,
};

use crate::event_loop::{EventLoop, StartError};

/// Events taken at a time; more are taken the next time.
const EVENTS: usize = 256;

/// Tokens of the thread's own poll. There can be no more sockets than file descriptors.
const TOKENS: std::ops::Range<usize> = 0..usize::MAX;

/// A producer with one background thread, and a blocking API.
///
/// Cheap to clone, and free to use from any number of threads at once. `send`, `flush`, `close`
/// and `partitions_for` block here. It derefs to [`Handle`], which has the rest, and these four as
/// futures: `producer.handle().send(..)`.
#[derive(Clone, Debug)]
pub struct Producer {
    handle: Handle,
    thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    id: ThreadId,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Producer {
    /// Starts a producer and its thread, which ends when the producer is closed. Nothing is sent
    /// before the first record or topic.
    ///
    /// # Errors
    /// A setting is wrong, or the system refuses the thread or what mio needs.
    pub fn spawn(config: Config) -> Result<Self, StartError> {
        Self::spawn_seeded(config, system_seed())
    }

    /// Starts a producer whose random choices all follow from `seed`, for tests that are to be
    /// repeated: where its bytes go depends on nothing but its calls and what brokers answer.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub fn spawn_seeded(config: Config, seed: [u8; 32]) -> Result<Self, StartError> {
        let poll = Poll::new().map_err(StartError::system("mio poll"))?;
        let waker = mio::Waker::new(poll.registry(), Token(TOKENS.start))
            .map_err(StartError::system("mio waker"))?;
        let (handle, mut event_loop) =
            EventLoop::seeded(&config, poll.registry(), TOKENS, Arc::new(waker), seed)?;
        event_loop.driver.set_senders_help(true);
        let running = thread::Builder::new()
            .name("producer".to_owned())
            .spawn(move || run(poll, event_loop))
            .map_err(StartError::system("thread"))?;
        let thread = Thread { id: running.thread().id(), running: Mutex::new(Some(running)) };
        Ok(Self { handle, thread: Arc::new(thread) })
    }

    /// The calls as futures, for any executor; and as something to wait for later.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Sends a record; blocks until it is accepted, at most for `max_block` where there is no room
    /// or no metadata. Records for the same partition are produced in the order of the calls.
    ///
    /// A call compresses a batch itself when batches are filled faster than the background thread
    /// compresses them.
    ///
    /// # Errors
    /// Why the record was not accepted; see [`SendErrorKind`](crate::SendErrorKind). Nothing of it
    /// was kept.
    pub fn send(&self, record: Record<'_>) -> Result<Delivery, SendError> {
        self.handle.send(record).wait()
    }

    /// Sends a record and blocks until it is delivered or has failed.
    ///
    /// # Errors
    /// Why it was not accepted or not delivered.
    pub fn send_sync(&self, record: Record<'_>) -> RecordResult {
        Ok(self.send(record)?.wait()?)
    }

    /// Sends records and blocks until each is delivered or has failed: all results, in the order
    /// of the records. One that fails does not keep the others from being sent.
    pub fn send_all<'a>(&self, records: impl IntoIterator<Item = Record<'a>>) -> Vec<RecordResult> {
        send_all(&self.handle, records)
    }

    /// How many partitions a topic has; blocks if that is not known, at most for `max_block`.
    ///
    /// # Errors
    /// The name is not valid, the cluster refuses the topic or does not answer, or the producer
    /// is closed.
    pub fn partitions_for<'a>(&self, topic: impl Into<TopicRef<'a>>) -> Result<i32, SendError> {
        self.handle.partitions_for(topic).wait()
    }

    /// Sends everything without lingering, and blocks until every record sent before this call has
    /// its result, whatever that is; at most for `timeout`. False when that was not enough: the
    /// flush goes on. Without a timeout it is bounded by `max_block` and `delivery_timeout`.
    pub fn flush(&self, timeout: impl Into<Option<Duration>>) -> bool {
        let mut reply = self.handle.flush();
        match timeout.into() {
            Some(timeout) => reply.wait_timeout(timeout).is_some(),
            None => {
                reply.wait();
                true
            }
        }
    }

    /// Refuses further records, sends what there is, closes all connections, and blocks until that
    /// is done and the thread has ended. At the end of `timeout` at the latest every record has its
    /// result; without one that is bounded by `max_block` and `delivery_timeout`.
    ///
    /// May be called more than once, and may bring the end forward. On the producer's own thread,
    /// as in a callback, it only begins the close.
    pub fn close(&self, timeout: impl Into<Option<Duration>>) {
        let reply = self.handle.close(timeout);
        if thread::current().id() == self.thread.id {
            return;
        }
        reply.wait();
        let mut running = self.thread.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = running.take()
            && thread.join().is_err()
        {
            tracing::error!("the producer's thread has panicked");
        }
    }
}

impl Deref for Producer {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

/// The thread: turns the loop until the producer is closed.
fn run(mut poll: Poll, mut event_loop: EventLoop) {
    let mut events = Events::with_capacity(EVENTS);
    while event_loop.turn() {
        event_loop.driver.pause();
        match poll.poll(&mut events, event_loop.next_timeout()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                // Dropping the loop answers everybody.
                tracing::error!(%error, "mio cannot poll");
                return;
            }
        }
        for event in &events {
            event_loop.handle_event(event);
        }
    }
}
