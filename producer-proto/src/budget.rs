//! The memory budget (`buffer.memory`) and its fair shares.
//!
//! Half of the budget is reserved in equal parts for the brokers that lead a partition in use;
//! the other half is first come, first served. So a broker that takes nothing can fill the shared
//! half and its own reserve, and the others still have theirs. A lone broker has all of it.

/// A lane as the budget counts it: a node index, or [`NO_LEADER`].
pub(crate) type LaneIndex = u32;

/// The lane of partitions without a known leader. It has no reserve.
pub(crate) const NO_LEADER: LaneIndex = u32::MAX;

#[derive(Clone, Copy, Default)]
struct LaneUse {
    used: usize,
    has_reserve: bool,
    /// Smallest charge that was refused since the last [`Budget::take_writable`].
    refused: Option<usize>,
}

pub(crate) struct Budget {
    total: usize,
    used: usize,
    reserve: usize,
    lanes_with_reserve: usize,
    /// Sum over all lanes of what they use beyond their reserve.
    beyond: usize,
    lanes: Vec<LaneUse>,
    no_leader: LaneUse,
    starved: Vec<LaneIndex>,
    /// A lane has become starved that was not.
    newly_starved: bool,
}

impl Budget {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            used: 0,
            reserve: total / 2,
            lanes_with_reserve: 0,
            beyond: 0,
            lanes: Vec::new(),
            no_leader: LaneUse::default(),
            starved: Vec::new(),
            newly_starved: false,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Bytes charged to one lane.
    #[cfg(test)]
    pub(crate) fn lane_used(&self, lane: LaneIndex) -> usize {
        self.lane(lane).used
    }

    /// Whether `bytes` can be charged to `lane`. Not while the lane is starved: who was refused
    /// first is told first, and until then nobody passes.
    pub(crate) fn has_room(&self, lane: LaneIndex, bytes: usize) -> bool {
        let lane_use = self.lane(lane);
        // Nothing of an empty lane is to come back: what was refused there waits for others.
        let is_open = lane_use.refused.is_none() || lane_use.used == 0;
        is_open && self.fits(lane, bytes)
    }

    fn note_refused(&mut self, lane: LaneIndex, bytes: usize) {
        match self.lane(lane).refused {
            None => {
                self.starved.push(lane);
                self.newly_starved = true;
                self.lane_mut(lane).refused = Some(bytes);
            }
            // Who was only held back behind another must not call for a retry: there is room for
            // it at once, and none for the other, for ever.
            Some(smallest) if !self.fits(lane, bytes) => {
                self.lane_mut(lane).refused = Some(smallest.min(bytes));
            }
            Some(_) => {}
        }
    }

    /// Charges `bytes` to `lane` if it has room; else remembers that the lane is starved.
    pub(crate) fn try_charge(&mut self, lane: LaneIndex, bytes: usize) -> bool {
        if !self.has_room(lane, bytes) {
            self.note_refused(lane, bytes);
            return false;
        }
        self.add(lane, bytes);
        true
    }

    /// Charges bytes that exist already, whether they fit or not.
    pub(crate) fn charge(&mut self, lane: LaneIndex, bytes: usize) {
        self.add(lane, bytes);
    }

    pub(crate) fn release(&mut self, lane: LaneIndex, bytes: usize) {
        self.sub(lane, bytes);
    }

    /// A partition's charge follows its leader. Never refused: the bytes are already there.
    pub(crate) fn transfer(&mut self, from: LaneIndex, to: LaneIndex, bytes: usize) {
        self.sub(from, bytes);
        self.add(to, bytes);
    }

    /// Whether the lane takes part in the reserves: whether its broker leads anything.
    pub(crate) fn set_reserve(&mut self, lane: LaneIndex, has_reserve: bool) {
        if lane == NO_LEADER || self.lane(lane).has_reserve == has_reserve {
            return;
        }
        self.lane_mut(lane).has_reserve = has_reserve;
        if has_reserve {
            self.lanes_with_reserve += 1;
        } else {
            self.lanes_with_reserve -= 1;
        }
        self.reserve = self.total / (2 * self.lanes_with_reserve.max(1));
        self.beyond = self.no_leader.used;
        self.beyond +=
            self.lanes.iter().map(|lane| Self::excess(self.reserve, lane)).sum::<usize>();
    }

    pub(crate) fn is_starved(&self, lane: LaneIndex) -> bool {
        self.lane(lane).refused.is_some()
    }

    /// Whether a lane has become starved since this was last asked.
    pub(crate) fn take_newly_starved(&mut self) -> bool {
        std::mem::take(&mut self.newly_starved)
    }

    /// The starved lanes that have room again.
    pub(crate) fn take_writable(&mut self) -> Option<LaneIndex> {
        let at = self
            .starved
            .iter()
            .position(|&lane| self.lane(lane).refused.is_none_or(|bytes| self.fits(lane, bytes)))?;
        let lane = self.starved.swap_remove(at);
        self.lane_mut(lane).refused = None;
        Some(lane)
    }

