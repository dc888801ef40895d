//! A cluster to which everything happens, in any order: the model keeps its own laws, and what
//! acks=all was told is committed or excused.

use crate::client::{batch, decode, frame, produce_with};
use producer_sim::{
    ApiKey, Cluster, ClusterConfig, ConnId, Era, Failover, Instant, Output, ResponseKind,
    TopicConfig,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const STEPS: u64 = 400;
const SEEDS: u64 = 60;

/// A small generator (xorshift), so that a seed is a run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn broker(&mut self) -> i32 {
        1 + self.below(3) as i32
    }
}

struct Run {
    dice: Dice,
    cluster: Cluster,
    now: Instant,
    conns: Vec<ConnId>,
    /// Producer ids of batches that acks=all acknowledged: one batch each.
    acked: BTreeSet<i64>,
    seen_errors: BTreeSet<i16>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut config = ClusterConfig::new(3);
        config.failover = (dice.below(2) == 0).then(|| Failover {
            session_timeout: Duration::from_millis(200),
            replica_lag_max: Duration::from_millis(300),
            unclean: dice.below(4) == 0,
        });
        let mut cluster = Cluster::new(config);
        cluster.create_topic("t", TopicConfig::new(2).replicated(3, 1 + dice.below(2) as usize));
        for id in 1..=3 {
            cluster.set_era(id, if dice.below(2) == 0 { Era::Modern } else { Era::Legacy });
        }
        let (acked, seen_errors) = (BTreeSet::new(), BTreeSet::new());
        Self { dice, cluster, now: Instant::ZERO, conns: Vec::new(), acked, seen_errors }
    }

    fn step(&mut self, producer_id: i64) {
        let Self { dice, cluster, .. } = self;
        let (broker, partition) = (dice.broker(), dice.below(2) as i32);
        let delay = Duration::from_millis(dice.below(50));
        match dice.below(40) {
            0 => drop(cluster.elect("t", partition, broker)),
            1 if dice.below(4) == 0 => drop(cluster.elect_unclean("t", partition, broker)),
            2 => drop(cluster.elect_preferred("t", partition)),
            3 if dice.below(4) == 0 => drop(cluster.depose("t", partition)),
            4 => drop(cluster.shrink_isr("t", partition, broker)),
            5 | 6 => drop(cluster.expand_isr("t", partition, broker)),
            7 => {
                let tail = dice.below(8).saturating_sub(5) as usize;
                cluster.crash(broker, tail);
            }
            8..=10 => cluster.restart(broker),
            11 => cluster.pause(broker),
            12..=14 => cluster.resume(broker),
            15 => cluster.set_replication_delay(broker, (dice.below(4) > 0).then_some(delay)),
            16 => cluster.set_replication_delay(broker, Some(Duration::ZERO)),
            17 => cluster.set_metadata_delay(broker, delay),
            18 => cluster.set_metadata_delay(broker, Duration::ZERO),
            19..=33 => self.send(broker, producer_id),
            // Again, as a client does that has heard nothing.
            34 | 35 => {
                let again = 1 + dice.below(producer_id as u64) as i64;
                self.send(broker, again);
            }
            _ => self.now = self.now + delay,
        }
    }

    fn send(&mut self, broker: i32, producer_id: i64) {
        let partition = (producer_id % 2) as i32;
        let leader = self.cluster.partition("t", partition).and_then(|image| image.leader);
        let broker = leader.filter(|_| self.dice.below(4) > 0).unwrap_or(broker);
        let Ok(conn) = self.cluster.connect(self.now, broker) else { return };
        let acks = if self.dice.below(3) == 0 { 1 } else { -1 };
        let timeout = 20 + self.dice.below(200) as i32;
        let request = produce_with("t", partition, batch(producer_id, 0, 0, 2), acks, timeout);
        // The correlation id says whose answer it is.
        let id = if acks == 1 { 0 } else { producer_id as i32 };
        self.cluster.receive(self.now, conn, &frame(ApiKey::Produce, 12, id, &request));
        self.conns.push(conn);
    }

    fn look(&mut self, at: &str) {
        self.cluster.advance(self.now);
        for conn in std::mem::take(&mut self.conns) {
            let Some(output) = self.cluster.poll_output(self.now, conn) else {
                self.conns.push(conn);
                continue;
            };
            self.cluster.disconnect(self.now, conn);
            if let Output::Bytes(bytes) = output {
                let (id, ResponseKind::Produce(r)) = decode(ApiKey::Produce, 12, &bytes) else {
                    panic!("not a Produce answer")
                };
                match r.responses[0].partition_responses[0].error_code {
                    0 if id > 0 => drop(self.acked.insert(i64::from(id))),
                    code => drop(self.seen_errors.insert(code)),
                }
            }
        }
        self.cluster.check().unwrap_or_else(|error| panic!("{at}: {error}"));
    }

    /// Mends everything and lets it come to rest.
    fn heal(&mut self, at: &str) {
        for id in 1..=3 {
            self.cluster.set_metadata_delay(id, Duration::ZERO);
            self.cluster.set_replication_delay(id, Some(Duration::ZERO));
            self.cluster.restart(id);
            self.cluster.resume(id);
        }
        // By then everybody has heard of everything.
        self.now = self.now + Duration::from_secs(1);
        self.cluster.advance(self.now);
        for partition in 0..2 {
            let image = self.cluster.partition("t", partition).unwrap().clone();
            if image.leader.is_none() {
                self.cluster.elect("t", partition, image.isr[0]).unwrap();
            }
            for id in 1..=3 {
                let joined = self.cluster.expand_isr("t", partition, id);
                let replicas = self.cluster.replicas("t", partition);
                assert_eq!(joined, Ok(()), "{at}: broker {id} of {image:?} {replicas:#?}");
            }
            assert_eq!(self.cluster.partition("t", partition).unwrap().isr.len(), 3);
            assert!(
                self.cluster
                    .replicas("t", partition)
                    .iter()
                    .all(|r| { r.log_end == self.cluster.high_watermark("t", partition) })
            );
        }
    }

    /// Everything that acks=all acknowledged is in the log or was lost after it was committed.
    fn assert_kept(&self, at: &str) {
        let mut there: BTreeMap<i64, usize> = BTreeMap::new();
        for partition in 0..2 {
            let records = self.cluster.committed("t", partition).len();
            let end = self.cluster.high_watermark("t", partition);
            assert_eq!(records as i64, end, "{at}: every committed offset can be read");
            for batch in self.cluster.committed_batches("t", partition, 0) {
                *there.entry(batch.header.producer_id).or_default() += 1;
            }
        }
        assert!(there.values().all(|count| *count == 1), "{at}: doubled: {there:?}");
        let excused: BTreeSet<i64> = self
            .cluster
            .lost()
            .iter()
            .filter(|lost| lost.committed)
            .map(|lost| lost.header().producer_id)
            .collect();
        let missing: Vec<_> = self
            .acked
            .iter()
            .filter(|id| !there.contains_key(id) && !excused.contains(id))
            .collect();
        assert!(missing.is_empty(), "{at}: acknowledged, gone and not excused: {missing:?}");
    }
}

