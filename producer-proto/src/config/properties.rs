//! Settings by Kafka's property names: the table of names, and what to say about others.

use std::time::Duration;

use super::properties_file;
use super::settings::FOREVER;
use super::values::Value;
use super::{Config, ConfigError, PartitionerKind};

/// A property that is a field of [`Config`].
struct Property {
    name: &'static str,
    set: fn(&mut Config, &str) -> Result<(), &'static str>,
    get: fn(&Config) -> Option<String>,
}

macro_rules! properties {
    ($($name:literal: $field:ident,)*) => { &[ $(
        Property {
            name: $name,
            set: |config, value| {
                config.$field = Value::read(value)?;
                Ok(())
            },
            get: |config| config.$field.write(),
        },
    )* ] };
}

const PROPERTIES: &[Property] = properties! {
    "bootstrap.servers": bootstrap_servers,
    "client.id": client_id,
    "acks": acks,
    "enable.idempotence": enable_idempotence,
    "linger.ms": linger,
    "batch.size": batch_size,
    "max.request.size": max_request_size,
    "buffer.memory": buffer_memory,
    "max.block.ms": max_block,
    "retries": retries,
    "delivery.timeout.ms": delivery_timeout,
    "request.timeout.ms": request_timeout,
    "retry.backoff.ms": retry_backoff,
    "retry.backoff.max.ms": retry_backoff_max,
    "max.in.flight.requests.per.connection": max_in_flight_requests_per_connection,
    "compression.type": compression_type,
    "compression.gzip.level": compression_gzip_level,
    "compression.lz4.level": compression_lz4_level,
    "compression.zstd.level": compression_zstd_level,
    "partitioner.adaptive.partitioning.enable": partitioner_adaptive_partitioning_enable,
    "partitioner.availability.timeout.ms": partitioner_availability_timeout,
    "partitioner.ignore.keys": partitioner_ignore_keys,
    "metadata.max.age.ms": metadata_max_age,
    "metadata.max.idle.ms": metadata_max_idle,
    "metadata.recovery.strategy": metadata_recovery_strategy,
    "metadata.recovery.rebootstrap.trigger.ms": metadata_recovery_rebootstrap_trigger,
    "reconnect.backoff.ms": reconnect_backoff,
    "reconnect.backoff.max.ms": reconnect_backoff_max,
    "socket.connection.setup.timeout.ms": socket_connection_setup_timeout,
    "socket.connection.setup.timeout.max.ms": socket_connection_setup_timeout_max,
    "receive.message.max.bytes": receive_message_max_bytes,
    "send.buffer.bytes": send_buffer_bytes,
    "receive.buffer.bytes": receive_buffer_bytes,
    "client.software.name": client_software_name,
    "client.software.version": client_software_version,
    "allow.reordering.on.retry": allow_reordering_on_retry,
    "allow.auto.create.topics": allow_auto_topic_creation,
    "assume.broker.version": assume_broker_version,
};

const CONNECTIONS_MAX_IDLE: &str = "connections.max.idle.ms";
const PARTITIONER_CLASS: &str = "partitioner.class";

/// Names in `partitioner.class`: our own, and what is a class in Java.
const PARTITIONERS: &[(&str, PartitionerKind)] = &[
    ("murmur2", PartitionerKind::Murmur2),
    ("fnv1a", PartitionerKind::Fnv1a),
    ("crc32", PartitionerKind::Crc32),
    ("round_robin", PartitionerKind::RoundRobin),
    ("org.apache.kafka.clients.producer.RoundRobinPartitioner", PartitionerKind::RoundRobin),
];

/// Settings of the Java producer that say nothing new with one of these values.
const ACCEPTED: &[(&str, &[&str])] = &[
    ("security.protocol", &["PLAINTEXT"]),
    ("client.dns.lookup", &["use_all_dns_ips"]),
    ("key.serializer", BYTE_SERIALIZERS),
    ("value.serializer", BYTE_SERIALIZERS),
    ("enable.metrics.push", &["false"]),
    ("interceptor.classes", &[""]),
    ("metric.reporters", &[""]),
];

