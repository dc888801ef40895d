//! Brokers that crash, pause, copy slowly, and come back.

use super::events::Event;
use super::{Cluster, ConnId, LostReason};
use std::time::Duration;

/// Crashes, pauses and replication. All of it takes effect at the latest time that the cluster was
/// told by any call; see [`Cluster::advance`].
impl Cluster {
    /// Kills a broker: its connections close with all requests in them, it copies nothing, and new
    /// connections are refused until [`Cluster::restart`]. Its logs lose their latest
    /// `lost_batches` batches, 0 when the disk kept everything.
    ///
    /// Where it leads and loses batches, another member of the ISR takes over at once, as the
    /// controller does with a broker whose storage is not what it was; only where it was the last
    /// member are those batches [lost](Cluster::lost). Otherwise leadership moves by
    /// [`Failover`](super::Failover), or when told.
    pub fn crash(&mut self, broker: i32, lost_batches: usize) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        (state.up, state.crashed) = (false, true);
        state.paused = false;
        self.set_connections_paused(broker, false);
        self.kill_connections(broker);
        self.start_session_timeout(broker);
        if lost_batches > 0 {
            for (topic, index) in self.partitions_with(broker) {
                self.lose_tail(&topic, index, broker, lost_batches);
            }
        }
        self.settle_all(broker);
    }

    /// Closes all connections to a broker with everything that it has read from them, also what
    /// clients that have gone have sent before.
    pub(super) fn kill_connections(&mut self, broker: i32) {
        for id in self.conns_of(broker) {
            self.close_connection(id);
            self.pump(self.clock, id);
        }
    }

    fn lose_tail(&mut self, topic: &str, index: i32, broker: i32, batches: usize) {
        let Some(known) = self.topics.get_mut(topic) else { return };
        let place = known.place(index);
        let Some(partition) = known.partition(index) else { return };
        if partition.image.isr.len() > 1 && partition.image.isr.contains(&broker) {
            self.leave(topic, index, broker, false);
        }
        let Some(partition) = self.partition_at(&place) else { return };
        let committed = partition.high_watermark;
        // Nobody may run who could lead, but another's log may still be worth more than this one. And
        // the last one in sync has the log that counts, even where one that led before has more.
        let isr = &partition.image.isr;
        let heir = match isr.iter().copied().find(|id| *id != broker) {
            Some(other) => Some(other).filter(|_| partition.counts(broker)),
            None => isr.first().copied(),
        };
        let deposed = heir.map_or_else(Vec::new, |heir| partition.let_count(heir));
        let lost = partition.lose_tail(broker, batches);
        self.note_lost(&place, deposed, committed, LostReason::Deposed);
        self.note_lost(&place, lost, committed, LostReason::LostTail);
        self.settle(topic, index);
    }

    /// Starts a crashed broker, or one that was [stopped](Cluster::set_up). It knows the cluster
    /// as it is, follows where another leads, and leads where it still is the leader.
    pub fn restart(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        (state.up, state.crashed) = (true, false);
        state.incarnation += 1;
        self.learn_everything(broker);
        self.back_in_session(broker);
        for (topic, index) in self.partitions_with(broker) {
            let leads = self.partition(&topic, index).is_some_and(|p| p.leader == Some(broker));
            if leads {
                // Its log may be another than before: a new epoch tells the followers.
                self.lead(&topic, index, Some(broker), LostReason::Deposed);
            }
        }
        self.settle_all(broker);
    }

    /// Stops a broker in its tracks (SIGSTOP, a long garbage collection, a frozen virtual
    /// machine): nothing closes, new connections are taken, but nothing is read, answered or
    /// copied until [`Cluster::resume`]. Then everything goes on, first with what came last
    /// before the pause. Does nothing to one that has crashed.
    pub fn pause(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        if state.crashed || std::mem::replace(&mut state.paused, true) {
            return;
        }
        self.set_connections_paused(broker, true);
        self.start_session_timeout(broker);
    }

    /// Lets a paused broker go on.
    pub fn resume(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        if !std::mem::replace(&mut state.paused, false) {
            return;
        }
        state.incarnation += 1;
        self.set_connections_paused(broker, false);
        // Requests that were read before come first: it does not know yet what happened meanwhile.
        let now = self.clock;
        for id in self.conns_of(broker) {
            self.pump(now, id);
        }
        self.hear_deferred(broker);
        self.back_in_session(broker);
        self.settle_all(broker);
        for id in self.conns_of(broker) {
            self.pump(now, id);
        }
    }

    /// Whether a broker has crashed and not started again.
    pub fn is_crashed(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|b| b.crashed)
    }

    /// Whether a broker is paused.
    pub fn is_paused(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|b| b.paused)
    }

    /// How long a broker's followers take to copy what was appended at a leader; `None` for not at
    /// all, as behind a broken network between the brokers. Default zero: copying is part of the
    /// append.
    pub fn set_replication_delay(&mut self, broker: i32, delay: Option<Duration>) {
        if let Some(state) = self.brokers.get_mut(&broker) {
            state.replication = delay;
        }
        self.settle_all(broker);
    }

    fn start_session_timeout(&mut self, broker: i32) {
        let Some(state) = self.brokers.get_mut(&broker) else { return };
        state.incarnation += 1;
        if let Some(failover) = self.config.failover {
            let incarnation = state.incarnation;
            let at = self.clock + failover.session_timeout;
            self.events.schedule(at, Event::Fence { broker, incarnation });
        }
    }

    fn set_connections_paused(&mut self, broker: i32, paused: bool) {
        for conn in self.conns.values_mut().filter(|conn| conn.broker == broker) {
            conn.paused = paused;
        }
    }

    /// The connections to a broker, also those of clients that have gone.
    fn conns_of(&self, broker: i32) -> Vec<ConnId> {
        let all = self.conns.iter().filter(|(_, conn)| conn.broker == broker);
        all.map(|(id, _)| *id).collect()
    }

    fn settle_all(&mut self, broker: i32) {
        for (topic, index) in self.partitions_with(broker) {
            self.settle(&topic, index);
        }
        self.progress = true;
        self.complete_waiting();
    }
}
