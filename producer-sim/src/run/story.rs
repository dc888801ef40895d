//! What led to a failure, line by line.

use super::verdict::Failure;
use super::wire::{Answered, Said, Sent};
use crate::Instant;
use producer_proto::{Event, TopicId};
use std::fmt::Write;

/// A partition of a topic, by the topic's index.
type Place = (usize, i32);

/// How many lines are worth reading.
const LINES: usize = 60;

/// Everything that happened in a run, kept only when somebody asks for it.
#[derive(Default)]
pub(crate) struct Story(Vec<Line>);

struct Line {
    at: Instant,
    /// What it is about; everything, if that is empty.
    places: Vec<Place>,
    text: String,
}

impl Story {
    pub(crate) fn note(&mut self, at: Instant, places: Vec<Place>, text: String) {
        self.0.push(Line { at, places, text });
    }

    /// The last lines that have to do with a failure.
    pub(crate) fn about(&self, failure: &Failure) -> Vec<String> {
        let concerns = |line: &&Line| match failure.place {
            Some(place) => line.places.is_empty() || line.places.contains(&place),
            None => true,
        };
        let lines: Vec<_> = self.0.iter().filter(concerns).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        last.iter().map(|line| format!("{:?}  {}", line.at, line.text)).collect()
    }
}

pub(crate) fn request(broker: Option<i32>, sent: &Sent) -> (Vec<Place>, String) {
    let to = broker.map_or("bootstrap".to_owned(), |broker| format!("broker {broker}"));
    let mut text = format!("{to} <- {:?} v{} on {}", sent.api, sent.version, sent.conn);
    let mut places = Vec::new();
    for batch in &sent.batches {
        let header = &batch.header;
        let (first, last) = (batch.records.first(), batch.records.last());
        places.push((batch.topic, batch.partition));
        let _ = write!(text, "; t{}-{}", batch.topic, batch.partition);
        if let (Some(first), Some(last)) = (first, last) {
            let _ = write!(text, " {first}..={last}");
        }
        if header.has_producer_id() {
            let (id, epoch) = (header.producer_id, header.producer_epoch);
            let _ = write!(text, " stamp {id}/{epoch}/{}", header.base_sequence);
        }
    }
    (places, text)
}

pub(crate) fn answer(broker: Option<i32>, answered: &Answered) -> (Vec<Place>, String) {
    let from = broker.map_or("bootstrap".to_owned(), |broker| format!("broker {broker}"));
    let mut text = format!("{from} -> {:?} on {}", answered.request.api, answered.conn);
    let mut places = Vec::new();
    if !answered.throttle.is_zero() {
        let _ = write!(text, ", throttle {:?}", answered.throttle);
    }
    match &answered.said {
        Said::Produce(answers) => {
            for answer in answers {
                places.push((answer.topic, answer.partition));
                let code = producer_proto::ErrorCode(answer.code);
                let _ = write!(text, "; t{}-{} {code}", answer.topic, answer.partition);
                let _ = write!(text, " offset {}", answer.base_offset);
                if let Some((leader, epoch)) = answer.hint {
                    let _ = write!(text, " leader {leader} epoch {epoch}");
                }
            }
        }
        Said::Metadata(leaders, errors) => {
            for new in leaders.iter().take(8) {
                let (topic, partition) = (new.topic, new.partition);
                let _ =
                    write!(text, "; t{topic}-{partition} at {} epoch {}", new.leader, new.epoch);
            }
            if !errors.is_empty() {
                let _ = write!(text, "; errors {errors:?}");
            }
        }
        Said::Other(code) => {
            let _ = write!(text, ": {}", producer_proto::ErrorCode(*code));
        }
    }
    (places, text)
}

/// What the producer told; `index` gives the index of a topic.
pub(crate) fn event(event: &Event, index: impl Fn(TopicId) -> usize) -> (Vec<Place>, String) {
    match event {
        Event::Delivered { batch, records, topic, partition, base_offset, .. } => {
            let topic = index(*topic);
            let text = format!(
                "told: {batch} {records:?} of t{topic}-{partition} delivered at {base_offset:?}"
            );
            (vec![(topic, *partition)], text)
        }
        Event::Failed { batch, records, topic, partition, error, persistence } => {
            let topic = index(*topic);
            let what = format!("{error} ({persistence:?})");
            let text = format!("told: {batch} {records:?} of t{topic}-{partition} failed: {what}");
            (vec![(topic, *partition)], text)
        }
        other => (Vec::new(), format!("told: {other:?}")),
    }
}
