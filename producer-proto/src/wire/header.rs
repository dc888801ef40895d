//! API keys, and the headers in front of requests and responses.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::primitives::{DecodeError, Reader};
use super::writer::Writer;

/// The APIs we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub(crate) enum ApiKey {
    Produce = 0,
    Metadata = 3,
    ApiVersions = 18,
    InitProducerId = 22,
}

impl ApiKey {
    /// Every API, in the order of [`Self::index`].
    pub(crate) const ALL: [Self; 4] =
        [Self::Produce, Self::Metadata, Self::ApiVersions, Self::InitProducerId];

    /// The API of a key on the wire, if it is one of ours.
    pub(crate) fn from_key(key: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.key() == key)
    }

    /// The key on the wire.
    pub(crate) const fn key(self) -> i16 {
        self as i16
    }

    /// A dense number, below the length of [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Produce => 0,
            Self::Metadata => 1,
            Self::ApiVersions => 2,
            Self::InitProducerId => 3,
        }
    }

    /// Whether `version` uses compact encodings and tagged fields (KIP-482).
    pub(crate) const fn is_flexible(self, version: i16) -> bool {
        version
            >= match self {
                Self::Produce | Self::Metadata => 9,
                Self::ApiVersions => 3,
                Self::InitProducerId => 2,
            }
    }

    /// Whether the broker leaves it to the client to obey the throttle time that a response of
    /// `version` carries (KIP-219). In earlier versions it has already waited itself.
    pub(crate) const fn client_throttles(self, version: i16) -> bool {
        version
            >= match self {
                Self::Produce | Self::Metadata => 6,
                Self::ApiVersions => 2,
                Self::InitProducerId => 1,
            }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What precedes every request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHeader<'a> {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    /// Comes back in the response.
    pub(crate) correlation_id: i32,
    /// At most [`MAX_STRING_LEN`](super::writer::MAX_STRING_LEN) bytes.
    pub(crate) client_id: Option<&'a str>,
}

impl RequestHeader<'_> {
    /// Appends the header: version 2 before a flexible body, version 1 otherwise.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_i16(self.api.key());
        out.put_i16(self.version);
        out.put_i32(self.correlation_id);
        // The client id keeps its classic encoding in both versions, so that a broker can read
        // the header of a request it does not know.
        Writer::new(out, false).nullable_string(self.client_id);
        Writer::new(out, self.api.is_flexible(self.version)).no_tags();
    }
}

/// The correlation id with which every frame from a broker begins.
pub(crate) fn correlation_id(frame: &[u8]) -> Result<i32, DecodeError> {
    Reader::new(frame, false).i32()
}

/// Splits a response frame into its correlation id and its body.
pub(crate) fn split_response(
    api: ApiKey,
    version: i16,
    frame: &[u8],
) -> Result<(i32, &[u8]), DecodeError> {
    // An ApiVersions response has the oldest header in every version: the broker that answers may
    // not know the version that was asked (KIP-511).
    let flexible = api != ApiKey::ApiVersions && api.is_flexible(version);
    let mut reader = Reader::new(frame, flexible);
    let correlation_id = reader.i32()?;
    reader.skip_tags()?;
    Ok((correlation_id, reader.rest()))
}