    fn fits(&self, lane: LaneIndex, bytes: usize) -> bool {
        if self.used.saturating_add(bytes) > self.total {
            return false;
        }
        let use_now = self.lane(lane);
        if use_now.used == 0 {
            // Else a record larger than a lane's share would wait for ever.
            return true;
        }
        let mut use_then = use_now;
        use_then.used += bytes;
        let beyond = self.beyond - Self::excess(self.reserve, &use_now)
            + Self::excess(self.reserve, &use_then);
        beyond <= self.total.saturating_sub(self.reserve * self.lanes_with_reserve)
    }

    fn excess(reserve: usize, lane: &LaneUse) -> usize {
        lane.used.saturating_sub(if lane.has_reserve { reserve } else { 0 })
    }

    fn add(&mut self, lane: LaneIndex, bytes: usize) {
        let before = Self::excess(self.reserve, &self.lane(lane));
        self.lane_mut(lane).used += bytes;
        let after = Self::excess(self.reserve, &self.lane(lane));
        self.beyond = self.beyond - before + after;
        self.used += bytes;
    }

    fn sub(&mut self, lane: LaneIndex, bytes: usize) {
        let before = Self::excess(self.reserve, &self.lane(lane));
        self.lane_mut(lane).used -= bytes;
        let after = Self::excess(self.reserve, &self.lane(lane));
        self.beyond = self.beyond - before + after;
        self.used -= bytes;
    }

    fn lane(&self, lane: LaneIndex) -> LaneUse {
        if lane == NO_LEADER {
            return self.no_leader;
        }
        self.lanes.get(lane as usize).copied().unwrap_or_default()
    }

    fn lane_mut(&mut self, lane: LaneIndex) -> &mut LaneUse {
        if lane == NO_LEADER {
            return &mut self.no_leader;
        }
        let index = lane as usize;
        if index >= self.lanes.len() {
            self.lanes.resize(index + 1, LaneUse::default());
        }
        &mut self.lanes[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn five_brokers() -> Budget {
        let mut budget = Budget::new(1_000);
        for lane in 0..5 {
            budget.set_reserve(lane, true);
        }
        budget
    }

    fn fill(budget: &mut Budget, lane: LaneIndex) -> usize {
        let mut taken = 0;
        while budget.try_charge(lane, 10) {
            taken += 10;
        }
        taken
    }

    #[test]
    fn a_lone_broker_may_use_everything() {
        let mut budget = Budget::new(1_000);
        budget.set_reserve(0, true);
        assert_eq!(fill(&mut budget, 0), 1_000);
    }

    #[test]
    fn one_dead_broker_leaves_the_others_their_reserve() {
        let mut budget = five_brokers();
        assert_eq!(fill(&mut budget, 0), 600);
        for lane in 1..5 {
            assert_eq!(fill(&mut budget, lane), 100);
        }
        assert_eq!(budget.used(), 1_000);
    }

    #[test]
    fn a_record_larger_than_a_share_still_goes_when_its_lane_is_empty() {
        let mut budget = five_brokers();
        assert!(budget.try_charge(3, 900));
        assert!(!budget.try_charge(3, 10));
        assert!(budget.try_charge(2, 100));
        assert!(!budget.try_charge(1, 10), "the total is a hard bound");
    }

    #[test]
    fn a_starved_lane_is_told_once_when_there_is_room_for_what_was_refused() {
        let mut budget = Budget::new(100);
        budget.set_reserve(0, true);
        assert!(budget.try_charge(0, 90));
        assert!(!budget.try_charge(0, 50));
        assert!(!budget.try_charge(0, 40));
        assert_eq!(budget.take_writable(), None);
        budget.release(0, 20);
        assert_eq!(budget.take_writable(), None, "30 free, 40 were asked for");
        budget.release(0, 10);
        assert_eq!(budget.take_writable(), Some(0));
        assert_eq!(budget.take_writable(), None);
    }

    #[test]
    fn who_is_held_back_behind_another_does_not_make_the_lane_writable() {
        let mut budget = Budget::new(100);
        budget.set_reserve(0, true);
        assert!(budget.try_charge(0, 90));
        assert!(!budget.try_charge(0, 50));
        assert!(!budget.try_charge(0, 5), "nobody passes who was refused first");
        assert_eq!(budget.take_writable(), None, "else both would be tried again without end");
        budget.release(0, 40);
        assert_eq!(budget.take_writable(), Some(0));
        assert!(budget.try_charge(0, 50));
    }

    #[test]
    fn what_can_never_fit_does_not_close_its_lane_for_ever() {
        let mut budget = Budget::new(100);
        budget.set_reserve(0, true);
        budget.set_reserve(1, true);
        assert!(budget.try_charge(1, 60));
        assert!(!budget.try_charge(0, 50));
        assert!(budget.try_charge(0, 20), "the lane is empty: waiting would not help");
        assert_eq!(budget.take_writable(), None);
    }

    #[test]
    fn charges_move_with_the_leader_and_end_at_zero() {
        let mut budget = five_brokers();
        assert!(budget.try_charge(NO_LEADER, 300));
        budget.transfer(NO_LEADER, 2, 300);
        assert_eq!((budget.lane_used(NO_LEADER), budget.lane_used(2)), (0, 300));
        budget.set_reserve(4, false);
        budget.release(2, 300);
        assert_eq!((budget.used(), budget.beyond), (0, 0));
    }
}
