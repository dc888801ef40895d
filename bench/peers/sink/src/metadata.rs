//! Metadata: the brokers, and the topics that are asked for, which thereby exist.

use std::sync::Arc;

use crate::connection::Request;
use crate::input::{Input, Stop};
use crate::output::Output;
use crate::state::Topic;

/// "Not asked for", of authorized operations.
const NO_OPERATIONS: i32 = i32::MIN;

/// Answers, always.
pub(crate) fn answer(
    request: &Request<'_>,
    input: &mut Input,
    output: &mut Output,
) -> Result<bool, Stop> {
    let topics = read(request, input)?;
    let (version, is_flexible) = (request.version, request.is_flexible);
    if version >= 3 {
        output.i32(0); // throttle time
    }
    brokers(request, output);
    if version >= 2 {
        output.string("sink", is_flexible); // cluster id
    }
    if version >= 1 {
        output.i32(1); // controller
    }
    output.length(topics.len(), is_flexible);
    for topic in &topics {
        self::topic(request, topic, output);
    }
    if (8..=10).contains(&version) {
        output.i32(NO_OPERATIONS);
    }
    output.no_tags(is_flexible);
    Ok(true)
}

/// The topics that are asked for. Those of an unknown id are left out.
fn read(request: &Request<'_>, input: &mut Input) -> Result<Vec<Arc<Topic>>, Stop> {
    let (version, is_flexible) = (request.version, request.is_flexible);
    let asked = match input.length(is_flexible)? {
        None => return Ok(request.count.all_topics()),
        Some(0) if version == 0 => return Ok(request.count.all_topics()),
        Some(asked) => asked,
    };
    let mut topics = Vec::new();
    for _ in 0..asked {
        let mut by_id = None;
        if version >= 10 {
            by_id = request.count.topic_by_id(&input.array()?);
        }
        let partitions = request.cluster.options().partitions;
        let by_name = input.string(is_flexible)?;
        topics.extend(by_name.map(|name| request.count.topic(&name, partitions)).or(by_id));
        input.skip_tags(is_flexible)?;
    }
    Ok(topics)
}

fn brokers(request: &Request<'_>, output: &mut Output) {
    let options = request.cluster.options();
    output.length(options.brokers.into(), request.is_flexible);
    for broker in 0..options.brokers {
        output.i32(node_id(broker.into()));
        output.string(&options.host, request.is_flexible);
        output.i32((options.port + broker).into());
        if request.version >= 1 {
            output.null_string(request.is_flexible); // rack
        }
        output.no_tags(request.is_flexible);
    }
}

fn topic(request: &Request<'_>, topic: &Topic, output: &mut Output) {
    let (version, is_flexible) = (request.version, request.is_flexible);
    output.i16(0); // error code
    output.string(&topic.name, is_flexible);
    if version >= 10 {
        output.bytes(&topic.id);
    }
    if version >= 1 {
        output.i8(0); // not internal
    }
    output.length(topic.partitions.len(), is_flexible);
    for partition in 0..topic.partitions.len() {
        let leader = node_id(request.cluster.leader(partition));
        output.i16(0); // error code
        output.i32(partition as i32);
        output.i32(leader);
        if version >= 7 {
            output.i32(0); // leader epoch
        }
        for _replicas_then_in_sync in 0..2 {
            output.length(1, is_flexible);
            output.i32(leader);
        }
        if version >= 5 {
            output.length(0, is_flexible); // offline replicas
        }
        output.no_tags(is_flexible);
    }
    if version >= 8 {
        output.i32(NO_OPERATIONS);
    }
    output.no_tags(is_flexible);
}

fn node_id(broker: usize) -> i32 {
    broker as i32 + 1
}
