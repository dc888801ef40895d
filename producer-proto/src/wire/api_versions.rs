//! ApiVersions: which versions of which APIs a broker speaks, and its cluster's features.

use super::header::ApiKey;
use super::primitives::{DecodeError, Reader};
use super::request::Request;
use super::versions::BrokerVersions;
use super::writer::Writer;

/// UNSUPPORTED_VERSION: the broker does not know the version of the request.
const UNSUPPORTED_VERSION: i16 = 35;
/// Tagged fields of the response.
const TAG_FINALIZED_FEATURES_EPOCH: u32 = 1;
const TAG_FINALIZED_FEATURES: u32 = 2;

/// The first request on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiVersionsRequest<'a> {
    /// The client library (KIP-511): letters, digits, and inside also `-` and `.`. From version 3.
    pub(crate) software_name: &'a str,
    /// Its version, under the same rule.
    pub(crate) software_version: &'a str,
}

impl Request for ApiVersionsRequest<'_> {
    const API: ApiKey = ApiKey::ApiVersions;

    fn write(&self, out: &mut Writer<'_>, version: i16) {
        if version >= 3 {
            out.string(self.software_name);
            out.string(self.software_version);
        }
        out.no_tags();
    }
}

/// What a broker says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiVersionsResponse {
    /// With UNSUPPORTED_VERSION (35), `versions` may tell for ApiVersions which to ask again with.
    pub(crate) error_code: i16,
    pub(crate) versions: BrokerVersions,
    pub(crate) throttle_ms: i32,
    /// -1 when the broker names none.
    pub(crate) finalized_features_epoch: i64,
    /// Cluster-wide features (KIP-584), for example `transaction.version`.
    pub(crate) finalized_features: Vec<FinalizedFeature>,
}

/// One cluster-wide feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinalizedFeature {
    pub(crate) name: String,
    /// The level in force.
    pub(crate) level: i16,
}

impl ApiVersionsResponse {
    /// Decodes the answer to a request of `version`. A broker that does not know that version
    /// answers in version 0 with error 35.
    pub(crate) fn decode(body: &[u8], version: i16) -> Result<Self, DecodeError> {
        if version > 0 && Reader::new(body, false).i16()? == UNSUPPORTED_VERSION {
            return Self::decode_as(body, 0).or_else(|_| Self::decode_as(body, version));
        }
        Self::decode_as(body, version)
    }

    fn decode_as(body: &[u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, ApiKey::ApiVersions.is_flexible(version));
        let error_code = reader.i16()?;
        let mut versions = BrokerVersions::default();
        for _ in 0..reader.array("API keys", 6)? {
            let (key, min, max) = (reader.i16()?, reader.i16()?, reader.i16()?);
            versions.announce(key, min, max);
            reader.skip_tags()?;
        }
        let throttle_ms = if version >= 1 { reader.i32()? } else { 0 };
        let mut finalized_features_epoch = -1;
        let mut finalized_features = Vec::new();
        reader.tags(|tag, field| {
            match tag {
                TAG_FINALIZED_FEATURES_EPOCH => finalized_features_epoch = field.i64()?,
                TAG_FINALIZED_FEATURES => {
                    for _ in 0..field.array("finalized features", 6)? {
                        let name = field.span("feature name")?.text_lossy(body).into_owned();
                        let level = field.i16()?;
                        let _min_level = field.i16()?;
                        field.skip_tags()?;
                        finalized_features.push(FinalizedFeature { name, level });
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        reader.finish()?;
        Ok(Self { error_code, versions, throttle_ms, finalized_features_epoch, finalized_features })
    }
}
