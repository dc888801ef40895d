//! From what the user set to what the core works with: ranges, rules between settings, defaults
//! that depend on others.

use std::sync::Arc;
use std::time::Duration;

use crate::wire::MAX_STRING_LEN;

use super::bootstrap::parse_bootstrap;
use super::{
    Acks, Codec, Config, ConfigError, MetadataRecoveryStrategy, OldBroker, PartitionerKind,
};

/// Longer durations count as this long: twice it still fits a [`Duration`].
pub(super) const FOREVER: Duration = Duration::from_millis(i64::MAX as u64);
/// The longest time that fits the protocol's and Java's 32-bit milliseconds.
const MAX_I32_MS: Duration = Duration::from_millis(i32::MAX as u64);
const ONE_MS: Duration = Duration::from_millis(1);

const DEFAULT_CLIENT_ID: &str = "producer";
const DEFAULT_DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_RETRY_BACKOFF: Duration = Duration::from_millis(100);
const DEFAULT_RECONNECT_BACKOFF: Duration = Duration::from_millis(50);
const DEFAULT_BACKOFF_MAX: Duration = Duration::from_millis(1_000);
/// Brokers remember the last five batches of a producer in a partition, no more.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

/// A codec and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    /// The codec.
    pub(crate) codec: Codec,
    /// Its level; 0 for codecs without levels.
    pub(crate) level: i32,
}

/// A valid [`Config`] with every value concrete. Fields mean what they mean there.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Host (IPv6 without brackets) and port.
    pub(crate) bootstrap: Vec<(Arc<str>, u16)>,
    pub(crate) client_id: Arc<str>,
    pub(crate) acks: Acks,
    /// Whether idempotence is in effect.
    pub(crate) idempotence: bool,
    pub(crate) linger: Duration,
    /// At least 1.
    pub(crate) batch_size: usize,
    pub(crate) max_request_size: usize,
    pub(crate) buffer_memory: usize,
    pub(crate) retries: u32,
    pub(crate) delivery_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    /// Never below `retry_backoff`.
    pub(crate) retry_backoff_max: Duration,
    /// At least 1; at most 5 with idempotence.
    pub(crate) max_in_flight_requests_per_connection: usize,
    pub(crate) compression: Compression,
    pub(crate) partitioner: PartitionerKind,
    pub(crate) partitioner_adaptive_partitioning_enable: bool,
    /// Zero is off.
    pub(crate) partitioner_availability_timeout: Duration,
    pub(crate) partitioner_ignore_keys: bool,
    pub(crate) metadata_max_age: Duration,
    pub(crate) metadata_max_idle: Duration,
    pub(crate) metadata_recovery_strategy: MetadataRecoveryStrategy,
    pub(crate) metadata_recovery_rebootstrap_trigger: Duration,
    pub(crate) reconnect_backoff: Duration,
    /// Never below `reconnect_backoff`.
    pub(crate) reconnect_backoff_max: Duration,
    pub(crate) socket_connection_setup_timeout: Duration,
    /// Never below `socket_connection_setup_timeout`.
    pub(crate) socket_connection_setup_timeout_max: Duration,
    pub(crate) connections_max_idle: Duration,
    pub(crate) receive_message_max_bytes: usize,
    pub(crate) client_software_name: Arc<str>,
    pub(crate) client_software_version: Arc<str>,
    pub(crate) allow_reordering_on_retry: bool,
    pub(crate) allow_auto_topic_creation: bool,
    pub(crate) assume_broker_version: Option<OldBroker>,
}

