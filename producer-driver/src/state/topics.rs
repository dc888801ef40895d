//! From a topic's name to its id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use producer_proto::{Instant, TopicId};

use super::State;
use crate::error::{SendError, SendErrorKind};
use crate::record::{Topic, TopicRef};

/// The ids of topic names, found without an allocation; the last one without hashing.
pub(super) struct TopicNames {
    ids: HashMap<Arc<str>, TopicId>,
    last: Option<(Arc<str>, TopicId)>,
    /// Tells the topics of this producer from another's.
    pub(super) instance: u64,
}

impl TopicNames {
    pub(super) fn new() -> Self {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        Self { ids: HashMap::new(), last: None, instance: INSTANCES.fetch_add(1, Relaxed) }
    }

    /// The id of a topic that was resolved before.
    #[inline]
    pub(super) fn known(&mut self, topic: TopicRef<'_>) -> Option<TopicId> {
        match topic {
            TopicRef::Handle(topic) if topic.instance == self.instance => Some(topic.id),
            _ => self.find(topic.name()),
        }
    }

    fn find(&mut self, name: &str) -> Option<TopicId> {
        match &self.last {
            Some((last, id)) if **last == *name => return Some(*id),
            _ => {}
        }
        let (name, id) = self.ids.get_key_value(name)?;
        self.last = Some((name.clone(), *id));
        Some(*id)
    }

    pub(super) fn insert(&mut self, name: &str, id: TopicId) {
        self.ids.insert(name.into(), id);
    }
}

impl State {
    pub(crate) fn resolve(
        &mut self,
        now: Instant,
        topic: TopicRef<'_>,
    ) -> Result<TopicId, SendError> {
        if let Some(id) = self.topics.known(topic) {
            return Ok(id);
        }
        let name = topic.name();
        let id = self.intern(now, name)?;
        self.topics.insert(name, id);
        Ok(id)
    }

    /// Asks the core, which asks the cluster when it has to.
    pub(super) fn intern(&mut self, now: Instant, name: &str) -> Result<TopicId, SendError> {
        let invalid = |error| SendError::new(name.into(), SendErrorKind::InvalidTopic(error));
        self.core.topic(now, name).map_err(invalid)
    }

    pub(crate) fn topic_handle(
        &mut self,
        now: Instant,
        topic: TopicRef<'_>,
    ) -> Result<Topic, SendError> {
        let id = self.resolve(now, topic)?;
        Ok(Topic { id, name: self.name(id), instance: self.topics.instance })
    }

    pub(crate) fn name(&self, topic: TopicId) -> Arc<str> {
        self.core.topic_name(topic).cloned().unwrap_or_default()
    }
}
