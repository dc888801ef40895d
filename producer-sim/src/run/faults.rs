//! What a fault does to the world.

use super::engine::Engine;
use super::lie::lie;
use super::script::{Api, Fault, Late, Profile, Trouble, Way};
use crate::{ApiKey, ElectionError, Fate, Micros, Moment, Reach, ResponseKind, Rule};
use producer_proto::ConnectErrorKind;

impl From<Late> for Fate {
    fn from(late: Late) -> Self {
        match late {
            Late::Never => Self::Lost,
            Late::No => Self::Arrive,
            Late::By(time) => Self::ArriveAfter(time.duration()),
        }
    }
}

impl From<Way> for Reach {
    fn from(way: Way) -> Self {
        match way {
            Way::Normal => Self::Normal,
            Way::Broker(broker) => Self::Broker(broker),
            Way::Refused => Self::Fails(ConnectErrorKind::Refused),
            Way::Unresolved => Self::Fails(ConnectErrorKind::Dns),
            Way::BlackHole => Self::BlackHole,
            Way::Closed => Self::Closed,
            Way::Mute => Self::Mute,
        }
    }
}

impl From<Api> for ApiKey {
    fn from(api: Api) -> Self {
        match api {
            Api::Produce => Self::Produce,
            Api::Metadata => Self::Metadata,
            Api::InitProducerId => Self::InitProducerId,
            Api::ApiVersions => Self::ApiVersions,
        }
    }
}

fn trouble(rule: Rule, how: Trouble) -> Rule {
    match how {
        Trouble::Delay(time) => rule.delay(time.duration()),
        Trouble::Stall(time) => rule.stall(time.duration()),
        Trouble::Mute => rule.drop_answer(),
        Trouble::CloseBefore => rule.close_before(),
        Trouble::CloseAfter => rule.close_after(),
        Trouble::Omit => rule.omit(),
        Trouble::Throttle(time) => rule.throttle(time.duration()),
        Trouble::Error(code) => rule.error_code(code, Moment::Before),
        Trouble::Hint(leader, epoch) => rule.leader_hint(leader, epoch),
        Trouble::LastEpoch => rule.edit_response(|response| {
            if let ResponseKind::InitProducerId(response) = response {
                response.producer_epoch = i16::MAX - 1;
            }
        }),
        Trouble::Lie(what, value) => rule.edit_response(move |response| lie(response, what, value)),
        Trouble::Corrupt(at, byte) => rule.edit_bytes(move |frame| {
            let length = frame.len().max(1);
            if let Some(target) = frame.get_mut(length - 1 - usize::from(at) % length) {
                *target = byte;
            }
        }),
        Trouble::Shorten(by) => rule.edit_bytes(move |frame| {
            frame.truncate(frame.len().saturating_sub(usize::from(by)).max(4));
            let length = (frame.len() - 4) as u32;
            frame[..4].copy_from_slice(&length.to_be_bytes());
        }),
    }
}

