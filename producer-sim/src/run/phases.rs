//! The end of a run: everything is healed, must be delivered, rests, and is held to account.

use super::audit::{Log, audit};
use super::content::{LEAST_VALUE, read_value};
use super::engine::{Engine, Verdict};
use super::oracle::baseline;
use super::script::To;
use super::verdict::{Failure, Oracle};
use crate::{Instant, Lost, LostReason};
use producer_proto::Acks;
use std::time::Duration;

/// How long a run rests when everything is done, to see which timers fire.
const REST: Duration = Duration::from_secs(3_600);

/// The end of a run.
impl Engine<'_> {
    /// No new records; what is broken stays so for a while.
    pub(super) fn quiesce(&mut self) -> Verdict {
        self.backlog.clear();
        self.follow_ups = 0;
        Ok(())
    }

    /// Everything that is needed works again; now everything must be delivered soon.
    pub(super) fn recover(&mut self) -> Verdict {
        if let Some(awake) = self.world.asleep_until() {
            self.run_until(awake)?;
        }
        self.heal();
        self.world.drain();
        self.look()?;
        if self.closing.is_some() || self.fatal {
            // A producer that was closed comes to its end; nothing can be sent any more.
            let limit = self.world.now() + self.delivery_timeout() + self.settle_time();
            while !self.rest.is_closed() && self.closing.is_some() && self.turn(limit)? {}
            if self.closing.is_some() && !self.rest.is_closed() {
                let what = format!("not closed, {} records open", self.ledger.open());
                return Err(Failure::new(Oracle::Deadlines, self.world.now(), what));
            }
            self.restart();
        }
        if !self.promises.honest {
            self.replace_deceived()?;
        }
        self.flush();
        self.world.drain();
        let healed = self.world.now();
        while (self.ledger.open() > 0 || !self.flushes.is_empty()) && self.settle_turn(healed)? {}
        self.expect_settled("after everything was healed")?;
        // A fresh record for each partition.
        for topic in 0..self.names.len() {
            for partition in 0..self.partitions(topic).min(8) {
                self.push(topic, To::Partition(partition), LEAST_VALUE, 0)?;
            }
        }
        self.flush();
        self.world.drain();
        let asked = self.world.now();
        let is_open = |engine: &Self| {
            engine.ledger.open() > 0 || !engine.flushes.is_empty() || !engine.backlog.is_empty()
        };
        while is_open(self) && self.settle_turn(asked)? {}
        self.expect_settled("a fresh record")?;
        Ok(())
    }

    /// A producer that was lied to may believe for ever what it was told; it has to tell every
    /// outcome in time all the same. Then another one takes over.
    fn replace_deceived(&mut self) -> Verdict {
        let limit = self.world.now() + self.delivery_timeout() + self.settle_time();
        while self.ledger.open() > 0 && self.turn(limit)? {}
        if let Some(entry) = self.ledger.first_open() {
            let what = format!("{} has no outcome, {} are open", entry.number, self.ledger.open());
            return Err(Failure::new(Oracle::Deadlines, self.world.now(), what));
        }
        self.restart();
        self.throttled = Instant::ZERO;
        Ok(())
    }

    /// One turn of the time in which everything must be delivered: from `since`, or from when the
    /// last pause that a broker asked for is over.
    fn settle_turn(&mut self, since: Instant) -> Verdict<bool> {
        self.turn(since.max(self.throttled) + self.settle_time())
    }

    fn expect_settled(&self, when: &str) -> Verdict {
        let now = self.world.now();
        let fail = |what| Failure::new(Oracle::Progress, now, what);
        if let Some(entry) = self.ledger.first_open() {
            let open = self.ledger.open();
            let what = format!("{when}: {open} records open, the oldest {}", entry.number);
            let failure = fail(what).record(entry.number);
            return Err(failure.place(entry.topic, entry.partition.unwrap_or(-1)));
        }
        if let Some(id) = self.flushes.keys().next() {
            return Err(fail(format!("{when}: {id:?} is not done")));
        }
        if !self.backlog.is_empty() {
            return Err(fail(format!("{when}: {} records are still refused", self.backlog.len())));
        }
        Ok(())
    }

    /// An hour without anything to do.
    pub(super) fn rest(&mut self) -> Verdict {
        // Connections that lead nowhere are given up first, and throttles end.
        self.run_until(self.world.now().max(self.throttled) + self.settle_time())?;
        let before = self.world.wake_ups();
        self.run_until(self.world.now() + REST)?;
        self.rest.wake_ups(self.world.now(), self.world.wake_ups() - before, self.explained())?;
        baseline(self.world.now(), self.world.producer.stats(), "with nothing left to do")
    }

    /// How many times a producer may be woken in the hour of rest: a look at the metadata is due
    /// again and again, may need a new connection and may be tried on several brokers; every
    /// connection that stays idle is closed once; and one that is not is looked at whenever it
    /// would have been idle for long enough.
    fn explained(&self) -> u64 {
        let looks = 1 + REST.as_micros() / self.config.metadata_max_age.as_micros().max(1);
        let conditions = &self.script.network;
        let way = conditions.latency.0 + 8 * conditions.jitter.0 + conditions.tail.0;
        // A connection is made, asked for its versions, then for metadata: a round trip each, of
        // which one may never end.
        let time = 6 * u128::from(way) + self.config.request_timeout.as_micros();
        let per_look = 12 + time / self.config.connections_max_idle.as_micros().max(1);
        let connections = 1 + u64::from(self.script.brokers.unsigned_abs());
        let by_looks = u64::try_from(per_look * looks).unwrap_or(u64::MAX);
        by_looks.saturating_add(2 * connections + 8)
    }

    /// Closes, waits for the last late request, and holds the logs against the ledger.
    pub(super) fn finish(&mut self) -> Verdict {
        let begin = self.world.now();
        self.close(None);
        self.world.drain();
        self.look()?;
        let limit = begin + self.settle_time();
        while !self.rest.is_closed() && self.turn(limit)? {}
        if !self.rest.is_closed() {
            let what = "nothing was outstanding, and it does not close";
            return Err(Failure::new(Oracle::FlushAndClose, self.world.now(), what));
        }
        while self.turn(self.world.now() + REST)? {}
        baseline(self.world.now(), self.world.producer.stats(), "after the close")?;
        let mut logs = std::mem::take(&mut self.old_logs);
        for topic in 0..self.names.len() {
            logs.extend(self.logs_of(topic));
        }
        if let Err(error) = self.world.cluster.check() {
            let what = format!("the model broke its own law: {error}");
            return Err(Failure::new(Oracle::NothingLost, self.world.now(), what));
        }
        self.excuse_losses();
        audit(self.world.now(), &self.ledger, &logs, &self.promises)
    }

    /// What brokers lost although it was acknowledged: with acks 1 whatever only the leader had,
    /// else what was committed and fell to an unclean election or a lost tail. Where that was,
    /// brokers do not know what producers had sent, either.
    fn excuse_losses(&mut self) {
        let cluster = &self.world.cluster;
        let acks = self.config.acks;
        let is_excused = |lost: &&Lost| match lost.reason {
            LostReason::Deposed => acks == Acks::Leader,
            LostReason::UncleanElection | LostReason::LostTail => {
                acks == Acks::Leader || lost.committed
            }
            LostReason::TopicDeleted => false,
        };
        for lost in cluster.lost().iter().filter(is_excused) {
            let records = lost.records().into_iter();
            self.promises.lost.extend(records.filter_map(|r| read_value(r.value.as_deref()?)));
        }
        for (topic, name) in self.names.iter().enumerate() {
            let partitions = (0..).take_while(|p| cluster.partition(name, *p).is_some());
            let unclean = partitions.filter(|p| cluster.has_lost_uncleanly(name, *p));
            self.promises.excused.extend(unclean.map(|partition| (topic, partition)));
        }
    }

    pub(super) fn logs_of(&self, topic: usize) -> Vec<Log> {
        let name = &self.names[topic];
        let log = |partition| {
            let records = self.world.cluster.log(name, partition);
            Log { topic, partition, records }
        };
        (0..self.partitions(topic)).map(log).collect()
    }

    fn partitions(&self, topic: usize) -> i32 {
        let exists = |partition: &i32| {
            self.world.cluster.partition(&self.names[topic], *partition).is_some()
        };
        (0..).take_while(exists).count() as i32
    }

    /// How long everything may take once nothing is in the way: a request and a connection that
    /// lead nowhere have to be noticed, each backoff may come twice, and a record that was refused
    /// until after the flush lingers.
    fn settle_time(&self) -> Duration {
        let config = &self.config;
        let most = |most: Option<Duration>, least: Option<Duration>| {
            most.or(least).unwrap_or(Duration::from_secs(1))
        };
        let retry = most(config.retry_backoff_max, config.retry_backoff);
        let reconnect = most(config.reconnect_backoff_max, config.reconnect_backoff);
        let setup = config.socket_connection_setup_timeout_max;
        let conditions = &self.script.network;
        let network = conditions.latency.0 + 8 * conditions.jitter.0 + conditions.tail.0;
        // Metadata may be asked for on one dead connection after the other.
        let brokers = self.script.brokers.unsigned_abs();
        let time = (config.request_timeout + setup) * (brokers + 1)
            + 2 * (retry + reconnect + retry)
            + config.linger
            + 10 * Duration::from_micros(network)
            + 4 * self.lateness();
        time * 6 / 5
    }
}
