//! What an error of a whole topic in a Metadata answer means for those who wait for it.

use crate::ErrorCode;
use crate::TopicId;
use crate::batches::{LastError, State};
use crate::error::TopicError;
use crate::event::Event;
use crate::marks::Mark;
use crate::partition::NO_NODE;
use crate::topics::TopicState;

use super::Producer;

impl Producer {
    /// A topic-wide error: a reason to ask again, or final for those who wait. Of a topic whose
    /// partitions are known only a refusal is final: a broker that cannot answer says nothing.
    pub(super) fn apply_topic_error(&mut self, index: u32, code: ErrorCode) -> bool {
        let topic = self.topics.at_mut(index);
        let changed = topic.error != code;
        topic.error = code;
        let was_ready = topic.state == TopicState::Ready;
        if code.is_retriable() || was_ready {
            // Known partitions stay, without leaders: brokers deny topics while they restart.
            self.marks.hit(Mark::TopicDenied);
            let partitions = self.topics.at(index).partitions.clone();
            for at in partitions {
                self.set_leader(at, NO_NODE);
                self.partition_mut(at).error = code;
            }
            let topic = self.topics.at(index);
            if topic.open_batches > 0 || topic.asked_beyond.is_some() {
                self.metadata.request();
            }
        }
        if code.refuses_topic() || !(code.is_retriable() || was_ready) {
            self.refuse_topic(index, code);
        } else if self.topics.at(index).state == TopicState::Wanted {
            self.metadata.request_topic(index, false);
        }
        changed
    }

    /// The cluster refuses a topic. It is asked for again when somebody wants it, or because a
    /// batch that is in flight may have to go out once more.
    fn refuse_topic(&mut self, index: u32, code: ErrorCode) {
        self.marks.hit(Mark::TopicRefused);
        let topic = self.topics.at_mut(index);
        topic.state = TopicState::Idle;
        topic.asked_beyond = None;
        let error = TopicError { topic: topic.name.clone(), code };
        self.metadata.forget_topic(index);
        self.events.push_back(Event::TopicFailed { topic: TopicId(index), error });
        if code.refuses_topic() {
            self.fail_topic(index, code);
        }
        let topic = self.topics.at_mut(index);
        if topic.open_batches > 0 {
            self.marks.hit(Mark::RefusedInUse);
            topic.state = TopicState::Wanted;
            self.metadata.request_topic(index, false);
        }
    }

    /// Fails what waits in a topic that the cluster refuses.
    fn fail_topic(&mut self, index: u32, code: ErrorCode) {
        let partitions = self.topics.at(index).partitions.clone();
        let slots = partitions
            .iter()
            .flat_map(|&at| self.partition(at).queue.iter().copied())
            .filter(|&slot| !matches!(self.batches[slot].state, State::InFlight(_)))
            .collect();
        let error = LastError { code, message: None };
        self.fail_all(slots, |producer, slot| producer.broker_error(slot, &error));
    }
}
