//! The settings that are a choice between named things.

/// Which replicas must have a batch before the broker acknowledges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Acks {
    /// All replicas that are in sync. The only choice that survives the loss of a leader, and the
    /// one that idempotence needs. `all` or `-1` as a property.
    #[default]
    All,
    /// The leader alone. `1` as a property.
    Leader,
    /// Nobody: the broker does not answer, and offsets are unknown. `0` as a property.
    None,
}

impl Acks {
    /// The value of the Produce request's field.
    pub const fn to_wire(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// Who chooses the partition of a record that names none.
///
/// A hash of the key keeps the records of one key in one partition, as long as the number of
/// partitions stays the same. Clients place keys alike only if they hash alike: choose what the
/// topic's other producers use. Records without key are spread by batches over the partitions
/// that have a leader (KIP-794), whatever the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PartitionerKind {
    /// murmur2 of the key, as the Java client and franz-go (and `murmur2_random` of librdkafka).
    #[default]
    Murmur2,
    /// 32-bit FNV-1a of the key, as sarama's default.
    Fnv1a,
    /// CRC-32 of the key, as librdkafka's default `consistent_random`. An empty key counts as
    /// none.
    Crc32,
    /// Each record to the next partition that has a leader; keys play no part.
    RoundRobin,
}

/// What to do when no broker known from metadata can be reached (KIP-899).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MetadataRecoveryStrategy {
    /// Start again from the bootstrap servers.
    #[default]
    Rebootstrap,
    /// Keep trying the brokers that are known.
    None,
}

/// A broker from before ApiVersions (KIP-35), which closes the connection when it is asked for its
/// versions: it has to be told which they are. Brokers from 0.10.0 on say so themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OldBroker {
    /// Kafka 0.8: Produce 0, Metadata 0. `0.8` as a property.
    V0_8,
    /// Kafka 0.9: Produce 1, Metadata 0. `0.9` as a property.
    V0_9,
}

/// How record batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}