const BYTE_SERIALIZERS: &[&str] = &[
    "org.apache.kafka.common.serialization.ByteArraySerializer",
    "org.apache.kafka.common.serialization.ByteBufferSerializer",
    "org.apache.kafka.common.serialization.BytesSerializer",
    "org.apache.kafka.common.serialization.StringSerializer",
];

/// Settings of the Java producer that this one does not have, and why. A name that ends with a
/// dot stands for all that begin with it.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("security.protocol", "only PLAINTEXT is, yet"),
    ("client.dns.lookup", "only use_all_dns_ips is"),
    ("key.serializer", "records are bytes here; serialize before sending"),
    ("value.serializer", "records are bytes here; serialize before sending"),
    ("enable.metrics.push", "this producer pushes no metrics (KIP-714); leave it out"),
    ("interceptor.classes", "Java classes cannot be loaded"),
    ("metric.reporters", "Java classes cannot be loaded; read the producer's Stats"),
    ("metrics.num.samples", "counters are read from the producer's Stats"),
    ("metrics.recording.level", "counters are read from the producer's Stats"),
    ("metrics.sample.window.ms", "counters are read from the producer's Stats"),
    ("transactional.id", "transactions are not there yet"),
    ("transaction.timeout.ms", "transactions are not there yet"),
    ("transaction.two.phase.commit.enable", "transactions are not there yet"),
    ("security.providers", "Java classes cannot be loaded"),
    ("config.providers", "Java classes cannot be loaded"),
    ("config.providers.", "Java classes cannot be loaded"),
    ("auto.include.jmx.reporter", "there is no JMX here"),
    ("sasl.", "authentication is not there yet"),
    ("ssl.", "TLS is not there yet"),
];

