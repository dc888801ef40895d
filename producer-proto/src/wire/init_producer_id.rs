//! InitProducerId: the identity under which a broker recognises duplicates.

use super::header::ApiKey;
use super::primitives::{DecodeError, Reader};
use super::request::Request;
use super::writer::Writer;

/// Asks for a producer id and epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InitProducerIdRequest<'a> {
    /// `None` for an idempotent producer without transactions.
    pub(crate) transactional_id: Option<&'a str>,
    /// How long a transaction may stay open; ignored without a transactional id.
    pub(crate) transaction_timeout_ms: i32,
    /// The id whose epoch is to be raised, or -1 for a new one. From version 3.
    pub(crate) producer_id: i64,
    /// The epoch of `producer_id`, or -1. From version 3.
    pub(crate) producer_epoch: i16,
}

impl Request for InitProducerIdRequest<'_> {
    const API: ApiKey = ApiKey::InitProducerId;

    fn write(&self, out: &mut Writer<'_>, version: i16) {
        out.nullable_string(self.transactional_id);
        out.i32(self.transaction_timeout_ms);
        if version >= 3 {
            out.i64(self.producer_id);
            out.i16(self.producer_epoch);
        }
        out.no_tags();
    }
}

/// The identity, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) throttle_ms: i32,
    pub(crate) error_code: i16,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}

impl InitProducerIdResponse {
    /// Decodes the answer to a request of `version`.
    pub(crate) fn decode(body: &[u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, ApiKey::InitProducerId.is_flexible(version));
        let response = Self {
            throttle_ms: reader.i32()?,
            error_code: reader.i16()?,
            producer_id: reader.i64()?,
            producer_epoch: reader.i16()?,
        };
        reader.skip_tags()?;
        reader.finish()?;
        Ok(response)
    }
}
