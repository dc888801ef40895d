//! What the application sends.

use std::sync::Arc;

use producer_proto::{Header, TopicId};

/// A record to send. It borrows everything: on the usual path the bytes are copied once, into
/// their batch.
///
/// ```
/// use producer_driver::Record;
///
/// let record = Record::to("orders").key("customer-7").value("{}").header("trace", "4711");
/// let tombstone = Record::to("orders").key("customer-8");
/// assert!(record.value.is_some() && tombstone.value.is_none());
/// ```
///
/// `null` and empty are different values in Kafka: a key or value that is not set is null.
#[derive(Clone, Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct Record<'a> {
    /// The topic, by name or by handle.
    pub topic: TopicRef<'a>,
    /// The partition; `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// Create time in milliseconds since the Unix epoch; `None` for the moment of the send. Then
    /// records in quick succession may share a reading of the clock: up to 16 that come within a
    /// millisecond or so, and never beyond a tick of the system's coarse clock (1 to 10 ms).
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone on a compacted topic.
    pub value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

/// Headers, owned once they are added one by one. (A `Cow` would tie a record to one lifetime.)
#[derive(Clone, Debug)]
enum Headers<'a> {
    Borrowed(&'a [Header<'a>]),
    Owned(Vec<Header<'a>>),
}

impl<'a> Record<'a> {
    /// A record for this topic (a name or a [`Topic`]), with null key and null value.
    pub fn to(topic: impl Into<TopicRef<'a>>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            timestamp: None,
            key: None,
            value: None,
            headers: Headers::Borrowed(&[]),
        }
    }

    /// Sets the key, which decides the partition unless that is set.
    pub fn key<B: AsRef<[u8]> + ?Sized>(mut self, key: &'a B) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value.
    pub fn value<B: AsRef<[u8]> + ?Sized>(mut self, value: &'a B) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Sets the partition: at least 0; the topic must have it, or get it within `max_block`.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the create time, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }

    /// Adds a header. This allocates; [`headers`](Self::headers) does not.
    pub fn header<B: AsRef<[u8]> + ?Sized>(mut self, name: &'a str, value: &'a B) -> Self {
        let mut headers = match self.headers {
            Headers::Borrowed(headers) => headers.to_vec(),
            Headers::Owned(headers) => headers,
        };
        headers.push(Header { name, value: Some(value.as_ref()) });
        self.headers = Headers::Owned(headers);
        self
    }

    /// Sets all headers, null values possible.
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = Headers::Borrowed(headers);
        self
    }

    /// The headers, in order; names may repeat.
    pub fn header_list(&self) -> &[Header<'a>] {
        match &self.headers {
            Headers::Borrowed(headers) => headers,
            Headers::Owned(headers) => headers,
        }
    }

    /// The record as the core takes it.
    #[inline]
    pub(crate) fn stamped(&self, topic: TopicId, timestamp: i64) -> producer_proto::Record<'_> {
        producer_proto::Record {
            topic,
            partition: self.partition,
            timestamp,
            key: self.key,
            value: self.value,
            headers: self.header_list(),
        }
    }
}

/// A topic, named for one send.
#[derive(Clone, Copy, Debug)]
pub enum TopicRef<'a> {
    /// By name.
    Name(&'a str),
    /// By handle, which saves the look-up.
    Handle(&'a Topic),
}

impl<'a> TopicRef<'a> {
    /// The topic's name.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Name(name) => name,
            Self::Handle(topic) => &topic.name,
        }
    }
}

impl<'a> From<&'a str> for TopicRef<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for TopicRef<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a Topic> for TopicRef<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self::Handle(topic)
    }
}

/// A topic of one producer, looked up once with [`Handle::topic`](crate::Handle::topic). Given to
/// another producer, it counts as its name.
#[derive(Clone, Debug)]
pub struct Topic {
    pub(crate) id: TopicId,
    pub(crate) name: Arc<str>,
    /// The producer that gave it out.
    pub(crate) instance: u64,
}

impl Topic {
    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A record that owns its bytes, while it waits.
#[derive(Debug)]
pub(crate) struct OwnedRecord {
    partition: Option<i32>,
    timestamp: i64,
    key: Option<Box<[u8]>>,
    value: Option<Box<[u8]>>,
    headers: Box<[OwnedHeader]>,
}

type OwnedHeader = (Box<str>, Option<Box<[u8]>>);

impl OwnedRecord {
    pub(crate) fn new(record: &producer_proto::Record<'_>) -> Self {
        let header =
            |header: &Header<'_>| (Box::from(header.name), header.value.map(Box::<[u8]>::from));
        Self {
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.map(Box::from),
            value: record.value.map(Box::from),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    /// Lends the record to `push`.
    pub(crate) fn lend<R>(
        &self,
        topic: TopicId,
        push: impl FnOnce(&producer_proto::Record<'_>) -> R,
    ) -> R {
        let headers: Vec<Header<'_>> = self
            .headers
            .iter()
            .map(|(name, value)| Header { name, value: value.as_deref() })
            .collect();
        push(&producer_proto::Record {
            topic,
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
        })
    }

    pub(crate) fn partition(&self) -> Option<i32> {
        self.partition
    }
}

/// What a record is charged with while it waits: its bytes, and a lump for what holds them.
pub(crate) fn charge(record: &producer_proto::Record<'_>) -> usize {
    const LUMP: usize = 256;
    const HEADER_LUMP: usize = 32;
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let headers: usize = record
        .headers
        .iter()
        .map(|header| header.name.len() + length(header.value) + HEADER_LUMP)
        .sum();
    LUMP + length(record.key) + length(record.value) + headers
}
