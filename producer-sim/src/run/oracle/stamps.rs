//! A batch with a stamp is frozen, and stamps follow each other without gap or overlap.

use crate::Instant;
use crate::run::content::RecordNumber;
use crate::run::verdict::{Failure, Oracle};
use crate::run::wire::{Answered, Said, Sent, SentBatch};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Whose sequence numbers: producer id, epoch, topic, partition.
type Chain = (i64, i16, usize, i32);

/// What is known of a batch under one stamp.
#[derive(Debug)]
struct Stamp {
    count: i32,
    digest: u64,
    records: Rc<[RecordNumber]>,
    /// Attempts whose answer is still to come.
    open: u32,
    /// How many of them had begun before a later one proved that none had an effect.
    disproved: u32,
    /// An attempt ended without a proof that it had no effect.
    ambiguous: bool,
    acknowledged: bool,
}

impl Stamp {
    fn brief(&self) -> String {
        let Self { count, open, ambiguous, acknowledged, .. } = self;
        format!("{count} records, open {open}, ambiguous {ambiguous}, acknowledged {acknowledged}")
    }

    fn is_absent(&self) -> bool {
        self.open == self.disproved && !self.ambiguous && !self.acknowledged
    }

    /// An attempt ended that tells nothing.
    fn ended(&mut self) {
        match self.disproved {
            0 => self.ambiguous = true,
            _ => self.disproved -= 1,
        }
    }
}

/// Error codes of checks that a broker makes before it looks for duplicates: this attempt had no
/// effect, which says nothing about earlier ones.
const REFUSED_EARLY: [i16; 17] =
    [2, 3, 10, 18, 19, 21, 29, 31, 32, 33, 35, 42, 43, 74, 76, 87, 100];

/// Answers of the check of sequences: neither this attempt nor an earlier one had an effect.
const REFUSED_IN_SEQUENCE: [i16; 3] = [45, 47, 59];

/// Follows all stamps of a run.
#[derive(Default)]
pub(crate) struct Stamps {
    chains: BTreeMap<Chain, BTreeMap<i32, Stamp>>,
    /// The latest epoch of each producer id in each partition.
    epochs: BTreeMap<(i64, usize, i32), i16>,
    /// Partitions whose first chain may begin elsewhere than with 0, and where.
    beginnings: BTreeMap<(usize, i32), i32>,
    /// Where chains began; numbers within a chain are counted from there.
    origins: BTreeMap<Chain, i32>,
    /// The latest stamp of each record.
    of_record: BTreeMap<RecordNumber, (Chain, i32)>,
}

impl Stamps {
    /// A topic was created anew: brokers know nothing of its producers.
    pub(crate) fn forget(&mut self, topic: usize) {
        self.chains.retain(|chain, _| chain.2 != topic);
        self.origins.retain(|chain, _| chain.2 != topic);
        self.beginnings.retain(|place, _| place.0 != topic);
        self.epochs.retain(|key, _| key.1 != topic);
    }

    /// The next chain of a partition may begin with `first` as well as with 0.
    pub(crate) fn begin_at(&mut self, topic: usize, partition: i32, first: i32) {
        self.beginnings.insert((topic, partition), first);
    }

    /// The place of a sequence number in its chain. Numbers wrap behind [`i32::MAX`].
    fn position(&self, chain: Chain, sequence: i32) -> i32 {
        let origin = self.origins.get(&chain).copied().unwrap_or(0);
        sequence.wrapping_sub(origin) & i32::MAX
    }

    pub(crate) fn sent(&mut self, at: Instant, sent: &Sent) -> Result<(), Failure> {
        for batch in sent.batches.iter().filter(|batch| batch.header.has_producer_id()) {
            self.batch(at, batch)?;
        }
        Ok(())
    }

