//! What each broker knows of the cluster, which may be old.

use super::events::{Event, News};
use super::topic::PartitionImage;
use super::{Broker, Cluster};
use producer_proto::{Instant, Uuid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Topics as a broker knows them.
pub(super) type View = BTreeMap<Arc<str>, Arc<(Uuid, Vec<PartitionImage>)>>;

/// The lagging copy of a broker.
#[derive(Debug, Default)]
pub(super) struct Lag {
    pub(super) delay: Duration,
    /// `None`: it knows everything at once.
    pub(super) view: Option<View>,
    /// News keep their order when the delay changes.
    latest: Instant,
    /// What came while it was paused.
    deferred: Vec<(Arc<str>, News)>,
}

impl Broker {
    /// The topics as this broker tells them to clients; `None`: as they are.
    pub(super) fn told(&self) -> Option<&View> {
        self.frozen.as_ref().or(self.lag.view.as_ref())
    }
}

impl Cluster {
    /// How much later a broker hears of changes to topics, leaders and ISRs, besides those under
    /// way. Until then it answers Metadata from the old state, and acts by it: an old leader goes
    /// on as leader, what it appends for acks=1 is [lost](Cluster::lost), acks=all waits for
    /// followers that have left; a new leader still answers NOT_LEADER_OR_FOLLOWER. Default zero,
    /// which also makes up for what it has not heard yet.
    pub fn set_metadata_delay(&mut self, broker: i32, delay: Duration) {
        let current = (!delay.is_zero()).then(|| self.current_view());
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.lag.delay = delay;
        match current {
            Some(_) if state.lag.view.is_some() => {}
            Some(view) => state.lag.view = Some(view),
            None => {
                state.lag = Lag::default();
                self.learn_everything(broker);
            }
        }
    }

    /// Everything visible, as it is.
    pub(super) fn current_view(&self) -> View {
        let visible = self.topics.values().filter(|topic| !topic.hidden);
        let view = visible.map(|topic| {
            let images = topic.partitions.iter().map(|p| p.image.clone()).collect();
            (Arc::clone(&topic.name), Arc::new((topic.id, images)))
        });
        view.collect()
    }

    /// A topic has changed: all brokers hear of it, at once or later, and act by it.
    pub(super) fn announce(&mut self, topic: &str) {
        let now = self.clock;
        let mut news: Option<(Arc<str>, News)> = None;
        let mut at_once = Vec::new();
        for (id, broker) in &mut self.brokers {
            if broker.lag.view.is_none() && !broker.paused {
                at_once.push(*id);
                continue;
            }
            let (name, news) = news.get_or_insert_with(|| {
                let topic_now = self.topics.get(topic).filter(|topic| !topic.hidden);
                let image = topic_now.map(|t| {
                    Arc::new((t.id, t.partitions.iter().map(|p| p.image.clone()).collect()))
                });
                (topic_now.map_or_else(|| Arc::from(topic), |t| Arc::clone(&t.name)), image)
            });
            broker.lag.latest = broker.lag.latest.max(now + broker.lag.delay);
            let (topic, news) = (Arc::clone(name), news.clone());
            self.events.schedule(broker.lag.latest, Event::Hear { broker: *id, topic, news });
        }
        let Some(known) = self.topics.get_mut(topic) else { return };
        let mut changed = Vec::new();
        for (partition, index) in known.partitions.iter_mut().zip(0..) {
            let (leader, epoch) = (partition.image.leader, partition.image.leader_epoch);
            let news = at_once.iter().filter(|id| partition.learn(**id, leader, epoch)).count();
            if news > 0 {
                changed.push(index);
            }
        }
        for index in changed {
            self.settle(topic, index);
            self.progress = true;
        }
    }

    /// News reach a broker.
    pub(super) fn hear(&mut self, broker: i32, topic: Arc<str>, news: News) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        if state.paused || state.crashed {
            state.lag.deferred.push((topic, news));
            return;
        }
        match (&mut state.lag.view, &news) {
            (Some(view), Some(image)) => drop(view.insert(Arc::clone(&topic), Arc::clone(image))),
            (Some(view), None) => drop(view.remove(&topic)),
            // It knows better in the meantime, unless it was paused all the time.
            (None, _) => {}
        }
        let Some(image) = news else { return };
        let Some(known) = self.topics.get_mut(&*topic).filter(|t| t.id == image.0) else { return };
        let mut changed = Vec::new();
        for ((partition, image), index) in known.partitions.iter_mut().zip(&image.1).zip(0..) {
            let newer = partition
                .replica(broker)
                .is_some_and(|replica| replica.leader_epoch <= image.leader_epoch);
            if newer && partition.learn(broker, image.leader, image.leader_epoch) {
                changed.push(index);
            }
        }
        for index in changed {
            self.settle(&topic, index);
            self.progress = true;
        }
        self.complete_waiting();
    }

    /// A broker that was paused hears what came meanwhile.
    pub(super) fn hear_deferred(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        let deferred = std::mem::take(&mut state.lag.deferred);
        for (topic, news) in deferred {
            self.hear(broker, topic, news);
        }
    }

    /// A broker knows everything from now on, as after a restart.
    pub(super) fn learn_everything(&mut self, broker: i32) {
        let view = self.current_view();
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.lag.deferred.clear();
        if let Some(old) = &mut state.lag.view {
            *old = view;
        }
        let mut changed = Vec::new();
        for topic in self.topics.values_mut() {
            for (partition, index) in topic.partitions.iter_mut().zip(0..) {
                let (leader, epoch) = (partition.image.leader, partition.image.leader_epoch);
                partition.learn(broker, leader, epoch);
                if partition.replica(broker).is_some() {
                    changed.push((Arc::clone(&topic.name), index));
                }
            }
        }
        for (topic, index) in changed {
            self.settle(&topic, index);
            self.progress = true;
        }
        self.complete_waiting();
    }
}
