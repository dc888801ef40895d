//! Topics by name and by id, and their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::batch::CompressionRatio;
use crate::error::InvalidTopic;
use crate::partitioner::Spread;
use crate::{Codec, ErrorCode, Instant, TopicId, Uuid};

/// Longest topic name that Kafka takes.
const MAX_NAME: usize = 249;

/// Index of a partition in the producer's table of all partitions.
pub(crate) type PartitionIndex = u32;

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    /// Kafka's topic id; zero while unknown.
    pub(crate) uuid: Uuid,
    /// By partition number. Empty until the first metadata.
    pub(crate) partitions: Vec<PartitionIndex>,
    /// How many partitions records are spread over: `partitions.len()`, or fewer after the topic
    /// was created anew with fewer.
    pub(crate) count: i32,
    pub(crate) state: TopicState,
    /// What the cluster last said against it.
    pub(crate) error: ErrorCode,
    /// Last time a record was pushed to it or asked for it.
    pub(crate) last_used: Instant,
    /// Records without an outcome keep a topic in use.
    pub(crate) open_batches: u32,
    /// A record was refused because its partition is not known: how many requests for metadata had
    /// gone out by then. The answer to a later one tells whether it was added.
    pub(crate) asked_beyond: Option<u64>,
    /// Spreads records without a key; made when the first one comes.
    pub(crate) spread: Option<Spread>,
    /// How well its records compress.
    pub(crate) ratio: CompressionRatio,
    /// Bytes of its last closed batch before compression.
    pub(crate) last_size: u32,
    /// Draws taken for partition choices of this topic.
    pub(crate) draws: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicState {
    /// Nobody asks for it: new, idle for too long, or refused.
    Idle,
    /// Wanted, no usable answer yet.
    Wanted,
    /// Its partitions are known.
    Ready,
}

#[derive(Default)]
pub(crate) struct Topics {
    list: Vec<Topic>,
    by_name: BTreeMap<Arc<str>, u32>,
    by_uuid: BTreeMap<Uuid, u32>,
}

impl Topics {
    /// The topic of that name, made if need be.
    pub(crate) fn intern(
        &mut self,
        name: &str,
        now: Instant,
        codec: Codec,
    ) -> Result<TopicId, InvalidTopic> {
        if let Some(&index) = self.by_name.get(name) {
            return Ok(TopicId(index));
        }
        check_name(name)?;
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), index);
        self.list.push(Topic {
            name,
            uuid: Uuid::ZERO,
            partitions: Vec::new(),
            count: 0,
            state: TopicState::Idle,
            error: ErrorCode::NONE,
            last_used: now,
            open_batches: 0,
            asked_beyond: None,
            spread: None,
            ratio: CompressionRatio::new(codec),
            last_size: 0,
            draws: 0,
        });
        Ok(TopicId(index))
    }

    pub(crate) fn get(&self, id: TopicId) -> Option<&Topic> {
        self.list.get(id.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.list.get_mut(id.0 as usize)
    }

    /// The topic at an index that this table gave out.
    pub(crate) fn at(&self, index: u32) -> &Topic {
        &self.list[index as usize]
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> &mut Topic {
        &mut self.list[index as usize]
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn by_uuid(&self, uuid: Uuid) -> Option<u32> {
        self.by_uuid.get(&uuid).copied()
    }

    pub(crate) fn set_uuid(&mut self, index: u32, uuid: Uuid) {
        // Ids it had before stay known: an answer to an older request may still name them.
        self.at_mut(index).uuid = uuid;
        if !uuid.is_zero() {
            self.by_uuid.insert(uuid, index);
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Topic)> {
        (0..).zip(&self.list)
    }
}

/// Kafka's rule for topic names.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidTopic> {
    if name.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    if name == "." || name == ".." {
        return Err(InvalidTopic::Reserved(name.to_owned()));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(character) = name.chars().find(|&c| !legal(c)) {
        let name = name.chars().take(MAX_NAME).collect();
        return Err(InvalidTopic::Character { name, character });
    }
    if name.len() > MAX_NAME {
        let length = name.len();
        return Err(InvalidTopic::TooLong { name: name[..MAX_NAME].to_owned(), length });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        let check = |name: &str| check_name(name);
        assert_eq!(check("a.b_c-9"), Ok(()));
        assert_eq!(check(""), Err(InvalidTopic::Empty));
        assert_eq!(check(".."), Err(InvalidTopic::Reserved("..".into())));
        assert_eq!(
            check("a b"),
            Err(InvalidTopic::Character { name: "a b".into(), character: ' ' })
        );
        assert!(matches!(check("ü"), Err(InvalidTopic::Character { character: 'ü', .. })));
        assert_eq!(check(&"x".repeat(249)), Ok(()));
        assert!(matches!(check(&"x".repeat(250)), Err(InvalidTopic::TooLong { length: 250, .. })));
    }

    #[test]
    fn a_name_is_interned_once_and_found_by_its_uuid() {
        let mut topics = Topics::default();
        let a = topics.intern("a", Instant::ZERO, Codec::None).unwrap();
        assert_eq!(topics.intern("a", Instant::ZERO, Codec::None), Ok(a));
        assert_ne!(topics.intern("b", Instant::ZERO, Codec::None), Ok(a));
        let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
        topics.set_uuid(a.0, old);
        topics.set_uuid(a.0, new);
        assert_eq!((topics.by_uuid(old), topics.by_uuid(new)), (Some(a.0), Some(a.0)));
        assert_eq!(topics.at(a.0).uuid, new);
    }
}