#[test]
fn whatever_happens_the_model_keeps_its_own_laws() {
    let (mut acked, mut committed_losses, mut other_losses) = (0, 0, 0);
    let mut errors = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        for step in 1..=STEPS {
            run.step(step as i64);
            run.look(&format!("seed {seed} step {step}"));
        }
        let at = format!("seed {seed}, healed");
        run.heal(&at);
        run.look(&at);
        run.assert_kept(&at);
        assert_eq!(run.cluster.requests_waiting(), 0, "{at}");
        assert_eq!(run.cluster.poll_timeout(), None, "{at}");
        acked += run.acked.len();
        let committed = run.cluster.lost().iter().filter(|lost| lost.committed).count();
        committed_losses += committed;
        other_losses += run.cluster.lost().len() - committed;
        errors.append(&mut run.seen_errors);
    }
    // It was not too quiet to mean anything.
    assert!(acked > 1000 && committed_losses > 10 && other_losses > 100);
    let wanted = [0, 6, 7, 19, 20].into();
    assert_eq!(errors, wanted, "{acked} {committed_losses} {other_losses}");
}

#[test]
fn the_same_upheaval_comes_to_the_same_end() {
    let end = |seed| {
        let mut run = Run::new(seed);
        (1..=STEPS).for_each(|step| {
            run.step(step as i64);
            run.look("");
        });
        let logs = [0, 1].map(|p| run.cluster.committed("t", p));
        (logs, run.acked, run.cluster.lost().len(), run.now)
    };
    assert_eq!(end(5), end(5));
    assert_ne!(end(5), end(6));
}
