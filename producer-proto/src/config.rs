//! Settings.
//!
//! [`Config`] is what the user fills in: plain public fields, named as in Kafka's Java producer,
//! with its defaults. `Settings` is what the core works with: every value concrete, every
//! contradiction already refused. Nothing else in the core looks at a [`Config`].

mod bootstrap;
mod choices;
mod error;
mod properties;
mod properties_file;
mod settings;
mod values;

use std::time::Duration;

pub use choices::{Acks, Codec, MetadataRecoveryStrategy, OldBroker, PartitionerKind};
pub use error::ConfigError;
pub(crate) use settings::{Compression, Settings};

/// The settings of a producer.
///
/// Names, meanings and defaults are those of Kafka's Java producer 4.3, in snake case and with
/// the unit in the type; the documentation search knows the Java names. A setting whose *being
/// set* matters, because its default depends on others, is an `Option`: `None` means "not set".
///
/// Durations beyond `i64::MAX` milliseconds, [`Duration::MAX`] among them, count as for ever.
///
/// ```
/// use producer_proto::{Codec, Config};
/// use std::time::Duration;
///
/// let mut config = Config::new("kafka-1:9092,kafka-2:9092");
/// config.linger = Duration::from_millis(20);
/// config.compression_type = Codec::Lz4;
/// config.validate()?;
/// # Ok::<(), producer_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where to find the cluster: `host:port` each, IPv6 as `[::1]:9092`, an optional
    /// `PLAINTEXT://` in front. Only the first contact; the brokers name the others. At least
    /// one, no duplicates. Default: none.
    #[doc(alias = "bootstrap.servers")]
    pub bootstrap_servers: Vec<String>,

    /// The name that brokers log and that quotas apply to; at most 32767 bytes. Default: empty,
    /// which goes out as `producer`.
    #[doc(alias = "client.id")]
    pub client_id: String,

    /// Which replicas must have a batch before it counts as delivered. Default:
    /// [`Acks::All`].
    pub acks: Acks,

    /// Whether the broker drops the duplicates that retries can cause, and keeps the order of a
    /// partition (KIP-98, KIP-679). Needs `acks` of all, at least one retry and at most 5
    /// requests in flight. `None` (the default) is on, or off if `acks` or `retries` contradict
    /// it; with `Some(true)` the contradiction is an error. More than 5 in flight is an error in
    /// both cases.
    #[doc(alias = "enable.idempotence")]
    pub enable_idempotence: Option<bool>,

    /// How long a batch waits for more records before it is sent, if nothing else makes it ready:
    /// at most so long, because a batch goes with an older one for the same broker whose time is
    /// over. Default: 5 ms (KIP-1030).
    #[doc(alias = "linger.ms")]
    pub linger: Duration,

    /// Bytes a batch may grow to, as estimated after compression; a larger record gets a batch
    /// of its own. 0 to 2147483647; 0 acts as 1 and so turns batching off. Default: 16384.
    #[doc(alias = "batch.size")]
    pub batch_size: usize,

    /// Bytes of a Produce request at most, and of a record before compression. 1 to
    /// 2147483647. Default: 1048576.
    #[doc(alias = "max.request.size")]
    pub max_request_size: usize,

    /// Bytes that may be held for records not yet acknowledged; beyond, senders wait. At least
    /// 1. Default: 33554432.
    ///
    /// A batch that is split holds its parts beside it until the transport has given its bytes
    /// back, and the parts have headers of their own and compress less well. For a leader before
    /// Kafka 0.11 a batch is also kept in the old format, which comes on top: key, value and 34
    /// bytes per record, before compression. No record is accepted before the sum is below the
    /// limit again.
    #[doc(alias = "buffer.memory")]
    pub buffer_memory: usize,

    /// How long a send may wait for metadata and for buffer memory together. Zero does not wait
    /// at all. Default: 60 s.
    #[doc(alias = "max.block.ms")]
    pub max_block: Duration,

    /// How often a failed batch is sent again, within `delivery_timeout`. Leave it alone and set
    /// `delivery_timeout` (KIP-91). 0 to 2147483647. Default: 2147483647.
    pub retries: u32,

    /// From the append of a record until it must have succeeded or failed, retries included
    /// (KIP-91). At least `linger` + `request_timeout`, at most 2147483647 ms. Default: `None`,
    /// which is 120 s, or `linger` + `request_timeout` when that is longer.
    #[doc(alias = "delivery.timeout.ms")]
    pub delivery_timeout: Option<Duration>,

    /// How long to wait for the answer to a request, and how long the broker may wait for its
    /// replicas. 1 ms to 2147483647 ms. Default: 30 s.
    #[doc(alias = "request.timeout.ms")]
    pub request_timeout: Duration,

    /// Pause before the first retry; it doubles with each further one, give or take 20 %
    /// (KIP-580). Cut to `retry_backoff_max`. Default: `None`, which is 100 ms.
    #[doc(alias = "retry.backoff.ms")]
    pub retry_backoff: Option<Duration>,

    /// The longest pause between retries (KIP-580). Default: `None`, which is `retry_backoff` if
    /// that is set, else 1 s.
    #[doc(alias = "retry.backoff.max.ms")]
    pub retry_backoff_max: Option<Duration>,

    /// Requests to one broker that may be unanswered at a time. At least 1; at most 5 with
    /// idempotence. Default: 5.
    #[doc(alias = "max.in.flight.requests.per.connection")]
    pub max_in_flight_requests_per_connection: usize,

    /// The codec of record batches. Default: [`Codec::None`].
    #[doc(alias = "compression.type")]
    pub compression_type: Codec,

    /// Level for [`Codec::Gzip`] (KIP-390): 1 to 9, or -1 for the codec's own default. Default:
    /// -1.
    #[doc(alias = "compression.gzip.level")]
    pub compression_gzip_level: i32,

    /// Level for [`Codec::Lz4`] (KIP-390): 1 to 17. As in Java, 9 is the fast compressor; every
    /// other level is a high-compression one and needs the cargo feature `lz4-hc`. Default: 9.
    #[doc(alias = "compression.lz4.level")]
    pub compression_lz4_level: i32,

    /// Level for [`Codec::Zstd`] (KIP-390): -131072 to 22. Default: 3.
    #[doc(alias = "compression.zstd.level")]
    pub compression_zstd_level: i32,

    /// Who chooses the partition of a record that names none. Default:
    /// [`PartitionerKind::Murmur2`].
    #[doc(alias = "partitioner.class")]
    pub partitioner: PartitionerKind,

    /// Whether partitions with longer queues get fewer records without key (KIP-794). Default:
    /// true.
    #[doc(alias = "partitioner.adaptive.partitioning.enable")]
    pub partitioner_adaptive_partitioning_enable: bool,

    /// A broker that could not take data for this long gets no records without key until it can
    /// again (KIP-794). Zero, the default, turns this off. Needs
    /// `partitioner_adaptive_partitioning_enable`.
    #[doc(alias = "partitioner.availability.timeout.ms")]
    pub partitioner_availability_timeout: Duration,

    /// Choose the partition as if records had no key (KIP-794). Default: false.
    #[doc(alias = "partitioner.ignore.keys")]
    pub partitioner_ignore_keys: bool,

    /// Age at which metadata is refreshed even if nothing hints at a change. At least 1 ms.
    /// Default: 300 s.
    #[doc(alias = "metadata.max.age.ms")]
    pub metadata_max_age: Duration,

    /// A topic unused for this long is no longer part of metadata requests (KIP-526). At least
    /// 5 s. Default: 300 s.
    #[doc(alias = "metadata.max.idle.ms")]
    pub metadata_max_idle: Duration,

    /// What to do when no known broker can be reached (KIP-899). Default:
    /// [`MetadataRecoveryStrategy::Rebootstrap`].
    #[doc(alias = "metadata.recovery.strategy")]
    pub metadata_recovery_strategy: MetadataRecoveryStrategy,

    /// Bootstrap again when no metadata could be had for this long (KIP-1102). Zero does so at
    /// the first failure. Default: 300 s.
    #[doc(alias = "metadata.recovery.rebootstrap.trigger.ms")]
    pub metadata_recovery_rebootstrap_trigger: Duration,

    /// Pause before the first reconnect to a broker; it doubles with each further one, give or
    /// take 20 % (KIP-144). Cut to `reconnect_backoff_max`. Default: `None`, which is 50 ms.
    #[doc(alias = "reconnect.backoff.ms")]
    pub reconnect_backoff: Option<Duration>,

    /// The longest pause between reconnects (KIP-144). Default: `None`, which is
    /// `reconnect_backoff` if that is set, else 1 s.
    #[doc(alias = "reconnect.backoff.max.ms")]
    pub reconnect_backoff_max: Option<Duration>,

    /// How long a connection may take to become ready; it doubles with each failure in a row,
    /// give or take 20 % (KIP-601). At least 1 ms. Cut to `socket_connection_setup_timeout_max`.
    /// Default: 10 s.
    #[doc(alias = "socket.connection.setup.timeout.ms")]
    pub socket_connection_setup_timeout: Duration,

    /// The longest time a connection may take to become ready (KIP-601). At least 1 ms. Default:
    /// 30 s.
    #[doc(alias = "socket.connection.setup.timeout.max.ms")]
    pub socket_connection_setup_timeout_max: Duration,

    /// A connection unused for this long is closed. At least 1 ms; [`Duration::MAX`] (-1 as a
    /// property) never closes one. Default: 540 s.
    #[doc(alias = "connections.max.idle.ms")]
    pub connections_max_idle: Duration,

    /// A frame from a broker that is longer closes the connection; Java has no such limit. 1000
    /// to 2147483647 bytes. Default: 104857600.
    #[doc(alias = "receive.message.max.bytes")]
    pub receive_message_max_bytes: usize,

    /// The socket's send buffer (`SO_SNDBUF`), for the adapters: 1 to 2147483647 bytes; `None`
    /// (-1 as a property) leaves it to the operating system. Default: 131072.
    #[doc(alias = "send.buffer.bytes")]
    pub send_buffer_bytes: Option<usize>,

    /// The socket's receive buffer (`SO_RCVBUF`), for the adapters: 1 to 2147483647 bytes;
    /// `None` (-1 as a property) leaves it to the operating system. Default: 32768.
    #[doc(alias = "receive.buffer.bytes")]
    pub receive_buffer_bytes: Option<usize>,

    /// The name of the client library that brokers count connections by (KIP-511): letters,
    /// digits, `-` and `.`, the first and the last a letter or digit; at most 32767 bytes.
    /// Default: this crate's name.
    #[doc(alias = "client.software.name")]
    pub client_software_name: String,

    /// The version that goes with `client_software_name`, of the same form. Default: this crate's
    /// version.
    #[doc(alias = "client.software.version")]
    pub client_software_version: String,

    /// Whether a retry may overtake later batches of its partition when idempotence is off. With
    /// false, the default, a partition then has one batch in flight and keeps its order; true
    /// gives Java's behaviour. Without effect with idempotence, which always keeps the order.
    #[doc(alias = "allow.reordering.on.retry")]
    pub allow_reordering_on_retry: bool,

    /// Whether asking for a topic may create it, if the cluster allows that too. Default: true,
    /// as Java does.
    #[doc(alias = "allow.auto.create.topics")]
    pub allow_auto_topic_creation: bool,

    /// Takes all brokers for ones of this old version, without asking them for the versions they
    /// speak. Only for clusters older than 0.10.0, which cannot be asked; needs
    /// `enable_idempotence` off. Default: `None`, every broker is asked.
    #[doc(alias = "assume.broker.version")]
    pub assume_broker_version: Option<OldBroker>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: String::new(),
            acks: Acks::All,
            enable_idempotence: None,
            linger: Duration::from_millis(5),
            batch_size: 16_384,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            max_block: Duration::from_secs(60),
            retries: i32::MAX as u32,
            delivery_timeout: None,
            request_timeout: Duration::from_secs(30),
            retry_backoff: None,
            retry_backoff_max: None,
            max_in_flight_requests_per_connection: 5,
            compression_type: Codec::None,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            partitioner: PartitionerKind::Murmur2,
            partitioner_adaptive_partitioning_enable: true,
            partitioner_availability_timeout: Duration::ZERO,
            partitioner_ignore_keys: false,
            metadata_max_age: Duration::from_secs(300),
            metadata_max_idle: Duration::from_secs(300),
            metadata_recovery_strategy: MetadataRecoveryStrategy::Rebootstrap,
            metadata_recovery_rebootstrap_trigger: Duration::from_secs(300),
            reconnect_backoff: None,
            reconnect_backoff_max: None,
            socket_connection_setup_timeout: Duration::from_secs(10),
            socket_connection_setup_timeout_max: Duration::from_secs(30),
            connections_max_idle: Duration::from_secs(540),
            receive_message_max_bytes: 100 * 1024 * 1024,
            send_buffer_bytes: Some(131_072),
            receive_buffer_bytes: Some(32_768),
            client_software_name: env!("CARGO_PKG_NAME").to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            allow_reordering_on_retry: false,
            allow_auto_topic_creation: true,
            assume_broker_version: None,
        }
    }
}

impl Config {
    /// The defaults, with these bootstrap servers: `host:port`, several separated by commas.
    pub fn new(bootstrap_servers: impl AsRef<str>) -> Self {
        let servers = bootstrap_servers.as_ref().split(',').map(|server| server.trim().to_owned());
        Self { bootstrap_servers: servers.collect(), ..Self::default() }
    }

    /// Checks every range and every rule between settings.
    ///
    /// # Errors
    /// The first setting found wrong: its name, its value, and what would be allowed or what it
    /// contradicts.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.resolve().map(drop)
    }
}

#[cfg(test)]
mod tests;
