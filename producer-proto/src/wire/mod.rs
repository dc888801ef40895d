//! The wire protocol: bounded reading and writing of what a producer says to a broker and hears
//! from it. Written by hand for exactly the messages and versions we speak, so that a response is
//! decoded without intermediate objects and a Produce request never copies its records.
//!
//! Bytes from a broker can cost an error and nothing else: every length is checked against the
//! bytes at hand, work is linear in them, and a body that does not end where its frame ends is
//! refused, because then both sides disagree about what was said.

pub(crate) mod api_versions;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod init_producer_id;
pub(crate) mod metadata;
pub(crate) mod primitives;
pub(crate) mod produce;
pub(crate) mod produce_response;
pub(crate) mod request;
pub(crate) mod varint;
pub(crate) mod versions;
pub(crate) mod writer;

pub(crate) use api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub(crate) use frame::FrameSplitter;
pub(crate) use header::{ApiKey, correlation_id, split_response};
pub(crate) use init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
pub(crate) use primitives::DecodeError;
pub(crate) use produce::{
    PARTITION_OVERHEAD, ProduceRequestWriter, TOPIC_IDS_FROM, request_overhead, topic_overhead,
};
pub(crate) use produce_response::{NodeEndpoint, ProducePartition, ProduceResponse, TopicRef};
pub(crate) use request::encode_request;
pub(crate) use versions::BrokerVersions;
pub(crate) use writer::MAX_STRING_LEN;

#[cfg(test)]
mod tests;
