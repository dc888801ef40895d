//! Where records go whose partition is anybody's choice: the uniform sticky choice (KIP-794), and in
//! turn.

use crate::batch::Payload;
use crate::batches::{Batches, State};
use crate::budget::LaneIndex;
use crate::config::PartitionerKind;
use crate::error::PushError;
use crate::event::Receipt;
use crate::marks::Mark;
use crate::partition::Partition;
use crate::partitioner::{RoundRobinState, Spread, StickyState};
use crate::rng::Stream;
use crate::topics::PartitionIndex;

use super::Producer;
use super::push::Appended;

/// How often another partition is tried for an unkeyed record whose lane is full.
const OTHER_LANE_TRIES: usize = 4;

impl Producer {
    /// The next partition of the round robin.
    pub(super) fn next_in_turn(&mut self, topic: u32) -> i32 {
        if self.topics.at(topic).spread.is_none() {
            self.build_spread(topic);
        }
        match &mut self.topics.at_mut(topic).spread {
            Some(Spread::InTurn(state)) => state.choose(),
            _ => 0,
        }
    }

    /// Appends where the uniform sticky choice (KIP-794) points; when the lane there is full,
    /// where another available partition has room.
    #[inline]
    pub(super) fn push_sticky(
        &mut self,
        topic: u32,
        timestamp: i64,
        payload: &Payload<'_>,
    ) -> Result<Receipt, PushError> {
        let partition = self.sticky_choice(topic);
        let at = self.topics.at(topic).partitions[partition as usize];
        let lane = match self.append_sticky(topic, at, timestamp, payload) {
            Ok(receipt) => return Ok(receipt),
            Err(lane) => lane,
        };
        if let Some(other) = self.sticky_elsewhere(topic, lane) {
            self.marks.hit(Mark::ElsewhereFull);
            let at = self.topics.at(topic).partitions[other as usize];
            if let Ok(receipt) = self.append_sticky(topic, at, timestamp, payload) {
                return Ok(receipt);
            }
        }
        Err(self.full(lane))
    }

    /// Appends to a partition that the sticky choice named. When the open batch there has no room
    /// for the record, it is complete, which is the time to leave: then the choice may be anew.
    #[inline]
    fn append_sticky(
        &mut self,
        topic: u32,
        at: PartitionIndex,
        timestamp: i64,
        payload: &Payload<'_>,
    ) -> Result<Receipt, LaneIndex> {
        let appended = match self.append_to_open(at, timestamp, payload)? {
            Some(appended) => appended,
            None => {
                self.complete_open(at);
                let next = self.sticky_choice(topic);
                let at = self.topics.at(topic).partitions[next as usize];
                self.append(at, timestamp, payload)?
            }
        };
        let Appended { receipt, grown } = appended;
        if let Some(Spread::Sticky(sticky)) = &mut self.topics.at_mut(topic).spread
            && !sticky.note_appended(grown)
        {
            self.switch_sticky_if_due(topic);
        }
        Ok(receipt)
    }

    /// The partition that unkeyed records of this topic go to now.
    #[inline]
    fn sticky_choice(&mut self, topic: u32) -> i32 {
        if let Some(Spread::Sticky(sticky)) = &self.topics.at(topic).spread
            && let Some(current) = sticky.current()
            && sticky.is_settled()
        {
            return current;
        }
        if self.topics.at(topic).spread.is_none() {
            self.build_spread(topic);
        }
        self.switch_sticky_if_due(topic);
        match &self.topics.at(topic).spread {
            Some(Spread::Sticky(sticky)) => sticky.current().unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn switch_sticky_if_due(&mut self, topic: u32) {
        let state = self.topics.at_mut(topic);
        let (draws, partitions) = (state.draws, &state.partitions);
        let Some(Spread::Sticky(sticky)) = &mut state.spread else { return };
        let current = sticky.current().unwrap_or(0);
        let can_switch = || {
            let at = partitions[current as usize];
            last_batch_is_full(&self.partitions[at as usize], &self.batches)
        };
        let draw = || self.rng.draw(Stream::PartitionChoice, u64::from(topic), draws);
        if sticky.maybe_switch(can_switch, self.settings.batch_size, draw) {
            state.draws += 1;
        }
    }

    /// Another partition, whose lane is not full.
    fn sticky_elsewhere(&mut self, topic: u32, full: LaneIndex) -> Option<i32> {
        let draw = self.partition_draw(topic);
        let state = self.topics.at(topic);
        let accept = |partition: i32| {
            let at = state.partitions[partition as usize];
            self.usable_leader(at).is_some_and(|node| node != full && !self.budget.is_starved(node))
        };
        let Some(Spread::Sticky(sticky)) = &state.spread else { return None };
        let found = sticky.pick_where(draw, accept, OTHER_LANE_TRIES)?;
        let state = self.topics.at_mut(topic);
        state.draws += 1;
        if let Some(Spread::Sticky(sticky)) = &mut state.spread {
            sticky.switch_to(found);
        }
        Some(found)
    }

    fn partition_draw(&self, topic: u32) -> u64 {
        let draws = self.topics.at(topic).draws;
        self.rng.draw(Stream::PartitionChoice, u64::from(topic), draws)
    }

    /// Makes the table by which a topic's records are spread, from its partitions as they are.
    fn build_spread(&mut self, topic: u32) {
        let count = self.topics.at(topic).count;
        let mut spread = match self.settings.partitioner {
            PartitionerKind::RoundRobin => Spread::InTurn(Box::new(RoundRobinState::new(count))),
            _ => Spread::Sticky(Box::new(StickyState::new(count))),
        };
        if self.settings.partitioner_adaptive_partitioning_enable {
            for index in 0..count {
                let at = self.topics.at(topic).partitions[index as usize];
                spread.set_queue(index, self.partition(at).queue.len() as u32);
            }
        }
        self.topics.at_mut(topic).spread = Some(spread);
        self.refresh_spread(topic);
    }

    /// Takes leaders and their speed over into a topic's table anew.
    pub(super) fn refresh_spread(&mut self, topic: u32) {
        if self.topics.at(topic).spread.is_none() {
            return;
        }
        for index in 0..self.topics.at(topic).count {
            let at = self.topics.at(topic).partitions[index as usize];
            let leader = self.usable_leader(at);
            let is_slow = leader.is_some_and(|node| self.nodes[node].is_slow);
            if let Some(spread) = &mut self.topics.at_mut(topic).spread {
                spread.set_available(index, leader.is_some());
                spread.set_slow(index, is_slow);
            }
        }
    }

    /// The queue of a partition has become longer or shorter: its weight changes.
    pub(super) fn note_queue_length(&mut self, at: PartitionIndex) {
        if !self.settings.partitioner_adaptive_partitioning_enable {
            return;
        }
        let partition = &self.partitions[at as usize];
        if let Some(spread) = &mut self.topics.at_mut(partition.topic).spread {
            spread.set_queue(partition.index, partition.queue.len() as u32);
        }
    }
}

fn last_batch_is_full(partition: &Partition, batches: &Batches) -> bool {
    partition.queue.back().is_none_or(|&slot| batches[slot].state != State::Open)
}
