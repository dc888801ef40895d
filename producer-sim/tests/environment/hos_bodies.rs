//! HOS: any bytes, and every number at its extremes.

use crate::common::*;
use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};
use producer_sim::{ApiKey, Fate, Output, ResponseKind, Rule, World};

/// A stream of numbers from a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) % limit
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(60);
        let mut bytes: Vec<u8> = (0..length).map(|_| self.below(256) as u8).collect();
        if self.below(2) == 0 && bytes.len() > 8 {
            // A plausible frame with a plausible correlation id, so that the body is looked at.
            let length = (bytes.len() - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..8].copy_from_slice(&(self.below(3) as u32).to_be_bytes());
        }
        bytes
    }
}

/// The world asserts the contract at every step; what is left to see is that it comes to an end.
fn comes_to_an_end(world: &mut World, what: &str) {
    world.cluster.clear_rules();
    assert!(world.settle(), "{what}");
    assert!(world.close(Some(secs(5))), "{what}");
    // Memory that was lent comes back with the last connection.
    world.run_for(ms(1));
    world.assert_clean();
    assert_eq!(world.producer.stats().buffered_bytes, 0, "{what}");
}

#[test]
fn hos_30_any_bytes_from_the_start_of_a_connection() {
    for seed in 0..150 {
        let mut config = config();
        config.delivery_timeout = Some(secs(31));
        config.enable_idempotence = Some(seed % 2 == 0);
        let mut world = warm(2, 2, config);
        let mut draws = Draws(seed);
        world.cluster.set_raw_peer(1, move |_, _| match draws.below(8) {
            0 => vec![Output::Close],
            1 => Vec::new(),
            _ => vec![Output::Bytes(Bytes::from(draws.bytes()))],
        });
        world.reset(1, Fate::Lost);
        world.send_to("t", 0, b"v");
        let other = world.send_to("t", 1, b"v");
        comes_to_an_end(&mut world, &format!("seed {seed}"));
        assert_delivered(&world, other);
    }
}

#[test]
fn hos_30_answers_with_random_bytes_changed() {
    for seed in 0..150 {
        let mut config = config();
        config.delivery_timeout = Some(secs(31));
        let mut world = world(2, 4, config);
        let mut draws = Draws(seed);
        world.cluster.inject(Rule::any().always().edit_bytes(move |frame| {
            if draws.below(3) > 0 {
                return;
            }
            for _ in 0..=draws.below(3) {
                let place = draws.below(frame.len() as u64) as usize;
                match draws.below(4) {
                    0 => frame[place] = draws.below(256) as u8,
                    1 => frame[place] ^= 1 << draws.below(8),
                    2 => frame[place] = 0xff,
                    _ => {
                        frame.remove(place);
                        if frame.is_empty() {
                            return;
                        }
                    }
                }
            }
        }));
        world.topic("t");
        world.run_for(secs(2));
        for i in 0..12 {
            let partition = Some(i % 4);
            let value = [i as u8];
            let value = Some(&value[..]);
            let record =
                producer_sim::NewRecord { topic: "t", partition, value, ..Default::default() };
            let _taken_or_not = world.try_push(&record);
            world.run_for(ms(40));
        }
        comes_to_an_end(&mut world, &format!("seed {seed}"));
    }
}

macro_rules! fields {
    ($response:ty: $($int:ty => |$r:ident| $field:expr;)*) => {
        vec![$(
            [<$int>::MIN, -1, 0, 1, <$int>::MAX].map(|value| {
                let set: Box<dyn FnMut(&mut $response) + Send> = Box::new(move |$r| $field = value);
                (format!("{} = {value}", stringify!($field)), set)
            }),
        )*].into_iter().flatten().collect::<Vec<_>>()
    };
}

/// A live session in which one field of every answer of an API has that value.
fn session(api: ApiKey, what: &str, edit: impl FnMut(&mut ResponseKind) + Send + 'static) {
    let mut config = config();
    config.delivery_timeout = Some(secs(31));
    config.metadata_max_age = secs(10);
    let mut world = world(2, 2, config);
    world.cluster.inject(Rule::on(api).always().edit_response(edit));
    world.topic("t");
    for i in 0..6 {
        world.run_for(ms(300));
        let (partition, value) = (Some(i % 2), Some(&b"v"[..]));
        let record = producer_sim::NewRecord { topic: "t", partition, value, ..Default::default() };
        let _taken_or_not = world.try_push(&record);
    }
    world.run_for(secs(15));
    let requests = world.cluster.request_count();
    assert!(requests < 300, "{what}: {requests} requests in 17 s");
    comes_to_an_end(&mut world, what);
}

#[test]
fn hos_31_every_number_of_produce_answers() {
    let fields = fields!(ProduceResponse:
        i32 => |r| r.throttle_time_ms;
        i32 => |r| r.responses[0].partition_responses[0].index;
        i16 => |r| r.responses[0].partition_responses[0].error_code;
        i64 => |r| r.responses[0].partition_responses[0].base_offset;
        i64 => |r| r.responses[0].partition_responses[0].log_append_time_ms;
        i64 => |r| r.responses[0].partition_responses[0].log_start_offset;
        i32 => |r| r.responses[0].partition_responses[0].current_leader.leader_id.0;
        i32 => |r| r.responses[0].partition_responses[0].current_leader.leader_epoch;
    );
    for (what, mut set) in fields {
        session(ApiKey::Produce, &what, move |response| {
            if let ResponseKind::Produce(response) = response {
                set(response);
            }
        });
    }
}

#[test]
fn hos_31_every_number_of_metadata_answers() {
    let fields = fields!(MetadataResponse:
        i32 => |r| r.throttle_time_ms;
        i32 => |r| r.controller_id.0;
        i16 => |r| r.error_code;
        i32 => |r| r.brokers[0].node_id.0;
        i32 => |r| r.brokers[0].port;
        i16 => |r| r.topics[0].error_code;
        i32 => |r| r.topics[0].topic_authorized_operations;
        i16 => |r| r.topics[0].partitions[0].error_code;
        i32 => |r| r.topics[0].partitions[0].partition_index;
        i32 => |r| r.topics[0].partitions[0].leader_id.0;
        i32 => |r| r.topics[0].partitions[0].leader_epoch;
    );
    for (what, mut set) in fields {
        session(ApiKey::Metadata, &what, move |response| {
            if let ResponseKind::Metadata(response) = response
                && response.topics.first().is_some_and(|topic| !topic.partitions.is_empty())
            {
                set(response);
            }
        });
    }
}

#[test]
fn hos_31_every_number_of_the_other_answers() {
    let fields = fields!(InitProducerIdResponse:
        i32 => |r| r.throttle_time_ms;
        i16 => |r| r.error_code;
        i64 => |r| r.producer_id.0;
        i16 => |r| r.producer_epoch;
    );
    for (what, mut set) in fields {
        session(ApiKey::InitProducerId, &what, move |response| {
            if let ResponseKind::InitProducerId(response) = response {
                set(response);
            }
        });
    }
    let fields = fields!(ApiVersionsResponse:
        i32 => |r| r.throttle_time_ms;
        i16 => |r| r.error_code;
        i64 => |r| r.finalized_features_epoch;
        i16 => |r| r.api_keys[0].api_key;
        i16 => |r| r.api_keys[0].min_version;
        i16 => |r| r.api_keys[0].max_version;
    );
    for (what, mut set) in fields {
        session(ApiKey::ApiVersions, &what, move |response| {
            if let ResponseKind::ApiVersions(response) = response {
                set(response);
            }
        });
    }
}
