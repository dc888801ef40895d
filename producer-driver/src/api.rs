//! What applications meet, whatever the adapter: each adapter gives all of this out as its own.

#[cfg(feature = "serde")]
pub use crate::Json;
pub use crate::proto::{
    self, Acks, BrokerDescription, Cancel, ClusterDescription, Codec, Config, ConfigError,
    DescribeError, ErrorCode, Header, PartitionDescription, Persistence, ProduceError,
    ProduceErrorKind, Stats, TopicDescription,
};
pub use crate::{
    Acknowledgement, Admission, BigEndian, BoxError, CircuitBreaker, Delivered, Deliveries,
    Delivery, DeliveryError, DeliverySender, Draft, DraftHeader, Faults, Handle, Interceptor, Raw,
    Record, RecordError, RecordMetadata, RecordPart, RecordResult, Reply, SendError, SendErrorKind,
    Serializer, Topic, TopicRef, TypedProducer, TypedRecord, Utf8, WaitingFor,
};