impl Engine<'_> {
    pub(super) fn fault(&mut self, fault: &Fault) {
        let mut refused = false;
        let now = self.world.now();
        // What brokers do among themselves begins now, whenever they were called last.
        self.world.cluster.advance(now);
        match *fault {
            Fault::Reset { broker, fate, eof: false } => self.world.reset(broker, fate.into()),
            Fault::Reset { broker, fate, eof: true } => self.world.half_close(broker, fate.into()),
            Fault::Deafen { broker, up, down } => self.world.deafen(broker, up, down),
            Fault::Clog { broker, up, down, time } => {
                self.world.clog(broker, time.duration(), up, down);
            }
            Fault::Reach(broker, way) => {
                if let Some((host, port)) = self.world.cluster.address(broker) {
                    self.world.set_reach(&host, port, way.into());
                }
            }
            Fault::Address(broker, port) => {
                let host = format!("moved-{broker}");
                self.links.name(&host, port);
                self.world.cluster.set_address(broker, host, port);
            }
            Fault::SwapAddresses(one, other) => {
                let addresses = [one, other].map(|broker| self.world.cluster.address(broker));
                if let [Some((host, port)), Some((other_host, other_port))] = addresses {
                    self.world.cluster.set_address(one, other_host, other_port);
                    self.world.cluster.set_address(other, host, port);
                }
            }
            Fault::Leader { topic, partition, to } => {
                self.world.cluster.move_leader(&self.names[topic], partition, to);
            }
            Fault::Refuse { topic, partition, code, after, times } => {
                let moment = if after { Moment::After } else { Moment::Before };
                let rule = Rule::on(ApiKey::Produce).partition(&self.names[topic], partition);
                self.world.cluster.inject(rule.error_code(code, moment).times(times));
            }
            Fault::Trouble { broker, api, how, times } => {
                let rule = Rule::on(api.into()).broker(broker).times(times);
                self.world.cluster.inject(trouble(rule, how));
            }
            Fault::Throttle(broker, time) => {
                self.world.cluster.set_throttle(broker, time.duration());
            }
            Fault::Down(broker) => self.world.cluster.set_up(broker, false),
            Fault::Up(broker) => self.world.cluster.set_up(broker, true),
            Fault::Crash(broker, lost) => {
                let lost = if self.may_lose_tail(broker) { lost } else { 0 };
                self.world.cluster.crash(broker, lost);
            }
            Fault::Restart(broker) => self.world.cluster.restart(broker),
            Fault::Pause(broker) => self.world.cluster.pause(broker),
            Fault::Resume(broker) => self.world.cluster.resume(broker),
            Fault::Elect { topic, partition, to } => {
                refused = self.elect(topic, partition, to).is_err();
            }
            Fault::ElectUnclean { topic, partition, to } => {
                let name = &self.names[topic];
                refused = self.world.cluster.elect_unclean(name, partition, to).is_err();
            }
            Fault::InSync { topic, partition, broker, member } => {
                refused = self.set_in_sync(topic, partition, broker, member).is_err();
            }
            Fault::Replication(broker, delay) => {
                let delay = delay.map(Micros::duration);
                self.world.cluster.set_replication_delay(broker, delay);
            }
            Fault::MetadataDelay(broker, delay) => {
                self.world.cluster.set_metadata_delay(broker, delay.duration());
            }
            Fault::ByteRate(broker, rate) => {
                self.world.cluster.set_byte_rate(broker, Some(rate));
            }
            Fault::Stale(broker, stale) => self.world.cluster.freeze_metadata(broker, stale),
            Fault::Hide(topic, hidden) => {
                self.world.cluster.set_hidden(&self.names[topic], hidden);
            }
            Fault::Recreate(topic, partitions) => self.recreate(topic, partitions),
            Fault::Grow(topic, partitions) => {
                self.world.cluster.set_partitions(&self.names[topic], partitions);
            }
            Fault::MaxMessageBytes(topic, bytes) => {
                let set = |config: &mut crate::TopicConfig| config.max_message_bytes = bytes;
                self.world.cluster.configure_topic(&self.names[topic], set);
            }
            Fault::Version(broker, api, max) => {
                let newest = match api {
                    Api::Produce | Api::Metadata => 13,
                    Api::InitProducerId => 5,
                    Api::ApiVersions => 4,
                };
                let (key, max) = (api.into(), max.unwrap_or(newest));
                self.world.cluster.set_versions(broker, key, 0, max);
            }
            Fault::Release(broker, release) => {
                self.world.cluster.install(broker, &release.apis(), release.era());
            }
            Fault::Forget(topic, partition) => {
                self.promises.excused.insert((topic, partition));
                self.world.cluster.forget_producers(&self.names[topic], partition);
            }
            Fault::Suspend(time) => {
                self.world.suspend(now + time.duration());
                if let Some(fairness) = &mut self.fairness {
                    fairness.sleeps(now + time.duration());
                }
            }
            Fault::Spurious => self.world.timeout(),
        }
        let name = if refused { "refused by the controller" } else { fault.name() };
        *self.faults.entry(name).or_default() += 1;
    }

    fn elect(
        &mut self,
        topic: usize,
        partition: i32,
        to: Option<i32>,
    ) -> Result<(), ElectionError> {
        let (cluster, name) = (&mut self.world.cluster, &self.names[topic]);
        match to {
            Some(broker) => cluster.elect(name, partition, broker),
            None => cluster.elect_preferred(name, partition),
        }
    }

    fn set_in_sync(
        &mut self,
        topic: usize,
        partition: i32,
        broker: i32,
        member: bool,
    ) -> Result<(), ElectionError> {
        let (cluster, name) = (&mut self.world.cluster, &self.names[topic]);
        match member {
            true => cluster.expand_isr(name, partition, broker),
            false => cluster.shrink_isr(name, partition, broker),
        }
    }

    /// Whether a crash may take the end of a broker's logs along: where another member of the ISR
    /// has all that was committed, or where that may be lost.
    fn may_lose_tail(&self, broker: i32) -> bool {
        if self.script.profile == Profile::Unclean {
            return true;
        }
        let cluster = &self.world.cluster;
        self.names.iter().all(|name| {
            let partitions = (0..).map_while(|partition| cluster.partition(name, partition));
            partitions.into_iter().all(|image| image.isr != [broker])
        })
    }

    /// Deletes a topic, whose logs are kept for the end, and creates it again.
    fn recreate(&mut self, topic: usize, partitions: i32) {
        if self.world.cluster.topic_id(&self.names[topic]).is_none() {
            return;
        }
        let logs = self.logs_of(topic);
        self.old_logs.extend(logs);
        let name = &self.names[topic];
        self.world.cluster.delete_topic(name);
        let config = super::engine::topic_config(&self.script.topics[topic], partitions);
        let id = self.world.cluster.create_topic(name, config);
        self.wire.name(id, topic);
        self.stamps.forget(topic);
    }
}
