//! Hands the input to the producer, in its order and at its pace.

use std::time::{Duration, Instant};

use producer_tokio::proto::Header;
use producer_tokio::{Handle, Record, SendError, SendErrorKind};
use tokio::sync::{mpsc, watch};

use super::outcomes::Message;
use super::progress::Progress;
use super::settle::{Pending, refused};
use super::waiting::Unaccepted;
use crate::input::{Chunk, InputRecord, Item, Op};
use crate::rate::{Pace, Rate};

/// Bytes that may wait for metadata while reading goes on, at most.
const READ_AHEAD: usize = 1 << 20;

/// The report is gone: nothing more is to be read.
struct NobodyListens;

type Flow = Result<(), NobodyListens>;

/// What the command line says of every record.
#[derive(Debug)]
pub(super) struct Defaults {
    /// For records that name no topic.
    pub(super) topic: String,
    /// For records that name no partition; `None`: the partitioner chooses.
    pub(super) partition: Option<i32>,
    /// They come after a record's own.
    pub(super) headers: Vec<(String, String)>,
}

pub(super) struct Feed {
    producer: Handle,
    defaults: Defaults,
    /// `None`: as fast as the producer takes them.
    pace: Option<Pace>,
    messages: mpsc::Sender<Message>,
    progress: Progress,
    unaccepted: Unaccepted,
    /// Bytes that may wait for metadata while reading goes on.
    read_ahead: usize,
    /// The number of the next record.
    next: u64,
}

impl Feed {
    pub(super) fn new(
        producer: Handle,
        buffer_memory: usize,
        defaults: Defaults,
        rate: Option<Rate>,
        messages: mpsc::Sender<Message>,
        progress: Progress,
    ) -> Self {
        let unaccepted = Unaccepted::default();
        // The producer refuses what waits beyond its buffer memory.
        let read_ahead = READ_AHEAD.min(buffer_memory / 2);
        let pace = rate.map(Pace::new);
        Self { producer, defaults, pace, messages, progress, unaccepted, read_ahead, next: 0 }
    }

    /// Works off the input until its end, or until told to stop. Whatever was begun with by then
    /// is with the report.
    pub(super) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let read = async {
            while let Some(chunk) = chunks.recv().await {
                self.progress.read(chunk.bytes);
                for item in chunk.items {
                    match item {
                        Ok(Item::Record(record)) => self.record(record).await?,
                        Ok(Item::Op(op)) => self.op(op).await?,
                        Err(invalid) => self.tell(Message::Invalid(invalid)).await?,
                    }
                }
            }
            Ok::<(), NobodyListens>(())
        };
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => {}
            _ = read => {}
        }
    }

    async fn tell(&self, message: Message) -> Flow {
        self.messages.send(message).await.map_err(|_| NobodyListens)
    }

    async fn record(&mut self, record: InputRecord) -> Flow {
        let defaults = &self.defaults;
        let own = record.headers.iter().map(|(name, value)| (name, value.as_deref()));
        let common = defaults.headers.iter().map(|(name, value)| (name, Some(value.as_str())));
        let headers: Vec<Header<'_>> = own
            .chain(common)
            .map(|(name, value)| Header { name, value: value.map(str::as_bytes) })
            .collect();
        for _ in 0..record.repeat {
            if let Some(pace) = &mut self.pace {
                let wait = pace.take(Instant::now());
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
            }
            // The place in the report first: then a stop between the two loses no record.
            let Ok(place) = self.messages.reserve().await else { return Err(NobodyListens) };
            let mut outgoing = Record::to(record.topic.as_deref().unwrap_or(&defaults.topic));
            outgoing.partition = record.partition.or(defaults.partition);
            outgoing.timestamp = record.timestamp;
            outgoing.key = record.key.as_deref();
            outgoing.value = record.value.as_deref();
            let outgoing = outgoing.headers(&headers);
            let number = self.next;
            match self.producer.try_send(outgoing.clone()) {
                Ok(delivery) => place.send(Message::Record(number, Pending::Accepted(delivery))),
                // What is worth waiting for is sent again, in a way that waits. A full buffer
                // stops the reading; missing metadata does not, so that a record for a topic that
                // may never exist holds up neither other topics nor a close.
                Err(error) if may_wait(&error) => {
                    let size = size(&record, &headers);
                    self.unaccepted.room_for(size, self.read_ahead).await;
                    let guard = self.unaccepted.add(size);
                    let admission = self.producer.send(outgoing);
                    place.send(Message::Record(number, Pending::Waiting(admission, guard)));
                    if matches!(error.kind(), SendErrorKind::Full { .. }) {
                        self.unaccepted.nothing().await;
                    }
                }
                Err(error) => place.send(Message::Settled(refused(number, &error))),
            }
            self.next = number + 1;
        }
        Ok(())
    }

    async fn op(&mut self, op: Op) -> Flow {
        let begin = Instant::now();
        let (reply, records): (_, u64) = match op {
            Op::Flush => (self.producer.flush(), self.next),
            Op::Close { timeout_ms } => {
                (self.producer.close(Duration::from_millis(timeout_ms)), self.next)
            }
            Op::Sleep { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                return self.tell(Message::Slept(op, begin.elapsed())).await;
            }
        };
        self.tell(Message::Op { op, begin, records, reply }).await
    }
}

/// Whether a record that cannot be accepted now may be later.
fn may_wait(error: &SendError) -> bool {
    matches!(error.kind(), SendErrorKind::Full { .. } | SendErrorKind::NotReady)
}

/// What a waiting record takes: its bytes, and something for what holds them.
fn size(record: &InputRecord, headers: &[Header<'_>]) -> usize {
    const RECORD: usize = 256;
    const HEADER: usize = 32;
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let header =
        |header: &Header<'_>| HEADER + header.name.len() + header.value.map_or(0, <[u8]>::len);
    let headers: usize = headers.iter().map(header).sum();
    RECORD + length(&record.key) + length(&record.value) + headers
}
