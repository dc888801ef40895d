//! Produce: batches are counted and dropped.

use std::sync::Arc;

use crate::batch;
use crate::connection::Request;
use crate::input::{Input, Stop};
use crate::output::Output;
use crate::state::Topic;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;
const UNKNOWN_TOPIC_ID: i16 = 100;

/// From this version on, topics have their ids instead of their names.
const TOPIC_IDS: i16 = 13;

/// Whether the client waits for the answer.
pub(crate) fn answer(
    request: &Request<'_>,
    input: &mut Input,
    output: &mut Output,
) -> Result<bool, Stop> {
    let is_flexible = request.is_flexible;
    input.string(is_flexible)?; // transactional id
    let acks = input.i16()?;
    input.i32()?; // timeout
    let topics = input.length(is_flexible)?.unwrap_or(0);
    output.length(topics, is_flexible);
    for _ in 0..topics {
        let topic = topic(request, input, output)?;
        let partitions = input.length(is_flexible)?.unwrap_or(0);
        output.length(partitions, is_flexible);
        for _ in 0..partitions {
            partition(request, topic.as_deref(), input, output)?;
        }
        input.skip_tags(is_flexible)?;
        output.no_tags(is_flexible);
    }
    input.skip_tags(is_flexible)?;
    output.i32(0); // throttle time
    output.no_tags(is_flexible);
    Ok(acks != 0)
}

fn topic(
    request: &Request<'_>,
    input: &mut Input,
    output: &mut Output,
) -> Result<Option<Arc<Topic>>, Stop> {
    if request.version >= TOPIC_IDS {
        let id = input.array()?;
        output.bytes(&id);
        return Ok(request.count.topic_by_id(&id));
    }
    let name = input.string(request.is_flexible)?.ok_or(Stop::Malformed("no name of a topic"))?;
    output.string(&name, request.is_flexible);
    Ok(Some(request.count.topic(&name, request.cluster.options().partitions)))
}

fn partition(
    request: &Request<'_>,
    topic: Option<&Topic>,
    input: &mut Input,
    output: &mut Output,
) -> Result<(), Stop> {
    let number = input.i32()?;
    let length = input.length(request.is_flexible)?.unwrap_or(0);
    let taken = match place(request, topic, number) {
        Ok(partition) => Ok(batch::take_all(request, partition, input, length)?),
        Err(error) => {
            input.skip(length)?;
            Err(error)
        }
    };
    input.skip_tags(request.is_flexible)?;

    output.i32(number);
    output.i16(taken.err().unwrap_or(0));
    output.i64(taken.unwrap_or(-1)); // base offset
    output.i64(-1); // append time
    if request.version >= 5 {
        output.i64(0); // log start offset
    }
    if request.version >= 8 {
        output.length(0, request.is_flexible); // errors of records
        output.null_string(request.is_flexible); // message
    }
    output.no_tags(request.is_flexible);
    Ok(())
}

/// The partition, or the error code.
fn place<'a>(
    request: &Request<'_>,
    topic: Option<&'a Topic>,
    number: i32,
) -> Result<&'a crate::state::Partition, i16> {
    let topic = topic.ok_or(UNKNOWN_TOPIC_ID)?;
    let index = usize::try_from(number).map_err(|_| UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partitions.get(index).ok_or(UNKNOWN_TOPIC_OR_PARTITION)?;
    if request.cluster.leader(index) != request.broker {
        request.count.totals.misrouted.add(1);
        return Err(NOT_LEADER_OR_FOLLOWER);
    }
    Ok(partition)
}