impl Config {
    /// The concrete settings, or the first thing wrong with them.
    pub(crate) fn resolve(&self) -> Result<Settings, ConfigError> {
        self.check_ranges()?;
        let idempotence = self.resolve_idempotence()?;
        let (retry_backoff, retry_backoff_max) =
            backoff(self.retry_backoff, self.retry_backoff_max, DEFAULT_RETRY_BACKOFF);
        let (reconnect_backoff, reconnect_backoff_max) =
            backoff(self.reconnect_backoff, self.reconnect_backoff_max, DEFAULT_RECONNECT_BACKOFF);
        let client_id = if self.client_id.is_empty() { DEFAULT_CLIENT_ID } else { &self.client_id };
        let setup_timeout_max = self.socket_connection_setup_timeout_max.min(FOREVER);

        Ok(Settings {
            bootstrap: parse_bootstrap(&self.bootstrap_servers)?,
            client_id: client_id.into(),
            acks: self.acks,
            idempotence,
            linger: self.linger.min(FOREVER),
            batch_size: self.batch_size.max(1),
            max_request_size: self.max_request_size,
            buffer_memory: self.buffer_memory,
            retries: self.retries,
            delivery_timeout: self.resolve_delivery_timeout()?,
            request_timeout: self.request_timeout,
            retry_backoff,
            retry_backoff_max,
            max_in_flight_requests_per_connection: self.max_in_flight_requests_per_connection,
            compression: self.resolve_compression()?,
            partitioner: self.partitioner,
            partitioner_adaptive_partitioning_enable: self.partitioner_adaptive_partitioning_enable,
            partitioner_availability_timeout: self.partitioner_availability_timeout.min(FOREVER),
            partitioner_ignore_keys: self.partitioner_ignore_keys,
            metadata_max_age: self.metadata_max_age.min(FOREVER),
            metadata_max_idle: self.metadata_max_idle.min(FOREVER),
            metadata_recovery_strategy: self.metadata_recovery_strategy,
            metadata_recovery_rebootstrap_trigger: self
                .metadata_recovery_rebootstrap_trigger
                .min(FOREVER),
            reconnect_backoff,
            reconnect_backoff_max,
            socket_connection_setup_timeout: self
                .socket_connection_setup_timeout
                .min(setup_timeout_max),
            socket_connection_setup_timeout_max: setup_timeout_max,
            connections_max_idle: self.connections_max_idle.min(FOREVER),
            receive_message_max_bytes: self.receive_message_max_bytes,
            client_software_name: self.client_software_name.as_str().into(),
            client_software_version: self.client_software_version.as_str().into(),
            allow_reordering_on_retry: self.allow_reordering_on_retry,
            allow_auto_topic_creation: self.allow_auto_topic_creation,
            assume_broker_version: self.assume_broker_version,
        })
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        const I32_MAX: usize = i32::MAX as usize;
        if self.client_id.len() > MAX_STRING_LEN {
            return Err(invalid(
                "client.id",
                format!("{} bytes", self.client_id.len()),
                "at most 32767 bytes",
            ));
        }
        check_range("batch.size", self.batch_size, 0, I32_MAX)?;
        check_range("max.request.size", self.max_request_size, 1, I32_MAX)?;
        check_range("buffer.memory", self.buffer_memory, 1, usize::MAX)?;
        check_range("retries", self.retries as usize, 0, I32_MAX)?;
        check_range(
            "max.in.flight.requests.per.connection",
            self.max_in_flight_requests_per_connection,
            1,
            I32_MAX,
        )?;
        check_range("receive.message.max.bytes", self.receive_message_max_bytes, 1_000, I32_MAX)?;
        for (name, bytes) in [
            ("send.buffer.bytes", self.send_buffer_bytes),
            ("receive.buffer.bytes", self.receive_buffer_bytes),
        ] {
            if let Some(bytes) = bytes {
                check_range(name, bytes, 1, I32_MAX)?;
            }
        }
        for (name, duration, min, max) in [
            ("request.timeout.ms", self.request_timeout, ONE_MS, MAX_I32_MS),
            ("metadata.max.age.ms", self.metadata_max_age, ONE_MS, Duration::MAX),
            ("metadata.max.idle.ms", self.metadata_max_idle, Duration::from_secs(5), Duration::MAX),
            (
                "socket.connection.setup.timeout.ms",
                self.socket_connection_setup_timeout,
                ONE_MS,
                Duration::MAX,
            ),
            (
                "socket.connection.setup.timeout.max.ms",
                self.socket_connection_setup_timeout_max,
                ONE_MS,
                Duration::MAX,
            ),
            ("connections.max.idle.ms", self.connections_max_idle, ONE_MS, Duration::MAX),
        ] {
            if duration < min || duration > max {
                let allowed = if max == Duration::MAX {
                    format!("{} or more", millis(min))
                } else {
                    format!("{} to {}", millis(min), millis(max))
                };
                return Err(invalid(name, millis(duration), allowed));
            }
        }
        check_software("client.software.name", &self.client_software_name)?;
        check_software("client.software.version", &self.client_software_version)
    }

    /// KIP-679 and its later tightening: the default gives way to `acks` and `retries`, but never
    /// to more requests in flight than a broker can put in order.
    fn resolve_idempotence(&self) -> Result<bool, ConfigError> {
        if self.enable_idempotence == Some(false) {
            return Ok(false);
        }
        let explicit = self.enable_idempotence == Some(true);
        let conflict = |name, value: String, why| ConfigError::Conflict {
            name,
            value,
            other: "enable.idempotence",
            other_value: if explicit { "true" } else { "true (the default)" }.to_owned(),
            why,
        };
        if self.acks != Acks::All {
            return if explicit {
                let acks = self.acks.to_wire().to_string();
                Err(conflict("acks", acks, "idempotence needs acks = all"))
            } else {
                Ok(false)
            };
        }
        if self.retries == 0 {
            return if explicit {
                Err(conflict("retries", "0".to_owned(), "idempotence needs at least one retry"))
            } else {
                Ok(false)
            };
        }
        if self.max_in_flight_requests_per_connection > MAX_IN_FLIGHT_IDEMPOTENT {
            return Err(conflict(
                "max.in.flight.requests.per.connection",
                self.max_in_flight_requests_per_connection.to_string(),
                "idempotence allows at most 5 requests in flight",
            ));
        }
        if let Some(version) = self.assume_broker_version {
            let version = match version {
                OldBroker::V0_8 => "0.8",
                OldBroker::V0_9 => "0.9",
            };
            let why = "brokers before 0.11 have no producer ids";
            return Err(conflict("assume.broker.version", version.to_owned(), why));
        }
        Ok(true)
    }

