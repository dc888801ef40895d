//! From a topic's name to its id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use producer_proto::TopicId;

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

    pub(super) fn find(&mut self, name: &str) -> Option<TopicId> {
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
