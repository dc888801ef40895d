//! Identifiers. All are plain numbers: copyable, ordered, and safe to write into a trace.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A broker's node id, as the cluster's metadata names it.
    BrokerId(i32), "broker "
);
id!(
    /// One connection attempt. Never reused by the same producer.
    ConnectionId(u64), "connection "
);
id!(
    /// A topic name interned by one producer (see [`Producer::topic`](crate::Producer::topic)).
    /// It is an index, not Kafka's topic id, which is a [`Uuid`].
    TopicId(u32), "topic "
);
id!(
    /// A batch of records of one partition. Ids are dense, start at 0 and are never reused, so a
    /// ring buffer indexed by `id - oldest` is enough to find what belongs to a batch.
    BatchId(u64), "batch "
);
id!(
    /// A call of [`Producer::flush`](crate::Producer::flush).
    FlushId(u64), "flush "
);

id!(
    /// A question asked with [`Producer::describe`](crate::Producer::describe).
    DescribeId(u64), "question "
);

/// Kafka's topic id (KIP-516): 16 bytes, all zero when unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that means "no id".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is the id that means "no id".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