    fn resolve_delivery_timeout(&self) -> Result<Duration, ConfigError> {
        let least = self.linger.saturating_add(self.request_timeout).min(MAX_I32_MS);
        let Some(timeout) = self.delivery_timeout else {
            return Ok(DEFAULT_DELIVERY_TIMEOUT.max(least));
        };
        if timeout > MAX_I32_MS {
            return Err(invalid(
                "delivery.timeout.ms",
                millis(timeout),
                format!("at most {}", millis(MAX_I32_MS)),
            ));
        }
        if timeout < least {
            return Err(ConfigError::Conflict {
                name: "delivery.timeout.ms",
                value: millis(timeout),
                other: "linger.ms + request.timeout.ms",
                other_value: millis(least),
                why: "a record must have time for one attempt",
            });
        }
        Ok(timeout)
    }

    fn resolve_compression(&self) -> Result<Compression, ConfigError> {
        let gzip = self.compression_gzip_level;
        if gzip != -1 && !(1..=9).contains(&gzip) {
            return Err(invalid("compression.gzip.level", gzip.to_string(), "1 to 9, or -1"));
        }
        let lz4 = self.compression_lz4_level;
        if !(1..=17).contains(&lz4) {
            return Err(invalid("compression.lz4.level", lz4.to_string(), "1 to 17"));
        }
        let zstd = self.compression_zstd_level;
        if !(-131_072..=22).contains(&zstd) {
            return Err(invalid("compression.zstd.level", zstd.to_string(), "-131072 to 22"));
        }

        let codec = self.compression_type;
        let (level, built_in, feature) = match codec {
            Codec::None => (0, true, ""),
            Codec::Gzip => (gzip, cfg!(feature = "gzip"), "gzip"),
            Codec::Snappy => (0, cfg!(feature = "snappy"), "snappy"),
            Codec::Lz4 => (lz4, cfg!(feature = "lz4"), "lz4"),
            Codec::Zstd => (zstd, cfg!(feature = "zstd"), "zstd"),
        };
        if !built_in {
            return Err(ConfigError::Unsupported {
                name: "compression.type".to_owned(),
                value: feature.to_owned(),
                why: format!("built without the cargo feature {feature}"),
            });
        }
        if codec == Codec::Lz4 && lz4 != 9 && !cfg!(feature = "lz4-hc") {
            return Err(ConfigError::Unsupported {
                name: "compression.lz4.level".to_owned(),
                value: lz4.to_string(),
                why: "levels other than 9 (the fast compressor) need the cargo feature lz4-hc"
                    .to_owned(),
            });
        }
        Ok(Compression { codec, level })
    }
}

/// A duration in the unit of the settings, where it is a whole number of it.
fn millis(duration: Duration) -> String {
    match duration.subsec_nanos() % 1_000_000 {
        0 => format!("{} ms", duration.as_millis()),
        _ => format!("{duration:?}"),
    }
}

/// First and longest pause. A base alone makes the longest follow it; a base above the longest is
/// cut.
fn backoff(
    base: Option<Duration>,
    max: Option<Duration>,
    default_base: Duration,
) -> (Duration, Duration) {
    let max = max.or(base).unwrap_or(DEFAULT_BACKOFF_MAX).min(FOREVER);
    (base.unwrap_or(default_base).min(max), max)
}

/// What brokers accept since 2.4 (KIP-511). With anything else they refuse the first request of
/// every connection.
fn check_software(name: &'static str, value: &str) -> Result<(), ConfigError> {
    let bytes = value.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(inner)
        && bytes.len() <= i16::MAX as usize
    {
        return Ok(());
    }
    let allowed = "letters, digits, '-' and '.', beginning and ending with a letter or digit, \
                   at most 32767 bytes";
    Err(invalid(name, value, allowed))
}

fn check_range(
    name: &'static str,
    value: usize,
    min: usize,
    max: usize,
) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let allowed =
        if max == usize::MAX { format!("{min} or more") } else { format!("{min} to {max}") };
    Err(invalid(name, value.to_string(), allowed))
}

pub(super) fn invalid(
    name: &'static str,
    value: impl Into<String>,
    allowed: impl Into<String>,
) -> ConfigError {
    ConfigError::Invalid { name, value: value.into(), allowed: allowed.into() }
}
