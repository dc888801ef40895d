//! Records of the application's own types, and what makes bytes of them.

mod serializers;

use std::fmt;
use std::sync::Arc;

use producer_proto::Header;

use crate::delivery::Delivery;
use crate::error::{RecordPart, SendError, SendErrorKind};
use crate::handle::Handle;
use crate::hook::RecordResult;
use crate::interceptor::{DraftHeader, lend_headers};
use crate::record::{Record, TopicRef};
use crate::waiting::{Admission, Reply, Unusual};

#[cfg(feature = "serde")]
pub use serializers::Json;
pub use serializers::{BigEndian, Raw, Serializer, Utf8};

/// A producer of records with keys of type `K` and values of type `V`.
///
/// Cheap to clone; several, of different types, may share one [`Handle`].
///
/// ```
/// use producer_driver::{BigEndian, Handle, SendError, TypedProducer, TypedRecord, Utf8};
///
/// async fn example(handle: &Handle) -> Result<(), Box<dyn std::error::Error>> {
///     let producer = TypedProducer::<i64, str>::new(handle, BigEndian, Utf8);
///     let record = TypedRecord::to("orders").key(&4711).value("shipped");
///     let place = producer.send(record).await?.await?;
///     Ok(())
/// }
/// ```
pub struct TypedProducer<K: ?Sized, V: ?Sized> {
    handle: Handle,
    key: Arc<dyn Serializer<K>>,
    value: Arc<dyn Serializer<V>>,
}

/// A record with a key of type `K` and a value of type `V`, borrowed. What is not set is null.
#[derive(Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct TypedRecord<'a, K: ?Sized, V: ?Sized> {
    /// The topic, by name or by handle.
    pub topic: TopicRef<'a>,
    /// The partition; `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// Create time in milliseconds since the Unix epoch; `None` for the moment of the send.
    pub timestamp: Option<i64>,
    /// The key; `None` is null.
    pub key: Option<&'a K>,
    /// The value; `None` is null, a tombstone on a compacted topic.
    pub value: Option<&'a V>,
    /// Headers; the serializers may add more.
    pub headers: &'a [Header<'a>],
}

impl<'a, K: ?Sized, V: ?Sized> TypedRecord<'a, K, V> {
    /// A record for this topic, with null key and null value.
    pub fn to(topic: impl Into<TopicRef<'a>>) -> Self {
        let topic = topic.into();
        Self { topic, partition: None, timestamp: None, key: None, value: None, headers: &[] }
    }

    /// Sets the key, whose bytes decide the partition unless that is set.
    pub fn key(mut self, key: &'a K) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the value.
    pub fn value(mut self, value: &'a V) -> Self {
        self.value = Some(value);
        self
    }

    /// Sets the partition, at least 0.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the create time, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }

    /// Sets all headers.
    pub fn headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }
}

impl<K: ?Sized, V: ?Sized> TypedProducer<K, V> {
    /// A producer that sends through `handle`.
    pub fn new(
        handle: &Handle,
        key: impl Serializer<K> + 'static,
        value: impl Serializer<V> + 'static,
    ) -> Self {
        Self { handle: handle.clone(), key: Arc::new(key), value: Arc::new(value) }
    }

    /// The producer below, for everything that is not about types.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As [`Handle::send`].
    ///
    /// # Errors
    /// As there, and [`Serializer`](SendErrorKind::Serializer).
    pub fn send(&self, record: TypedRecord<'_, K, V>) -> Admission {
        let sent = self.with_bytes(&record, |record| self.handle.send(record));
        sent.unwrap_or_else(|error| Admission::new(None, Some(Unusual::refused(error))))
    }

    /// As [`Handle::try_send`].
    ///
    /// # Errors
    /// As there, and [`Serializer`](SendErrorKind::Serializer).
    pub fn try_send(&self, record: TypedRecord<'_, K, V>) -> Result<Delivery, SendError> {
        self.with_bytes(&record, |record| self.handle.try_send(record))?
    }

    /// As [`Handle::send_with`].
    ///
    /// # Errors
    /// [`Serializer`](SendErrorKind::Serializer); the callback is not called then.
    pub fn send_with(
        &self,
        record: TypedRecord<'_, K, V>,
        callback: impl FnOnce(RecordResult) + Send + 'static,
    ) -> Result<Reply<()>, SendError> {
        self.with_bytes(&record, |record| self.handle.send_with(record, callback))
    }

    fn with_bytes<R>(
        &self,
        record: &TypedRecord<'_, K, V>,
        send: impl FnOnce(Record<'_>) -> R,
    ) -> Result<R, SendError> {
        let topic = record.topic.name();
        let failed = |part, error: crate::BoxError| {
            let kind = SendErrorKind::Serializer { part, reason: error.to_string().into() };
            SendError::new(topic.into(), kind)
        };
        let given = record.headers.iter().map(|header| DraftHeader {
            name: header.name.into(),
            value: header.value.map(Into::into),
        });
        let mut headers: Vec<DraftHeader<'_>> = given.collect();
        let key = record.key.map(|key| self.key.serialize(topic, &mut headers, key));
        let key = key.transpose().map_err(|error| failed(RecordPart::Key, error))?;
        let value = record.value.map(|value| self.value.serialize(topic, &mut headers, value));
        let value = value.transpose().map_err(|error| failed(RecordPart::Value, error))?;
        let headers = lend_headers(&headers);
        let mut bytes = Record::to(record.topic).headers(&headers);
        bytes.partition = record.partition;
        bytes.timestamp = record.timestamp;
        bytes.key = key.as_deref();
        bytes.value = value.as_deref();
        Ok(send(bytes))
    }
}

impl<K: ?Sized, V: ?Sized> Clone for TypedProducer<K, V> {
    fn clone(&self) -> Self {
        let Self { handle, key, value } = self;
        Self { handle: handle.clone(), key: key.clone(), value: value.clone() }
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedProducer").field("handle", &self.handle).finish_non_exhaustive()
    }
}
