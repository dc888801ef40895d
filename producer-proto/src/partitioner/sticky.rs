//! Records without key: fill a batch in one partition, then pick the next (KIP-480, KIP-794).
//!
//! Two rules differ from Java's on purpose. A partition that lost its leader, or whose leader is
//! too slow, is left at once instead of after the next full batch. And weights are used from the
//! beginning, not only once every partition of the topic has had a record.

use super::load::{LoadTable, scale};

/// The state of one topic.
pub(crate) struct StickyState {
    table: LoadTable,
    current: Option<i32>,
    /// Estimated bytes that the current partition has had since it was chosen.
    produced: usize,
    /// The current partition will do without a closer look while `produced` is below this; 0 when
    /// something has changed since it was last asked whether it will do.
    settled_below: usize,
}

impl StickyState {
    /// The state of a topic with this many partitions (at least one), all of them with a leader
    /// and nothing waiting. Nothing is chosen yet.
    pub(crate) fn new(partitions: i32) -> Self {
        Self { table: LoadTable::new(partitions), current: None, produced: 0, settled_below: 0 }
    }

    /// The number of partitions has changed (at least one). New ones have a leader and nothing
    /// waiting. The current partition is dropped if it no longer exists.
    pub(crate) fn resize(&mut self, partitions: i32) {
        self.table.resize(partitions);
        self.settled_below = 0;
        if self.current.is_some_and(|current| current >= self.table.len()) {
            self.current = None;
        }
    }

    /// Whether the partition has a leader. Unknown partitions are ignored, here and below.
    pub(crate) fn set_available(&mut self, partition: i32, available: bool) {
        self.table.set_available(partition, available);
        self.settled_below = 0;
    }

    /// Whether the partition's leader has been unable to take data for longer than
    /// `partitioner_availability_timeout`.
    pub(crate) fn set_slow(&mut self, partition: i32, slow: bool) {
        self.table.set_slow(partition, slow);
        self.settled_below = 0;
    }

    /// How many batches wait in the partition. Not to be called without adaptive partitioning.
    pub(crate) fn set_queue(&mut self, partition: i32, batches: u32) {
        self.table.set_queue(partition, batches);
    }

    /// Where records go at the moment; `None` before the first choice.
    pub(crate) fn current(&self) -> Option<i32> {
        self.current
    }

    /// Picks a partition and makes it the current one. `draw` is uniform over all of `u64`.
    pub(crate) fn choose(&mut self, draw: u64) -> i32 {
        let partition = self.pick(draw);
        self.switch_to(partition);
        partition
    }

    /// Makes a partition the current one, as one from [`pick_where`](Self::pick_where).
    pub(crate) fn switch_to(&mut self, partition: i32) {
        self.current = Some(partition);
        self.produced = 0;
    }

    /// A record went to the current partition; its batch has grown by so many bytes, estimated
    /// after compression and with the header of a new batch. Whether the partition
    /// [is settled](Self::is_settled) all the same.
    #[inline]
    pub(crate) fn note_appended(&mut self, bytes: usize) -> bool {
        let produced = self.produced.saturating_add(bytes);
        self.produced = produced;
        produced < self.settled_below
    }

    /// Chooses anew if it is time; to be called after an append and, as `can_switch` changes in
    /// between, before the next one. `can_switch`: the current partition's queue is empty or its
    /// last batch is full, so that leaving it does not cut a batch short. Returns whether a
    /// choice was made.
    #[inline]
    pub(crate) fn maybe_switch(
        &mut self,
        can_switch: impl FnOnce() -> bool,
        batch_size: usize,
        draw: impl FnOnce() -> u64,
    ) -> bool {
        if self.is_settled() {
            return false;
        }
        self.settled_below = batch_size.saturating_mul(2);
        if !self.is_switch_due(can_switch, batch_size) {
            return false;
        }
        self.choose(draw());
        true
    }

    /// A batch of this partition takes no more records: leaving it does not cut one short now.
    pub(crate) fn note_closed(&mut self, partition: i32) {
        if self.current == Some(partition) {
            self.settled_below = 0;
        }
    }

    /// Whether the current partition will do without a closer look: so it is for nearly every
    /// record.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.produced < self.settled_below
    }

    fn is_switch_due(&self, can_switch: impl FnOnce() -> bool, batch_size: usize) -> bool {
        let Some(current) = self.current else { return true };
        if !self.table.is_candidate(current) && self.table.candidates() > 0 {
            return true;
        }
        self.produced >= batch_size
            && (self.produced >= batch_size.saturating_mul(2) || can_switch())
    }

    /// Another partition that `accept`s, for a record that the current one has no room for. Tries
    /// so many draws by weight and then, because neighbours mostly have different leaders, so many
    /// neighbours. Changes nothing; see [`switch_to`](Self::switch_to).
    pub(crate) fn pick_where(
        &self,
        draw: u64,
        accept: impl Fn(i32) -> bool,
        tries: usize,
    ) -> Option<i32> {
        if self.table.candidates() == 0 {
            return None;
        }
        let mut draw = draw;
        let mut last = 0;
        for _ in 0..tries {
            last = self.pick(draw);
            if accept(last) {
                return Some(last);
            }
            draw = remix(draw);
        }
        for _ in 0..tries {
            last = self.table.next_candidate(last.saturating_add(1))?;
            if accept(last) {
                return Some(last);
            }
        }
        None
    }

    /// By weight among the candidates; if all leaders are slow, evenly among the partitions that
    /// have one; if none has, evenly among all.
    fn pick(&self, draw: u64) -> i32 {
        if self.table.candidates() > 0 {
            self.table.candidate_at(scale(draw, self.table.total_weight()))
        } else if self.table.available() > 0 {
            let n = scale(draw, u64::from(self.table.available()));
            self.table.available_at(n as u32)
        } else {
            scale(draw, self.table.len() as u64) as i32
        }
    }
}

/// A further draw from a draw (the finalizer of SplitMix64).
fn remix(draw: u64) -> u64 {
    let mut x = draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
