//! How everything works again that a producer needs.

use super::engine::Engine;
use super::script::{Fault, Way};
use crate::{Conditions, Fate, Micros, Reach};
use std::time::Duration;

impl Engine<'_> {
    /// Makes everything work that a producer needs: each partition has a leader that is up and can
    /// be reached, nobody answers with errors. A broker that is down, or out of reach, may stay so
    /// for ever, but then leads nothing. Connections that are black holes stay black holes.
    pub(super) fn heal(&mut self) {
        // Nothing is slow without end any more.
        self.world.set_conditions(Conditions {
            window: usize::MAX,
            bandwidth: 0,
            tail_per_mille: 0,
            ..self.conditions()
        });
        let cluster = &mut self.world.cluster;
        cluster.clear_rules();
        // About half of those that are down stay so, but not the first one.
        let stays_down = |broker: i32| {
            broker > 1 && super::mix(self.script.noise ^ broker.unsigned_abs() as u64) & 1 == 0
        };
        let mut core = Vec::new();
        for broker in 1..=self.script.brokers {
            cluster.resume(broker);
            cluster.set_replication_delay(broker, Some(Duration::ZERO));
            cluster.set_metadata_delay(broker, Duration::ZERO);
            cluster.set_byte_rate(broker, None);
        }
        for broker in 1..=self.script.brokers {
            let is_up = cluster.brokers().iter().any(|spec| spec.id == broker);
            // The logs of others may lack what only this one has.
            let is_crashed = cluster.is_crashed(broker);
            cluster.set_throttle(broker, Micros(0).duration());
            cluster.freeze_metadata(broker, false);
            if is_up || is_crashed || !stays_down(broker) {
                cluster.set_up(broker, true);
                core.push(broker);
            }
        }
        // A connection to the wrong broker would stay there.
        for fault in self.script.faults() {
            if let Fault::Reach(_, Way::Broker(broker)) = *fault {
                self.world.reset(broker, Fate::Arrive);
            }
        }
        for &broker in &core {
            if let Some((host, port)) = self.world.cluster.address(broker) {
                self.world.set_reach(&host, port, Reach::Normal);
            }
        }
        for (topic, name) in self.names.iter().enumerate() {
            let cluster = &mut self.world.cluster;
            cluster.set_hidden(name, false);
            if cluster.topic_id(name).is_none() {
                let shape = &self.script.topics[topic];
                let config = super::engine::topic_config(shape, shape.partitions);
                self.wire.name(cluster.create_topic(name, config), topic);
            }
            let enough = self.script.topics[topic].max_message_bytes;
            cluster.configure_topic(name, |config| config.max_message_bytes = enough);
            for partition in 0.. {
                let Some(image) = cluster.partition(name, partition) else { break };
                if image.leader.is_none_or(|leader| !core.contains(&leader)) {
                    let to = core[partition as usize % core.len()];
                    cluster.move_leader(name, partition, Some(to));
                }
                let replicas = cluster.partition(name, partition).map(|p| p.replicas.clone());
                for broker in replicas.unwrap_or_default() {
                    // Who cannot be in sync is left out; what needs him shows soon.
                    let _ = cluster.expand_isr(name, partition, broker);
                }
            }
        }
    }
}