    fn batch(&mut self, at: Instant, batch: &SentBatch) -> Result<(), Failure> {
        let header = &batch.header;
        let (id, epoch, base) = (header.producer_id, header.producer_epoch, header.base_sequence);
        let chain: Chain = (id, epoch, batch.topic, batch.partition);
        let name = format!("id {id} epoch {epoch} sequence {base}");
        let fail = |oracle, what: String| {
            let failure = Failure::new(oracle, at, format!("{name}: {what}"));
            let failure = failure.place(batch.topic, batch.partition);
            Err(match batch.records.first() {
                Some(record) => failure.record(*record),
                None => failure,
            })
        };
        if base < 0 {
            return fail(Oracle::StampLaw, "sequences are not negative".to_owned());
        }
        if !self.origins.contains_key(&chain) {
            let beginning = self.beginnings.remove(&(batch.topic, batch.partition));
            self.origins.insert(chain, beginning.filter(|first| *first == base).unwrap_or(0));
        }
        let base = self.position(chain, base);
        let latest = self.epochs.entry((id, batch.topic, batch.partition)).or_insert(epoch);
        if epoch < *latest {
            return fail(Oracle::StampLaw, format!("epoch {latest} was begun before"));
        }
        *latest = epoch;
        if let Some(first) = batch.records.first()
            && let Some((other, at_base)) = self.of_record.get(first)
            && (*other, *at_base) != (chain, base)
            && let Some(stamp) = self.chains.get(other).and_then(|chain| chain.get(at_base))
            && stamp.records.contains(first)
            && !stamp.is_absent()
        {
            let what = format!(
                "had {other:?} sequence {at_base}, which may be in the log: {}",
                stamp.brief()
            );
            return fail(Oracle::StampLaw, what);
        }
        let stamps = self.chains.entry(chain).or_default();
        if let Some(stamp) = stamps.get_mut(&base)
            && stamp.digest == batch.digest
        {
            stamp.open += 1;
            return Ok(());
        }
        let end = base.wrapping_add(header.count);
        let taken = |(other, stamp): (&i32, &Stamp)| {
            *other < end && other.wrapping_add(stamp.count) > base && !stamp.is_absent()
        };
        if let Some((other, stamp)) = stamps.iter().find(|(other, stamp)| taken((other, stamp))) {
            let oracle = if *other == base { Oracle::FrozenStamp } else { Oracle::StampLaw };
            return fail(oracle, format!("{base}..{end} is taken by {other}: {}", stamp.brief()));
        }
        // What was refused gives its numbers back, as when a batch is split.
        stamps.retain(|other, stamp| *other >= end || other.wrapping_add(stamp.count) <= base);
        let due = stamps.range(..base).next_back().map_or(0, |(other, stamp)| other + stamp.count);
        if base != due {
            return fail(Oracle::StampLaw, format!("{due} is due"));
        }
        for record in batch.records.iter() {
            self.of_record.insert(*record, (chain, base));
        }
        let stamp = Stamp {
            count: header.count,
            digest: batch.digest,
            records: Rc::clone(&batch.records),
            open: 1,
            disproved: 0,
            ambiguous: false,
            acknowledged: false,
        };
        stamps.insert(base, stamp);
        Ok(())
    }

    pub(crate) fn answered(&mut self, answered: &Answered) {
        let Said::Produce(answers) = &answered.said else { return };
        for batch in &answered.request.batches {
            let Some(stamp) = self.find(batch) else { continue };
            let same = |answer: &&crate::run::wire::PartitionAnswer| {
                (answer.topic, answer.partition) == (batch.topic, batch.partition)
            };
            stamp.open = stamp.open.saturating_sub(1);
            match answers.iter().find(same).map(|answer| answer.code) {
                // A duplicate that is older than the broker's memory is in the log, too.
                Some(0 | 46) => stamp.acknowledged = true,
                Some(code) if REFUSED_EARLY.contains(&code) => {
                    stamp.disproved = stamp.disproved.min(stamp.open);
                }
                Some(code) if REFUSED_IN_SEQUENCE.contains(&code) => {
                    (stamp.ambiguous, stamp.disproved) = (false, stamp.open);
                }
                _ => stamp.ended(),
            }
        }
    }

    /// The connection of these requests is gone.
    pub(crate) fn unanswered(&mut self, requests: &[Sent]) {
        for batch in requests.iter().flat_map(|request| &request.batches) {
            if let Some(stamp) = self.find(batch) {
                stamp.open = stamp.open.saturating_sub(1);
                stamp.ended();
            }
        }
    }

    fn find(&mut self, batch: &SentBatch) -> Option<&mut Stamp> {
        let header = &batch.header;
        let chain = (header.producer_id, header.producer_epoch, batch.topic, batch.partition);
        let base = self.position(chain, header.base_sequence);
        let stamp = self.chains.get_mut(&chain)?.get_mut(&base)?;
        (stamp.digest == batch.digest && Rc::ptr_eq(&stamp.records, &batch.records))
            .then_some(stamp)
    }
}
