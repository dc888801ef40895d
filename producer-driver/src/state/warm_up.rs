//! Metadata and connections before the first record.

use std::sync::Arc;

use producer_proto::{Instant, TopicId};

use super::admission::timed_out;
use super::{Phase, State};
use crate::error::{SendError, SendErrorKind, WaitingFor};
use crate::replies::{Replies, WarmUpResult};
use crate::slot::Slot;

/// Somebody who waits for the leaders of some topics.
pub(super) struct WarmUp {
    /// Those whose leaders' connections are not all up.
    topics: Vec<TopicId>,
    deadline: Instant,
    slot: Arc<Slot<WarmUpResult>>,
}

impl State {
    /// Begins to bring everything up that sends to these topics need; `slot` is filled at the end.
    pub(crate) fn warm_up(
        &mut self,
        now: Instant,
        names: &[&str],
        slot: Arc<Slot<WarmUpResult>>,
        replies: &mut Replies,
    ) {
        let refused =
            |kind| SendError::new(names.first().copied().unwrap_or_default().into(), kind);
        let topics = names.iter().map(|name| self.intern(now, name)).collect();
        let error = match (topics, self.core.fatal()) {
            (Err(error), _) => error,
            (_, Some(fatal)) => refused(SendErrorKind::Fatal(fatal.clone())),
            _ if self.phase != Phase::Open => refused(SendErrorKind::Closed),
            (Ok(topics), None) => {
                let deadline = now + self.max_block;
                return self.warm_ups.push(WarmUp { topics, deadline, slot });
            }
        };
        replies.warm_ups.push((slot, Err(error)));
    }

    /// Dials what is not up, and answers those for whom everything is, or whose time is over.
    pub(super) fn advance_warm_ups(&mut self, now: Instant, replies: &mut Replies) {
        let Self { warm_ups, core, max_block, .. } = self;
        warm_ups.retain_mut(|warm_up| {
            warm_up.topics.retain(|topic| !core.connect_leaders(now, *topic));
            let result = match warm_up.topics.first() {
                None => Ok(()),
                Some(_) if now < warm_up.deadline => return true,
                Some(&topic) => {
                    let waiting_for = match core.partition_count(topic) {
                        None => WaitingFor::Metadata,
                        Some(_) => WaitingFor::Leaders,
                    };
                    Err(timed_out(core, *max_block, (topic, None), waiting_for))
                }
            };
            replies.warm_ups.push((warm_up.slot.clone(), result));
            false
        });
    }

    /// Fails those who wait for this topic, or for any if there is none.
    pub(super) fn fail_warm_ups(
        &mut self,
        topic: Option<TopicId>,
        replies: &mut Replies,
        kind: &SendErrorKind,
    ) {
        let core = &self.core;
        self.warm_ups.retain(|warm_up| {
            let waits_for = |topic| warm_up.topics.contains(&topic);
            if !topic.is_none_or(waits_for) {
                return true;
            }
            let topic = topic.or(warm_up.topics.first().copied());
            let name = topic.and_then(|topic| core.topic_name(topic)).cloned().unwrap_or_default();
            replies.warm_ups.push((warm_up.slot.clone(), Err(SendError::new(name, kind.clone()))));
            false
        });
    }

    /// When the first of them gives up.
    pub(super) fn warm_up_deadline(&self) -> Option<Instant> {
        self.warm_ups.iter().map(|warm_up| warm_up.deadline).min()
    }
}