/// What other clients call our settings.
const ELSEWHERE: &[(&str, &str)] = &[
    ("metadata.broker.list", "bootstrap.servers"),
    ("request.required.acks", "acks"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("message.max.bytes", "max.request.size"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("message.send.max.retries", "retries"),
    ("compression.codec", "compression.type"),
    ("partitioner", PARTITIONER_CLASS),
];

impl Config {
    /// The defaults with these properties, under the names of Kafka's Java producer (plus
    /// `receive.message.max.bytes`, `client.software.name`, `client.software.version`,
    /// `allow.auto.create.topics`, `allow.reordering.on.retry` and `assume.broker.version`). Of a
    /// name that comes twice, the later value counts.
    ///
    /// Ranges and the rules between settings are checked later, by
    /// [`validate`](Self::validate) or when the producer is made, so that more can be
    /// [`set`](Self::set) on top.
    ///
    /// ```
    /// use producer_proto::Config;
    /// let config = Config::from_properties([("bootstrap.servers", "kafka:9092"), ("linger.ms", "20")])?;
    /// let error = Config::from_properties([("linger.mss", "20")]).unwrap_err();
    /// assert_eq!(error.to_string(), "linger.mss: no such setting; did you mean linger.ms?");
    /// # Ok::<(), producer_proto::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As [`set`](Self::set), for the first property that is wrong.
    pub fn from_properties<K, V>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut config = Self::default();
        for (name, value) in properties {
            config.set(name.as_ref(), value.as_ref())?;
        }
        Ok(config)
    }

    /// The defaults with the properties of a text in the form of Java's `.properties` files:
    /// `name=value`, `name: value` or `name value` a line, comments with `#` or `!`, a backslash
    /// at the end to continue a line, and backslash escapes.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] for a broken escape, else as
    /// [`from_properties`](Self::from_properties).
    pub fn parse_properties(text: &str) -> Result<Self, ConfigError> {
        Self::from_properties(properties_file::parse(text)?)
    }

    /// Sets one property by its name, as [`from_properties`](Self::from_properties) does.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if the value is not of the property's type,
    /// [`ConfigError::Unsupported`] if Kafka has the setting or value but this producer has not,
    /// [`ConfigError::Unknown`] if nobody has. The settings are as before, then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let name = name.trim();
        let value = value.trim();
        let invalid = |name, allowed: &str| ConfigError::Invalid {
            name,
            value: value.to_owned(),
            allowed: allowed.to_owned(),
        };
        if let Some(property) = PROPERTIES.iter().find(|property| property.name == name) {
            return (property.set)(self, value).map_err(|allowed| invalid(property.name, allowed));
        }
        if name == CONNECTIONS_MAX_IDLE {
            self.connections_max_idle = match value {
                "-1" => Duration::MAX,
                _ => Value::read(value).map_err(|_| {
                    invalid(CONNECTIONS_MAX_IDLE, "a whole number of milliseconds from 1, or -1")
                })?,
            };
            return Ok(());
        }
        if name == PARTITIONER_CLASS {
            let known = PARTITIONERS.iter().find(|(text, _)| *text == value);
            let &(_, kind) = known.ok_or_else(|| unsupported(name, value, PARTITIONER_HINT))?;
            self.partitioner = kind;
            return Ok(());
        }
        refuse(name, value)
    }

    /// Every property that is set or has a default of its own, by name. Durations are in whole
    /// milliseconds, rounded up. [`from_properties`](Self::from_properties) makes equal settings
    /// of them.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, String)> {
        let idle = if self.connections_max_idle >= FOREVER {
            Some("-1".to_owned())
        } else {
            self.connections_max_idle.write()
        };
        let partitioner = PARTITIONERS
            .iter()
            .find_map(|&(name, kind)| (kind == self.partitioner).then(|| name.to_owned()));
        let special = [(CONNECTIONS_MAX_IDLE, idle), (PARTITIONER_CLASS, partitioner)];
        PROPERTIES
            .iter()
            .map(|property| (property.name, (property.get)(self)))
            .chain(special)
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

const PARTITIONER_HINT: &str = "there are murmur2, fnv1a, crc32, round_robin and \
    org.apache.kafka.clients.producer.RoundRobinPartitioner; other Java classes cannot be loaded, \
    implement Partitioner instead";

/// What to say about a property that is no field, unless its value asks for what is done anyway.
fn refuse(name: &str, value: &str) -> Result<(), ConfigError> {
    let accepted = ACCEPTED.iter().find(|(accepted, _)| *accepted == name);
    if accepted.is_some_and(|(_, values)| values.iter().any(|v| v.eq_ignore_ascii_case(value))) {
        return Ok(());
    }
    let covers = |known: &str| name == known || known.ends_with('.') && name.starts_with(known);
    if let Some((_, why)) = UNSUPPORTED.iter().find(|(known, _)| covers(known)) {
        return Err(unsupported(name, value, why));
    }
    Err(ConfigError::Unknown { name: name.to_owned(), suggestion: suggest(name) })
}

fn unsupported(name: &str, value: &str, why: &str) -> ConfigError {
    // Settings of authentication may be secrets.
    let secret = name.starts_with("sasl.") || name.starts_with("ssl.");
    let value = if secret { "…" } else { value };
    ConfigError::Unsupported { name: name.to_owned(), value: value.to_owned(), why: why.to_owned() }
}

/// The setting that was probably meant: another client's name for it, a name that begins so, or
/// one that is a few letters away.
fn suggest(name: &str) -> Option<&'static str> {
    /// No setting's name is as long.
    const LONGEST: usize = 64;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name) {
        return Some(ours);
    }
    let names =
        || PROPERTIES.iter().map(|p| p.name).chain([CONNECTIONS_MAX_IDLE, PARTITIONER_CLASS]);
    let wanted = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let begins = |known: &&str| {
        known
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| matches!(rest, "" | ".ms" | ".bytes"))
    };
    names().find(begins).or_else(|| {
        let (distance, known) = names().map(|known| (distance(&wanted, known), known)).min()?;
        (distance <= 1 + wanted.len() / 8).then_some(known)
    })
}

/// The number of letters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
