//! What happens inside the cluster without a client: copying, fencing, hearing news.

use super::Cluster;
use super::topic::{PartitionImage, Place};
use producer_proto::{Instant, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one broker knows of a topic; `None` when it is gone.
pub(super) type News = Option<Arc<(Uuid, Vec<PartitionImage>)>>;

#[derive(Debug)]
pub(super) enum Event {
    /// A follower copies what the leader has.
    Fetch { place: Place, broker: i32 },
    /// Has a replica been behind for too long?
    LagCheck { place: Place, broker: i32 },
    /// The controller has not heard of a broker for its session timeout.
    Fence { broker: i32, incarnation: u64 },
    /// A broker hears of a change.
    Hear { broker: i32, topic: Arc<str>, news: News },
}

/// Events by time; of one instant, in the order in which they were scheduled.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
}

impl Events {
    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), event);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn pop(&mut self, now: Instant) -> Option<(Instant, Event)> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        let at = entry.key().0;
        Some((at, entry.remove()))
    }
}

impl Cluster {
    /// Lets everything inside the cluster happen that is due at `now`, in order of time.
    pub(super) fn run_events(&mut self, now: Instant) {
        while let Some((at, event)) = self.events.pop(now) {
            self.clock = self.clock.max(at);
            match event {
                Event::Fetch { place, broker } => self.fetch(&place, broker),
                Event::LagCheck { place, broker } => self.check_lag(&place, broker),
                Event::Fence { broker, incarnation } => self.session_ended(broker, incarnation),
                Event::Hear { broker, topic, news } => self.hear(broker, topic, news),
            }
        }
        self.clock = self.clock.max(now);
    }
}
