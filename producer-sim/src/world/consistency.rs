//! What the producer said, held against what is in the logs.

use super::{Outcome, World};
use bytes::Bytes;
use producer_proto::{Persistence, Receipt};
use std::collections::BTreeMap;

/// What a test handed in, by receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) topic: String,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

/// Log entries of one partition that no delivered record has claimed yet.
type Unclaimed = BTreeMap<i64, (Option<Bytes>, Option<Bytes>)>;

impl World {
    /// Asserts exactly-once, as far as the producer promised it: each delivered record lies at its
    /// offset, once, with its key and value; whatever else is in the log belongs to a record that
    /// was delivered without an offset or possibly persisted; nothing that was promised not to be
    /// persisted is there; and of each partition's records with known offsets, a later push has a
    /// later offset. Covers records sent by the world's own helpers; needs logs that are kept
    /// whole, topics that were not deleted, and an idempotent producer.
    ///
    /// # Panics
    /// It is not so.
    pub fn assert_exactly_once(&self) {
        let mut logs: BTreeMap<(String, i32), Unclaimed> = BTreeMap::new();
        let mut last: BTreeMap<(String, i32), i64> = BTreeMap::new();
        let mut loose = Vec::new();
        let sent = || self.sent.iter().filter_map(|(r, c)| Some((r, c, self.outcome(*r)?)));
        for (receipt, content, outcome) in sent() {
            let (Outcome::Delivered { partition, .. } | Outcome::Failed { partition, .. }) =
                outcome;
            let place = (content.topic.clone(), *partition);
            let log = logs.entry(place.clone()).or_insert_with(|| self.unclaimed(&place));
            let Some(offset) = outcome.offset() else {
                loose.push((receipt, content, outcome, place));
                continue;
            };
            let found = log.remove(&offset);
            let wanted = (content.key.clone(), content.value.clone());
            assert_eq!(found, Some(wanted), "{receipt:?} said to be at {place:?} {offset}");
            if let Some(before) = last.insert(place.clone(), offset) {
                assert!(before < offset, "{receipt:?} at {place:?} {offset}, behind {before}");
            }
        }
        for (receipt, content, outcome, place) in loose {
            let log = logs.entry(place).or_default();
            let same = |(_, (key, value)): &(&i64, &(Option<Bytes>, Option<Bytes>))| {
                (key, value) == (&content.key, &content.value)
            };
            let found = log.iter().find(same).map(|(offset, _)| *offset);
            match (outcome, found) {
                (Outcome::Failed { persistence: Persistence::NotPersisted, .. }, _)
                | (Outcome::Failed { .. }, None) => {}
                (_, Some(offset)) => drop(log.remove(&offset)),
                (Outcome::Delivered { .. }, None) => panic!("{receipt:?} is not in the log"),
            }
        }
        logs.retain(|_, unclaimed| !unclaimed.is_empty());
        assert!(logs.is_empty(), "in the log, but nobody's or there twice: {logs:?}");
    }

    fn unclaimed(&self, (topic, partition): &(String, i32)) -> Unclaimed {
        let log = self.cluster.log(topic, *partition);
        log.into_iter().map(|record| (record.offset, (record.key, record.value))).collect()
    }

    pub(super) fn remember(&mut self, receipt: Receipt, content: Content) {
        self.outcomes.accepted(receipt);
        self.sent.push((receipt, content));
    }
}
