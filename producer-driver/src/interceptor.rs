//! Code of the application that sees every record on its way in, and every result on its way out.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use producer_proto::Header;

use crate::hook::{FaultCounters, RecordResult};
use crate::record::{Record, TopicRef};

/// An error of the application's own code, of any type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sees every record before it is sent, and its result (Java's `ProducerInterceptor`, KIP-42).
///
/// Several form a chain, called in order, see
/// [`Handle::set_interceptors`](crate::Handle::set_interceptors). Records are seen as bytes, after
/// any serializer. What fails here is counted in [`Faults`](crate::Faults) and never costs a
/// record: after an error or a panic the record goes on as it was before that call.
pub trait Interceptor: Send + Sync {
    /// A record is about to be sent; on the thread that sends it, outside the producer's lock.
    /// May change everything.
    ///
    /// # Errors
    /// Counted; the changes of this call are undone.
    fn on_send(&self, _record: &mut Draft<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// The result of a record is known, one that was not accepted included. Before the record's
    /// own callback, on the thread that turns the driver or that of the call which refused the
    /// record: it must be quick, and must not wait for anything of the producer.
    ///
    /// # Errors
    /// Counted.
    fn on_acknowledgement(&self, _acknowledgement: &Acknowledgement<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A record on its way in. Borrows what nobody has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The partition; `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// Create time in milliseconds since the Unix epoch; `None` for the moment of the send.
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value; `None` is null.
    pub value: Option<Cow<'a, [u8]>>,
    /// The headers, in order; names may repeat.
    pub headers: Vec<DraftHeader<'a>>,
}

/// A header of a [`Draft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftHeader<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The value; `None` is null.
    pub value: Option<Cow<'a, [u8]>>,
}

impl<'a> DraftHeader<'a> {
    /// A header with a value.
    pub fn new(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

impl<'a> Draft<'a> {
    fn of(record: &'a Record<'_>) -> Self {
        let header = |header: &Header<'a>| DraftHeader {
            name: Cow::Borrowed(header.name),
            value: header.value.map(Cow::Borrowed),
        };
        Self {
            topic: Cow::Borrowed(record.topic.name()),
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.map(Cow::Borrowed),
            value: record.value.map(Cow::Borrowed),
            headers: record.header_list().iter().map(header).collect(),
        }
    }
}

/// Lends headers in the form that records have.
pub(crate) fn lend_headers<'a>(headers: &'a [DraftHeader<'_>]) -> Vec<Header<'a>> {
    let lend =
        |header: &'a DraftHeader<'_>| Header { name: &header.name, value: header.value.as_deref() };
    headers.iter().map(lend).collect()
}

/// The result of one record, as [`Interceptor::on_acknowledgement`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement<'a> {
    /// The topic that the record was sent to.
    pub topic: &'a str,
    /// The record's headers as they were sent.
    pub headers: &'a [Header<'a>],
    /// Where the record is, or why it is not there.
    pub result: &'a RecordResult,
}

/// Interceptors in the order in which they are called.
pub(crate) type Chain = Arc<[Box<dyn Interceptor>]>;

/// Runs a record through the chain and hands what came of it to `send`, with the watch for its
/// result.
pub(crate) fn intercept<R>(
    chain: &Chain,
    record: &Record<'_>,
    faults: &FaultCounters,
    send: impl FnOnce(&Record<'_>, Watch) -> R,
) -> R {
    let mut draft = Draft::of(record);
    for interceptor in &**chain {
        let before = draft.clone();
        if !guarded(faults, || interceptor.on_send(&mut draft)) {
            draft = before;
        }
    }
    let name = record.topic.name();
    let topic = if *draft.topic == *name { record.topic } else { TopicRef::Name(&draft.topic) };
    let headers = lend_headers(&draft.headers);
    let mut changed = Record::to(topic).headers(&headers);
    changed.partition = draft.partition;
    changed.timestamp = draft.timestamp;
    changed.key = draft.key.as_deref();
    changed.value = draft.value.as_deref();
    let own = |header: &DraftHeader<'_>| DraftHeader {
        name: Cow::Owned(header.name.clone().into_owned()),
        value: header.value.clone().map(|value| Cow::Owned(value.into_owned())),
    };
    let watch = Watch {
        chain: chain.clone(),
        topic: (*draft.topic).into(),
        headers: draft.headers.iter().map(own).collect(),
    };
    send(&changed, watch)
}

/// What the chain is told about a record when its result is known.
pub(crate) struct Watch {
    chain: Chain,
    topic: Box<str>,
    headers: Box<[DraftHeader<'static>]>,
}

impl Watch {
    pub(crate) fn acknowledge(&self, result: &RecordResult, faults: &FaultCounters) {
        let headers = lend_headers(&self.headers);
        let acknowledgement = Acknowledgement { topic: &self.topic, headers: &headers, result };
        for interceptor in &*self.chain {
            guarded(faults, || interceptor.on_acknowledgement(&acknowledgement));
        }
    }
}

/// Whether the call went well; counts it if not.
fn guarded(faults: &FaultCounters, call: impl FnOnce() -> Result<(), BoxError>) -> bool {
    let count = |counter: &AtomicU64| counter.fetch_add(1, Relaxed);
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return true,
        Ok(Err(_)) => count(&faults.interceptor_errors),
        Err(_) => count(&faults.interceptor_panics),
    };
    false
}
