//! What makes bytes of keys and values.

use std::borrow::Cow;

use bytes::Bytes;

use crate::interceptor::{BoxError, DraftHeader};

/// Makes bytes of a `T`, for a key or a value.
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// The bytes for `data`, borrowed from it where that is possible. `topic` is where the record
    /// goes; `headers` are the record's, and may be changed (the key's serializer comes first).
    ///
    /// # Errors
    /// Why `data` cannot be sent: the record is refused, nothing of it is kept.
    fn serialize<'a>(
        &self,
        topic: &str,
        headers: &mut Vec<DraftHeader<'_>>,
        data: &'a T,
    ) -> Result<Cow<'a, [u8]>, BoxError>;
}

/// Strings as UTF-8 (Java's `StringSerializer`). Borrows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8;

/// Bytes as they are (Java's `ByteArraySerializer`). Borrows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// Numbers in network byte order (Java's `IntegerSerializer`, `LongSerializer`,
/// `DoubleSerializer` and so on).
#[derive(Clone, Copy, Debug, Default)]
pub struct BigEndian;

macro_rules! serializers {
    ($serializer:ty: $($data:ty),+; |$name:ident| $bytes:expr) => {$(
        impl Serializer<$data> for $serializer {
            fn serialize<'a>(
                &self,
                _topic: &str,
                _headers: &mut Vec<DraftHeader<'_>>,
                $name: &'a $data,
            ) -> Result<Cow<'a, [u8]>, BoxError> {
                Ok(Cow::from($bytes))
            }
        }
    )+};
}

serializers!(Utf8: str, String, &str; |text| text.as_bytes());
serializers!(Raw: [u8], Vec<u8>, &[u8], Bytes; |bytes| AsRef::<[u8]>::as_ref(bytes));
serializers!(
    BigEndian: i16, i32, i64, i128, u16, u32, u64, u128, f32, f64; |number| number.to_be_bytes().to_vec()
);

/// Anything that serde can serialize, as JSON without spaces.
#[cfg(feature = "serde")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "serde")]
impl<T: serde::Serialize + ?Sized> Serializer<T> for Json {
    fn serialize<'a>(
        &self,
        _topic: &str,
        _headers: &mut Vec<DraftHeader<'_>>,
        data: &'a T,
    ) -> Result<Cow<'a, [u8]>, BoxError> {
        Ok(serde_json::to_vec(data)?.into())
    }
}
