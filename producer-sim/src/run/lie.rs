//! What a lying broker makes of an honest answer.

use super::script::Lie;
use crate::ResponseKind;
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};

/// Replaces the numbers of one kind, as far as the answer has them; what does not fit is cut off.
pub(super) fn lie(response: &mut ResponseKind, lie: Lie, value: i64) {
    match response {
        ResponseKind::Produce(response) => about_batches(response, lie, value),
        ResponseKind::Metadata(response) => about_leaders(response, lie, value),
        ResponseKind::InitProducerId(response) => about_the_producer(response, lie, value),
        ResponseKind::ApiVersions(response) => about_versions(response, lie, value),
        _ => {}
    }
}

fn about_batches(response: &mut ProduceResponse, lie: Lie, value: i64) {
    if lie == Lie::Throttle {
        response.throttle_time_ms = value as i32;
    }
    for endpoint in &mut response.node_endpoints {
        match lie {
            Lie::Node => endpoint.node_id = BrokerId(value as i32),
            Lie::Port => endpoint.port = value as i32,
            _ => {}
        }
    }
    for partition in response.responses.iter_mut().flat_map(|t| &mut t.partition_responses) {
        match lie {
            Lie::Code => partition.error_code = value as i16,
            Lie::Offset => partition.base_offset = value,
            Lie::Partition => partition.index = value as i32,
            Lie::Leader => partition.current_leader.leader_id = BrokerId(value as i32),
            Lie::LeaderEpoch => partition.current_leader.leader_epoch = value as i32,
            _ => {}
        }
    }
}

fn about_leaders(response: &mut MetadataResponse, lie: Lie, value: i64) {
    if lie == Lie::Throttle {
        response.throttle_time_ms = value as i32;
    }
    for broker in &mut response.brokers {
        match lie {
            Lie::Node => broker.node_id = BrokerId(value as i32),
            Lie::Port => broker.port = value as i32,
            _ => {}
        }
    }
    for topic in &mut response.topics {
        if lie == Lie::Code {
            topic.error_code = value as i16;
        }
        for partition in &mut topic.partitions {
            match lie {
                Lie::Code => partition.error_code = value as i16,
                Lie::Partition => partition.partition_index = value as i32,
                Lie::Leader => partition.leader_id = BrokerId(value as i32),
                Lie::LeaderEpoch => partition.leader_epoch = value as i32,
                _ => {}
            }
        }
    }
}

fn about_the_producer(response: &mut InitProducerIdResponse, lie: Lie, value: i64) {
    match lie {
        Lie::Code => response.error_code = value as i16,
        Lie::ProducerId => response.producer_id = value.into(),
        Lie::ProducerEpoch => response.producer_epoch = value as i16,
        Lie::Throttle => response.throttle_time_ms = value as i32,
        _ => {}
    }
}

fn about_versions(response: &mut ApiVersionsResponse, lie: Lie, value: i64) {
    match lie {
        Lie::Code => response.error_code = value as i16,
        Lie::Throttle => response.throttle_time_ms = value as i32,
        Lie::Version => {
            for api in &mut response.api_keys {
                api.max_version = value as i16;
            }
        }
        _ => {}
    }
}
