//! How the value of a property is read and written, by type.

use std::time::Duration;

use super::{Acks, Codec, MetadataRecoveryStrategy, OldBroker};

/// What is allowed, when the text is not.
type Allowed = &'static str;

/// A type that a property can have. Texts come trimmed.
pub(super) trait Value: Sized {
    /// The value that a text stands for. Ranges are not checked here.
    fn read(text: &str) -> Result<Self, Allowed>;

    /// The text for a value, or `None` for "not set".
    fn write(&self) -> Option<String>;
}

impl Value for String {
    fn read(text: &str) -> Result<Self, Allowed> {
        Ok(text.to_owned())
    }

    fn write(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// A comma-separated list. Empty entries stay, for the check to find; only an empty text has none.
impl Value for Vec<String> {
    fn read(text: &str) -> Result<Self, Allowed> {
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        Ok(text.split(',').map(|entry| entry.trim().to_owned()).collect())
    }

    fn write(&self) -> Option<String> {
        Some(self.join(","))
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, Allowed> {
        choose(text, &[("true", true), ("false", false)], "true or false")
    }

    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! whole_number {
    ($($type:ty: $allowed:literal,)*) => { $(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, Allowed> {
                text.parse().map_err(|_| $allowed)
            }

            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}

whole_number! {
    i32: "a whole number",
    u32: "a whole number from 0",
    usize: "a whole number from 0",
}

/// Milliseconds; fractions are rounded up when written.
impl Value for Duration {
    fn read(text: &str) -> Result<Self, Allowed> {
        let allowed = "a whole number of milliseconds from 0 to 9223372036854775807";
        let millis = text.parse::<i64>().map_err(|_| allowed)?;
        u64::try_from(millis).map(Self::from_millis).map_err(|_| allowed)
    }

    fn write(&self) -> Option<String> {
        let millis = self.as_nanos().div_ceil(1_000_000);
        Some(millis.min(i64::MAX as u128).to_string())
    }
}

impl Value for Option<bool> {
    fn read(text: &str) -> Result<Self, Allowed> {
        bool::read(text).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(Value::write)
    }
}

impl Value for Option<Duration> {
    fn read(text: &str) -> Result<Self, Allowed> {
        Duration::read(text).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(Value::write)
    }
}

/// A size that -1 leaves to the operating system.
impl Value for Option<usize> {
    fn read(text: &str) -> Result<Self, Allowed> {
        if text == "-1" {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| "a whole number from 1, or -1")
    }

    fn write(&self) -> Option<String> {
        Some(self.map_or_else(|| "-1".to_owned(), |size| size.to_string()))
    }
}

macro_rules! choice {
    ($type:ty, $allowed:literal, $($text:literal => $value:path),* $(,)?) => {
        impl Value for $type {
            fn read(text: &str) -> Result<Self, Allowed> {
                choose(text, &[$(($text, $value)),*], $allowed)
            }

            fn write(&self) -> Option<String> {
                [$(($text, $value)),*]
                    .into_iter()
                    .find_map(|(text, value)| (value == *self).then(|| text.to_owned()))
            }
        }
    };
}

choice!(Acks, "all, -1, 0 or 1", "all" => Acks::All, "-1" => Acks::All, "0" => Acks::None, "1" => Acks::Leader);
choice!(
    Codec, "none, gzip, snappy, lz4 or zstd",
    "none" => Codec::None,
    "gzip" => Codec::Gzip,
    "snappy" => Codec::Snappy,
    "lz4" => Codec::Lz4,
    "zstd" => Codec::Zstd,
);
choice!(
    MetadataRecoveryStrategy, "rebootstrap or none",
    "rebootstrap" => MetadataRecoveryStrategy::Rebootstrap,
    "none" => MetadataRecoveryStrategy::None,
);

choice!(
    OldBroker, "0.8 or 0.9",
    "0.8" => OldBroker::V0_8,
    "0.9" => OldBroker::V0_9,
);

impl Value for Option<OldBroker> {
    fn read(text: &str) -> Result<Self, Allowed> {
        OldBroker::read(text).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(Value::write)
    }
}

/// The value of a name, in upper or lower case.
pub(super) fn choose<T: Copy>(
    text: &str,
    names: &[(&str, T)],
    allowed: Allowed,
) -> Result<T, Allowed> {
    let named = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map(|&(_, value)| value).ok_or(allowed)
}
