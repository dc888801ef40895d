//! The usual record on its short way: into an open batch that has room to spare.

use crate::Record;
use crate::batches::Content;
use crate::event::Receipt;
use crate::partitioner::Spread;
use crate::topics::TopicState;

use super::{Phase, Producer};

impl Producer {
    /// Takes a record that changes nothing but its batch: no buffer grows, nothing becomes full or
    /// due, nobody else's partition is chosen. `None`, and nothing has changed: whatever stands in
    /// the way is found and named on the long way.
    #[inline]
    pub(super) fn push_short(&mut self, record: &Record<'_>) -> Option<Receipt> {
        let is_usual = self.phase == Phase::Open
            && self.fatal.is_none()
            && self.partitioner.is_none()
            && record.headers.is_empty();
        if !is_usual {
            return None;
        }
        let settings = &self.settings;
        let topic = self.topics.get_mut(record.topic)?;
        if topic.state != TopicState::Ready {
            return None;
        }
        let key = record.key.filter(|_| !settings.partitioner_ignore_keys);
        let fixed = record.partition.or_else(|| {
            key.and_then(|key| settings.partitioner.partition_for_key(key, topic.count))
        });
        let (partition, sticky) = match (fixed, &mut topic.spread) {
            (Some(partition), _) if (0..topic.count).contains(&partition) => (partition, None),
            (None, Some(Spread::Sticky(sticky))) if sticky.is_settled() => {
                (sticky.current()?, Some(sticky))
            }
            _ => return None,
        };
        let at = *topic.partitions.get(partition as usize)?;
        let batch = self.batches.find_of(at, self.partitions.get(at as usize)?.open)?;
        let Content::Open(builder) = &mut batch.content else { return None };
        let before = builder.len();
        let short =
            builder.append_short(&topic.ratio, record.timestamp, record.key, record.value?)?;
        batch.count += 1;
        let receipt = Receipt { batch: batch.id, index: short.index };
        topic.last_used = self.now;
        self.stats.records_pushed += 1;
        self.stats.records_outstanding += 1;
        self.stats.bytes_pushed += short.len as u64;
        if let Some(sticky) = sticky {
            let growth = topic.ratio.growth(before, before + short.len);
            if !sticky.note_appended(growth) {
                self.switch_sticky_if_due(record.topic.0);
            }
        }
        Some(receipt)
    }
}
